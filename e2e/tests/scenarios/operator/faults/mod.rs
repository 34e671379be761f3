//! What breaks around operator and reflectors, and what must be true then: nothing is lost, nobody gets more than was
//! granted, and it is over by itself. In: one fault per story. Out: what was seen before, meanwhile and afterwards.
//!
//! Elsewhere: `kept` (an API server that stays away), `pairing/crashes` (an operator that dies while it makes codes),
//! `admission` (a pod that writes another's status).

mod definitions;
mod measuring;
mod objects;
mod operators;
mod outage;
