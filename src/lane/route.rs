//! What the settings make of a lane: its encoder, and how its bodies leave.

use std::sync::Arc;

use crate::formats::json::{self, Json};
use crate::formats::{Carriage, Compression, Encoder, Options, RecordEncoder};
use crate::http::Access;
use crate::model::Signal;
use crate::shaping::Stage;

use super::settings::{Settings, To};
use super::tee::{LineEncoder, Tee};
use super::transport::{self, Transport};

/// How a lane's bodies leave.
pub(crate) struct Route {
    pub(super) transport: Box<dyn Transport>,
    pub(super) carriage: Carriage,
}

/// What makes a lane's bodies.
pub(super) enum Making {
    /// Of metrics, with what its rules need in front, where it has any.
    Metrics(Box<dyn Encoder>, Option<Box<Stage>>),
    /// Of records.
    Records(Box<dyn RecordEncoder>),
}

pub(super) fn making(settings: &Settings) -> Making {
    let (format, options) = (settings.kind.format, &settings.kind.options);
    match (settings.signal, format.encoder, format.records) {
        (Signal::Metrics, Some(encoder), _) | (_, Some(encoder), None) => {
            let from = settings.perspective();
            Making::Metrics(encoder(options, from), Stage::new(settings.perspective()).map(Box::new))
        }
        (.., Some(records)) => Making::Records((records.encoder)(options, &settings.labels)),
        (_, None, None) => unreachable!("{format:?} carries nothing: its line in the table of formats is wrong"),
    }
}

/// What writes down what it is sent, where that is asked for.
pub(super) fn tee(settings: &Settings) -> Option<Tee> {
    let of_records = json::STDOUT.records.filter(|_| settings.signal == Signal::Records);
    let encoder = match of_records {
        Some(records) => LineEncoder::Records((records.encoder)(&Options::default(), &settings.labels)),
        None => LineEncoder::Metrics(Box::new(Json::new(settings.perspective(), Compression::None))),
    };
    Tee::new(&settings.name, settings.tee_file.as_ref()?, encoder)
}

/// What the senders of a lane share, where it goes over the network.
pub(super) fn access(settings: &Settings) -> Option<Arc<Access>> {
    let http = settings.kind.http()?;
    Some(Arc::new(transport::access(&settings.name, http)))
}

pub(super) fn route(settings: &Settings, access: Option<&Arc<Access>>) -> Route {
    let carriage = settings.kind.format.carries(settings.signal);
    let transport: Box<dyn Transport> = match (&settings.kind.to, access) {
        (To::Tcp(tcp), _) => Box::new(transport::Tcp::new(&settings.name, tcp)),
        (To::File(path), _) => Box::new(transport::File::new(path.clone())),
        (_, Some(access)) => Box::new(transport::Http::new(Arc::clone(access), carriage.written)),
        (_, None) => Box::new(transport::Stdout),
    };
    Route { transport, carriage }
}
