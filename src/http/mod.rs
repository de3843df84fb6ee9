//! The HTTP client: URLs, connections, TLS, proxies, credentials, limits. Knows no destination.

mod access;
mod get;
mod oauth;
mod page;
mod proxy;
mod redact;
mod resolve;
mod settings;
mod sigv4;
mod status;
mod tcp;
mod tls;
mod unescape;
mod url;
mod wire;

pub use access::{Access, Pass};
pub use get::get;
pub use page::{printable, readable};
pub use resolve::OnceResolver;
pub use settings::{Authorization, Credentials, DEFAULT_TIMEOUT, HttpSettings, OAuth2Settings, SigV4Settings};
pub use status::answered;
pub use url::{Url, percent_decoded, percent_encoded, redacted_url};
pub use wire::MAX_CONNECTION_AGE;
