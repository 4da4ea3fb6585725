//! Whether this process is well: for the kubelet, and for nobody's DNS.

use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wire::Time;

/// Who has not turned for longer is hung: a turn takes milliseconds, and one is due each second.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// What `/livez` and `/readyz` answer from. Clones share it.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    time: Time,
    turned_ms: AtomicU64,
    scene_known: AtomicBool,
    probed: AtomicBool,
}

impl Health {
    /// Alive for now, and not ready.
    pub fn new(time: Time) -> Self {
        let turned_ms = AtomicU64::new(millis(time.elapsed()));
        Health(Arc::new(Inner { time, turned_ms, scene_known: AtomicBool::new(false), probed: AtomicBool::new(false) }))
    }

    /// The event loop has come round.
    pub fn turned(&self) {
        self.0.turned_ms.store(millis(self.0.time.elapsed()), Ordering::Relaxed);
    }

    /// Every informer has had a whole list.
    pub fn scene_known(&self) {
        self.0.scene_known.store(true, Ordering::Relaxed);
    }

    /// Every target has been probed once, whatever came of it.
    pub fn probed(&self) {
        self.0.probed.store(true, Ordering::Relaxed);
    }

    /// Whether the event loop turned lately.
    pub fn is_alive(&self) -> bool {
        let since_ms = millis(self.0.time.elapsed()).saturating_sub(self.0.turned_ms.load(Ordering::Relaxed));
        since_ms <= millis(TURN_WITHIN)
    }

    /// What it is not ready for want of. That DNS cannot be written is no reason: it goes on watching.
    pub(super) fn lacks(&self) -> Option<&'static str> {
        if !self.0.scene_known.load(Ordering::Relaxed) {
            Some("Kubernetes has not been read yet\n")
        } else if !self.0.probed.load(Ordering::Relaxed) {
            Some("the first probes have not ended yet\n")
        } else {
            None
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.time.now()
    }

    pub(super) fn time(&self) -> &Time {
        &self.0.time
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
