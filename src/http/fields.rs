//! The fields of one who connects: how long it may take, TLS, what it takes to be let in
//! (headers, and one kind of `Authorization`), and the proxy on the way.

use std::time::Duration;

use ureq::http::HeaderName;

use super::checked::{checked_url, is_in_the_clear};
use super::proxies::{Env, ProxyUrl};
use super::settings::{
    Authorization, Credentials, DEFAULT_TIMEOUT, HttpSettings, KeySettings, OAuth2Settings, SigV4Settings,
};
use super::url::{Url, percent_decoded};
use crate::fields::{DefaultValue, Done, Fault, Field, Held, Inner, Notes, Step, Table, Takes, WAIT};
use crate::secret::{self, Form, Secret, SecretFields, Source};
use crate::tls::{CLIENT_TABLE, ClientFields as TlsFields};

/// Headers that HTTP or the body's format sets.
const OURS: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "date",
    "proxy-authorization",
    "proxy-connection",
];

/// Headers that the signature sets.
const SIGNED: [&str; 2] = ["x-amz-date", "x-amz-security-token"];

/// Each is sent with each request.
const MAX_HEADERS: usize = 50;

/// Amazon Managed Prometheus.
const DEFAULT_SERVICE: &str = "aps";

const SET_IN_ANY_CASE: &str = "is set by HTTP or by the format of the body; remove it";

/// Parameters of the request for a token that are sent in any case.
const TOKEN_PARAMETERS: [&str; 4] = ["grant_type", "scope", "client_id", "client_secret"];

const PASSWORD: [&str; 2] = ["password", "password_file"];
const BEARER_TOKEN: [&str; 2] = ["bearer_token", "bearer_token_file"];
const CLIENT_SECRET: [&str; 2] = ["client_secret", "client_secret_file"];
const SECRET_ACCESS_KEY: [&str; 2] = ["secret_access_key", "secret_access_key_file"];
const SESSION_TOKEN: [&str; 2] = ["session_token", "session_token_file"];

/// What an object that reaches somebody by HTTP says of it, as it was written.
#[derive(Default)]
pub struct HttpFields {
    timeout: Option<Duration>,
    tls: TlsFields,
    headers: Vec<(String, Held)>,
    basic_auth: BasicAuth,
    bearer_token: SecretFields,
    oauth2: OAuth2,
    sigv4: SigV4,
    proxy_url: ProxyUrl,
    user_agent: Option<String>,
}

#[derive(Default)]
struct BasicAuth {
    username: Option<String>,
    password: SecretFields,
}

#[derive(Default)]
struct OAuth2 {
    token_url: Option<Url>,
    client_id: Option<String>,
    client_secret: SecretFields,
    scopes: Vec<String>,
    endpoint_params: Vec<(String, Held)>,
}

#[derive(Default)]
struct SigV4 {
    region: Option<String>,
    service: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: SecretFields,
    session_token: SecretFields,
}

