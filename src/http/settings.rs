//! How a server is reached, and what it wants to see before it lets us in.

use std::time::Duration;

use super::url::Url;
use crate::secret;
use crate::tls;

/// How a server is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    /// `http://host[:port]/path`, `https://`, or `unix:///path/of.sock:/path`, checked to be a
    /// URL. What stands before the host's `@` is a user and its password.
    pub endpoint: Url,
    /// Parameters of the query behind those that `endpoint` has, as they are written there; no secrets.
    pub query: String,
    /// How an `https://` endpoint is spoken to; none for the others.
    pub tls: Option<Box<tls::ClientSettings>>,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
    /// What it takes to be let in.
    pub credentials: Credentials,
    /// The HTTP proxy on the way, with its own credentials as user info.
    pub proxy: Option<Url>,
    /// What we call ourselves; none: `metricsd/VERSION`.
    pub user_agent: Option<String>,
}

impl HttpSettings {
    /// `endpoint`, with the defaults for the rest; over TLS where it is `https://`.
    pub fn new(endpoint: Url) -> HttpSettings {
        let tls = endpoint.is_https().then(Box::default);
        HttpSettings {
            endpoint,
            query: String::new(),
            tls,
            timeout: DEFAULT_TIMEOUT,
            credentials: Credentials::default(),
            proxy: None,
            user_agent: None,
        }
    }
}

/// What a server wants to see before it lets us in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Credentials {
    /// Headers of the operator's own: names, all of them valid and none of them ours, and values.
    pub headers: Vec<(String, secret::Source)>,
    /// Who we are. [`Authorization::None`] where one of the headers says so.
    pub authorization: Authorization,
}

/// What `Authorization` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Authorization {
    /// Nothing.
    #[default]
    None,
    /// A user, without a colon, and its password. The user is a secret as well: in URLs,
    /// tokens stand there.
    Basic(secret::Secret, secret::Source),
    /// A token as it is.
    Bearer(secret::Source),
    /// A token that is fetched.
    OAuth2(Box<OAuth2Settings>),
    /// A signature of each request.
    SigV4(Box<SigV4Settings>),
    /// A secret in a header of the server's own.
    Key(Box<KeySettings>),
}

/// A secret in a header.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySettings {
    /// The header's name, in lower case.
    pub header: &'static str,
    /// What stands before the secret there.
    pub before: &'static str,
    /// The secret.
    pub key: secret::Source,
    /// What to look at where it is refused, by its name in the configuration.
    pub remedy: &'static str,
}

/// The client credentials grant (RFC 6749, section 4.4).
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2Settings {
    /// Where tokens are fetched; without user info.
    pub token_url: Url,
    /// Who we are there.
    pub client_id: String,
    /// Our password there.
    pub client_secret: secret::Source,
    /// What is asked for; none: what the server thinks right.
    pub scopes: Vec<String>,
    /// More that its server wants to be told (`audience`).
    pub endpoint_params: Vec<(String, secret::Source)>,
    /// The HTTP proxy on the way there.
    pub proxy: Option<Url>,
}

/// Amazon's signature, version 4.
#[derive(Clone, Debug, PartialEq)]
pub struct SigV4Settings {
    /// `eu-central-1`.
    pub region: String,
    /// `aps` for managed Prometheus.
    pub service: String,
    /// The key's name, which is no secret.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: secret::Source,
    /// Of temporary keys.
    pub session_token: Option<secret::Source>,
}

/// Default of [`HttpSettings::timeout`].
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
