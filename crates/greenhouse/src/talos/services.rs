//! Services of a node: what `talosctl service` shows, and what the boot waits for.

use super::proto::machine as wire;
use super::{Node, Stage};
use crate::factory::DiskImage;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Events that are kept of one service.
const KEPT: usize = 64;

/// Service id → its state.
pub(super) type Services = Known;

/// The services of a node.
#[derive(Default)]
pub(super) struct Known(BTreeMap<String, Service>);

/// One service.
pub(super) struct Service {
    pub state: &'static str,
    /// `None`: not known (yet).
    pub healthy: Option<bool>,
    message: String,
    changed: Timestamp,
    events: Vec<(Timestamp, &'static str, String)>,
    /// What its process wrote, oldest first.
    output: Vec<String>,
}

impl Known {
    /// What runs whatever the configuration says, and the extensions of the image.
    pub(super) fn at_start(system: &DiskImage) -> Self {
        let mut services = Known::default();
        for id in ["machined", "containerd", "apid", "udevd", "syslogd", "auditd", "dashboard"] {
            services.0.insert(id.to_owned(), Service::new());
        }
        if system.extensions.iter().any(|name| name == "siderolabs/tailscale") {
            services.0.insert("ext-tailscale".into(), Service::new());
        }
        if system.extensions.iter().any(|name| name == "siderolabs/iscsi-tools") {
            services.0.insert("ext-iscsid".into(), Service::new());
        }
        services
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.0.iter().map(|(id, service)| (id.as_str(), service))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Service> {
        self.0.get(id)
    }

    /// Whether the service runs.
    pub(super) fn runs(&self, id: &str) -> bool {
        self.get(id).is_some_and(|service| service.state == "Running")
    }
}

impl Service {
    fn new() -> Self {
        let changed = Timestamp::UNIX_EPOCH;
        Service {
            state: "Initialized",
            healthy: None,
            message: String::new(),
            changed,
            events: Vec::new(),
            output: Vec::new(),
        }
    }

    /// As the machine API shows it. Events and health are always there: talosctl does not look before it reads them.
    pub(super) fn info(&self, id: &str) -> wire::ServiceInfo {
        let events = self.events.iter().map(|(at, state, message)| wire::ServiceEvent {
            msg: message.clone(),
            state: (*state).to_owned(),
            ts: Some(stamp(*at)),
        });
        wire::ServiceInfo {
            id: id.to_owned(),
            state: self.state.to_owned(),
            events: Some(wire::ServiceEvents { events: events.collect() }),
            health: Some(self.health()),
        }
    }

    fn health(&self) -> wire::ServiceHealth {
        wire::ServiceHealth {
            unknown: self.healthy.is_none(),
            healthy: self.healthy == Some(true),
            last_message: self.message.clone(),
            last_change: Some(stamp(self.changed)),
        }
    }

    /// What the service last said.
    pub(super) fn last_event(&self) -> &str {
        self.events.last().map_or("", |(_, _, message)| message)
    }

    /// Its log: what its process wrote; of one that this world runs no process of, one line an event.
    pub(super) fn log(&self) -> Vec<String> {
        if self.output.is_empty() {
            return self.events.iter().map(|(at, state, message)| format!("{at} {state}: {message}")).collect();
        }
        self.output.clone()
    }
}

/// A time as protobuf writes it.
pub(super) fn stamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// Whether everything that Talos's boot waits for runs.
pub(super) fn all_up(node: &Node) -> bool {
    let waited = |id: &str| node.services.get(id).is_none_or(|service| service.state == "Running");
    ["apid", "cri", "kubelet", "ext-tailscale", "trustd", "etcd"].iter().all(|id| waited(id))
}

/// What keeps a machine from being ready: condition, reason.
pub(super) fn unmet(node: &Node) -> Vec<(&'static str, String)> {
    let mut unmet = Vec::new();
    let not_up: Vec<&str> = node
        .services
        .iter()
        .filter(|(id, service)| {
            service.state != "Running" && !matches!(*id, "udevd" | "syslogd" | "auditd" | "dashboard")
        })
        .map(|(id, _)| id)
        .collect();
    if !not_up.is_empty() {
        unmet.push(("services", format!("{} not running", not_up.join(", "))));
    }
    if node.is_control_plane() && node.kube_api.is_none() {
        unmet.push(("staticPods", "kube-system/kube-apiserver not ready".into()));
    }
    if let Err(why) = &node.ready {
        unmet.push(("nodeReady", why.clone()));
    }
    unmet
}

impl Node {
    /// A service enters a state.
    pub(super) fn service(&mut self, id: &str, state: &'static str, message: &str, now: Timestamp) {
        let Some(service) = self.services.0.get_mut(id) else { return };
        service.state = state;
        if state != "Running" {
            service.healthy = None;
        }
        service.changed = now;
        service.events.push((now, state, message.to_owned()));
        let surplus = service.events.len().saturating_sub(KEPT);
        service.events.drain(..surplus);
        self.service_event(id);
    }

