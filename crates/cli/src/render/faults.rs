use super::style::{Ink, talk};
use super::width;
use crate::failure::{Failure, Marked};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};
use spec::{Fault, Severity, line_and_column};

/// Shows the faults of a file, each with its place, on stderr.
pub fn faults(ink: Ink, marked: &Marked) {
    for fault in &marked.faults {
        talk(&one(ink.is_on(), width::columns(), marked, fault));
        talk("");
    }
}

fn one(styled: bool, columns: usize, marked: &Marked, fault: &Fault) -> String {
    let (level, word) = match fault.severity {
        Severity::Error => (Level::ERROR, "error"),
        Severity::Warning => (Level::WARNING, "warning"),
    };
    let head = format!("{word}[{}]: ", fault.code).len();
    let message = width::lines(&fault.message, columns.saturating_sub(head)).join("\n");
    let title = level.primary_title(message).id(fault.code);
    let mut group = match fault.span.clone() {
        Some(span) => title.element(
            Snippet::source(marked.text.as_str())
                .path(marked.path.as_str())
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        None => Group::with_title(title),
    };
    if let Some(help) = &fault.help {
        let line = fault.span.as_ref().map_or(0, |span| line_and_column(&marked.text, span.start).0);
        let head = line.to_string().len() + " = help: ".len();
        group = group.element(Level::HELP.message(width::lines(help, columns.saturating_sub(head)).join("\n")));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(columns).render(&[group])
}

/// Shows why a command failed, on stderr.
pub fn failure(ink: Ink, failure: &Failure) {
    let Some(marked) = &failure.marked else {
        return error(ink, &failure.code, &failure.message, failure.help.as_deref());
    };
    faults(ink, marked);
    talk(&width::hanging(&format!("{}: ", ink.error("error")), "error: ".len(), &failure.message));
    if let Some(help) = &failure.help {
        talk(&remedy(ink, help));
    }
}

/// An error that has no place in a file.
pub fn error(ink: Ink, code: &str, message: &str, help: Option<&str>) {
    talk(&headed(ink, "error", code, message));
    if let Some(help) = help {
        talk(&remedy(ink, help));
    }
}

/// `word[code]: message`, wrapped.
pub fn headed(ink: Ink, word: &str, code: &str, message: &str) -> String {
    let head = format!("{word}[{code}]");
    width::hanging(&format!("{}: ", ink.error(&head)), head.len() + 2, message)
}

/// What to do about it, wrapped.
pub fn remedy(ink: Ink, help: &str) -> String {
    width::hanging(&format!("  {}: ", ink.bold("help")), "  help: ".len(), help)
}

/// A failure as programs are told it.
pub fn as_event(failure: &Failure) -> Value {
    let mut event = json!({
        "event": "error", "code": failure.code, "message": failure.message, "help": failure.help,
    });
    if let Some(marked) = &failure.marked {
        event["file"] = json!(marked.path);
        event["faults"] = marked.faults.iter().map(|fault| as_json(&marked.text, fault)).collect();
    }
    event
}

fn as_json(source: &str, fault: &Fault) -> Value {
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
