//! How a destination is reached and what it takes to be let in: what all its senders share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ureq::http::{HeaderName, HeaderValue};

use super::oauth::{Token, Tokens, client};
use super::redact::{Redactor, basic};
use super::sigv4::Signer;
use super::wire::Wire;
use crate::files::{FileError, Kept};
use crate::host::wall_ms;
use crate::http::{Authorization, Credentials, HttpSettings, OAuth2Settings, SigV4Settings};
use crate::secret::{Form, Secret, Secrets, Source};
use crate::tls;

/// One destination's address with what it takes to be let in, kept in step with its files.
pub struct Access {
    settings: HttpSettings,
    wire: Wire,
    tokens: Option<Tokens>,
    secrets: Mutex<Followed>,
    /// Grows with every change of what a connection is made with.
    generation: AtomicU64,
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
    redactor: Redactor,
}

/// What goes with one request.
pub struct Pass {
    /// For this request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    ready: Arc<Ready>,
    token: Option<Arc<Token>>,
}

impl Pass {
    /// The first `length` bytes of `text`, without what this request has told.
    pub fn redact(&self, text: &str, length: usize) -> String {
        self.redactor().redact(text, length)
    }

    /// How far beyond a cut one has to read for [`Pass::redact`].
    pub fn longest(&self) -> usize {
        self.redactor().longest()
    }

    fn redactor(&self) -> Redactor {
        let mut redactor = self.ready.redactor.clone();
        self.token.as_ref().inspect(|token| token.hide(&mut redactor));
        redactor
    }
}

impl Access {
    /// Reads the files that `settings` name, for the destination `name`.
    pub fn new(name: &str, settings: HttpSettings) -> Access {
        let HttpSettings { endpoint, tls, timeout, credentials, proxy } = &settings;
        let wire = Wire::new(name, "", endpoint, tls.as_ref(), proxy.as_ref(), *timeout);
        let tokens = match &credentials.authorization {
            Authorization::OAuth2(oauth) => {
                // Another server, so another name, but the same trust and certificate.
                let tls = oauth
                    .token_url
                    .is_https()
                    .then(|| tls::ClientSettings { server_name: None, ..tls.clone().unwrap_or_default() });
                let wire =
                    Wire::new(name, ": token endpoint", &oauth.token_url, tls.as_ref(), oauth.proxy.as_ref(), *timeout);
                Some(Tokens::new(oauth.clone(), wire))
            }
            _ => None,
        };
        let kept = Kept::new(format!("destination {name}"), secrets_of(credentials));
        let ready = ready(&settings, &kept);
        let secrets = Mutex::new(Followed { kept, ready });
        Access { settings, wire, tokens, secrets, generation: AtomicU64::new(0) }
    }

    /// Where, and how long it may take.
    pub fn settings(&self) -> &HttpSettings {
        &self.settings
    }

    /// The way there.
    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Looks at the files. A number that is another one when connections are to be made anew.
    pub fn refresh(&self) -> u64 {
        let mut renewed = self.wire.refresh();
        renewed |= self.tokens.as_ref().is_some_and(Tokens::refresh);
        let mut secrets = self.secrets();
        if secrets.kept.refresh() {
            secrets.ready = ready(&self.settings, &secrets.kept);
            self.tokens.iter().for_each(Tokens::forget);
            renewed = true;
        }
        drop(secrets);
        if renewed {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        self.generation.load(Ordering::Relaxed)
    }

    /// What a request with `body` has to show; fetches a token where one is needed.
    pub fn pass(&self, body: &[u8]) -> Result<Pass, String> {
        let ready = self.secrets().ready.clone()?;
        let mut headers = ready.headers.clone();
        let mut token = None;
        match (&self.settings.credentials.authorization, &self.tokens) {
            (Authorization::OAuth2(_), Some(tokens)) => {
                let fetched = tokens.get(&ready.secrets, &ready.redactor)?;
                headers.push((HeaderName::from_static("authorization"), fetched.header()));
                token = Some(fetched);
            }
            (Authorization::SigV4(settings), _) => {
                for (name, value) in
                    signed(settings, &ready.secrets).sign("POST", &self.settings.endpoint, body, wall_ms())
                {
                    headers.push((HeaderName::from_static(name), header_value(&value)?));
                }
            }
            _ => {}
        }
        Ok(Pass { headers, ready, token })
    }

    /// The destination has answered 401 to `pass`. Whether another try can have another outcome.
    pub fn was_refused(&self, pass: &Pass) -> bool {
        match (&self.tokens, &pass.token) {
            (Some(tokens), Some(token)) => {
                tokens.give_up(token);
                true
            }
            _ => false,
        }
    }

    /// What to look at where the destination does not let us in.
    pub fn remedy(&self) -> &'static str {
        remedy(&self.settings.credentials)
    }

