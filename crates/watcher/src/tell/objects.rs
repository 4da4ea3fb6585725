//! `ingressnodes`: one object a node. The writer keeps them; each vantage adds its own word.

use super::crd::{GROUP, KIND, PLURAL, VERSION};
use super::memory::{self, Anchor};
use crate::scene::Scene;
use crate::status::{NodeStatus, Status};
use detect::{Memory, Target, Verdict};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Who owns all but the reports.
const WRITER: &str = "bouquet-watcher";
/// A vantage whose view stays the same says so this often.
const REPORT_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// Kubernetes' limit on the length of a field manager's name.
const MANAGER_MOST: usize = 128;

pub(super) fn api(client: kube::Client) -> Api<DynamicObject> {
    Api::all_with(client, &resource())
}

fn resource() -> ApiResource {
    ApiResource {
        group: GROUP.into(),
        version: VERSION.into(),
        api_version: format!("{GROUP}/{VERSION}"),
        kind: KIND.into(),
        plural: PLURAL.into(),
    }
}

/// One thing to do to the objects.
#[derive(Clone, Debug, PartialEq)]
enum Write {
    Make(String),
    Apply(String, Value),
    /// Vantages that are no more have left reports there.
    Forget(String, Vec<Value>),
    Delete(String),
}

/// Keeps one object a node; for whoever may write.
pub struct Keeper {
    objects: Api<DynamicObject>,
    /// The last status that was applied, by node.
    applied: BTreeMap<String, Value>,
}

impl Keeper {
    /// A new one applies everything once.
    pub fn new(client: kube::Client) -> Self {
        Keeper { objects: api(client), applied: BTreeMap::new() }
    }

