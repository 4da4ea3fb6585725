use crate::graph::order;
use crate::observed::Observed;
use crate::steps::{Blocked, Class, Note, Plan, Planned, Report, Step, StepId, Verb};
use clouds::{Key, Money};
use std::collections::BTreeMap;

/// A plan in the making: steps by id, so that what is added twice is there once.
pub(crate) struct Draft {
    steps: BTreeMap<StepId, Planned>,
    pub(crate) report: Report,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Draft { steps: BTreeMap::new(), report: Report::default() }
    }

    /// Adds a step; what it waits for may be added later or never.
    pub(crate) fn add(&mut self, step: Step, after: impl IntoIterator<Item = StepId>) -> StepId {
        let id = step.id();
        let (class, node) = (step.class(), step.node().map(str::to_owned));
        let after = after.into_iter().collect();
        self.steps.insert(id.clone(), Planned { id: id.clone(), step, class, node, after, cost: None });
        id
    }

    pub(crate) fn cost(&mut self, id: &str, cost: Option<Money>) {
        if let Some(planned) = self.steps.get_mut(id) {
            planned.cost = cost;
        }
    }

    /// Has a step wait for others besides.
    pub(crate) fn wait(&mut self, id: &str, after: impl IntoIterator<Item = StepId>) {
        if let Some(planned) = self.steps.get_mut(id) {
            planned.after.extend(after);
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.steps.contains_key(id)
    }

    pub(crate) fn block(&mut self, code: &str, subject: impl Into<String>, by: String, help: &str) {
        let blocked = Blocked { code: code.into(), subject: subject.into(), by, help: help.into() };
        if !self.report.blocked.contains(&blocked) {
            self.report.blocked.push(blocked);
        }
    }

    pub(crate) fn note(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.report.notes.push(Note { subject: subject.into(), text: text.into() });
    }

    /// Drops edges to steps that nobody added, and puts the rest in order.
    pub(crate) fn finish(mut self, verb: Verb, cluster: &str, observed: &Observed) -> (Plan, Report) {
        let ids: Vec<StepId> = self.steps.keys().cloned().collect();
        for planned in self.steps.values_mut() {
            planned.after.retain(|id| ids.binary_search(id).is_ok());
            planned.after.sort();
            planned.after.dedup();
        }
        let after = self.steps.iter().map(|(id, planned)| (id.clone(), planned.after.clone())).collect();
        let steps = match order(&after) {
            Ok(ordered) => ordered.iter().filter_map(|id| self.steps.remove(id)).collect(),
            Err(cycle) => {
                self.block("BQ0419", "plan", cycle.to_string(), "this is a defect of bouquet: please report it");
                Vec::new()
            }
        };
        let plan = Plan { verb, cluster: cluster.to_owned(), parent: observed.digest(), steps };
        (plan, self.report)
    }
}

/// The id of the step that makes what a key names.
pub(crate) fn maker(key: &Key) -> StepId {
    format!("create/{}/{}/{}", key.cloud, key.kind, key.name)
}

impl Step {
    /// The step's name: what it does and to what.
    pub fn id(&self) -> StepId {
        match self {
            Step::MakeImage { cloud, image, .. } => format!("image/{cloud}/{}{}", image.arch, dash(&image.region)),
            Step::CreateResource { wanted } => maker(&wanted.key),
            Step::UpdateResource { wanted, .. } => format!("update/{}", slashed(&wanted.key)),
            Step::DeleteResource { found } => format!("delete/{}/{}", slashed(&found.key), found.id),
            Step::LaunchMachine { node, .. } => format!("launch/{node}"),
            Step::PowerOn { node, .. } => format!("power-on/{node}"),
            Step::Introduce { node, .. } => format!("introduce/{node}"),
            Step::JoinMesh { node } => format!("join/{node}"),
            Step::ReserveName { node, .. } => format!("reserve-name/{node}"),
            Step::PointName { node, .. } => format!("point-name/{node}"),
            Step::DeleteRecord { id, name } => format!("delete-record/{name}/{id}"),
            Step::DeleteDevice { id, name } => format!("delete-device/{name}/{id}"),
            Step::DeleteKey { id } => format!("delete-key/{id}"),
            Step::Configure { node, .. } => format!("configure/{node}"),
            Step::Bootstrap { node } => format!("bootstrap/{node}"),
            Step::AwaitReady { node } => format!("ready/{node}"),
            Step::AnnotateNode { node, .. } => format!("annotate/{node}"),
            Step::InstallAddon { name, .. } => format!("install/{name}"),
            Step::AwaitAddon { name } => format!("await/{name}"),
            Step::RemoveAddon { name } => format!("uninstall/{name}"),
            Step::StopWatcher => "stop-watcher".to_owned(),
            Step::Drain { node } => format!("drain/{node}"),
            Step::Reset { node } => format!("reset/{node}"),
            Step::ForgetNode { node } => format!("forget/{node}"),
        }
    }

    /// What it means for what runs.
    pub fn class(&self) -> Class {
        match self {
            Step::MakeImage { .. }
            | Step::CreateResource { .. }
            | Step::LaunchMachine { .. }
            | Step::Introduce { .. }
            | Step::ReserveName { .. }
            | Step::Bootstrap { .. } => Class::Create,
            Step::InstallAddon { changes, .. } if changes.is_empty() => Class::Create,
            Step::AnnotateNode { .. } | Step::InstallAddon { .. } => Class::InPlace,
            Step::UpdateResource { .. } | Step::PointName { .. } | Step::Configure { .. } | Step::PowerOn { .. } => {
                Class::InPlace
            }
            Step::JoinMesh { .. } | Step::AwaitReady { .. } | Step::AwaitAddon { .. } => Class::Wait,
            Step::Drain { .. } => Class::Drain,
            Step::DeleteResource { .. }
            | Step::DeleteRecord { .. }
            | Step::DeleteDevice { .. }
            | Step::DeleteKey { .. }
            | Step::Reset { .. }
            | Step::RemoveAddon { .. }
            | Step::StopWatcher
            | Step::ForgetNode { .. } => Class::Destroy,
        }
    }

    /// The node it is about.
    pub fn node(&self) -> Option<&str> {
        match self {
            Step::LaunchMachine { node, .. }
            | Step::PowerOn { node, .. }
            | Step::Introduce { node, .. }
            | Step::JoinMesh { node }
            | Step::ReserveName { node, .. }
            | Step::PointName { node, .. }
            | Step::Configure { node, .. }
            | Step::Bootstrap { node }
            | Step::AwaitReady { node }
            | Step::AnnotateNode { node, .. }
            | Step::Drain { node }
            | Step::Reset { node }
            | Step::ForgetNode { node } => Some(node),
            Step::CreateResource { wanted } | Step::UpdateResource { wanted, .. } => wanted.node.as_deref(),
            Step::DeleteResource { found } => found.node.as_deref(),
            Step::MakeImage { .. }
            | Step::DeleteRecord { .. }
            | Step::DeleteDevice { .. }
            | Step::DeleteKey { .. }
            | Step::InstallAddon { .. }
            | Step::AwaitAddon { .. }
            | Step::RemoveAddon { .. }
            | Step::StopWatcher => None,
        }
    }
}

fn slashed(key: &Key) -> String {
    format!("{}/{}/{}", key.cloud, key.kind, key.name)
}

fn dash(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("-{text}") }
}

impl Draft {
    /// Whether an image is made for this cloud.
    pub(crate) fn has_image_for(&self, cloud: &str) -> bool {
        self.steps.values().any(|planned| matches!(&planned.step, Step::MakeImage { cloud: of, .. } if of == cloud))
    }
}
