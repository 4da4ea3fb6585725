//! Calls that tell about the node or stop it: version, services, memory, reboot, shutdown, reset.

use super::super::power::{self, Sequence, Wipe};
use super::super::proto::machine as wire;
use super::super::{Stage, etcd, node, node_mut};
use super::Api;
use crate::machine::Arch;
use tonic::Status;

/// What is asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Start,
    Stop,
    Restart,
}

impl Change {
    fn allowed_for(self, service: &str) -> bool {
        service.starts_with("ext-") || service == "kubelet" && self != Change::Stop
    }

    fn word(self) -> &'static str {
        match self {
            Change::Start => "start",
            Change::Stop => "stop",
            Change::Restart => "restart",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Change::Start => "started",
            Change::Stop => "stopped",
            Change::Restart => "restarted",
        }
    }
}

impl Api {
    pub(super) fn version_info(&self) -> Result<wire::VersionResponse, Status> {
        let old = self.boot.world.lies("talos-version-old");
        self.look(|state| {
            let arch = state.machines.get(&self.boot.id).map(|machine| machine.arch);
            let system = node(state, self.boot.id).map(|node| node.system.clone());
            let version = wire::VersionInfo {
                tag: match &system {
                    Some(_) if old => "v1.13.0".into(),
                    Some(system) => format!("v{}", system.talos),
                    None => String::new(),
                },
                sha: "5f6a3c1e".into(),
                built: "2026-11-11T12:00:00Z".into(),
                go_version: "go1.26.8".into(),
                os: "linux".into(),
                arch: if arch == Some(Arch::Arm64) { "arm64" } else { "amd64" }.into(),
            };
            let configured = node(state, self.boot.id).is_some_and(|node| node.complete().is_some());
            let name = system.map(|system| system.platform).unwrap_or_default();
            let mode = if name == "metal" { "metal" } else { "cloud" }.into();
            let message = wire::Version {
                metadata: None,
                version: Some(version),
                platform: Some(wire::PlatformInfo { name, mode }),
                // Roles come with a configuration.
                features: configured.then_some(wire::FeaturesInfo { rbac: true }),
            };
            wire::VersionResponse { messages: vec![message] }
        })
    }

    pub(super) fn services(&self) -> Result<wire::ServiceListResponse, Status> {
        let kept = |id: &str| id != "kubelet" || !self.boot.world.lies("talos-service-missing");
        let services = self.look(|state| {
            let here = node(state, self.boot.id).into_iter();
            here.flat_map(|node| node.services.iter()).map(|(id, service)| service.info(id)).collect::<Vec<_>>()
        })?;
        let services = services.into_iter().filter(|service| kept(&service.id)).collect();
        Ok(wire::ServiceListResponse { messages: vec![wire::ServiceList { metadata: None, services }] })
    }

    /// Extensions may be started, stopped and restarted; the kubelet may not be stopped, and nothing else at all
    /// (`APIStartAllowed` and its kin). Starting what runs, and stopping what does not, is no error.
    pub(super) fn change_service(&self, id: &str, change: Change) -> Result<wire::ServiceChangeResponse, Status> {
        let known = self.look(|state| {
            let now = state.now();
            let node = node_mut(state, self.boot.id)?;
            let runs = node.services.get(id)?.state == "Running";
            let change = if change == Change::Restart && !runs { Change::Start } else { change };
            let idle = matches!((change, runs), (Change::Start, true) | (Change::Stop, false));
            if !idle && !change.allowed_for(id) {
                return Some(Err(change.word()));
            }
            if !idle && change != Change::Start {
                node.service(id, "Stopping", &format!("Sending SIGTERM to task {id}"), now);
                node.service(id, "Finished", "Service finished successfully", now);
            }
            if !idle && change != Change::Stop {
                node.service(id, "Starting", "Starting service", now);
                node.service(id, "Running", &format!("Started task {id}"), now);
                node.healthy(id, Ok(()), now);
            }
            node.touch();
            Some(Ok(()))
        })?;
        match known {
            None => Err(Status::unknown(format!("service {id:?} not defined"))),
            Some(Err(word)) => Err(Status::unknown(format!("service {id:?} doesn't support {word} operation via API"))),
            Some(Ok(())) => {
                let resp = format!("Service {id:?} {}", change.done());
                Ok(wire::ServiceChangeResponse { messages: vec![wire::ServiceChange { metadata: None, resp }] })
            }
        }
    }

    pub(super) fn host_name(&self) -> Result<wire::HostnameResponse, Status> {
        self.look(|state| {
            let hostname = node(state, self.boot.id).map(|node| node.hostname.clone()).unwrap_or_default();
            wire::HostnameResponse { messages: vec![wire::Hostname { metadata: None, hostname }] }
        })
    }

    pub(super) fn begin_reboot(&self) -> Result<String, Status> {
        self.begin(Sequence::Reboot)
    }

