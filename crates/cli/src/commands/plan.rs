use crate::args::Args;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::render::{self, Ink, Teller};
use plan::{Plan, Report, Spare};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use wire::Time;

/// What of a plan is asked for.
pub struct Wanted<'a> {
    /// Whether changes are an exit code.
    pub exit_code: bool,
    /// The removal of everything instead.
    pub destroy: bool,
    /// Where to keep it for `apply --plan`.
    pub out: Option<&'a Path>,
}

/// Shows what would change.
pub async fn run(args: &Args, teller: &Teller, time: &Time, wanted: Wanted<'_>) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
    context.tell_stale_lock(teller)?;
    let observed = engine::observe(&context.reach, &context.subject, &BTreeSet::new()).await?;
    let (plan, report) = make(&context, &observed, wanted.destroy);
    let bill = plan::bill(&context.subject.cluster, &observed);
    let exit = match (report.blocked.is_empty(), plan.is_empty()) {
        (false, _) => 1,
        (true, false) if wanted.exit_code => 3,
        _ => 0,
    };
    if let Some(to) = wanted.out {
        let text = plan.save().map_err(|error| Failure::new("BQ0402", error.to_string()))?;
        files::write(to, text.as_bytes(), 0o600)?;
    }
    let document = render::plan_document(&plan, &report, &bill);
    let blocked = report.blocked.len();
    teller.document(exit, blocked, document, || render::plan(Ink::out(args), &plan, &report, &bill))?;
    Ok(exit)
}

fn make(context: &Context, observed: &plan::Observed, destroy: bool) -> (Plan, Report) {
    let wish = context.reach.wish(&context.subject);
    if destroy { plan::destroy(&wish, observed, Spare::default()) } else { plan::make(&wish, observed) }
}

/// Prints the plan's steps and what they wait for, in DOT.
pub async fn graph(args: &Args, time: &Time, destroy: bool) -> Result<u8, Failure> {
    let context = Context::open(args, time)?;
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
    render::out(&text)?;
    Ok(0)
}