static FIELDS: [Field<HttpFields>; 10] = [
    Field::new(
        "timeout",
        Takes::Duration(WAIT, |s, timeout| s.timeout = Some(timeout)),
        DefaultValue::Whole(DEFAULT_TIMEOUT.as_nanos() as u64),
        "Whole request; a number is nanoseconds, a string a duration (`\"30s\"`, `\"1m30s\"`).",
    ),
    Field::new(
        "tls",
        Takes::Object(&Inner { table: &CLIENT_TABLE, of: |s: &mut HttpFields| &mut s.tls }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "headers",
        Takes::Secrets(add_header),
        DefaultValue::EmptyMap,
        "Headers of your own. A value may be `{\"file\": \"/path\"}`: then that file holds it.",
    )
    .secret(),
    Field::new(
        "basic_auth",
        Takes::Object(&Inner { table: &BASIC_AUTH_TABLE, of: |s: &mut HttpFields| &mut s.basic_auth }),
        DefaultValue::EmptyMap,
        "",
    )
    .secret(),
    Field::new(
        BEARER_TOKEN[0],
        Takes::Text(|s: &mut HttpFields, token| s.bearer_token.set_value(token, Form::Token)),
        DefaultValue::Null,
        "Sent as `Authorization: Bearer TOKEN`.",
    )
    .secret(),
    Field::new(
        BEARER_TOKEN[1],
        Takes::Text(|s: &mut HttpFields, path| s.bearer_token.set_file(path)),
        DefaultValue::Null,
        "A file that holds the token, taken up when it changes.",
    )
    .credential(),
    Field::new(
        "oauth2",
        Takes::Object(&Inner { table: &OAUTH2_TABLE, of: |s: &mut HttpFields| &mut s.oauth2 }),
        DefaultValue::EmptyMap,
        "",
    )
    .secret(),
    Field::new(
        "sigv4",
        Takes::Object(&Inner { table: &SIGV4_TABLE, of: |s: &mut HttpFields| &mut s.sigv4 }),
        DefaultValue::EmptyMap,
        "",
    )
    .secret(),
    Field::new(
        "proxy_url",
        Takes::Text(|s, url| {
            s.proxy_url = ProxyUrl::new(&url)?;
            Ok(())
        }),
        DefaultValue::Null,
        "HTTP proxy, `http://` or `https://`, with credentials as user info; null: what `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` says; `\"\"`: none.",
    ),
    Field::new(
        "user_agent",
        Takes::Text(|s, agent| {
            secret::check(&agent, Form::Line)?;
            s.user_agent = Some(agent);
            Ok(())
        }),
        DefaultValue::Null,
        "What metricsd calls itself (`User-Agent`); null: `metricsd/VERSION`.",
    ),
];

/// The fields of one who connects, to stand among those of its object.
pub static TABLE: Table<HttpFields> = Table::new(|| FIELDS.iter().collect());

/// The same without `timeout`, for objects that have another default for it.
pub static UNTIMED_TABLE: Table<HttpFields> = Table::new(|| FIELDS.iter().skip(1).collect());

static BASIC_AUTH_FIELDS: [Field<BasicAuth>; 3] = [
    Field::new("username", Takes::Text(set_username), DefaultValue::Null, "User of basic authentication.").credential(),
    Field::new(
        PASSWORD[0],
        Takes::Text(|s: &mut BasicAuth, password| s.password.set_value(password, Form::Line)),
        DefaultValue::Null,
        "Its password.",
    )
    .secret(),
    Field::new(
        PASSWORD[1],
        Takes::Text(|s: &mut BasicAuth, path| s.password.set_file(path)),
        DefaultValue::Null,
        "A file that holds the password, taken up when it changes.",
    )
    .credential(),
];

static BASIC_AUTH_TABLE: Table<BasicAuth> = Table::new(|| BASIC_AUTH_FIELDS.iter().collect());

static OAUTH2_FIELDS: [Field<OAuth2>; 6] = [
    Field::new(
        "token_url",
        Takes::Text(set_token_url),
        DefaultValue::Null,
        "Where bearer tokens are fetched by the client credentials grant, and renewed before they expire.",
    ),
    Field::new("client_id", Takes::Text(|s, id| line(&mut s.client_id, id)), DefaultValue::Null, "Who we are there."),
    Field::new(
        CLIENT_SECRET[0],
        Takes::Text(|s: &mut OAuth2, secret| s.client_secret.set_value(secret, Form::Line)),
        DefaultValue::Null,
        "Our secret there.",
    )
    .secret(),
    Field::new(
        CLIENT_SECRET[1],
        Takes::Text(|s: &mut OAuth2, path| s.client_secret.set_file(path)),
        DefaultValue::Null,
        "A file that holds it, taken up when it changes.",
    )
    .credential(),
    Field::new(
        "scopes",
        Takes::Texts(|s| s.scopes.clear(), add_scope),
        DefaultValue::Texts(&[]),
        "What is asked for; empty: what the server gives by itself.",
    ),
    Field::new(
        "endpoint_params",
        Takes::Secrets(|s: &mut OAuth2, name, value| {
            s.endpoint_params.push((name.to_owned(), value));
            Ok(())
        }),
        DefaultValue::EmptyMap,
        "More parameters of the request for a token (`audience`); values as those of `headers`.",
    )
    .secret(),
];

static OAUTH2_TABLE: Table<OAuth2> = Table::new(|| OAUTH2_FIELDS.iter().collect());

static SIGV4_FIELDS: [Field<SigV4>; 7] = [
    Field::new(
        "region",
        Takes::Text(|s, region| word(&mut s.region, region)),
        DefaultValue::Null,
        "Requests are signed for this region of AWS.",
    ),
    Field::new(
        "service",
        Takes::Text(|s, service| word(&mut s.service, service)),
        DefaultValue::Text(DEFAULT_SERVICE),
        "The service's name; `aps` is Amazon Managed Prometheus.",
    ),
    Field::new(
        "access_key_id",
        Takes::Text(|s, id| word(&mut s.access_key_id, id)),
        DefaultValue::Null,
        "The key's name.",
    ),
    Field::new(
        SECRET_ACCESS_KEY[0],
        Takes::Text(|s: &mut SigV4, key| s.secret_access_key.set_value(key, Form::Line)),
        DefaultValue::Null,
        "The key.",
    )
    .secret(),
    Field::new(
        SECRET_ACCESS_KEY[1],
        Takes::Text(|s: &mut SigV4, path| s.secret_access_key.set_file(path)),
        DefaultValue::Null,
        "A file that holds the key, taken up when it changes.",
    )
    .credential(),
    Field::new(
        SESSION_TOKEN[0],
        Takes::Text(|s: &mut SigV4, token| s.session_token.set_value(token, Form::Line)),
        DefaultValue::Null,
        "Of temporary keys.",
    )
    .secret(),
    Field::new(
        SESSION_TOKEN[1],
        Takes::Text(|s: &mut SigV4, path| s.session_token.set_file(path)),
        DefaultValue::Null,
        "A file that holds it, taken up when it changes.",
    )
    .credential(),
];

static SIGV4_TABLE: Table<SigV4> = Table::new(|| SIGV4_FIELDS.iter().collect());

fn add_header(s: &mut HttpFields, name: &str, value: Held) -> Done {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err("is no header's name: letters, digits and - are".into());
    }
    if OURS.contains(&lower.as_str()) {
        return Err(SET_IN_ANY_CASE.into());
    }
    if s.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Err("is given twice; capitals make no difference in a header's name".into());
    }
    s.headers.push((name.to_owned(), value));
    Ok(())
}

