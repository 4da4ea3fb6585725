use super::style::{Ink, out, talk};
use crate::args::{Args, Output};
use crate::failure::Failure;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;
use spec::{Fault, Severity, line_and_column};

/// Shows the faults of a file, each with its place, on stderr.
pub fn faults(args: &Args, path: &str, source: &str, faults: &[Fault]) {
    for fault in faults {
        talk(&one(Ink::talk(args).is_on(), path, source, fault));
        talk("");
    }
}

fn one(styled: bool, path: &str, source: &str, fault: &Fault) -> String {
    let level = match fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(fault.message.as_str()).id(fault.code);
    let mut group = match fault.span.clone() {
        Some(span) => title.element(Snippet::source(source).path(path).annotation(AnnotationKind::Primary.span(span))),
        None => Group::with_title(title),
    };
    if let Some(help) = &fault.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group]).to_string()
}

/// Shows why a command failed: on stderr for people, as an event or document on stdout for programs.
pub fn failure(args: &Args, failure: &Failure) {
    if failure.said {
        return;
    }
    if args.output != Output::Text {
        let faults: Vec<_> = failure.faults.iter().map(|fault| as_json(&failure.source, fault)).collect();
        let mut event = json!({
            "event": "error", "code": failure.code, "message": failure.message, "help": failure.help,
        });
        if !faults.is_empty() {
            event["faults"] = json!(faults);
        }
        out(&format!("{event}\n"));
    }
    let ink = Ink::talk(args);
    if failure.faults.is_empty() {
        talk(&format!("{}: {}", ink.bad(&format!("error[{}]", failure.code)), failure.message));
        if let Some(help) = &failure.help {
            talk(&format!("  {}: {help}", ink.bold("help")));
        }
        return;
    }
    faults(args, &args.file.display().to_string(), &failure.source, &failure.faults);
    talk(&format!("{}: {}", ink.bad("error"), failure.message));
}

fn as_json(source: &str, fault: &Fault) -> serde_json::Value {
    let place = fault.span.clone().map(|span| {
        let (line, column) = line_and_column(source, span.start);
        json!({"line": line, "column": column, "from": span.start, "to": span.end})
    });
    let severity = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({"code": fault.code, "severity": severity, "message": fault.message, "place": place, "help": fault.help})
}
