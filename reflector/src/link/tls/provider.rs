//! What cryptography is offered, in which order.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

const AES_FIRST: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

/// AES without instructions is several times slower and leaks timing.
const CHACHA_FIRST: [SupportedCipherSuite; 3] = [
    cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    cipher_suite::TLS13_AES_128_GCM_SHA256,
    cipher_suite::TLS13_AES_256_GCM_SHA384,
];

/// As a client we send one key share, for the first. As a server we take the first of the *client's* list that is
/// here: clients put the group they sent a share for in front, so nobody pays a second round trip, and who prefers
/// the post-quantum hybrid gets it. P-256 is for OpenSSL builds restricted to NIST curves; larger curves would only
/// let a stranger buy our CPU time dearly.
const GROUPS: [&dyn SupportedKxGroup; 3] = [kx_group::X25519, kx_group::X25519MLKEM768, kx_group::SECP256R1];

/// aws-lc-rs with our order of ciphers.
pub(super) fn provider(aes: bool) -> CryptoProvider {
    CryptoProvider {
        cipher_suites: if aes { AES_FIRST } else { CHACHA_FIRST }.to_vec(),
        kx_groups: GROUPS.to_vec(),
        ..default_provider()
    }
}

/// Whether this very processor computes AES-GCM in hardware. Not by architecture: a Raspberry Pi 4 is aarch64
/// without AES, a Pi 5 has it.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

/// Whether this very processor computes AES-GCM in hardware. Not by architecture: a Raspberry Pi 4 is aarch64
/// without AES, a Pi 5 has it.
#[cfg(target_arch = "aarch64")]
pub(super) fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
}

/// Unknown architectures get what is fast in plain software.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn has_aes() -> bool {
    false
}
