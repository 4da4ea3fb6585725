//! Whatever a node receives may be wrong. Its boot breaks, and `apply` says of what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what cannot go on in a test has failed")]

#[path = "broken/cases.rs"]
mod cases;
#[path = "broken/meddler.rs"]
mod meddler;

use cases::{CASES, Case, Remedy, half};
use engine::{Event, StepState};
use life::{Life, TRIO, alone};
use meddler::meddle;

/// Everything that was said to have failed, with what is advised.
fn errors(life: &Life) -> Vec<(String, String)> {
    let said = life.events().into_iter().filter_map(|event| match event {
        Event::Error { message, help, .. } => Some((message, help.unwrap_or_default())),
        _ => None,
    });
    said.collect()
}

/// Position of the first event that a step reached a state.
fn at(life: &Life, step: &str, wanted: StepState) -> usize {
    let reached = |event: &Event| matches!(event, Event::Step { id, state, .. } if id == step && *state == wanted);
    life.events().iter().position(reached).unwrap_or_else(|| panic!("{step} was never {wanted:?}: {:#?}", errors(life)))
}

async fn breaks_and_says_why(case: &Case) {
    let name = case.name;
    let mut life = Life::new(1, case.file);
    (case.prepare)(&life);
    meddle(&mut life, case.meddling);
    let outcome = life.apply().await;
    let errors = errors(&life);
    let fits = |(message, _): &(String, String)| case.says.iter().all(|words| message.contains(words));
    let (said, help) = errors.iter().find(|error| fits(error)).unwrap_or_else(|| panic!("{name}: {errors:#?}"));
    for words in case.never {
        assert!(!errors.iter().any(|(message, _)| message.contains(words)), "{name} speaks of {words}: {errors:#?}");
    }
    if case.node == "lily" {
        let failed =
            life.events().iter().position(|event| matches!(event, Event::Step { state: StepState::Failed, .. }));
        assert!(at(&life, "ready/rose", StepState::Done) < failed.unwrap(), "{name} held rose up");
    }
    let repaired = case.remedy == Remedy::None;
    assert_eq!(outcome.is_ok(), repaired, "{name}: {outcome:#?}");
    if !repaired && said.contains(" within ") {
        assert!(help.contains("delete the machine first"), "{name}: {help}");
    }
    let again = life.again(case.file);
    match case.remedy {
        Remedy::None => {}
        Remedy::Machine => again.world.destroy("bouquet-lily").unwrap(),
        Remedy::Everything => assert!(again.destroy().await.is_ok(), "{name}"),
    }
    let outcome = again.apply().await;
    assert!(outcome.is_ok(), "{name}: {outcome:#?}\n{}", life.world.log());
    let (plan, report) = again.plan().await;
    assert!(plan.is_empty(), "{name}: {:?} {report:?}", plan.steps);
}

#[test]
fn whatever_is_wrong_in_what_a_node_receives_is_said_and_can_be_set_right() {
    for case in CASES.iter().step_by(2) {
        alone(breaks_and_says_why(case));
    }
}

#[test]
fn whatever_else_is_wrong_in_what_a_node_receives_is_said_and_can_be_set_right() {
    for case in CASES.iter().skip(1).step_by(2) {
        alone(breaks_and_says_why(case));
    }
}

#[test]
fn a_control_plane_that_does_not_boot_keeps_no_other_from_being_ready() {
    alone(async {
        let mut life = Life::new(1, TRIO);
        life.snapshot("arm64");
        meddle(&mut life, |passing| passing.user_data("iris", half));
        let outcome = life.apply().await;
        let blocked: Vec<_> = outcome.blocked.iter().map(|one| (one.code.as_str(), one.subject.as_str())).collect();
        assert_eq!(blocked, [("BQ0420", "iris")], "{:#?}", outcome.failed);
        let ready = outcome.observed.kubernetes.unwrap();
        assert!(ready["rose"].ready && ready["fern"].ready && !ready.contains_key("iris"), "{ready:?}");
        life.world.destroy("bouquet-iris").unwrap();
        let again = life.again(TRIO);
        let outcome = again.apply().await;
        assert!(outcome.is_ok(), "{outcome:#?}");
        assert!(again.plan().await.0.is_empty());
    });
}
