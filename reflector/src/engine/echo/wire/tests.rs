use proptest::prelude::*;

use super::*;

/// Made with Python's `hmac` and `struct` from the same numbers, not with this file.
const GOLDEN_REQUEST: &str = "5050453101000043010203040506070811121314151617180000000000000000000000000000000000000000001122332977cbcf39671282923b5930fb61ed5d706164";
const GOLDEN_REPLY: &str = "505045310201004301020304050607081112131415161718212223242526272831323334353637384142434400112233e5ba95cf457a0a6ce486bf02b0ddcc96706164";

const REQUEST_SENT: Request = Request { seq: 0x0102_0304_0506_0708, t1: 0x1112_1314_1516_1718 };
const STAMP_SENT: Stamp = Stamp {
    t2: 0x2122_2324_2526_2728,
    source: StampSource::Kernel,
    t3: 0x3132_3334_3536_3738,
    accepted: 0x4142_4344,
};

fn keys() -> Keys {
    let mut exported = [0; KEY_BYTES];
    for (byte, value) in exported.iter_mut().zip(0..) {
        *byte = value;
    }
    Keys::new(&exported, Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn padded() -> Vec<u8> {
    [&[0xee; MIN_LENGTH][..], b"pad"].concat()
}

/// E8, X4
#[test]
fn packets_are_those_of_the_specification_byte_for_byte() {
    let mut packet = padded();
    write_request(&mut packet, &keys(), REQUEST_SENT);
    assert_eq!(hex(&packet), GOLDEN_REQUEST);
    assert_eq!(read_request(&packet, &keys()), Ok(REQUEST_SENT));
    write_reply(&mut packet, &keys(), STAMP_SENT);
    assert_eq!(hex(&packet), GOLDEN_REPLY);
    assert_eq!(read_reply(&packet, &keys()), Ok(Reply { request: REQUEST_SENT, stamp: STAMP_SENT }));
}

/// E8: only padding may change on the way.
#[test]
fn every_bit_of_the_header_is_protected() {
    for reply in [false, true] {
        let mut packet = padded();
        write_request(&mut packet, &keys(), REQUEST_SENT);
        if reply {
            write_reply(&mut packet, &keys(), STAMP_SENT);
        }
        let reads = |packet: &[u8]| {
            if reply { read_reply(packet, &keys()).is_ok() } else { read_request(packet, &keys()).is_ok() }
        };
        assert!(reads(&packet));
        for bit in 0..packet.len() * 8 {
            packet[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(reads(&packet), bit / 8 >= MIN_LENGTH, "bit {bit}");
            packet[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// X4
#[test]
fn each_mistake_has_its_name() {
    let written = |length: usize| {
        let mut packet = vec![0; length];
        write_request(&mut packet, &keys(), REQUEST_SENT);
        packet
    };
    for length in [MIN_LENGTH, MAX_LENGTH] {
        assert_eq!(read_request(&written(length), &keys()), Ok(REQUEST_SENT));
    }
    for length in [0, 4, MIN_LENGTH - 1, MAX_LENGTH + 1, 65_507] {
        assert_eq!(written(length), vec![0; length], "{length} is no length of a packet");
        assert_eq!(read_request(&written(length), &keys()), Err(Malformed::Length));
    }
    let packet = written(100);
    assert_eq!(read_request(&packet[..99], &keys()), Err(Malformed::Length));
    assert_eq!(read_reply(&packet, &keys()), Err(Malformed::Kind));
    let others = Keys::new(&[7; KEY_BYTES], Uuid::from_u128(0x0011_2234 << 96));
    assert_eq!(read_request(&packet, &others), Err(Malformed::OtherTest));
    let same_id = Keys::new(&[7; KEY_BYTES], Uuid::from_u128(0x0011_2233 << 96));
    assert_eq!(read_request(&packet, &same_id), Err(Malformed::Tag));
    assert_eq!(read_request(&[b'x'; 64], &keys()), Err(Malformed::Kind));
}

/// A key serves one direction: a reply sent back to the server is no request, and the other way round.
#[test]
fn a_packet_cannot_be_turned_round() {
    let mut packet = padded();
    write_request(&mut packet, &keys(), REQUEST_SENT);
    packet[4] = REPLY;
    assert_eq!(read_reply(&packet, &keys()), Err(Malformed::Tag));
    write_reply(&mut packet, &keys(), STAMP_SENT);
    packet[4] = REQUEST;
    assert_eq!(read_request(&packet, &keys()), Err(Malformed::Tag));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        seq in any::<u64>(), t1 in any::<u64>(), t2 in any::<u64>(), t3 in any::<u64>(),
        accepted in any::<u32>(), source in 0_u8..3, length in MIN_LENGTH..=MAX_LENGTH,
    ) {
        let mut packet = vec![0xa5; length];
        let request = Request { seq, t1 };
        write_request(&mut packet, &keys(), request);
        prop_assert_eq!(read_request(&packet, &keys()), Ok(request));
        let stamp = Stamp { t2, source: StampSource::from_byte(source).unwrap(), t3, accepted };
        write_reply(&mut packet, &keys(), stamp);
        prop_assert_eq!(read_reply(&packet, &keys()), Ok(Reply { request, stamp }));
        prop_assert!(packet[MIN_LENGTH..].iter().all(|byte| *byte == 0xa5), "padding is returned as is");
    }

    #[test]
    fn foreign_bytes_are_refused(packet in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_request(&packet, &keys()).is_err() && read_reply(&packet, &keys()).is_err());
    }
}
