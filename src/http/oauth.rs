//! Tokens by the client credentials grant of OAuth 2 (RFC 6749, section 4.4).
//!
//! All clients of a server share one token. It is renewed before it expires, by one
//! of them at a time; while the old one is still good the others go on with it, and where
//! there is none they wait for the one that asks, and share its failure.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{HeaderName, HeaderValue, Method};

use super::basic::basic;
use super::error::Error;
use super::exchange::{Request, exchange};
use super::limits::BodyLimit;
use super::resolve::OnceResolver;
use super::said::{Said, answered};
use super::settings::OAuth2Settings;
use super::url::percent_encoded;
use super::watch::Slot;
use super::wire::Wire;
use crate::host::boottime;
use crate::secret::Secret;

/// Tokens of a few kilobytes are common, larger answers are none.
const MAX_ANSWER: usize = 64 << 10;

/// A token is renewed so long before its end, or in the last quarter of its life if that is
/// shorter.
const MARGIN: Duration = Duration::from_secs(60);

/// After an early renewal that failed, while the old token is still good.
const AGAIN: Duration = Duration::from_secs(10);

/// A token is used for so long whatever its server says, unless it is refused: some say 0, and
/// there would be a question for each request.
const MIN_LIFE: Duration = Duration::from_secs(10);

/// Longer lives than a year are a mistake somewhere, and would overflow in the end.
const MAX_LIFE: f64 = 366.0 * 86_400.0;

/// A token that was given to us.
pub struct Token {
    header: HeaderValue,
    /// When to renew it and when it ends, as time since the host's boot; never, where its
    /// server does not say.
    life: Option<(Duration, Duration)>,
}

impl Token {
    /// The value of `Authorization`.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    fn is_due(&self, now: Duration) -> bool {
        self.life.is_some_and(|(due, _)| now >= due)
    }

    fn has_ended(&self, now: Duration) -> bool {
        self.life.is_some_and(|(_, end)| now >= end)
    }
}

/// The token of one server.
pub struct Tokens {
    settings: OAuth2Settings,
    wire: Wire,
    resolver: OnceResolver,
    current: Mutex<Option<Arc<Token>>>,
    /// Held by the one who asks for a token.
    renewal: Mutex<Renewal>,
    /// Questions that were answered, well or not.
    asked: AtomicU64,
}

#[derive(Default)]
struct Renewal {
    /// Why the last question failed, if it did.
    error: Option<Error>,
    /// When an early renewal may be tried again, as time since the host's boot.
    again_at: Duration,
}

impl Tokens {
    /// Asks for nothing yet.
    pub fn new(settings: OAuth2Settings, wire: Wire) -> Tokens {
        let resolver = wire.resolver();
        let (current, renewal, asked) = Default::default();
        Tokens { settings, wire, resolver, current, renewal, asked }
    }

    /// Looks at the files of the way to the token's server.
    pub fn refresh(&self) -> bool {
        self.wire.refresh()
    }

    /// A token that can be used now. `secrets` are the client's secret and the values of the
    /// endpoint's parameters. The error names the server and its reason.
    pub fn get(&self, secrets: &[Secret]) -> Result<Arc<Token>, Error> {
        let (asked, now) = (self.asked.load(Ordering::Acquire), boottime());
        let current = self.current().clone();
        if let Some(token) = current.filter(|token| !token.has_ended(now)) {
            if !token.is_due(now) {
                return Ok(token);
            }
            let mut renewal = match self.renewal.try_lock() {
                Ok(renewal) => renewal,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(token),
            };
            if now < renewal.again_at {
                return Ok(token);
            }
            return Ok(self.renew(&mut renewal, secrets).unwrap_or_else(|why| {
                log::warn!("{why}; the token that there is stays in use until it ends");
                token
            }));
        }
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if self.asked.load(Ordering::Acquire) != asked {
            // Somebody else has asked while this one waited.
            if let Some(why) = &renewal.error {
                return Err(why.clone());
            }
            if let Some(token) = self.current().clone() {
                return Ok(token);
            }
        }
        self.renew(&mut renewal, secrets)
    }

