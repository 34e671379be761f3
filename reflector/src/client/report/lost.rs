//! Whose loss it was, in words. A tunnel is TCP: what does not come out of it in time found no room in a queue of
//! either end, and no network lost it. Pure.

use crate::client::result::{Echo, LostIn, Phase};

use super::text::count;

/// Echoes without an answer: what the reflector's limit held back is none of them.
pub(super) fn unanswered(echo: &Echo) -> u64 {
    echo.sent.saturating_sub(echo.n).saturating_sub(echo.limited.unwrap_or(0))
}

/// Follows "lost".
pub(super) const fn place(lost_in: LostIn) -> &'static str {
    match lost_in {
        LostIn::Path => "",
        LostIn::Tunnel => " in the tunnel",
    }
}

/// "12 datagrams", if its tunnel lost any.
pub(super) fn datagrams(phase: &Phase) -> Option<String> {
    let udp = phase.udp.as_ref().filter(|udp| udp.lost_in == LostIn::Tunnel)?;
    some(udp.lost, "datagram")
}

/// "3 echoes", idle and loaded, if its tunnel lost any.
pub(super) fn echoes(phase: &Phase) -> Option<String> {
    let both = [&phase.echo_idle, &phase.echo_loaded].into_iter().flatten();
    some(both.filter(|echo| echo.lost_in == LostIn::Tunnel).map(unanswered).sum(), "echo")
}

fn some(lost: u64, what: &str) -> Option<String> {
    let plural = match what {
        _ if lost == 1 => "",
        "echo" => "es",
        _ => "s",
    };
    (lost > 0).then(|| format!("{} {what}{plural}", count(lost)))
}

#[cfg(test)]
mod tests {
    use super::super::{html, table};
    use super::*;
    use crate::client::result::samples;

    /// X8
    #[test]
    fn what_a_tunnel_lost_is_said_to_be_no_networks_on_the_terminal_and_on_the_page() {
        let mut result = samples::cut();
        let text = table::render(&result, false);
        let line = text.lines().find(|line| line.starts_with("Tunnel loss")).unwrap();
        assert!(line.contains("12 datagrams of down tunneled") && line.contains("no network"), "{line}");
        assert!(html::render(&result).contains("<dt>Datagrams lost in the tunnel</dt>"));

        let udp = result.phases[0].udp.as_mut().unwrap();
        udp.lost_in = LostIn::Path;
        assert!(!table::render(&result, false).contains("Tunnel loss"));
        assert!(html::render(&result).contains("<dt>Datagrams lost</dt>"));
    }

    /// X8
    #[test]
    fn echoes_that_a_tunnel_swallowed_are_told_apart_from_those_the_path_lost() {
        let result = samples::complete();
        let text = table::render(&result, false);
        let line = text.lines().find(|line| line.starts_with("Tunnel loss")).unwrap();
        assert!(line.contains(" 2 echoes of down tunneled") && !line.contains("datagram"), "{line}");
        let page = html::render(&result);
        let said = |words: &str| page.matches(words).count();
        assert_eq!((said("0 lost down;"), said("0 lost down in the tunnel;")), (6, 2));
    }
}
