//! The model: the very [`Granter`]s and [`Holder`]s, in every order of events that the bounds allow, and in random ones far
//! beyond; and the same with one rule broken at a time, which has to be found out.

mod search;
mod world;

use search::{Found, exhaust, wander};
use world::{Bounds, Broken, LONG, SHORT, World};

/// Every order of events within the bounds; how many states there were is said, and must be many.
fn never_two(what: &str, world: &World, depth: usize, states_least: usize) {
    match exhaust(world, depth) {
        Found::Nothing { states } => {
            println!("{what}: {states} states to depth {depth}");
            assert!(states >= states_least, "{what}: only {states} states");
        }
        Found::Two { path, .. } => panic!("{what}: two write at once after {path:#?}"),
    }
}

/// Random orders of events.
fn never_two_at_random(what: &str, world: &World, walks: u64, steps: usize) {
    match wander(world, walks, steps) {
        Found::Nothing { states } => {
            println!("{what}: {states} steps of {walks} walks");
            assert!(states as u64 >= walks * steps as u64 / 4, "{what}: only {states} steps");
        }
        Found::Two { path, .. } => panic!("{what}: two write at once after {path:#?}"),
    }
}

#[test]
fn permit_two_of_three_never_write_at_once_in_any_order_of_events() {
    let calm = Bounds { ticks: 8, ..Bounds::default() };
    never_two("3 vantages", &World::of(3, SHORT, calm), 9, 30_000);
    let moving = Bounds { ticks: 5, takes: 1, ..calm };
    never_two("3 vantages, the Lease moves", &World::of(3, SHORT, moving), 8, 50_000);
    let restarting = Bounds { ticks: 5, restarts: 1, ..calm };
    never_two("3 vantages, one restarts", &World::of(3, SHORT, restarting), 7, 8_000);
    let slow = Bounds { slow: 1, repeats: 1, ..calm };
    never_two("3 vantages, a late reply, a repeated message", &World::of(3, SHORT, slow), 7, 10_000);
    let joining = Bounds { changes: 1, strangers: 1, ..calm };
    never_two("3 vantages, a fourth joins", &World::of(3, SHORT, joining), 8, 20_000);
}

#[test]
fn permit_two_of_five_never_write_at_once_in_any_order_of_events() {
    let calm = Bounds { ticks: 5, ..Bounds::default() };
    never_two("5 vantages", &World::of(5, SHORT, calm), 7, 8_000);
    never_two("5 vantages, two left out", &World::of(5, SHORT, calm).shrinking(), 6, 40_000);
}

#[test]
fn permit_two_never_write_at_once_while_the_lease_alone_decides_and_a_third_joins() {
    let bounds = Bounds { ticks: 9, takes: 1, renewals: 1, changes: 1, strangers: 1, ..Bounds::default() };
    never_two("2 vantages and a third", &World::of(2, SHORT, bounds), 7, 8_000);
}

#[test]
fn permit_two_never_write_at_once_in_long_random_lives() {
    let all = Bounds::unbounded();
    never_two_at_random("3 vantages", &World::of(3, LONG, all), 300, 300);
    never_two_at_random("5 vantages", &World::of(5, LONG, all), 150, 300);
    never_two_at_random("Lease alone, growing", &World::of(1, LONG, all), 300, 300);
    for broken in Broken::ALL {
        never_two_at_random(&format!("where {broken:?} leads astray"), &lair(broken), 100, 100);
    }
}

/// Where to look for what one broken rule leads to: enough of what it takes, little of what gets in the way.
fn lair(broken: Broken) -> World {
    let calm = Bounds { ticks: 60, takes: 4, slow: 10, repeats: 5, ..Bounds::default() };
    let changing = Bounds { changes: 8, strangers: 2, renewals: 20, slow: 4, repeats: 0, ..calm };
    let shrinking = Bounds { ticks: 40, ..Bounds::default() };
    let (members, bounds) = match broken {
        Broken::TwoGrantsAtOnce
        | Broken::CountsFromReceipt
        | Broken::AnyReplyWillDo
        | Broken::NoWaiting
        | Broken::HalfIsEnough => (3, calm),
        Broken::GrantsAfterRestart => (3, Bounds { restarts: 4, ..calm }),
        Broken::GrantsUnread => (5, Bounds { restarts: 2, ..shrinking }),
        Broken::GrantsOldGenerations => (5, shrinking),
        Broken::ChangesUnasked => (3, changing),
        Broken::TwoChangesAtOnce => (3, Bounds { strangers: 4, ..changing }),
        Broken::LeaseAloneWhileChanging => (2, Bounds { strangers: 1, ..changing }),
        Broken::ThreeBecomeTwo | Broken::BuriesTheLiving => (3, Bounds { strangers: 0, ..changing }),
        Broken::LateReleaseFreesAll => (3, Bounds { releases: 5, ..calm }),
    };
    let world = World::of(members, LONG, bounds);
    if members == 5 { world.shrinking() } else { world }
}

fn found_out(broken: Broken) -> bool {
    let Found::Two { path, states } = wander(&lair(broken).breaking(broken), 3_000, 120) else { return false };
    println!("{broken:?}: found after {} events, {states} in all", path.len());
    true
}

#[test]
fn permit_every_rule_that_is_broken_lets_two_write_at_once() {
    let missed: Vec<Broken> = Broken::ALL.into_iter().filter(|broken| !found_out(*broken)).collect();
    assert!(missed.is_empty(), "nobody noticed: {missed:?}");
}

#[test]
fn permit_a_shortest_counterexample_is_found_by_exhaustion_too() {
    let bounds = Bounds { ticks: 6, takes: 1, ..Bounds::default() };
    for broken in [Broken::HalfIsEnough, Broken::NoWaiting] {
        let world = World::of(3, SHORT, bounds).breaking(broken);
        let Found::Two { path, states } = exhaust(&world, 9) else { panic!("{broken:?} was not noticed") };
        println!("{broken:?}: {} events, {states} states", path.len());
    }
}
