use super::style::{Ink, out, talk};
use crate::args::{Args, Output};
use crate::failure::Failure;
use engine::{Event, Listener, Outcome, StepState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::Time;

/// Renders events as they come: one JSON object a line, live bars on a terminal, plain lines otherwise.
#[derive(Clone)]
pub struct Teller(Arc<Inner>);

struct Inner {
    verb: &'static str,
    mode: Mode,
    ink: Ink,
    time: Time,
    began: jiff::Timestamp,
    bars: MultiProgress,
    running: Mutex<BTreeMap<String, ProgressBar>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Json,
    Bars,
    Lines,
}

impl Teller {
    /// `verb` is in every JSON event.
    pub fn new(args: &Args, verb: &'static str, time: &Time) -> Self {
        let mode = match args.output {
            Output::Text if std::io::stderr().is_terminal() => Mode::Bars,
            Output::Text => Mode::Lines,
            Output::Json | Output::Yaml => Mode::Json,
        };
        let ink = Ink::talk(args);
        let (bars, running) = (MultiProgress::new(), Mutex::default());
        Teller(Arc::new(Inner { verb, mode, ink, time: time.clone(), began: time.now(), bars, running }))
    }

    /// As the engine takes it.
    pub fn listener(&self) -> Listener {
        let teller = self.clone();
        Arc::new(move |event| teller.hear(&event))
    }

    fn t_ms(&self) -> u64 {
        let passed = self.0.time.now().duration_since(self.0.began);
        u64::try_from(passed.as_millis()).unwrap_or(0)
    }

    fn hear(&self, event: &Event) {
        match self.0.mode {
            Mode::Json => self.json(serde_json::to_value(event).unwrap_or_default()),
            Mode::Bars => self.bar(event),
            Mode::Lines => self.line(event),
        }
    }

    fn json(&self, event: Value) {
        let Value::Object(fields) = event else { return };
        let mut full = serde_json::Map::new();
        full.insert("event".into(), fields.get("event").cloned().unwrap_or_default());
        full.insert("verb".into(), self.0.verb.into());
        full.insert("t_ms".into(), self.t_ms().into());
        full.extend(fields);
        out(&format!("{}\n", Value::Object(full)));
    }

    /// Something to say between events; not part of the JSON stream.
    pub fn say(&self, text: &str) {
        match self.0.mode {
            Mode::Json => {}
            Mode::Bars => self.0.bars.suspend(|| talk(text)),
            Mode::Lines => talk(text),
        }
    }

    fn stamp(&self) -> String {
        let seconds = self.t_ms() / 1000;
        self.0.ink.dim(&format!("{:>3}:{:02}", seconds / 60, seconds % 60))
    }

    fn line(&self, event: &Event) {
        let ink = self.0.ink;
        match event {
            Event::Step { state: StepState::Started, .. } | Event::Progress { .. } => {}
            Event::Step { id, state, .. } => {
                let word = match state {
                    StepState::Done => ink.good("done   "),
                    StepState::Failed => ink.bad("failed "),
                    _ => ink.dim("skipped"),
                };
                talk(&format!("{} {word} {id}", self.stamp()));
            }
            Event::Note { subject, text } => {
                talk(&format!("{} {}    {subject}: {text}", self.stamp(), ink.warn("note")));
            }
            Event::Error { code, message, help, .. } => {
                talk(&format!("{}: {message}", ink.bad(&format!("error[{code}]"))));
                if let Some(help) = help {
                    talk(&format!("  {}: {help}", ink.bold("help")));
                }
            }
        }
    }

    fn bar(&self, event: &Event) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step { id, state: StepState::Started, .. } => {
                let style = ProgressStyle::with_template("       {spinner} {prefix} {wide_msg}");
                let bar = self.0.bars.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(id.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                running.insert(id.clone(), bar);
                return;
            }
            Event::Progress { id, what, done_bytes, total_bytes } => {
                if let Some(bar) = running.get(id) {
                    let bytes = match (done_bytes >> 20, total_bytes >> 20) {
                        (0, 0) => String::new(),
                        (done, 0) => format!(" {done} MiB"),
                        (done, total) => format!(" {done} of {total} MiB"),
                    };
                    bar.set_message(format!("{what}{bytes}"));
                }
                return;
            }
            Event::Step { id, .. } => {
                if let Some(bar) = running.remove(id) {
                    bar.finish_and_clear();
                }
            }
            Event::Note { .. } | Event::Error { .. } => {}
        }
        drop(running);
        self.0.bars.suspend(|| self.line(event));
    }

    /// The last line of a run, on every exit.
    pub fn summary(&self, exit: u8, outcome: &Outcome) {
        let (changed, failed, blocked) = (outcome.changed, outcome.failed.len(), outcome.blocked.len());
        let ok = exit == 0;
        if self.0.mode == Mode::Json {
            return self.json(json!({
                "event": "summary", "ok": ok, "exit": exit,
                "changed": changed, "failed": failed, "blocked": blocked,
            }));
        }
        for blocked in &outcome.blocked {
            let code = self.0.ink.bad(&format!("blocked[{}]", blocked.code));
            talk(&format!("{code}: {}\n  {}: {}", blocked.by, self.0.ink.bold("help"), blocked.help));
        }
        let word = if ok { self.0.ink.good("done") } else { self.0.ink.bad("not done") };
        let seconds = self.t_ms() / 1000;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        talk(&format!("{word} in {minutes}:{seconds:02}: {changed} changed, {failed} failed, {blocked} blocked"));
    }

    /// A failure that ends the run: told as an event before the summary.
    pub fn failure(&self, failure: &Failure) {
        if self.0.mode == Mode::Json {
            return self.json(json!({
                "event": "error", "code": failure.code, "message": failure.message, "help": failure.help,
            }));
        }
        self.line(&Event::Error {
            code: failure.code.clone(),
            message: failure.message.clone(),
            help: failure.help.clone(),
            step: None,
        });
    }
}
