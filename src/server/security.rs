//! TLS and credentials of the server, as they are now, and the log's share of who fails at them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConnection;

use crate::files::{FileError, Kept};
use crate::secret::Secret;
use crate::telemetry::Throttle;
use crate::tls::{self, ServerSettings};

use super::auth::{Auth, AuthSettings};
use super::settings::Settings;

/// Between two log lines about clients that fail at the same thing: anybody can make them fail.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// Between two looks at the files. Each costs one system call a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What stands between a client and the pages.
pub struct Security {
    tls: Option<Kept<ServerSettings>>,
    auth: Option<Kept<AuthSettings>>,
    look_from: Duration,
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
        let tls = settings.tls.clone().map(|tls| Kept::new("server.tls", tls));
        let auth = Some(settings.auth.clone()).filter(|auth| !auth.is_open());
        let auth = auth.map(|auth| Kept::new("the server's credentials", auth));
        // Once this has gone well, both have a good state for ever.
        if let Some(tls) = &tls {
            tls.get().map_err(FileError::clone)?;
        }
        if let Some(auth) = &auth {
            auth.get().map_err(FileError::clone)?;
        }
        let throttle = || Throttle::new(COMPLAINT_PAUSE);
        Ok(Security { tls, auth, look_from: Duration::ZERO, handshakes: throttle(), refusals: throttle() })
    }

    /// `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Looks after the files, at most once a second; to be called when a client comes.
    /// `now` is CLOCK_MONOTONIC.
    pub(super) fn refresh(&mut self, now: Duration) {
        if now < self.look_from {
            return;
        }
        self.look_from = now + LOOK_EVERY;
        // Connections that were made under the old ones are short: nothing follows from a change.
        self.tls.as_mut().map(Kept::refresh);
        self.auth.as_mut().map(Kept::refresh);
    }

    /// The server's end of TLS for a new connection; none where it is plain.
    pub(super) fn session(&self) -> Result<Option<ServerConnection>, rustls::Error> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let config = tls.get().map_err(|error| rustls::Error::General(error.to_string()))?;
        ServerConnection::new(Arc::clone(config)).map(Some)
    }

    /// Whether who sends this may see more than `/live`.
    pub(super) fn admits(&self, authorization: Option<&Secret>) -> bool {
        match &self.auth {
            Some(auth) => auth.get().ok().zip(authorization).is_some_and(|(auth, shown)| auth.admits(shown)),
            None => true,
        }
    }

    /// What a client is told that it may show.
    pub(super) fn challenges(&self) -> Vec<&'static str> {
        self.auth.as_ref().and_then(|auth| auth.get().ok()).map_or_else(Vec::new, Auth::challenges)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Source;

    #[test]
    fn files_are_looked_at_once_a_second() {
        let path = std::env::temp_dir().join(format!("metricsd-security-{}", std::process::id()));
        let auth = AuthSettings { basic: None, bearer: Some(Source::File(path.clone())) };
        let settings = Settings { auth, ..Settings::default() };
        assert!(Security::new(&settings).unwrap_err().to_string().ends_with("no such file"));
        std::fs::write(&path, "one").unwrap();
        let mut security = Security::new(&settings).unwrap();
        let at = Duration::from_secs(10);
        security.refresh(at);
        std::fs::write(&path, "two").unwrap();
        let admits = |security: &Security, token: &str| security.admits(Some(&Secret::new(format!("Bearer {token}"))));
        security.refresh(at + LOOK_EVERY / 2);
        assert!(admits(&security, "one") && !admits(&security, "two"));
        security.refresh(at + LOOK_EVERY);
        assert!(admits(&security, "two") && !admits(&security, "one"));
        std::fs::remove_file(&path).unwrap();
        security.refresh(at + 2 * LOOK_EVERY);
        assert!(admits(&security, "two") && !security.admits(None));
    }
}
