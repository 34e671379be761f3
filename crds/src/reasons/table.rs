//! The macro that makes an enum of a table, so that a reason without words does not compile.

/// `Name: "what it means" => "what to do",` per reason. One that is called otherwise than its variant says so before the colon.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($reason:ident $($text:literal)?: $means:literal => $remedy:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $means] $reason,)+
        }

        impl $name {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// The name, as in `reason` of a condition.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $crate::reasons::table::name_of!($reason $($text)?),)+
                }
            }

            /// What it means, in one line.
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$reason => $means,)+
                }
            }

            /// What to do, in one line.
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$reason => $remedy,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text).ok_or(())
            }
        }
    };
}

macro_rules! name_of {
    ($reason:ident) => {
        stringify!($reason)
    };
    ($reason:ident $text:literal) => {
        $text
    };
}

pub(super) use {name_of, reasons};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{FleetReason, PeerReason, ReflectorReason};

    /// The pattern the API server holds a condition's reason to.
    fn is_reason(name: &str) -> bool {
        name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
    }

    #[test]
    fn every_reason_is_a_name_with_two_lines_of_words() {
        let rows = |name: &'static str, means: &'static str, remedy: &'static str| (name, means, remedy);
        let all = ReflectorReason::ALL.iter().map(|r| rows(r.as_str(), r.explanation(), r.remedy()));
        let all = all.chain(PeerReason::ALL.iter().map(|r| rows(r.as_str(), r.explanation(), r.remedy())));
        let all = all.chain(FleetReason::ALL.iter().map(|r| rows(r.as_str(), r.explanation(), r.remedy())));
        for (name, means, remedy) in all {
            assert!(is_reason(name) && name.len() <= 40, "{name}");
            for line in [means, remedy] {
                assert!(line.ends_with('.') && line.len() <= 200 && !line.contains('\n'), "{name}: {line}");
            }
        }
    }

    #[test]
    fn a_reason_reads_back_from_its_name() {
        for reason in ReflectorReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(*reason));
        }
        let names: BTreeSet<_> = PeerReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), PeerReason::ALL.len());
        assert_eq!("Nonsense".parse::<FleetReason>(), Err(()));
    }
}
