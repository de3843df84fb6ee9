//! The `server` object: where it listens, with which certificate, and whom it lets in.

use std::net::IpAddr;
use std::path::PathBuf;

use super::fields::{SERVER, SERVER_BASIC_AUTH, SERVER_TLS};
use super::json::Data;
use super::section::{Item, Section};
use super::tls::{given_text, note_files, offer};
use crate::secret::Secret;
use crate::server::{AuthSettings, SecretSource, Settings, password_form, token_form};
use crate::tls::ServerSettings;

/// Whether a text will do as a secret; if not, what it is.
type Form = fn(&str) -> Result<(), &'static str>;

/// Reads `server` of `root`.
pub(super) fn read(root: &Section<'_>) -> Settings {
    let section = root.section("server", &SERVER);
    let mut settings = Settings::default();
    section.read("host", &mut settings.host, host);
    section.read("port", &mut settings.port, |item| Some(item.whole(1..=65535)? as u16));
    let tls = section.section("tls", &SERVER_TLS);
    let enabled = tls.get("enabled").and_then(|item| item.bool()).unwrap_or(false);
    settings.tls = read_tls(&section, &tls, enabled);
    settings.auth = auth(&section);
    if !settings.auth.is_open() && !enabled && !is_loopback(&settings.host) {
        let fields = ["basic_auth", "bearer_token", "bearer_token_file"];
        fields.into_iter().find_map(|name| section.get(name)).inspect(|item| {
            item.warning("credentials pass over the network in the clear; set server.tls, or server.host to 127.0.0.1");
        });
    }
    settings
}

/// An address to bind. Brackets around IPv6 are what Go's `host:port` needed, so they are taken off.
fn host(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let host = text.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&text);
    let address = host.split('%').next().unwrap_or(host);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_name = (1..=253).contains(&host.len()) && host.bytes().all(allowed);
    if address.parse::<IpAddr>().is_ok() || is_name {
        return Some(host.to_owned());
    }
    item.expected("an IP address or a host name; \"0.0.0.0\" stands for all addresses")
}

/// Whether only this machine can come in by `host`.
pub(super) fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// Reads `tls`; none where it is not enabled, or of no use.
fn read_tls(section: &Section<'_>, tls: &Section<'_>, enabled: bool) -> Option<ServerSettings> {
    let files = ["cert_file", "key_file", "client_ca_file"].map(|name| given_text(tls, name));
    let given = files.iter().flatten().next().is_some();
    let [cert, key, client_ca] = files.map(|file| file.map(|(_, file)| PathBuf::from(file)));
    let (min_version, max_version, cipher_suites) = offer(tls);
    let mut session_tickets = true;
    tls.read("session_tickets", &mut session_tickets, Item::bool);
    if !enabled {
        // Somebody who wrote this believes that connections are encrypted.
        section.get("tls").filter(|_| given).inspect(|item| item.warning("has no effect while its enabled is false"));
        return None;
    }
    let (Some(cert_file), Some(key_file)) = (cert, key) else {
        section.get("tls").inspect(|item| item.problem("enabled, so it takes both cert_file and key_file"));
        return None;
    };
    let settings = ServerSettings {
        cert_file,
        key_file,
        client_ca_file: client_ca,
        min_version,
        max_version,
        cipher_suites,
        session_tickets,
    };
    note_files(tls, settings.check(), &["cert_file", "key_file", "client_ca_file"]);
    Some(settings)
}

/// Who is let in.
fn auth(section: &Section<'_>) -> AuthSettings {
    let basic = section.section("basic_auth", &SERVER_BASIC_AUTH);
    let user = given_text(&basic, "username");
    let password = source(&basic, ["password", "password_file"], password_form);
    let mut auth = AuthSettings::default();
    match (user, password) {
        (Some((item, user)), _) if user.contains(|c: char| c == ':' || c.is_control()) => {
            item.problem("a user's name holds no colon and no control characters");
        }
        (Some((_, user)), Some(password)) => auth.basic = Some((user, password)),
        (Some((item, _)), None) if !is_given(&basic, ["password", "password_file"]) => {
            item.problem("takes a password or a password_file beside it");
        }
        (None, Some(_)) if basic.get("username").is_none_or(|item| item.text().is_some()) => {
            basic.problem("takes a username beside the password");
        }
        // Said already, or nothing is given.
        _ => {}
    }
    auth.bearer = source(section, ["bearer_token", "bearer_token_file"], token_form);
    // One at a time, so that a file that two of them name is blamed on each.
    let alone = |auth: AuthSettings, section: &Section<'_>, field: &'static str| {
        note_files(section, auth.check(), &[field]);
    };
    alone(AuthSettings { basic: auth.basic.clone(), bearer: None }, &basic, "password_file");
    alone(AuthSettings { basic: None, bearer: auth.bearer.clone() }, section, "bearer_token_file");
    auth
}

fn is_given(section: &Section<'_>, names: [&'static str; 2]) -> bool {
    names.into_iter().any(|name| section.get(name).is_some())
}

/// A secret that is given as such, or as the file that holds it. Empty strings count as not given.
fn source(section: &Section<'_>, [value, file]: [&'static str; 2], form: Form) -> Option<SecretSource> {
    let file = given_text(section, file).map(|(_, file)| SecretSource::File(PathBuf::from(file)));
    let Some(item) = section.get(value) else { return file };
    // What is there may be a secret whatever its type: it is not quoted.
    if !matches!(item.value.data, Data::Text(_)) {
        item.problem("expected a string");
        return None;
    }
    let text = item.text().filter(|text| !text.is_empty());
    match (text, file) {
        (Some(_), Some(_)) => {
            item.problem(format!("given beside {value}_file; one of them is enough"));
            None
        }
        (Some(text), None) => {
            form(&text).map_err(|why| item.problem(format!("holds {why}"))).ok()?;
            Some(SecretSource::Given(Secret::new(text)))
        }
        (None, file) => file,
    }
}
