use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render;
use clouds::Settings;
use spec::Role;
use std::collections::BTreeSet;
use std::time::Duration;
use wire::Time;

/// How long an administrator's certificate is good: a working day and a night's troubles.
const TTL: Duration = Duration::from_hours(24);

/// Prints a kubeconfig for the administrator; through the mesh proxy, if the environment names one.
pub async fn run(args: &Args, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let bundle = context.subject.bundle.as_ref().ok_or_else(no_bundle)?;
    let admin = talos::kubernetes_admin(bundle, time.now(), TTL, &mut time.rng("kubeconfig"))
        .map_err(|error| Failure::new("BQ0502", error.to_string()))?;
    let server = match context.subject.cluster.api_name() {
        Some(name) => name,
        None => mesh_address(&context).await?,
    };
    let proxy = context.environment.variable("BOUQUET_MESH_PROXY");
    // kubectl resolves names at the proxy for both, and knows only this spelling.
    let proxy = proxy.map(|proxy| proxy.expose().replace("socks5h://", "socks5://"));
    let text = talos::kubeconfig(
        &context.subject.cluster.name,
        bundle,
        &admin,
        &format!("https://{server}:6443"),
        proxy.as_deref(),
    );
    render::out(text.expose())?;
    Ok(0)
}

/// Without a name, the first control plane's mesh address.
async fn mesh_address(context: &Context) -> Result<String, Failure> {
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let control_planes = context.subject.cluster.with_role(Role::ControlPlane);
    let address = control_planes.into_iter().find_map(|node| observed.device(node)?.address);
    address
        .map(|address| address.to_string())
        .ok_or_else(|| Failure::new("BQ0504", "no control plane is on the tailnet").help("`bouquet status` says more"))
}

pub(super) fn no_bundle() -> Failure {
    Failure::new("BQ0416", "there is no bouquet.secrets.age beside the file: the cluster has not been made")
        .help("`bouquet apply` makes both")
}
