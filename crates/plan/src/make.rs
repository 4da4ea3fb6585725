use crate::draft::{Draft, maker};
use crate::observed::{Formation, Observed};
use crate::places::{self, Placement};
use crate::removal;
use crate::steps::{Plan, Report, Step, StepId, Verb};
use crate::workloads;
use clouds::{Cloud, Found, Image, Need, NeedMachine, Openness, State, Wanted};
use spec::{CloudPlace, Cluster, FirstContact, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What should be.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The file.
    pub cluster: &'a Cluster,
    /// Every cloud there is a client for.
    pub clouds: &'a [Arc<dyn Cloud>],
    /// By cloud name: the schematic id of its images.
    pub schematics: &'a BTreeMap<String, String>,
    /// What the watcher may write DNS with, if the user has given it anything.
    pub watcher: Option<&'a addons::Credential>,
    /// Whether add-ons take fields that others manage.
    pub adopt: bool,
}

impl Wish<'_> {
    /// Every add-on that the file asks for.
    pub fn addons(&self, observed: &Observed) -> Vec<addons::Addon> {
        let zone = observed.zone.as_ref().map(|zone| zone.name.as_str());
        addons::all(self.cluster, addons::Given { zone, credential: self.watcher })
    }
}

/// Plans the way from what is to what should be.
pub fn make(wish: &Wish<'_>, observed: &Observed) -> (Plan, Report) {
    let mut draft = Draft::new();
    let placed = places::decide(wish, observed, &mut draft);
    if !observed.has_bundle && observed.found().any(|found| found.ours && found.place.is_some()) {
        draft.block(
            "BQ0416",
            &wish.cluster.name,
            "machines of this cluster exist, but the secrets bundle that they were made with is not beside the file"
                .into(),
            "put bouquet.secrets.age back beside the file, or destroy the cluster",
        );
        return draft.finish(Verb::Apply, &wish.cluster.name, observed);
    }
    for cloud in wish.clouds {
        ground(cloud.as_ref(), wish, observed, &placed, &mut draft);
    }
    names(wish, observed, &mut draft);
    let mut awaited = placed.clone();
    awaited.retain(|node, _| !observed.given_up.contains(node));
    for node in placed.keys().filter(|node| !awaited.contains_key(*node)) {
        draft.block(
            "BQ0420",
            node,
            "its machine did not reach the tailnet, and is left alone for the rest of this run".into(),
            "mend what the error names, then apply again",
        );
    }
    for (node, placement) in &awaited {
        machine(node, placement, wish, observed, &mut draft);
    }
    formation(wish, observed, &awaited, &mut draft);
    workloads::annotate(wish, observed, &awaited, &mut draft);
    workloads::install(wish, observed, &awaited, &mut draft);
    removal::of_nodes(wish, observed, &mut draft);
    removal::of_leftovers(wish, observed, &placed, &mut draft);
    draft.finish(Verb::Apply, &wish.cluster.name, observed)
}

/// What this cluster asks of one cloud.
pub(crate) fn need(
    cloud: &dyn Cloud,
    wish: &Wish<'_>,
    observed: &Observed,
    placed: &BTreeMap<String, Placement>,
) -> Need {
    let machines = placed.iter().filter_map(|(node, placement)| match placement {
        Placement::Cloud { place, arch } if place.cloud == cloud.name() => {
            let role = wish.cluster.nodes.get(node)?.role;
            let image = image(wish, place, *arch);
            Some(NeedMachine { node: node.clone(), role, place: place.clone(), image })
        }
        _ => None,
    });
    let machines: Vec<NeedMachine> = machines.collect();
    // The machine API is open to us for as long as one of them has no configuration, and to nobody afterwards.
    let first_contact = machines.iter().any(|machine| observed.awaits_first_contact(wish.cluster, &machine.node));
    let talos_from = if first_contact { observed.operators.clone() } else { Vec::new() };
    Need { cluster: wish.cluster.name.clone(), machines, openness: Openness { talos_from } }
}

fn image(wish: &Wish<'_>, place: &CloudPlace, arch: clouds::Arch) -> Image {
    let schematic = wish.schematics.get(&place.cloud).cloned().unwrap_or_default();
    Image { region: place.region.clone(), arch, schematic, talos: wish.cluster.talos.to_string() }
}

