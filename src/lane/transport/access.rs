//! How a destination is reached: what all its senders share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lane::HttpSettings;
use crate::tls;

/// One destination's address with what it takes to be let in, kept in step with its files.
pub struct Access {
    settings: HttpSettings,
    tls: Option<Arc<tls::Client>>,
    /// Grows with every change of what a connection is made with.
    generation: AtomicU64,
}

impl Access {
    /// Reads the files that `settings` name, for the destination `name`.
    pub fn new(name: &str, settings: HttpSettings) -> Access {
        let tls = settings.tls.clone().map(|tls| Arc::new(tls::Client::new(format!("destination {name}"), tls)));
        Access { settings, tls, generation: AtomicU64::new(0) }
    }

    /// Where, and how long it may take.
    pub fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// TLS, where the URL asks for it.
    pub fn tls(&self) -> Option<Arc<tls::Client>> {
        self.tls.clone()
    }

    /// Looks at the files. A number that is another one when connections are to be made anew.
    pub fn refresh(&self) -> u64 {
        if self.tls.as_ref().is_some_and(|tls| tls.refresh()) {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        self.generation.load(Ordering::Relaxed)
    }
}
