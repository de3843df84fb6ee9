//! What a request may take: time, and bytes of the answer.

use std::time::Duration;

/// Connections live no longer than this: names move to other addresses, and a balancer's
/// new backends get their share.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(300);

/// A connection through a proxy that has idled for longer is not used again. Firewalls, address
/// translators and balancers forget connections in silence, some after a minute: a request on such
/// a one would find out by its timeout, each time. Whether the other side is slow or has forgotten
/// us cannot be told by waiting, and a new connection costs less than a request that is sent twice.
///
/// On a connection to the server itself the kernel asks every 15 s whether it is there (`socket`).
/// So nobody on the way forgets it, and one that is gone all the same is known to be after 30 s.
/// Behind a proxy that goes for the way to the proxy alone.
pub const MAX_IDLE_BY_PROXY: Duration = Duration::from_secs(30);

/// Limits of parts of a request, besides that of the whole ([`super::HttpSettings::timeout`]).
/// None: that of the whole alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// For looking up the name, and again for making the connection: TCP, the proxy's answer
    /// and the TLS handshake together.
    pub connect: Option<Duration>,
    /// From the last byte of the request to the end of the answer's head.
    pub head: Option<Duration>,
    /// From there to the last byte of the answer.
    pub body: Option<Duration>,
    /// How long a connection may idle and be used again; none: for as long as it lives, 30 seconds
    /// where it goes through a proxy.
    pub idle: Option<Duration>,
    /// What the limit of the whole is called where it is set: errors name it. Empty: the
    /// request is not one of the configuration, and they name nothing of that.
    pub setting: &'static str,
}

impl TimeLimits {
    /// Whether whoever reads of a failure has the fields of `tls` to mend it with.
    pub(super) fn has_fields(&self) -> bool {
        !self.setting.is_empty()
    }
}

/// How much of an answer's body is taken, in bytes, unpacked where it came packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// A longer one is an error ([`super::Error::TooLong`]).
    Refuse(usize),
    /// This much of it is kept, and what goes wrong behind the head does not matter: for those
    /// to whom the status says what counts.
    Keep(usize),
}
