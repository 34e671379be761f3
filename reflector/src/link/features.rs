//! What `hello` negotiates: the version, and which extensions both sides know.
//!
//! An appliance aborts on a message or value it does not know, so nothing new is sent before both sides listed it.

use std::fmt;
use std::str::FromStr;

/// The version both sides of pp-link/1 put into `hello` and `server_hello`.
pub const VERSION: &str = "1.0";

/// The only major version spoken.
const MAJOR: u16 = 1;

/// A name in `hello.features`. The first two are the ecosystem's, the others extend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Feature {
    /// The peer can run throughput tests.
    Throughput,
    /// The peer can run UDP echo tests.
    UdpEcho,
    /// Position and expected wait instead of `busy`.
    Queue,
    /// `session_result` after each session.
    Results,
    /// Data streams on the control port.
    Tunnel,
    /// Echo packets carry a token keyed from the TLS session.
    EchoToken,
    /// The deny reason of that name; peers without it read `busy`.
    ResourceExhausted,
    /// A signed new Endpoint ID after a key rotation.
    Succession,
}

impl Feature {
    /// Every feature this source knows; what a build really does is up to the caller of [`negotiate`].
    pub const ALL: [Self; 8] = [
        Self::Throughput,
        Self::UdpEcho,
        Self::Queue,
        Self::Results,
        Self::Tunnel,
        Self::EchoToken,
        Self::ResourceExhausted,
        Self::Succession,
    ];

    /// The wire name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::UdpEcho => "udp_echo",
            Self::Queue => "queue",
            Self::Results => "results",
            Self::Tunnel => "tunnel",
            Self::EchoToken => "echo_token",
            Self::ResourceExhausted => "resource_exhausted",
            Self::Succession => "succession",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of features; a byte, so every connection carries its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u8);

impl Features {
    /// None at all: what a peer has before `hello`.
    pub const NONE: Self = Self(0);

    /// The set with these members.
    pub const fn of(features: &[Feature]) -> Self {
        let mut bits = 0;
        let mut rest = features;
        while let Some((first, others)) = rest.split_first() {
            bits |= first.bit();
            rest = others;
        }
        Self(bits)
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether both sides listed it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Wire names in a fixed order, for `hello` and `server_hello`.
    pub fn names(self) -> Vec<String> {
        Feature::ALL.iter().filter(|f| self.has(**f)).map(|f| f.as_str().to_owned()).collect()
    }
}

/// What both sides listed. Names nobody here knows are the future's, not an error.
pub fn negotiate(theirs: &[String], ours: Features) -> Features {
    let both = Feature::ALL.into_iter().filter(|f| ours.has(*f) && theirs.iter().any(|t| t == f.as_str()));
    Features(both.fold(0, |bits, f| bits | f.bit()))
}

/// A version that was well formed and has our major number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Changes what existing messages mean; only 1 exists.
    pub major: u16,
    /// Informational: what is new is negotiated by feature.
    pub minor: u16,
}

/// Why a `hello` cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not two numbers with a dot.
    #[error("version must be \"MAJOR.MINOR\", for example \"{VERSION}\"")]
    Malformed,
    /// Another major version.
    #[error("major version {major} is not spoken here: offer \"{VERSION}\"")]
    Unsupported {
        /// What the peer offered.
        major: u16,
    },
}

impl FromStr for Version {
    type Err = VersionError;

    /// Reads `hello.version`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').ok_or(VersionError::Malformed)?;
        let (major, minor) = (number(major)?, number(minor)?);
        if major != MAJOR {
            return Err(VersionError::Unsupported { major });
        }
        Ok(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Digits only: `parse` alone would take `+1`.
fn number(text: &str) -> Result<u16, VersionError> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VersionError::Malformed);
    }
    text.parse().map_err(|_| VersionError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    /// P6
    #[test]
    fn a_feature_counts_only_when_both_sides_listed_it() {
        let ours = Features::of(&[Feature::Throughput, Feature::Results, Feature::Tunnel]);
        let both = negotiate(&names(&["results", "throughput", "queue", "teleport", "results"]), ours);
        assert_eq!(both, Features::of(&[Feature::Throughput, Feature::Results]));
        assert!(!both.has(Feature::Tunnel) && !both.has(Feature::Queue));
        assert_eq!(both.names(), ["throughput", "results"]);
        assert_eq!(negotiate(&names(&["Results", "results "]), ours), Features::NONE, "names are exact");
        assert_eq!(negotiate(&[], ours), Features::NONE);
    }

    /// P6
    #[test]
    fn every_feature_has_its_own_bit_and_name() {
        for feature in Feature::ALL {
            let alone = negotiate(&names(&[feature.as_str()]), Features::of(&Feature::ALL));
            assert_eq!(alone, Features::of(&[feature]));
            assert_eq!(alone.names(), [feature.as_str()]);
        }
        assert_eq!(Features::of(&Feature::ALL).names().len(), 8);
    }

    /// P6
    #[test]
    fn another_major_or_a_malformed_version_is_refused() {
        assert_eq!("1.0".parse(), Ok(Version { major: 1, minor: 0 }));
        assert_eq!("1.7".parse::<Version>().unwrap().to_string(), "1.7");
        for major in [0, 2, 65_535] {
            let offered = format!("{major}.0").parse::<Version>();
            assert_eq!(offered, Err(VersionError::Unsupported { major }));
        }
        for text in
            ["", "1", "1.", ".0", "1.0.0", "+1.0", "-1.0", " 1.0", "1.0 ", "1.x", "v1.0", "1,0", "65536.0"]
        {
            assert_eq!(text.parse::<Version>(), Err(VersionError::Malformed), "{text:?}");
        }
        assert!(VersionError::Unsupported { major: 2 }.to_string().contains("1.0"));
    }
}
