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

impl Api {
    pub(super) fn version_info(&self) -> Result<wire::VersionResponse, Status> {
        self.look(|state| {
            let arch = state.machines.get(&self.boot.id).map(|machine| machine.arch);
            let system = node(state, self.boot.id).map(|node| node.system.clone());
            let version = wire::VersionInfo {
                tag: system.as_ref().map(|system| format!("v{}", system.talos)).unwrap_or_default(),
                sha: "5f6a3c1e".into(),
                built: "2026-11-11T12:00:00Z".into(),
                go_version: "go1.26.8".into(),
                os: "linux".into(),
                arch: if arch == Some(Arch::Arm64) { "arm64" } else { "amd64" }.into(),
            };
            let name = system.map(|system| system.platform).unwrap_or_default();
            let mode = if name == "metal" { "metal" } else { "cloud" }.into();
            let message = wire::Version {
                metadata: None,
                version: Some(version),
                platform: Some(wire::PlatformInfo { name, mode }),
                features: Some(wire::FeaturesInfo { rbac: true }),
            };
            wire::VersionResponse { messages: vec![message] }
        })
    }

    pub(super) fn services(&self) -> Result<wire::ServiceListResponse, Status> {
        self.look(|state| {
            let services = node(state, self.boot.id)
                .map(|node| node.services.iter().map(|(id, service)| service.info(id)).collect())
                .unwrap_or_default();
            wire::ServiceListResponse { messages: vec![wire::ServiceList { metadata: None, services }] }
        })
    }

    /// Services that Talos itself needs cannot be stopped.
    pub(super) fn change_service(&self, id: &str, change: Change) -> Result<wire::ServiceChangeResponse, Status> {
        let mine = ["kubelet", "etcd", "apid", "trustd", "cri"].contains(&id) || id.starts_with("ext-");
        self.look(|state| {
            let now = state.now();
            let node = node_mut(state, self.boot.id)?;
            node.services.get(id)?;
            if !mine || (change != Change::Restart && !["kubelet"].contains(&id) && !id.starts_with("ext-")) {
                return Some(Err(Status::failed_precondition(format!(
                    "service {id:?} doesn't support {} operation via API",
                    match change {
                        Change::Start => "start",
                        Change::Stop => "stop",
                        Change::Restart => "restart",
                    }
                ))));
            }
            let resp = match change {
                Change::Start => {
                    node.service(id, "Running", "Started by request", now);
                    node.healthy(id, Ok(()), now);
                    format!("Service {id:?} started")
                }
                Change::Stop => {
                    node.service(id, "Finished", "Service finished successfully", now);
                    format!("Service {id:?} stopped")
                }
                Change::Restart => {
                    node.service(id, "Finished", "Service finished successfully", now);
                    node.service(id, "Running", "Started by request", now);
                    node.healthy(id, Ok(()), now);
                    format!("Service {id:?} restarted")
                }
            };
            node.touch();
            Some(Ok(wire::ServiceChangeResponse { messages: vec![wire::ServiceChange { metadata: None, resp }] }))
        })?
        .ok_or_else(|| Status::not_found(format!("service {id:?} is not registered")))?
    }

    pub(super) fn host_name(&self) -> Result<wire::HostnameResponse, Status> {
        self.look(|state| {
            let hostname = node(state, self.boot.id).map(|node| node.hostname.clone()).unwrap_or_default();
            wire::HostnameResponse { messages: vec![wire::Hostname { metadata: None, hostname }] }
        })
    }

    pub(super) fn memory_info(&self) -> Result<wire::MemoryResponse, Status> {
        self.look(|state| {
            let mib = state.machines.get(&self.boot.id).map_or(0, |machine| machine.memory_mib);
            // In KiB, as /proc/meminfo; the kernel keeps a little for itself.
            let memtotal = mib * 1024 * 97 / 100;
            let info = wire::MemInfo {
                memtotal,
                memfree: memtotal / 2,
                memavailable: memtotal * 7 / 10,
                buffers: memtotal / 100,
                cached: memtotal / 5,
            };
            wire::MemoryResponse { messages: vec![wire::Memory { metadata: None, meminfo: Some(info) }] }
        })
    }

    pub(super) fn system_info(&self) -> Result<wire::SystemStatResponse, Status> {
        self.look(|state| {
            let cores = state.machines.get(&self.boot.id).map_or(1, |machine| machine.cores);
            let boot_time = node(state, self.boot.id).map_or(0, |node| node.started.as_second());
            let idle = wire::CpuStat { user: 100.0, nice: 0.0, system: 50.0, idle: 10_000.0 };
            let message = wire::SystemStat {
                metadata: None,
                boot_time: u64::try_from(boot_time).unwrap_or(0),
                cpu_total: Some(idle),
                cpu: (0..cores).map(|_| idle).collect(),
                process_running: 1,
            };
            wire::SystemStatResponse { messages: vec![message] }
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
            if !["STATE", "EPHEMERAL", "META", "BOOT", "EFI", "BIOS"].contains(&part.label.as_str()) {
                return Err(Status::invalid_argument(format!("label {:?}: no such partition", part.label)));
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

    /// `machine.MachineService/Bootstrap`: only sets going what `etcd` waits for.
    pub(super) fn bootstrap_etcd(&self, recover: bool) -> Result<(), Status> {
        let answer = self.look(|state| {
            let kept = state.talos.disks.get(&self.boot.id).and_then(|disk| disk.etcd).is_some();
            let now = state.now();
            let node = node_mut(state, self.boot.id).ok_or_else(|| Status::unavailable("connection reset"))?;
            if !node.is_control_plane() {
                return Err(Status::unimplemented("bootstrap is only available on control plane nodes"));
            }
            if !node.complete().is_some_and(etcd::has_authority) {
                return Err(Status::invalid_argument("etcd CA is not set in the machine config"));
            }
            if kept {
                return Err(Status::already_exists("etcd data directory is not empty"));
            }
            if !node.services.runs("cri") || node.stage == Stage::Rebooting {
                return Err(Status::failed_precondition("bootstrap is not available yet"));
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
