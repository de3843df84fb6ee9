//! The `tls` object of one who connects, and what the server's has in common with it: names
//! and versions by their rules, files as they are now.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::fields::TLS;
use super::section::{Item, Section};
use crate::files::FileError;
use crate::nearest::did_you_mean;
use crate::tls::{ClientSettings, OLD_SUITES, SUITES_12, SUITES_13, VERSIONS, Version};

const TLS12: usize = 2;
const TLS13: usize = 3;

/// What `tls` says, and whether it is to be used.
pub(super) struct Tls {
    /// `enabled`, with its place.
    pub enabled: bool,
    /// Whether anything else in it is set to other than its default.
    pub is_set: bool,
    pub settings: ClientSettings,
}

/// Reads `tls` of `parent`. The files are looked at where `used` says that they will be.
pub(super) fn read(parent: &Section<'_>, used: bool) -> Tls {
    let tls = parent.section("tls", &TLS);
    let mut enabled = false;
    tls.read("enabled", &mut enabled, Item::bool);
    let mut settings = ClientSettings::default();

    let files = ["cert_file", "key_file"].map(|name| given_text(&tls, name));
    match &files {
        [Some((_, certificate)), Some((_, key))] => {
            settings.identity = Some((PathBuf::from(certificate), PathBuf::from(key)));
        }
        [Some((one, _)), None] | [None, Some((one, _))] => {
            one.problem("cert_file and key_file go together; give both or neither");
        }
        [None, None] => {}
    }
    settings.ca_file = given_text(&tls, "ca_file").map(|(_, file)| PathBuf::from(file));
    if let Some((item, name)) = given_text(&tls, "server_name") {
        match ServerName::try_from(name) {
            Ok(name) => settings.server_name = Some(name),
            Err(_) => drop(item.expected::<()>("a host name or an IP address, without a port")),
        }
    }
    tls.read("insecure_skip_verify", &mut settings.insecure_skip_verify, Item::bool);
    tls.read("session_tickets", &mut settings.session_tickets, Item::bool);
    (settings.min_version, settings.max_version, settings.cipher_suites) = offer(&tls);
    let is_set = settings != ClientSettings::default() || files.iter().any(Option::is_some);
    if used && enabled {
        note_files(&tls, settings.check(), &["cert_file", "key_file", "ca_file"]);
        if settings.insecure_skip_verify {
            let item = tls.get("insecure_skip_verify");
            item.inspect(|item| {
                item.warning("any certificate of the server is accepted: whoever is in between reads all")
            });
        }
    }
    Tls { enabled, is_set, settings }
}

/// Notes what a look at the files of `section` brought, each at the one of `fields` that
/// names the file.
pub(super) fn note_files(section: &Section<'_>, outcome: Result<Vec<String>, FileError>, fields: &[&'static str]) {
    match outcome {
        Ok(warnings) => {
            for warning in warnings {
                // One file may stand in two fields; the secret one is the key's.
                let is_about =
                    |item: &Item<'_>| item.text().is_some_and(|text| warning.starts_with(&format!("{text}: ")));
                let mut named = fields.iter().filter_map(|name| section.get(name));
                let first = named.next();
                let named = named.find(is_about).or(first);
                named.inspect(|item| item.warning(warning));
            }
        }
        Err(error) => {
            let named = |item: &Item<'_>| item.text().is_some_and(|text| error.path.as_os_str() == text.as_str());
            let fields = fields.iter().filter_map(|name| section.get(name));
            match fields.rev().find(named) {
                Some(item) => item.problem(error.to_string()),
                None => section.problem(error.to_string()),
            }
        }
    }
}

/// Versions and cipher suites: `min_version`, `max_version` and `cipher_suites`.
pub(super) fn offer(tls: &Section<'_>) -> (Version, Version, Vec<String>) {
    let [min, max] = versions(tls);
    let suites = tls.get("cipher_suites").map(|item| suites(&item, min, max)).unwrap_or_default();
    (of_place(min), of_place(max), suites)
}

fn of_place(version: usize) -> Version {
    if version >= TLS13 { Version::Tls13 } else { Version::Tls12 }
}

/// `min_version` and `max_version`, as places in [`VERSIONS`] that are offered.
fn versions(tls: &Section<'_>) -> [usize; 2] {
    let min = version(tls, "min_version").map_or(TLS12, |(item, version)| {
        if version < TLS12 {
            item.warning(format!("{} is not offered any more; TLS1.2 is used", item.described()));
        }
        version.max(TLS12)
    });
    let max = version(tls, "max_version").map_or(TLS13, |(item, version)| {
        if version < TLS12 {
            item.problem(format!("{} is not offered any more; expected \"TLS1.2\" or \"TLS1.3\"", item.described()));
        } else if version < min {
            item.problem("lower than min_version");
        }
        // What was refused must not make further complaints of its own.
        version.max(min)
    });
    [min, max]
}

/// The field `name` if it is given; an empty string is what Go's default looks like, so it counts as none.
pub(super) fn given_text<'v>(tls: &Section<'v>, name: &'static str) -> Option<(Item<'v>, String)> {
    let item = tls.get(name)?;
    let text = item.text().filter(|text| !text.is_empty())?;
    Some((item, text))
}

fn version<'v>(tls: &Section<'v>, name: &'static str) -> Option<(Item<'v>, usize)> {
    let item = tls.get(name)?;
    if item.text()?.is_empty() {
        return None;
    }
    let version = item.word(&VERSIONS)?;
    Some((item, version))
}

/// The suites to offer, in their order; none: all.
fn suites(list: &Item<'_>, min: usize, max: usize) -> Vec<String> {
    let Some(items) = list.list() else { return Vec::new() };
    let mut usable = Vec::new();
    let mut refused = items.is_empty();
    for item in &items {
        let Some(name) = item.text() else {
            refused = true;
            continue;
        };
        let known = name.as_str();
        let offered = (SUITES_13.contains(&known) && max >= TLS13) || (SUITES_12.contains(&known) && min <= TLS12);
        if offered {
            usable.push(name);
        } else if SUITES_13.contains(&known) || SUITES_12.contains(&known) {
            item.warning(format!("{} is not of these versions of TLS and is skipped", item.described()));
        } else if OLD_SUITES.contains(&known) {
            item.warning(format!("{} is too weak to be offered and is skipped", item.described()));
        } else {
            let all = SUITES_13.iter().chain(&SUITES_12).copied();
            item.problem(format!("unknown cipher suite {}{}", item.described(), did_you_mean(known, all)));
            refused = true;
        }
    }
    if usable.is_empty() && !refused {
        list.problem("none of these suites can be used with these versions of TLS");
    }
    usable
}