fn set_username(s: &mut BasicAuth, user: String) -> Done {
    if user.is_empty() {
        return Err(Fault::expected("more than an empty string"));
    }
    secret::check(&user, Form::Line)?;
    if user.contains(':') {
        return Err(Fault::expected("a user without a colon: what follows one would be the password"));
    }
    s.username = Some(user);
    Ok(())
}

fn set_token_url(s: &mut OAuth2, url: String) -> Done {
    if url.is_empty() {
        return Err(Fault::expected("more than an empty string"));
    }
    let (url, user_info) = checked_url(&url)?.into_parts();
    if user_info.is_some() {
        return Err("has user info; client_id and client_secret are what its server is shown".into());
    }
    s.token_url = Some(url);
    Ok(())
}

/// A name that goes into a header.
fn line(place: &mut Option<String>, text: String) -> Done {
    if text.is_empty() {
        return Err(Fault::expected("more than an empty string"));
    }
    secret::check(&text, Form::Line)?;
    *place = Some(text);
    Ok(())
}

fn add_scope(s: &mut OAuth2, scope: String) -> Done {
    secret::check(&scope, Form::Line)?;
    if scope.is_empty() || scope.contains(char::is_whitespace) {
        return Err(Fault::expected("one scope; several are items of the list"));
    }
    s.scopes.push(scope);
    Ok(())
}

