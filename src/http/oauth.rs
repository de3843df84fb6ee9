//! Tokens by the client credentials grant of OAuth 2 (RFC 6749, section 4.4).
//!
//! All senders of a destination share one token. It is renewed before it expires, by one
//! of them at a time; while the old one is still good the others go on with it, and where
//! there is none they wait for the one that asks, and share its failure.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::HeaderValue;

use super::page::readable;
use super::redact::{Redactor, basic};
use super::resolve::OnceResolver;
use super::status::answered;
use super::wire::Wire;
use crate::host::boottime;
use crate::http::OAuth2Settings;
use crate::http::percent_encoded;
use crate::secret::Secret;

/// Tokens of a few kilobytes are common, larger answers are none.
const MAX_ANSWER: u64 = 64 << 10;

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

/// How much of an error's description is looked at for what it says.
const PAGE: usize = 4 << 10;

/// How much of that is shown.
const EXCERPT: usize = 256;

/// A token that was given to us.
pub struct Token {
    secret: Secret,
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

    /// Adds itself to what must not be quoted.
    pub fn hide(&self, redactor: &mut Redactor) {
        redactor.hide(self.secret.expose());
    }

    fn is_due(&self, now: Duration) -> bool {
        self.life.is_some_and(|(due, _)| now >= due)
    }

    fn has_ended(&self, now: Duration) -> bool {
        self.life.is_some_and(|(_, end)| now >= end)
    }
}

