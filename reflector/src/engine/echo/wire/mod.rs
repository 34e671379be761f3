//! The keyed echo packet, byte for byte (engines.md §4), and the keys that only the two ends of a control connection
//! know. Everything is big-endian. Whoever lacks the keys can neither ask nor answer.

mod mac;

use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The first four bytes of every packet.
pub const MAGIC: [u8; 4] = *b"PPE1";
/// Shortest packet: everything but padding.
pub const MIN_LENGTH: usize = 64;
/// Longest packet: what an MTU of 9000 carries over IPv4 and UDP in one piece.
pub const MAX_LENGTH: usize = 8972;
/// Keys of one session: client to server, then server to client.
pub const KEY_BYTES: usize = 2 * mac::KEY;

const SIGNED: usize = 48;
const TAG: usize = 16;
const REQUEST: u8 = 1;
const REPLY: u8 = 2;

/// Which clock said when the server received a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampSource {
    /// This program, after it was woken.
    User,
    /// The kernel, when it took the datagram in.
    Kernel,
    /// The network card.
    Card,
}

impl StampSource {
    const fn byte(self) -> u8 {
        match self {
            Self::User => 0,
            Self::Kernel => 1,
            Self::Card => 2,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::User),
            1 => Some(Self::Kernel),
            2 => Some(Self::Card),
            _ => None,
        }
    }

    /// Of two, the one to name when both were at work.
    #[must_use]
    pub const fn least_exact(self, other: Self) -> Self {
        if self.byte() <= other.byte() { self } else { other }
    }

    /// The name in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Kernel => "kernel",
            Self::Card => "nic",
        }
    }
}

/// The keys of one session, and which one it is.
pub struct Keys {
    to_server: mac::Key,
    to_client: mac::Key,
    id: [u8; 4],
}

impl Keys {
    /// From the exporter's bytes for this test. Both ends make the same.
    pub fn new(exported: &[u8; KEY_BYTES], test_id: Uuid) -> Self {
        let (keys, _) = exported.as_chunks::<{ mac::KEY }>();
        let [a, b, c, d, ..] = test_id.into_bytes();
        Self { to_server: mac::Key::new(&keys[0]), to_client: mac::Key::new(&keys[1]), id: [a, b, c, d] }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// What a request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its number, from 1.
    pub seq: u64,
    /// The client's own time, returned as it is.
    pub t1: u64,
}

/// What a server adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When the request arrived, nanoseconds of `CLOCK_REALTIME`.
    pub t2: u64,
    /// Who says so.
    pub source: StampSource,
    /// When the answer left.
    pub t3: u64,
    /// Requests answered so far, this one included; wraps.
    pub accepted: u32,
}

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The request it answers.
    pub request: Request,
    /// What the server added.
    pub stamp: Stamp,
}

/// Why a packet is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not 64 to 8972 bytes, or it names another length than it has.
    #[error("wrong length")]
    Length,
    /// Another magic, or an answer where a request belongs.
    #[error("not an echo packet of this direction")]
    Kind,
    /// Of another test.
    #[error("another test's packet")]
    OtherTest,
    /// Not made with this session's key, or changed on the way.
    #[error("wrong tag")]
    Tag,
}

/// Fills a request's header in; the rest of the packet is padding and stays.
///
/// Nothing happens to a packet that is shorter or longer than any packet may be.
pub fn write_request(packet: &mut [u8], keys: &Keys, request: Request) {
    let Some(length) = fitting(packet.len()) else { return };
    let Some(header) = packet.first_chunk_mut::<MIN_LENGTH>() else { return };
    header[0..4].copy_from_slice(&MAGIC);
    header[4] = REQUEST;
    header[5] = StampSource::User.byte();
    header[6..8].copy_from_slice(&length.to_be_bytes());
    header[8..16].copy_from_slice(&request.seq.to_be_bytes());
    header[16..24].copy_from_slice(&request.t1.to_be_bytes());
    header[24..44].fill(0);
    header[44..48].copy_from_slice(&keys.id);
    seal(header, &keys.to_server);
}

/// Reads a request. The tag is compared last, in constant time: what comes before it is no secret and spares a flood
/// its price.
pub fn read_request(packet: &[u8], keys: &Keys) -> Result<Request, Malformed> {
    let header = open(packet, REQUEST, keys, &keys.to_server)?;
    Ok(request(header))
}

/// Turns a request into its reply, in place: same length, same padding.
pub fn write_reply(packet: &mut [u8], keys: &Keys, stamp: Stamp) {
    let Some(header) = packet.first_chunk_mut::<MIN_LENGTH>() else { return };
    header[4] = REPLY;
    header[5] = stamp.source.byte();
    header[24..32].copy_from_slice(&stamp.t2.to_be_bytes());
    header[32..40].copy_from_slice(&stamp.t3.to_be_bytes());
    header[40..44].copy_from_slice(&stamp.accepted.to_be_bytes());
    seal(header, &keys.to_client);
}

/// Reads a reply.
pub fn read_reply(packet: &[u8], keys: &Keys) -> Result<Reply, Malformed> {
    let header = open(packet, REPLY, keys, &keys.to_client)?;
    let source = StampSource::from_byte(header[5]).ok_or(Malformed::Kind)?;
    let stamp = Stamp { t2: long(header, 24), source, t3: long(header, 32), accepted: word(header, 40) };
    Ok(Reply { request: request(header), stamp })
}

fn request(header: &[u8; MIN_LENGTH]) -> Request {
    Request { seq: long(header, 8), t1: long(header, 16) }
}

fn open<'a>(
    packet: &'a [u8],
    kind: u8,
    keys: &Keys,
    key: &mac::Key,
) -> Result<&'a [u8; MIN_LENGTH], Malformed> {
    let length = fitting(packet.len()).ok_or(Malformed::Length)?;
    let header = packet.first_chunk::<MIN_LENGTH>().ok_or(Malformed::Length)?;
    if header[0..4] != MAGIC || header[4] != kind {
        return Err(Malformed::Kind);
    }
    if header[6..8] != length.to_be_bytes() {
        return Err(Malformed::Length);
    }
    if header[44..48] != keys.id {
        return Err(Malformed::OtherTest);
    }
    let (signed, tag) = header.split_first_chunk::<SIGNED>().ok_or(Malformed::Length)?;
    let tag = tag.first_chunk::<TAG>().ok_or(Malformed::Length)?;
    // As numbers: one comparison in constant time in place of sixteen.
    let (expected, found) = (u128::from_ne_bytes(tag_of(signed, key)), u128::from_ne_bytes(*tag));
    if bool::from(expected.ct_eq(&found)) { Ok(header) } else { Err(Malformed::Tag) }
}

fn seal(header: &mut [u8; MIN_LENGTH], key: &mac::Key) {
    if let Some((signed, tag)) = header.split_first_chunk_mut::<SIGNED>() {
        tag.copy_from_slice(&tag_of(signed, key));
    }
}

fn tag_of(signed: &[u8; SIGNED], key: &mac::Key) -> [u8; TAG] {
    let whole = key.tag(signed);
    std::array::from_fn(|at| whole[at])
}

fn fitting(length: usize) -> Option<u16> {
    u16::try_from(length).ok().filter(|_| (MIN_LENGTH..=MAX_LENGTH).contains(&length))
}

fn long(header: &[u8; MIN_LENGTH], at: usize) -> u64 {
    u64::from(word(header, at)) << 32 | u64::from(word(header, at + 4))
}

fn word(header: &[u8; MIN_LENGTH], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests;
