use super::kubeconfig::no_bundle;
use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use spec::Role;
use std::collections::BTreeSet;
use std::time::Duration;
use wire::Time;

/// How long an administrator's certificate is good.
const TTL: Duration = Duration::from_hours(24);

/// Prints a talosconfig for the administrator.
pub async fn run(args: &Args, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let bundle = context.subject.bundle.as_ref().ok_or_else(no_bundle)?;
    let client = talos::talos_client(bundle, talos::Role::Admin, time.now(), TTL, &mut time.rng("talosconfig"))
        .map_err(|error| Failure::new("BQ0502", error.to_string()))?;
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let addresses = |names: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        names.filter_map(|node| observed.device(node)?.address).map(|address| address.to_string()).collect()
    };
    let cluster = &context.subject.cluster;
    let endpoints = addresses(&mut cluster.with_role(Role::ControlPlane));
    let nodes = addresses(&mut cluster.nodes.keys().map(String::as_str));
    render::out(talos::talosconfig(&cluster.name, bundle, &client, &endpoints, &nodes).expose())?;
    Ok(0)
}
