use super::cosi::GetRequest;
use super::cosi::state_client::StateClient;
use super::error::ClientError;
use super::machine::apply_configuration_request::Mode;
use super::machine::machine_service_client::MachineServiceClient;
use super::machine::{
    ApplyConfigurationRequest, BootstrapRequest, EtcdMemberListRequest, EtcdRemoveMemberByIdRequest,
    ResetPartitionSpec, ResetRequest,
};
use std::net::IpAddr;
use std::time::Duration;
use tonic::Status;
use wire::{Channel, Identity, Roots, Route, Secret, SharedWire, Target, Time, Tls};

/// apid's port.
const PORT: u16 = 50_000;
/// Nodes answer these calls at once; one that takes longer is not well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// apid's own limit of a message.
const MESSAGE_BYTES_MAX: usize = 32 << 20;

/// One node's machine API.
pub struct Client {
    channel: Channel,
    origin: http::Uri,
    node: String,
}

/// When a configuration takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// At once; with a reboot only where Talos (before 1.14) sees no other way.
    Auto,
    /// At once, and refused where that needs a reboot.
    NoReboot,
    /// With the next reboot.
    Staged,
}

/// What runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// `v1.14.6`.
    pub tag: String,
    /// `arm64`, `amd64`.
    pub arch: String,
    /// `hcloud`, `oracle`, `metal`, …
    pub platform: String,
}

/// A service of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceInfo {
    /// `etcd`, `kubelet`, `ext-tailscale`, …
    pub id: String,
    /// `Running`, `Preparing`, `Failed`, …
    pub state: String,
    /// `None` where it has no health check, or none has run yet.
    pub healthy: Option<bool>,
    /// Its last words.
    pub message: String,
}

/// A member of etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdMember {
    /// Its id.
    pub id: u64,
    /// Host name of its node.
    pub hostname: String,
    /// Whether it has no vote yet.
    pub learner: bool,
}

impl Client {
    /// Of a configured node: it must show a certificate of `authority` (DER), and we show `identity`.
    pub fn connect(
        wire: SharedWire,
        time: Time,
        route: Route,
        address: IpAddr,
        authority: Vec<u8>,
        identity: Identity,
    ) -> Self {
        Self::new(wire, time, route, address, Roots::Only(vec![authority]), Some(identity))
    }

    /// Of a machine in maintenance mode: its certificate is its own invention, and it asks for none.
    pub fn maintenance(wire: SharedWire, time: Time, route: Route, address: IpAddr) -> Self {
        Self::new(wire, time, route, address, Roots::Unverified, None)
    }

    fn new(
        wire: SharedWire,
        time: Time,
        route: Route,
        address: IpAddr,
        roots: Roots,
        identity: Option<Identity>,
    ) -> Self {
        let host = address.to_string();
        let tls = Tls { server_name: host.clone(), roots, identity };
        let target = Target { route, host, port: PORT, tls: Some(tls) };
        let node = target.authority();
        let origin = format!("https://{node}").parse().unwrap_or_default();
        Client { channel: Channel::new(wire, time, target, HEAD_TIMEOUT), origin, node }
    }

    fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::with_origin(self.channel.clone(), self.origin.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn error(&self, call: &'static str) -> impl Fn(Status) -> ClientError + '_ {
        move |status| ClientError::of(&self.node, call, &status)
    }

    fn first<T>(&self, call: &'static str, messages: Vec<T>) -> Result<T, ClientError> {
        let none = || ClientError::garbled(call, "the answer holds no message");
        messages.into_iter().next().ok_or_else(none)
    }

    /// What runs there.
    pub async fn version(&self) -> Result<Version, ClientError> {
        let answer = self.machine().version(()).await.map_err(self.error("Version"))?;
        let message = self.first("Version", answer.into_inner().messages)?;
        let version = message.version.unwrap_or_default();
        let platform = message.platform.unwrap_or_default().name;
        Ok(Version { tag: version.tag, arch: version.arch, platform })
    }

    /// Hands the node a whole configuration; returns what it says of it. With `dry_run` nothing changes.
    pub async fn apply_configuration(
        &self,
        config: &Secret,
        mode: ApplyMode,
        dry_run: bool,
    ) -> Result<String, ClientError> {
        let mode = match mode {
            ApplyMode::Auto => Mode::Auto,
            ApplyMode::NoReboot => Mode::NoReboot,
            ApplyMode::Staged => Mode::Staged,
        };
        let request =
            ApplyConfigurationRequest { data: config.expose().as_bytes().to_vec(), mode: mode.into(), dry_run };
        let call = "ApplyConfiguration";
        let answer = self.machine().apply_configuration(request).await.map_err(self.error(call))?;
        Ok(self.first(call, answer.into_inner().messages)?.mode_details)
    }

    /// Starts etcd on this control plane. Once in a cluster's life.
    pub async fn bootstrap(&self) -> Result<(), ClientError> {
        self.machine().bootstrap(BootstrapRequest::default()).await.map_err(self.error("Bootstrap")).map(drop)
    }

    /// Every service.
    pub async fn services(&self) -> Result<Vec<ServiceInfo>, ClientError> {
        let answer = self.machine().service_list(()).await.map_err(self.error("ServiceList"))?;
        let list = self.first("ServiceList", answer.into_inner().messages)?;
        let services = list.services.into_iter().map(|service| {
            let health = service.health.unwrap_or_default();
            let event = service.events.and_then(|events| events.events.into_iter().last());
            let message = if health.last_message.is_empty() {
                event.map(|event| event.msg).unwrap_or_default()
            } else {
                health.last_message
            };
            let healthy = (!health.unknown).then_some(health.healthy);
            ServiceInfo { id: service.id, state: service.state, healthy, message }
        });
        Ok(services.collect())
    }

    /// Members of etcd, as this control plane knows them.
    pub async fn etcd_members(&self) -> Result<Vec<EtcdMember>, ClientError> {
        let call = "EtcdMemberList";
        let request = EtcdMemberListRequest { query_local: true };
        let answer = self.machine().etcd_member_list(request).await.map_err(self.error(call))?;
        let members = self.first(call, answer.into_inner().messages)?.members.into_iter();
        let told = |member: super::machine::EtcdMember| EtcdMember {
            id: member.id,
            hostname: member.hostname,
            learner: member.is_learner,
        };
        Ok(members.map(told).collect())
    }

    /// Removes a member whose node is gone.
    pub async fn etcd_remove_member(&self, member_id: u64) -> Result<(), ClientError> {
        let request = EtcdRemoveMemberByIdRequest { member_id };
        let call = "EtcdRemoveMemberByID";
        self.machine().etcd_remove_member_by_id(request).await.map_err(self.error(call)).map(drop)
    }

    /// Wipes what the node knows (STATE) and holds (EPHEMERAL). `graceful`: it leaves etcd first.
    pub async fn reset(&self, graceful: bool, reboot: bool) -> Result<(), ClientError> {
        let wipe = |label: &str| ResetPartitionSpec { label: label.to_owned(), wipe: true };
        let request = ResetRequest {
            graceful,
            reboot,
            system_partitions_to_wipe: vec![wipe("STATE"), wipe("EPHEMERAL")],
            ..ResetRequest::default()
        };
        self.machine().reset(request).await.map_err(self.error("Reset")).map(drop)
    }

    /// The configuration that is saved on the node's disk, every document of it.
    pub async fn machine_config(&self) -> Result<Secret, ClientError> {
        let call = "Get MachineConfigs";
        let request = GetRequest {
            namespace: "config".into(),
            r#type: "MachineConfigs.config.talos.dev".into(),
            id: "persistent".into(),
            options: None,
        };
        let mut state = StateClient::with_origin(self.channel.clone(), self.origin.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let answer = state.get(request).await.map_err(self.error(call))?.into_inner();
        let yaml = answer.resource.and_then(|resource| resource.spec).map(|spec| spec.yaml_spec).unwrap_or_default();
        // The spec is a YAML string that holds the documents.
        crate::yaml::read_string(&yaml)
            .map(Secret::new)
            .map_err(|_| ClientError::garbled(call, "the configuration is not told as a string"))
    }
}
