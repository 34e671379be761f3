//! The link room from outside: bytes on file, round trips, OpenSSL on the other end.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests and their helpers fail by panicking")]

mod golden;
mod openssl;
mod roundtrip;
mod samples;
