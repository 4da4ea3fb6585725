//! The parts of the page, in the order in which somebody who is woken wants them.

use super::words::{self, Tone, listed, since, span, time};
use super::{headline, page};
use crate::status::{NodeStatus, Status, VoiceStatus};
use detect::{Verdict, View};
use jiff::Timestamp;
use maud::{Markup, html};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// From so many nodes on, those that are well are tiles and no longer cards.
const CARDS_MOST: usize = 6;
/// Names that are shown; the JSON has them all.
const NAMES_SHOWN: usize = 10;
/// Decisions that are shown; the JSON has fifty.
const DECISIONS_SHOWN: usize = 8;
/// A vantage that was heard longer ago is told with its silence.
const QUIET_MS: u64 = 10_000;

/// Nodes that the vantages are on.
pub(super) fn places(status: &Status) -> String {
    let nodes: Vec<&str> = status.vantages.iter().map(|vantage| vantage.node.as_str()).collect();
    if nodes.is_empty() { status.vantage.node.clone() } else { listed(&nodes, 5) }
}

pub(super) fn alerts(status: &Status, now: Timestamp) -> Markup {
    let lost = status.kubernetes_lost;
    html! {
        @if !status.alerts.is_empty() || lost.is_some() {
            section class="alerts" {
                h2 { "Needs a person" }
                ul {
                    @for alert in &status.alerts {
                        li { (Tone::Warn.shape()) span { (alert) } }
                    }
                    @if let Some(lost) = lost {
                        li {
                            (Tone::Warn.shape())
                            span { "The Kubernetes API has not answered since " (since(lost, now)) "; probing goes on." }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn nodes(status: &Status, now: Timestamp) -> Markup {
    let mut nodes: Vec<&NodeStatus> = status.nodes.iter().collect();
    nodes.sort_by_key(|node| (Reverse(headline::badness(node)), node.name.as_str(), node.family));
    let many = nodes.len() > CARDS_MOST;
    let (tiles, cards): (Vec<&NodeStatus>, Vec<&NodeStatus>) = nodes.into_iter().partition(|node| many && quiet(node));
    let both = page::both_families(status);
    html! {
        section class="nodes" {
            h2 class="unseen" { "Nodes" }
            @if !cards.is_empty() {
                ul class="cards" { @for node in cards { (card(node, both, now)) } }
            }
            @if !tiles.is_empty() {
                ul class="tiles" { @for node in tiles { (tile(node, both)) } }
            }
        }
    }
}

/// Well, and nothing to say about it.
fn quiet(node: &NodeStatus) -> bool {
    node.verdict == Verdict::Serving
        && node.held.is_none()
        && node.published != Some(false)
        && node.pin.is_none()
        && node.hint.is_none()
}

fn tile(node: &NodeStatus, both: bool) -> Markup {
    let (word, tone) = words::verdict(node.verdict);
    html! {
        li class={ "tile " (tone.class()) } {
            (tone.shape())
            span class="name" { (node.name) (family(node, both)) }
            span class="word" { (word) }
        }
    }
}

fn family(node: &NodeStatus, both: bool) -> Markup {
    html! { @if both { " " span class="family" { (words::family(node.family)) } } }
}

fn card(node: &NodeStatus, both: bool, now: Timestamp) -> Markup {
    let (word, tone) = words::verdict(node.verdict);
    html! {
        li class={ "card " (tone.class()) } {
            div class="head" {
                (tone.shape())
                h3 { (node.name) (family(node, both)) }
                span class="dns" { (in_dns(node)) }
            }
            div class="body" {
                div class="opinion" {
                    p class="verdict" { (word) }
                    p class="why" { (node.reason) }
                    @if let Some(held) = &node.held {
                        p class="held" {
                            b { "Held" }
                            @if let Some(until) = node.held_until { " until " (time(until, now)) }
                            ": " (held)
                        }
                    }
                }
                dl {
                    @if let Some(at) = node.since { div { dt { "Since" } dd { (since(at, now)) } } }
                    div { dt { "Address" } dd class="address" { (node.address) } }
                    div { dt { "Site" } dd { (node.site) } }
                    @if let Some(pin) = node.pin {
                        div { dt { "Pinned" } dd { @if pin.serving { "to be in DNS" } @else { "to be out of DNS" } } }
                    }
                    @if let Some(hint) = node.hint { div { dt { "Cluster says" } dd { (hint) } } }
                }
            }
        }
    }
}

fn in_dns(node: &NodeStatus) -> &'static str {
    match node.published {
        Some(true) => "in DNS",
        Some(false) => "not in DNS",
        None => "DNS not read",
    }
}

/// Who sees what: a row a node, a column a vantage. Where there are many nodes, those on which all agree that they are up share a row.
pub(super) fn matrix(status: &Status) -> Markup {
    let mut vantages: BTreeSet<&str> = status.vantages.iter().map(|vantage| vantage.node.as_str()).collect();
    vantages.extend(status.nodes.iter().flat_map(|node| &node.voices).map(|voice| voice.vantage.as_str()));
    let mut nodes: Vec<&NodeStatus> = status.nodes.iter().collect();
    nodes.sort_by_key(|node| (Reverse(headline::badness(node)), node.name.as_str(), node.family));
    let many = nodes.len() > CARDS_MOST;
    let (agreed, told): (Vec<&NodeStatus>, Vec<&NodeStatus>) =
        nodes.into_iter().partition(|node| many && quiet(node) && node.voices.iter().all(|at| at.view == View::Up));
    let both = page::both_families(status);
    html! {
        section class="seen" {
            h2 { "Who sees what" }
            table {
                thead {
                    tr {
                        th scope="col" { span class="unseen" { "Node" } }
                        @for vantage in &vantages { th scope="col" { (vantage) } }
                    }
                }
                tbody {
                    @for node in told {
                        tr {
                            th scope="row" { (node.name) (family(node, both)) }
                            @for vantage in &vantages { (cell(node.voices.iter().find(|at| at.vantage == **vantage))) }
                        }
                    }
                    @if !agreed.is_empty() {
                        tr {
                            th scope="row" { (agreed.len()) " more" }
                            @for _ in &vantages { td class="good" { (Tone::Good.shape()) " up" } }
                        }
                    }
                }
            }
            (mutes(status))
        }
    }
}

fn cell(voice: Option<&VoiceStatus>) -> Markup {
    let Some(voice) = voice else { return html! { td class="none" { "no word" } } };
    let (word, tone) = words::view(voice.view);
    html! {
        td class={ (tone.class()) @if voice.mute.is_some() { " mute" } } {
            (tone.shape()) " " span { (word) }
            @if voice.mute.is_some() { span class="unseen" { " (does not count)" } }
            @if let Some(cause) = voice.cause.filter(|_| voice.view != View::Up) { small { (cause.words()) } }
        }
    }
}

/// Why the words in brackets do not count.
fn mutes(status: &Status) -> Markup {
    let voices = status.nodes.iter().flat_map(|node| &node.voices);
    let reasons: BTreeSet<&str> = voices.filter_map(|voice| voice.mute).collect();
    html! {
        @if !reasons.is_empty() {
            p class="legend" {
                "Dotted words do not count: "
                @for (index, reason) in reasons.iter().enumerate() { @if index > 0 { "; " } (reason) }
                "."
            }
        }
    }
}

pub(super) fn decisions(status: &Status, now: Timestamp) -> Markup {
    html! {
        section class="decisions" {
            h2 { "Last decisions" }
            @if status.decisions.is_empty() {
                p { "None yet: nothing had to change." }
            } @else {
                ol {
                    @for happening in status.decisions.iter().take(DECISIONS_SHOWN) {
                        @let (word, tone) = words::what(happening.what);
                        li class=(tone.class()) {
                            (tone.shape())
                            div {
                                p { b { (happening.subject) } " " (word) span class="when" { (time(happening.at, now)) } }
                                p class="soft" { (happening.text) }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn names(status: &Status) -> Markup {
    let left_alone = |kind: &str| kind == "left alone";
    let mut names: Vec<_> = status.names.iter().collect();
    names.sort_by_key(|name| (name.kind != "pool", name.reason.is_none(), name.name.as_str()));
    let foreign = names.iter().filter(|name| left_alone(name.kind)).count();
    html! {
        section class="names" {
            h2 { "Published" }
            p class="soft" {
                (names.len() - foreign) @if names.len() - foreign == 1 { " name" } @else { " names" }
                @if foreign > 0 { ", " (foreign) " left alone" }
            }
            ul {
                @for name in names.iter().take(NAMES_SHOWN) {
                    li {
                        p { b { (name.name) } " " span class="soft" { (name.kind) } }
                        @if !name.holds.is_empty() && name.kind != "alias" {
                            p class="address" { (listed(&name.holds.iter().map(String::as_str).collect::<Vec<_>>(), 4)) }
                        }
                        @if let Some(reason) = &name.reason { p class="soft" { (reason) } }
                    }
                }
            }
            @if names.len() > NAMES_SHOWN {
                p class="soft" { (names.len() - NAMES_SHOWN) " more are in " a href="/api/status" { "the JSON" } "." }
            }
        }
    }
}

pub(super) fn machinery(status: &Status, now: Timestamp) -> Markup {
    let provider = &status.provider;
    html! {
        section class="machinery" {
            h2 { "Machinery" }
            dl {
                div {
                    dt { "Writer" }
                    dd {
                        @match (&status.writer, &status.no_writer) {
                            (Some(writer), _) => { (writer) @if *writer == status.vantage.pod { " (this one)" } }
                            (None, Some(why)) => { b { "nobody: " } (why) }
                            (None, None) => "nobody",
                        }
                    }
                }
                div {
                    dt { "DNS" }
                    dd {
                        (provider.kind) ", "
                        @match provider.read {
                            Some(read) => { "read " (span(now.duration_since(read).as_secs())) " ago" }
                            None => "not read yet",
                        }
                        ", " (provider.records) " records"
                        @if let Some(trouble) = &provider.trouble { p class="trouble" { (Tone::Warn.shape()) " " (trouble) } }
                    }
                }
                div {
                    dt { "Kubernetes" }
                    dd {
                        @match status.kubernetes_lost {
                            Some(lost) => { b { "lost " } "since " (since(lost, now)) }
                            None => "answers",
                        }
                    }
                }
                div { dt { "Vantages" } dd { (vantages(status)) } }
                div { dt { "Profile" } dd { (status.profile) ", version " (status.version) } }
            }
        }
    }
}

fn vantages(status: &Status) -> Markup {
    let by_node: BTreeMap<&str, _> = status.vantages.iter().map(|vantage| (vantage.node.as_str(), vantage)).collect();
    html! {
        ul {
            @for (node, vantage) in by_node {
                li {
                    b { (node) }
                    @if vantage.site != node { " at " (vantage.site) }
                    @if vantage.pod == status.vantage.pod { ", this one" }
                    @if !vantage.trusted { ", " em { "does not trust itself" } }
                    @match vantage.heard_ms_ago {
                        None => { ", " em { "never heard" } }
                        Some(ms) if ms > QUIET_MS => {
                            ", " em { "silent for " (span(i64::try_from(ms / 1_000).unwrap_or(i64::MAX))) }
                        }
                        Some(_) => {}
                    }
                }
            }
        }
    }
}
