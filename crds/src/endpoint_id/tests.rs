use proptest::prelude::*;

use super::*;

const VECTORS: [(&str, &str); 4] = [
    (
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K",
    ),
    (
        "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8",
        "PP-0EGG-FFZK-SR8B-W7BG-VMCE-EJY0-K5KY-9NHG-KEJG-TQRX-VJ36-84JN-66W0-A",
    ),
    (
        "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5",
        "PP-ETGN-J824-MVJF-A496-BF57-79G4-V45G-AAEH-VXG2-QRRA-36MJ-AXK0-T7TG-E",
    ),
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "PP-TXD9-G0C2-P45B-FNAB-ZV9W-JS07-787E-2WQK-VAK2-69DF-08D6-HXR7-A4D0-R",
    ),
];

fn key(hex: &str) -> [u8; 32] {
    let mut out = [0u8; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    }
    out
}

/// I2
#[test]
fn the_four_vectors_read_and_write() {
    for (hex, text) in VECTORS {
        let id = EndpointId::from_public_key(key(hex));
        assert_eq!(id.to_string(), text);
        assert_eq!(text.len(), 69);
        assert_eq!(text.parse::<EndpointId>().unwrap(), id);
    }
}

/// I2
#[test]
fn reading_forgives_case_look_alikes_and_missing_dashes() {
    let (hex, text) = VECTORS[1];
    let id = EndpointId::from_public_key(key(hex));
    assert_eq!(text.to_lowercase().parse::<EndpointId>().unwrap(), id);
    assert_eq!(text.replace('-', "").parse::<EndpointId>().unwrap(), id);
    assert_eq!(text.replace('0', "O").parse::<EndpointId>().unwrap(), id);
    let (hex, text) = VECTORS[0];
    let id = EndpointId::from_public_key(key(hex));
    assert_eq!(text.replace('1', "I").parse::<EndpointId>().unwrap(), id);
    assert_eq!(text.replace('1', "l").parse::<EndpointId>().unwrap(), id);
}

/// I2, I9
#[test]
fn a_refusal_names_the_offending_symbol() {
    let text = VECTORS[0].1;
    let parse = |t: &str| t.parse::<EndpointId>().unwrap_err();
    assert_eq!(
        parse(&format!("{}M", &text[..68])),
        EndpointIdError::Check { found: 'M', expected: 'K', position: 69 }
    );
    assert!(matches!(
        parse(&text.replacen("7DN2", "UDN2", 1)),
        EndpointIdError::Symbol { symbol, position: 4, .. } if symbol == "U"
    ));
    assert_eq!(parse(&text[..68]), EndpointIdError::Length { found: 52 });
    assert_eq!(parse(&format!("{text}0")), EndpointIdError::Length { found: 54 });
    assert_eq!(parse("QQ-7DN2"), EndpointIdError::Prefix);
    assert_eq!(parse(""), EndpointIdError::Prefix);
    let last = format!("{}H-K", &text[..66]);
    assert_eq!(parse(&last), EndpointIdError::LastSymbol { symbol: 'H', position: 67 });
}

/// I9
#[test]
fn the_label_form_fits_a_label_and_converts_back() {
    for (hex, _) in VECTORS {
        let id = EndpointId::from_public_key(key(hex));
        assert_eq!(id.label().len(), 55);
        assert!(id.label().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
        assert_eq!(id.label().parse::<EndpointId>().unwrap(), id);
    }
}

#[test]
fn short_and_confirm_are_prefixes_a_person_can_compare() {
    let id = EndpointId::from_public_key(key(VECTORS[0].0));
    assert_eq!(id.short(), "7DN2-FF6E");
    assert_eq!(id.confirm(), "7DN2-FF6E-PTJ2-TRN3");
}

proptest! {
    /// I2, I9
    #[test]
    fn every_key_round_trips(bytes in any::<[u8; 32]>()) {
        let id = EndpointId::from_public_key(bytes);
        prop_assert_eq!(id.to_string().parse::<EndpointId>().unwrap(), id);
        prop_assert_eq!(id.label().parse::<EndpointId>().unwrap(), id);
    }

    /// I2: any single wrong symbol is caught.
    #[test]
    fn one_mistyped_symbol_is_always_refused(bytes in any::<[u8; 32]>(), at in 0usize..53, to in 0usize..32) {
        let text = EndpointId::from_public_key(bytes).to_string();
        let places: Vec<usize> = text.char_indices().skip(3).filter(|(_, c)| *c != '-').map(|(i, _)| i).collect();
        let mut wrong = text.clone().into_bytes();
        let new = crate::crockford::symbol_of(u8::try_from(to).unwrap());
        prop_assume!(wrong[places[at]] != new);
        wrong[places[at]] = new;
        prop_assert!(String::from_utf8(wrong).unwrap().parse::<EndpointId>().is_err());
    }

    #[test]
    fn no_text_panics(text in "\\PC*") {
        let _ = text.parse::<EndpointId>();
    }
}