/// The token of one destination.
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
    error: Option<String>,
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
    pub fn get(&self, secrets: &[Secret], redactor: &Redactor) -> Result<Arc<Token>, String> {
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
            return Ok(self.renew(&mut renewal, secrets, redactor).unwrap_or_else(|why| {
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
        self.renew(&mut renewal, secrets, redactor)
    }

    /// The destination has refused `token`, so it is of no use to anybody any more.
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

    fn renew(&self, renewal: &mut Renewal, secrets: &[Secret], redactor: &Redactor) -> Result<Arc<Token>, String> {
        let fetched = self.fetch(secrets, redactor);
        self.asked.fetch_add(1, Ordering::Release);
        match fetched {
            Ok(token) => {
                let token = Arc::new(token);
                *self.current() = Some(Arc::clone(&token));
                *renewal = Renewal::default();
                Ok(token)
            }
            Err(why) => {
                let why = format!("token endpoint {why}");
                *renewal = Renewal { error: Some(why.clone()), again_at: boottime() + AGAIN };
                Err(why)
            }
        }
    }

    fn fetch(&self, secrets: &[Secret], redactor: &Redactor) -> Result<Token, String> {
        let url = &self.settings.token_url;
        let begun = boottime();
        let (client_secret, parameters) = secrets.split_first().ok_or("no client secret")?;
        let authorization = client(&self.settings.client_id, client_secret.expose());
        let mut body = "grant_type=client_credentials".to_owned();
        if !self.settings.scopes.is_empty() {
            body.push_str(&format!("&scope={}", form_encoded(&self.settings.scopes.join(" "))));
        }
        for ((name, _), value) in self.settings.endpoint_params.iter().zip(parameters) {
            body.push_str(&format!("&{}={}", form_encoded(name), form_encoded(value.expose())));
        }
        let agent = self.wire.agent(&self.resolver);
        let answer = agent
            .post(url.as_str())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Accept", "application/json")
            .header("Authorization", authorization)
            .send(body.as_bytes());
        // Asked again in an hour or so: its address may be another one by then.
        self.resolver.forget();
        let failure = |error: &ureq::Error| {
            let why = self.wire.failure(error);
            redactor.redact(&why, why.len())
        };
        let mut answer = answer.map_err(|error| failure(&error))?;
        let mut bytes = Vec::new();
        let read = answer.body_mut().as_reader().take(MAX_ANSWER + 1).read_to_end(&mut bytes);
        read.map_err(|error| failure(&ureq::Error::Io(error)))?;
        if bytes.len() as u64 > MAX_ANSWER {
            return Err(format!("{url}: its answer has more than {MAX_ANSWER} bytes"));
        }
        token(answer.status().as_u16(), &bytes, begun, redactor).map_err(|why| format!("{url}: {why}"))
    }
}

/// The value of `Authorization` for a client and its secret.
pub fn client(id: &str, secret: &str) -> String {
    basic(&form_encoded(id), &form_encoded(secret))
}

/// As forms and, inside `Authorization`, client credentials are written (RFC 6749, appendix B).
fn form_encoded(text: &str) -> String {
    percent_encoded(text).replace("%20", "+")
}

/// What the server says: section 5.1 and, of errors, 5.2.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    access_token: Option<String>,
    token_type: Option<String>,
    /// A number; a string with some.
    expires_in: serde_json::Value,
    error: Option<String>,
    error_description: Option<String>,
}

/// The token of an answer that was asked for at `begun`, or what is wrong.
fn token(status: u16, body: &[u8], begun: Duration, redactor: &Redactor) -> Result<Token, String> {
    let said: Option<Said> = serde_json::from_slice(body).ok();
    if !(200..=299).contains(&status) {
        return Err(refusal(status, said.unwrap_or_default(), body, redactor));
    }
    let said = said.ok_or("its answer is no JSON object with a token; is this the token endpoint?")?;
    if said.error.is_some() {
        return Err(refusal(status, said, body, redactor));
    }
    let text = said.access_token.filter(|token| !token.is_empty()).ok_or("its answer holds no access_token")?;
    if let Some(kind) = said.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(format!(
            "it gives tokens of the type {:?}; only Bearer is understood",
            excerpt(kind.as_bytes(), redactor)
        ));
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
    Ok(Token { secret: Secret::new(text), header, life })
}

fn refusal(status: u16, said: Said, body: &[u8], redactor: &Redactor) -> String {
    let Some(code) = said.error else {
        let remedy = match status {
            300..=399 => "; redirects are not followed; check token_url",
            401 | 403 => "; check client_id and client_secret",
            404 => "; check the path of token_url",
            _ => "",
        };
        return format!("{}{remedy}", answered(status, &excerpt(body, redactor)));
    };
    let remedy = match &*code {
        "invalid_client" => "; check client_id and client_secret",
        "unauthorized_client" | "unsupported_grant_type" => "; this client may not use the client credentials grant",
        "invalid_scope" => "; check scopes",
        "invalid_request" | "invalid_target" => "; check endpoint_params",
        _ => "",
    };
    let code = excerpt(code.as_bytes(), redactor);
    match said.error_description {
        Some(more) => format!("answered {status}: {code} ({}){remedy}", excerpt(more.as_bytes(), redactor)),
        None => format!("answered {status}: {code}{remedy}"),
    }
}

fn excerpt(said: &[u8], redactor: &Redactor) -> String {
    let said = String::from_utf8_lossy(said);
    let said = readable(&redactor.redact(&said, PAGE));
    redactor.redact(&said, EXCERPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Duration = Duration::from_secs(1000);

    fn ends(body: &str) -> Option<(u64, u64)> {
        let token =
            token(200, body.as_bytes(), BEGUN, &Redactor::default()).unwrap_or_else(|why| panic!("{body}: {why}"));
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
        let token =
            token(200, br#"{"access_token": "tok", "expires_in": 40}"#, BEGUN, &Redactor::default()).ok().unwrap();
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
            (200, r#"{"access_token": "a", "token_type": "mac"}"#, "type \"mac\""),
            (200, r#"{"error": "invalid_scope"}"#, "answered 200: invalid_scope; check scopes"),
            (
                401,
                r#"{"error": "invalid_client", "error_description": "bad\nsecret"}"#,
                "invalid_client (bad secret); check",
            ),
            (500, "oh\r\nno", "answered 500 Internal Server Error: oh  no"),
            (503, "", "answered 503 Service Unavailable"),
            (404, "<html><body>gone</body>", "answered 404 Not Found: gone; check the path of token_url"),
        ] {
            let error = token(status, body.as_bytes(), BEGUN, &Redactor::default()).err().unwrap();
            assert!(error.contains(why), "{status} {body:.40}: {error}");
        }
    }
}
