//! What the configuration says, once it is read and checked.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;

use crate::collectors;
use crate::lane;
use crate::model::Labels;
use crate::scrape;

/// What log lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Words for people.
    #[default]
    Text,
    /// An object of JSON each.
    Json,
}

/// Everything that was configured, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What was read: the file as it was named, or `built-in defaults`.
    pub source: String,
    /// From what level on to log, where neither the command line nor the environment says.
    pub log_level: Option<LevelFilter>,
    /// What log lines look like.
    pub log_format: LogFormat,
    /// The HTTP server.
    pub server: crate::server::Settings,
    /// Time between two collections, 50 ms to a day.
    pub interval: Duration,
    /// The collectors.
    pub collectors: collectors::Settings,
    /// The lanes of the destinations, in the order of the file, those of one behind each other; none: serve locally only.
    pub lanes: Vec<lane::Settings>,
    /// How many destinations there are, those without a lane among them: what takes records alone has none where
    /// nothing gives any.
    pub destinations: usize,
    /// The applications that are scraped, in the order of the file.
    pub endpoints: Vec<Arc<scrape::Settings>>,
    /// Patterns of files that name more of them.
    pub endpoints_files: Vec<String>,
    /// What applications may send by themselves.
    pub listen: crate::ingest::ListenSettings,
    /// How what waits is kept where a destination does not say otherwise.
    pub spool: lane::SpoolSettings,
    /// Labels of every metric of every destination; a lane's own labels hold them already.
    pub labels: Labels,
    /// What is accepted but worth knowing, a line each, for the log and `-check`.
    pub warnings: Vec<String>,
}

impl Config {
    /// The directories below which spools are kept, the common one among them.
    pub fn spool_roots(&self) -> BTreeSet<&Path> {
        self.lanes
            .iter()
            .map(|lane| &lane.spool)
            .chain([&self.spool])
            .filter_map(|spool| spool.dir.as_deref())
            .collect()
    }
}
