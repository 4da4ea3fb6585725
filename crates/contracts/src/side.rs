//! The two that a suite is asked of, each as a `kube::Client` for each user.

use crate::authority::Authority;
use crate::control_plane::ControlPlane;
use greenhouse::{Greenhouse, LoneHandle, LoneKubernetes, Options};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::{Channel, Rng, Roots, Route, SharedWire, Sockets, Target, Time, Tls};

/// Who asks: name, and groups.
pub const USERS: &[(&str, &[&str])] =
    &[("admin", &["system:masters"]), ("viewer", &["viewers"]), ("nobody", &["strangers"])];

/// The version of Kubernetes that both sides are of.
pub const VERSION: &str = "1.37.2";
/// Where the emulator is in its own world.
pub const HOST: &str = "kubernetes.greenhouse";
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// One of the two.
pub struct Side {
    pub name: &'static str,
    clients: BTreeMap<&'static str, kube::Client>,
    compact: Box<dyn Fn() + Send + Sync>,
}

/// An emulated API and the world that it lives in.
pub struct Emulator {
    pub side: Side,
    pub greenhouse: Greenhouse,
}

impl Side {
    /// Clients of the real thing, once it is ready. To be called in the runtime that will use them.
    pub async fn real(authority: &Authority, plane: &Arc<ControlPlane>) -> Self {
        let wire: SharedWire = Arc::new(Sockets::new(None).unwrap());
        let clients = clients(authority, &wire, &Time::system(Rng::seeded(1)), "127.0.0.1", plane.port);
        let ready = || http::Request::get("/readyz").body(Vec::new()).unwrap();
        plane.wait_until(async || clients["admin"].request_text(ready()).await.is_ok()).await;
        let plane = plane.clone();
        Side { name: "kube-apiserver", clients, compact: Box::new(move || plane.compact()) }
    }

    /// Of one of [`USERS`].
    pub fn client(&self, user: &str) -> &kube::Client {
        &self.clients[user]
    }

    /// Forgets the past, as etcd does every five minutes.
    pub fn compact(&self) {
        (self.compact)();
    }
}

impl Emulator {
    /// A new world with an emulated API in it that tells these lies. To be called in a runtime whose time is paused.
    pub fn new(authority: &Authority, lies: &[&str]) -> Self {
        let time = Time::starting_at(Timestamp::constant(1_795_000_000, 0), Rng::seeded(1));
        let lies = lies.iter().map(|lie| (*lie).to_owned()).collect();
        let greenhouse = Greenhouse::new(&Options { lies, ..Options::default() }, time.clone()).unwrap();
        let handle = lone(&greenhouse, authority, &[]);
        let clients = clients(authority, &greenhouse.wire(), &time, HOST, 6443);
        let side = Side { name: "emulator", clients, compact: Box::new(move || handle.compact()) };
        Emulator { side, greenhouse }
    }
}

/// Puts an emulated API on the internet of a world, with living kubelets for these nodes.
pub fn lone(greenhouse: &Greenhouse, authority: &Authority, nodes: &[&str]) -> LoneHandle {
    let server = authority.server(&[HOST]);
    greenhouse.kubernetes(&LoneKubernetes {
        host: HOST.into(),
        version: VERSION.into(),
        chain: vec![server.certificate_der],
        key: server.key_der,
        client_ca: authority.der.clone(),
        nodes: nodes.iter().map(|name| (*name).to_owned()).collect(),
    })
}

fn clients(
    authority: &Authority,
    wire: &SharedWire,
    time: &Time,
    host: &str,
    port: u16,
) -> BTreeMap<&'static str, kube::Client> {
    let client = |(user, groups): &(&'static str, &[&str])| {
        let tls = Tls {
            server_name: host.to_owned(),
            roots: Roots::Only(vec![authority.der.clone()]),
            identity: Some(authority.client(user, groups).identity()),
        };
        let target = Target { route: Route::Direct, host: host.to_owned(), port, tls: Some(tls) };
        let channel = Channel::new(wire.clone(), time.clone(), target, HEAD_TIMEOUT);
        (*user, kube::Client::new(channel, "default"))
    };
    USERS.iter().map(client).collect()
}
