//! Programs: what the containers of an image do in this world.
//!
//! ```text
//!  Options.programs: image ─▶ Program ─(kubelet starts a container)─▶ Pod { env, files, wire, time, doors, term }
//! ```
//!
//! A [`Program`] is a future over one [`Pod`]: it reaches the world through the pod's own [`wire::Wire`] alone, so that it sees
//! what its node can reach and nothing else, and is reached through its [`Doors`]. When it returns, its container has exited;
//! when its machine loses power or its pod is gone, it is dropped.
//!
//! Files and variables are those of the container's start: a changed ConfigMap or Secret is seen by the next start. Not here: init
//! containers, `exec` probes, resource limits, volumes that can be written to.

#[cfg(test)]
mod tests;
mod wire;

pub(crate) use self::wire::{PodWire, Seat};
use crate::kube::{self, Place};
use crate::net::{ClientAuth, Names, OwnTls, ServerTls};
use crate::world::World;
use ::wire::{SharedWire, Time};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// What the containers of an image do: runs until it returns or is dropped.
pub type Program = Arc<dyn Fn(Pod) -> BoxFuture<'static, ()> + Send + Sync>;

/// Programs by image, without tag and digest.
#[derive(Clone, Default)]
pub struct Programs(BTreeMap<String, Program>);

impl Programs {
    /// The same, and `program` for `image`: a repository as manifests write it, without tag and digest.
    #[must_use]
    pub fn with(mut self, image: impl Into<String>, program: Program) -> Self {
        self.0.insert(familiar(&image.into()).to_owned(), program);
        self
    }

    /// What the containers of this image do, if that is known.
    pub(crate) fn of(&self, image: &str) -> Option<&Program> {
        self.0.get(familiar(repository(image)))
    }

    /// What is in `self`, and from `others` what it lacks.
    #[must_use]
    pub fn or(mut self, others: Programs) -> Self {
        for (image, program) in others.0 {
            self.0.entry(image).or_insert(program);
        }
        self
    }
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A repository's short name: Docker Hub is where a name without a registry leads, and `library` where one without an owner does.
fn familiar(repository: &str) -> &str {
    let name = repository.strip_prefix("docker.io/").unwrap_or(repository);
    name.strip_prefix("library/").unwrap_or(name)
}

/// An image's name without tag and digest; a registry's port is part of the name.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

/// One start of a container, seen from within.
#[derive(Clone)]
pub struct Pod {
    /// The pod's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The node it runs on.
    pub node: String,
    /// Its address; the node's own on the host network.
    pub address: IpAddr,
    /// The container's arguments, with `$(NAME)` replaced.
    pub args: Vec<String>,
    /// The container's variables, and `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    pub env: BTreeMap<String, String>,
    /// Absolute path → content: ConfigMaps, Secrets, the downward API, projected volumes, and the service account's `token`,
    /// `ca.crt` and `namespace` under `/var/run/secrets/kubernetes.io/serviceaccount`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Calls leave from this pod. Once the pod is gone they never return.
    pub wire: SharedWire,
    /// The world's clock, with randomness of this start's own.
    pub time: Time,
    /// Where it listens.
    pub doors: Doors,
    /// Whether it has been asked to end.
    pub term: Term,
}

/// Where a container listens: ports of its pod's address, and of the node's where the pod says `hostPort`.
#[derive(Clone)]
pub struct Doors {
    world: World,
    place: Place,
}

impl Doors {
    pub(crate) fn new(world: World, place: Place) -> Self {
        Doors { world, place }
    }

    /// Listens on a port of the pod, with TLS or without; replaced by the next call with that port. Closed with the container.
    pub fn open(&self, port: u16, tls: Option<Certificate>, router: axum::Router) {
        self.put(port, tls.map(|tls| ServerTls::Own(Arc::new(tls.into()))), router);
    }

    /// Listens with a certificate for each name.
    pub(crate) fn open_by_name(&self, port: u16, names: Arc<Names>, router: axum::Router) {
        self.put(port, Some(ServerTls::ByName(names)), router);
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    fn put(&self, port: u16, tls: Option<ServerTls>, router: axum::Router) {
        self.world.with(|state| kube::open_door(state, &self.place, port, tls, router));
    }
}

/// What a door shows to its clients, and asks of them.
#[derive(Clone, Default)]
pub struct Certificate {
    /// DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8 DER.
    pub key: Vec<u8>,
    /// CAs, DER, that clients must come from; empty: nobody is asked.
    pub clients: Vec<Vec<u8>>,
}

impl From<Certificate> for OwnTls {
    fn from(certificate: Certificate) -> Self {
        let Certificate { chain, key, clients } = certificate;
        let clients = if clients.is_empty() { ClientAuth::Nobody } else { ClientAuth::Required(clients) };
        OwnTls { chain, key, clients }
    }
}

/// Tells a container that it is to end: SIGTERM. It has its pod's `terminationGracePeriodSeconds` from then on.
#[derive(Clone)]
pub struct Term(watch::Receiver<bool>);

impl Term {
    pub(crate) fn new(asked: watch::Receiver<bool>) -> Self {
        Term(asked)
    }

    /// Returns once the container has been asked to end.
    pub async fn asked(&self) {
        let mut asked = self.0.clone();
        if asked.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether it has been asked.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_repository() {
        for image in [
            "ghcr.io/x/watcher",
            "ghcr.io/x/watcher:1.2",
            "ghcr.io/x/watcher@sha256:00",
            "ghcr.io/x/watcher:1@sha256:00",
        ] {
            assert_eq!(repository(image), "ghcr.io/x/watcher");
        }
        assert_eq!(repository("registry:5000/watcher:1"), "registry:5000/watcher");
        assert_eq!(repository("registry:5000/watcher"), "registry:5000/watcher");
    }
}
