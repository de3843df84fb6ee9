//! The HTTP client by itself, against servers that do as they are told.

mod idle;
mod kept;
mod limits;
mod requests;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use metricsd::http::{Access, BodyLimit, Client, Error, HttpSettings, Request, Response, TimeLimits, Url};

use crate::support::PATIENCE;

/// More than any answer of these tests has.
const ALL: BodyLimit = BodyLimit::Refuse(64 << 20);

/// A client of `url` that has all the time it needs.
fn client(url: impl Into<Url>) -> Client {
    limited(url, PATIENCE, &TimeLimits::default())
}

/// A client of `url` that has `total` for a request, and for its parts what `limits` say.
fn limited(url: impl Into<Url>, total: Duration, limits: &TimeLimits) -> Client {
    let settings = HttpSettings { timeout: total, ..HttpSettings::new(url.into()) };
    with(settings, limits)
}

fn with(settings: HttpSettings, limits: &TimeLimits) -> Client {
    Client::new(Arc::new(Access::new("server", &settings, limits)))
}

/// GET; the answer and its body.
fn get(client: &mut Client, limit: BodyLimit) -> Result<(Response, Vec<u8>), Error> {
    let mut body = b"of an answer before".to_vec();
    let answer = client.send(&Request::get(limit), &mut body);
    if answer.is_err() {
        assert_eq!(body, b"", "nothing of a body that was not taken");
    }
    Ok((answer?, body))
}