    /// Makes what is missing, applies what changed, and removes the objects of nodes that are gone. After an error the next call goes on.
    pub async fn keep(
        &mut self,
        scene: &Scene,
        status: &Status,
        memory: &Memory,
        anchor: Anchor,
    ) -> Result<(), kube::Error> {
        let listed = self.objects.list(&ListParams::default()).await?.items;
        let there: BTreeMap<&str, &Value> =
            listed.iter().filter_map(|at| Some((at.metadata.name.as_deref()?, &at.data["status"]))).collect();
        for write in writes(scene, status, memory, anchor, &there, &self.applied) {
            self.carry_out(write).await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self, write: Write) -> Result<(), kube::Error> {
        let own = PatchParams::apply(WRITER).force();
        match write {
            Write::Make(name) => {
                let object = DynamicObject::new(&name, &resource());
                let made = self.objects.create(&PostParams::default(), &object).await;
                made.map(drop).or_else(|error| passed_over(error, 409))?;
            }
            Write::Apply(name, status) => {
                let mut object = named(&name);
                object["status"] = status.clone();
                self.objects.patch_status(&name, &own, &Patch::Apply(object)).await?;
                self.applied.insert(name, status);
            }
            Write::Forget(name, left) => {
                let patch: Patch<Value> = Patch::Merge(json!({"status": {"reports": left}}));
                self.objects.patch_status(&name, &PatchParams::default(), &patch).await?;
            }
            Write::Delete(name) => {
                let gone = self.objects.delete(&name, &DeleteParams::default()).await;
                gone.map(drop).or_else(|error| passed_over(error, 404))?;
                self.applied.remove(&name);
            }
        }
        Ok(())
    }
}

/// What is to be done. A Scene without nodes is one that could not be read, and removes nothing.
fn writes(
    scene: &Scene,
    status: &Status,
    memory: &Memory,
    anchor: Anchor,
    there: &BTreeMap<&str, &Value>,
    applied: &BTreeMap<String, Value>,
) -> Vec<Write> {
    let mut writes = Vec::new();
    for name in scene.nodes.keys() {
        let of_node: Vec<&NodeStatus> = status.nodes.iter().filter(|node| node.name == *name).collect();
        let document = document(&of_node, memory, anchor);
        let found = there.get(name.as_str());
        if found.is_none() {
            writes.push(Write::Make(name.clone()));
        }
        if found.is_none() || applied.get(name) != Some(&document) {
            writes.push(Write::Apply(name.clone(), document));
        }
        let reports = found.and_then(|status| status["reports"].as_array());
        if let Some(left) = reports.and_then(|reports| of_the_living(reports, status)) {
            writes.push(Write::Forget(name.clone(), left));
        }
    }
    let gone = there.keys().filter(|name| !scene.nodes.is_empty() && !scene.nodes.contains_key(**name));
    writes.extend(gone.map(|name| Write::Delete((*name).to_owned())));
    writes
}

/// Reports without those of vantages that nobody knows; `None` where there are none such, or where nobody knows any vantage.
fn of_the_living(reports: &[Value], status: &Status) -> Option<Vec<Value>> {
    let known: BTreeSet<&str> = status.vantages.iter().map(|vantage| vantage.node.as_str()).collect();
    let lives = |report: &&Value| report["vantage"].as_str().is_some_and(|vantage| known.contains(vantage));
    let left: Vec<Value> = reports.iter().filter(lives).cloned().collect();
    (!known.is_empty() && left.len() < reports.len()).then_some(left)
}

/// The writer's part of a node's status: of the address that is worst off, and of each.
fn document(nodes: &[&NodeStatus], memory: &Memory, anchor: Anchor) -> Value {
    let rank = |node: &&&NodeStatus| match node.verdict {
        Verdict::Serving => 0,
        Verdict::Unknown => 1,
        Verdict::Unstable => 2,
        Verdict::Down => 3,
    };
    let Some(worst) = nodes.iter().max_by_key(rank) else { return json!({"verdict": Verdict::Unknown}) };
    let mut document = opinion(worst);
    document["withdrawn"] = json!(memory::withdrawn(memory, &worst.name, anchor));
    let address = |node: &&NodeStatus| {
        let mut address = opinion(node);
        address["family"] = memory::spelt(node.family).into();
        address["address"] = node.address.to_string().into();
        let target = Target { node: node.name.clone(), family: node.family };
        if let (Some(fields), Value::Object(more)) =
            (address.as_object_mut(), memory::of_target(memory, &target, anchor))
        {
            fields.extend(more);
        }
        address
    };
    document["addresses"] = nodes.iter().map(address).collect();
    document
}

fn opinion(node: &NodeStatus) -> Value {
    let reason =
        node.held.as_ref().map_or_else(|| node.reason.clone(), |held| format!("{}; held: {held}", node.reason));
    let mut opinion = json!({"verdict": node.verdict, "reason": reason});
    for (field, moment) in [("since", node.since), ("heldUntil", node.held_until)] {
        if let Some(moment) = moment {
            opinion[field] = json!(moment);
        }
    }
    if let Some(published) = node.published {
        opinion["published"] = published.into();
    }
    opinion
}

/// Tells this vantage's own word on each node; for every vantage.
pub struct Reporter {
    objects: Api<DynamicObject>,
    /// By node: what was said last, without its time, and when.
    said: BTreeMap<String, (Value, Timestamp)>,
}

impl Reporter {
    /// A new one says everything once.
    pub fn new(client: kube::Client) -> Self {
        Reporter { objects: api(client), said: BTreeMap::new() }
    }

