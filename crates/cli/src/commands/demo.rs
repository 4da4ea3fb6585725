//! The embedded default: the mission's cluster from nothing to its end, in a simulated world, no account needed.

mod visitors;

use crate::args::{Args, Output};
use crate::failure::Failure;
use crate::files;
use crate::render::{self, Ink, Teller};
use engine::{Listener, Outcome, Reach, Subject};
use greenhouse::{Greenhouse, Options};
use jiff::Timestamp;
use plan::Spare;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use talos::Bundle;
use visitors::Visitors;
use wire::{Rng, Time};

/// The file that the demo lives through.
const FILE: &str = include_str!("../../../../examples/bouquet.yaml");
/// How to come from here to real machines.
const LAST_WORDS: &str = "
All of this was simulated, its time too: nothing was bought, nobody was called.
With real machines:

  bouquet init        writes a cluster file
  docs/accounts.md    says which variables to set, and what things cost
  bouquet check       tries them; nothing is spent
  bouquet plan        shows every step, and the monthly bill
  bouquet apply       does it, after asking; `bouquet destroy` takes it all away";
/// When the simulated world begins: 2026-12-01T08:00:00Z.
const BEGINNING_S: i64 = 1_796_112_000;
/// How much of a second a minute of simulated life is shown in, on a terminal.
const SECONDS_A_MINUTE: f64 = 0.25;
/// The longest that the show stands still.
const PAUSE_MAX: Duration = Duration::from_millis(700);

/// Lives through a cluster's whole life.
pub async fn run(args: &Args, teller: &Teller, time: &Time, seed: u64) -> Result<u8, Failure> {
    let outcome = Show::open(args, teller, time, seed)?.life().await?;
    let exit = u8::from(!outcome.is_ok());
    teller.summary(exit, &outcome);
    teller.say(LAST_WORDS);
    Ok(exit)
}

/// The product's clock in the world of this seed. The runtime's is stopped: nothing waits for real.
pub fn clock(seed: u64) -> Time {
    Time::starting_at(beginning(), Rng::seeded(seed).child("product"))
}

fn beginning() -> Timestamp {
    Timestamp::from_second(BEGINNING_S).unwrap_or(Timestamp::UNIX_EPOCH)
}

struct Show<'a> {
    args: &'a Args,
    seed: u64,
    world: Greenhouse,
    reach: Reach,
    subject: Subject,
    teller: &'a Teller,
    listener: Listener,
}

impl<'a> Show<'a> {
    fn open(args: &'a Args, teller: &'a Teller, time: &Time, seed: u64) -> Result<Self, Failure> {
        let cluster = spec::read(FILE).cluster.ok_or_else(|| Failure::new("BQ0601", "the demo's file is wrong"))?;
        let options = Options { seed, programs: pods::programs(), ..Options::default() };
        let world = Greenhouse::new(&options, Time::starting_at(beginning(), Rng::seeded(seed)))
            .map_err(|error| Failure::new("BQ0602", error.to_string()))?;
        let settings: clouds::Preset = world.credentials().into_iter().collect();
        let reach = Reach::open(&cluster, &settings, world.wire(), time.clone())?;
        let (_, schematics) = files::resolve(&cluster, &reach.clouds);
        let bundle = Bundle::generate(&mut time.rng("secrets bundle"), time.now())
            .map_err(|error| Failure::new(error.code(), error.to_string()))?;
        let subject = Subject { cluster: Arc::new(cluster), bundle: Some(Arc::new(bundle)), schematics, adopt: false };
        let listener = paced(args, teller.listener(), time.clone());
        Ok(Show { args, seed, world, reach, subject, teller, listener })
    }