/// The resources that machines of one cloud stand on.
fn ground(
    cloud: &dyn Cloud,
    wish: &Wish<'_>,
    observed: &Observed,
    placed: &BTreeMap<String, Placement>,
    draft: &mut Draft,
) {
    for wanted in cloud.wanted(&need(cloud, wish, observed, placed)) {
        if wanted.is_machine {
            continue;
        }
        let after: Vec<StepId> = wanted.needs.iter().map(maker).collect();
        match found(observed, &wanted) {
            None => drop(draft.add(Step::CreateResource { wanted }, after)),
            Some(found) if !found.ours => foreign(found, draft),
            Some(found) if differs(found, &wanted) => {
                let found = found.clone();
                draft.add(Step::UpdateResource { found, wanted }, after);
            }
            Some(_) => {}
        }
    }
}

pub(crate) fn found<'a>(observed: &'a Observed, wanted: &Wanted) -> Option<&'a Found> {
    let same = |found: &&Found| found.key == wanted.key && found.state != State::Leaving;
    observed.clouds.get(&wanted.key.cloud)?.found.iter().find(same)
}

fn foreign(found: &Found, draft: &mut Draft) {
    draft.block(
        "BQ0410",
        found.key.name.clone(),
        format!("{} exists (id {}) and does not bear this cluster's mark", found.key, found.id),
        "rename or remove it, or give the cluster another name; bouquet never touches what is not its own",
    );
}

/// Whether a setting that both sides know has another value.
fn differs(found: &Found, wanted: &Wanted) -> bool {
    let Some(settings) = wanted.spec.as_object() else { return found.spec != wanted.spec };
    settings.iter().any(|(name, value)| found.spec.get(name).is_some_and(|there| there != value))
}

/// The API name is made before any machine, because nodes remember for half an hour that a name was not there.
fn names(wish: &Wish<'_>, observed: &Observed, draft: &mut Draft) {
    let (Some(name), Some(zone)) = (wish.cluster.api_name(), &observed.zone) else { return };
    if let Some(other) = zone.records.iter().find(|record| record.name == name && record.api_node.is_none()) {
        draft.block(
            "BQ0415",
            name,
            format!("there is a {} record of that name (→ {}) that is not ours", other.kind, other.content),
            "remove the record, or choose another domain",
        );
        return;
    }
    for node in wish.cluster.with_role(Role::ControlPlane) {
        let record = zone.records.iter().find(|record| record.api_node.as_deref() == Some(node));
        let address = observed.device(node).and_then(|device| device.address).map(|address| address.to_string());
        if record.is_some_and(|record| Some(&record.content) == address.as_ref()) {
            continue;
        }
        let name = name.clone();
        let mut after = vec![format!("join/{node}")];
        if record.is_none() && address.is_none() {
            after.push(draft.add(Step::ReserveName { name: name.clone(), node: node.into() }, []));
        }
        let record = record.map(|record| record.id.clone());
        draft.add(Step::PointName { name, node: node.into(), record }, after);
    }
}

/// One node's way from nothing to the mesh.
fn machine(node: &str, placement: &Placement, wish: &Wish<'_>, observed: &Observed, draft: &mut Draft) {
    let join = || Step::JoinMesh { node: node.to_owned() };
    let on_mesh = observed.device(node).is_some_and(|device| device.connected && device.address.is_some());
    if let Some(other) = observed.devices.iter().find(|device| !device.ours && device.name == node) {
        draft.block(
            "BQ0418",
            node,
            format!("another device on the tailnet is called {:?}; the node would become {node}-1", other.name),
            "rename that device in the tailnet's console, or give the node another name",
        );
        return;
    }
    let (place, arch) = match placement {
        Placement::Own(address) => {
            if !on_mesh {
                let introduce = Step::Introduce { node: node.into(), address: Some(*address) };
                let introduced = draft.add(introduce, reserved(wish));
                draft.add(join(), [introduced]);
            }
            return;
        }
        Placement::Cloud { place, arch } => (place, *arch),
    };
    match observed.machine(node) {
        None => launch(node, (place, arch), wish, observed, Vec::new(), draft),
        Some(found) if observed.is_lost(node) => {
            draft.note(node, "its machine never reached the tailnet: it is made anew");
            let deleted = draft.add(Step::DeleteResource { found: found.clone() }, []);
            launch(node, (place, arch), wish, observed, vec![deleted], draft);
        }
        Some(found) => {
            let mut after = Vec::new();
            if found.state == State::Off {
                after.push(draft.add(Step::PowerOn { node: node.into(), found: found.clone() }, []));
            }
            if !on_mesh {
                // What has been on the tailnet has its configuration, and is closed to all but the mesh.
                if observed.device(node).is_none() {
                    after.extend(introduced(node, wish, after.clone(), draft));
                }
                draft.add(join(), after);
            }
        }
    }
}

