use super::archive::file_in_tar_gz;
use super::proto::cosi::state_client::StateClient;
use super::proto::machine::image_service_client::ImageServiceClient;
use super::proto::machine::lifecycle_service_client::LifecycleServiceClient;
use super::proto::machine::machine_service_client::MachineServiceClient;
use super::proto::{common, machine};
use super::{Asked, Chunks, ClientError};
use std::future::Future;
use std::time::Duration;
use tonic::{Response, Status};
use wire::{Channel, Identity, Roots, Route, Secret, SharedWire, Target, Time, Tls};

/// Where apid listens.
const PORT: u16 = 50_000;
/// A stream's head comes with its first message, so this is only a backstop: each call has a limit of its own.
const HEAD_TIMEOUT: Duration = Duration::from_mins(10);
/// As talosctl allows; a node's list of resources can be long.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// What apid answers from memory it answers at once; etcd may take an election.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);
const KUBECONFIG_BYTES_MAX: usize = 1 << 20;

/// A node to talk to.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Over the mesh, or (in maintenance) over the open network.
    pub route: Route,
    /// IP address or name; the certificate must be for it.
    pub address: String,
    /// The bundle's `os` authority, or nobody in maintenance.
    pub roots: Roots,
    /// Our certificate; `None` in maintenance.
    pub identity: Option<Identity>,
}

impl Peer {
    /// A configured node of the cluster, over the mesh. `authority`: the bundle's `os` certificate, DER.
    pub fn configured(address: impl Into<String>, authority: Vec<u8>, identity: Identity) -> Self {
        let roots = Roots::Only(vec![authority]);
        Peer { route: Route::Mesh, address: address.into(), roots, identity: Some(identity) }
    }

    /// A node that waits for its first configuration: it has no identity to check, and asks for none. What is sent to it is
    /// sent in trust on whoever answers at that address.
    pub fn in_maintenance(address: impl Into<String>) -> Self {
        Peer { route: Route::Direct, address: address.into(), roots: Roots::Unverified, identity: None }
    }

    fn target(&self) -> Target {
        let tls = Tls { server_name: self.address.clone(), roots: self.roots.clone(), identity: self.identity.clone() };
        Target { route: self.route, host: self.address.clone(), port: PORT, tls: Some(tls) }
    }
}

/// One node's machine API.
#[derive(Clone)]
pub struct Client {
    pub(super) channel: Channel,
    pub(super) origin: http::Uri,
    pub(super) node: String,
    pub(super) time: Time,
    pub(super) timeout: Duration,
}

/// A node's version and where it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `v1.14.6`.
    pub tag: String,
    /// `arm64` or `amd64`.
    pub arch: String,
    /// `hcloud`, `oracle`, `metal`, …; empty if the node did not say.
    pub platform: String,
}

impl Version {
    /// The tag as a version; `None` for builds with a suffix.
    pub fn parsed(&self) -> Option<spec::Version> {
        self.tag.parse().ok()
    }
}

/// A service on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `etcd`, `kubelet`, `ext-tailscale`, …
    pub id: String,
    /// `Running`, `Preparing`, `Waiting`, …
    pub state: String,
    /// `None` where the service has no health check or has not been checked yet.
    pub healthy: Option<bool>,
    /// What the last check said, else the last event.
    pub last_message: String,
}

/// What a node may do to take a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// As the node thinks fit: at once, or (before Talos 1.14) with a reboot where a field needs one.
    Auto,
    /// At once, or not at all.
    NoReboot,
    /// At the next boot.
    Staged,
    /// At once, and back after this time unless confirmed by another apply.
    Try(Duration),
}

/// What a node did with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What the node finds doubtful in it.
    pub warnings: Vec<String>,
    /// How it was taken, in the node's words.
    pub details: String,
}

