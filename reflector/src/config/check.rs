//! What no key can get wrong alone. Effects on the draft are here too: a port range that is ignored is gone.

use std::net::SocketAddr;

use super::NetworkMode;
use super::parse::Reading;
use super::report::Severity::{Error, Warning};

const START: &str = "network.data_port_range_start";
const END: &str = "network.data_port_range_end";
const LISTEN: &str = "network.listen_address";
const HEALTH: &str = "network.listen_address_health";
const MODE: &str = "network.mode";
const DEFAULT_STREAMS: &str = "iperf3.default_streams";
const MAX_STREAMS: &str = "iperf3.max_streams";

/// `sun_path` holds 108 bytes with the zero at its end; bind fails beyond.
const LONGEST_SOCKET_PATH: usize = 107;

/// Looks at all keys together and settles what follows from several.
pub(super) fn check(reading: &mut Reading<'_>) {
    range(reading);
    listeners(reading);
    streams(reading);
    admin_socket(reading);
}

fn range(reading: &mut Reading<'_>) {
    let mode = reading.draft.config.network.mode;
    match (reading.is_given(START), reading.is_given(END)) {
        (false, false) => {
            if mode == NetworkMode::DirectEphemeral {
                let message = format!("`{MODE}` is direct_ephemeral, which needs data ports");
                let help = "write `data_port_range_start = 5201` and `data_port_range_end = 5210`, or mode = \"auto\"";
                reading.together(Error, &[MODE], message, help.to_owned());
            }
            return;
        }
        (true, false) => return half(reading, START, END, "data_port_range_end = 5210"),
        (false, true) => return half(reading, END, START, "data_port_range_start = 5201"),
        (true, true) => {}
    }
    let (Some(start), Some(end)) = (reading.draft.range_start, reading.draft.range_end) else { return };
    if !reading.is_sound(START) || !reading.is_sound(END) {
        return;
    }
    if start > end {
        let message = format!("the data ports run backwards, from {start} to {end}");
        let help = format!("write `data_port_range_start = {end}` and `data_port_range_end = {start}`");
        return reading.together(Error, &[START, END], message, help);
    }
    if mode == NetworkMode::Tunneled {
        let message = format!("the data ports {start} to {end} are ignored: `{MODE}` is tunneled");
        let help = "remove both keys and close the ports, or write mode = \"auto\" to use them";
        return reading.together(Warning, &[START, END], message, help.to_owned());
    }
    for (key, address) in [
        (LISTEN, reading.draft.config.network.listen_address),
        (HEALTH, reading.draft.config.network.listen_address_health),
    ] {
        let port = address.port();
        if reading.is_sound(key) && (start..=end).contains(&port) {
            let message = format!("the data ports {start} to {end} contain port {port} of `{key}`");
            let help = "choose a range without it, such as 5201 to 5210";
            reading.together(Error, &[START, END], message, help.to_owned());
        }
    }
    reading.draft.config.network.data_ports = Some((start, end));
}

fn half(reading: &mut Reading<'_>, given: &str, missing: &str, example: &str) {
    let message = format!("`{given}` is set, `{missing}` is not");
    reading.together(Error, &[given], message, format!("write `{example}` too, or neither"));
}

fn listeners(reading: &mut Reading<'_>) {
    let network = &reading.draft.config.network;
    let (control, health) = (network.listen_address, network.listen_address_health);
    if control.port() != 0 && collide(control, health) && reading.is_sound(LISTEN) && reading.is_sound(HEALTH)
    {
        let message = format!("`{LISTEN}` and `{HEALTH}` both want port {}", control.port());
        let help = "give /health a port of its own: `listen_address_health = \"0.0.0.0:7301\"`";
        reading.together(Error, &[HEALTH, LISTEN], message, help.to_owned());
    }
}

/// Whether the second of two binds would fail.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

fn streams(reading: &mut Reading<'_>) {
    let iperf3 = &mut reading.draft.config.iperf3;
    let (default, max) = (iperf3.default_streams, iperf3.max_streams);
    if default <= max {
        return;
    }
    // Lowering the maximum alone lowers our own default with it; it is nobody's contradiction.
    iperf3.default_streams = max;
    if reading.is_given(DEFAULT_STREAMS) && reading.is_sound(DEFAULT_STREAMS) && reading.is_sound(MAX_STREAMS)
    {
        let message = format!("`{DEFAULT_STREAMS}` is {default}, more than `{MAX_STREAMS}` allows ({max})");
        let help = format!("write `default_streams = {max}`, or raise max_streams");
        reading.together(Error, &[DEFAULT_STREAMS], message, help);
    }
}

fn admin_socket(reading: &mut Reading<'_>) {
    let path = reading.draft.config.admin_socket_path();
    let length = path.as_os_str().len();
    if length > LONGEST_SOCKET_PATH {
        let message = format!(
            "the path of the admin socket has {length} bytes; a socket's has at most {LONGEST_SOCKET_PATH}"
        );
        let help = "write `admin_socket = \"/run/reflector/admin.sock\"` in [network]";
        let keys = ["network.admin_socket", "identity.private_key_path"];
        reading.together(Error, &keys, message, help.to_owned());
    }
}
