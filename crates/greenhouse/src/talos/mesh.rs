//! The `ext-tailscale` service: containerboot with what its `ExtensionServiceConfig` says.

use super::boot::Boot;
use crate::tailscale::{self, Joined, Registration};
use std::collections::BTreeMap;
use std::net::IpAddr;

const SERVICE: &str = "ext-tailscale";
/// Talos restarts a failed extension service after this long, for ever.
const RESTART_S: u64 = 60;

/// Runs until the node is on the mesh. An image without the extension has no such service.
pub(super) async fn run(boot: &Boot) -> Option<()> {
    boot.node(|node| node.services.get(SERVICE).is_some().then_some(()))??;
    let environment =
        boot.node(|node| node.config.as_ref().and_then(|config| config.extensions.get("tailscale").cloned()))?;
    let Some(mut environment) = environment else {
        boot.service(SERVICE, "Waiting", "Waiting for extension service config")?;
        let found = boot.until(|state| {
            let config = super::node(state, boot.id)?.config.clone()?;
            config.extensions.get("tailscale").cloned()
        });
        let environment = found.await?;
        return boot.stage("mesh", join(boot, environment)).await;
    };
    environment.retain(|key, _| key.starts_with("TS_"));
    boot.stage("mesh", join(boot, environment)).await
}

async fn join(boot: &Boot, environment: BTreeMap<String, String>) -> Option<()> {
    boot.service(SERVICE, "Preparing", "Running pre state")?;
    let mut tries = 0_u64;
    loop {
        // Unpacking the extension's root, starting tailscaled, the first round trips to the control server.
        boot.takes(&format!("tailscale {tries}"), 1_500, 3_500).await?;
        match login(boot, &environment)? {
            Ok(joined) => return up(boot, &joined),
            Err(why) => {
                boot.say(format!("[talos] {SERVICE}: boot: {why}"))?;
                boot.service(SERVICE, "Failed", &format!("task {SERVICE:?} failed: exit code 1: {why}"))?;
            }
        }
        boot.pause(RESTART_S).await?;
        tries += 1;
    }
}

/// A kept state is used only if `TS_AUTH_ONCE` is true; else the key is used at every start.
fn login(boot: &Boot, environment: &BTreeMap<String, String>) -> Option<Result<Joined, String>> {
    let once = environment.get("TS_AUTH_ONCE").is_some_and(|text| text == "true" || text == "1");
    boot.with(|state| {
        let kept = state.talos.disks.get(&boot.id).and_then(|disk| disk.node_key.clone());
        let resumed = kept.filter(|_| once).map(|key| tailscale::resume(state, &key, boot.id));
        if let Some(Ok(joined)) = resumed {
            return Ok(joined);
        }
        let Some(auth_key) = environment.get("TS_AUTHKEY").filter(|key| !key.is_empty()) else {
            return Err("tailscale up failed: no TS_AUTHKEY, and nobody to open the login page".to_owned());
        };
        let of_node = super::node(state, boot.id).map(|node| node.hostname.clone()).unwrap_or_default();
        let hostname = environment.get("TS_HOSTNAME").filter(|name| !name.is_empty()).unwrap_or(&of_node);
        tailscale::register(state, &Registration { auth_key, hostname, machine: boot.id })
    })
}

fn up(boot: &Boot, joined: &Joined) -> Option<()> {
    boot.with(|state| {
        if let Some(disk) = state.talos.disks.get_mut(&boot.id) {
            disk.node_key = Some(joined.node_key.clone());
        }
        if let Some(node) = super::node_mut(state, boot.id) {
            node.mesh = Some(IpAddr::V4(joined.address));
        }
        let host = super::node(state, boot.id).map(|node| node.hostname.clone()).unwrap_or_default();
        state.note(format_args!("node {host}: on the mesh as {}", joined.name));
    })?;
    boot.serve(SERVICE, "Started task ext-tailscale")
}
