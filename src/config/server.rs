//! The `server` object: where it listens, with which certificate, and whom it lets in.

use std::net::IpAddr;

use super::fields::{SERVER, SERVER_BASIC_AUTH, SERVER_TLS};
use super::secrets::{Reading, one_of};
use super::section::{Item, Section};
use super::tls::{note_files, offer};
use crate::secret::{Form, Source};
use crate::server::{AuthSettings, Settings};
use crate::tls::ServerSettings;

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
    let files = ["cert_file", "key_file", "client_ca_file"];
    let [cert, key, client_ca_file] = files.map(|name| tls.file(name));
    // Empty like the other two it would let everybody in.
    if let Some(item) = tls.get("client_ca_file").filter(|_| enabled && client_ca_file.is_none()) {
        item.problem("is empty; name a file, or leave the field out to let in who has no certificate");
    }
    let is_given = [&cert, &key, &client_ca_file].into_iter().any(Option::is_some);
    let (min_version, max_version, cipher_suites) = offer(tls);
    let mut session_tickets = true;
    tls.read("session_tickets", &mut session_tickets, Item::bool);
    if !enabled {
        // Somebody who wrote this believes that connections are encrypted.
        section
            .get("tls")
            .filter(|_| is_given)
            .inspect(|item| item.warning("has no effect while its enabled is false"));
        return None;
    }
    let (Some(cert_file), Some(key_file)) = (cert, key) else {
        section.get("tls").inspect(|item| item.problem("enabled, so it takes both cert_file and key_file"));
        return None;
    };
    let settings = ServerSettings {
        cert_file,
        key_file,
        client_ca_file,
        min_version,
        max_version,
        cipher_suites,
        session_tickets,
    };
    note_files(tls, &settings, &files);
    Some(settings)
}

/// Who is let in.
fn auth(section: &Section<'_>) -> AuthSettings {
    let basic = section.section("basic_auth", &SERVER_BASIC_AUTH);
    let user = basic.get("username").and_then(|item| Some((item.clone(), item.text()?)));
    let password = secret(&basic, ["password", "password_file"], Form::Line);
    let has_password = password.is_some();
    let password = password.flatten();
    let mut auth = AuthSettings::default();
    match (user, password) {
        (Some((item, user)), _) if user.is_empty() => item.problem("is empty"),
        (Some((item, user)), _) if user.contains(|c: char| c == ':' || c.is_control()) => {
            item.problem("a user's name holds no colon and no control characters");
        }
        (Some((_, user)), Some(password)) => auth.basic = Some((user, password)),
        (Some((item, _)), None) if !has_password => {
            item.problem("takes a password or a password_file beside it");
        }
        (None, Some(_)) if basic.get("username").is_none_or(|item| item.text().is_some()) => {
            basic.problem("takes a username beside the password");
        }
        // Said already, or nothing is given.
        _ => {}
    }
    auth.bearer = secret(section, ["bearer_token", "bearer_token_file"], Form::Token).flatten();
    auth
}

/// A secret that is given as such, or as the file that holds it. An empty one is refused, not
/// passed over: it would leave a port open that somebody meant to close.
fn secret(section: &Section<'_>, names: [&'static str; 2], form: Form) -> Option<Option<Source>> {
    let (item, source) = one_of(names.map(|name| section.get(name)), Reading { form, used: true })?;
    let is_empty = matches!(&source, Some(Source::Given(secret)) if secret.expose().is_empty());
    if is_empty {
        item.problem("is empty; give a secret, or leave the field out");
    }
    Some(source.filter(|_| !is_empty))
}
