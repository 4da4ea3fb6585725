//! The Kubernetes suite: on the emulator, on etcd with kube-apiserver, and on emulators that lie.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a program of tests, helpers included")]

use contracts::cases::{self, Case};
use contracts::{Authority, ControlPlane, Emulator, Side, Talk, Transcript, differences};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};

const WHAT: &str = "the Kubernetes suite on the real API server";

/// Each lie, and the case that must notice it.
const LIES: &[(&str, &str)] = &[
    ("kube-skips-an-event", "a_watch_tells_every_change_in_order"),
    ("kube-hides-conflicts", "a_field_of_another_manager_is_a_conflict_unless_forced"),
    ("kube-forgets-appliers", "an_applied_object_is_made_and_changed"),
    ("kube-writes-status-with-the-rest", "status_and_wish_are_written_apart"),
    ("kube-ignores-finalizers", "a_finalizer_holds_an_object"),
    ("kube-repeats-a-page", "a_list_comes_in_pages"),
    ("kube-persists-dry-runs", "a_dry_run_leaves_nothing_behind"),
    ("kube-leaves-defaults-out", "a_deployment_gets_its_defaults"),
    ("kube-generates-one-name", "a_generated_name_is_new_each_time"),
    ("kube-lets-everybody-in", "a_user_without_a_role_is_refused"),
    ("kube-takes-stale-updates", "a_stale_update_is_a_conflict"),
    ("kube-takes-any-shape", "a_schema_fills_prunes_and_refuses"),
    ("kube-evicts-in-spite-of-budgets", "a_budget_is_asked_before_an_eviction"),
    ("kube-selects-by-the-first-label", "labels_select"),
];

fn runtime(paused: bool) -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(paused).build().unwrap()
}

async fn heard(case: &Case, side: &Side) -> Transcript {
    let talk = Talk::new(side, case.namespace());
    (case.run)(&talk).await;
    talk.done()
}

/// What a case hears from a new emulator that tells these lies; the words of the panic where a claim does not hold.
fn emulated(case: &Case, authority: &Authority, lies: &[&str]) -> Result<Transcript, String> {
    let run = || {
        runtime(true).block_on(async {
            let emulator = Emulator::new(authority, lies);
            heard(case, &emulator.side).await
        })
    };
    std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(said)
}

/// For whoever mends the emulator: what the real API server said, where `CONTRACTS_TRUTH` names a folder for it.
fn write_down(case: &Case, transcript: &Transcript) {
    let Some(folder) = std::env::var_os("CONTRACTS_TRUTH") else { return };
    let lines = transcript.iter().map(|entry| {
        let answer = &entry.answer;
        format!(
            "{}\n{} {:?} {:?}\n{:#}\n",
            entry.question, answer.status, answer.content_type, answer.warnings, answer.body
        )
    });
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(std::path::Path::new(&folder).join(case.name), lines.collect::<String>()).unwrap();
}

fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// `CONTRACTS_CASE` picks some.
fn wanted() -> Vec<&'static Case> {
    let filter = std::env::var("CONTRACTS_CASE").unwrap_or_default();
    cases::all().filter(|case| case.name.contains(&filter)).collect()
}

type Truth = BTreeMap<&'static str, Result<Transcript, String>>;

/// What the real API server says to every case; asked once, and gone again before anybody looks at it.
fn truth() -> Option<&'static Truth> {
    static TRUTH: OnceLock<Option<Truth>> = OnceLock::new();
    let ask = || {
        let authority = Authority::new();
        let plane = Arc::new(ControlPlane::start(&authority, WHAT)?);
        Some(runtime(false).block_on(async {
            let side = Side::real(&authority, &plane).await;
            let mut truth = Truth::new();
            for case in wanted() {
                let heard = futures::FutureExt::catch_unwind(AssertUnwindSafe(heard(case, &side))).await;
                if let Ok(transcript) = &heard {
                    write_down(case, transcript);
                }
                truth.insert(case.name, heard.map_err(said));
            }
            truth
        }))
    };
    TRUTH.get_or_init(ask).as_ref()
}

/// What is wrong with an emulator's answers to a case.
fn fault(case: &Case, emulated: Result<Transcript, String>, real: &Result<Transcript, String>) -> Option<String> {
    match (emulated, real) {
        (_, Err(broken)) => Some(format!("{}: the real API server: {broken}", case.name)),
        (Err(broken), _) => Some(format!("{}: the emulator: {broken}", case.name)),
        (Ok(emulated), Ok(real)) => {
            let told: Vec<String> = differences(&emulated, real).iter().map(ToString::to_string).collect();
            (!told.is_empty()).then(|| format!("{}: {} differences\n{}", case.name, told.len(), told.join("\n")))
        }
    }
}

#[test]
fn one_suite_holds_on_the_emulator_and_on_the_real_api_server() {
    let authority = Authority::new();
    let Some(truth) = truth() else {
        for case in wanted() {
            emulated(case, &authority, &[]).unwrap_or_else(|broken| panic!("{}: {broken}", case.name));
        }
        return;
    };
    let wrong: Vec<String> = wanted()
        .into_iter()
        .filter_map(|case| fault(case, emulated(case, &authority, &[]), &truth[case.name]))
        .collect();
    let asked: usize = truth.values().flatten().map(Vec::len).sum();
    println!("{} cases of {asked} requests", wanted().len());
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), wanted().len(), wrong.join("\n\n"));
}

#[test]
fn every_lie_about_kubernetes_is_caught() {
    let listed: Vec<&str> = greenhouse::lies().map(|(name, _)| name).filter(|name| name.starts_with("kube-")).collect();
    assert_eq!(listed, LIES.iter().map(|(lie, _)| *lie).collect::<Vec<_>>());
    let Some(truth) = truth() else { return };
    let authority = Authority::new();
    for (lie, name) in LIES {
        let Some(case) = wanted().into_iter().find(|case| case.name == *name) else { continue };
        assert!(fault(case, emulated(case, &authority, &[]), &truth[name]).is_none(), "{name}: nothing is amiss");
        assert!(fault(case, emulated(case, &authority, &[lie]), &truth[name]).is_some(), "{lie}: nobody has noticed");
    }
    let asked: usize = truth.values().flatten().map(Vec::len).sum();
    assets::judged(&assets::Judgement {
        protocol: "Kubernetes API",
        judge: "kube-apiserver 1.37.2 and etcd 3.7.0",
        covers: &[
            "CRUD, decoding, defaults, validation, dry run, conflicts",
            "patches of each kind, server-side apply with managed fields",
            "lists in pages, selectors, watches with bookmarks, 410",
            "finalizers, grace, propagation, evictions, scale, binding",
            "custom kinds with schema, defaults, pruning; RBAC; discovery",
        ],
        lacks: &[
            "admission of service account tokens",
            "webhooks",
            "protobuf",
            "most of the validation of built-in kinds",
        ],
        count: asked as u64,
        lies: &LIES.iter().map(|(lie, _)| *lie).collect::<Vec<_>>(),
    });
}
