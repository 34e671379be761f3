//! A result for people: a line while it runs, a table, and a folder of those before.
//!
//! In: a [`TestResult`](super::result::TestResult), or the numbers of the moment. Out: text for a terminal, files.
//! `table`, `advice` and `text` are pure; `screen` writes to the stream it is given, `history` to its folder. Foreign
//! text never reaches a terminal as it is.

mod advice;
pub mod history;
pub mod screen;
pub mod table;
mod text;
