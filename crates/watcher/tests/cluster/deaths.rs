//! What a death costs: from the moment that a node stops serving to the provider's answer that its address is gone.

use super::alone;
use super::world::{Ingress, World, name};
use detect::Hint;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It loses its power, its vantage with it.
    Silence,
    /// So does the node of whoever writes the zone.
    WritersSilence,
    /// Nobody listens any more.
    Refusal,
    /// It is cordoned or drained, and serves on.
    Drain,
    /// Its ingress pod is being ended, and serves on.
    Termination,
}

impl End {
    pub const ALL: [End; 5] = [End::Silence, End::WritersSilence, End::Refusal, End::Drain, End::Termination];

    /// What is promised, with provider calls of up to a second.
    pub fn most(self, fast: bool) -> Duration {
        Duration::from_secs(match (self, fast) {
            (End::Silence | End::WritersSilence, false) => 12,
            (End::Silence | End::WritersSilence, true) => 4,
            (End::Refusal, false) => 9,
            (End::Refusal, true) => 3,
            (End::Drain | End::Termination, _) => 2,
        })
    }

    /// How long one takes, in a world of its own.
    pub fn time(self, nodes: usize, fast: bool, round: u64) -> Duration {
        alone(self.takes(nodes, fast, 100 + round * 977))
    }

    /// How long one takes.
    async fn takes(self, nodes: usize, fast: bool, seed: u64) -> Duration {
        let world = settled(nodes, fast, seed).await;
        let writer = world.writer().unwrap();
        let victim = if self == End::WritersSilence { writer } else { (writer + 1) % nodes };
        let hint = |hint: Hint| {
            world.change(|state| state.scene.nodes.get_mut(&name(victim)).unwrap().hint = Some(hint));
        };
        match self {
            End::Silence | End::WritersSilence => world.kill(victim),
            End::Refusal => world.change(|state| state.ingress[victim] = Ingress::Refuses),
            End::Drain => hint(Hint::Leaving),
            End::Termination => hint(Hint::Terminating),
        }
        let gone = world.until("the victim is withdrawn", 60, |world| !world.published().contains(&victim)).await;
        assert_eq!(world.broken(), Vec::<String>::new());
        world.end();
        gone
    }
}

/// A world in which everything has come to rest, some time after its beginning.
pub async fn settled(nodes: usize, fast: bool, seed: u64) -> Arc<World> {
    let world = World::new(nodes, fast, seed);
    let all: BTreeSet<usize> = (0..nodes).collect();
    world.until("all nodes are published", 60, |world| world.published() == all).await;
    world.sleep(30_000 + seed.wrapping_mul(7_919) % 60_000).await;
    assert_eq!(world.published(), all, "{}", world.told());
    world
}
