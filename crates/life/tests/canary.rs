//! No secret appears in anything that is said: events, plans, errors, logs, traces, the world's own journal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what cannot go on in a test has failed")]

#[path = "canary/ear.rs"]
mod ear;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clouds::Preset;
use ear::{Ear, Heard};
use engine::{Event, Reach};
use greenhouse::Greenhouse;
use life::{Life, MISSION, alone};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use talos::Encryption;
use wire::Line;

/// Credentials of a world that are names and ids.
const NO_SECRETS: &[&str] = &[
    "TAILSCALE_TAILNET",
    "TAILSCALE_OAUTH_CLIENT_ID",
    "TAILSCALE_OAUTH_CLIENT_ID_OTHER",
    "OCI_CONFIG",
    "OCI_CLI_CONFIG_FILE",
];
/// Shorter strings would be found by chance.
const SECRET_CHARS_MIN: usize = 12;

/// Everything that was said, with where it was.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<BTreeMap<String, String>>>);

impl Said {
    fn hear(&self, place: &str, text: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = said.entry(place.to_owned()).or_default();
        place.push_str(text);
        place.push('\n');
    }

    /// An error as every way of showing it has it.
    fn error(&self, error: &(impl std::error::Error + ?Sized)) {
        self.hear("error", &format!("{error} {error:?} {error:#?}"));
        let mut cause = error.source();
        while let Some(error) = cause {
            self.hear("cause", &format!("{error} {error:?}"));
            cause = error.source();
        }
    }

    /// Whether anything went wrong at all.
    fn is_trouble(&self) -> bool {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.contains_key("error") || said.get("event").is_some_and(|text| text.contains("\"event\":\"error\""))
    }

    /// Where which of the secrets stands.
    fn leaks(&self, secrets: &BTreeSet<String>) -> Vec<(String, String)> {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |text: &String| secrets.iter().filter(|secret| text.contains(*secret)).cloned().collect::<Vec<_>>();
        said.iter().flat_map(|(place, text)| found(text).into_iter().map(|secret| (place.clone(), secret))).collect()
    }
}

/// What is traced.
struct Traces(Said);

impl Write for Traces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.hear("trace", String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Hears everything that this thread traces, until it is dropped.
fn listen(said: &Said) -> tracing::subscriber::DefaultGuard {
    let said = said.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || Traces(said.clone()))
        .finish();
    tracing::subscriber::set_default(subscriber)
}

/// The forms in which a secret would be recognised: as it is, its lines (of a PEM file), in base64, as Rust prints bytes.
fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([STANDARD.encode(secret), bytes(secret.as_bytes())]);
    // Headers, and the last line, which may be short.
    forms.extend(secret.lines().filter(|line| !line.starts_with("-----")).map(|line| line.trim().to_owned()));
    if let Ok(block) = pem::parse(secret) {
        forms.insert(bytes(block.contents()));
        forms.insert(STANDARD.encode(block.contents()));
    }
    forms.retain(|form| form.len() >= SECRET_CHARS_MIN);
    forms
}

/// As `{:?}` prints them, without the brackets, since they may stand in something longer.
fn bytes(bytes: &[u8]) -> String {
    let text = format!("{bytes:?}");
    text.trim_matches(['[', ']']).to_owned()
}

/// What a life knows that nobody may hear.
fn secrets(life: &Life, heard: &Heard) -> BTreeSet<String> {
    let bundle = life.subject.bundle.as_ref().unwrap();
    let (Encryption::Secretbox(encryption) | Encryption::AesCbc(encryption)) = &bundle.encryption;
    let of_bundle = [
        &bundle.cluster_id,
        &bundle.cluster_secret,
        &bundle.bootstrap_token,
        &bundle.trustd_token,
        encryption,
        &bundle.os.key,
        &bundle.k8s.key,
        &bundle.etcd.key,
        &bundle.aggregator.key,
        &bundle.service_account,
        &bundle.repository_password,
    ];
    let mut all: BTreeSet<String> = of_bundle.into_iter().flat_map(|secret| forms(secret.expose())).collect();
    let credentials = life.world.credentials().into_iter().filter(|(name, _)| !NO_SECRETS.contains(name));
    all.extend(credentials.flat_map(|(_, credential)| forms(&credential)));
    all.extend(heard.lock().unwrap().iter().flat_map(|secret| forms(secret)));
    all
}

