//! Everything a person sees. Data goes to stdout, talk to stderr; colour never carries meaning alone.

mod events;
mod faults;
mod ids;
mod plan;
mod status;
mod style;
mod width;

pub use events::Teller;
pub use faults::faults;
pub use plan::{plan, plan_document};
pub use status::{node_table, status};
pub use style::{Ink, document, out, talk, tracing};
pub use width::hanging;
