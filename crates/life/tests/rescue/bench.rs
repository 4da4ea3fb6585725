//! A Hetzner project whose machines' SSH is OpenSSH's, and a web server with the image.

use assets::Program;
use clouds::{Arch, Cloud, Error, Found, Image, ImageOrder, Preset, Progress};
use futures::future::BoxFuture;
use greenhouse::{Greenhouse, Options};
use std::fs;
use std::net::TcpListener as StdListener;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpListener;
use wire::{Body, Line, Rng, SharedWire, Sockets, Stream, Target, Time, Wire};

/// What the machine's disk is.
#[derive(Clone, Copy, Debug)]
pub enum Disk {
    Large,
    Small,
    /// Mounted somewhere.
    Used,
}

/// A rescue system that runs; gone with the value.
pub struct System {
    pub port: u16,
    folder: PathBuf,
    child: Arc<Mutex<Child>>,
    /// Whether the key that the project knows is let in.
    lets_in: bool,
}

impl System {
    /// `key` is the type of its host key.
    pub fn new(sshd: &Program, test: &str, disk: Disk, key: &str, lets_in: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("bouquet-rescue-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let at = folder.display();
        let mut keygen = sshd.command();
        let program = sshd.folder.join("usr/bin/ssh-keygen");
        let mut made = Command::new(program);
        made.envs(keygen.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let made = made.args(["-q", "-N", "", "-t", key, "-f"]).arg(folder.join("host_key")).status().unwrap();
        assert!(made.success());
        fs::write(folder.join("authorized"), "").unwrap();
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {at}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        keygen = Command::new("unshare");
        keygen.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]);
        keygen.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rescue/system.sh")).arg(&folder).arg(&sshd.path);
        keygen.envs(sshd.command().get_envs().filter_map(|(name, value)| Some((name, value?))));
        keygen.arg(match disk {
            Disk::Large => "large",
            Disk::Small => "small",
            Disk::Used => "used",
        });
        let child = keygen.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let system = System { port, folder, child: Arc::new(Mutex::new(child)), lets_in };
        // The world's clock stands still meanwhile, and would run through all patience otherwise.
        for _ in 0..600 {
            if system.log().contains("Server listening") {
                return system;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("sshd does not start: {}", system.log());
    }

    /// Lets this key in, and no other.
    pub fn authorize(&self, public_key: &str) {
        fs::write(self.folder.join("authorized"), public_key).unwrap();
    }

    /// What is on its disk.
    pub fn disk(&self) -> Vec<u8> {
        fs::read(self.folder.join("disk")).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        // It may have been killed already.
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The project, as our client sees it.
pub struct Project {
    pub world: Greenhouse,
    line: Line,
    cloud: Arc<dyn Cloud>,
    pub heard: Heard,
}

/// What was said of progress.
#[derive(Default)]
pub struct Heard(pub Mutex<Vec<(String, u64)>>);

impl Progress for Heard {
    fn at(&self, what: &str, done_bytes: u64, _: u64) {
        self.0.lock().unwrap().push((what.to_owned(), done_bytes));
    }
}

impl Project {
    pub fn new(system: &System) -> Self {
        let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
        let world = Greenhouse::new(&Options::default(), time.clone()).unwrap();
        let settings: Preset = world.credentials().into_iter().collect();
        let cloud = clouds::hetzner::Hetzner::from_settings(&settings).unwrap();
        let line = Line::new(Arc::new(Ways::to(&world, system)), time, &[]);
        Project { world, line, cloud, heard: Heard::default() }
    }

    /// The same project, whose machines' rescue system is now another.
    pub fn moved(self, system: &System) -> Self {
        let line = Line::new(Arc::new(Ways::to(&self.world, system)), self.line.time().clone(), &[]);
        Project { line, ..self }
    }

    pub async fn image(&self, source: &str) -> Result<Found, Error> {
        let image =
            Image { region: String::new(), arch: Arch::Arm64, schematic: "ab".repeat(32), talos: "1.14.6".into() };
        let (cloud, region, machine) = ("hetzner".into(), "hel1".into(), "cax11".into());
        let builder = spec::CloudPlace { cloud, region, machine, size: None };
        let order = ImageOrder { cluster: "bouquet".into(), image, source: source.to_owned(), builder };
        self.cloud.make_image(&self.line, &order, &self.heard).await
    }

    /// Servers, keys and images that are ours to remove or to keep.
    pub fn left(&self) -> [usize; 3] {
        let kinds = self.world.inventory();
        let count = |kind: &str, is_ours: fn(&serde_json::Value) -> bool| {
            kinds[kind].as_array().unwrap().iter().filter(|item| is_ours(item)).count()
        };
        let any = |_: &serde_json::Value| true;
        let is_snapshot = |image: &serde_json::Value| image.to_string().contains("snapshot");
        [count("hetzner_servers", any), count("hetzner_ssh_keys", any), count("hetzner_images", is_snapshot)]
    }
}

/// The world's wire, but for SSH: that leads to the real system, once the emulated machine would take it.
struct Ways {
    world: SharedWire,
    sockets: Sockets,
    to: Target,
    token: String,
    authorized: Option<PathBuf>,
}

impl Ways {
    fn to(world: &Greenhouse, system: &System) -> Self {
        let token = world.credentials()["HCLOUD_TOKEN"].clone();
        let authorized = system.lets_in.then(|| system.folder.join("authorized"));
        let to = Target::plain("127.0.0.1", system.port);
        Ways { world: world.wire(), sockets: Sockets::new(None).unwrap(), to, token, authorized }
    }
}

impl Wire for Ways {
    fn call(
        &self,
        target: &Target,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, wire::Error>> {
        self.world.call(target, request)
    }

    fn open(&self, target: &Target) -> BoxFuture<'static, Result<Box<dyn Stream>, wire::Error>> {
        assert_eq!(target.port, 22);
        let keys = http::Request::get("https://api.hetzner.cloud/v1/ssh_keys")
            .header("authorization", format!("Bearer {}", self.token))
            .body(Body::default())
            .unwrap();
        let keys = self.world.call(&Target::https("api.hetzner.cloud", 443), keys);
        let (emulated, real) = (self.world.open(target), self.sockets.open(&self.to));
        let authorized = self.authorized.clone();
        Box::pin(async move {
            drop(emulated.await?);
            let keys = keys.await?.into_body().collect(1 << 20).await.unwrap();
            let keys: serde_json::Value = serde_json::from_slice(&keys).unwrap();
            if let Some(path) = authorized {
                let keys = keys["ssh_keys"].as_array().unwrap().iter().filter_map(|key| key["public_key"].as_str());
                fs::write(path, keys.collect::<Vec<_>>().join("\n") + "\n").unwrap();
            }
            let clock = Standing::new();
            Ok(Box::new(Session { stream: real.await?, _clock: clock }) as Box<dyn Stream>)
        })
    }
}

/// While this lives, the clock does not run on by itself: the runtime has something to wait for that is real.
struct Standing(#[allow(dead_code, reason = "held")] std::sync::mpsc::Sender<()>);

impl Standing {
    fn new() -> Self {
        let (held, gone) = std::sync::mpsc::channel::<()>();
        drop(tokio::task::spawn_blocking(move || gone.recv()));
        Standing(held)
    }
}

struct Session {
    stream: Box<dyn Stream>,
    _clock: Standing,
}

impl AsyncRead for Session {
    fn poll_read(mut self: Pin<&mut Self>, at: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(at, to)
    }
}

impl AsyncWrite for Session {
    fn poll_write(mut self: Pin<&mut Self>, at: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(at, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, at: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(at)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, at: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(at)
    }
}

/// Serves one file under one path; `cut` is killed once half of it is out, and the other half never comes.
pub async fn serve(content: Vec<u8>, cut: Option<&System>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let cut = cut.map(|system| system.child.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let length = stream.read(&mut head).await.unwrap_or(0);
            let found = head[..length].starts_with(b"GET /hcloud-arm64.raw.xz ");
            let (status, body) = if found { ("200 OK", content.as_slice()) } else { ("404 Not Found", &b""[..]) };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let part = if cut.is_some() { &body[..body.len() / 2] } else { body };
            let sent = async {
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(part).await
            };
            if sent.await.is_ok()
                && let Some(system) = &cut
            {
                system.lock().unwrap().kill().unwrap();
            }
        }
    });
    format!("http://{at}/hcloud-arm64.raw.xz")
}

/// Packed as the Image Factory packs.
pub fn packed(image: &[u8]) -> Vec<u8> {
    let folder = std::env::temp_dir();
    let name = folder.join(format!("bouquet-image-{}-{:p}", std::process::id(), image));
    fs::write(&name, image).unwrap();
    let output = Command::new("xz").args(["-1", "-c"]).arg(&name).output().unwrap();
    fs::remove_file(name).unwrap();
    assert!(output.status.success());
    output.stdout
}