/// Puts an ear on the life's wire.
fn overhear(life: &mut Life) -> Heard {
    let heard = Heard::default();
    let wire = Arc::new(Ear { inner: life.world.wire(), heard: heard.clone() });
    life.reach.line = Line::new(wire, life.reach.line.time().clone(), clouds::RATES);
    heard
}

/// Everything that a user could see of a life: each verb once, whatever becomes of it.
async fn live(life: &Life, said: &Said) {
    for finding in engine::check(&life.reach, &life.subject).await {
        said.hear("check", &format!("{finding:?}"));
    }
    plan(life, said).await;
    match engine::apply(&life.reach, &life.subject, &life.listener()).await {
        Ok(outcome) => said.hear("apply", &format!("{outcome:#?}")),
        Err(error) => said.error(&error),
    }
    plan(life, said).await;
    match engine::status(&life.reach, &life.subject).await {
        Ok(status) => said.hear("status", &format!("{status:?} {}", serde_json::to_string(&status).unwrap())),
        Err(error) => said.error(&error),
    }
    match engine::destroy(&life.reach, &life.subject, plan::Spare::default(), &life.listener()).await {
        Ok(outcome) => said.hear("destroy", &format!("{outcome:#?}")),
        Err(error) => said.error(&error),
    }
    match engine::proof(&life.reach, &life.subject).await {
        Ok(left) => said.hear("proof", &left.join("\n")),
        Err(error) => said.error(&error),
    }
}

async fn plan(life: &Life, said: &Said) {
    match engine::observe(&life.reach, &life.subject, &BTreeSet::new()).await {
        Ok(observed) => {
            said.hear("observed", &format!("{observed:?}"));
            let (plan, report) = plan::make(&life.reach.wish(&life.subject), &observed);
            said.hear("plan", &format!("{plan:?} {report:?}"));
            said.hear("plan", &serde_json::to_string(&plan).unwrap());
            said.hear("plan", &serde_json::to_string(&report).unwrap());
        }
        Err(error) => said.error(&error),
    }
}

/// What is left of a life when it is over.
fn remains(life: &Life, said: &Said) {
    for event in life.events() {
        said.hear("event", &format!("{event:?} {}", serde_json::to_string(&event).unwrap()));
    }
    for entry in life.world.journal() {
        said.hear("journal", &serde_json::to_string(&entry).unwrap());
    }
    said.hear("log", &life.world.log());
    said.hear("tally", &format!("{:?}", life.reach.line.tally()));
}

/// Lives a life and hears it out: what it said, what it had to hide.
fn heard_out(begin: impl FnOnce() -> Life) -> (Said, BTreeSet<String>) {
    let said = Said::default();
    let secrets = alone(async {
        let _listening = listen(&said);
        let mut life = begin();
        let heard = overhear(&mut life);
        live(&life, &said).await;
        remains(&life, &said);
        secrets(&life, &heard)
    });
    (said, secrets)
}

