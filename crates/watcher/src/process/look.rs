//! The eyes' loop, and the control probes.

use super::Process;
use crate::probe::probe;
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;
use wire::Target;

/// Without targets there is nothing to wait for but a scene.
const IDLE_MS: u64 = 1_000;

impl Process {
    pub(super) async fn look(&self) {
        let mut rng = self.time.rng("eyes");
        let mut woken = self.woken.subscribe();
        let mut out = FuturesUnordered::new();
        let mut suspects = 0;
        loop {
            let now_ms = self.now_ms();
            #[allow(clippy::cast_precision_loss, reason = "a draw of one in a million")]
            let (begun, suspected) = self.with(|mind| {
                let begun = mind.eyes.begin(now_ms, || rng.below(1_000_000) as f64 / 1e6);
                (begun, mind.eyes.suspects().len())
            });
            if suspected > suspects {
                // The zone is read while suspicion ripens: that begins now, not at the next turn. And the others learn that what
                // they may be about to do rests on a doubtful sight.
                self.stir();
            }
            suspects = suspected;
            for begin in begun {
                let nonce = format!("{:016x}", rng.next_u64());
                out.push(async move {
                    let parts = &self.parts;
                    let outcome =
                        probe(&parts.wire, &self.time, &parts.policy, &parts.canary, begin.address, &nonce).await;
                    (begin.probe, now_ms, outcome)
                });
            }
            let due_ms = self.with(|mind| mind.eyes.due_ms()).unwrap_or(now_ms + IDLE_MS);
            tokio::select! {
                biased;
                Some((probe, began_ms, outcome)) = out.next() => {
                    let now_ms = self.now_ms();
                    let seen = self.with(|mind| {
                        let seen = mind.eyes.ended(now_ms, probe, outcome);
                        (seen, mind.eyes.has_looked())
                    });
                    if let (Some((target, turned)), has_looked) = seen {
                        self.parts.counters.probed(&target.node, outcome, Duration::from_millis(now_ms - began_ms));
                        if outcome != detect::Outcome::Pass {
                            tracing::debug!(node = target.node, ?outcome, "a probe failed");
                        }
                        if has_looked {
                            self.parts.health.probed();
                        }
                        if turned || outcome != detect::Outcome::Pass {
                            self.stir();
                        }
                    }
                }
                () = self.sleep_until(due_ms) => {
                    let now_ms = self.now_ms();
                    self.with(|mind| mind.eyes.lag(now_ms, now_ms.saturating_sub(due_ms)));
                }
                _ = woken.changed() => {}
            }
        }
    }

    /// Rule 4: who cannot reach what has nothing to do with the cluster distrusts itself.
    pub(super) async fn check_anchors(&self) {
        let policy = &self.parts.policy;
        let (every, limit) =
            (Duration::from_millis(policy.control_ms / 3), Duration::from_millis(policy.connect_timeout_ms));
        let check = async |(number, anchor): (usize, &Target)| loop {
            let answer = self.time.within(limit, self.parts.wire.open(anchor)).await;
            if matches!(answer, Ok(Ok(_))) {
                let now_ms = self.now_ms();
                self.with(|mind| mind.eyes.control_passed(number, now_ms));
            }
            self.time.sleep(every).await;
        };
        join_all(self.parts.anchors.iter().enumerate().map(check)).await;
    }
}
