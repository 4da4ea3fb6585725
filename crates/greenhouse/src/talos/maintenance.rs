//! Maintenance mode: a node without a (whole) configuration waits for one, from anybody who reaches it.

use super::boot::Boot;
use super::config::Config;
use super::{Apid, Stage, pki, ports};
use crate::net::{ClientAuth, OwnTls};
use std::sync::Arc;
use std::time::Duration;

/// Waits for the next configuration.
pub(super) async fn wait(boot: &Boot) -> Option<Arc<Config>> {
    let addresses = boot.with(|state| ports::all_addresses(state, boot.id))?;
    let wanted = pki::Wanted {
        common_name: "maintenance-service.talos.dev",
        organization: None,
        names: vec!["maintenance-service.talos.dev".into()],
        addresses,
        server: true,
        valid: Duration::from_hours(24),
    };
    let mut rng = boot.world.rng(&format!("maintenance {} {}", boot.id, boot.world.now().as_second()));
    let issued = pki::self_signed(&wanted, &mut rng, boot.world.now())?;
    let tls = Arc::new(OwnTls { chain: issued.chain, key: issued.key, clients: ClientAuth::Nobody });
    let seen = boot.node(|node| {
        node.apid = Apid::Maintenance(tls);
        node.set_stage(Stage::Maintenance);
        node.config_version
    })?;
    boot.serve("apid", "Started task apid")?;
    boot.say("[talos] this machine is reachable at:")?;
    boot.say("[talos] task: machine is in maintenance mode, waiting for configuration")?;
    let config = boot.until(|state| {
        let node = super::node(state, boot.id)?;
        node.config.clone().filter(|_| node.config_version > seen)
    });
    let config = config.await?;
    // apid starts anew with the machine's own certificates; calls in between find nobody.
    boot.node(|node| {
        node.apid = Apid::Down;
        node.set_stage(Stage::Booting);
    })?;
    boot.service("apid", "Stopping", "Sending SIGTERM to task apid")?;
    boot.takes("leaving maintenance", 500, 1_500).await?;
    Some(config)
}