    /// The server has refused `token`, so it is of no use to anybody any more.
    pub fn give_up(&self, token: &Arc<Token>) {
        let mut current = self.current();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            *current = None;
        }
    }

    /// Whoever we are now, tokens of before do not count.
    pub fn forget(&self) {
        *self.current() = None;
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Token>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew(&self, renewal: &mut Renewal, secrets: &[Secret]) -> Result<Arc<Token>, Error> {
        let fetched = self.fetch(secrets);
        self.asked.fetch_add(1, Ordering::Release);
        match fetched {
            Ok(token) => {
                let token = Arc::new(token);
                *self.current() = Some(Arc::clone(&token));
                *renewal = Renewal::default();
                Ok(token)
            }
            Err(why) => {
                *renewal = Renewal { error: Some(why.clone()), again_at: boottime() + AGAIN };
                Err(why)
            }
        }
    }

    fn fetch(&self, secrets: &[Secret]) -> Result<Token, Error> {
        let failed = |why: String| Error::Failed(why).on(&self.wire.name()).after("token endpoint");
        let begun = boottime();
        let (client_secret, parameters) = secrets.split_first().ok_or_else(|| failed("no client secret".to_owned()))?;
        let authorization = HeaderValue::try_from(client(&self.settings.client_id, client_secret.expose()))
            .map_err(|_| failed("the client's secret holds what no header can".to_owned()))?;
        let mut form = "grant_type=client_credentials".to_owned();
        if !self.settings.scopes.is_empty() {
            form.push_str(&format!("&scope={}", form_encoded(&self.settings.scopes.join(" "))));
        }
        for ((name, _), value) in self.settings.endpoint_params.iter().zip(parameters) {
            form.push_str(&format!("&{}={}", form_encoded(name), form_encoded(value.expose())));
        }
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")];
        let request = Request {
            method: Method::POST,
            path: None,
            headers: &headers,
            body: Some(form.as_bytes()),
            limit: BodyLimit::Refuse(MAX_ANSWER),
            within: None,
        };
        let shown = [(HeaderName::from_static("authorization"), authorization)];
        let agent = self.wire.agent(&self.resolver, &Slot::default());
        let mut body = Vec::new();
        let answer = exchange(&agent, &self.wire, &request, &shown, &mut body);
        // Asked again in an hour or so: its address may be another one by then.
        self.resolver.forget();
        let answer = answer.map_err(|error| error.after("token endpoint"))?;
        token(answer.status, &body, begun).map_err(failed)
    }
}

/// The value of `Authorization` for a client and its secret.
fn client(id: &str, secret: &str) -> String {
    basic(&form_encoded(id), &form_encoded(secret))
}

/// As forms and, inside `Authorization`, client credentials are written (RFC 6749, appendix B).
fn form_encoded(text: &str) -> String {
    percent_encoded(text).replace("%20", "+")
}

/// What the server says: section 5.1 and, of errors, 5.2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    access_token: Option<String>,
    token_type: Option<String>,
    /// A number; a string with some.
    expires_in: serde_json::Value,
    error: Option<String>,
}

/// The token of an answer that was asked for at `begun`, or what is wrong.
fn token(status: u16, body: &[u8], begun: Duration) -> Result<Token, String> {
    let said: Option<Reply> = serde_json::from_slice(body).ok();
    if !(200..=299).contains(&status) {
        return Err(refusal(status, said.unwrap_or_default(), body));
    }
    let said = said.ok_or("its answer is no JSON object with a token; is this the token endpoint?")?;
    if said.error.is_some() {
        return Err(refusal(status, said, body));
    }
    let text = said.access_token.filter(|token| !token.is_empty()).ok_or("its answer holds no access_token")?;
    if said.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("it gives tokens of another type than Bearer, which alone is understood".to_owned());
    }
    let mut header =
        HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| "its access_token holds what no header can")?;
    header.set_sensitive(true);
    let seconds = match &said.expires_in {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.trim().parse::<f64>().ok().filter(|seconds| !seconds.is_nan()),
        _ => None,
    };
    let life = seconds.map(|seconds| {
        let life = Duration::from_secs_f64(seconds.clamp(0.0, MAX_LIFE)).max(MIN_LIFE);
        (begun + (life - MARGIN.min(life / 4)).max(MIN_LIFE), begun + life)
    });
    Ok(Token { header, life })
}

