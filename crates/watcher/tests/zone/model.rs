//! A zone in memory that takes changes as a provider does, and zones to begin with.

use super::*;
use std::net::IpAddr;

pub const NOW_MS: u64 = 1_000_000;

/// A zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub entries: Vec<Entry>,
    pub made: usize,
}

pub fn address(at: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, at + 1])
}

fn address_v6(at: u8) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(at) + 1])
}

pub fn entry(id: &str, name: &str, data: Data, mark: Option<&str>) -> Entry {
    let name = if name.is_empty() { "example.com".to_owned() } else { format!("{name}.example.com") };
    Entry { id: id.to_owned(), name, data, ttl_s: 60, proxied: false, mark: mark.map(str::to_owned) }
}

pub fn host() -> Host {
    Host::default()
}

/// Of a provider that knows nothing special.
pub fn wish(hosts: &[&str]) -> Wish {
    Wish {
        cluster: "blumen".into(),
        zone: "example.com".into(),
        pool: "lb.example.com".into(),
        publish: Publish::Pool,
        ttl_s: 60,
        proxied: false,
        hosts: hosts.iter().map(|name| (format!("{name}.example.com"), host())).collect(),
        are_all: true,
        former: BTreeSet::new(),
        keeper: Keeper { alias_at_apex: false, alias_beside: false, proxies: false, fenced: false, records_most: None },
    }
}

/// So many nodes that are ordered to serve.
pub fn nodes(count: u8) -> BTreeMap<String, Node> {
    let node = |at| Node {
        addresses: [(Family::V4, address(at))].into(),
        hint: None,
        pin: Some(Pin { serving: true, until_ms: None }),
    };
    (0..count).map(|at| (format!("n{at}"), node(at))).collect()
}

impl Model {
    /// Makes a change as one transaction: deletes, replacements, new ones.
    pub fn apply(&mut self, change: &Change) -> Result<(), String> {
        let mut next = self.clone();
        for entry in &change.delete {
            next.entries.remove(next.position(entry)?);
        }
        for (entry, draft) in &change.replace {
            let at = next.position(entry)?;
            next.entries.remove(at);
            next.insert(&entry.id, draft)?;
        }
        for draft in &change.create {
            next.made += 1;
            next.insert(&format!("made {}", next.made), draft)?;
        }
        *self = next;
        Ok(())
    }

    fn position(&self, entry: &Entry) -> Result<usize, String> {
        self.entries.iter().position(|other| other == entry).ok_or_else(|| format!("there is no {entry:?}"))
    }

