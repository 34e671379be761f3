//! What a signal of the evidence is called and how its number is said. Pure.

use crate::engine::evidence::limit::Signal;

use super::text;

/// What a signal is called, and its number with its unit.
pub(super) fn words(signal: &Signal) -> (String, fn(f64) -> String) {
    let name = match signal.signal.as_str() {
        "run_s" => "Length of the run",
        "bytes" => "Bytes charged",
        "mbps" => "Rate",
        "sender_busy_percent" => "Sender had something to send",
        "busiest_thread_percent" => "Busiest stream thread, of a core",
        "wanting_thread_percent" => "A stream thread ran or waited for a core",
        "busiest_softirq_percent" => "Packet work of the busiest core",
        "cgroup_throttled_periods" => "Periods without CPU time left",
        "firmware_throttled" => "Firmware slowed the processor",
        "throttle_events" => "Processor got too hot",
        "rwnd_limited_percent_of_busy" => "Stopped by the receiver's window",
        "sndbuf_limited_percent_of_busy" => "Stopped by the send buffer",
        "cwnd_limited_percent_of_busy" => "Held by the congestion window",
        "path_mtu_bytes" => "Largest packet of the path",
        "retransmits" => "Segments sent again",
        "retransmit_percent" => "Share of segments sent again",
        "reassembly_failures" => "Packets with fragments missing",
        "udp_lost_percent" => "Datagrams lost",
        "loaded_rtt_us" => "Round trip under load",
        cut if cut.starts_with("end_reason_") => {
            let reason = text::plain(cut.trim_start_matches("end_reason_"));
            return (format!("The reflector ended the test: {reason}"), yes_or_no);
        }
        // From a reflector that knows more than we do.
        other => return (text::plain(&other.replace('_', " ")), number),
    };
    let say: fn(f64) -> String = match signal.signal.as_str() {
        "run_s" => text::seconds,
        "bytes" | "path_mtu_bytes" => size,
        "mbps" => text::rate,
        "loaded_rtt_us" => text::time,
        "firmware_throttled" => yes_or_no,
        name if name.contains("percent") => percent,
        _ => number,
    };
    (name.to_owned(), say)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates")]
fn size(bytes: f64) -> String {
    if bytes < 1e6 { format!("{} B", text::count(bytes as u64)) } else { text::bytes(bytes as u64) }
}

/// Small shares keep their decimals: what counts begins at a thousandth.
fn percent(share: f64) -> String {
    if share < 1.0 {
        format!("{} %", number(share))
    } else {
        format!("{} %", number((share * 10.0).round() / 10.0))
    }
}

/// From where on the number counts: one signal counts from there down.
pub(super) fn threshold(signal: &Signal) -> String {
    let (_, say) = words(signal);
    let said = say(signal.threshold.value());
    if signal.signal == "sender_busy_percent" { format!("below {said}") } else { said }
}

fn yes_or_no(raised: f64) -> String {
    if raised > 0.0 { "yes".to_owned() } else { "no".to_owned() }
}

/// At most three decimals, and none that are zero.
fn number(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::evidence::Real;
    use crate::engine::evidence::limit::Side;

    #[test]
    fn a_signal_is_said_with_its_unit_and_an_unknown_one_as_it_is() {
        let said = |name: &str, value| {
            let (value, threshold) = (Real::of(value).unwrap(), Real::default());
            let signal = Signal { signal: name.to_owned(), value, threshold, side: Side::Local };
            let (name, say) = words(&signal);
            format!("{name}: {}", say(value.value()))
        };
        assert_eq!(said("mbps", 936.2), "Rate: 936 Mbit/s");
        assert_eq!(said("loaded_rtt_us", 24_118.0), "Round trip under load: 24.1 ms");
        assert_eq!(said("path_mtu_bytes", 1420.0), "Largest packet of the path: 1,420 B");
        assert_eq!(said("bytes", 5e9), "Bytes charged: 5.00 GB");
        assert_eq!(said("retransmit_percent", 0.41), "Share of segments sent again: 0.41 %");
        assert_eq!(said("busiest_thread_percent", 97.123), "Busiest stream thread, of a core: 97.1 %");
        assert_eq!(said("firmware_throttled", 1.0), "Firmware slowed the processor: yes");
        assert_eq!(
            said("end_reason_quota_exceeded", 1.0),
            "The reflector ended the test: quota_exceeded: yes"
        );
        assert_eq!(said("of_the\u{1b}[2Jfuture", 2.5), "of the\u{fffd}[2Jfuture: 2.5");
    }
}
