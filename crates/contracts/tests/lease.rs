//! The watcher's Lease and authority: three candidates on the emulator and on etcd with kube-apiserver; the holder is killed, frozen,
//! released, and the API cut off and given back. At no time do two hold it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a program of tests, helpers included")]

use contracts::{Authority, ControlPlane, Emulator, Side};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Builder;
use watcher::lease::{Candidacy, LeaseApi, LeaseTimes, Leases};
use watcher::peer::cluster_authority;
use wire::{Rng, Time};

const TIMES: LeaseTimes = LeaseTimes { duration_ms: 3_000, renew_deadline_ms: 1_800, retry_ms: 400 };
const NAMES: [&str; 3] = ["a", "b", "c"];

/// What is done to the candidates, and what they have held.
struct Stage {
    time: Time,
    /// Nobody reaches the API.
    is_cut: AtomicBool,
    frozen: Mutex<Vec<&'static str>>,
    dead: Mutex<Vec<&'static str>>,
    /// Who gives it back at its next turn.
    leaving: Mutex<Vec<&'static str>>,
    /// Each time that the Lease was held without a gap: who, from when, until when.
    held: Mutex<Vec<(&'static str, u64, u64)>>,
}

impl Stage {
    fn now_ms(&self) -> u64 {
        watcher::process::ms(&self.time)
    }

    fn holder(&self) -> Option<&'static str> {
        let now_ms = self.now_ms();
        let held = self.held.lock().unwrap();
        held.iter().find(|(_, since_ms, until_ms)| (*since_ms..*until_ms).contains(&now_ms)).map(|(name, ..)| *name)
    }

    fn note(&self, name: &'static str, until_ms: u64) {
        let now_ms = self.now_ms();
        let mut held = self.held.lock().unwrap();
        match held.iter_mut().rfind(|(own, _, until_ms)| *own == name && now_ms < *until_ms) {
            Some(last) => last.2 = last.2.max(until_ms),
            None => held.push((name, now_ms, until_ms)),
        }
    }

    /// Who gives it back holds it no more before it says so.
    fn end(&self, name: &str) {
        let now_ms = self.now_ms();
        let mut held = self.held.lock().unwrap();
        held.iter_mut().filter(|(own, ..)| *own == name).for_each(|last| last.2 = last.2.min(now_ms));
    }

    async fn until(
        &self,
        what: &str,
        within_ms: u64,
        is_so: impl Fn(Option<&'static str>) -> bool,
    ) -> Option<&'static str> {
        let began_ms = self.now_ms();
        while !is_so(self.holder()) {
            assert!(self.now_ms() - began_ms <= within_ms, "{what}: not within {within_ms} ms");
            self.time.sleep(Duration::from_millis(20)).await;
        }
        self.holder()
    }
}

async fn candidate(name: &'static str, client: kube::Client, stage: Arc<Stage>) {
    let through = {
        let stage = stage.clone();
        tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (client, stage) = (client.clone(), stage.clone());
            async move {
                if stage.is_cut.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                client.send(request).await
            }
        })
    };
    let client = kube::Client::new(through, "default");
    let api = LeaseApi::new(client, "default", stage.time.clone(), Duration::from_secs(1));
    let mut candidacy = Candidacy::new(name, TIMES);
    while !stage.dead.lock().unwrap().contains(&name) {
        if !stage.frozen.lock().unwrap().contains(&name) {
            // What goes wrong is seen by who holds it.
            let _ = api.turn(&mut candidacy, false, None).await;
            let until_ms = candidacy.held_until().filter(|until_ms| stage.now_ms() < *until_ms);
            if let Some(until_ms) = until_ms {
                stage.note(name, until_ms);
            }
            if stage.leaving.lock().unwrap().contains(&name) {
                stage.end(name);
                api.release(&mut candidacy).await.unwrap();
                stage.leaving.lock().unwrap().clear();
                stage.dead.lock().unwrap().push(name);
            }
        }
        stage.time.sleep(Duration::from_millis(TIMES.retry_ms)).await;
    }
}

