//! The two rescue systems that are asked the same: OpenSSH's sshd with bash, and the emulated one. The client is OpenSSH's.

use crate::bench::{System, serve};
use crate::cases::{Case, Input, Key};
use assets::Program;
use greenhouse::{Greenhouse, Options};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;
use wire::{Body, Rng, SharedWire, Target, Time};

/// Between two looks at something that comes by itself.
const PAUSE: Duration = Duration::from_millis(10);
const VANILLA: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

/// What came of a command: its status, and both streams without what differs from one time to the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A client's keys and what it knows of servers; gone with the value.
pub struct Client {
    ssh: Program,
    folder: PathBuf,
}

impl Client {
    pub fn new(sshd: &Program, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("bouquet-ssh-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [mut ssh, mut keygen] = [sshd.clone(), sshd.clone()];
        (ssh.path, keygen.path) = (sshd.folder.join("usr/bin/ssh"), sshd.folder.join("usr/bin/ssh-keygen"));
        for key in ["armed", "stranger"] {
            let made = keygen.command().args(["-q", "-N", "", "-t", "ed25519", "-f"]).arg(folder.join(key)).status();
            assert!(made.unwrap().success());
        }
        Client { ssh, folder }
    }

    pub fn public_key(&self) -> String {
        fs::read_to_string(self.folder.join("armed.pub")).unwrap()
    }

    fn command(&self, port: u16, key: Key) -> Command {
        let mut ssh = self.ssh.command();
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "StrictHostKeyChecking=accept-new", "-o"]);
        ssh.arg(format!("UserKnownHostsFile={}", self.folder.join("known").display()));
        ssh.arg("-i").arg(self.folder.join(if key == Key::Armed { "armed" } else { "stranger" }));
        ssh.args(["-p", &port.to_string(), "root@127.0.0.1"]);
        ssh
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // What is left behind in the temporary folder harms nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A rescue system, and where an image can be had that it reaches.
pub struct Side<'a> {
    client: &'a Client,
    port: u16,
    image: String,
    missing: String,
    packed: Vec<u8>,
}

impl<'a> Side<'a> {
    pub async fn real(client: &'a Client, system: &System) -> Self {
        system.authorize(&client.public_key());
        let (world, _) = world(&[]);
        let packed = fetched(&world.wire(), &image_url("v1.14.6")).await;
        let image = serve(packed.clone(), None).await;
        let missing = image.replace("arm64", "amd64");
        Side { client, port: system.port, image, missing, packed }
    }

    /// A machine of an emulated project in its rescue system, behind a port of loopback.
    pub async fn emulated(client: &'a Client, lies: &[&str]) -> Self {
        let (world, time) = world(lies);
        let target = Target::plain(armed(&world, &time, &client.public_key()).await, 22);
        let wire = world.wire();
        let coming_up = async {
            while wire.open(&target).await.is_err() {
                time.sleep(PAUSE).await;
            }
        };
        time.within(Duration::from_secs(30), coming_up).await.unwrap();
        let packed = fetched(&wire, &image_url("v1.14.6")).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let far = wire.open(&target).await;
                tokio::spawn(async move {
                    // A connection that breaks is the client's to notice.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far.unwrap()).await;
                });
            }
            drop(world);
        });
        Side { client, port, image: image_url("v1.14.6"), missing: image_url("v9.9.9"), packed }
    }

    /// Runs a case to its end. The host key that the first call of a side meets must be that of all later ones.
    pub async fn ask(&self, case: &Case) -> Heard {
        let script = case.script.replace("{image}", &self.image).replace("{missing}", &self.missing);
        let stdin = match case.stdin {
            Input::Nothing => Vec::new(),
            Input::Text(text) => text.into(),
            Input::Noise(bytes) => {
                let mut rng = Rng::seeded(3);
                (0..bytes).flat_map(|_| rng.bytes::<1>()).collect()
            }
            Input::HalfAnImage => self.packed[..self.packed.len() / 2].to_vec(),
        };
        let mut ssh = self.client.command(self.port, case.key);
        let run = move || {
            ssh.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = ssh.spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let feeding = std::thread::spawn(move || drop(input.write_all(&stdin)));
            let output = child.wait_with_output().unwrap();
            feeding.join().unwrap();
            output
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.replace(&self.image, "IMAGE").replace(&self.missing, "MISSING")
        };
        Heard { status: output.status.code(), out: text(&output.stdout), err: lasting(&text(&output.stderr)) }
    }
}

/// Without progress, dates, durations, rates and the methods of authentication that are offered.
fn lasting(text: &str) -> String {
    let line = |line: &str| {
        // How far `dd` is, over and over, and the end of its line.
        let line = if line.contains('\r') { "" } else { line };
        let line = line.split_once(" copied, ").map_or(line.to_owned(), |(size, _)| format!("{size} copied"));
        let line =
            line.split_once("Permission denied (").map_or(line.clone(), |(who, _)| format!("{who}Permission denied"));
        let is_date = |word: &str| word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit() || "-:".contains(c));
        line.split(' ').map(|word| if is_date(word) { "WHEN" } else { word }).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

fn image_url(version: &str) -> String {
    format!("https://factory.talos.dev/image/{VANILLA}/{version}/hcloud-arm64.raw.xz")
}

/// Six hundred times as fast as life: a boot takes a tenth of a second.
fn world(lies: &[&str]) -> (Greenhouse, Time) {
    let lies = lies.iter().map(ToString::to_string).collect();
    let options = Options { speed: 600.0, lies, ..Options::default() };
    let time = Time::system(Rng::seeded(1));
    (Greenhouse::new(&options, time.clone()).unwrap(), time)
}

async fn fetched(wire: &SharedWire, url: &str) -> Vec<u8> {
    let request = http::Request::get(url).body(Body::default()).unwrap();
    let answer = wire.call(&Target::https("factory.talos.dev", 443), request).await.unwrap();
    answer.into_body().collect(1 << 20).await.unwrap().to_vec()
}

/// Makes a server that boots into the rescue system with this key; its address.
async fn armed(world: &Greenhouse, time: &Time, key: &str) -> String {
    let (wire, token) = (world.wire(), world.credentials()["HCLOUD_TOKEN"].clone());
    let post = async |path: &str, body: Value| {
        loop {
            let request = http::Request::post(format!("https://api.hetzner.cloud/v1/{path}"))
                .header("authorization", format!("Bearer {token}"))
                .header("content-type", "application/json")
                .body(Body::from(bytes::Bytes::from(body.to_string())))
                .unwrap();
            let answer = wire.call(&Target::https("api.hetzner.cloud", 443), request).await.unwrap();
            let answer = answer.into_body().collect(1 << 20).await.unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{path}: {answer:?}"));
            match answer["error"]["code"].as_str() {
                None => return answer,
                Some("locked") => time.sleep(PAUSE).await,
                Some(_) => panic!("{path}: {answer}"),
            }
        }
    };
    let key = post("ssh_keys", json!({"name": "armed", "public_key": key.trim()})).await["ssh_key"]["id"].clone();
    let order = json!({
        "name": "builder", "server_type": "cax11", "image": "debian-12", "location": "hel1", "start_after_create": false,
    });
    let server = post("servers", order).await;
    let id = server["server"]["id"].as_u64().unwrap();
    post(&format!("servers/{id}/actions/enable_rescue"), json!({"type": "linux64", "ssh_keys": [key]})).await;
    post(&format!("servers/{id}/actions/poweron"), json!({})).await;
    server["server"]["public_net"]["ipv4"]["ip"].as_str().unwrap().to_owned()
}
