use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::render::{self, Ink};
use plan::{Plan, Report, Spare};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

/// Shows what would change.
pub async fn run(args: &Args, exit_code: bool, destroy: bool, to: Option<&Path>) -> Result<u8, Failure> {
    let context = Context::open(args)?;
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let (plan, report) = make(&context, &observed, destroy);
    let bill = plan::bill(&context.subject.cluster, &observed);
    let document = render::plan_document(&plan, &report, &bill);
    render::document(args, &document, || render::plan(Ink::out(args), &plan, &report, &bill))?;
    if let Some(to) = to {
        let text = plan.save().map_err(|error| Failure::new("BQ0402", error.to_string()))?;
        files::write(to, text.as_bytes(), 0o600)?;
    }
    if !report.blocked.is_empty() {
        return Ok(1);
    }
    Ok(if exit_code && !plan.is_empty() { 3 } else { 0 })
}

fn make(context: &Context, observed: &plan::Observed, destroy: bool) -> (Plan, Report) {
    let wish = context.reach.wish(&context.subject);
    if destroy { plan::destroy(&wish, observed, Spare::default()) } else { plan::make(&wish, observed) }
}

/// Prints the plan's steps and what they wait for, in DOT.
pub async fn graph(args: &Args, destroy: bool) -> Result<u8, Failure> {
    let context = Context::open(args)?;
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let (plan, _) = make(&context, &observed, destroy);
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
    for step in &plan.steps {
        let _ = writeln!(text, "  {:?};", step.id);
        for before in &step.after {
            let _ = writeln!(text, "  {before:?} -> {:?};", step.id);
        }
    }
    text.push_str("}\n");
    render::out(&text);
    Ok(0)
}
