//! The page as a whole: its frame, its one stylesheet, its few lines of script, and what a browser may do with them.

use super::words::Tone;
use super::{headline, parts, words};
use crate::status::Status;
use axum::http::HeaderValue;
use base64::Engine as _;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");
/// A status that is older shows nothing that is still true.
const STALE_S: i64 = 30;

/// `Content-Security-Policy`: this stylesheet and this script, by their hashes, and nothing else from anywhere. Text that gets out of
/// its quotes could run nothing.
pub(super) fn policy() -> HeaderValue {
    let hash = |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// The whole page.
pub(super) fn whole(status: &Status, now: Timestamp) -> Markup {
    let headline = headline::of(status);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (headline.text) " · " (status.cluster) }
                link rel="icon" href=(icon(headline.tone));
                noscript { meta http-equiv="refresh" content="10"; }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class="top" {
                    h1 { (status.cluster) }
                    p class="what" { "ingress, as seen from " (parts::places(status)) }
                    p class="clock" { time id="clock" { (clock(status.at)) } " UTC" }
                }
                p id="stale" role="alert" hidden[!is_stale(status, now)] {
                    "This page is old: the watcher has sent nothing new for half a minute."
                }
                // Said aloud only when the answer changes; the rest changes too often to be read out.
                p id="said" class="unseen" role="status" { (headline.text) ". " (headline.detail) }
                main id="main" { (main(status, now)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// What changes: all but the frame and the clock.
pub(super) fn main(status: &Status, now: Timestamp) -> Markup {
    let headline = headline::of(status);
    html! {
        section class={ "answer " (headline.tone.class()) } data-title={ (headline.text) " · " (status.cluster) } {
            (headline.tone.shape())
            div {
                h2 { (headline.text) }
                p { (headline.detail) }
            }
        }
        @if status.dry_run {
            p class="banner" { b { "Dry run." } " This watcher decides and tells; it changes nothing in DNS." }
        }
        (parts::alerts(status, now))
        (parts::nodes(status, now))
        div class="below" {
            (parts::matrix(status))
            (parts::decisions(status, now))
            (parts::names(status))
        }
        (parts::machinery(status, now))
    }
}

/// The time of the status, which is the time of all that is shown.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

fn is_stale(status: &Status, now: Timestamp) -> bool {
    now.duration_since(status.at).as_secs() > STALE_S
}

/// The answer's shape, for a tab among many.
fn icon(tone: Tone) -> String {
    let (shape, colour) = match tone {
        Tone::Good => ("<circle cx='8' cy='8' r='7'/>", "1c6b3f"),
        Tone::Warn => ("<path d='M8 1l7.5 14H.5z'/>", "b56a00"),
        Tone::Bad => ("<rect x='1' y='1' width='14' height='14' rx='2'/>", "b3261e"),
        Tone::Dim => ("<circle cx='8' cy='8' r='5' fill='none' stroke='%23667' stroke-width='3'/>", "667"),
    };
    format!(
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16' fill='%23{colour}'>{shape}</svg>"
    )
}

/// Kept beside the page that it says so much about.
pub(super) fn both_families(status: &Status) -> bool {
    let mut families = status.nodes.iter().map(|node| words::family(node.family));
    let first = families.next();
    families.any(|family| Some(family) != first)
}
