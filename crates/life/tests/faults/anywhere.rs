//! A life that is broken in one place, and lived once more without.

use engine::Outcome;
use life::{Life, alone, differences};
use serde_json::Value;
use std::collections::BTreeSet;

/// A kind of life.
pub struct Garden<'a> {
    begin: Box<dyn Fn() -> Life + 'a>,
    file: &'a str,
    /// The world after an apply that nothing struck.
    whole: Value,
    /// What it called: vendor, method, path.
    calls: Vec<(String, String, String)>,
}

impl<'a> Garden<'a> {
    pub fn of(begin: impl Fn() -> Life + 'a, file: &'a str) -> Self {
        let (whole, calls) = alone(async {
            let life = begin();
            let outcome = life.apply().await;
            assert!(outcome.is_ok(), "{:#?}", outcome.failed);
            let calls = life.world.journal().into_iter().map(|call| (call.to, call.method, call.path)).collect();
            (life.shape(), calls)
        });
        Garden { begin: Box::new(begin), file, whole, calls }
    }

    pub fn begin(&self) -> Life {
        (self.begin)()
    }

    /// Insists that the world is as after an apply that nothing struck.
    pub fn is_whole(&self, life: &Life) {
        let differences = differences(&life.shape(), &self.whole);
        assert!(differences.is_empty(), "{differences:#?}\n{}", life.world.log());
    }

    /// How often a rule would strike in a whole apply.
    fn matches(&self, rule: &str) -> usize {
        let mut words = rule.split(" on ").nth(1).unwrap_or("* /").split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let vendor = rule.split(' ').next().unwrap();
        let fits = |(to, by, at): &&(String, String, String)| {
            to == vendor && (method == "*" || by == method) && at.starts_with(path)
        };
        self.calls.iter().filter(fits).count()
    }

    /// Applies with the rule at work, then once more without it: the world is what it would have been.
    pub fn strikes_and_heals(&self, rule: &str) -> Outcome {
        alone(async {
            let life = self.begin();
            let id = life.world.fault(rule).unwrap();
            // A first look that gets no answer is an error of the whole run, and as good as any other.
            let first = engine::apply(&life.reach, &life.subject, &life.listener()).await;
            life.world.heal(id);
            let again = life.again(self.file);
            let outcome = again.apply().await;
            assert!(outcome.is_ok(), "{rule}: {:#?} {:#?}\n{}", outcome.failed, outcome.blocked, life.world.log());
            let (plan, report) = again.plan().await;
            assert!(plan.is_empty(), "{rule}: {:?} {report:?}", plan.steps);
            self.is_whole(&again);
            first.unwrap_or_default()
        })
    }

    /// The rule once, at the first, middle and last of its matches; how many lives that were.
    pub fn everywhere(&self, rule: &str) -> usize {
        let count = self.matches(rule);
        assert!(count > 0, "{rule} matches nothing");
        let at = BTreeSet::from([0, count / 2, count - 1]);
        for after in &at {
            self.strikes_and_heals(&format!("{rule} after {after} times 1"));
        }
        at.len()
    }
}
