//! The machine API, called as an operator calls it.
