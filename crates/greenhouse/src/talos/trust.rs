//! How a worker gets apid's certificate: from trustd of a control plane, for the machine token.
//!
//! Until one is reached whose certificate the machine CA vouches for and whose token is the same, apid does not listen.

use super::boot::Boot;
use super::config::{Complete, PemPair};
use super::{Apid, node, pki, ports};
use crate::handshake;
use crate::machine::{self, MachineId};
use crate::net::From;
use crate::world::State;
use crate::{dns, tailscale};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::net::IpAddr;
use wire::{Roots, Route, Target, Tls};

/// Runs until apid is up. Control planes issue their own certificate.
pub(super) async fn run(boot: &Boot) -> Option<()> {
    let complete = boot.node(|node| node.complete().cloned())??;
    if complete.control_plane {
        return Some(());
    }
    let issuer = boot.stage("trust", ask(boot, &complete)).await?;
    boot.node(|node| node.apid = Apid::Up { issuer, tls: None })?;
    boot.serve("apid", "Started task apid")
}

async fn ask(boot: &Boot, complete: &Complete) -> Option<PemPair> {
    let mut said = String::new();
    let mut pause_s = 2;
    loop {
        let candidates = boot.with(|state| control_planes(state, boot.id, complete))?;
        let why = match first(boot, complete, candidates).await {
            Ok(issuer) => return Some(issuer),
            Err(why) => why,
        };
        if why != said {
            boot.say(format!(
                "[talos] controller failed {{\"controller\": \"secrets.APIController\", \"error\": {why:?}}}"
            ))?;
            boot.service("apid", "Waiting", "Waiting for API certificates")?;
            said = why;
        }
        boot.pause(pause_s).await?;
        pause_s = (pause_s * 2).min(15);
    }
}

/// Where control planes might be: the endpoint's addresses, and what discovery has found.
fn control_planes(state: &mut State, id: MachineId, complete: &Complete) -> Vec<IpAddr> {
    let mut all = resolve(state, id, &complete.endpoint.0);
    for member in members(state, id) {
        if node(state, member).is_some_and(super::Node::is_control_plane) {
            all.extend(ports::all_addresses(state, member));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// All are dialled at once, as gRPC's balancer does; the first good answer is taken.
async fn first(boot: &Boot, complete: &Complete, candidates: Vec<IpAddr>) -> Result<PemPair, String> {
    let mut dials: FuturesUnordered<_> = candidates.into_iter().map(|address| dial(boot, complete, address)).collect();
    let mut why = "failed to create new trustd client: no addresses".to_owned();
    while let Some(answer) = dials.next().await {
        match answer {
            Ok(issuer) => return Ok(issuer),
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn dial(boot: &Boot, complete: &Complete, address: IpAddr) -> Result<PemPair, String> {
    let host = address.to_string();
    let connected = boot.world.connect(From::Machine(boot.id), Route::Direct, &host, 50_001).await;
    let (endpoint, _) = connected.map_err(|error| format!("rpc error: code = Unavailable desc = {error}"))?;
    let roots = Roots::Only(complete.ca.crt.as_deref().map(pki::certificates).unwrap_or_default());
    let tls = Tls { server_name: host.clone(), roots, identity: None };
    let target = Target { route: Route::Direct, host, port: 50_001, tls: Some(tls) };
    handshake::check(&target, endpoint.tls.as_ref(), boot.world.now())
        .map_err(|error| format!("rpc error: code = Unavailable desc = tls: {error}"))?;
    let issuer = boot.world.with(|state| {
        let there = machine_at(state, address).and_then(|there| node(state, there)?.complete());
        there.filter(|there| there.token == complete.token).map(|there| there.ca.clone())
    });
    issuer.ok_or_else(|| "rpc error: code = Unauthenticated desc = invalid token".to_owned())
}

/// The machine that an address leads to.
pub(super) fn machine_at(state: &State, address: IpAddr) -> Option<MachineId> {
    if tailscale::is_mesh(address) { tailscale::machine_at(state, address) } else { machine::at(state, address) }
}

/// What a name means to a node: its own static entries first, then its resolver.
pub(super) fn resolve(state: &mut State, id: MachineId, host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    let config = node(state, id).and_then(|here| here.config.clone());
    let fixed = config
        .iter()
        .flat_map(|config| &config.static_hosts)
        .filter(|(_, names)| names.iter().any(|name| name == host));
    let fixed: Vec<IpAddr> = fixed.map(|(address, _)| *address).collect();
    if fixed.is_empty() { dns::resolve(state, From::Machine(id), host) } else { fixed }
}

/// Nodes that the discovery service tells this one about: those that publish under the same cluster id and can read
/// what it publishes, for which they need the same secret.
pub(super) fn members(state: &State, id: MachineId) -> Vec<MachineId> {
    // What is published is sealed with the secret, a 32-byte key: another length seals nothing.
    let publishes =
        |complete: &&Complete| complete.discovery && !complete.cluster_id.is_empty() && complete.has_discovery_key();
    let Some(own) = node(state, id).and_then(super::Node::complete).filter(publishes) else { return Vec::new() };
    let same = |other: &&Complete| other.cluster_id == own.cluster_id && other.cluster_secret == own.cluster_secret;
    let others = state.machines.keys().copied().filter(|other| *other != id);
    others
        .filter(|other| {
            node(state, *other).and_then(super::Node::complete).filter(publishes).as_ref().is_some_and(same)
        })
        .collect()
}
