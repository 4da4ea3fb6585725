use crate::backup::{self, BackupWish};
use crate::cluster::{
    Certificates, Cluster, Dns, FirstContact, Ingress, Network, Node as ClusterNode, Role, Storage, Version,
};
use crate::code;
use crate::fault::{Faults, help};
use crate::fields::{At, Fields, Part, part, text};
use crate::fleet::check_fleet;
use crate::names;
use crate::network::read_network;
use crate::nodes::{NodeDraft, read_first_contact, read_nodes};
use crate::options::{Acme, Extra, Mesh, Watcher};
use crate::patches::read_patches;
use crate::services::{self, IngressWish};
use crate::tree::{Node, Value};
use crate::versions::{DEFAULT_KUBERNETES, DEFAULT_TALOS, check_pair, read_version};
use std::collections::BTreeMap;

/// Keys of the cluster file.
pub(crate) const CLUSTER_KEYS: &[&str] = &[
    "cluster",
    "domain",
    "talos",
    "kubernetes",
    "nodes",
    "network",
    "mesh",
    "dns",
    "storage",
    "ingress",
    "certificates",
    "backup",
    "watcher",
    "first-contact",
    "patches",
    "extra",
];

/// Reads the whole file. `None` if a part was unreadable; its fault says so, and hides no other.
pub(crate) fn read(root: &Node, faults: &mut Faults) -> Option<Cluster> {
    let start = root.span.start..root.span.start;
    if matches!(root.value, Value::Null) {
        faults.error(code::MISSING_KEY, &start, "the file is empty", help("`bouquet init` writes one"));
        return None;
    }
    let fields = Fields::read(root, "the cluster file", &start, CLUSTER_KEYS, faults)?;
    let what = What::read(&fields, faults);
    let around = Around::read(&fields, &what, faults);
    around.settle(what)
}

/// The machines and what they run. A `None` is a part that was unreadable.
struct What {
    name: Option<String>,
    talos: Option<Version>,
    kubernetes: Option<Version>,
    nodes: Option<Vec<NodeDraft>>,
    network: Option<Network>,
    first_contact: Part<FirstContact>,
    patches: Vec<String>,
}

impl What {
    fn read(fields: &Fields<'_>, faults: &mut Faults) -> What {
        let name = fields.require("cluster", "bouquet", faults).and_then(|node| read_name(node, faults));
        let (talos, kubernetes) = read_versions(fields, faults);
        fields.require("nodes", "{ rose: { role: control-plane, on: hetzner/hel1/cax11 } }", faults);
        let nodes = fields.entry("nodes").and_then(|entry| {
            let nodes = read_nodes(entry, faults)?;
            check_fleet(&nodes, &entry.key_span, name.as_deref(), faults);
            Some(nodes)
        });
        let count = nodes.as_ref().map_or(0, Vec::len);
        What {
            name,
            talos,
            kubernetes,
            nodes,
            network: read_network(fields.entry("network"), count, faults),
            first_contact: part(fields.get("first-contact"), |node| Some(read_first_contact(node, faults)?.value)),
            patches: fields.get("patches").map(|node| read_patches(node, "the cluster", faults)).unwrap_or_default(),
        }
    }
}

/// What serves and surrounds them. A `None` is a part that was unreadable.
struct Around {
    domain: Part<String>,
    dns: Part<Dns>,
    mesh: Option<Mesh>,
    storage: Part<Storage>,
    ingress: Option<IngressWish>,
    certificates: Option<(Certificates, Acme)>,
    backup: Part<BackupWish>,
    watcher: Option<Watcher>,
    extra: Option<Extra>,
}

