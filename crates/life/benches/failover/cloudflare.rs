//! Cloudflare as the world has it, in the rig's internet, where its name is that of the real one.

use super::manifests::ZONE;
use super::zone::{Cloud, Zone, folder, inside, start};
use greenhouse::{Greenhouse, Options};
use rig::{INTERNET_ADDRESS, Rig};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use wire::{Rng, Time};

/// Set where this program runs itself, to be the world: the folder it writes to.
const WORLD: &str = "BOUQUET_FAILOVER_WORLD";
const HOST: &str = "api.cloudflare.com";
const STARTED: Duration = Duration::from_secs(30);

/// Serves a world on the rig's internet.
pub fn serve(rig: &Rig) -> Option<Zone> {
    let folder = folder();
    let mut itself = Command::new(std::env::current_exe().unwrap());
    itself.env(WORLD, &folder);
    let child = start(inside(rig, &itself), &folder);
    let env = until_there(&folder.join("ready"));
    let value = |name: &str| {
        let line = env.lines().find_map(|line| line.strip_prefix(&format!("export {name}='"))).unwrap();
        line.trim_end_matches('\'').to_owned()
    };
    Some(Zone {
        server: value("BOUQUET_GREENHOUSE_DNS").parse().unwrap(),
        provider: "cloudflare: {}".into(),
        anchor: SocketAddr::new(INTERNET_ADDRESS.parse().unwrap(), 443),
        cloud: Some(Cloud {
            host: HOST,
            authority: fs::read_to_string(folder.join("ca.pem")).unwrap(),
            token: value("BOUQUET_WATCHER_DNS_TOKEN"),
        }),
        child,
        folder,
    })
}

fn until_there(path: &Path) -> String {
    for _ in 0..STARTED.as_millis() / 50 {
        if let Ok(text) = fs::read_to_string(path) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} has not come", path.display());
}

/// Is the world, where this program was started to be it; never returns then.
pub fn be_the_world() {
    let Some(folder) = std::env::var_os(WORLD).map(PathBuf::from) else { return };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let options = Options { zone: ZONE.into(), ..Options::default() };
        let world = Greenhouse::new(&options, Time::system(Rng::seeded(1))).unwrap();
        let _serving = world.serve(&folder, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let env = fs::read_to_string(folder.join("env")).unwrap();
        let line = env.lines().find(|line| line.starts_with("export CLOUDFLARE_BASE_URL=")).unwrap();
        let api = line.split_once("https://").unwrap().1.split('/').next().unwrap().to_owned();
        let listener = TcpListener::bind((INTERNET_ADDRESS, 443)).await.unwrap();
        fs::write(folder.join("ready"), env).unwrap();
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let api = api.clone();
            tokio::spawn(async move {
                let Ok(mut to) = TcpStream::connect(api).await else { return };
                // Clients end as they like.
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
}
