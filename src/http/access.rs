//! How a server is reached and what it takes to be let in: what all its clients share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::basic::{basic, user_and_password};
use super::error::Error;
use super::exchange::Request;
use super::limits::TimeLimits;
use super::oauth::{Token, Tokens};
use super::settings::{Authorization, Credentials, HttpSettings, SigV4Settings};
use super::sigv4::Signer;
use super::url::Url;
use super::wire::Wire;
use crate::files::{FileError, Kept};
use crate::host::wall_ms;
use crate::secret::{Form, Secret, Secrets, Source};
use crate::tls;

/// One server's address with what it takes to be let in, kept in step with its files.
pub struct Access {
    wire: Wire,
    /// None where nothing is: most servers let everybody in.
    shown: Option<Box<Shown>>,
    sends_credentials: bool,
    /// Grows with every change of what a connection is made with.
    generation: AtomicU64,
}

/// What it takes to be let in.
struct Shown {
    credentials: Credentials,
    tokens: Option<Tokens>,
    followed: Mutex<Followed>,
}

struct Followed {
    kept: Kept<Secrets>,
    ready: Result<Arc<Ready>, String>,
}

/// What goes with each request for as long as no file changes.
struct Ready {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Those of the authorization, in the order of its sources.
    secrets: Vec<Secret>,
}

/// What goes with one request.
#[derive(Default)]
pub struct Pass {
    /// For this request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    token: Option<Arc<Token>>,
}

impl Access {
    /// Reads the files that `settings` name. Log lines call the server `label`; a request may
    /// take `settings.timeout`, and its parts what `limits` say.
    pub fn new(label: &str, settings: &HttpSettings, limits: &TimeLimits) -> Access {
        let HttpSettings { endpoint, query, tls, timeout, credentials, proxy, user_agent } = settings;
        let (endpoint, user_info) = endpoint.split_user_info();
        let has_own_query = !endpoint.query().is_empty();
        let endpoint = endpoint.with_parameters(query);
        let mut credentials = credentials.clone();
        let has_own = credentials.headers.iter().any(|(name, _)| is_authorization(name));
        if let (Some(info), Authorization::None, false) = (user_info, &credentials.authorization, has_own) {
            let (user, password) = user_and_password(info);
            credentials.authorization = Authorization::Basic(Secret::new(user), Source::Given(Secret::new(password)));
        }
        let user_agent = user_agent.as_deref();
        let wire = Wire::new(label, endpoint, tls.as_deref(), proxy.as_ref(), *timeout, limits).by(user_agent);
        let proxy_has_user = proxy.as_ref().is_some_and(|proxy| proxy.split_user_info().1.is_some());
        let shows = credentials != Credentials::default();
        let sends_credentials = shows || proxy_has_user || has_own_query;
        let shown = shows.then(|| Box::new(Shown::new(label, credentials, settings, limits)));
        Access { wire, shown, sends_credentials, generation: AtomicU64::new(0) }
    }

    /// Whether requests hold what may be a secret: authorization, a header of the operator's
    /// own, a query, or credentials for a proxy. If so, what is answered is not to be shown.
    pub fn sends_credentials(&self) -> bool {
        self.sends_credentials
    }

    /// Where it is, without user info.
    pub fn endpoint(&self) -> &Url {
        self.wire.url()
    }

    /// Which way it is reached, for people.
    pub fn name(&self) -> String {
        self.wire.name()
    }

    /// Version and suite of the last TLS handshake with it; none where there was none.
    pub fn agreed(&self) -> Option<String> {
        self.wire.agreed()
    }

    /// Whether an answer with these headers may be that of a proxy on the way, which passes on
    /// what it can read.
    pub fn may_be_of_a_proxy(&self, answer: &HeaderMap) -> bool {
        self.wire.is_passed_on() && !answer.contains_key("via")
    }

    /// The way there.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Looks at the files. A number that is another one when connections are to be made anew.
    pub(super) fn refresh(&self) -> u64 {
        let mut renewed = self.wire.refresh();
        renewed |= self.shown.as_ref().is_some_and(|shown| shown.refresh());
        if renewed {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        self.generation.load(Ordering::Relaxed)
    }

    /// What `request` has to show; fetches a token where one is needed.
    pub(super) fn pass(&self, request: &Request<'_>) -> Result<Pass, Error> {
        self.shown.as_ref().map_or_else(|| Ok(Pass::default()), |shown| shown.pass(self.endpoint(), request))
    }

    /// The server has answered 401 to `pass`. Whether another try can have another outcome.
    pub(super) fn was_refused(&self, pass: &Pass) -> bool {
        match (self.shown.as_ref().and_then(|shown| shown.tokens.as_ref()), &pass.token) {
            (Some(tokens), Some(token)) => {
                tokens.give_up(token);
                true
            }
            _ => false,
        }
    }

    /// What to look at where the server does not let us in.
    pub fn remedy(&self) -> &'static str {
        self.shown.as_ref().map_or_else(|| remedy(&Credentials::default()), |shown| remedy(&shown.credentials))
    }
}

impl Shown {
    fn new(label: &str, credentials: Credentials, settings: &HttpSettings, limits: &TimeLimits) -> Shown {
        let HttpSettings { tls, timeout, user_agent, .. } = settings;
        let tokens = match &credentials.authorization {
            Authorization::OAuth2(oauth) => {
                // Another server, so another name, but the same trust and certificate.
                let tls = oauth
                    .token_url
                    .is_https()
                    .then(|| tls::ClientSettings { server_name: None, ..tls.as_deref().cloned().unwrap_or_default() });
                let label = format!("{label}: token endpoint");
                let limits = TimeLimits { body: None, ..limits.clone() };
                let (url, proxy) = (oauth.token_url.clone(), oauth.proxy.as_ref());
                let wire = Wire::new(&label, url, tls.as_ref(), proxy, *timeout, &limits);
                Some(Tokens::new((**oauth).clone(), wire.by(user_agent.as_deref())))
            }
            _ => None,
        };
        let kept = Kept::new(label, secrets_of(&credentials));
        let ready = ready(&credentials, &kept);
        Shown { credentials, tokens, followed: Mutex::new(Followed { kept, ready }) }
    }

