//! What runs in the cluster: which add-ons are installed, changed, waited for or removed, and what nodes are told of.

use crate::draft::Draft;
use crate::make::Wish;
use crate::observed::{AddonSeen, Formation, KubeNode, Observed};
use crate::places::Placement;
use crate::steps::{Step, StepId};
use addons::{TOKEN_VARIABLE, TRAEFIK, WATCHER};
use spec::Role;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is wrong if the watcher has no token: where it comes from, and what it must allow.
const TOKEN_HELP: &str = "make a second Cloudflare API token with the permissions Zone:Read and DNS:Edit on the domain's \
                          zone alone, and set BOUQUET_WATCHER_DNS_TOKEN to it: docs/accounts.md#the-watchers-token";

/// Whether anything can be said of what runs in the cluster: its API answers, or there will be one.
fn is_near(observed: &Observed) -> bool {
    observed.kubernetes.is_some() || !matches!(observed.formation(), Formation::Formed(_))
}

/// Tells Kubernetes where its nodes are reached from outside, and which of them serve.
pub(crate) fn annotate(wish: &Wish<'_>, observed: &Observed, placed: &BTreeMap<String, Placement>, draft: &mut Draft) {
    let Some(ingress) = wish.cluster.ingress.as_ref().filter(|_| is_near(observed)) else { return };
    for (node, placement) in placed {
        let serves = ingress.nodes.contains(node);
        let address = address(node, placement, observed);
        let seen = observed.kubernetes.as_ref().and_then(|nodes| nodes.get(node));
        let renewed = draft.has(&format!("launch/{node}"));
        if !renewed && seen.is_some_and(|seen| is_told(seen, address, serves)) {
            continue;
        }
        let address = address.filter(|_| !renewed);
        let step = Step::AnnotateNode { node: node.clone(), address, ingress: serves };
        draft.add(step, [format!("ready/{node}")]);
    }
}

fn is_told(seen: &KubeNode, address: Option<IpAddr>, serves: bool) -> bool {
    let told = address.is_none_or(|address| seen.public_address.as_ref() == Some(&address.to_string()));
    told && seen.is_ingress == serves
}

/// The address that clients reach the node by, as far as it is known yet.
fn address(node: &str, placement: &Placement, observed: &Observed) -> Option<IpAddr> {
    match placement {
        Placement::Own(address) => Some(*address),
        Placement::Cloud { .. } => observed.machine(node)?.addresses.iter().find(|address| address.is_ipv4()).copied(),
    }
}

/// Every add-on of the file, and those that it no longer names.
pub(crate) fn install(wish: &Wish<'_>, observed: &Observed, placed: &BTreeMap<String, Placement>, draft: &mut Draft) {
    let wanted = wish.addons(observed);
    for name in observed.addons.keys().filter(|name| wanted.iter().all(|addon| addon.name != *name)) {
        draft.add(Step::RemoveAddon { name: name.clone() }, []);
    }
    if placed.is_empty() || !is_near(observed) {
        return;
    }
    let ready: Vec<StepId> = placed.keys().map(|node| format!("ready/{node}")).collect();
    let told: Vec<StepId> = placed.keys().map(|node| format!("annotate/{node}")).collect();
    for addon in &wanted {
        let seen = observed.addons.get(addon.name);
        if addon.name == WATCHER && addons::lacks_credential(wish.cluster, wish.watcher) {
            let by = format!("{TOKEN_VARIABLE} is not set, and the watcher is never given your own token");
            draft.block("BQ0421", WATCHER, by, TOKEN_HELP);
            continue;
        }
        if let Some(conflict) = seen.and_then(|seen| seen.conflicts.first()).filter(|_| !wish.adopt) {
            let help = "leave the field to bouquet, or take it: `bouquet apply --adopt`";
            draft.block("BQ0422", addon.name, conflict.clone(), help);
            continue;
        }
        // Others follow while nodes are still on their way: images are pulled meanwhile.
        let mut after: Vec<StepId> =
            wish.cluster.with_role(Role::ControlPlane).map(|node| format!("ready/{node}")).collect();
        if addon.name == WATCHER {
            // It would not know whom to ask.
            after.extend(told.clone());
            after.push(format!("install/{TRAEFIK}"));
        }
        let installed = installs(seen).map(|changes| {
            let step = Step::InstallAddon { name: addon.name.to_owned(), changes, adopt: wish.adopt };
            draft.add(step, after)
        });
        let is_ready = seen.is_some_and(|seen| seen.trouble.is_empty());
        let moves = ready.iter().chain(&told).any(|id| draft.has(id));
        if installed.is_some() || !is_ready || moves {
            let after = installed.into_iter().chain(ready.clone()).chain(told.clone());
            draft.add(Step::AwaitAddon { name: addon.name.to_owned() }, after);
        }
    }
}

/// What installing would change; `None` if nothing.
fn installs(seen: Option<&AddonSeen>) -> Option<Vec<String>> {
    let Some(seen) = seen else { return Some(Vec::new()) };
    let mut changes = seen.differences.clone();
    changes.extend(seen.conflicts.iter().cloned());
    if changes.is_empty() && !seen.is_whole {
        changes.push("finish what was begun".to_owned());
    }
    (!changes.is_empty()).then_some(changes)
}
