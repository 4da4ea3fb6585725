use super::ids::short;
use super::style::{Ink, out, talk, yaml};
use super::{faults, width};
use crate::args::{Args, Output};
use crate::failure::Failure;
use engine::{Event, Listener, Outcome, StepState};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use plan::Class;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wire::Time;

/// Tells what a verb does and how it ended. Events are one JSON object a line, live bars on a terminal, plain lines
/// otherwise; where programs listen, the last line on every exit is a `summary`.
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
    /// Steps that ended, for a run that has no outcome to count them by.
    ended: Ended,
}

#[derive(Default)]
struct Ended {
    changed: AtomicUsize,
    failed: AtomicUsize,
}

/// Columns that a bar's text leaves free: its head, and room for the `^C` that terminals echo, which must not break the line.
const BAR: usize = 14;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Json,
    Yaml,
    Bars,
    Lines,
}

impl Teller {
    /// `verb` is in every JSON event.
    pub fn new(args: &Args, verb: &'static str, time: &Time) -> Self {
        let mode = match args.output {
            Output::Text if std::io::stderr().is_terminal() => Mode::Bars,
            Output::Text => Mode::Lines,
            Output::Json => Mode::Json,
            Output::Yaml => Mode::Yaml,
        };
        let (ink, bars, running, ended) = (Ink::talk(args), MultiProgress::new(), Mutex::default(), Ended::default());
        Teller(Arc::new(Inner { verb, mode, ink, time: time.clone(), began: time.now(), bars, running, ended }))
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
        if let Event::Step { state, class, .. } = event {
            match state {
                StepState::Done if *class != Class::Wait => self.0.ended.changed.fetch_add(1, Ordering::Relaxed),
                StepState::Failed => self.0.ended.failed.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        }
        match self.0.mode {
            Mode::Json | Mode::Yaml => self.event(serde_json::to_value(event).unwrap_or_default()),
            Mode::Bars => self.bar(event),
            Mode::Lines => self.line(event),
        }
    }

    fn is_for_programs(&self) -> bool {
        matches!(self.0.mode, Mode::Json | Mode::Yaml)
    }

    /// What every event says first: which it is, of which verb, when.
    fn event(&self, event: Value) {
        let Value::Object(fields) = event else { return };
        let mut full = serde_json::Map::new();
        full.insert("event".into(), fields.get("event").cloned().unwrap_or_default());
        full.insert("verb".into(), self.0.verb.into());
        full.insert("t_ms".into(), self.t_ms().into());
        full.extend(fields);
        // JSON is YAML, but documents of one stream must be told apart.
        let head = if self.0.mode == Mode::Yaml { "---\n" } else { "" };
        // An event that nobody reads any more is no reason to stop half-way.
        let _ = out(&format!("{head}{}\n", Value::Object(full)));
    }

    /// Something to say between events; not part of what programs read.
    pub fn say(&self, text: &str) {
        match self.0.mode {
            Mode::Json | Mode::Yaml => {}
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
                talk(&format!("{} {word} {}", self.stamp(), short(id)));
            }
            Event::Note { subject, text } => {
                let head = format!("{} {}    ", self.stamp(), ink.warn("note"));
                talk(&width::hanging(&head, "  0:00 note    ".len(), &format!("{subject}: {text}")));
            }
            Event::Error { code, message, help, .. } => faults::error(ink, code, message, help.as_deref()),
        }
    }

    fn bar(&self, event: &Event) {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step { id, state: StepState::Started, .. } => {
                let style = ProgressStyle::with_template("       {spinner} {msg}");
                let bar = self.0.bars.add(ProgressBar::new_spinner());
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_message(width::cut(&short(id), BAR));
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
                    bar.set_message(width::cut(&format!("{} {what}{bytes}", short(id)), BAR));
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

    /// How a run ended that has an outcome.
    pub fn summary(&self, exit: u8, outcome: &Outcome) {
        for blocked in &outcome.blocked {
            if self.is_for_programs() {
                self.event(json!({
                    "event": "error", "code": blocked.code, "message": blocked.by, "help": blocked.help,
                }));
            } else {
                talk(&faults::headed(self.0.ink, "blocked", &blocked.code, &blocked.by));
                talk(&faults::remedy(self.0.ink, &blocked.help));
            }
        }
        let counts = Counts { changed: outcome.changed, failed: outcome.failed.len(), blocked: outcome.blocked.len() };
        self.close(exit, &counts);
    }

    /// How a command ended that failed as a whole.
    pub fn failed(&self, failure: &Failure) {
        let Ended { changed, failed } = &self.0.ended;
        let counts =
            Counts { changed: changed.load(Ordering::Relaxed), failed: failed.load(Ordering::Relaxed), blocked: 0 };
        for (_, bar) in std::mem::take(&mut *self.0.running.lock().unwrap_or_else(PoisonError::into_inner)) {
            bar.finish_and_clear();
        }
        if self.is_for_programs() {
            self.event(faults::as_event(failure));
        }
        faults::failure(self.0.ink, failure);
        if self.is_for_programs() || counts.changed + counts.failed > 0 {
            self.close(failure.exit, &counts);
        }
    }

    /// The document that a verb was asked for, which says itself how it ended; `text` is for people.
    pub fn document(
        &self,
        exit: u8,
        blocked: usize,
        fields: Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let printed = match (self.0.mode, fields) {
            (Mode::Json | Mode::Yaml, Value::Object(fields)) => {
                let mut full = self.summary_of(exit, &Counts { blocked, ..Counts::default() });
                full.extend(fields);
                if self.0.mode == Mode::Yaml { yaml(&full)? } else { format!("{}\n", Value::Object(full)) }
            }
            _ => text(),
        };
        out(&printed)
    }

    fn summary_of(&self, exit: u8, counts: &Counts) -> serde_json::Map<String, Value> {
        let Counts { changed, failed, blocked } = counts;
        let summary = json!({
            "event": "summary", "verb": self.0.verb, "t_ms": self.t_ms(), "ok": exit == 0, "exit": exit,
            "changed": changed, "failed": failed, "blocked": blocked,
        });
        if let Value::Object(fields) = summary { fields } else { serde_json::Map::new() }
    }

    fn close(&self, exit: u8, counts: &Counts) {
        if self.is_for_programs() {
            return self.event(Value::Object(self.summary_of(exit, counts)));
        }
        let Counts { changed, failed, blocked } = counts;
        let word = if exit == 0 { self.0.ink.good("done") } else { self.0.ink.bad("not done") };
        let seconds = self.t_ms() / 1000;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        talk(&format!("{word} in {minutes}:{seconds:02}: {changed} changed, {failed} failed, {blocked} blocked"));
    }
}

/// What the last line of a run counts.
#[derive(Default)]
struct Counts {
    changed: usize,
    failed: usize,
    blocked: usize,
}