fn reserved(wish: &Wish<'_>) -> Vec<StepId> {
    wish.cluster.with_role(Role::ControlPlane).map(|node| format!("reserve-name/{node}")).collect()
}

fn introduced(node: &str, wish: &Wish<'_>, after: Vec<StepId>, draft: &mut Draft) -> Option<StepId> {
    let contact = wish.cluster.nodes.get(node)?.first_contact;
    (contact == FirstContact::Maintenance)
        .then(|| draft.add(Step::Introduce { node: node.into(), address: None }, after))
}

/// A new machine, after what must be out of its way.
fn launch(
    node: &str,
    (place, arch): (&CloudPlace, clouds::Arch),
    wish: &Wish<'_>,
    observed: &Observed,
    cleared: Vec<StepId>,
    draft: &mut Draft,
) {
    let image = image(wish, place, arch);
    let Some(cloud) = wish.clouds.iter().find(|cloud| cloud.name() == place.cloud) else { return };
    let Some(spec) = wish.cluster.nodes.get(node) else { return };
    let machine = NeedMachine { node: node.into(), role: spec.role, place: place.clone(), image: image.clone() };
    let need = Need { cluster: wish.cluster.name.clone(), machines: vec![machine], openness: Openness::default() };
    let Some(wanted) = cloud.wanted(&need).into_iter().find(|wanted| wanted.is_machine) else { return };
    if let Some(other) = found(observed, &wanted).filter(|found| !found.ours) {
        return foreign(other, draft);
    }
    let mut after = cleared;
    after.extend(wanted.needs.iter().map(maker));
    after.extend(reserved(wish));
    after.extend(imaged(cloud.as_ref(), place, &image, observed, draft));
    for stale in observed.devices.iter().filter(|device| device.ours && device.hostname == node) {
        after.push(draft.add(Step::DeleteDevice { id: stale.id.clone(), name: stale.name.clone() }, []));
    }
    let step =
        Step::LaunchMachine { node: node.into(), wanted, image, place: place.clone(), contact: spec.first_contact };
    let launched = draft.add(step, after);
    draft.cost(&launched, observed.offer(place).and_then(|offer| offer.price.clone()));
    let mut after = vec![launched];
    after.extend(introduced(node, wish, after.clone(), draft));
    draft.add(Step::JoinMesh { node: node.into() }, after);
}

/// The step that makes the image, if it is not there.
fn imaged(
    cloud: &dyn Cloud,
    place: &CloudPlace,
    image: &Image,
    observed: &Observed,
    draft: &mut Draft,
) -> Option<StepId> {
    let have = observed.clouds.get(&place.cloud).map(|seen| seen.images.as_slice()).unwrap_or_default();
    let mut same = have.iter().filter(|(of, found)| {
        let here = of.region.is_empty() || of.region == image.region;
        let same = of.arch == image.arch && of.schematic == image.schematic && of.talos == image.talos;
        here && same && found.ours && !matches!(found.state, State::Broken(_) | State::Leaving | State::Pending)
    });
    if same.next().is_some() {
        if let Some((_, extra)) = same.next() {
            let text = format!("a second image bears the same marks (id {}); the first is used", extra.id);
            draft.note(extra.key.name.clone(), text);
        }
        return None;
    }
    let mut image = image.clone();
    if !cloud.images_have_regions() {
        image.region.clear();
    }
    Some(draft.add(Step::MakeImage { cloud: cloud.name().into(), image, builder: place.clone() }, []))
}

