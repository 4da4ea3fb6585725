//! Random trouble, of every kind at once; then none, and everything must be as it should be.

use super::alone;
use super::world::{Ingress, Keeping, World, name};
use detect::{Hint, Millis};
use std::sync::Arc;
use wire::Rng;

/// How long there is trouble.
const TROUBLED_MS: (u64, u64) = (120_000, 300_000);
/// Between two troubles.
const PAUSE_MS: (u64, u64) = (1_000, 25_000);
/// For so long a vantage's opinion may lag behind what is.
const LINGERS_MS: u64 = 40_000;
/// After that: the longest hold, the longest wait after trouble with the provider, and what it takes to write.
const CALM_S: u64 = 20 * 60;

/// What ends a trouble.
#[derive(Clone, Debug)]
enum Mend {
    Ingress(Vec<usize>),
    Power(usize),
    Process(usize),
    Paths(Vec<(usize, usize)>),
    Lonely(usize),
    Api,
    ApiPath(usize),
    Blank(usize),
    Provider,
    Stalled(usize),
    Hint(usize),
}

/// What one seed does.
struct Story {
    world: Arc<World>,
    rng: Rng,
    /// What is wrong, and until when.
    wrong: Vec<(Millis, Mend)>,
    /// For a failure's message.
    told: Vec<String>,
}

/// What is broken after the troubles of a seed, if anything is.
pub fn broken_by(seed: u64) -> Option<String> {
    alone(async {
        let mut rng = Rng::seeded(seed ^ 0x5eed);
        let nodes = [3, 3, 4, 5, 6][usize::try_from(rng.below(5)).unwrap()];
        let world = World::new(nodes, rng.below(4) == 0, seed);
        let mut story = Story { world, rng, wrong: Vec::new(), told: Vec::new() };
        story.world.sleep(story.rng.between(0, 60_000)).await;
        story.go_wrong().await;
        story.mend_all();
        let world = story.world.clone();
        // What was seen lately still counts for a while.
        world.sleep(LINGERS_MS).await;
        let all = |world: &World| world.published() == world.state().serving() && world.published().len() == nodes;
        let calm = world.is_within(CALM_S, all).await;
        let mut broken = world.broken();
        if !world.state().zone.is_foreign_untouched() {
            broken.push("the record that is not ours is gone".into());
        }
        let failed = (calm.is_err() || !broken.is_empty()).then(|| {
            format!(
                "seed {seed}, {nodes} nodes: broken {broken:#?}\ncalm {calm:?}\n{:#?}\n{}",
                story.told,
                world.told()
            )
        });
        world.end();
        failed
    })
}

impl Story {
    async fn go_wrong(&mut self) {
        let end_ms = self.world.now_ms() + self.rng.between(TROUBLED_MS.0, TROUBLED_MS.1);
        let mut next_ms = self.world.now_ms();
        while next_ms < end_ms {
            let due_ms = self.wrong.iter().map(|(at_ms, _)| *at_ms).min().unwrap_or(Millis::MAX).min(next_ms);
            self.world.sleep(due_ms.saturating_sub(self.world.now_ms())).await;
            let now_ms = self.world.now_ms();
            let (over, wrong) = std::mem::take(&mut self.wrong).into_iter().partition(|(at_ms, _)| *at_ms <= now_ms);
            self.wrong = wrong;
            for (_, mend) in over {
                self.mend(&mend);
            }
            if next_ms <= now_ms {
                self.trouble();
                next_ms = now_ms + self.rng.between(PAUSE_MS.0, PAUSE_MS.1);
            }
        }
    }

    fn mend_all(&mut self) {
        for (_, mend) in std::mem::take(&mut self.wrong) {
            self.mend(&mend);
        }
    }

    fn node(&mut self) -> usize {
        usize::try_from(self.rng.below(self.world.nodes() as u64)).unwrap()
    }

    fn some_nodes(&mut self) -> Vec<usize> {
        (0..self.world.nodes()).filter(|_| self.rng.below(2) == 0).collect()
    }

    fn bad(&mut self) -> Ingress {
        let all = [Ingress::Silent, Ingress::Refuses, Ingress::NoRoutes, Ingress::Behind, Ingress::WrongCertificate];
        all[usize::try_from(self.rng.below(all.len() as u64)).unwrap()]
    }

