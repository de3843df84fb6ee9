//! Destinations over TLS, seen from the server.

mod client;
mod faults;
mod files;
mod rotation;
mod ways;

use std::path::Path;

use metricsd::formats::Compression;
use metricsd::http::HttpSettings;
use metricsd::lane::Kind;
use metricsd::tls::ClientSettings;

use crate::lanes::{Running, http, json_to};
use crate::support::pki::{Authority, Issued};
use crate::support::program::TempDir;
use crate::support::tls_peer::{Setup, TlsPeer};

/// Ticks and their two samples, one after the other, from `first` to `last`.
fn deliver(lane: &mut Running, first: u64, last: u64) {
    for tick in first..=last {
        lane.tick(1000 * tick as i64);
        lane.wait_sent(2 * tick);
    }
}

/// JSON to `url`.
fn destination(url: String, tls: ClientSettings) -> Kind {
    json_to(HttpSettings { tls: Some(Box::new(tls)), ..http(url) }, Compression::None)
}

/// Whoever `authority` has signed for is trusted; its certificate lies in `dir`.
fn trusting(dir: &TempDir, authority: &Authority) -> ClientSettings {
    ClientSettings { ca_file: Some(dir.write("ca.pem", &authority.pem)), ..ClientSettings::default() }
}

/// The files of `identity` as `NAME.crt` and `NAME.key` in `dir`.
fn showing(settings: ClientSettings, dir: &Path, name: &str, identity: &Issued) -> ClientSettings {
    ClientSettings { identity: Some(identity.write(dir, name)), ..settings }
}

/// An authority, a server for `localhost` that it has signed for, and what a client needs.
struct World {
    dir: TempDir,
    authority: Authority,
    server: Issued,
}

impl World {
    fn new() -> World {
        let authority = Authority::new("test root");
        World { dir: TempDir::new(), server: authority.issue(&["localhost"]), authority }
    }

    fn client(&self) -> ClientSettings {
        trusting(&self.dir, &self.authority)
    }

    fn lane(&self, peer: &TlsPeer, tls: ClientSettings) -> Running {
        Running::start(destination(peer.url(), tls))
    }

    fn setup(&self) -> Setup {
        Setup::new(&self.server)
    }
}