impl Client {
    /// Sends nothing yet. `None` if the address cannot stand in a URI.
    pub fn new(wire: SharedWire, time: Time, peer: &Peer) -> Option<Self> {
        let target = peer.target();
        let node = target.authority();
        let origin = http::Uri::builder().scheme("https").authority(node.as_str()).path_and_query("/").build().ok()?;
        let channel = Channel::new(wire, time.clone(), target, HEAD_TIMEOUT);
        Some(Client { channel, origin, node, time, timeout: DEFAULT_TIMEOUT })
    }

    /// With another time limit for each call (for streams: until they begin). The default is 15 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same calls, which this node forwards to another one by its certificate; only control planes do. `None` if the
    /// address cannot stand in a header.
    pub fn forwarded_to(mut self, node: &str) -> Option<Self> {
        let value = http::HeaderValue::from_str(node).ok()?;
        self.channel = self.channel.with_header(http::HeaderName::from_static("node"), value);
        self.node = format!("{node} by way of {}", self.node);
        Some(self)
    }

    /// What runs there. Works in maintenance too.
    pub async fn version(&self) -> Result<Version, ClientError> {
        let asked = self.asked("Talos Version");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.version(())).await?;
        let message = first(&asked, reply.messages)?;
        let version = message.version.ok_or_else(|| asked.garbled("no version in the answer"))?;
        let platform = message.platform.map(|platform| platform.name).unwrap_or_default();
        Ok(Version { tag: version.tag, arch: version.arch, platform })
    }

    /// Gives the node a whole configuration (patches are merged before). With `dry_run` it only says what it would do.
    pub async fn apply_configuration(
        &self,
        config: &Secret,
        mode: ApplyMode,
        dry_run: bool,
    ) -> Result<Applied, ClientError> {
        use machine::apply_configuration_request::Mode;
        let asked = self.asked("Talos ApplyConfiguration");
        let (mode, try_for) = match mode {
            ApplyMode::Auto => (Mode::Auto, None),
            ApplyMode::NoReboot => (Mode::NoReboot, None),
            ApplyMode::Staged => (Mode::Staged, None),
            ApplyMode::Try(limit) => (Mode::Try, Some(limit)),
        };
        let request = machine::ApplyConfigurationRequest {
            data: config.expose().as_bytes().to_vec(),
            mode: mode.into(),
            dry_run,
            try_mode_timeout: try_for.and_then(|limit| limit.try_into().ok()),
        };
        let mut service = self.machine();
        let reply = self.ask(&asked, service.apply_configuration(request)).await?;
        let message = first(&asked, reply.messages)?;
        Ok(Applied { warnings: message.warnings, details: message.mode_details })
    }

    /// Starts a new etcd cluster on this node. Once in the life of a cluster; [`super::Refusal::AlreadyExists`] says that it was.
    pub async fn bootstrap(&self) -> Result<(), ClientError> {
        self.bootstrap_with(machine::BootstrapRequest::default()).await
    }

    /// The same from the snapshot that [`Client::etcd_recover`] has given to this node.
    pub async fn bootstrap_recovered(&self) -> Result<(), ClientError> {
        self.bootstrap_with(machine::BootstrapRequest { recover_etcd: true, recover_skip_hash_check: false }).await
    }

    async fn bootstrap_with(&self, request: machine::BootstrapRequest) -> Result<(), ClientError> {
        let asked = self.asked("Talos Bootstrap");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.bootstrap(request)).await?;
        first(&asked, reply.messages).map(|_| ())
    }

    /// The services of the node.
    pub async fn services(&self) -> Result<Vec<Service>, ClientError> {
        let asked = self.asked("Talos ServiceList");
        let mut service = self.machine();
        let reply = self.ask(&asked, service.service_list(())).await?;
        Ok(first(&asked, reply.messages)?.services.into_iter().map(service_of).collect())
    }

    /// The administrator's kubeconfig as the node makes it. Control planes only.
    pub async fn kubeconfig(&self) -> Result<Secret, ClientError> {
        let asked = self.asked("Talos Kubeconfig");
        let mut service = self.machine();
        let all = async {
            let stream = service.kubeconfig(()).await.map_err(|status| asked.refused(&status))?;
            Chunks::new(asked.clone(), stream.into_inner()).collect(KUBECONFIG_BYTES_MAX).await
        };
        let packed = self.within(&asked, self.timeout, all).await?;
        let text = file_in_tar_gz(&packed, "kubeconfig");
        text.map(Secret::new).ok_or_else(|| asked.garbled("no kubeconfig in the archive"))
    }

    /// A system service's log: its last lines, or with `tail_lines` below 0 all of it.
    pub async fn logs(&self, service_id: &str, tail_lines: i32, follow: bool) -> Result<Chunks, ClientError> {
        let asked = self.asked("Talos Logs");
        let request = machine::LogsRequest {
            namespace: "system".into(),
            id: service_id.into(),
            driver: common::ContainerDriver::Containerd.into(),
            follow,
            tail_lines,
        };
        let mut service = self.machine();
        let stream = self.ask(&asked, service.logs(request)).await?;
        Ok(Chunks::new(asked, stream))
    }

    /// Kernel messages. Works in maintenance too.
    pub async fn dmesg(&self, follow: bool) -> Result<Chunks, ClientError> {
        let asked = self.asked("Talos Dmesg");
        let mut service = self.machine();
        let stream = self.ask(&asked, service.dmesg(machine::DmesgRequest { follow, tail: false })).await?;
        Ok(Chunks::new(asked, stream))
    }

    /// Waits for one answer and sorts what comes instead.
    pub(super) async fn ask<T>(
        &self,
        asked: &Asked,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, ClientError> {
        let sorted = async { answer.await.map(Response::into_inner).map_err(|status| asked.refused(&status)) };
        self.within(asked, self.timeout, sorted).await
    }

    pub(super) async fn within<T>(
        &self,
        asked: &Asked,
        limit: Duration,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        self.time
            .within(limit, work)
            .await
            .unwrap_or_else(|_| Err(ClientError::TimedOut { asked: asked.clone(), limit }))
    }

    pub(super) fn asked(&self, call: &'static str) -> Asked {
        Asked { node: self.node.clone(), call }
    }

    pub(super) fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::with_origin(self.channel.clone(), self.origin.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    pub(super) fn images(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::with_origin(self.channel.clone(), self.origin.clone())
    }

    pub(super) fn lifecycle(&self) -> LifecycleServiceClient<Channel> {
        LifecycleServiceClient::with_origin(self.channel.clone(), self.origin.clone())
    }

    pub(super) fn state(&self) -> StateClient<Channel> {
        StateClient::with_origin(self.channel.clone(), self.origin.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
    }
}

fn service_of(info: machine::ServiceInfo) -> Service {
    let health = info.health.unwrap_or(machine::ServiceHealth { unknown: true, ..Default::default() });
    let event = info.events.and_then(|events| events.events.into_iter().last());
    let last_message = match event {
        Some(event) if health.last_message.is_empty() => event.msg,
        _ => health.last_message,
    };
    Service { id: info.id, state: info.state, healthy: (!health.unknown).then_some(health.healthy), last_message }
}

/// A message of a reply, which says itself whether the node behind it failed.
pub(super) trait Message {
    fn metadata(&self) -> Option<&common::Metadata>;
}

macro_rules! messages {
    ($($name:ident),*) => { $(impl Message for machine::$name {
        fn metadata(&self) -> Option<&common::Metadata> { self.metadata.as_ref() }
    })* };
}
messages!(ApplyConfiguration, Begun, Done, EtcdForfeitLeadership, EtcdMembers, EtcdStatus, ServiceList, Version);

/// The one message of a node that was asked by itself.
pub(super) fn first<M: Message>(asked: &Asked, messages: Vec<M>) -> Result<M, ClientError> {
    let message = messages.into_iter().next().ok_or_else(|| asked.garbled("an empty answer"))?;
    match message.metadata() {
        Some(metadata) if !metadata.error.is_empty() => Err(asked.told(metadata.error.clone())),
        _ => Ok(message),
    }
}