    /// Says what changed, and all of it each half minute. A node whose object is not there yet is told later.
    pub async fn report(&mut self, status: &Status) -> Result<(), kube::Error> {
        self.said.retain(|name, _| status.nodes.iter().any(|node| node.name == *name));
        let mut manager = format!("{WRITER}-{}", status.vantage.node);
        manager.truncate(manager.floor_char_boundary(MANAGER_MOST));
        let own = PatchParams::apply(&manager).force();
        for (name, view, reports) in reports(status) {
            let known = self.said.get(&name);
            if known.is_some_and(|(said, at)| *said == view && status.at.duration_since(*at) < REPORT_EVERY) {
                continue;
            }
            let mut object = named(&name);
            object["status"] = json!({"reports": reports});
            match self.objects.patch_status(&name, &own, &Patch::Apply(object)).await {
                Ok(_) => drop(self.said.insert(name, (view, status.at))),
                Err(error) => passed_over(error, 404)?,
            }
        }
        Ok(())
    }
}

/// By node: what this vantage sees, and the same with when it looked.
fn reports(status: &Status) -> Vec<(String, Value, Vec<Value>)> {
    let names: BTreeSet<&str> = status.nodes.iter().map(|node| node.name.as_str()).collect();
    let of_node = |name: &str| {
        let nodes = status.nodes.iter().filter(|node| node.name == name);
        let own = nodes.flat_map(|node| node.voices.iter().map(move |voice| (node, voice)));
        let own = own.filter(|(_, voice)| voice.vantage == status.vantage.node);
        let (mut views, mut reports) = (Vec::new(), Vec::new());
        for (node, voice) in own {
            let mut report = json!({
                "vantage": voice.vantage, "family": memory::spelt(node.family), "site": voice.site, "view": voice.view
            });
            if let Some(cause) = voice.cause {
                report["cause"] = json!(cause);
            }
            views.push(report.clone());
            let ago = SignedDuration::from_millis(i64::try_from(voice.probed_ms_ago).unwrap_or(i64::MAX));
            report["probed"] = json!(status.at.saturating_sub(ago).unwrap_or(status.at));
            reports.push(report);
        }
        (name.to_owned(), Value::Array(views), reports)
    };
    names.into_iter().map(of_node).filter(|(_, _, reports)| !reports.is_empty()).collect()
}

fn named(name: &str) -> Value {
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "metadata": {"name": name}})
}

/// Somebody else was faster: it is there already, or no more, which is as good.
fn passed_over(error: kube::Error, code: u16) -> Result<(), kube::Error> {
    match error {
        kube::Error::Api(status) if status.code == code => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: Anchor = Anchor { at: Timestamp::UNIX_EPOCH, ms: 0 };

    fn empty() -> Status {
        let vantage = crate::status::VantageStatus {
            pod: "w-0".into(),
            node: "rose".into(),
            site: "home".into(),
            trusted: true,
            heard_ms_ago: Some(0),
        };
        Status {
            cluster: "garden".into(),
            version: "0",
            at: Timestamp::UNIX_EPOCH,
            vantages: vec![vantage.clone()],
            vantage,
            profile: "default",
            dry_run: false,
            writer: None,
            no_writer: None,
            nodes: Vec::new(),
            names: Vec::new(),
            alerts: Vec::new(),
            decisions: Vec::new(),
            provider: crate::status::ProviderStatus::default(),
            kubernetes_lost: None,
        }
    }

    #[test]
    fn an_empty_scene_removes_no_object_and_another_removes_those_of_nodes_that_went() {
        let nothing = Value::Null;
        let there: BTreeMap<&str, &Value> = [("lily", &nothing), ("rose", &nothing)].into();
        let look = |scene: &Scene| {
            let applied = [("rose".to_owned(), json!({"verdict": "Unknown"}))].into();
            writes(scene, &empty(), &Memory::default(), ANCHOR, &there, &applied)
        };
        assert_eq!(look(&Scene::default()), []);
        let mut scene = Scene::default();
        scene.nodes.insert("rose".into(), detect::Node::default());
        assert_eq!(look(&scene), [Write::Delete("lily".into())]);
        scene.nodes.insert("tulip".into(), detect::Node::default());
        let (tulip, unknown) = ("tulip".to_owned(), json!({"verdict": "Unknown"}));
        assert_eq!(look(&scene)[..2], [Write::Make(tulip.clone()), Write::Apply(tulip, unknown)]);
    }

    #[test]
    fn reports_of_vantages_that_went_are_forgotten_and_of_others_kept() {
        let (here, gone) = (json!({"vantage": "rose"}), json!({"vantage": "fern"}));
        assert_eq!(of_the_living(&[here.clone(), gone], &empty()), Some(vec![here.clone()]));
        assert_eq!(of_the_living(&[here], &empty()), None);
    }
}
