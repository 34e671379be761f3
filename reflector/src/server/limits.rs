//! Every limit of the control port, in one place: its value, the reason for it, and the test that shows it.

use std::time::Duration;

/// Control connections in all. Each costs a descriptor and some 20 KiB (docs/bench/cost.md), so 512 fit a small host beside
/// the engines. Test: `home_made_certificates_cannot_fill_every_place`.
pub const MAX_CONNECTIONS: usize = MAX_HALF_OPEN + MAX_KNOWN;

/// Connections whose Endpoint ID policy does not know (yet): handshakes, strangers, pairing. Everything a stranger
/// can hold is in here. Test: `when_all_half_open_places_are_taken_the_most_loaded_source_gives_one_up`.
pub const MAX_HALF_OPEN: usize = 256;

/// Of those, per source (an IPv4 address or an IPv6 /64), so that one host cannot take them all.
/// Test: `a_source_over_its_share_loses_its_own_oldest`.
pub const MAX_HALF_OPEN_PER_SOURCE: usize = 16;

/// Places reserved for known IDs: strangers cannot take them. Test: `strangers_cannot_take_places_of_known_ids`.
pub const MAX_KNOWN: usize = 256;

/// Control connections of one known ID; an appliance needs one. Test: `the_ninth_connection_of_an_id_is_refused`.
pub const MAX_PER_ID: usize = 8;

/// When so many connections have gone, their memory is given back to the system. Some 20 KiB each: fewer would not be
/// worth the millisecond it takes, and a stranger who makes us do it has paid for as many connections.
/// Test: `a_crowd_that_left_is_noticed_once`.
pub const CROWD: usize = 64;

/// From accept to the first byte. Longer than any real client takes, short enough that silent sockets go.
/// Test: `a_silent_socket_is_closed`.
pub const FIRST_BYTE: Duration = Duration::from_secs(10);

/// From the first cookie byte to the whole iperf3 cookie. Test: `a_cookie_without_a_grant_is_reset`.
pub const COOKIE: Duration = Duration::from_secs(3);

/// One deadline over the whole TLS handshake, however slowly its bytes come. Test: `a_slow_handshake_is_closed`.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a client may say before its first message of the handshake is whole. Real ones have 200 to 600 bytes, those with
/// keys against quantum computers 1800. Test: `a_hello_without_an_end_is_closed`.
pub const CLIENT_HELLO: usize = 16 * 1024;

/// From the end of the handshake to `hello`. Test: `a_peer_that_never_says_hello_is_closed`.
pub const HELLO: Duration = Duration::from_secs(10);

/// From the first to the last byte of a frame. Test: `one_byte_a_second_is_closed`.
pub const FRAME: Duration = Duration::from_secs(10);

/// Largest payload from a peer policy does not know (yet): it may say `hello` and `pair_request`, which take a few hundred
/// bytes, and 256 strangers with a mebibyte of unfinished frame each would be a quarter of a gibibyte. Known peers may
/// send what the protocol allows. Test: `strangers_may_send_small_frames_only`.
pub const STRANGER_PAYLOAD: usize = 4096;

/// Without a frame, while no session runs. Test: `an_idle_connection_is_closed_but_not_during_a_session`.
pub const IDLE: Duration = Duration::from_secs(300);

/// For the peer to take an answer off our hands. Test: `a_peer_that_never_reads_is_closed`.
pub const WRITE: Duration = Duration::from_secs(10);

/// The fifth bad frame closes: a confused client gets four chances, a fuzzer does not get a parser.
/// Test: `the_fifth_bad_frame_closes`.
pub const MAX_BAD_FRAMES: u32 = 5;

/// After an oversized frame: how much is read and thrown away so that the error frame survives the close.
/// Test: `one_byte_over_a_mebibyte_gets_an_error_frame`.
pub const DRAIN_BYTES: usize = 64 * 1024;

/// And for how long.
/// Test: `whoever_finds_no_place_hears_why_and_is_gone_though_it_stays_silent_or_goes_on_talking`.
pub const DRAIN_TIME: Duration = Duration::from_millis(100);

/// For `close_notify` to leave before the socket is dropped; a peer that does not read cannot hold a descriptor.
pub const GOODBYE: Duration = Duration::from_millis(250);

/// Pause after `accept()` fails for want of descriptors or memory, so that the loop does not spin.
/// Test: `running_out_of_descriptors_does_not_stop_a_good_peer`.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Strangers sent away each time descriptors run out. One would let in 20 connections a second, with a good peer at the
/// end of a long queue, and leave its test none to run with: a test takes up to eleven.
/// Test: `running_out_of_descriptors_does_not_stop_a_good_peer`.
pub const MAKE_ROOM: usize = 16;

/// Keepalive while a session runs: a vanished client is noticed within 3 s (link.md §8).
pub const SESSION_KEEPALIVE: Duration = Duration::from_secs(1);

/// How long a drain lets running sessions go on: two tests of the longest kind and their last exchanges. Sessions
/// end by themselves before it; it bounds what a broken engine could hold. Test: `sigterm_lets_a_running_test_finish`.
pub const DRAIN: Duration = Duration::from_secs(320);

/// After its test ended during a drain, how long a connection may wait to ask for the second half.
pub const DRAIN_SECOND_HALF: Duration = Duration::from_secs(2);
