//! Every fault that these flows can meet, alone, at its first, middle and last match; then the same run without it.

use engine::{Event, Outcome};
use life::{Life, alone, nodes};
use serde_json::Value;

/// One control plane, and a worker that has somewhere else to go.
const PAIR: &str = "cluster: bouquet
nodes:
  rose: { role: control-plane, on: hetzner/hel1/cax11 }
  lily: { role: worker, on: [hetzner/fsn1/cax21, hetzner/nbg1/cax21] }
";

fn garden(file: &str) -> Life {
    let life = Life::new(1, file);
    life.snapshot("arm64");
    life
}

fn whole() -> Value {
    alone(async {
        let life = garden(PAIR);
        assert!(life.apply().await.is_ok());
        life.shape()
    })
}

/// How often a rule would strike in a whole apply.
fn matches(rule: &str) -> usize {
    alone(async {
        let life = garden(PAIR);
        life.world.fault(&format!("{rule} after 1000000")).unwrap();
        life.apply().await;
        let mut words = rule.split(" on ").nth(1).unwrap_or("* /").split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let vendor = rule.split(' ').next().unwrap();
        let journal = life.world.journal();
        let fits = journal.iter().filter(|call| {
            call.to == vendor && (method == "*" || call.method == method) && call.path.starts_with(path)
        });
        fits.count()
    })
}

/// Applies with the rule at work, then once more without it: the world is what it would have been.
fn strikes_and_heals(rule: &str, whole: &Value) -> Outcome {
    alone(async {
        let life = garden(PAIR);
        let id = life.world.fault(rule).unwrap();
        // A first look that gets no answer is an error of the whole run, and as good as any other.
        let first = engine::apply(&life.reach, &life.subject, &life.listener()).await;
        life.world.heal(id);
        let again = life.again(PAIR);
        let outcome = again.apply().await;
        assert!(outcome.is_ok(), "{rule}: {outcome:#?}\n{}", life.world.log());
        let (plan, report) = again.plan().await;
        assert!(plan.is_empty(), "{rule}: {:?} {report:?}", plan.steps);
        assert_eq!(again.shape(), *whole, "{rule}");
        first.unwrap_or_default()
    })
}

/// The rule once, at the first, middle and last of its matches.
fn everywhere(rule: &str, whole: &Value) -> usize {
    let count = matches(rule);
    assert!(count > 0, "{rule} matches nothing");
    let at = std::collections::BTreeSet::from([0, count / 2, count - 1]);
    for after in &at {
        strikes_and_heals(&format!("{rule} after {after} times 1"), whole);
    }
    at.len()
}

#[test]
fn a_broken_call_is_made_good_wherever_it_breaks() {
    let whole = whole();
    let mut lives = 0;
    for effect in ["lose-request", "lose-answer", "status=503", "rate-limit", "html", "garbage", "truncate", "slow=20"]
    {
        for calls in ["hetzner", "tailscale"] {
            lives += everywhere(&format!("{calls} {effect}"), &whole);
        }
        for calls in [
            "hetzner {} on POST /v1/servers",
            "hetzner {} on POST /v1/firewalls",
            "tailscale {} on POST /api/v2/tailnet",
        ] {
            lives += everywhere(&calls.replace("{}", effect), &whole);
        }
    }
    println!("{lives} lives with one broken call each");
}

#[test]
fn what_strikes_a_machine_once_is_mended_by_the_next_run() {
    let whole = whole();
    for rule in [
        "hetzner action-error times 1",
        "hetzner action-error after 1 times 1",
        "hetzner action-locked times 1",
        "hetzner action-locked after 1 times 1",
        "hetzner locked times 1",
        "hetzner locked after 1 times 1",
        "hetzner quota times 1",
        "hetzner quota after 1 times 1",
        "tailscale tags-refused times 1",
        "tailscale tags-refused after 1 times 1",
        "node dies for rose:boot times 1",
        "node dies for rose:mesh times 1",
        "node dies for rose:etcd times 1",
        "node dies for rose:node-ready times 1",
        "node dies for lily:services times 1",
        "node dies for lily:kubelet times 1",
    ] {
        strikes_and_heals(rule, &whole);
    }
}

fn said(life: &Life, part: &str) -> bool {
    let notes = life.events().into_iter();
    notes
        .filter(|event| matches!(event, Event::Note { .. } | Event::Error { .. }))
        .any(|event| serde_json::to_string(&event).is_ok_and(|text| text.contains(part)))
}

#[test]
fn a_place_without_room_gives_way_to_the_next() {
    for rule in ["hetzner no-capacity for fsn1", "hetzner location-disabled for fsn1"] {
        alone(async {
            let life = garden(PAIR);
            life.world.fault(rule).unwrap();
            let outcome = life.apply().await;
            assert!(outcome.is_ok(), "{rule}: {outcome:#?}");
            assert!(said(&life, "hetzner/fsn1/cax21 has no room now"), "{rule}: {:?}", life.events());
            let machine = outcome.observed.machine("lily").unwrap();
            assert_eq!(machine.place.as_ref().unwrap().region, "nbg1");
            assert!(life.plan().await.0.is_empty());
        });
    }
}

#[test]
fn what_cannot_be_had_does_not_keep_the_rest_from_coming_up() {
    alone(async {
        let file = nodes(3).replace(
            "lily2: { role: worker, on: hetzner/fsn1/cax21 }",
            "lily2: { role: worker, on: hetzner/nbg1/cax11 }",
        );
        let life = garden(&file);
        life.world.fault("hetzner no-capacity for nbg1").unwrap();
        let outcome = life.apply().await;
        assert!(!outcome.is_ok());
        let blocked: Vec<_> = outcome.blocked.iter().map(|blocked| blocked.code.as_str()).collect();
        assert_eq!(blocked, ["BQ0411"], "{outcome:#?}");
        let ready = outcome.observed.kubernetes.unwrap();
        assert!(ready["rose"].ready && ready["lily1"].ready && !ready.contains_key("lily2"), "{ready:?}");
    });
}