#[test]
fn a_secret_that_is_said_is_found_wherever_and_however_it_is_said() {
    let said = Said::default();
    alone(async {
        let _listening = listen(&said);
        let mut life = Life::new(1, MISSION);
        let heard = overhear(&mut life);
        live(&life, &said).await;
        let clean = secrets(&life, &heard);
        // The ear has heard each kind of what only the wire knows.
        let of_wire = heard.lock().unwrap().clone();
        let auth_key = of_wire.iter().find(|secret| secret.starts_with("tskey-auth-")).expect("an auth key").clone();
        assert!(of_wire.iter().any(|secret| secret.len() == 60), "user data");
        assert!(of_wire.iter().any(|secret| secret.starts_with("tskey-api-")), "an OAuth token");
        let is_password =
            |secret: &&String| secret.len() == 16 && secret.chars().all(|letter| letter.is_ascii_hexdigit());
        assert!(of_wire.iter().any(|secret| is_password(&secret)), "a rescue system's password");
        let traced = said.0.lock().unwrap().get("trace").map_or(0, String::len);
        assert!(traced > 10_000, "only {traced} bytes were traced");
        let bundle = life.subject.bundle.clone().unwrap();
        let key = bundle.os.key.expose().to_owned();
        (life.listener())(Event::Note { subject: "canary".into(), text: format!("the key is {auth_key}") });
        remains(&life, &said);
        tracing::trace!(token = bundle.trustd_token.expose(), "canary");
        said.hear("base64", &STANDARD.encode(&key));
        said.hear("bytes", &format!("{:?}", pem::parse(&key).unwrap().contents()));
        said.hear("escaped", &serde_json::to_string(&key).unwrap());
        let found: BTreeSet<String> = said.leaks(&clean).into_iter().map(|(place, _)| place).collect();
        let wanted = ["base64", "bytes", "escaped", "event", "trace"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    });
}

#[test]
fn a_whole_life_says_no_secret() {
    let (said, secrets) = heard_out(|| Life::new(1, MISSION));
    assert!(secrets.len() > 40, "only {} forms of secrets are known", secrets.len());
    assert_eq!(said.leaks(&secrets), []);
}

#[test]
fn no_answer_of_a_broken_server_brings_a_secret_out() {
    for vendor in ["hetzner", "oci", "tailscale", "cloudflare"] {
        for effect in ["garbage", "status=500", "truncate", "html"] {
            // From the beginning, and once the run is under way.
            for after in [0, 8] {
                let rule = format!("{vendor} {effect} after {after}");
                let (said, secrets) = heard_out(|| {
                    let life = Life::new(1, MISSION);
                    life.world.fault(&rule).unwrap();
                    life
                });
                assert_eq!(said.leaks(&secrets), [], "{rule}");
                assert!(said.is_trouble(), "{rule}: nothing went wrong");
            }
        }
    }
}

/// Lives on with a wrong credential; its value is a secret too, as it may be right somewhere else.
fn mistake(variable: &'static str, value: impl FnOnce(&Greenhouse) -> String) {
    let said = Said::default();
    let secrets = alone(async {
        let _listening = listen(&said);
        let mut life = Life::new(1, MISSION);
        let value = value(&life.world);
        let mut wrong = forms(&value);
        // What a user would have set, with one mistake.
        let set = life.world.credentials().into_iter().chain([(variable, value)]);
        let settings: Preset = set.collect();
        let time = life.reach.line.time().clone();
        match Reach::open(&life.subject.cluster, &settings, life.world.wire(), time) {
            Ok(reach) => {
                life.reach = reach;
                let heard = overhear(&mut life);
                live(&life, &said).await;
                wrong.extend(secrets(&life, &heard));
            }
            Err(error) => {
                said.error(&error);
                wrong.extend(secrets(&life, &Heard::default()));
            }
        }
        remains(&life, &said);
        wrong
    });
    assert_eq!(said.leaks(&secrets), [], "{variable}");
    assert!(said.is_trouble(), "{variable}: nothing went wrong");
}

#[test]
fn a_wrong_credential_is_named_by_its_variable_and_never_shown() {
    for variable in ["HCLOUD_TOKEN", "TAILSCALE_OAUTH_CLIENT_SECRET", "CLOUDFLARE_API_TOKEN", "OCI_KEY"] {
        // As long as the right one; cut short; and with a character that no header can have.
        mistake(variable, |world| world.credentials()[variable].chars().rev().collect());
        mistake(variable, |world| world.credentials()[variable].chars().take(20).collect());
        mistake(variable, |world| world.credentials()[variable].replacen(['a', 'b', 'c'], "\n", 1));
    }
    mistake("HCLOUD_TOKEN", |world| world.credentials()["HCLOUD_TOKEN_READONLY"].clone());
    mistake("CLOUDFLARE_API_TOKEN", |world| world.credentials()["CLOUDFLARE_API_TOKEN_OTHER"].clone());
}
