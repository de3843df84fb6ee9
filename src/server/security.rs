//! TLS and credentials of the server, as they are now, and the log's share of who fails at them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;

use crate::files::FileError;
use crate::secret::Secret;
use crate::telemetry::Throttle;
use crate::tls::{self, Kept, ServerSettings};

use super::Settings;
use super::auth::AuthSettings;

/// Between two log lines about clients that fail at the same thing: anybody can make them fail.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// What stands between a client and the pages.
pub struct Security {
    tls: Option<Kept<ServerSettings>>,
    auth: Option<Kept<AuthSettings>>,
    handshakes: Throttle,
    refusals: Throttle,
}

impl fmt::Debug for Security {
    /// What its files hold is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").finish_non_exhaustive()
    }
}

impl Security {
    /// Reads the files that `settings` name; the error names the one that is of no use.
    pub fn new(settings: &Settings) -> Result<Security, FileError> {
        let tls = settings.tls.clone().map(|tls| Kept::new("server.tls", tls)).transpose()?;
        let auth = Some(settings.auth.clone()).filter(|auth| !auth.is_open());
        let auth = auth.map(|auth| Kept::new("the server's credentials", auth)).transpose()?;
        let throttle = || Throttle::new(COMPLAINT_PAUSE);
        Ok(Security { tls, auth, handshakes: throttle(), refusals: throttle() })
    }

    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Looks after the files, at most once a second; to be called when a client comes.
    /// `now` is CLOCK_MONOTONIC.
    pub(super) fn refresh(&mut self, now: Duration) {
        self.tls.iter_mut().for_each(|tls| tls.refresh(now));
        self.auth.iter_mut().for_each(|auth| auth.refresh(now));
    }

    /// The server's end of TLS for a new connection; none where it is plain.
    pub(super) fn session(&self) -> Result<Option<ServerConnection>, rustls::Error> {
        self.tls.as_ref().map(|tls| ServerConnection::new(Arc::clone(tls.get()))).transpose()
    }

    /// Whether who sends this may see more than `/live`.
    pub(super) fn admits(&self, authorization: Option<&Secret>) -> bool {
        match &self.auth {
            Some(auth) => authorization.is_some_and(|authorization| auth.get().admits(authorization)),
            None => true,
        }
    }

    /// What a client is told that it may show.
    pub(super) fn challenges(&self) -> Vec<&'static str> {
        self.auth.as_ref().map_or_else(Vec::new, |auth| auth.get().challenges())
    }

    /// A client had no or wrong credentials.
    pub(super) fn refused(&mut self, peer: IpAddr, now: Duration) {
        if let Some(hidden) = self.refusals.pass(now) {
            log::warn!("HTTP client {peer}: no credentials, or wrong ones: 401{}", and_more(hidden));
        }
    }

    /// A client's TLS failed.
    pub(super) fn handshake_failed(&mut self, peer: IpAddr, error: &rustls::Error, now: Duration) {
        if let Some(hidden) = self.handshakes.pass(now) {
            log::warn!("HTTP client {peer}: TLS failed: {}{}", tls::of_client(error), and_more(hidden));
        }
    }
}

fn and_more(hidden: u64) -> String {
    if hidden == 0 { String::new() } else { format!("; {hidden} more like it since the last such line") }
}