/// The errors that a server may answer with (RFC 6749, section 5.2; RFC 8707), and what to do.
const ERRORS: [(&str, &str); 8] = [
    ("invalid_client", "; check client_id and client_secret"),
    ("invalid_grant", ""),
    ("invalid_request", "; check endpoint_params"),
    ("invalid_scope", "; check scopes"),
    ("invalid_target", "; check endpoint_params"),
    ("unauthorized_client", "; this client may not use the client credentials grant"),
    ("unsupported_grant_type", "; this client may not use the client credentials grant"),
    ("temporarily_unavailable", ""),
];

/// What a refusal says, in our words: the client's secret has gone there.
fn refusal(status: u16, said: Reply, body: &[u8]) -> String {
    let known = ERRORS.iter().find(|(code, _)| said.error.as_deref() == Some(code));
    if let Some((code, remedy)) = known {
        return format!("answered {status}: {code}{remedy}");
    }
    let remedy = match status {
        300..=399 => "; redirects are not followed; check token_url",
        401 | 403 => "; check client_id and client_secret",
        404 | 405 => "; check the path of token_url",
        _ => "",
    };
    format!("{}{remedy}", answered(status, &Said::of(body, true, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Duration = Duration::from_secs(1000);

    fn ends(body: &str) -> Option<(u64, u64)> {
        let token = token(200, body.as_bytes(), BEGUN).unwrap_or_else(|why| panic!("{body}: {why}"));
        token.life.map(|(due, end)| (due.as_secs() - 1000, end.as_secs() - 1000))
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        for (expires_in, life) in [
            (r#", "expires_in": 3600"#, Some((3540, 3600))),
            (r#", "expires_in": "3600""#, Some((3540, 3600))),
            (r#", "expires_in": 40"#, Some((30, 40))),
            (r#", "expires_in": 0"#, Some((10, 10))),
            (r#", "expires_in": 11"#, Some((10, 11))),
            (r#", "expires_in": -5"#, Some((10, 10))),
            (r#", "expires_in": 1e300"#, Some((31_622_340, 31_622_400))),
            (r#", "expires_in": "soon""#, None),
            ("", None),
        ] {
            assert_eq!(ends(&format!(r#"{{"access_token": "t", "token_type": "bearer"{expires_in}}}"#)), life);
        }
        let token = token(200, br#"{"access_token": "tok", "expires_in": 40}"#, BEGUN).ok().unwrap();
        assert_eq!(token.header(), "Bearer tok");
        assert!(!token.is_due(BEGUN + Duration::from_secs(29)) && token.is_due(BEGUN + Duration::from_secs(30)));
        assert!(!token.has_ended(BEGUN + Duration::from_secs(39)) && token.has_ended(BEGUN + Duration::from_secs(40)));
    }

    #[test]
    fn what_is_no_token_is_told() {
        let nested = "[".repeat(10_000);
        for (status, body, why) in [
            (200, "", "no JSON object"),
            (200, &*nested, "no JSON object"),
            (200, "<html>", "no JSON object"),
            (200, "{}", "no access_token"),
            (200, r#"{"access_token": ""}"#, "no access_token"),
            (200, r#"{"access_token": "a\nb"}"#, "what no header can"),
            (200, r#"{"access_token": "a", "token_type": "mac"}"#, "another type than Bearer"),
            (200, r#"{"error": "invalid_scope"}"#, "answered 200: invalid_scope; check scopes"),
            (
                401,
                r#"{"error": "invalid_client", "error_description": "bad\nsecret"}"#,
                "answered 401: invalid_client; check client_id",
            ),
            (500, "oh no", "answered 500 Internal Server Error (its text is not shown"),
            (400, r#"{"error": "client s3cr3t"}"#, "answered 400 Bad Request (its text is not shown"),
            (503, "", "answered 503 Service Unavailable"),
            (404, "<html><body>gone</body>", "credentials went with the request); check the path of token_url"),
        ] {
            let error = token(status, body.as_bytes(), BEGUN).err().unwrap();
            assert!(error.contains(why), "{status} {body:.40}: {error}");
        }
    }
}
