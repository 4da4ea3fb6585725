//! Runs a script on one machine: expansion, lists, pipelines, redirections.
//!
//! The members of a pipeline run one after the other, each on the whole output of the one before: images here are
//! small, and what takes time in life (transfer, writing) is waited for where it happens.

use super::syntax::{self, Chain, Command, Join, Part, Pipeline, Redirect, Script, To, Word};
use crate::machine::{self, MachineId};
use crate::net::{From, Outside};
use crate::world::World;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// What a session's client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Out(Bytes),
    Err(Bytes),
}

/// Why a script ends before its end.
pub(super) enum Stop {
    /// `exit`, or `set -e`.
    Exit(i32),
    /// The machine has lost power.
    Gone,
}

pub(super) type Code = Result<i32, Stop>;

/// A shell and its state.
pub(super) struct Shell {
    pub(super) world: World,
    pub(super) id: MachineId,
    pub(super) boot: u64,
    pub(super) wire: Outside,
    pub(super) said: UnboundedSender<Said>,
    stdin: UnboundedReceiver<Bytes>,
    settings: Settings,
    last: i32,
}

/// What a shell inside a shell starts without.
#[derive(Default)]
struct Settings {
    variables: BTreeMap<String, String>,
    errexit: bool,
    pipefail: bool,
    nounset: bool,
}

/// Where a command reads and writes.
pub(super) struct Io {
    pub(super) input: Input,
    pub(super) out: Sink,
    pub(super) err: Sink,
    /// What went into [`Sink::Pipe`].
    pub(super) piped: Vec<u8>,
}

pub(super) enum Input {
    /// The client's side of the session, up to its EOF.
    Session,
    Bytes(Vec<u8>),
}

#[derive(Clone)]
pub(super) enum Sink {
    SessionOut,
    SessionErr,
    Pipe,
    /// A path; output is appended, the redirection has emptied it.
    File(String),
}