    fn secrets(&self) -> MutexGuard<'_, Followed> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to look at where `credentials` are refused, by its name in the configuration.
fn remedy(credentials: &Credentials) -> &'static str {
    match &credentials.authorization {
        Authorization::Basic(_, Source::File(_)) => {
            "check basic_auth: username and password_file (a changed file is used at the next tick)"
        }
        Authorization::Basic(_, Source::Given(_)) => {
            "check user and password: basic_auth, or the user info of endpoint"
        }
        Authorization::Bearer(Source::File(_)) => "check bearer_token_file (a changed file is used at the next tick)",
        Authorization::Bearer(Source::Given(_)) => "check bearer_token",
        Authorization::OAuth2(_) => "it refuses the tokens of oauth2: check client_id, scopes and endpoint_params",
        Authorization::SigV4(_) => "check the keys and the region of sigv4, and this machine's clock",
        Authorization::None => match credentials.headers.iter().find(|(name, _)| is_authorization(name)) {
            Some((_, Source::File(_))) => {
                "check the Authorization among headers (a changed file is used at the next tick)"
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
        Authorization::OAuth2(OAuth2Settings { client_secret, endpoint_params, .. }) => {
            line(client_secret);
            endpoint_params.iter().for_each(|(_, source)| line(source));
        }
        Authorization::SigV4(SigV4Settings { secret_access_key, session_token, .. }) => {
            line(secret_access_key);
            session_token.iter().for_each(line);
        }
    }
    Secrets(secrets)
}

fn ready(settings: &HttpSettings, kept: &Kept<Secrets>) -> Result<Arc<Ready>, String> {
    let all = kept.get().map_err(FileError::to_string)?;
    let Credentials { headers: named, authorization } = &settings.credentials;
    let mut redactor = Redactor::default();
    redactor.hide_query(settings.endpoint.query());
    for secret in all {
        redactor.hide(secret.expose());
        // Of `Bearer TOKEN` in a header of the operator's own, the token alone as well.
        secret.expose().split_whitespace().last().inspect(|word| redactor.hide(word));
    }
    if let Some((_, Some(info))) = settings.proxy.as_ref().map(|proxy| proxy.split_user_info()) {
        redactor.hide(info.split_once(':').map_or(info, |(_, password)| password));
    }
    let (of_headers, own) = all.split_at(named.len());
    let mut headers = Vec::new();
    for ((name, _), value) in named.iter().zip(of_headers) {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        headers.push((name, header_value(value.expose())?));
    }
    let value = match (authorization, own) {
        (Authorization::Basic(user, _), [password]) => {
            if password.expose().is_empty() {
                redactor.hide(user.expose());
            }
            Some(basic(user.expose(), password.expose()))
        }
        (Authorization::Bearer(_), [token]) => Some(format!("Bearer {}", token.expose())),
        (Authorization::OAuth2(oauth), [client_secret, ..]) => {
            redactor.hide_query(oauth.token_url.query());
            client(&oauth.client_id, client_secret.expose())
                .split_whitespace()
                .last()
                .inspect(|word| redactor.hide(word));
            None
        }
        _ => None,
    };
    if let Some(value) = value {
        value.split_whitespace().last().inspect(|word| redactor.hide(word));
        headers.push((HeaderName::from_static("authorization"), header_value(&value)?));
    }
    Ok(Arc::new(Ready { headers, secrets: own.to_vec(), redactor }))
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
