//! Random sequences of requests: made from a seed, the same for both sides, each in a namespace of its own.

mod menu;

use crate::talk::{APPLY, JSON_PATCH, MERGE, STRATEGIC, Talk, Transcript, with};
use crate::{Difference, Side};
use futures::StreamExt;
use menu::{KINDS, Kind};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wire::Rng;

/// Sequences that are under way at once.
const SIDE_BY_SIDE: usize = 8;
const REQUESTS_MAX: u64 = 9;
/// The definition of the custom kind; made once, before all sequences.
pub const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// What a request does.
#[derive(Clone, Debug)]
enum Act {
    Create,
    Read,
    List(&'static str),
    /// Replaces by what was seen first or last, with this merged in.
    Replace {
        stale: bool,
    },
    Patch(&'static str),
    Apply {
        manager: &'static str,
        force: bool,
    },
    Delete(Value),
}

/// One request of a sequence.
#[derive(Clone, Debug)]
struct Step {
    act: Act,
    kind: &'static Kind,
    name: String,
    fragment: Value,
    to_status: bool,
    dry_run: bool,
}

/// A difference that is known and why it is left.
pub struct Explained {
    pub reason: &'static str,
    pub is: fn(&Difference) -> bool,
}

/// Differences that may be. Each with its reason; none may hide more than it says.
pub const EXPLAINED: &[Explained] = &[
    Explained {
        reason: "of several fields that fit no schema, the order of a Go map decides which one is told",
        is: |difference| {
            let told = "failed to create typed patch object";
            difference.place == "/body/message" && difference.emulator.contains(told) && difference.real.contains(told)
        },
    },
    Explained {
        reason: "the finalizers of a namespace that goes are in the order of a Go map",
        is: |difference| {
            let of = difference.question.split("/api/v1/namespaces/").nth(1).and_then(|rest| rest.split(' ').next());
            of.is_some_and(|path| !path.contains('/')) && difference.place.starts_with("/body/metadata/finalizers/")
        },
    },
];

/// A sequence, by its number.
fn sequence(seed: u64, number: usize) -> Vec<Step> {
    let mut rng = Rng::seeded(seed).child(&format!("sequence {number}"));
    let count = rng.between(3, REQUESTS_MAX);
    let one = &KINDS[usize::try_from(rng.below(KINDS.len() as u64)).unwrap()];
    (0..count).map(|at| step(&mut rng, one, number, at)).collect()
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[usize::try_from(rng.below(from.len() as u64)).unwrap()]
}

fn step(rng: &mut Rng, kind: &'static Kind, number: usize, at: u64) -> Step {
    let fragments = menu::fragments(kind);
    let mut fragment = pick(rng, &fragments).clone();
    if rng.below(3) == 0 {
        merge(&mut fragment, pick(rng, &fragments));
    }
    let act = match if at == 0 { 0 } else { rng.below(20) } {
        0..=2 => Act::Create,
        3..=4 => Act::Read,
        5 => Act::List(*pick(rng, &["", "labelSelector=app%3Dx", "labelSelector=tier,app%21%3Dx", "limit=1"])),
        6..=7 => Act::Replace { stale: false },
        8 => Act::Replace { stale: true },
        9..=11 => Act::Patch(MERGE),
        12 => Act::Patch(JSON_PATCH),
        13..=14 => Act::Patch(STRATEGIC),
        15..=17 => Act::Apply { manager: *pick(rng, &["one", "two"]), force: rng.below(3) == 0 },
        _ => Act::Delete(pick(rng, &menu::deletions()).clone()),
    };
    let name = if kind.namespaced { pick(rng, &["a", "b"]).to_string() } else { format!("random-{number}") };
    let to_status =
        kind.status && rng.below(8) == 0 && matches!(act, Act::Patch(MERGE | STRATEGIC) | Act::Replace { .. });
    Step { act, kind, name, fragment, to_status, dry_run: rng.below(12) == 0 }
}

fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}

impl Step {
    fn all(&self, talk: &Talk<'_>) -> String {
        if self.kind.namespaced {
            return talk.path(self.kind.api_version, self.kind.plural);
        }
        let root = if self.kind.api_version.contains('/') { "apis" } else { "api" };
        format!("/{root}/{}/{}", self.kind.api_version, self.kind.plural)
    }

    fn identity(&self) -> Value {
        json!({"apiVersion": self.kind.api_version, "kind": self.kind.kind, "metadata": {"name": self.name}})
    }

    async fn take(&self, talk: &Talk<'_>, seen: &mut BTreeMap<String, (Value, Value)>) {
        let all = self.all(talk);
        let mut at = format!("{all}/{}{}", self.name, if self.to_status { "/status" } else { "" });
        let dry = |path: String| if self.dry_run { with(&path, "dryRun=All") } else { path };
        at = dry(at);
        let answer = match &self.act {
            Act::Create => {
                let mut body = menu::base(self.kind);
                merge(&mut body, &self.identity());
                merge(&mut body, &without_nulls(&self.fragment));
                talk.post(&dry(all), &body).await
            }
            Act::Read => talk.get(&at).await,
            // Lists of the whole cluster show what other sequences do.
            Act::List(_) if !self.kind.namespaced => talk.get(&at).await,
            Act::List(query) => talk.get(&with(&all, query)).await,
            Act::Replace { stale } => {
                let known = seen.get(&self.name).map(|(first, last)| if *stale { first } else { last });
                let mut body = known.cloned().unwrap_or_else(|| menu::base(self.kind));
                merge(&mut body, &self.identity());
                merge(&mut body, &self.fragment);
                talk.put(&at, &body).await
            }
            Act::Patch(JSON_PATCH) => talk.patch(&at, JSON_PATCH, &menu::json_patch(self.kind, &self.fragment)).await,
            Act::Patch(kind) => talk.patch(&at, kind, &self.fragment).await,
            Act::Apply { manager, force } => {
                let mut body = menu::base(self.kind);
                merge(&mut body, &self.identity());
                merge(&mut body, &without_nulls(&self.fragment));
                let query = format!("fieldManager={manager}{}", if *force { "&force=true" } else { "" });
                talk.patch(&with(&at, &query), APPLY, &body).await
            }
            Act::Delete(options) => talk.delete(&at, options).await,
        };
        if answer.status < 300 && answer.body["kind"] == self.kind.kind && !self.dry_run {
            let first = seen.get(&self.name).map_or_else(|| answer.body.clone(), |(first, _)| first.clone());
            seen.insert(self.name.clone(), (first, answer.body));
        }
    }
}

/// What a side says to one sequence.
async fn say(side: &Side, seed: u64, number: usize) -> Transcript {
    let talk = Talk::new(side, format!("random-{number}"));
    let steps = sequence(seed, number);
    if steps.iter().any(|step| step.kind.namespaced) {
        talk.begin().await;
    }
    let mut seen = BTreeMap::new();
    for step in steps {
        step.take(&talk, &mut seen).await;
    }
    talk.done()
}

/// What a side says to the sequences of these numbers.
pub async fn say_all(side: &Side, seed: u64, numbers: std::ops::Range<usize>) -> Vec<Transcript> {
    futures::stream::iter(numbers).map(|number| say(side, seed, number)).buffered(SIDE_BY_SIDE).collect().await
}

/// Defines the custom kind that sequences use.
pub async fn define(side: &Side) {
    let talk = Talk::new(side, "default");
    talk.post(DEFINITION, &menu::definition()).await.is(201);
    for _ in 0..200 {
        if talk.get("/apis/random.example.com/v1/roses").await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the kind is not served");
}
