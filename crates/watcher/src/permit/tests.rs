//! What the model does not ask: that somebody does become live, and when.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

const CALM_MS: Millis = 1_000_000;

/// Vantages that all hear each other, but for the dead.
struct Room {
    granters: BTreeMap<String, Granter>,
    holders: BTreeMap<String, Holder>,
}

fn roll(generation: u64, members: &[&str]) -> Roll {
    Roll { generation, members: members.iter().map(|name| (*name).to_owned()).collect() }
}

impl Room {
    fn new(members: &[&str]) -> Self {
        let (mut granters, mut holders) = (BTreeMap::new(), BTreeMap::new());
        for name in members {
            let mut granter = Granter::new(Terms::default(), 0);
            granter.read(CALM_MS, Some("a"), &roll(3, members));
            let mut holder = Holder::new(Terms::default(), Candidate { name: (*name).to_owned(), life: 1 });
            holder.learn(CALM_MS, &roll(3, members));
            granters.insert((*name).to_owned(), granter);
            holders.insert((*name).to_owned(), holder);
        }
        Room { granters, holders }
    }

    /// Everybody who may ask does.
    fn round(&mut self, now_ms: Millis) {
        let may = |name: &&String| self.granters[*name].may_stand(now_ms, name);
        let asking: Vec<String> = self.granters.keys().filter(may).cloned().collect();
        for name in asking {
            let holder = self.holders.get_mut(&name).unwrap();
            let ask = holder.ask(now_ms);
            for member in holder.roll().members.clone() {
                let Some(granter) = self.granters.get_mut(&member) else { continue };
                let reply = granter.ask(now_ms, &ask);
                holder.heard(now_ms, &member, &reply);
            }
        }
    }

    fn dies(&mut self, name: &str) {
        self.granters.remove(name);
        self.holders.remove(name);
    }

    fn live(&self, now_ms: Millis) -> Vec<&str> {
        let is_live = |holder: &&Holder| matches!(holder.standing(now_ms), Standing::Live { .. });
        self.holders.values().filter(is_live).map(|holder| holder.own.name.as_str()).collect()
    }
}

#[test]
fn permit_a_dead_candidate_is_replaced_within_two_terms_and_a_call_though_the_lease_never_moves() {
    let mut room = Room::new(&["a", "b", "c"]);
    let terms = Terms::default();
    let step_ms = terms.ask_every_ms();
    let mut now_ms = CALM_MS;
    while room.live(now_ms).is_empty() {
        room.round(now_ms);
        now_ms += step_ms;
    }
    assert_eq!(room.live(now_ms), ["a"]);
    assert!(now_ms - CALM_MS <= terms.patience_ms() + step_ms, "{}", now_ms - CALM_MS);

    room.dies("a");
    let died_ms = now_ms;
    while room.live(now_ms).is_empty() && now_ms < died_ms + 60_000 {
        room.round(now_ms);
        now_ms += step_ms;
    }
    assert_eq!(room.live(now_ms), ["b"]);
    let took_ms = now_ms - died_ms;
    assert!(took_ms <= terms.silence_ms + terms.patience_ms() + 3 * step_ms, "{took_ms}");
}

#[test]
fn permit_one_at_a_time_stands_for_a_dead_candidate_and_another_only_after_a_term() {
    let terms = Terms::default();
    let mut granter = Granter::new(terms, 0);
    granter.read(CALM_MS, Some("a"), &roll(3, &["a", "b", "c"]));
    let silent_ms = granter.stands_from("c").unwrap();
    assert_eq!((silent_ms, granter.stands_from("a")), (CALM_MS + terms.silence_ms, None));
    let all_live = |_: &str| true;
    assert!(granter.is_next(silent_ms, "b", all_live) && !granter.is_next(silent_ms, "c", all_live));
    assert!(granter.is_next(silent_ms, "c", |name| name != "b"));
    assert!(granter.is_next(silent_ms + terms.term_ms, "c", all_live));
}

