//! Crockford's base 32, the one alphabet of Endpoint IDs and pairing codes: no I, L, O, U, and read forgivingly.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The value of a symbol as people type it: any case, `O` as 0, `I` and `L` as 1.
pub(crate) fn value_of(symbol: char) -> Option<u8> {
    let canonical = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    ALPHABET.iter().position(|a| char::from(*a) == canonical).and_then(|p| u8::try_from(p).ok())
}

/// The symbol of a value; of its five lowest bits.
pub(crate) const fn symbol_of(value: u8) -> u8 {
    ALPHABET[(value & 31) as usize]
}
