//! What the last handshake with a server has agreed on, for people.

use std::sync::{Mutex, PoisonError};

use rustls::{ClientConnection, HandshakeKind};

/// Of one server; all its connections are made alike.
#[derive(Debug)]
pub struct Session {
    /// Whose it is, for the log.
    subject: String,
    agreed: Mutex<Option<String>>,
}

impl Session {
    /// Nothing was agreed on yet. `subject` is whose it is, for the log: `destination NAME`.
    pub fn new(subject: &str) -> Session {
        Session { subject: subject.to_owned(), agreed: Mutex::new(None) }
    }

    /// The handshake of `connection` is done.
    pub fn is_of(&self, connection: &ClientConnection) {
        // rustls writes `TLSv1_3` and `TLS13_AES_128_GCM_SHA256`, the configuration and IANA do not.
        let version = connection.protocol_version().map(|version| format!("{version:?}").replace("TLSv1_", "TLS1."));
        let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let suite = suite.map(|suite| suite.replacen("TLS13_", "TLS_", 1));
        let agreed = format!("{} {}", version.unwrap_or_default(), suite.unwrap_or_default());
        let how = match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => "resumed",
            _ => "in full",
        };
        log::debug!("{}: TLS handshake {how}: {agreed}", self.subject);
        *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = Some(agreed);
    }

    /// Version and suite of the last handshake, as the configuration names them.
    pub fn agreed(&self) -> Option<String> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