    fn insert(&mut self, id: &str, draft: &Draft) -> Result<(), String> {
        let Draft { name, data, ttl_s, proxied, mark } = draft.clone();
        self.add(Entry { id: id.to_owned(), name, data, ttl_s, proxied, mark: Some(mark) })
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        let names = |data: &Data| matches!(data, Data::Address(_) | Data::Alias(_));
        let clash = self.entries.iter().filter(|other| other.name == entry.name).find(|other| {
            let alias = matches!(other.data, Data::Alias(_)) || matches!(entry.data, Data::Alias(_));
            other.data == entry.data || alias && names(&other.data) && names(&entry.data)
        });
        if let Some(clash) = clash {
            return Err(format!("{entry:?} beside {clash:?}"));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// Records that do not bear a mark of the watcher's.
    pub fn foreign(&self, wish: &Wish) -> Vec<Entry> {
        let is_ours = |mark: &str| {
            mark.strip_prefix(&format!("bouquet/{}/", wish.cluster)).is_some_and(|rest| !rest.starts_with("api/"))
        };
        self.entries.iter().filter(|entry| !entry.mark.as_deref().is_some_and(is_ours)).cloned().collect()
    }

    /// Whether some addresses of a name are proxied and others not.
    pub fn is_mixed(&self, name: &str) -> bool {
        let here = self.entries.iter().filter(|entry| entry.name == name && matches!(entry.data, Data::Address(_)));
        here.map(|entry| entry.proxied).collect::<BTreeSet<_>>().len() > 1
    }

    /// The same with some records missing, drawn by `seed`.
    pub fn without(&self, seed: u64) -> Model {
        let kept = self.entries.iter().enumerate().filter(|(at, _)| seed >> (at % 64) & 1 == 1);
        Model { entries: kept.map(|(_, entry)| entry.clone()).collect(), ..self.clone() }
    }

    pub fn shown(&self) -> Vec<String> {
        let shown = self.entries.iter().map(|entry| {
            let (kind, content) = (entry.data.kind(), entry.data.content());
            format!("{} {kind} {content} {} {}", entry.name, entry.ttl_s, entry.mark.as_deref().unwrap_or("-"))
        });
        let mut shown: Vec<String> = shown.collect();
        shown.sort();
        shown
    }
}

/// Names at which a plan makes something.
pub fn created(plan: &Plan) -> BTreeSet<String> {
    let created = plan.batches.iter().flat_map(|batch| &batch.change.create);
    created.map(|draft| draft.name.clone()).collect()
}

const NAMES: [&str; 8] = ["lb", "web", "shop", "*.apps", "", "lb2", "old", "gone"];

fn data() -> impl Strategy<Value = (Data, Option<String>)> {
    let target = prop_oneof![Just("lb.example.com"), Just("lb2.example.com"), Just("old.example.com")];
    prop_oneof![
        // Ours: mostly true, sometimes another's address.
        8 => (0..4u8, any::<bool>()).prop_map(|(at, v6)| {
            let data = Data::Address(if v6 { address_v6(at) } else { address(at) });
            (data, Some(format!("bouquet/blumen/n{at}")))
        }),
        1 => (0..4u8, 0..6u8).prop_map(|(at, node)| (Data::Address(address(at)), Some(format!("bouquet/blumen/n{node}")))),
        3 => target.prop_map(|target| (Data::Alias(target.into()), Some("bouquet/blumen/host/alias".to_owned()))),
        1 => (6..9u8).prop_map(|at| (Data::Address(address(at)), None)),
        1 => Just((Data::Address(address(9)), Some("bouquet/other/n0".to_owned()))),
        1 => Just((Data::Address(address(10)), Some("bouquet/blumen/api/n0".to_owned()))),
        1 => Just((Data::Alias("elsewhere.example.org".into()), None)),
        1 => Just((Data::Text("heritage=external-dns,external-dns/owner=x".into()), None)),
        1 => Just((Data::Text("v=spf1 -all".into()), None)),
    ]
}

fn models() -> impl Strategy<Value = Model> {
    let draws = prop::collection::vec((0..NAMES.len(), data(), any::<bool>(), any::<bool>()), 0..24);
    (draws, any::<bool>()).prop_map(|(draws, proxies)| {
        let mut model = Model::default();
        for (at, (name, (data, mark), proxied, odd)) in draws.into_iter().enumerate() {
            let mut entry = entry(&at.to_string(), NAMES[name], data, mark.as_deref());
            entry.proxied = proxied && proxies;
            entry.ttl_s = if odd { 120 } else { 60 };
            // Nobody makes an alias of ours lead to another.
            let is_target = ["lb", "lb2", "old"].contains(&NAMES[name]);
            if is_target && entry.mark.as_deref() == Some("bouquet/blumen/host/alias") {
                continue;
            }
            // What a provider would refuse is not in a zone.
            let _refused = model.add(entry);
        }
        model
    })
}

fn node(at: u8) -> impl Strategy<Value = Node> {
    let pin = prop_oneof![4 => Just(Some(true)), 3 => Just(Some(false)), 1 => Just(None)];
    (pin, any::<bool>(), prop::bool::weighted(0.1)).prop_map(move |(pin, dual, shared)| {
        let v4 = (Family::V4, address(if shared { 0 } else { at }));
        let v6 = dual.then(|| (Family::V6, address_v6(at)));
        let pin = pin.map(|serving| Pin { serving, until_ms: None });
        Node { addresses: [Some(v4), v6].into_iter().flatten().collect(), hint: None, pin }
    })
}

fn wishes() -> impl Strategy<Value = Wish> {
    let host = (prop::option::weighted(0.2, Just(300)), prop::option::weighted(0.3, any::<bool>()), 0..8u8);
    let host = host.prop_map(|(ttl_s, proxied, pool)| Host {
        ttl_s,
        proxied,
        pool: (pool == 0).then(|| "lb2.example.com".to_owned()),
        sources: Vec::new(),
    });
    let hosts = prop::collection::btree_map(1..7usize, host, 0..5);
    let keeper = (any::<[bool; 3]>(), prop::option::weighted(0.3, 2..30usize));
    (hosts, any::<bool>(), any::<bool>(), keeper, prop::collection::btree_set((0..4u8, 0..4u8), 0..3)).prop_map(
        |(hosts, pool, proxied, ([alias_at_apex, alias_beside, proxies], records_most), former)| {
            let full = |at: usize| entry("", NAMES[at], Data::Text(String::new()), None).name;
            Wish {
                publish: if pool { Publish::Pool } else { Publish::Hosts },
                proxied,
                hosts: hosts.into_iter().map(|(at, host)| (full(at), host)).collect(),
                are_all: true,
                former: former.into_iter().map(|(node, at)| (format!("n{node}"), address(at))).collect(),
                keeper: Keeper { alias_at_apex, alias_beside, proxies, fenced: false, records_most },
                ..wish(&[])
            }
        },
    )
}

/// A zone, what should be in it, and the nodes.
pub fn worlds() -> impl Strategy<Value = (Model, Wish, BTreeMap<String, Node>)> {
    let nodes = (node(0), node(1), node(2), node(3), 1..5usize).prop_map(|(a, b, c, d, count)| {
        let all = [a, b, c, d].into_iter().enumerate().take(count);
        all.map(|(at, node)| (format!("n{at}"), node)).collect()
    });
    (models(), wishes(), nodes)
}
