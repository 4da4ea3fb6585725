//! Nodes whose only way to each other is the mesh.

use super::super::proto::machine::RebootRequest;
use super::rig::{Recipe, Rig, TALOS, packed};
use crate::machine::{Arch, MachineId};
use crate::net::From;
use crate::tailscale;
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use wire::{Body, Target};

async fn ask(rig: &Rig, request: http::request::Builder, body: String) -> Value {
    let request = request.body(Body::from(Bytes::from(body))).unwrap();
    let answer = rig.greenhouse.wire().call(&Target::https("api.tailscale.com", 443), request).await.unwrap();
    serde_json::from_slice(&answer.into_body().collect(1 << 20).await.unwrap()).unwrap()
}

/// A single-use key that lives this long.
pub(crate) async fn key(rig: &Rig, expiry_s: u64) -> String {
    let all = rig.greenhouse.credentials();
    let (id, secret) = (&all["TAILSCALE_OAUTH_CLIENT_ID"], &all["TAILSCALE_OAUTH_CLIENT_SECRET"]);
    let form = format!("client_id={id}&client_secret={secret}&grant_type=client_credentials");
    let token = ask(rig, Request::post("/api/v2/oauth/token"), form).await["access_token"].as_str().unwrap().to_owned();
    let create = json!({"reusable": false, "ephemeral": false, "preauthorized": true, "tags": ["tag:bouquet-bouquet"]});
    let body = json!({"capabilities": {"devices": {"create": create}}, "expirySeconds": expiry_s});
    let request = Request::post("/api/v2/tailnet/-/keys").header("authorization", format!("Bearer {token}"));
    ask(rig, request, body.to_string()).await["key"].as_str().unwrap().to_owned()
}

fn recipe(name: &'static str, control_plane: bool, endpoint: &str, auth_key: String) -> Recipe {
    Recipe { node_subnet: "100.64.0.0/10", auth_key: Some(auth_key), ..Recipe::new(name, control_plane, endpoint) }
}

/// Boots a machine with the extension in its image.
pub(crate) fn meshed(rig: &Rig, id: MachineId, text: &str) -> MachineId {
    rig.machine(id, Some(packed(text)));
    let disk = rig.image(&["siderolabs/tailscale"], TALOS, "hcloud", Arch::Arm64);
    rig.change(id, |machine| machine.disk = disk);
    rig.on(id);
    id
}

fn mesh_address(rig: &Rig, id: MachineId) -> Option<std::net::IpAddr> {
    rig.world().with(|state| tailscale::address_of(state, From::Machine(id)))
}

/// A control plane on the mesh, ready; and how to reach its API.
async fn rose(rig: &Rig) -> String {
    // The address is known only once it is there: the endpoint is a name that the node's own entry explains.
    let name = "https://api.bouquet.example.com:6443";
    let text = recipe("rose", true, name, key(rig, 3600).await).text(&rig.secrets);
    meshed(rig, 1, &text);
    rig.wait(60).await;
    rig.bootstrap(1).await.unwrap();
    rig.wait(60).await;
    assert!(rig.ready(1), "{}", rig.console(1));
    name.to_owned()
}

fn with_entry(rig: &Rig, text: &str) -> String {
    let address = mesh_address(rig, 1).unwrap();
    format!(
        "{text}---\napiVersion: v1alpha1\nkind: StaticHostConfig\nname: {address}\nhostnames: [api.bouquet.example.com]\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_worker_on_the_mesh_becomes_ready_with_its_mesh_address() {
    let rig = Rig::new();
    let endpoint = rose(&rig).await;
    let text = with_entry(&rig, &recipe("lily", false, &endpoint, key(&rig, 3600).await).text(&rig.secrets));
    let lily = meshed(&rig, 2, &text);
    rig.wait(120).await;
    assert!(rig.ready(lily), "{}", rig.console(lily));
    assert_eq!(rig.service(lily, "ext-tailscale").await.state, "Running");
}

#[tokio::test(start_paused = true)]
async fn an_expired_key_fails_every_minute_and_the_node_stays_booting() {
    let rig = Rig::new();
    let key = key(&rig, 60).await;
    rig.wait(120).await;
    let rose = meshed(&rig, 1, &recipe("rose", true, "https://198.51.100.1:6443", key).text(&rig.secrets));
    rig.wait(240).await;
    let console = rig.console(rose);
    assert!((3..=4).contains(&console.matches("exit code 1").count()), "{console}");
    assert!(console.contains("not valid"), "{console}");
    let stage = rig.world().with(|state| super::super::node(state, rose).unwrap().stage);
    assert_eq!(stage, super::super::Stage::Booting);
    assert_eq!(rig.service(rose, "kubelet").await.state, "Waiting", "no address in the mesh's range");
    assert_eq!(mesh_address(&rig, rose), None);
}

#[tokio::test(start_paused = true)]
async fn a_single_use_key_lets_in_one_node() {
    let rig = Rig::new();
    let key = key(&rig, 3600).await;
    for (id, name) in [(1, "rose"), (2, "lily")] {
        meshed(&rig, id, &recipe(name, true, "https://198.51.100.1:6443", key.clone()).text(&rig.secrets));
        rig.wait(60).await;
    }
    assert!(mesh_address(&rig, 1).is_some() && mesh_address(&rig, 2).is_none());
}

#[tokio::test(start_paused = true)]
async fn the_mesh_address_survives_a_reboot_and_the_spent_key() {
    let rig = Rig::new();
    rose(&rig).await;
    let before = mesh_address(&rig, 1);
    rig.talos(1).reboot(RebootRequest { mode: 0 }).await.unwrap();
    rig.wait(8).await;
    assert_eq!(mesh_address(&rig, 1), None, "off the mesh while it is down");
    rig.wait(120).await;
    assert_eq!(mesh_address(&rig, 1), before);
    assert!(rig.ready(1), "{}", rig.console(1));
}

#[tokio::test(start_paused = true)]
async fn an_image_without_the_extension_never_reaches_the_mesh() {
    let rig = Rig::new();
    let key = key(&rig, 3600).await;
    let text = recipe("rose", true, "https://198.51.100.1:6443", key).text(&rig.secrets);
    let rose = rig.machine(1, Some(packed(&text)));
    rig.on(rose);
    rig.wait(240).await;
    assert_eq!(mesh_address(&rig, rose), None);
    assert!(!rig.ready(rose));
    let services = rig.talos(rose).service_list(()).await.unwrap().into_inner();
    assert!(services.messages[0].services.iter().all(|service| service.id != "ext-tailscale"));
}

#[tokio::test(start_paused = true)]
async fn flannel_on_the_wrong_interface_leaves_nodes_not_ready() {
    let rig = Rig::new();
    let key = key(&rig, 3600).await;
    let text = recipe("rose", true, "https://198.51.100.1:6443", key).text(&rig.secrets);
    meshed(&rig, 1, &text.replace("[--iface=tailscale0]", "[]"));
    rig.wait(60).await;
    rig.bootstrap(1).await.unwrap();
    rig.wait(240).await;
    let ready = rig.world().with(|state| super::super::node(state, 1).unwrap().ready.clone());
    assert!(ready.unwrap_err().contains("default route's interface"));
}