/// From machines on the mesh to Ready nodes: bootstrap once, then everybody joins.
fn formation(wish: &Wish<'_>, observed: &Observed, placed: &BTreeMap<String, Placement>, draft: &mut Draft) {
    let chosen = match observed.formation() {
        Formation::Formed(_) => None,
        Formation::Unborn => wish.cluster.with_role(Role::ControlPlane).find(|node| placed.contains_key(*node)),
        Formation::Begun(machine) => {
            let of = observed.found().find(|found| found.ours && found.id == machine);
            let node = of.and_then(|found| found.node.as_deref());
            if node.is_none() {
                draft.block(
                    "BQ0412",
                    &wish.cluster.name,
                    format!("the cluster was bootstrapped on machine {machine}, which is gone"),
                    "restore it from a backup, or destroy it and apply again",
                );
                return;
            }
            node
        }
    };
    let mut formed = None;
    if let Some(node) = chosen {
        let after = [format!("join/{node}"), format!("introduce/{node}"), format!("point-name/{node}")];
        formed = Some(draft.add(Step::Bootstrap { node: node.into() }, after));
    }
    let first = chosen.map(|node| format!("ready/{node}"));
    let mut joining: Option<StepId> = first;
    for (node, spec) in wish.cluster.nodes.iter().filter(|(node, _)| placed.contains_key(*node)) {
        // A worker can be Ready and yet have no machine API: nobody could upgrade or reset it.
        let ready = observed.kubernetes.as_ref().and_then(|nodes| nodes.get(node)).is_some_and(|seen| seen.ready)
            && observed.nodes.contains_key(node);
        let mut after = vec![format!("join/{node}"), format!("power-on/{node}")];
        if let Some(configured) = configure(node, spec.role, wish, observed, draft) {
            after.push(configured);
        }
        let waits = draft.has(&format!("join/{node}")) || draft.has(&format!("power-on/{node}"));
        if ready && !waits && after.len() == 2 && formed.is_none() {
            continue;
        }
        after.extend(formed.clone());
        // etcd takes one learner at a time: control planes become ready one after the other.
        if spec.role == Role::ControlPlane && chosen != Some(node.as_str()) {
            after.extend(joining.clone());
            joining = Some(format!("ready/{node}"));
        }
        draft.add(Step::AwaitReady { node: node.clone() }, after);
    }
}

/// Brings a node's configuration to what the file says. Where no DNS serves the endpoint's name, workers are told its
/// addresses: of control planes that come with this plan they can only learn once those have joined.
fn configure(node: &str, role: Role, wish: &Wish<'_>, observed: &Observed, draft: &mut Draft) -> Option<StepId> {
    let mut after = vec![format!("join/{node}"), format!("power-on/{node}")];
    let mut differences = observed.nodes.get(node).map(|seen| seen.differences.clone()).unwrap_or_default();
    if role == Role::Worker && wish.cluster.api_name().is_none() {
        let has_address = |name: &str| observed.device(name).is_some_and(|device| device.address.is_some());
        let all = wish.cluster.with_role(Role::ControlPlane);
        let new = all.filter(|name| {
            draft.has(&format!("launch/{name}")) || draft.has(&format!("join/{name}")) && !has_address(name)
        });
        let joins: Vec<StepId> = new.map(|name| format!("join/{name}")).collect();
        if !joins.is_empty() && differences.is_empty() {
            differences.push("StaticHostConfig".into());
        }
        after.extend(joins);
    }
    (!differences.is_empty()).then(|| draft.add(Step::Configure { node: node.to_owned(), differences }, after))
}

/// Names of all resources that are wanted, machines included.
pub(crate) fn wanted_keys(
    wish: &Wish<'_>,
    observed: &Observed,
    placed: &BTreeMap<String, Placement>,
) -> BTreeSet<clouds::Key> {
    let all = wish.clouds.iter().flat_map(|cloud| cloud.wanted(&need(cloud.as_ref(), wish, observed, placed)));
    all.map(|wanted| wanted.key).collect()
}

/// What the cluster would ask of one cloud, every node at the place that it has or would get.
pub fn need_of(cloud: &dyn Cloud, wish: &Wish<'_>, observed: &Observed) -> Need {
    let placed = places::decide(wish, observed, &mut Draft::new());
    need(cloud, wish, observed, &placed)
}
