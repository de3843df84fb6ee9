//! What the configuration says of StatsD (`listen.statsd`).

use std::path::PathBuf;
use std::time::Duration;

use super::parse::Type;
use crate::fields::{DefaultValue, Done, Fault, Field, Notes, Table, Takes};
use crate::ingest::expiry::{DEFAULT_EXPIRE, EXPIRE};
use crate::order;

/// Where StatsD's clients send to where nobody says otherwise.
const DEFAULT_UDP: &str = "127.0.0.1:8125";

/// More quantiles than that of one thing are a histogram.
const MAX_PERCENTILES: usize = 20;

/// What a path of a socket holds at most (`sun_path`, with its end).
const MAX_PATH: usize = 107;

/// What StatsD is and does.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Host and port; none: no UDP.
    pub udp: Option<String>,
    /// The path of a socket for datagrams.
    pub unix: Option<PathBuf>,
    /// Series at most; a summary is several.
    pub max_series: usize,
    /// Shares of timers, histograms and distributions, each within [0, 1].
    pub percentiles: Vec<f64>,
    /// After so long without a metric a series ends.
    pub expire: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            udp: None,
            unix: None,
            max_series: 10_000,
            percentiles: vec![0.5, 0.9, 0.99],
            expire: DEFAULT_EXPIRE,
        }
    }
}

impl Settings {
    /// How many series a metric of that type is.
    pub(super) fn series_of(&self, is: Type) -> usize {
        match is {
            Type::Counter | Type::Gauge | Type::Set => 1,
            Type::Timer | Type::Histogram => self.percentiles.len() + 2,
        }
    }
}

/// `listen.statsd`, as it was written.
#[derive(Default)]
pub struct StatsdFields(Settings);

static FIELDS: [Field<StatsdFields>; 5] = [
    Field::new(
        "udp",
        Takes::Text(set_udp),
        DefaultValue::Null,
        "Where datagrams come in by UDP; null: `127.0.0.1:8125`, or nowhere where `unix` is given.",
    ),
    Field::new(
        "unix",
        Takes::Text(set_unix),
        DefaultValue::Null,
        "The path of a Unix socket for datagrams, which every local user may send to.",
    ),
    Field::new(
        "max_series",
        Takes::Whole(1..=1_000_000, |s: &mut StatsdFields, series| s.0.max_series = series as usize),
        DefaultValue::Whole(10_000),
        "Series at most; a timer is one for each of `percentiles` and two more. What is over it is dropped and counted.",
    ),
    Field::new(
        "percentiles",
        Takes::Numbers(0.0..=1.0, |s: &mut StatsdFields| s.0.percentiles.clear(), add_percentile),
        DefaultValue::Numbers(&[0.5, 0.9, 0.99]),
        "Which quantiles of timers, histograms and distributions are sent, each from 0 to 1.",
    ),
    Field::new(
        "expire",
        Takes::Duration(EXPIRE, |s: &mut StatsdFields, expire| s.0.expire = expire),
        DefaultValue::Text("5m"),
        "After so long without a metric a series ends.",
    ),
];

/// The fields of `listen.statsd`.
pub static TABLE: Table<StatsdFields> = Table::new(|| FIELDS.iter().collect());

fn set_udp(s: &mut StatsdFields, place: String) -> Done {
    let port = place.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(1..))) {
        return Err(Fault::expected("an address and a port, such as \"127.0.0.1:8125\""));
    }
    s.0.udp = Some(place);
    Ok(())
}

fn set_unix(s: &mut StatsdFields, path: String) -> Done {
    if !path.starts_with('/') || path.len() > MAX_PATH || path.contains('\0') {
        return Err(Fault::expected(format!("an absolute path of at most {MAX_PATH} bytes")));
    }
    s.0.unix = Some(path.into());
    Ok(())
}

fn add_percentile(s: &mut StatsdFields, share: f64) -> Done {
    let all = &mut s.0.percentiles;
    if all.contains(&share) {
        return Err("stands twice".into());
    }
    if all.len() >= MAX_PERCENTILES {
        return Err(format!("at most {MAX_PERCENTILES} are possible").into());
    }
    // As `-0` is none that a label should hold.
    all.push(share.abs());
    Ok(())
}

impl StatsdFields {
    /// What is meant. Notes are of the object `statsd`.
    pub fn settle(self, notes: &mut Notes) -> Settings {
        let mut settings = self.0;
        if settings.udp.is_none() && settings.unix.is_none() {
            settings.udp = Some(DEFAULT_UDP.to_owned());
        }
        order::sort_by(&mut settings.percentiles, f64::total_cmp);
        let is_open = settings.udp.as_ref().is_some_and(|place| {
            let host = place.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>().map_or(host != "localhost", |address| !address.is_loopback())
        });
        if is_open {
            notes.warning("udp", "others than this host can send to it; StatsD knows no credentials");
        }
        settings
    }
}
