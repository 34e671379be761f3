//! Where to measure against, as a person types it: `PP-…@host:4000`, or `iperf3://host:5201` for a stock server.
//!
//! The Endpoint ID is part of the address: without it nobody could tell the reflector from whoever answers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crds::{EndpointId, EndpointIdError};

/// Where reflectors listen unless told otherwise.
pub const CONTROL_PORT: u16 = 4000;
/// Where stock iperf3 listens.
pub const IPERF3_PORT: u16 = 5201;
/// What the address of a stock server begins with.
pub const IPERF3_SCHEME: &str = "iperf3://";
/// Longest DNS name.
const LONGEST_NAME: usize = 253;

/// A host and a port, as given: names are resolved when we connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A reflector: whom to expect, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The only key that is accepted.
    pub endpoint_id: EndpointId,
    /// Where it listens.
    pub at: HostPort,
}

/// What `reflector test` measures against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A reflector.
    Reflector(Address),
    /// A stock iperf3 server: no identity, no quota, no echo.
    Iperf3(HostPort),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No Endpoint ID in front.
    #[error(
        "an address is PP-…@host:port, so that nobody can answer in the reflector's place; its owner sees the ID with \
         `reflector show-id` (a stock iperf3 server is {IPERF3_SCHEME}host:port)"
    )]
    NoEndpointId,
    /// Something else stands there.
    #[error("before the @: {0}")]
    EndpointId(#[from] EndpointIdError),
    /// Nothing behind the `@`.
    #[error(
        "the host is missing: write PP-…@host:port, for example PP-…@attic.local or PP-…@192.0.2.7:{CONTROL_PORT}"
    )]
    NoHost,
    /// No name and no address.
    #[error("\"{0}\" is no host name or address")]
    Host(String),
    /// Colons outside brackets.
    #[error("put an IPv6 address into brackets: [{0}] or [{0}]:port")]
    Brackets(String),
    /// No port number.
    #[error("\"{0}\" is no port: 1 to 65535")]
    Port(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text.trim().strip_prefix(IPERF3_SCHEME) {
            Some(rest) => host_port(rest, IPERF3_PORT).map(Self::Iperf3),
            None => text.parse().map(Self::Reflector),
        }
    }
}

impl FromStr for Address {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (id, at) = text.trim().split_once('@').ok_or_else(|| match text.parse::<EndpointId>() {
            Ok(_) => TargetError::NoHost,
            Err(_) => TargetError::NoEndpointId,
        })?;
        Ok(Self { endpoint_id: id.parse()?, at: host_port(at, CONTROL_PORT)? })
    }
}

fn host_port(text: &str, default: u16) -> Result<HostPort, TargetError> {
    let shown = || TargetError::Host(shown(text));
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or_else(shown)?;
        // fe80::1%eth0: the zone is the resolver's business.
        let literal = inside.split_once('%').map_or(inside, |(address, _)| address);
        literal.parse::<Ipv6Addr>().map_err(|_| shown())?;
        let port = match after {
            "" => default,
            after => port(after.strip_prefix(':').ok_or_else(shown)?)?,
        };
        return Ok(HostPort { host: inside.to_owned(), port });
    }
    let (host, port) = match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return Err(TargetError::Brackets(self::shown(text))),
        Some((host, given)) => (host, port(given)?),
        None => (text, default),
    };
    match host {
        "" => Err(TargetError::NoHost),
        host if is_host(host) => Ok(HostPort { host: host.to_owned(), port }),
        _ => Err(shown()),
    }
}

fn is_host(text: &str) -> bool {
    text.len() <= LONGEST_NAME
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text.starts_with(['-', '.'])
}

fn port(text: &str) -> Result<u16, TargetError> {
    match text.parse() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(TargetError::Port(shown(text))),
    }
}

/// What was typed, as an error may repeat it.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.endpoint_id, self.at)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reflector(address) => address.fmt(f),
            Self::Iperf3(at) => write!(f, "{IPERF3_SCHEME}{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "PP-7DN2-FF6E-PTJ2-TRN3-N382-MVRD-EDJK-45BQ-3QH4-79HT-R14A-32TS-V8MG-K";

    fn at(text: &str) -> (String, u16) {
        let address: Address = format!("{ID}@{text}").parse().unwrap();
        assert_eq!(address.endpoint_id.to_string(), ID);
        (address.at.host, address.at.port)
    }

    fn wrong(text: &str) -> TargetError {
        text.parse::<Target>().unwrap_err()
    }

    /// C2
    #[test]
    fn a_host_may_be_a_name_or_an_address_and_the_port_may_be_left_out() {
        assert_eq!(at("attic.local"), ("attic.local".to_owned(), 4000));
        assert_eq!(at("192.0.2.7:4100"), ("192.0.2.7".to_owned(), 4100));
        assert_eq!(at("[2001:db8::7]"), ("2001:db8::7".to_owned(), 4000));
        assert_eq!(at("[fe80::7%eth0]:4100"), ("fe80::7%eth0".to_owned(), 4100));
        let lower: Address = format!("  {}@h ", ID.to_lowercase()).parse().unwrap();
        assert_eq!(lower.to_string(), format!("{ID}@h:4000"));
        assert_eq!(format!("{ID}@[::1]").parse::<Target>().unwrap().to_string(), format!("{ID}@[::1]:4000"));
    }

    #[test]
    fn a_stock_server_needs_no_identity() {
        let expected = HostPort { host: "lab".to_owned(), port: 5201 };
        assert_eq!("iperf3://lab".parse(), Ok(Target::Iperf3(expected)));
        assert_eq!("iperf3://[::1]:77".parse::<Target>().unwrap().to_string(), "iperf3://[::1]:77");
    }

    /// C2
    #[test]
    fn what_is_wrong_with_an_address_is_said_with_what_to_write() {
        assert!(wrong("attic.local:4000").to_string().contains("reflector show-id"));
        assert_eq!(wrong(ID), TargetError::NoHost);
        assert_eq!(wrong(&format!("{ID}@")), TargetError::NoHost);
        assert_eq!(wrong(&format!("{ID}@:4000")), TargetError::NoHost);
        assert!(matches!(wrong(&format!("{}M@h", &ID[..68])), TargetError::EndpointId(_)));
        assert_eq!(wrong(&format!("{ID}@2001:db8::7")), TargetError::Brackets("2001:db8::7".to_owned()));
        for port in ["0", "65536", "+80", "", "x", "4000 "] {
            assert_eq!(wrong(&format!("{ID}@h:{port}x")), TargetError::Port(format!("{port}x")));
        }
        assert_eq!(wrong(&format!("{ID}@h:0")), TargetError::Port("0".to_owned()));
        for host in ["a b", "a/b", "-x", "[::1", "[x]", "[::1]4000", "a@b"] {
            assert!(matches!(wrong(&format!("{ID}@{host}")), TargetError::Host(_)), "{host}");
        }
        assert!(!wrong(&format!("{ID}@a\u{1b}b")).to_string().contains('\u{1b}'));
    }
}