    pub(super) fn begin_shutdown(&self) -> Result<String, Status> {
        self.begin(Sequence::Shutdown)
    }

    fn begin(&self, sequence: Sequence) -> Result<String, Status> {
        let actor = self.actor()?;
        power::begin(&self.boot, sequence, &actor);
        Ok(actor)
    }

    /// Without a list of partitions everything is wiped, the boot loader too.
    pub(super) fn begin_reset(&self, request: &wire::ResetRequest) -> Result<String, Status> {
        let named = |label: &str| request.system_partitions_to_wipe.iter().any(|part| part.label == label && part.wipe);
        for part in &request.system_partitions_to_wipe {
            if !["STATE", "EPHEMERAL", "META"].contains(&part.label.as_str()) {
                return Err(Status::unknown(format!(
                    "failed to get volume status with label {label:?}: resource VolumeStatuses.block.talos.dev(runtime/{label}@undefined) doesn't exist",
                    label = part.label
                )));
            }
        }
        let user_disks_only = request.mode() == wire::reset_request::WipeMode::UserDisks;
        let all = request.system_partitions_to_wipe.is_empty() && !user_disks_only;
        let wipe = Wipe { all, state: named("STATE"), ephemeral: named("EPHEMERAL") };
        if request.graceful {
            // A member that leaves needs a majority that lets it go; the last one cannot leave at all.
            let stuck = self.look(|state| {
                etcd::of(state, self.boot.id)
                    .is_some_and(|(cluster, _)| !cluster.has_quorum() || cluster.members.len() < 2)
            })?;
            if stuck {
                return Err(Status::failed_precondition("etcd member cannot leave: not enough started members"));
            }
        }
        self.begin(Sequence::Reset { graceful: request.graceful, wipe, reboot: request.reboot })
    }

    /// The other half of A/B boots next.
    pub(super) fn roll_back(&self) -> Result<(), Status> {
        let swapped = self.look(|state| {
            let disk = state.talos.disks.get_mut(&self.boot.id)?;
            let other = disk.previous.take()?;
            disk.previous = Some(std::mem::replace(&mut disk.system, other));
            Some(())
        })?;
        swapped.ok_or_else(|| Status::failed_precondition("previous boot entry not found"))?;
        self.begin(Sequence::Reboot).map(drop)
    }

    /// `machine.MachineService/Bootstrap`: only sets going what `etcd` waits for. Checks in Talos's order.
    pub(super) fn bootstrap_etcd(&self, recover: bool) -> Result<(), Status> {
        let cri = self.look(|state| {
            let node = node(state, self.boot.id);
            node.is_some_and(|node| node.services.runs("cri") && node.stage != Stage::Rebooting)
        })?;
        if !cri {
            return Err(Status::failed_precondition("bootstrap is not available yet"));
        }
        if !self.boot.world.lies("talos-bootstrap-worker") {
            self.needs_control_plane("bootstrap")?;
        }
        let twice = self.boot.world.lies("talos-bootstrap-twice");
        let answer = self.look(|state| {
            let kept = state.talos.disks.get(&self.boot.id).and_then(|disk| disk.etcd).is_some();
            let now = state.now();
            let node = node_mut(state, self.boot.id).ok_or_else(|| Status::unavailable("connection reset"))?;
            if kept {
                return if twice { Ok(()) } else { Err(Status::already_exists("etcd data directory is not empty")) };
            }
            if !node.is_control_plane() {
                return Ok(());
            }
            if !node.complete().is_some_and(etcd::has_authority) {
                return Err(Status::invalid_argument("etcd CA is not set in the machine config"));
            }
            if recover {
                // Talos answers before it looks at the snapshot.
                node.recovered = node.snapshot.take();
                if node.recovered.is_none() {
                    node.service("etcd", "Failed", "Failed to run pre stage: error recovering from snapshot", now);
                    return Ok(());
                }
            }
            node.bootstrap = true;
            node.touch();
            Ok(())
        });
        answer?
    }

    /// The call of before 1.13's lifecycle service: the same upgrade, with etcd's consent and a reboot at its end.
    pub(super) fn legacy_upgrade(&self, request: &wire::UpgradeRequest) -> Result<(String, String), Status> {
        let refused = self.look(|state| {
            let (cluster, _) = etcd::of(state, self.boot.id)?;
            let alive = cluster.members.values().filter(|member| member.alive).count();
            (!request.force && (cluster.members.len() == 2 || alive < cluster.members.len()))
                .then(|| Status::unknown("error validating etcd: cluster is not healthy enough for an upgrade"))
        })?;
        if let Some(status) = refused {
            return Err(status);
        }
        self.install(&request.image).map_err(Status::invalid_argument)?;
        let actor = if request.stage { self.actor()? } else { self.begin(Sequence::Reboot)? };
        Ok(("Upgrade request received".into(), actor))
    }
}
