//! What operator and pod share about pairing: the code people type, the key it stands for, and the proof of a claim.
//!
//! In: a code, and the uid of the object a peer refers to. Out: a key whose public half is published as `codeKey`, and
//! signatures that only who knew the code can make. Pure: random numbers and the memory to hash in are handed in.
//! Nothing published lets anybody try a code for less than one hash over 19 MiB. The code people compare when a pairing
//! waits for approval is [`crate::EndpointId::confirm`].

mod code;
mod hex;
mod key;
mod proof;
#[cfg(test)]
mod tests;

pub use code::Code;
pub use key::{BLOCKS, Block, CodeKey, Error, NotACodeKey, SecretKey, memory};
pub use proof::Statement;