    fn trouble(&mut self) {
        let node = self.node();
        let mend = match self.rng.below(17) {
            0..=2 => self.ingress(vec![node]),
            3 => {
                let some = self.some_nodes();
                self.ingress(some)
            }
            4 => self.ingress((0..self.world.nodes()).collect()),
            5 => {
                self.world.kill(node);
                Mend::Power(node)
            }
            6 => {
                self.world.crash(node);
                Mend::Process(node)
            }
            7 => {
                self.world.replace(node);
                Mend::Process(node)
            }
            8 => self.paths(),
            9 => {
                self.world.change(|state| state.lonely.insert(node));
                Mend::Lonely(node)
            }
            10 => {
                self.world.change(|state| state.api_up = false);
                Mend::Api
            }
            11 => {
                self.world.change(|state| state.api_cut.insert(node));
                Mend::ApiPath(node)
            }
            12 => {
                self.world.change(|state| state.blank.insert(node));
                Mend::Blank(node)
            }
            13 => self.provider(node),
            14 => {
                let (now_ms, which) = (self.world.now_ms(), self.rng.next_u64());
                self.told.push(format!("somebody deletes a record at {now_ms} ms"));
                self.world.change(|state| state.zone.meddle(now_ms, which));
                return;
            }
            15 => {
                self.world.change(|state| state.stalled.insert(node));
                Mend::Stalled(node)
            }
            _ => self.hint(node),
        };
        let now_ms = self.world.now_ms();
        let until_ms = now_ms + self.rng.between(500, 60_000);
        self.told.push(format!("at {now_ms} ms until {until_ms}: {mend:?}"));
        self.wrong.push((until_ms, mend));
    }

    fn ingress(&mut self, nodes: Vec<usize>) -> Mend {
        let bad = self.bad();
        self.told.push(format!("{bad:?}"));
        self.world.change(|state| nodes.iter().for_each(|node| state.ingress[*node] = bad));
        Mend::Ingress(nodes)
    }

    fn paths(&mut self) -> Mend {
        let both_ways = self.rng.below(2) == 0;
        let (here, there) = (self.some_nodes(), self.some_nodes());
        let pairs =
            here.iter().flat_map(|from| there.iter().map(move |to| (*from, *to))).filter(|(from, to)| from != to);
        let pairs: Vec<(usize, usize)> = pairs
            .flat_map(|(from, to)| if both_ways { vec![(from, to), (to, from)] } else { vec![(from, to)] })
            .collect();
        self.world.change(|state| state.cut.extend(&pairs));
        Mend::Paths(pairs)
    }

    fn provider(&mut self, node: usize) -> Mend {
        let (what, share) = (self.rng.below(7), self.rng.between(5, 60));
        self.told.push(format!("provider {what} {share}"));
        let now_ms = self.world.now_ms();
        self.world.change(|state| {
            let keeping = &mut state.zone.keeping;
            match what {
                0 => keeping.up = false,
                1 => {
                    keeping.cut.insert(node);
                }
                2 => keeping.call_ms = (200, 6_000),
                3 => keeping.lost_before = share,
                4 => keeping.lost_after = share,
                5 => keeping.throttled = share,
                _ => keeping.stale_from_ms = Some(now_ms),
            }
        });
        Mend::Provider
    }

    fn hint(&mut self, node: usize) -> Mend {
        let hint = if self.rng.below(2) == 0 { Hint::Leaving } else { Hint::Terminating };
        self.world.change(|state| state.scene.nodes.get_mut(&name(node)).unwrap().hint = Some(hint));
        Mend::Hint(node)
    }

    fn mend(&self, mend: &Mend) {
        self.world.change(|state| match mend {
            Mend::Ingress(nodes) => nodes.iter().for_each(|node| state.ingress[*node] = Ingress::Serves),
            Mend::Paths(pairs) => state.cut.retain(|pair| !pairs.contains(pair)),
            Mend::Lonely(node) => state.lonely.retain(|lonely| lonely != node),
            Mend::Api => state.api_up = true,
            Mend::ApiPath(node) => state.api_cut.retain(|cut| cut != node),
            Mend::Blank(node) => state.blank.retain(|blank| blank != node),
            Mend::Provider => state.zone.keeping = Keeping::default(),
            Mend::Stalled(node) => state.stalled.retain(|stalled| stalled != node),
            Mend::Hint(node) => state.scene.nodes.get_mut(&name(*node)).unwrap().hint = None,
            Mend::Power(_) | Mend::Process(_) => {}
        });
        match mend {
            Mend::Power(node) => self.world.revive(*node),
            Mend::Process(node) => self.world.start(*node),
            _ => {}
        }
    }
}
