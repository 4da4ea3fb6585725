//! Statuses as a watcher would have them.

use detect::{Cause, Family, Verdict, View};
use jiff::{SignedDuration, Timestamp};
use std::net::{IpAddr, Ipv4Addr};
use watcher::status::{Happening, NameStatus, NodeStatus, ProviderStatus, Status, VantageStatus, VoiceStatus, What};

/// Saturday, 21 November 2026, 14:03:20.
pub const NOW: Timestamp = Timestamp::constant(1_795_269_800, 0);

pub fn ago(seconds: i64) -> Timestamp {
    NOW - SignedDuration::from_secs(seconds)
}

/// Three nodes of three clouds, all well.
pub fn three() -> Status {
    let names = ["lily", "rose", "tulip"];
    let nodes = names.iter().zip(0..).map(|(name, number)| node(name, number, &names)).collect();
    status("garden", &names, nodes)
}

/// The same, with tulip gone and withdrawn.
pub fn three_without_tulip() -> Status {
    let mut status = three();
    fell(&mut status.nodes[2], Cause::Silent, false);
    status.vantages[2].heard_ms_ago = Some(243_000);
    status.names[0].holds.pop();
    status.decisions.insert(0, happened(240, What::Withdrawn, "tulip", "no answer, seen by lily and rose"));
    status
}

/// Twenty nodes, watched from three; one is down, one is held by a rule.
pub fn twenty() -> Status {
    let flowers = "acacia begonia camellia dahlia erica freesia gentian hyacinth iris jasmine kalmia lily magnolia narcissus orchid peony \
                   quince rose salvia tulip";
    let names: Vec<&str> = flowers.split_whitespace().collect();
    let vantages = ["acacia", "lily", "rose"];
    let nodes = names.iter().zip(0..).map(|(name, number)| node(name, number, &vantages)).collect();
    let mut status = status("meadow", &vantages, nodes);
    fell(&mut status.nodes[13], Cause::Refused, false);
    let held = &mut status.nodes[4];
    fell(held, Cause::NoRoute, true);
    held.verdict = Verdict::Unstable;
    held.voices.iter_mut().for_each(|voice| voice.view = View::Unstable);
    held.reason = "fails again and again: the ingress controller has no routes".into();
    held.held = Some("too many withdrawals in a short time".into());
    held.held_until = Some(NOW + SignedDuration::from_secs(160));
    status.alerts = vec!["erica stays in DNS though it is unstable: too many withdrawals in a short time".into()];
    status.decisions = vec![
        happened(95, What::Held, "erica", "unstable, but too many withdrawals in a short time"),
        happened(130, What::Withdrawn, "narcissus", "connection refused, seen by acacia, lily and rose"),
        happened(4_000, What::Names, "shop.meadow.example", "a route was added"),
        happened(90_000, What::Restored, "peony", "answers again, and has held still for a minute"),
    ];
    status.names.extend((0..9).map(|number| NameStatus {
        name: format!("app{number}.meadow.example"),
        kind: "alias",
        holds: vec!["lb.meadow.example".into()],
        reason: None,
    }));
    status
}

/// Nothing is well: blind, no writer, no provider, no Kubernetes, dry run; two families.
pub fn blind() -> Status {
    let mut status = three();
    for node in &mut status.nodes {
        node.verdict = Verdict::Unknown;
        node.published = None;
        node.reason = "fewer than two independent vantages have a fresh voice".into();
        node.voices.truncate(1);
    }
    let mut sixth = status.nodes[0].clone();
    sixth.family = Family::V6;
    sixth.address = "2001:db8::17".parse().unwrap();
    status.nodes.insert(1, sixth);
    status.dry_run = true;
    status.vantage.trusted = false;
    status.vantages.truncate(1);
    status.vantages[0].trusted = false;
    status.writer = None;
    status.no_writer = Some("no majority of the vantages can be heard".into());
    status.kubernetes_lost = Some(ago(75));
    status.provider.read = None;
    status.provider.trouble = Some("the token may not read this zone".into());
    status.alerts = vec!["The zone cannot be read: the token may not read this zone.".into()];
    status.decisions.clear();
    status
}

