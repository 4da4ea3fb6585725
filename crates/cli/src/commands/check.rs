use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{self, Ink, Teller};
use clouds::Finding;
use serde_json::json;
use std::fmt::Write;
use wire::Time;

/// Columns before what was found.
const HEAD: usize = 8;

/// Checks everything that can be known before anything is spent. Exits 1 if something would stop an apply.
pub async fn run(args: &Args, teller: &Teller, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    context.tell_stale_lock(teller)?;
    let findings = engine::check(&context.reach, &context.subject).await;
    let stops = findings.iter().filter(|finding| finding.fatal).count();
    let exit = u8::from(stops > 0);
    teller.document(exit, stops, json!({"findings": findings}), || told(Ink::out(args), &findings))?;
    Ok(exit)
}

fn told(ink: Ink, findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { subject, code, fatal, message, help } in findings {
        let (head, about) = match (code, fatal) {
            (None, _) => (ink.good("ok      "), format!("{subject}: {message}")),
            (Some(code), true) => (ink.bad("error   "), format!("{subject}: {message} [{code}]")),
            (Some(code), false) => (ink.warn("warn    "), format!("{subject}: {message} [{code}]")),
        };
        let _ = writeln!(text, "{}", render::hanging(&head, HEAD, &about));
        if let Some(help) = help {
            let head = format!("{}{}: ", " ".repeat(HEAD), ink.bold("help"));
            let _ = writeln!(text, "{}", render::hanging(&head, HEAD + "help: ".len(), help));
        }
    }
    let stops = findings.iter().filter(|finding| finding.fatal).count();
    let _ = match stops {
        0 => writeln!(text, "\nnothing stands in the way of `bouquet apply`"),
        1 => writeln!(text, "\n1 thing stands in the way of `bouquet apply`"),
        many => writeln!(text, "\n{many} things stand in the way of `bouquet apply`"),
    };
    text
}
