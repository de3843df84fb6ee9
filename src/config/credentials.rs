//! What a destination wants to see before it lets us in: headers, and one kind of
//! `Authorization`.

use ureq::http::HeaderName;

use super::endpoint;
use super::fields::{BASIC_AUTH, FILE, OAUTH2, SIGV4};
use super::proxy::Proxies;
use super::secrets::{self, Reading};
use super::section::{Item, Section};
use crate::http::{Authorization, Credentials, OAuth2Settings, SigV4Settings, Url, percent_decoded};
use crate::secret::{Form, Secret, Source};

/// Headers that HTTP or the format of the body sets.
const OURS: [&str; 15] = [
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
    "x-prometheus-remote-write-version",
];

/// Headers that the signature sets.
const SIGNED: [&str; 2] = ["x-amz-date", "x-amz-security-token"];

/// Each is sent with each request.
const MAX_HEADERS: usize = 50;

/// One kind of `Authorization`, and where it was given.
type Kind<'v> = (String, Item<'v>, Authorization);

/// Reads what `shipper` says of credentials, `user_info` being what stands in its URL. Files
/// are looked at where `used` says that they will be.
pub(super) fn read(shipper: &Section<'_>, user_info: Option<&str>, proxies: &Proxies<'_>, used: bool) -> Credentials {
    let headers = headers(shipper, used);
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    kinds.extend(user_info.and_then(|info| from_url(shipper, info)));
    kinds.extend(basic(shipper, used));
    kinds.extend(bearer(shipper, used));
    kinds.extend(oauth2(shipper, proxies, used));
    kinds.extend(sigv4(shipper, &headers, used));
    let own = headers.iter().find(|(_, name, _)| name.eq_ignore_ascii_case("authorization"));
    let own = own.map(|(item, name, _)| (format!("headers.{name}"), item.clone(), Authorization::None));
    kinds.extend(own);
    let headers = headers.into_iter().map(|(_, name, value)| (name, value)).collect();
    if let [(first, ..), rest @ ..] = &kinds[..] {
        for (name, item, _) in rest {
            item.problem(format!("{name} and {first} are given together; a request has one Authorization, keep one"));
        }
    }
    let authorization = kinds.into_iter().next().map(|(_, _, kind)| kind).unwrap_or_default();
    Credentials { headers, authorization }
}

fn headers<'v>(shipper: &Section<'v>, used: bool) -> Vec<(Item<'v>, String, Source)> {
    let Some(item) = shipper.get("headers") else { return Vec::new() };
    let mut headers: Vec<(Item<'v>, String, Source)> = Vec::new();
    for (name, member) in item.members() {
        let lower = name.to_ascii_lowercase();
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            member.problem("is no header's name: letters, digits and - are");
        } else if OURS.contains(&lower.as_str()) {
            member.problem("is set by HTTP or by the format of the body; remove it");
        } else if headers.iter().any(|(_, other, _)| other.eq_ignore_ascii_case(&name)) {
            member.problem("is given twice; capitals make no difference in a header's name");
        } else if let Some(source) = value_or_file(&member, used) {
            headers.push((member, name, source));
        }
    }
    if headers.len() > MAX_HEADERS {
        item.problem(format!("{} headers, at most {MAX_HEADERS} are possible", headers.len()));
    }
    headers
}

/// `"value"` or `{"file": "/path"}`.
fn value_or_file(item: &Item<'_>, used: bool) -> Option<Source> {
    if !item.is_object() {
        return secrets::given(item, Form::Line);
    }
    let section = Section::open(item.cx, item.value, item.path.clone(), &FILE);
    match section.get("file") {
        Some(item) => secrets::in_file(&item, Reading { form: Form::Line, used }),
        None => {
            section.problem("expected a string, or {\"file\": \"/path\"} for a value that a file holds");
            None
        }
    }
}

/// The fields `names`, a secret and its file, of which one may be given; with its place.
fn one_of<'v>(section: &Section<'v>, names: [&'static str; 2], used: bool) -> Option<(Item<'v>, Option<Source>)> {
    secrets::one_of(names.map(|name| section.get(name)), Reading { form: Form::Line, used })
}

/// A field that has to be there, and not empty.
fn required<T>(section: &Section<'_>, name: &'static str, read: impl FnOnce(&Item<'_>) -> Option<T>) -> Option<T> {
    match section.get(name) {
        Some(item) if item.text().is_some_and(|text| text.is_empty()) => item.expected("more than an empty string"),
        Some(item) => read(&item),
        None => {
            section.cx.problem(section.origin, &section.path.key(name), "required");
            None
        }
    }
}

/// A name that goes into a header.
fn name(item: &Item<'_>) -> Option<String> {
    secrets::text(item, Form::Line)
}

fn from_url<'v>(shipper: &Section<'v>, info: &str) -> Option<Kind<'v>> {
    let item = shipper.get("endpoint")?;
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let Some((user, password)) = percent_decoded(user).zip(percent_decoded(password)) else {
        item.problem("has a % in its user info that begins no escape; write %25 for a % itself");
        return None;
    };
    if user.contains(':') || [&user, &password].iter().any(|text| Form::Line.fault(text).is_some()) {
        item.problem("has a colon in its user, or a control character in its user info, which cannot be sent");
        return None;
    }
    let kind = Authorization::Basic(Secret::new(user), Source::Given(Secret::new(password)));
    Some(("the user info of endpoint".to_owned(), item, kind))
}

