use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Ink, Teller};
use clouds::Finding;
use serde_json::json;
use std::fmt::Write;
use wire::Time;

/// Checks everything that can be known before anything is spent. Exits 1 if something would stop an apply.
pub async fn run(args: &Args, teller: &Teller, time: &Time) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    let findings = engine::check(&context.reach, &context.subject).await;
    let stops = findings.iter().filter(|finding| finding.fatal).count();
    let exit = u8::from(stops > 0);
    teller.document(exit, stops, json!({"findings": findings}), || told(Ink::out(args), &findings))?;
    Ok(exit)
}

fn told(ink: Ink, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let Some(code) = &finding.code else {
            let _ = writeln!(text, "{}      {}: {}", ink.good("ok"), finding.subject, finding.message);
            continue;
        };
        let word = if finding.fatal { ink.bad("error") } else { ink.warn("warn ") };
        let _ = writeln!(text, "{word}   {}: {} [{code}]", finding.subject, finding.message);
        if let Some(help) = &finding.help {
            let _ = writeln!(text, "        {}: {}", ink.bold("help"), help.replace('\n', "\n        "));
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