impl Shell {
    pub(super) fn new(
        world: World,
        id: MachineId,
        boot: u64,
        stdin: UnboundedReceiver<Bytes>,
        said: UnboundedSender<Said>,
    ) -> Self {
        let wire = Outside::new(world.clone(), From::Machine(id));
        let variables = [("HOME", "/root"), ("USER", "root"), ("SHELL", "/bin/bash"), ("PWD", "/root")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let settings = Settings { variables, ..Settings::default() };
        Shell { world, id, boot, wire, said, stdin, settings, last: 0 }
    }

    /// Runs `bash -c text`; the exit status, or `None` if the machine died meanwhile.
    pub(super) async fn run(&mut self, text: &str) -> Option<i32> {
        let mut io = Io { input: Input::Session, out: Sink::SessionOut, err: Sink::SessionErr, piped: Vec::new() };
        match self.source(text, &mut io).await {
            Ok(code) | Err(Stop::Exit(code)) => Some(code),
            Err(Stop::Gone) => None,
        }
    }

    /// Runs a text as `sh FLAGS -c TEXT` does: with options and variables of its own.
    pub(super) async fn nested(&mut self, flags: &str, text: &str, io: &mut Io) -> Code {
        let exported = self.settings.variables.clone();
        let outer = std::mem::replace(&mut self.settings, Settings { variables: exported, ..Settings::default() });
        self.set_options(&[flags.to_owned()]);
        let code = self.source(text, io).await;
        self.settings = outer;
        match code {
            Err(Stop::Exit(code)) => Ok(code),
            other => other,
        }
    }

    /// Runs a text in this shell.
    fn source<'a>(&'a mut self, text: &'a str, io: &'a mut Io) -> BoxFuture<'a, Code> {
        Box::pin(async move {
            match syntax::parse(text) {
                Ok(script) => self.script(&script, io).await,
                Err(syntax::SyntaxError(near)) => {
                    self.err(io, &format!("bash: -c: line 1: syntax error near unexpected token `{near}'\n"));
                    Ok(2)
                }
            }
        })
    }

    fn script<'a>(&'a mut self, script: &'a Script, io: &'a mut Io) -> BoxFuture<'a, Code> {
        Box::pin(async move {
            for chain in &script.0 {
                self.last = self.chain(chain, io).await?;
            }
            Ok(self.last)
        })
    }

    async fn chain(&mut self, chain: &Chain, io: &mut Io) -> Code {
        let mut code = self.pipeline(&chain.first, io).await?;
        // `set -e` forgives every member of a list but the last.
        let mut is_last = chain.rest.is_empty() && !chain.first.negated;
        for (at, (join, pipeline)) in chain.rest.iter().enumerate() {
            let goes_on = match join {
                Join::And => code == 0,
                Join::Or => code != 0,
            };
            if goes_on {
                self.last = code;
                code = self.pipeline(pipeline, io).await?;
                is_last = at + 1 == chain.rest.len() && !pipeline.negated;
            }
        }
        if self.settings.errexit && code != 0 && is_last && !self.world.lies("rescue-errexit-ignored") {
            Err(Stop::Exit(code))
        } else {
            Ok(code)
        }
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, io: &mut Io) -> Code {
        let mut input = std::mem::replace(&mut io.input, Input::Session);
        let mut codes = Vec::new();
        let count = pipeline.commands.len();
        for (at, command) in pipeline.commands.iter().enumerate() {
            let is_last = at + 1 == count;
            let out = if is_last { io.out.clone() } else { Sink::Pipe };
            let piped = if is_last { std::mem::take(&mut io.piped) } else { Vec::new() };
            let mut own = Io { input, out, err: io.err.clone(), piped };
            let code = match self.command(command, &mut own).await {
                // Members of a pipeline are subshells: `exit` ends only them.
                Err(Stop::Exit(code)) if count > 1 => code,
                other => other?,
            };
            codes.push(code);
            input = if is_last {
                io.piped = own.piped;
                own.input
            } else {
                Input::Bytes(own.piped)
            };
        }
        io.input = input;
        let last = codes.last().copied().unwrap_or(0);
        let counts_all = self.settings.pipefail && !self.world.lies("rescue-pipefail-ignored");
        let code = if counts_all { codes.into_iter().rev().find(|code| *code != 0).unwrap_or(0) } else { last };
        Ok(if pipeline.negated { i32::from(code == 0) } else { code })
    }

    async fn command(&mut self, command: &Command, io: &mut Io) -> Code {
        let mut words = Vec::new();
        for word in &command.words {
            words.extend(self.expand(word).await?);
        }
        let mut assigned = Vec::new();
        for (name, word) in &command.assignments {
            assigned.push((name.clone(), self.expand(word).await?.join(" ")));
        }
        let (mut own_out, mut own_err) = (io.out.clone(), io.err.clone());
        for redirect in &command.redirects {
            if let Err(code) = self.redirect(redirect, io, &mut own_out, &mut own_err).await? {
                return Ok(code);
            }
        }
        let Some((name, arguments)) = words.split_first() else {
            self.settings.variables.extend(assigned);
            // The status of the last substitution, if there was one.
            let is_output = |part: &Part| matches!(part, Part::Output { .. });
            let ran = command.assignments.iter().flat_map(|(_, word)| word).any(is_output);
            return Ok(if ran { self.last } else { 0 });
        };
        let outer = (io.out.clone(), io.err.clone());
        (io.out, io.err) = (own_out, own_err);
        // Assignments before a command are its environment; no program here reads one, so they end with it.
        let code = self.program(name, arguments, io).await;
        (io.out, io.err) = outer;
        code
    }

    async fn redirect(
        &mut self,
        redirect: &Redirect,
        io: &mut Io,
        out: &mut Sink,
        err: &mut Sink,
    ) -> Result<Result<(), i32>, Stop> {
        let (word, append) = match &redirect.to {
            To::Fd(1) => {
                *err = out.clone();
                return Ok(Ok(()));
            }
            To::Fd(_) => {
                *out = err.clone();
                return Ok(Ok(()));
            }
            To::From(word) => {
                let path = self.expand(word).await?.join(" ");
                if let Some(bytes) = self.read_file(&path) {
                    io.input = Input::Bytes(bytes.to_vec());
                } else {
                    self.err(io, &format!("bash: line 1: {path}: No such file or directory\n"));
                    return Ok(Err(1));
                }
                return Ok(Ok(()));
            }
            To::File(word) | To::Both(word) => (word, false),
            To::Append(word) => (word, !self.world.lies("rescue-append-overwrites")),
        };
        let path = self.expand(word).await?.join(" ");
        if !append {
            self.write_file(&path, Bytes::new());
        }
        let sink = Sink::File(path);
        match (&redirect.to, redirect.fd) {
            (To::Both(_), _) => (*out, *err) = (sink.clone(), sink),
            (_, 2) => *err = sink,
            _ => *out = sink,
        }
        Ok(Ok(()))
    }

    /// Variables and command output put in, split where they are not quoted.
    async fn expand(&mut self, word: &Word) -> Result<Vec<String>, Stop> {
        let mut fields: Vec<String> = Vec::new();
        let mut current: Option<String> = None;
        for part in word {
            let (text, quoted) = match part {
                Part::Text(text) => (text.clone(), true),
                Part::Variable { name, quoted } => {
                    (self.variable(name)?, *quoted && !self.world.lies("rescue-quotes-split"))
                }
                Part::Output { script, quoted } => (self.output_of(script).await?, *quoted),
            };
            if quoted {
                current.get_or_insert_default().push_str(&text);
                continue;
            }
            if text.starts_with(char::is_whitespace) {
                fields.extend(current.take());
            }
            for (at, piece) in text.split_whitespace().enumerate() {
                if at > 0 {
                    fields.extend(current.take());
                }
                current.get_or_insert_default().push_str(piece);
            }
            if text.ends_with(char::is_whitespace) {
                fields.extend(current.take());
            }
        }
        fields.extend(current);
        Ok(fields)
    }

    fn variable(&mut self, name: &str) -> Result<String, Stop> {
        if name == "?" {
            return Ok(self.last.to_string());
        }
        match self.settings.variables.get(name) {
            Some(value) => Ok(value.clone()),
            None if self.settings.nounset && !self.world.lies("rescue-nounset-ignored") => {
                let text = format!("bash: line 1: {name}: unbound variable\n");
                let _ = self.said.send(Said::Err(Bytes::from(text)));
                Err(Stop::Exit(127))
            }
            None => Ok(String::new()),
        }
    }

    async fn output_of(&mut self, script: &Script) -> Result<String, Stop> {
        let mut io = Io { input: Input::Bytes(Vec::new()), out: Sink::Pipe, err: Sink::SessionErr, piped: Vec::new() };
        self.last = match self.script(script, &mut io).await {
            Err(Stop::Exit(code)) => code,
            other => other?,
        };
        Ok(String::from_utf8_lossy(&io.piped).trim_end_matches('\n').to_owned())
    }

    /// `set`.
    pub(super) fn set_options(&mut self, arguments: &[String]) -> i32 {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(on) = argument.chars().next().filter(|c| matches!(c, '-' | '+')).map(|c| c == '-') else {
                continue;
            };
            for letter in argument.chars().skip(1) {
                match letter {
                    'e' => self.settings.errexit = on,
                    'u' => self.settings.nounset = on,
                    'o' => match arguments.next().map(String::as_str) {
                        Some("pipefail") => self.settings.pipefail = on,
                        Some("errexit") => self.settings.errexit = on,
                        Some("nounset") => self.settings.nounset = on,
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
        0
    }

    /// `export NAME=value`.
    pub(super) fn export(&mut self, arguments: &[String]) -> i32 {
        for (name, value) in arguments.iter().filter_map(|argument| argument.split_once('=')) {
            self.settings.variables.insert(name.to_owned(), value.to_owned());
        }
        0
    }

    /// All of a command's input.
    pub(super) async fn input(&mut self, io: &mut Io) -> Vec<u8> {
        match std::mem::replace(&mut io.input, Input::Bytes(Vec::new())) {
            Input::Bytes(bytes) => bytes,
            Input::Session => {
                let mut bytes = Vec::new();
                while let Some(more) = self.stdin.recv().await {
                    bytes.extend_from_slice(&more);
                }
                bytes
            }
        }
    }

    pub(super) fn out(&mut self, io: &mut Io, bytes: impl AsRef<[u8]>) {
        let sink = io.out.clone();
        self.write(io, sink, bytes.as_ref());
    }

    pub(super) fn err(&mut self, io: &mut Io, text: &str) {
        let sink = io.err.clone();
        self.write(io, sink, text.as_bytes());
    }

    fn write(&mut self, io: &mut Io, sink: Sink, bytes: &[u8]) {
        // A client that has gone hears nothing; the command runs on, as one without a terminal does.
        match sink {
            Sink::SessionOut => drop(self.said.send(Said::Out(Bytes::copy_from_slice(bytes)))),
            Sink::SessionErr => drop(self.said.send(Said::Err(Bytes::copy_from_slice(bytes)))),
            Sink::Pipe => io.piped.extend_from_slice(bytes),
            Sink::File(path) => self.append_file(&path, bytes),
        }
    }

    /// Waits for as long as in life; [`Stop::Gone`] if the machine lost power meanwhile.
    pub(super) async fn wait(&self, ms: u64) -> Result<(), Stop> {
        self.world.delay(std::time::Duration::from_millis(ms)).await;
        if self.world.with(|state| machine::is_boot(state, self.id, self.boot)) { Ok(()) } else { Err(Stop::Gone) }
    }
}
