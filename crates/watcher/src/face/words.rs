//! Words and shapes for what the status holds: a verdict is told by both, and colour only says it again.

use crate::status::What;
use detect::{Cause, Family, Rule, Verdict, View};
use jiff::Timestamp;
use maud::{Markup, html};

/// How something stands: the class of its colour, and its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    /// A square with a cross.
    Bad,
    /// A triangle.
    Warn,
    /// A broken circle.
    Dim,
    /// A disc with a tick.
    Good,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Dim => "dim",
            Tone::Good => "good",
        }
    }

    /// A shape that nobody needs to see: the word stands beside it.
    pub fn shape(self) -> Markup {
        html! {
            svg class="shape" viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
                @match self {
                    Tone::Good => {
                        circle class="fill" cx="12" cy="12" r="11" {}
                        path class="mark" d="M6.5 12.5l3.8 3.8 7.2-8" {}
                    }
                    Tone::Warn => {
                        path class="fill" d="M12 1.5L23.2 22H.8z" {}
                        path class="mark" d="M12 9v6M12 18v.6" {}
                    }
                    Tone::Bad => {
                        rect class="fill" x="1.5" y="1.5" width="21" height="21" rx="3" {}
                        path class="mark" d="M7.5 7.5l9 9m0-9l-9 9" {}
                    }
                    Tone::Dim => {
                        circle class="ring" cx="12" cy="12" r="9.5" {}
                        path class="line" d="M7.5 12h9" {}
                    }
                }
            }
        }
    }
}

pub(super) fn verdict(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Serving => ("serving", Tone::Good),
        Verdict::Unstable => ("unstable", Tone::Warn),
        Verdict::Down => ("down", Tone::Bad),
        Verdict::Unknown => ("unknown", Tone::Dim),
    }
}

pub(super) fn view(view: View) -> (&'static str, Tone) {
    match view {
        View::Up => ("up", Tone::Good),
        View::Unstable => ("unstable", Tone::Warn),
        View::Down => ("down", Tone::Bad),
        View::Unknown => ("no view", Tone::Dim),
    }
}

pub(super) fn what(what: What) -> (&'static str, Tone) {
    match what {
        What::Withdrawn => ("withdrawn", Tone::Bad),
        What::Restored => ("restored", Tone::Good),
        What::Held => ("held", Tone::Warn),
        What::Names => ("names", Tone::Dim),
        What::Alert => ("alert", Tone::Warn),
        What::Relief => ("relief", Tone::Good),
    }
}

pub(super) fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// A label's value: of a probe's end.
pub(super) fn outcome(cause: Option<Cause>) -> &'static str {
    match cause {
        None => "pass",
        Some(Cause::Silent) => "silent",
        Some(Cause::Refused) => "refused",
        Some(Cause::Certificate) => "certificate",
        Some(Cause::NoRoute) => "no_route",
        Some(Cause::Behind) => "behind",
        Some(Cause::Wrong) => "wrong",
    }
}

/// A label's value: of the rule that held a decision.
pub(super) fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::LastRecords => "last_records",
        Rule::Panic => "panic",
        Rule::Rate => "rate",
        Rule::Distrust => "distrust",
        Rule::Independence => "independence",
        Rule::Quorum => "quorum",
        Rule::Correlated => "correlated",
        Rule::FreshZone => "fresh_zone",
        Rule::Ownership => "ownership",
        Rule::Budget => "budget",
        Rule::Foreign => "foreign",
        Rule::DryRun => "dry_run",
        Rule::Hold => "hold",
    }
}

/// A span of time in its largest unit, coarse enough that a page does not change for it each second.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        ..10 => "a few seconds".to_owned(),
        10..120 => format!("{} s", seconds / 10 * 10),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment, and how long ago it was.
pub(super) fn since(at: Timestamp, now: Timestamp) -> Markup {
    let seconds = now.duration_since(at).as_secs();
    html! { (time(at, now)) " (" (span(seconds)) ")" }
}

/// A moment in UTC: of today without its date.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    let day = |of: Timestamp| of.strftime("%Y-%m-%d").to_string();
    let text = if day(at) == day(now) { at.strftime("%H:%M:%S") } else { at.strftime("%Y-%m-%d %H:%M") };
    html! { time datetime=(at.to_string()) { (text) } }
}

/// `rose`, `rose and lily`, `rose, lily and 3 more`.
pub(super) fn listed(names: &[&str], most: usize) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [rest @ .., last] if names.len() <= most => format!("{} and {last}", rest.join(", ")),
        _ => {
            let shown: Vec<&str> = names.iter().copied().take(most).collect();
            format!("{} and {} more", shown.join(", "), names.len() - shown.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_lists_are_short() {
        let spans: Vec<String> = [3, 47, 119, 150, 7_300, 400_000].map(span).into();
        assert_eq!(spans, ["a few seconds", "40 s", "110 s", "2 min", "2 h", "4 days"]);
        assert_eq!(listed(&["rose"], 2), "rose");
        assert_eq!(listed(&["rose", "lily"], 2), "rose and lily");
        assert_eq!(listed(&["rose", "lily", "tulip"], 2), "rose, lily and 1 more");
    }
}