fn basic<'v>(shipper: &Section<'v>, used: bool) -> Option<Kind<'v>> {
    let section = shipper.section("basic_auth", &BASIC_AUTH);
    let password = one_of(&section, ["password", "password_file"], used);
    if section.get("username").is_none() && password.is_none() {
        return None;
    }
    let username = required(&section, "username", |item| {
        let user = name(item)?;
        if user.contains(':') {
            return item.expected("a user without a colon: what follows one would be the password");
        }
        Some(user)
    });
    if password.is_none() {
        section.problem("has no password; give password or password_file (an empty password is \"\")");
    }
    let source = password.and_then(|(_, source)| source).unwrap_or_else(nothing);
    Some((
        "basic_auth".to_owned(),
        shipper.get("basic_auth")?,
        Authorization::Basic(Secret::new(username.unwrap_or_default()), source),
    ))
}

/// Where a problem was noted, so that what is read goes nowhere.
fn nothing() -> Source {
    Source::Given(Secret::new(""))
}

fn bearer<'v>(shipper: &Section<'v>, used: bool) -> Option<Kind<'v>> {
    let fields = ["bearer_token", "bearer_token_file"].map(|name| shipper.get(name));
    let (item, source) = secrets::one_of(fields, Reading { form: Form::Token, used })?;
    Some(("bearer_token".to_owned(), item, Authorization::Bearer(source.unwrap_or_else(nothing))))
}

fn oauth2<'v>(shipper: &Section<'v>, proxies: &Proxies<'_>, used: bool) -> Option<Kind<'v>> {
    let section = shipper.section("oauth2", &OAUTH2);
    let client_secret = one_of(&section, ["client_secret", "client_secret_file"], used);
    let mut scopes = Vec::new();
    section.read("scopes", &mut scopes, |item| Some(item.list()?.iter().filter_map(scope).collect()));
    let params = section.get("endpoint_params").map(|item| item.members()).unwrap_or_default();
    let is_set = section.get("token_url").is_some() || section.get("client_id").is_some() || client_secret.is_some();
    if !is_set && scopes.is_empty() && params.is_empty() {
        return None;
    }
    let token_url = required(&section, "token_url", |item| {
        let (url, user_info) = endpoint::http_url(item)?.into_parts();
        if user_info.is_some() {
            item.problem("has user info; client_id and client_secret are what its server is shown");
        }
        if used {
            endpoint::warn_of_clear_text(item, &url);
        }
        Some(url)
    });
    let client_id = required(&section, "client_id", name);
    if client_secret.is_none() {
        section.problem("has no client_secret; give client_secret or client_secret_file");
    }
    let param = |(name, item): (String, Item<'v>)| {
        let value = value_or_file(&item, used)?;
        if ["grant_type", "scope", "client_id", "client_secret"].contains(&name.as_str()) {
            item.problem("is sent in any case; remove it");
        }
        Some((name, value))
    };
    let endpoint_params = params.into_iter().filter_map(param).collect();
    let token_url = token_url.unwrap_or_else(|| Url::new(""));
    let settings = OAuth2Settings {
        proxy: proxies.for_url(&token_url),
        token_url,
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret.and_then(|(_, source)| source).unwrap_or_else(nothing),
        scopes,
        endpoint_params,
    };
    Some(("oauth2".to_owned(), shipper.get("oauth2")?, Authorization::OAuth2(settings)))
}

fn scope(item: &Item<'_>) -> Option<String> {
    let scope = name(item)?;
    if scope.is_empty() || scope.contains(char::is_whitespace) {
        return item.expected("one scope; several are items of the list");
    }
    Some(scope)
}

fn sigv4<'v>(shipper: &Section<'v>, headers: &[(Item<'v>, String, Source)], used: bool) -> Option<Kind<'v>> {
    let section = shipper.section("sigv4", &SIGV4);
    let mut service = "aps".to_owned();
    section.read("service", &mut service, word);
    let key = one_of(&section, ["secret_access_key", "secret_access_key_file"], used);
    let session_token = one_of(&section, ["session_token", "session_token_file"], used);
    let is_set = ["region", "access_key_id"].into_iter().any(|name| section.get(name).is_some());
    if !is_set && key.is_none() && session_token.is_none() {
        return None;
    }
    let region = required(&section, "region", word);
    let access_key_id = required(&section, "access_key_id", word);
    if key.is_none() {
        section.problem("has no secret_access_key; give secret_access_key or secret_access_key_file");
    }
    for (item, name, _) in headers {
        if SIGNED.contains(&name.to_ascii_lowercase().as_str()) {
            item.problem("is set by the signature (sigv4); remove it");
        }
    }
    let settings = SigV4Settings {
        region: region.unwrap_or_default(),
        service,
        access_key_id: access_key_id.unwrap_or_default(),
        secret_access_key: key.and_then(|(_, source)| source).unwrap_or_else(nothing),
        session_token: session_token.and_then(|(_, source)| source),
    };
    Some(("sigv4".to_owned(), shipper.get("sigv4")?, Authorization::SigV4(settings)))
}

/// What may stand between the slashes of a signature's scope.
fn word(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if text.is_empty() || !text.bytes().all(allowed) {
        return item.expected("letters, digits, - and _");
    }
    Some(text)
}