/// What may stand between the slashes of a signature's scope.
fn word(place: &mut Option<String>, text: String) -> Done {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if text.is_empty() || !text.bytes().all(allowed) {
        return Err(Fault::expected("letters, digits, - and _"));
    }
    *place = Some(text);
    Ok(())
}

/// What the fields are meant for.
pub struct Purpose<'a> {
    /// The field that holds the URL.
    pub field: &'static str,
    /// That URL, user info included; none where there is none, or it was refused.
    pub url: Option<Url>,
    /// Whether a request will be made, so that files are looked at, and credentials pass over the network.
    pub used: bool,
    /// Headers that the body's format sets, in small letters.
    pub headers: &'a [&'a str],
    /// The environment, for proxies.
    pub env: Env<'a>,
    /// What is shown to be let in, besides what the fields say.
    pub key: Option<OwnKey>,
}

/// A secret that the one who connects has among fields of its own.
pub struct OwnKey {
    /// The object of these fields.
    pub object: &'static str,
    /// The field that was given.
    pub field: &'static str,
    /// What it is.
    pub says: KeySettings,
}

/// One kind of `Authorization`: what it is called, and where it was given.
struct Kind {
    name: String,
    at: Vec<Step>,
    says: Authorization,
}

impl Kind {
    fn new(name: &str, at: &'static str, says: Authorization) -> Kind {
        Kind { name: name.to_owned(), at: vec![at.into()], says }
    }
}

impl HttpFields {
    /// Whether anything was said of time limits.
    pub fn has_timeout(&self) -> bool {
        self.timeout.is_some()
    }

    /// Whether TLS is asked for.
    pub fn has_tls(&self) -> bool {
        self.tls.enabled
    }