    /// A service's process writes a line.
    pub(super) fn service_writes(&mut self, id: &str, line: String) {
        if let Some(service) = self.services.0.get_mut(id) {
            service.output.push(line);
            self.touch();
        }
    }

    /// A service waits for something. Unlike [`Node::service`] it says so without a date.
    pub(super) fn service_waits(&mut self, id: &str, message: &str) {
        let now = self.started;
        self.service(id, "Waiting", message, now);
    }

    /// What a health check of the service found.
    pub(super) fn healthy(&mut self, id: &str, found: Result<(), String>, now: Timestamp) {
        let Some(service) = self.services.0.get_mut(id) else { return };
        service.healthy = Some(found.is_ok());
        service.changed = now;
        service.message = found.err().unwrap_or_default();
        self.service_event(id);
    }

    /// Services that a configuration brings beside those of the image.
    pub(super) fn services_of_config(&mut self, now: Timestamp) {
        let control_plane = self.is_control_plane();
        let mut wanted = vec!["cri", "kubelet"];
        if control_plane {
            wanted.extend(["trustd", "etcd"]);
        }
        for id in wanted {
            self.services.0.entry(id.to_owned()).or_insert_with(Service::new);
        }
        for id in ["udevd", "syslogd", "auditd", "dashboard", "ext-iscsid"] {
            if self.services.get(id).is_some_and(|service| service.state == "Initialized") {
                self.service(id, "Running", "Process started", now);
                self.healthy(id, Ok(()), now);
            }
        }
    }

    fn service_event(&mut self, id: &str) {
        let Some(service) = self.services.get(id) else { return };
        let action = match service.state {
            "Initialized" => 0,
            "Preparing" => 1,
            "Waiting" => 2,
            "Running" => 3,
            "Stopping" => 4,
            "Finished" => 5,
            "Failed" => 6,
            "Skipped" => 7,
            _ => 8,
        };
        let event = wire::ServiceStateEvent {
            service: id.to_owned(),
            action,
            message: service.last_event().to_owned(),
            health: Some(service.health()),
        };
        self.publish("machine.ServiceStateEvent", &event, "");
    }

    /// Enters a stage, and says so to whoever listens to events.
    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
        self.publish_status();
        self.touch();
    }

    /// Publishes the machine's status as it is now.
    pub(super) fn publish_status(&mut self) {
        let conditions = unmet(self);
        let status = wire::machine_status_event::Status {
            ready: conditions.is_empty() && self.stage == Stage::Running,
            unmet_conditions: conditions
                .into_iter()
                .map(|(name, reason)| wire::machine_status_event::UnmetCondition { name: name.into(), reason })
                .collect(),
        };
        let event = wire::MachineStatusEvent { stage: self.stage.number(), status: Some(status) };
        self.publish("machine.MachineStatusEvent", &event, "");
    }
}

impl Stage {
    /// Its number in the machine API.
    pub(super) fn number(self) -> i32 {
        match self {
            Stage::Booting => 1,
            Stage::Maintenance => 3,
            Stage::Running => 4,
            Stage::Rebooting => 5,
            Stage::ShuttingDown => 6,
            Stage::Resetting => 7,
            Stage::Upgrading => 8,
        }
    }

    /// Its name in resources.
    pub(super) fn word(self) -> &'static str {
        match self {
            Stage::Booting => "booting",
            Stage::Maintenance => "maintenance",
            Stage::Running => "running",
            Stage::Rebooting => "rebooting",
            Stage::ShuttingDown => "shutting down",
            Stage::Resetting => "resetting",
            Stage::Upgrading => "upgrading",
        }
    }
}
