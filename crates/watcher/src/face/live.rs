//! The page's changing part, as server-sent events: `main` when something changed, and always `clock`.

use super::{Health, page};
use crate::status::Status;
use bytes::Bytes;
use futures::stream::{Stream, unfold};
use jiff::Timestamp;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// At most one event in this time: faster than anybody reads, however often the status changes.
const APART: Duration = Duration::from_secs(1);
/// Proxies cut connections that say nothing for a minute, some for half of one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Viewer {
    status: watch::Receiver<Arc<Status>>,
    health: Health,
    /// What the viewer has before him.
    main: String,
    greeted: bool,
}

/// Events for one viewer, for as long as the status has a sender.
pub(super) fn stream(
    status: watch::Receiver<Arc<Status>>,
    health: Health,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let viewer = Viewer { status, health, main: String::new(), greeted: false };
    unfold(viewer, |mut viewer| async {
        let event = viewer.next().await?;
        Some((Ok(Bytes::from(event)), viewer))
    })
}

impl Viewer {
    async fn next(&mut self) -> Option<String> {
        // Whoever comes back after a break wants to know at once.
        if self.greeted {
            let time = self.health.time().clone();
            time.sleep(APART).await;
            match time.within(KEEP_ALIVE, self.status.changed()).await {
                Ok(changed) => changed.ok()?,
                Err(_) => return Some(": still here\n\n".to_owned()),
            }
        }
        self.greeted = true;
        let status = self.status.borrow_and_update().clone();
        Some(self.event(&status, self.health.now()))
    }

    fn event(&mut self, status: &Status, now: Timestamp) -> String {
        let main = page::main(status, now).into_string();
        let clock = framed("clock", &page::clock(status.at));
        if main == self.main {
            return clock;
        }
        self.main = main;
        framed("main", &self.main) + &clock
    }
}

fn framed(event: &str, data: &str) -> String {
    let mut text = format!("event: {event}\n");
    for line in data.split(['\n', '\r']) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::framed;

    #[test]
    fn a_line_feed_in_a_name_starts_no_event_of_its_own() {
        assert_eq!(framed("main", "a\nevent: b\r\rc"), "event: main\ndata: a\ndata: event: b\ndata: \ndata: c\n\n");
    }
}
