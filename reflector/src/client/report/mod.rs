//! A result for people: a line while it runs, a table, a page, and a folder of those before.
//!
//! In: a [`TestResult`](super::result::TestResult), or the numbers of the moment. Out: text for a terminal, a page that
//! opens from disk, files. All but two are pure: `screen` writes to the stream it is given, `history` to its folder.
//! Foreign text never reaches a terminal or a page as it is.

mod advice;
pub mod history;
pub mod html;
mod lost;
pub mod screen;
mod signal;
pub mod table;
mod text;