/// Everything that can happen to a holder. `slack_ms` is what a busy machine may add.
async fn story(side: &Side, time: Time, slack_ms: u64) {
    let client = side.client("admin").clone();
    let stage = Arc::new(Stage {
        time,
        is_cut: AtomicBool::new(false),
        frozen: Mutex::default(),
        dead: Mutex::default(),
        leaving: Mutex::default(),
        held: Mutex::default(),
    });
    let candidates: BTreeMap<_, _> =
        NAMES.map(|name| (name, tokio::spawn(candidate(name, client.clone(), stage.clone())))).into();
    let turn_ms = TIMES.duration_ms + 3 * TIMES.retry_ms + slack_ms;
    let first = stage.until("somebody founds it", turn_ms, |holder| holder.is_some()).await.unwrap();

    stage.frozen.lock().unwrap().push(first);
    let is_other = |holder: Option<&str>| holder.is_some_and(|name| name != first);
    let second = stage.until("another takes it from one that is frozen", turn_ms, is_other).await.unwrap();
    stage.frozen.lock().unwrap().clear();

    stage.is_cut.store(true, Ordering::Relaxed);
    stage.until("nobody holds it without the API", TIMES.renew_deadline_ms + slack_ms, |holder| holder.is_none()).await;
    stage.time.sleep(Duration::from_millis(2 * TIMES.duration_ms)).await;
    assert_eq!(stage.holder(), None);
    stage.is_cut.store(false, Ordering::Relaxed);
    let third = stage.until("somebody holds it again", turn_ms + 1_000, |holder| holder.is_some()).await.unwrap();

    stage.leaving.lock().unwrap().push(third);
    let at_once_ms = TIMES.duration_ms - TIMES.retry_ms;
    let is_other = |holder: Option<&str>| holder.is_some_and(|name| name != third);
    let fourth = stage.until("another takes what was given back, at once", at_once_ms, is_other).await.unwrap();

    stage.dead.lock().unwrap().push(fourth);
    let is_last = |holder: Option<&str>| holder.is_some_and(|name| name != third && name != fourth);
    stage.until("the last takes it from the dead", turn_ms, is_last).await;

    for (name, candidate) in candidates {
        if name == third || name == fourth {
            // It has ended, and not by a refusal.
            candidate.await.unwrap();
        } else {
            candidate.abort();
        }
    }
    let held = stage.held.lock().unwrap();
    for (at, (name, since_ms, until_ms)) in held.iter().enumerate() {
        for (other, other_since_ms, other_until_ms) in held.iter().skip(at + 1) {
            let overlap = name != other && since_ms < other_until_ms && other_since_ms < until_ms;
            assert!(!overlap, "{}: {name} and {other} held it at once: {held:?} (second: {second})", side.name);
        }
    }
    assert!(held.len() >= 5, "{held:?}");
}

/// All three ask for the authority at once, and have the same.
async fn one_authority(side: &Side, time: &Time) {
    let client = side.client("admin");
    let mut rngs = NAMES.map(|name| time.rng(name));
    let found = rngs.iter_mut().map(|rng| cluster_authority(client, "default", time.now(), rng));
    let found: Vec<Vec<u8>> =
        futures::future::join_all(found).await.into_iter().map(|authority| authority.unwrap().der().to_vec()).collect();
    assert!(found.iter().all(|der| *der == found[0]), "{}", side.name);
    assert_eq!(found.len(), NAMES.len());
}

#[test]
fn permit_lease_has_one_holder_on_the_emulator() {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(async {
        let emulator = Emulator::new(&Authority::new(), &[]);
        let time = Time::starting_at(jiff::Timestamp::constant(1_795_000_000, 0), Rng::seeded(7));
        one_authority(&emulator.side, &time).await;
        story(&emulator.side, time, 200).await;
    });
}

#[test]
fn permit_lease_has_one_holder_on_the_real_api_server() {
    let authority = Authority::new();
    let Some(plane) = ControlPlane::start(&authority, "the watcher's Lease on the real API server") else { return };
    Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let side = Side::real(&authority, &Arc::new(plane)).await;
        let time = Time::system(Rng::from_entropy().unwrap());
        one_authority(&side, &time).await;
        story(&side, time, 3_000).await;
    });
}