impl Around {
    fn read(fields: &Fields<'_>, what: &What, faults: &mut Faults) -> Around {
        services::check_domain_and_dns(fields.entry("domain"), fields.entry("dns"), faults);
        let has_dns = fields.entry("dns").is_some();
        let names: Vec<&str> = what.nodes.iter().flatten().map(|node| node.name.value.as_str()).collect();
        let backup = fields.entry("backup").map_or(Ok(None), |entry| backup::read_backup(entry, faults));
        if let (Ok(Some(wish)), Some(nodes)) = (&backup, &what.nodes) {
            let places = nodes.iter().filter_map(|node| Some((node.name.value.as_str(), node.places.as_deref()?)));
            backup::check_distance(wish, places, faults);
        }
        Around {
            domain: part(fields.get("domain"), |node| read_domain(node, faults)),
            dns: part(fields.entry("dns"), |entry| services::read_dns(entry, faults)),
            mesh: or_default(fields.entry("mesh"), |entry| services::read_mesh(entry, faults)),
            storage: match fields.get("storage") {
                Some(node) => services::read_storage(node, faults),
                None => Ok(Some(Storage::OpenEbs)),
            },
            ingress: match fields.entry("ingress") {
                Some(entry) => services::read_ingress(entry, &names, faults),
                None => Some(IngressWish::Anywhere),
            },
            certificates: match fields.entry("certificates") {
                Some(entry) => services::read_certificates(entry, has_dns, faults),
                None if has_dns => Some((Certificates::LetsEncrypt, Acme::default())),
                None => Some((Certificates::None, Acme::default())),
            },
            backup,
            watcher: or_default(fields.entry("watcher"), |entry| services::read_watcher(entry, faults)),
            extra: or_default(fields.entry("extra"), |entry| services::read_extra(entry, faults)),
        }
    }

    fn settle(self, what: What) -> Option<Cluster> {
        let cluster_wide = what.first_contact.ok()?;
        let nodes: BTreeMap<_, _> =
            what.nodes?.into_iter().map(|node| node.settle(cluster_wide)).collect::<Option<_>>()?;
        let (certificates, acme) = self.certificates?;
        Some(Cluster {
            name: what.name?,
            domain: self.domain.ok()?,
            talos: what.talos?,
            kubernetes: what.kubernetes?,
            network: what.network?,
            dns: self.dns.ok()?,
            storage: self.storage.ok()?,
            ingress: settle_ingress(self.ingress?, &nodes),
            certificates,
            backup: self.backup.ok()?.map(|wish| wish.backup),
            patches: what.patches,
            mesh: self.mesh?,
            acme,
            watcher: self.watcher?,
            extra: self.extra?,
            nodes,
        })
    }
}

fn settle_ingress(wish: IngressWish, nodes: &BTreeMap<String, ClusterNode>) -> Option<Ingress> {
    let nodes = match wish {
        IngressWish::None => return None,
        IngressWish::On(nodes) => nodes,
        IngressWish::Anywhere => {
            let workers = nodes.iter().filter(|(_, node)| node.role == Role::Worker);
            let workers: Vec<String> = workers.map(|(name, _)| name.clone()).collect();
            if workers.is_empty() { nodes.keys().cloned().collect() } else { workers }
        }
    };
    Some(Ingress { nodes })
}

fn or_default<N, T: Default>(written: Option<N>, read: impl FnOnce(N) -> Option<T>) -> Option<T> {
    part(written, read).ok().map(Option::unwrap_or_default)
}

fn read_name(node: &Node, faults: &mut Faults) -> Option<String> {
    let name = text(node, "`cluster`", faults)?;
    names::check_label(&name, "the cluster", faults).then(|| name.value.to_owned())
}

fn read_domain(node: &Node, faults: &mut Faults) -> Option<String> {
    let domain = text(node, "`domain`", faults)?;
    names::check_domain(&domain, faults).then(|| domain.value.to_owned())
}

fn read_versions(fields: &Fields<'_>, faults: &mut Faults) -> (Option<Version>, Option<Version>) {
    let talos = part(fields.get("talos"), |node| read_version(node, "Talos", DEFAULT_TALOS, faults));
    let kubernetes =
        part(fields.get("kubernetes"), |node| read_version(node, "Kubernetes", DEFAULT_KUBERNETES, faults));
    if let (Ok(talos), Ok(kubernetes)) = (&talos, &kubernetes) {
        check_pair(talos.as_ref(), kubernetes.as_ref(), faults);
    }
    let or = |read: Part<At<Version>>, default| read.ok().map(|at| at.map_or(default, |at| at.value));
    (or(talos, DEFAULT_TALOS), or(kubernetes, DEFAULT_KUBERNETES))
}
