//! The HTTP client, and connections without HTTP ([`TcpClient`]): URLs, connections, TLS, proxies, credentials, limits. It knows who it
//! talks to by what its callers tell it, and nothing of what they talk about.
//!
//! A [`Client`] has one connection, which it keeps for the next request. What several of them
//! share who talk to the same server (its address, secrets, tokens, certificates) is an
//! [`Access`]. Of what a server answers nothing is to be shown to people where credentials
//! went along ([`Access::sends_credentials`], [`Said`]): it may quote them.

mod access;
mod basic;
mod buffers;
mod checked;
mod client;
mod deadline;
mod error;
mod exchange;
mod fields;
mod forward;
mod limits;
mod oauth;
mod page;
mod proxies;
mod proxy;
mod resolve;
mod said;
mod session;
mod settings;
mod sigv4;
mod socket;
mod tcp;
mod tls;
mod url;
mod watch;
mod wire;

pub use ureq::http::{HeaderMap, Method};

pub use access::Access;
pub use checked::{checked_place, checked_tcp, checked_url, is_local};
pub use client::Client;
pub use error::Error;
pub use exchange::{Request, Response};
pub use fields::{HttpFields, OwnKey, Purpose, TABLE, UNTIMED_TABLE};
pub use limits::{BodyLimit, MAX_CONNECTION_AGE, TimeLimits};
pub use proxies::Env;
pub use said::{Said, answered};
pub use settings::{
    Authorization, Credentials, DEFAULT_TIMEOUT, HttpSettings, KeySettings, OAuth2Settings, SigV4Settings,
};
pub use tcp::TcpClient;
pub use url::{Url, percent_decoded, percent_encoded, redacted_url};
