//! Breadth first through every state, or at random through some.

use super::world::{Event, World};
use std::collections::BTreeSet;
use std::rc::Rc;
use wire::Rng;

/// A partition lasts for so many events.
const PHASE: usize = 20;

/// What a search came to.
pub(super) enum Found {
    Nothing { states: usize },
    Two { path: Vec<Event>, states: usize },
}

struct Step {
    event: Event,
    before: Option<Rc<Step>>,
}

fn path(mut last: Option<&Rc<Step>>) -> Vec<Event> {
    let mut path = Vec::new();
    while let Some(step) = last {
        path.push(step.event.clone());
        last = step.before.as_ref();
    }
    path.reverse();
    path
}

/// Every state that so many events lead to.
pub(super) fn exhaust(world: &World, depth: usize) -> Found {
    let mut seen = BTreeSet::from([world.fingerprint()]);
    let mut edge: Vec<(World, Option<Rc<Step>>)> = vec![(world.clone(), None)];
    for _ in 0..depth {
        let mut next = Vec::new();
        for (world, before) in edge {
            for event in world.events() {
                let mut after = world.clone();
                after.happens(&event);
                let step = Rc::new(Step { event, before: before.clone() });
                if after.writers() > 1 {
                    return Found::Two { path: path(Some(&step)), states: seen.len() };
                }
                if seen.insert(after.fingerprint()) {
                    next.push((after, Some(step)));
                }
            }
        }
        edge = next;
    }
    Found::Nothing { states: seen.len() }
}

/// So many seeded walks of so many events.
pub(super) fn wander(world: &World, walks: u64, steps: usize) -> Found {
    let mut states = 0;
    for seed in 0..walks {
        let mut rng = Rng::seeded(seed);
        let mut world = world.clone();
        let mut path = Vec::new();
        let mut cut = 0;
        for step in 0..steps {
            if step % PHASE == 0 {
                // Every other phase is one without a partition.
                cut = rng.next_u64() & 0u64.wrapping_sub(rng.below(2));
            }
            let Some(event) = world.draw(&mut rng, cut) else { continue };
            world.happens(&event);
            path.push(event);
            states += 1;
            if world.writers() > 1 {
                return Found::Two { path, states };
            }
        }
    }
    Found::Nothing { states }
}