    /// Looks at the files. Whether connections are to be made anew.
    fn refresh(&self) -> bool {
        let mut renewed = self.tokens.as_ref().is_some_and(Tokens::refresh);
        let mut followed = self.followed();
        if followed.kept.refresh() {
            followed.ready = ready(&self.credentials, &followed.kept);
            self.tokens.iter().for_each(Tokens::forget);
            renewed = true;
        }
        renewed
    }

    /// Of a request to `endpoint`.
    fn pass(&self, endpoint: &Url, request: &Request<'_>) -> Result<Pass, Error> {
        let failed = |why: String| Error::Failed(why);
        let ready = self.followed().ready.clone().map_err(failed)?;
        let mut headers = ready.headers.clone();
        let mut token = None;
        match (&self.credentials.authorization, &self.tokens) {
            (Authorization::OAuth2(_), Some(tokens)) => {
                let fetched = tokens.get(&ready.secrets)?;
                headers.push((HeaderName::from_static("authorization"), fetched.header()));
                token = Some(fetched);
            }
            (Authorization::SigV4(settings), _) => {
                let url = match request.path {
                    Some(path) => &endpoint.at(path),
                    None => endpoint,
                };
                let body = request.body.unwrap_or_default();
                for (name, value) in
                    signed(settings, &ready.secrets).sign(request.method.as_str(), url, body, wall_ms())
                {
                    headers.push((HeaderName::from_static(name), header_value(&value).map_err(failed)?));
                }
            }
            _ => {}
        }
        Ok(Pass { headers, token })
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to look at where `credentials` are refused, by its name in the configuration.
fn remedy(credentials: &Credentials) -> &'static str {
    match &credentials.authorization {
        Authorization::Basic(_, Source::File(_)) => {
            "check basic_auth: username and password_file (a changed file is used with the next request)"
        }
        Authorization::Basic(_, Source::Given(_)) => "check user and password: basic_auth, or the user info of the URL",
        Authorization::Bearer(Source::File(_)) => {
            "check bearer_token_file (a changed file is used with the next request)"
        }
        Authorization::Bearer(Source::Given(_)) => "check bearer_token",
        Authorization::OAuth2(_) => "it refuses the tokens of oauth2: check client_id, scopes and endpoint_params",
        Authorization::Key(key) => key.remedy,
        Authorization::SigV4(_) => "check the keys and the region of sigv4, and this machine's clock",
        Authorization::None => match credentials.headers.iter().find(|(name, _)| is_authorization(name)) {
            Some((_, Source::File(_))) => {
                "check the Authorization among headers (a changed file is used with the next request)"
            }
            Some((_, Source::Given(_))) => "check the Authorization among headers",
            None => "no credentials are configured: set basic_auth, bearer_token_file, oauth2 or sigv4",
        },
    }
}

fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

/// All secrets of `credentials`: those of the headers, then those of the authorization.
fn secrets_of(credentials: &Credentials) -> Secrets {
    let mut secrets: Vec<_> = credentials.headers.iter().map(|(_, source)| (source.clone(), Form::Line)).collect();
    let mut line = |source: &Source| secrets.push((source.clone(), Form::Line));
    match &credentials.authorization {
        Authorization::None => {}
        Authorization::Basic(_, source) => line(source),
        Authorization::Bearer(source) => secrets.push((source.clone(), Form::Token)),
        Authorization::Key(own) => secrets.push((own.key.clone(), Form::Token)),
        Authorization::OAuth2(oauth) => {
            line(&oauth.client_secret);
            oauth.endpoint_params.iter().for_each(|(_, source)| line(source));
        }
        Authorization::SigV4(sigv4) => {
            line(&sigv4.secret_access_key);
            sigv4.session_token.iter().for_each(line);
        }
    }
    Secrets(secrets)
}

fn ready(credentials: &Credentials, kept: &Kept<Secrets>) -> Result<Arc<Ready>, String> {
    let all = kept.get().map_err(FileError::to_string)?;
    let Credentials { headers: named, authorization } = credentials;
    let (of_headers, own) = all.split_at(named.len());
    let mut headers = Vec::new();
    for ((name, _), value) in named.iter().zip(of_headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        headers.push((name, header_value(value.expose())?));
    }
    let value = match (authorization, own) {
        (Authorization::Basic(user, _), [password]) => Some(("authorization", basic(user.expose(), password.expose()))),
        (Authorization::Bearer(_), [token]) => Some(("authorization", format!("Bearer {}", token.expose()))),
        (Authorization::Key(key), [secret]) => Some((key.header, format!("{}{}", key.before, secret.expose()))),
        _ => None,
    };
    if let Some((name, value)) = value {
        headers.push((HeaderName::from_static(name), header_value(&value)?));
    }
    Ok(Arc::new(Ready { headers, secrets: own.to_vec() }))
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "a credential holds what no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn signed<'a>(settings: &'a SigV4Settings, secrets: &'a [Secret]) -> Signer<'a> {
    Signer {
        region: &settings.region,
        service: &settings.service,
        access_key_id: &settings.access_key_id,
        secret_access_key: secrets.first().map_or("", Secret::expose),
        session_token: secrets.get(1).map(Secret::expose),
    }
}
