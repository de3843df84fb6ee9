//! The fields of `server`: where it listens, with which certificate, and whom it lets in.

use std::net::{IpAddr, Ipv6Addr};

use super::Settings;
use super::auth::AuthSettings;
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes};
use crate::secret::{Form, SecretFields, Source};
use crate::tls::{SERVER_TABLE, ServerFields as TlsFields};

/// `server`, as it was written.
#[derive(Default)]
pub struct ServerFields {
    settings: Settings,
    tls: TlsFields,
    basic_auth: BasicAuth,
    bearer_token: SecretFields,
}

#[derive(Default)]
struct BasicAuth {
    username: Option<String>,
    password: SecretFields,
}

const PASSWORD: [&str; 2] = ["password", "password_file"];
const BEARER_TOKEN: [&str; 2] = ["bearer_token", "bearer_token_file"];

static FIELDS: [Field<ServerFields>; 6] = [
    Field::new(
        "host",
        Takes::Text(set_host),
        DefaultValue::Text("0.0.0.0"),
        "Address that the HTTP server binds: an IP address or a host name.",
    )
    .variable("MC_SERVER_HOST"),
    Field::new(
        "port",
        Takes::Whole(1..=65535, |s: &mut ServerFields, port| s.settings.port = port as u16),
        DefaultValue::Whole(8080),
        "Port of the HTTP server.",
    )
    .variable("MC_SERVER_PORT"),
    Field::new(
        "tls",
        Takes::Object(&Inner { table: &SERVER_TABLE, of: |s: &mut ServerFields| &mut s.tls }),
        DefaultValue::EmptyMap,
        "",
    ),
    Field::new(
        "basic_auth",
        Takes::Object(&Inner { table: &BASIC_AUTH_TABLE, of: |s: &mut ServerFields| &mut s.basic_auth }),
        DefaultValue::EmptyMap,
        "",
    )
    .secret(),
    Field::new(
        BEARER_TOKEN[0],
        Takes::Text(|s: &mut ServerFields, token| s.bearer_token.set_value(token, Form::Token)),
        DefaultValue::Null,
        "Token that clients have to send for everything but `/live`; where there is `basic_auth` too, either will do.",
    )
    .secret(),
    Field::new(
        BEARER_TOKEN[1],
        Takes::Text(|s: &mut ServerFields, path| s.bearer_token.set_file(path)),
        DefaultValue::Null,
        "The file that holds it; read again when it changes.",
    )
    .credential(),
];

/// `server`.
pub static TABLE: Table<ServerFields> = Table::new(|| FIELDS.iter().collect());

static BASIC_AUTH_FIELDS: [Field<BasicAuth>; 3] = [
    Field::new(
        "username",
        Takes::Text(set_username),
        DefaultValue::Null,
        "User that clients have to name for everything but `/live`.",
    )
    .credential(),
    Field::new(
        PASSWORD[0],
        Takes::Text(|s: &mut BasicAuth, password| s.password.set_value(password, Form::Line)),
        DefaultValue::Null,
        "The password; better from `${NAME}` or a file.",
    )
    .secret(),
    Field::new(
        PASSWORD[1],
        Takes::Text(|s: &mut BasicAuth, path| s.password.set_file(path)),
        DefaultValue::Null,
        "The file that holds it; read again when it changes.",
    )
    .credential(),
];

static BASIC_AUTH_TABLE: Table<BasicAuth> = Table::new(|| BASIC_AUTH_FIELDS.iter().collect());

/// An address to bind. Brackets around IPv6 are what Go's `host:port` needed, so they are taken off,
/// and a zone may be written as in a URL (`%25eth0`).
fn set_host(s: &mut ServerFields, text: String) -> Done {
    let host = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&text);
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => {
            (address, Some(zone.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(zone)))
        }
        None => (host, None),
    };
    // The same address is on every interface.
    let takes_zone = address.parse().is_ok_and(|address: Ipv6Addr| address.is_unicast_link_local());
    if takes_zone && zone.is_none_or(str::is_empty) {
        let why = " is of one interface alone, which has to be named: fe80::1%eth0";
        return Err(Fault::quoting("").after(why));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // No name is made of these alone: it is an address with a mistake in it.
    let is_number = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(allowed) && !is_number;
    if address.parse::<IpAddr>().is_err() && !is_name {
        return Err(Fault::expected("an IP address or a host name; \"0.0.0.0\" stands for all addresses"));
    }
    s.settings.host = zone.map_or_else(|| host.to_owned(), |zone| format!("{address}%{zone}"));
    Ok(())
}

fn set_username(s: &mut BasicAuth, user: String) -> Done {
    if user.is_empty() {
        return Err("is empty".into());
    }
    if user.contains(|c: char| c == ':' || c.is_control()) {
        return Err("a user's name holds no colon and no control characters".into());
    }
    s.username = Some(user);
    Ok(())
}

impl ServerFields {
    /// What is meant. Notes are of the object `server`.
    pub fn settle(self, notes: &mut Notes) -> Settings {
        let ServerFields { mut settings, tls, basic_auth, bearer_token } = self;
        let is_encrypted = tls.enabled;
        settings.tls = notes.within("tls", |notes| tls.settle(notes));
        let basic = notes.within("basic_auth", |notes| basic_auth.settle(notes));
        let bearer = bearer_token.settle(BEARER_TOKEN, Form::Token, true, notes);
        let given = basic.as_ref().map(|_| "basic_auth").or(bearer.as_ref().map(|(name, _)| *name));
        if let (Some(given), false, false) = (given, is_encrypted, is_loopback(&settings.host)) {
            let advice = "credentials pass over the network in the clear; set server.tls, or server.host to 127.0.0.1";
            notes.warning(given, advice);
        }
        settings.auth = AuthSettings { basic, bearer: bearer.map(|(_, source)| source) };
        settings
    }
}

impl BasicAuth {
    fn settle(self, notes: &mut Notes) -> Option<(String, Source)> {
        // An empty one is refused, not passed over: it would leave a port open that somebody meant to close.
        if self.password.is_empty() {
            notes.problem(PASSWORD[0], "is empty; give a secret, or leave the field out");
        }
        let password = self.password.settle(PASSWORD, Form::Line, true, notes);
        match (self.username, password) {
            (Some(user), Some((_, password))) => return Some((user, password)),
            (Some(_), None) => notes.lack_beside("username", "takes a password or a password_file beside it"),
            (None, Some(_)) => notes.lack("takes a username beside the password"),
            (None, None) => {}
        }
        None
    }
}

/// Whether only this machine can come in by `host`.
fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}
