//! Codes, keys and proofs together.

use super::*;
use crate::EndpointId;

const SALT: &str = "5f0c2f0e-7f5e-4c53-a0a1-9f6f1a3a1c11";

fn key(code: &str, salt: &str) -> SecretKey {
    SecretKey::derive(&Code::parse(code).unwrap(), salt, &mut memory()).unwrap()
}

fn statement<'a>(peer_uid: &'a str, reflector: &'a str, byte: u8) -> Statement<'a> {
    Statement { peer_uid, reflector, endpoint_id: EndpointId::from_public_key([byte; 32]) }
}

/// Pod and operator may be of different releases: the key of a code never changes. This one was computed by others: the
/// seed by the C implementation of argon2 (`printf AB102345 | argon2 $SALT -id -t 2 -k 19456 -p 1 -l 32 -r`), its public
/// key by OpenSSL.
#[test]
fn a_code_and_a_salt_have_one_key_for_ever() {
    let found = key("ab1o-2345", SALT).code_key().to_string();
    assert_eq!(found, "d6ee5b687224e1248d8f3a0a4d2c090267f23987e5865a37edef271e29b77b5a");
}

#[test]
fn another_code_or_another_salt_is_another_key() {
    let one = key("AB102345", SALT).code_key();
    assert_ne!(one, key("AB102346", SALT).code_key());
    assert_ne!(one, key("AB102345", "5f0c2f0e-7f5e-4c53-a0a1-9f6f1a3a1c12").code_key());
}

#[test]
fn a_proof_holds_for_its_statement_alone() {
    let secret = key("AB102345", SALT);
    let public: CodeKey = secret.code_key().to_string().parse().unwrap();
    let proof = secret.prove(&statement("uid-1", "attic", 7));
    assert!(public.accepts(&statement("uid-1", "attic", 7), &proof));
    for other in
        [statement("uid-2", "attic", 7), statement("uid-1", "cellar", 7), statement("uid-1", "attic", 8)]
    {
        assert!(!public.accepts(&other, &proof), "{other:?}");
    }
    assert!(!key("AB102346", SALT).code_key().accepts(&statement("uid-1", "attic", 7), &proof));
}

#[test]
fn what_is_no_proof_is_refused() {
    let secret = key("AB102345", SALT);
    let (public, said) = (secret.code_key(), statement("uid-1", "attic", 7));
    let proof = secret.prove(&said);
    let flipped = format!("{}{}", &proof[..127], if proof.ends_with('0') { '1' } else { '0' });
    for bad in
        ["", "00", &proof[..126], &proof.to_uppercase(), &format!("{proof}00"), &flipped, &"é".repeat(64)]
    {
        assert!(!public.accepts(&said, bad), "{bad}");
    }
}

/// With an ordinary check a key of small order accepts the zero signature for any message.
#[test]
fn a_key_that_fits_everything_fits_nothing() {
    let mut one = [0; 32];
    one[0] = 1;
    let weak: CodeKey = hex::text(&one).parse().unwrap();
    let mut forged = [0; 64];
    forged[..32].copy_from_slice(&one);
    assert!(!weak.accepts(&statement("uid-1", "attic", 7), &hex::text(&forged)));
}

#[test]
fn parts_cannot_be_moved_between_fields() {
    assert_ne!(statement("ab", "c", 7).message(), statement("a", "bc", 7).message());
    let message = statement("u", "attic", 7).message();
    assert!(message.starts_with(b"\0\0\0\x09pp-pair/1\0\0\0\x01u\0\0\0\x05attic\0\0\0\x45PP-"));
}

#[test]
fn a_code_key_reads_back_in_its_one_form_only() {
    let text = key("AB102345", SALT).code_key().to_string();
    assert_eq!(text.parse::<CodeKey>().unwrap().to_string(), text);
    for bad in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &"0".repeat(63)] {
        assert_eq!(bad.parse::<CodeKey>(), Err(NotACodeKey), "{bad}");
    }
}

#[test]
fn a_salt_that_is_no_uid_and_too_little_memory_are_errors() {
    let code = Code::parse("AB102345").unwrap();
    assert!(SecretKey::derive(&code, "", &mut memory()).is_err());
    assert!(SecretKey::derive(&code, SALT, &mut memory()[1..]).is_err());
}

#[test]
fn nothing_shows_a_secret_key() {
    assert_eq!(format!("{:?}", key("AB102345", SALT)), "SecretKey(hidden)");
}