    /// The fields that were given and are of use in requests alone: credentials, headers, a proxy.
    pub fn of_requests(&self) -> Vec<&'static str> {
        let all = [
            ("headers", !self.headers.is_empty()),
            ("basic_auth", self.basic_auth.is_given()),
            ("oauth2", self.oauth2.is_given()),
            ("sigv4", self.sigv4.is_given()),
            ("proxy_url", matches!(self.proxy_url, ProxyUrl::Proxy(_))),
            ("user_agent", self.user_agent.is_some()),
        ];
        let given = all.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| field);
        given.chain(self.bearer_token.given_as(BEARER_TOKEN)).collect()
    }

    /// The proxy on the way to `url`, if there is one. Notes are of the object that the fields are in.
    pub fn proxy_for(&self, url: &Url, env: Env<'_>, notes: &mut Notes) -> Option<Url> {
        self.proxy_url.for_url(url, env, notes)
    }

    /// What is meant; none where there is no URL. Notes are of the object that the fields are in.
    pub fn settle(self, purpose: Purpose<'_>, notes: &mut Notes) -> Option<HttpSettings> {
        let Purpose { field, url, used, headers: reserved, env, key } = purpose;
        // What is in the URL for the server's eyes goes into a header, and nowhere else.
        let (url, user_info) = url.map(Url::into_parts).unzip();
        let https = url.as_ref().is_some_and(Url::is_https);
        if self.tls.enabled && url.is_some() && !https {
            notes.problem("tls", "enabled, but the endpoint is http://; write https://, or set it to false");
        }
        let tls = notes.within("tls", |notes| self.tls.settle(https, notes));
        let headers = notes.within("headers", |notes| settle_headers(self.headers, reserved, used, notes));

        let mut kinds: Vec<Kind> = Vec::new();
        let user_info = user_info.flatten();
        kinds.extend(user_info.and_then(|info| from_url(field, info.expose(), notes)));
        kinds.extend(notes.within("basic_auth", |notes| self.basic_auth.settle(used, notes)));
        let bearer = self.bearer_token.settle(BEARER_TOKEN, Form::Token, used, notes);
        kinds.extend(bearer.map(|(at, token)| Kind::new(BEARER_TOKEN[0], at, Authorization::Bearer(token))));
        let proxy = |url: &Url, notes: &mut Notes| self.proxy_url.for_url(url, env, notes);
        kinds.extend(self.oauth2.settle(&proxy, used, notes));
        if self.sigv4.is_given() {
            for (name, _) in headers.iter().filter(|(name, _)| is_one_of(name, &SIGNED)) {
                let at = ["headers".into(), Step::Key(name.clone())];
                notes.problem_at(&at, "is set by the signature (sigv4); remove it");
            }
        }
        kinds.extend(notes.within("sigv4", |notes| self.sigv4.settle(used, notes)));
        kinds.extend(key.map(|OwnKey { object, field, says }| {
            for (name, _) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(says.header)) {
                let at = ["headers".into(), Step::Key(name.clone())];
                notes.problem_at(&at, format!("is what {object}.{field} is sent as; remove one of them"));
            }
            let at = vec![object.into(), field.into()];
            Kind { name: format!("{object}.{field}"), at, says: Authorization::Key(Box::new(says)) }
        }));
        let is_authorization = |(name, _): &&(String, Source)| is_one_of(name, &["authorization"]);
        let has_key = kinds.iter().any(|kind| matches!(kind.says, Authorization::Key(_)));
        if let Some((name, _)) = headers.iter().find(is_authorization).filter(|_| !has_key) {
            let at = vec!["headers".into(), Step::Key(name.clone())];
            kinds.push(Kind { name: format!("headers.{name}"), at, says: Authorization::None });
        }
        if let [first, rest @ ..] = &kinds[..] {
            for Kind { name, at, .. } in rest {
                let first = &first.name;
                let message =
                    format!("{name} and {first} are given together; a request has one Authorization, keep one");
                notes.problem_at(at, message);
            }
            // A signature tells nothing.
            let shows = !matches!(first.says, Authorization::SigV4(_));
            if used && shows && url.as_ref().is_some_and(is_in_the_clear) {
                notes.warning(field, IN_THE_CLEAR);
            }
        }
        let authorization = kinds.into_iter().next().map(|kind| kind.says).unwrap_or_default();
        let url = url?;
        Some(HttpSettings {
            tls: tls.map(Box::new),
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT),
            credentials: Credentials { headers, authorization },
            proxy: proxy(&url, notes),
            query: String::new(),
            user_agent: self.user_agent,
            endpoint: url,
        })
    }
}

const IN_THE_CLEAR: &str = "credentials pass over the network in the clear; write https://";

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn settle_headers(
    headers: Vec<(String, Held)>,
    reserved: &[&str],
    used: bool,
    notes: &mut Notes,
) -> Vec<(String, Source)> {
    if headers.len() > MAX_HEADERS {
        notes.refuse(format!("{} headers, at most {MAX_HEADERS} are possible", headers.len()));
    }
    for (name, _) in headers.iter().filter(|(name, _)| is_one_of(name, reserved)) {
        notes.problem(name.as_str(), SET_IN_ANY_CASE);
    }
    settle_members(headers, used, notes)
}

fn settle_members(members: Vec<(String, Held)>, used: bool, notes: &mut Notes) -> Vec<(String, Source)> {
    let settle = |(name, value): (String, Held)| {
        let source = secret::of_member(&name, value, used, notes);
        (name, source)
    };
    members.into_iter().map(settle).collect()
}

fn from_url(field: &'static str, info: &str, notes: &mut Notes) -> Option<Kind> {
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let Some((user, password)) = percent_decoded(user).zip(percent_decoded(password)) else {
        notes.problem(field, "has a % in its user info that begins no escape; write %25 for a % itself");
        return None;
    };
    if user.contains(':') || [&user, &password].iter().any(|text| Form::Line.fault(text).is_some()) {
        notes.problem(field, "has a colon in its user, or a control character in its user info, which cannot be sent");
        return None;
    }
    let says = Authorization::Basic(Secret::new(user), Source::Given(Secret::new(password)));
    Some(Kind::new("the user info of endpoint", field, says))
}

