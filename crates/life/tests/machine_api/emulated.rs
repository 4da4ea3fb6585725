//! The same machines in the greenhouse: ordered at its Hetzner Cloud, on its tailnet.

use super::bench::Bench;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::Request;
use http_body_util::Full;
use life::Life;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talos::{NodeInput, Platform, ResetScope};
use wire::{Body, Secret, Target};

const SOON: Duration = Duration::from_mins(10);

/// Orders machines, and waits until they are on the tailnet.
pub async fn bench(control_planes: &[&'static str], workers: &[&'static str]) -> Bench {
    let role = |role: &str, names: &[&str]| -> String {
        let lines = names.iter().map(|name| format!("  {name}: {{ role: {role}, on: hetzner/hel1/cax11 }}\n"));
        lines.collect::<Vec<_>>().concat()
    };
    let file = format!(
        "cluster: bouquet\ntalos: 1.13.9\nkubernetes: 1.36.3\ningress: none\nnodes:\n{}{}",
        role("control-plane", control_planes),
        role("worker", workers)
    );
    let life = Arc::new(Life::new(1, &file));
    life.snapshot("arm64");
    let bundle = life.subject.bundle.as_ref().unwrap().as_ref().clone();
    let (wire, time) = (life.reach.line.wire().clone(), life.reach.line.time().clone());
    let here = life.clone();
    // Without its data a machine is another device of the tailnet, with another address.
    let renew = move |name: &'static str, address: String| {
        let here = here.clone();
        let work: BoxFuture<'static, String> = Box::pin(async move {
            node(&here, &address).reset(ResetScope::StateAndData, false, true).await.unwrap();
            loop {
                here.reach.line.time().sleep(Duration::from_secs(1)).await;
                let now = address_of(&here, name).await;
                if let Some(now) = now.filter(|now| *now != address) {
                    return now;
                }
            }
        });
        work
    };
    let mut bench = Bench::new(wire, time, bundle, Box::new(renew));
    for name in control_planes.iter().chain(workers).copied() {
        let config = order(&life, name).await;
        bench.configs.insert(name, config);
    }
    for name in control_planes.iter().chain(workers).copied() {
        let find = async || address_of(&life, name).await;
        let address = bench.until("a device on the tailnet", SOON, find).await;
        bench.addresses.insert(name, address);
    }
    bench
}

/// The address of the device of that name that is connected.
async fn address_of(life: &Life, name: &str) -> Option<String> {
    let devices = life.reach.tailnet.devices(&life.reach.line).await.unwrap();
    let mut of_name = devices.into_iter().filter(|device| device.hostname == name && device.connected == Some(true));
    Some(of_name.next_back()?.addresses.iter().find(|address| address.is_ipv4())?.to_string())
}

fn node(life: &Life, address: &str) -> talos::Client {
    let (time, bundle) = (life.reach.line.time(), life.subject.bundle.as_ref().unwrap());
    let (day, mut rng) = (Duration::from_hours(24), time.rng("administrator"));
    let issued = talos::talos_client(bundle, talos::Role::Admin, time.now(), day, &mut rng).unwrap();
    let peer = talos::Peer::configured(address, bundle.os.der().unwrap(), issued.identity);
    talos::Client::new(life.reach.line.wire().clone(), time.clone(), &peer).unwrap()
}

/// Orders a machine with its configuration as user data; the configuration.
async fn order(life: &Life, name: &'static str) -> Secret {
    let settings = life.world.credentials();
    let key = reusable_key(life, &settings).await;
    let (cluster, bundle) = (&life.subject.cluster, life.subject.bundle.as_ref().unwrap());
    let endpoint = talos::endpoint_host(cluster);
    let (mesh, hosts) = (talos::Mesh::default(), BTreeMap::new());
    let input = NodeInput {
        cluster,
        node: name,
        platform: Platform::Hcloud,
        bundle,
        auth_key: Some(&key),
        mesh: &mesh,
        endpoint: &endpoint,
        static_hosts: &hosts,
        cert_sans: &[],
        installer: None,
    };
    let config = talos::render(&input).unwrap();
    let token = format!("Bearer {}", settings["HCLOUD_TOKEN"]);
    let images = ask(life, "api.hetzner.cloud", "GET", "/v1/images?type=snapshot", &token, None).await;
    let server = json!({
        "name": name, "server_type": "cax11", "location": "hel1", "image": images["images"][0]["id"],
        "user_data": config.expose(), "public_net": { "enable_ipv4": true, "enable_ipv6": true },
    });
    ask(life, "api.hetzner.cloud", "POST", "/v1/servers", &token, Some(server.to_string())).await;
    config
}

/// A key for the tailnet that a machine can use again after it has lost its data.
async fn reusable_key(life: &Life, settings: &BTreeMap<&'static str, String>) -> Secret {
    let form = format!(
        "client_id={}&client_secret={}&grant_type=client_credentials",
        settings["TAILSCALE_OAUTH_CLIENT_ID"], settings["TAILSCALE_OAUTH_CLIENT_SECRET"]
    );
    let token = ask(life, "api.tailscale.com", "POST", "/api/v2/oauth/token", "", Some(form)).await;
    let create =
        json!({ "reusable": true, "ephemeral": false, "preauthorized": true, "tags": ["tag:bouquet-bouquet"] });
    let body = json!({ "capabilities": { "devices": { "create": create } }, "expirySeconds": 86_400 });
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let key = ask(life, "api.tailscale.com", "POST", "/api/v2/tailnet/-/keys", &bearer, Some(body.to_string())).await;
    Secret::new(key["key"].as_str().unwrap())
}

async fn ask(life: &Life, host: &str, method: &str, path: &str, authorization: &str, body: Option<String>) -> Value {
    let kind = if body.as_ref().is_some_and(|body| !body.starts_with('{')) {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let request =
        Request::builder().method(method).uri(path).header("authorization", authorization).header("content-type", kind);
    let request = request.body(Body::new(Full::new(Bytes::from(body.unwrap_or_default())))).unwrap();
    let answer = life.reach.line.wire().call(&Target::https(host, 443), request).await.unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect(1 << 20).await.unwrap();
    assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
    serde_json::from_slice(&bytes).unwrap()
}