    async fn life(&self) -> Result<Outcome, Failure> {
        let seed = self.seed;
        self.say(&format!(
            "A simulated world: no account, no cost, nobody is called. Seed {seed} makes it the\n\
             same every time; `--seed N` makes another. The cluster file:\n\n{FILE}"
        ));
        let observed = engine::observe(&self.reach, &self.subject, &BTreeSet::new()).await?;
        let (plan, report) = plan::make(&self.reach.wish(&self.subject), &observed);
        let bill = plan::bill(&self.reach.wish(&self.subject), &observed);
        self.say(&format!("$ bouquet plan\n\n{}", render::plan(Ink::talk(self.args), &plan, &report, &bill)));
        self.say("$ bouquet apply");
        let mut outcome = engine::apply(&self.reach, &self.subject, &self.listener).await?;
        self.status().await?;
        if let Some(victim) = self.subject.cluster.with_role(spec::Role::Worker).next() {
            add(&mut outcome, self.a_death(victim).await?);
        }
        self.say("$ bouquet destroy");
        let gone = engine::destroy(&self.reach, &self.subject, Spare::default(), &self.listener).await?;
        add(&mut outcome, gone);
        let left = engine::proof(&self.reach, &self.subject).await?;
        if let Some(first) = left.first() {
            return Err(Failure::new("BQ0606", format!("{} things are still there, {first} among them", left.len())));
        }
        self.say("proof: looked everywhere, nothing of the cluster is left");
        Ok(outcome)
    }

    /// A node dies without a word: DNS follows, visitors are served again, and so it is when the node is back.
    async fn a_death(&self, victim: &str) -> Result<Outcome, Failure> {
        let talk = |text: &str| self.say(text);
        let status = engine::status(&self.reach, &self.subject).await?;
        let visitors = self.visitors(&status, &talk);
        let serving = status.nodes.iter().filter(|node| node.ingress.is_some());
        let all: BTreeSet<String> = serving.map(|node| node.name.clone()).collect();
        let others: BTreeSet<String> = all.iter().filter(|node| *node != victim).cloned().collect();
        self.say(&format!("… visitors ask for https://{}, one after the other …\n", visitors.host));
        visitors.until(&all).await?;
        self.say(&format!("\n… somebody pulls {victim}'s plug, and tells nobody …\n"));
        self.world.kill(victim).map_err(|error| Failure::new("BQ0602", error.to_string()))?;
        visitors.until(&others).await?;
        self.status().await?;
        self.say("$ bouquet apply");
        let mended = engine::apply(&self.reach, &self.subject, &self.listener).await?;
        self.say("");
        visitors.until(&all).await?;
        self.status().await?;
        Ok(mended)
    }

    fn visitors<'b>(&'b self, status: &engine::Status, say: &'b dyn Fn(&str)) -> Visitors<'b> {
        let domain = self.subject.cluster.domain.clone().unwrap_or_default();
        let named = |node: &engine::NodeStatus| {
            let (name, addresses) = (node.name.clone(), node.addresses.public.clone());
            addresses.into_iter().map(move |address| (address, name.clone()))
        };
        let nodes = status.nodes.iter().flat_map(named);
        Visitors {
            world: &self.world,
            time: self.reach.line.time(),
            host: format!("canary.{domain}"),
            pool: format!("lb.{domain}"),
            nodes: nodes.collect(),
            say,
        }
    }

    fn say(&self, text: &str) {
        self.teller.say(text);
    }

    async fn status(&self) -> Result<(), Failure> {
        let status = engine::status(&self.reach, &self.subject).await?;
        self.say(&format!("\n$ bouquet status\n\n{}", render::status(Ink::talk(self.args), &status)));
        Ok(())
    }
}

fn add(outcome: &mut Outcome, other: Outcome) {
    outcome.changed += other.changed;
    outcome.failed.extend(other.failed);
    outcome.blocked = other.blocked;
    outcome.observed = other.observed;
}

/// Shows events at a pace that a person can follow, where a person is watching.
fn paced(args: &Args, listener: Listener, time: Time) -> Listener {
    use std::io::IsTerminal;
    if args.output != Output::Text || !std::io::stderr().is_terminal() {
        return listener;
    }
    let last = Mutex::new(time.now());
    Arc::new(move |event| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = time.now();
        let passed_s = now.duration_since(*last).as_secs_f64();
        *last = now;
        let pause = Duration::from_secs_f64((passed_s / 60.0 * SECONDS_A_MINUTE * 4.0).max(0.0)).min(PAUSE_MAX);
        #[allow(clippy::disallowed_methods, reason = "the world's clock stands still; it is the person who waits")]
        std::thread::sleep(pause);
        listener(event);
    })
}
