//! Finds what was removed, changed, reordered or repeated in an audit log. Lines go in one after the other, a
//! [`Report`] comes out; nothing here opens a file.

mod report;
#[cfg(test)]
mod tests;
mod walk;

pub use report::{Fault, FileReport, Problem, Report};
pub(super) use walk::Walk;
