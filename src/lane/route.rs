//! What the settings make of a lane: its encoder, and how its bodies leave.

use std::sync::Arc;

use crate::formats::{Encoder, Format};
use crate::http::Access;
use crate::shaping::Stage;

use super::settings::{Settings, To};
use super::transport::{self, Transport};

/// How a lane's bodies leave.
pub(crate) struct Route {
    pub(super) transport: Box<dyn Transport>,
    pub(super) format: &'static Format,
}

/// What its rules need besides, where it has any.
pub(super) fn stage(settings: &Settings) -> Option<Stage> {
    Stage::new(settings.perspective())
}

pub(super) fn encoder(settings: &Settings) -> Box<dyn Encoder> {
    (settings.kind.format.encoder)(&settings.kind.options, settings.perspective())
}

/// What the senders of a lane share, where it goes over the network.
pub(super) fn access(settings: &Settings) -> Option<Arc<Access>> {
    let http = settings.kind.http()?;
    Some(Arc::new(transport::access(&settings.name, http)))
}

pub(super) fn route(settings: &Settings, access: Option<&Arc<Access>>) -> Route {
    let format = settings.kind.format;
    let transport: Box<dyn Transport> = match (&settings.kind.to, access) {
        (To::File(path), _) => Box::new(transport::File::new(path.clone())),
        (_, Some(access)) => Box::new(transport::Http::new(Arc::clone(access), format)),
        (_, None) => Box::new(transport::Stdout),
    };
    Route { transport, format }
}
