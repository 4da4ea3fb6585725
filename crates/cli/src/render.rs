//! Everything a person sees. Data goes to stdout, talk to stderr; colour never carries meaning alone.

mod events;
mod faults;
mod plan;
mod status;
mod style;

pub use events::Teller;
pub use faults::{failure, faults};
pub use plan::{bill_lines, plan, plan_document};
pub use status::{node_table, status};
pub use style::{Ink, document, out, talk, tracing};