/// What stands where a problem was noted, so that it goes nowhere.
fn nothing() -> Source {
    Source::Given(Secret::new(""))
}

/// The secret of `fields`, which has to be given.
fn required_secret(secret: SecretFields, fields: [&'static str; 2], used: bool, notes: &mut Notes) -> Source {
    let settled = secret.settle(fields, Form::Line, used, notes);
    if settled.is_none() {
        let [value, file] = fields;
        let hint = if value == PASSWORD[0] { " (an empty password is \"\")" } else { "" };
        notes.lack(format!("has no {value}; give {value} or {file}{hint}"));
    }
    settled.map_or_else(nothing, |(_, source)| source)
}

/// A field that has to be given.
fn required<T: Default>(value: Option<T>, field: &'static str, notes: &mut Notes) -> T {
    value.unwrap_or_else(|| {
        notes.problem(field, "required");
        T::default()
    })
}

impl BasicAuth {
    fn is_given(&self) -> bool {
        self.username.is_some() || self.password.is_given()
    }

    fn settle(self, used: bool, notes: &mut Notes) -> Option<Kind> {
        if !self.is_given() {
            return None;
        }
        let user = Secret::new(required(self.username, "username", notes));
        let password = required_secret(self.password, PASSWORD, used, notes);
        Some(Kind::new("basic_auth", "basic_auth", Authorization::Basic(user, password)))
    }
}

impl OAuth2 {
    fn is_given(&self) -> bool {
        let names = self.token_url.is_some() || self.client_id.is_some() || self.client_secret.is_given();
        names || !self.scopes.is_empty() || !self.endpoint_params.is_empty()
    }

    /// Notes are of the object that `oauth2` and `proxy_url` are in.
    fn settle(self, proxy: &dyn Fn(&Url, &mut Notes) -> Option<Url>, used: bool, notes: &mut Notes) -> Option<Kind> {
        if !self.is_given() {
            return None;
        }
        let proxy = self.token_url.as_ref().and_then(|url| proxy(url, notes));
        let settings = notes.within("oauth2", |notes| {
            if used && self.token_url.as_ref().is_some_and(is_in_the_clear) {
                notes.warning("token_url", IN_THE_CLEAR);
            }
            for (name, _) in self.endpoint_params.iter().filter(|(name, _)| TOKEN_PARAMETERS.contains(&name.as_str())) {
                notes
                    .problem_at(&["endpoint_params".into(), Step::Key(name.clone())], "is sent in any case; remove it");
            }
            if self.token_url.is_none() {
                notes.problem("token_url", "required");
            }
            OAuth2Settings {
                token_url: self.token_url.unwrap_or_else(|| Url::new("")),
                client_id: required(self.client_id, "client_id", notes),
                client_secret: required_secret(self.client_secret, CLIENT_SECRET, used, notes),
                scopes: self.scopes,
                endpoint_params: notes
                    .within("endpoint_params", |notes| settle_members(self.endpoint_params, used, notes)),
                proxy,
            }
        });
        Some(Kind::new("oauth2", "oauth2", Authorization::OAuth2(Box::new(settings))))
    }
}

impl SigV4 {
    fn is_given(&self) -> bool {
        let names = self.region.is_some() || self.access_key_id.is_some();
        names || self.secret_access_key.is_given() || self.session_token.is_given()
    }

    fn settle(self, used: bool, notes: &mut Notes) -> Option<Kind> {
        if !self.is_given() {
            return None;
        }
        let session_token = self.session_token.settle(SESSION_TOKEN, Form::Line, used, notes);
        let settings = SigV4Settings {
            region: required(self.region, "region", notes),
            service: self.service.unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
            access_key_id: required(self.access_key_id, "access_key_id", notes),
            secret_access_key: required_secret(self.secret_access_key, SECRET_ACCESS_KEY, used, notes),
            session_token: session_token.map(|(_, source)| source),
        };
        Some(Kind::new("sigv4", "sigv4", Authorization::SigV4(Box::new(settings))))
    }
}
