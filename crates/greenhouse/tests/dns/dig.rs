//! `dig`, and what it says as values.

use assets::Program;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The program, and how often it was asked.
pub struct Dig {
    program: Program,
    asked: AtomicU64,
}

/// What one answer said.
#[derive(Debug, Default)]
pub struct Heard {
    /// `NOERROR`, …; empty if there was no answer.
    pub status: String,
    pub flags: Vec<String>,
    /// The question as it came back.
    pub question: String,
    /// `name ttl type data`.
    pub answer: Vec<String>,
    pub authority: Vec<String>,
    /// Whether EDNS came back, and with which size.
    pub edns: Option<String>,
    /// Whether dig found it cut short and asked again.
    pub again: bool,
    pub text: String,
}

impl Dig {
    pub fn new(program: Program) -> Self {
        Dig { program, asked: AtomicU64::new(0) }
    }

    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// `dig @127.0.0.1 -p PORT WORDS`.
    pub async fn ask(&self, port: u16, words: &str) -> Heard {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut command = self.program.command();
        command.args(["-r", "@127.0.0.1", "-p", &port.to_string(), "+nocookie", "+tries=1", "+time=5"]);
        command.args(words.split(' '));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        read(&String::from_utf8_lossy(&output.stdout))
    }

    /// Until a server that has just started answers anything at all.
    pub async fn until_answered(&self, port: u16) {
        for _ in 0..200 {
            if !self.ask(port, "example.com SOA").await.status.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("nobody answers on {port}");
    }
}

fn read(text: &str) -> Heard {
    let mut heard = Heard { text: text.to_owned(), ..Heard::default() };
    let mut section = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix(";; ").and_then(|line| line.strip_suffix(" SECTION:")) {
            section = name;
        } else if let Some(rest) = line.strip_prefix(";; ->>HEADER<<- ") {
            heard.status = between(rest, "status: ", ",");
        } else if let Some(rest) = line.strip_prefix(";; flags: ") {
            let flags = rest.split(';').next().unwrap_or_default();
            heard.flags = flags.split(' ').filter(|flag| !flag.is_empty()).map(str::to_owned).collect();
        } else if line.starts_with("; EDNS: ") {
            heard.edns = Some(line.rsplit(' ').next().unwrap_or_default().to_owned());
        } else if line.starts_with(";; Truncated, retrying in TCP mode") {
            heard.again = true;
        } else if section == "QUESTION" && line.starts_with(';') {
            line[1..].split_whitespace().next().unwrap_or_default().clone_into(&mut heard.question);
        } else if !line.starts_with(';') && !line.is_empty() {
            let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "IN").collect();
            let rows = if section == "AUTHORITY" { &mut heard.authority } else { &mut heard.answer };
            rows.push(words.join(" "));
        }
    }
    heard
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).map_or("", |(_, rest)| rest);
    rest.split(after).next().unwrap_or_default().to_owned()
}