#[test]
fn permit_a_release_spares_the_next_the_term_but_not_the_call() {
    let mut room = Room::new(&["a", "b", "c"]);
    room.round(CALM_MS);
    let release = room.holders.get_mut("a").unwrap().release();
    let now_ms = CALM_MS + 10;
    for granter in room.granters.values_mut() {
        granter.release(&release);
        granter.read(now_ms, Some("b"), &roll(3, &["a", "b", "c"]));
    }
    room.round(now_ms);
    let patience_ms = Terms::default().patience_ms();
    assert_eq!(room.holders["a"].standing(now_ms), Standing::Mute);
    assert_eq!(room.holders["b"].standing(now_ms), Standing::Waiting { until_ms: now_ms + patience_ms });
}

#[test]
fn permit_nothing_is_written_by_a_zone_that_was_read_before_the_waiting_was_over() {
    let mut room = Room::new(&["a", "b", "c"]);
    let (mut now_ms, patience_ms) = (CALM_MS, Terms::default().patience_ms());
    while now_ms < CALM_MS + patience_ms {
        room.round(now_ms);
        now_ms += 500;
    }
    let holder = &room.holders["a"];
    let since_ms = CALM_MS + patience_ms;
    assert!(!holder.may_write(now_ms, since_ms - 1));
    assert!(holder.may_write(now_ms, since_ms));
    assert!(!holder.may_write(now_ms, now_ms + 1));
    assert!(!holder.may_write(now_ms + 10_000, since_ms));
}

#[test]
fn permit_a_change_of_the_roll_does_not_interrupt_who_is_live() {
    let mut room = Room::new(&["a", "b", "c"]);
    room.round(CALM_MS);
    let until_ms = CALM_MS + 10_000;
    let holder = room.holders.get_mut("a").unwrap();
    holder.renewed(CALM_MS, until_ms, &roll(3, &["a", "b", "c"]));
    let now_ms = CALM_MS + 1_000;
    let next = holder.change(now_ms, &Change::Add("d".into())).unwrap();
    assert_eq!(next, roll(4, &["a", "b", "c", "d"]));
    holder.renewed(now_ms, until_ms, &next);
    assert!(holder.live_until(now_ms).is_some());
    assert_eq!(
        holder.change(now_ms, &Change::Remove("b".into())),
        Err(Unchanged::NotLive),
        "nobody has granted under 4"
    );
    for granter in room.granters.values_mut() {
        granter.read(now_ms, Some("a"), &next);
    }
    room.round(now_ms);
    let waiting_until_ms = CALM_MS + Terms::default().patience_ms();
    assert_eq!(room.holders["a"].standing(now_ms), Standing::Waiting { until_ms: waiting_until_ms });
    let after = room.holders.get_mut("a").unwrap().change(now_ms, &Change::Remove("b".into()));
    assert_eq!(after, Ok(roll(5, &["a", "c", "d"])));
}

#[test]
fn permit_the_dead_are_buried_only_by_one_of_few_and_only_after_a_while() {
    let mut room = Room::new(&["a", "b", "c"]);
    let holder = room.holders.get_mut("a").unwrap();
    holder.renewed(CALM_MS, CALM_MS + 10_000, &roll(3, &["a", "b", "c"]));
    let bury = |left: &[&str], seen_ms| {
        let left: BTreeSet<String> = left.iter().map(|name| (*name).to_owned()).collect();
        Change::Bury { left, seen_ms }
    };
    assert_eq!(holder.change(CALM_MS, &bury(&["a", "b"], 60_000)), Err(Unchanged::TooEarly), "two of three go on");
    assert_eq!(holder.change(CALM_MS, &bury(&["b"], 60_000)), Err(Unchanged::TooEarly), "b is left, not a");
    assert_eq!(holder.change(CALM_MS, &bury(&["a"], 6_000)), Err(Unchanged::TooEarly));
    assert_eq!(holder.change(CALM_MS, &bury(&["a"], 6_100)), Ok(roll(4, &["a"])));
}

#[test]
fn permit_a_roll_of_three_stays_one_of_three() {
    let mut room = Room::new(&["a", "b", "c"]);
    room.round(CALM_MS);
    let holder = room.holders.get_mut("a").unwrap();
    holder.renewed(CALM_MS, CALM_MS + 10_000, &roll(3, &["a", "b", "c"]));
    assert_eq!(holder.change(CALM_MS, &Change::Remove("c".into())), Err(Unchanged::TooFew));
}