/// Names as long as Kubernetes allows, without a place to break.
pub fn long() -> Status {
    let mut status = three_without_tulip();
    let (label, name) = ("n".repeat(63), format!("{}.example", ["h"; 3].map(|letter| letter.repeat(63)).join(".")));
    for node in &mut status.nodes {
        node.name.clone_from(&label);
        node.address = "2001:db8:1234:5678:9abc:def0:1234:5678".parse().unwrap();
        node.family = Family::V6;
        node.voices.iter_mut().for_each(|voice| voice.vantage.push_str(&label));
    }
    status.vantages.iter_mut().for_each(|vantage| vantage.node.push_str(&label));
    status.names.iter_mut().for_each(|entry| entry.name.clone_from(&name));
    status.alerts.push(name.clone());
    status.decisions[0].subject = name;
    status.writer = Some(label);
    status
}

pub fn happened(seconds_ago: i64, what: What, subject: &str, text: &str) -> Happening {
    Happening { at: ago(seconds_ago), what, subject: subject.into(), text: text.into(), rule: None }
}

fn status(cluster: &str, vantages: &[&str], nodes: Vec<NodeStatus>) -> Status {
    let vantages: Vec<VantageStatus> = vantages.iter().map(|name| vantage(name)).collect();
    let holds = nodes.iter().take(4).map(|node| node.address.to_string()).collect();
    let name = |name: &str, kind, holds, reason: Option<&str>| NameStatus {
        name: format!("{name}.{cluster}.example"),
        kind,
        holds,
        reason: reason.map(Into::into),
    };
    let pool = vec![format!("lb.{cluster}.example")];
    Status {
        cluster: cluster.into(),
        version: "0.1.0",
        at: NOW,
        vantage: vantages[0].clone(),
        writer: Some(vantages[1].pod.clone()),
        vantages,
        profile: "default",
        dry_run: false,
        no_writer: None,
        nodes,
        names: vec![
            name("lb", "pool", holds, None),
            name("blog", "alias", pool.clone(), None),
            name("shop", "alias", pool, None),
            name("mail", "left alone", vec!["192.0.2.25".into()], Some("somebody else owns the name")),
        ],
        alerts: Vec::new(),
        decisions: vec![happened(86_000, What::Restored, "lily", "answers again, and has held still for a minute")],
        provider: ProviderStatus { kind: "cloudflare", read: Some(ago(2)), trouble: None, calls: 14, records: 31 },
        kubernetes_lost: None,
    }
}

fn vantage(node: &str) -> VantageStatus {
    let pod = format!("bouquet-watcher-{node}");
    VantageStatus { pod, node: node.into(), site: site(node).into(), trusted: true, heard_ms_ago: Some(0) }
}

fn site(node: &str) -> &'static str {
    match node.len() % 3 {
        0 => "hetzner/fsn1",
        1 => "oci/eu-frankfurt-1",
        _ => "home",
    }
}

fn node(name: &str, number: u8, vantages: &[&str]) -> NodeStatus {
    let voices = vantages.iter().map(|vantage| VoiceStatus {
        vantage: (*vantage).into(),
        site: site(vantage).into(),
        view: View::Up,
        cause: None,
        mute: (*vantage == name).then_some("a vantage proves nothing about its own node or site"),
        probed_ms_ago: 1_200,
    });
    NodeStatus {
        name: name.into(),
        site: site(name).into(),
        family: Family::V4,
        address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10 + number)),
        verdict: Verdict::Serving,
        since: Some(ago(86_000 * i64::from(number + 1))),
        published: Some(true),
        held: None,
        held_until: None,
        reason: format!("answers {}", if vantages.contains(&name) { "two vantages" } else { "all vantages" }),
        pin: None,
        hint: None,
        voices: voices.collect(),
    }
}

fn fell(node: &mut NodeStatus, cause: Cause, published: bool) {
    node.verdict = Verdict::Down;
    node.since = Some(ago(241));
    node.published = Some(published);
    node.reason = format!("{}, seen by all other vantages", cause.words());
    for voice in &mut node.voices {
        voice.view = View::Down;
        voice.cause = Some(cause);
        voice.mute = None;
    }
    // Its own vantage went with it.
    let name = node.name.clone();
    node.voices.retain(|voice| voice.vantage != name);
}
