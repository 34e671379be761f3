//! Tests of the index and its handle.
mod handle;
mod index;
