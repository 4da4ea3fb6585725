//! ISC's programs ask the served world's names: `dig` every kind of question over UDP and TCP, of a world that tells the truth
//! and of one for each lie, and `named` as a resolver that stands before it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

#[path = "dns/dig.rs"]
mod dig;
#[path = "dns/suite.rs"]
mod suite;

use assets::{Judgement, Program, judged, needed};
use dig::Dig;
use greenhouse::{Greenhouse, Options, Serving, lies};
use http::Request;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use wire::{Body, Rng, SharedWire, Target, Time};

/// A served world, with records in its zone.
struct World {
    serving: Serving,
    wire: SharedWire,
    token: String,
    zone: String,
    folder: PathBuf,
    greenhouse: Greenhouse,
}

impl World {
    async fn new(test: &str, lies: &[&str]) -> Self {
        let now = Time::system(Rng::seeded(1)).now();
        let options = Options { lies: lies.iter().map(|&lie| lie.to_owned()).collect(), ..Options::default() };
        let greenhouse = Greenhouse::new(&options, Time::starting_at(now, Rng::seeded(1))).unwrap();

        let folder = std::env::temp_dir().join(format!("bouquet-dns-{test}-{}", std::process::id()));
        let serving = greenhouse.serve(&folder, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let token = greenhouse.credentials()["CLOUDFLARE_API_TOKEN"].clone();
        let (wire, zone) = (greenhouse.wire(), String::new());
        let mut world = World { serving, wire, token, zone, folder, greenhouse };
        let zones = world.api("GET", "/zones", &Value::Null).await;
        zones[0]["id"].as_str().unwrap().clone_into(&mut world.zone);
        for (kind, name, content, ttl) in suite::RECORDS {
            world.plant(kind, name, content, *ttl).await;
        }
        for at in 0..suite::BIG {
            world.plant("TXT", "big", &format!("\"{at:02} {}\"", "petal ".repeat(40)), 300).await;
        }
        world
    }

    /// A call of Cloudflare's API; its result.
    async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(format!("https://api.cloudflare.com/client/v4{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Body::from(bytes::Bytes::from(body)))
            .unwrap();
        let answer = self.wire.call(&Target::https("api.cloudflare.com", 443), request).await.unwrap();
        let body = answer.into_body().collect(1 << 20).await.unwrap();
        let said: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(said["success"], json!(true), "{method} {path}: {said}");
        said["result"].clone()
    }

    /// Makes a record; its id.
    async fn plant(&self, kind: &str, name: &str, content: &str, ttl: u32) -> String {
        let draft = json!({"type": kind, "name": name, "content": content, "ttl": ttl});
        let made = self.api("POST", &format!("/zones/{}/dns_records", self.zone), &draft).await;
        made["id"].as_str().unwrap().to_owned()
    }

    async fn uproot(&self, id: &str) {
        self.api("DELETE", &format!("/zones/{}/dns_records/{id}", self.zone), &Value::Null).await;
    }

    async fn end(self) {
        self.serving.shutdown().await;
        drop(self.greenhouse);
        let _ = std::fs::remove_dir_all(self.folder);
    }
}

/// The clock stands still but for what the suite lets pass: TTLs of half an hour cost nothing. `dig` runs beside the runtime,
/// which keeps the clock from running on by itself meanwhile.
#[tokio::test(start_paused = true)]
async fn dig_finds_every_answer_as_a_name_server_gives_it_and_catches_every_lie() {
    let Some(program) = needed("dig", "the world's name servers, asked by dig") else { return };
    let world = World::new("truth", &[]).await;
    let dig = Dig::new(program.clone());
    suite::ask(&world, &dig).await.unwrap();
    let count = dig.asked();
    world.end().await;

    let mut caught = Vec::new();
    for (lie, untrue) in lies().filter(|(lie, _)| lie.starts_with("dns-")) {
        let world = World::new(lie, &[lie]).await;
        let verdict = suite::ask(&world, &Dig::new(program.clone())).await;
        assert!(verdict.is_err(), "nobody noticed that {untrue} ({lie})");
        println!("{lie}: {}", verdict.unwrap_err());
        caught.push(lie);
        world.end().await;
    }
    assert!(caught.len() >= 10, "{caught:?}");
    judged(&Judgement {
        protocol: "DNS",
        judge: "dig 9.18",
        covers: &[
            "every record type of the zone, chains of aliases, wildcards, proxied names",
            "NXDOMAIN, NODATA and their zone's start",
            "UDP and TCP, EDNS and its versions, truncation",
            "unknown types, classes and opcodes, questions that are none",
            "a resolver's cache: age, end, what is not there",
        ],
        lacks: &[
            "DNSSEC",
            "zone transfers",
            "dynamic updates of the world's zone",
            "HTTPS, SVCB, TLSA and PTR records",
        ],
        count,
        lies: &caught,
    });
}

/// Real time, as `named` has no other.
#[tokio::test]
async fn a_real_resolver_is_content_with_the_zones_name_servers() {
    let what = "the world's name servers behind BIND as a resolver";
    let (Some(program), Some(named)) = (needed("dig", what), needed("named", what)) else { return };
    let world = World::new("resolver", &[]).await;
    let resolver = Resolver::before(world.serving.authority, &named, &world.folder);
    let dig = Dig::new(program);
    dig.until_answered(resolver.port).await;
    suite::behind(&dig, resolver.port).await.unwrap();
    judged(&Judgement {
        protocol: "DNS",
        judge: "BIND 9.18 as a resolver",
        covers: &["answers, aliases, negative caching, truncation and TCP as a resolver takes them"],
        lacks: &["iteration from the root: the world has none"],
        count: dig.asked(),
        lies: &[],
    });
    drop(resolver);
    world.end().await;
}

/// BIND, which asks the world's name servers for everything.
struct Resolver {
    port: u16,
    child: std::process::Child,
}

impl Resolver {
    fn before(authority: SocketAddr, named: &Program, folder: &std::path::Path) -> Self {
        let port = loop {
            let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = tcp.local_addr().unwrap().port();
            if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        };
        let (at, to) = (folder.display(), authority.port());
        let config = format!(
            "options {{ directory \"{at}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
             session-keyfile \"{at}/session\"; managed-keys-directory \"{at}\"; dnssec-validation no; recursion yes; \
             forward only; forwarders {{ 127.0.0.1 port {to}; }}; }};\ncontrols {{ }};\n"
        );
        std::fs::write(folder.join("named.conf"), config).unwrap();
        let log = std::fs::File::create(folder.join("named.log")).unwrap();
        let mut command = named.command();
        command.args(["-f", "-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Resolver { port, child }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
