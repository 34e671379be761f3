//! How a connection ended, told apart as finely as a socket allows.
//!
//! In: what a read or write returned. Out: one [`Ending`]. Pure.

use std::io;

/// The end of a connection as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The server said goodbye in TLS before it closed.
    CloseNotify,
    /// A fatal TLS alert with this description.
    Alert(u8),
    /// TCP's FIN. Under TLS: without a goodbye, what arrived may be cut short.
    Fin,
    /// TCP's RST, or a write into a connection that is gone.
    Reset,
    /// It had not ended when the wait was over.
    Deadline,
}

impl Ending {
    /// What an IO error says about the connection; `None` when it says nothing.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        if let Some(number) = alert(error) {
            return Some(Self::Alert(number));
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Some(Self::Fin),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Some(Self::Reset),
            _ => None,
        }
    }
}

/// The number of the TLS alert inside an IO error.
pub(crate) fn alert(error: &io::Error) -> Option<u8> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(description) => Some(u8::from(*description)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        assert_eq!(Ending::of(&io::Error::other(alert)), Some(Ending::Alert(116)));
        assert_eq!(Ending::of(&io::ErrorKind::UnexpectedEof.into()), Some(Ending::Fin));
        assert_eq!(Ending::of(&io::ErrorKind::BrokenPipe.into()), Some(Ending::Reset));
        assert_eq!(Ending::of(&io::ErrorKind::ConnectionReset.into()), Some(Ending::Reset));
        assert_eq!(Ending::of(&io::ErrorKind::StorageFull.into()), None);
    }
}
