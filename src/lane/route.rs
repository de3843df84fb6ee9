//! What the settings make of a lane: its encoder, and how its bodies leave.

use std::sync::Arc;

use crate::formats::{Compression, Downgrade, Encoder, Split, json, remote_write};
use crate::http::Access;

use super::backoff::Backoff;
use super::settings::{Kind, Settings};
use super::transport::{self, Transport};

/// How a lane's bodies leave.
pub(crate) struct Route {
    pub(super) transport: Box<dyn Transport>,
    pub(super) split: Option<Split>,
    pub(super) downgrade: Option<Downgrade>,
    pub(super) backoff: Backoff,
    pub(super) drain_rate: Option<f64>,
}

pub(super) fn encoder(settings: &Settings) -> Box<dyn Encoder> {
    let labels = settings.labels.clone();
    match &settings.kind {
        Kind::RemoteWrite(_, version) => Box::new(remote_write::RemoteWrite::new(*version, labels)),
        Kind::HttpJson(_, compression) => Box::new(json::Json::new(labels, *compression)),
        Kind::File(_) | Kind::Stdout => Box::new(json::Json::new(labels, Compression::None)),
    }
}

/// What the senders of a lane share, where it goes over the network.
pub(super) fn access(settings: &Settings) -> Option<Arc<Access>> {
    let http = settings.kind.http()?;
    Some(Arc::new(transport::access(&settings.name, http)))
}

pub(super) fn route(settings: &Settings, access: Option<&Arc<Access>>) -> Route {
    let transport: Box<dyn Transport> = match (&settings.kind, access) {
        (Kind::File(path), _) => Box::new(transport::File::new(path.clone())),
        (_, Some(access)) => Box::new(transport::Http::new(Arc::clone(access))),
        (_, None) => Box::new(transport::Stdout),
    };
    let split: Option<Split> = match &settings.kind {
        Kind::RemoteWrite(..) => Some(remote_write::split),
        Kind::HttpJson(..) => Some(json::split),
        Kind::File(_) | Kind::Stdout => None,
    };
    let backoff = Backoff::new(settings.retry.clone());
    // Also where a lane is of 1.0: what waits may be from before it became one.
    let downgrade: Option<Downgrade> = match &settings.kind {
        Kind::RemoteWrite(..) => Some(remote_write::downgrade),
        _ => None,
    };
    Route { transport, split, downgrade, backoff, drain_rate: settings.drain_rate }
}
