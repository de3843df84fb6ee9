//! The fields of `tls`, of one who connects and of one who is connected to: names and
//! versions by their rules, files as they are now.

use std::path::PathBuf;

use rustls::pki_types::ServerName;

use super::client::ClientSettings;
use super::names::{OLD_SUITES, SUITES_12, SUITES_13, VERSIONS, Version, canonical, of_openssl};
use super::server::ServerSettings;
use crate::fields::{DefaultValue, Done, Fault, Field, Inner, Notes, Table, Takes, any_of};
use crate::files::{FileError, Recipe, readable};

const TLS12: usize = 2;
const TLS13: usize = 3;

/// What both offer.
#[derive(Default)]
struct Offer {
    // Names, as they were written: whether there are such is no matter where `tls` is not enabled.
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Vec<String>,
    no_session_tickets: bool,
}

/// `tls` of one who connects, as it was written.
#[derive(Default)]
pub struct ClientFields {
    /// Whether the others count.
    pub enabled: bool,
    cert_file: Option<String>,
    key_file: Option<String>,
    ca_file: Option<String>,
    server_name: Option<ServerName<'static>>,
    insecure_skip_verify: bool,
    offer: Offer,
}

/// `server.tls`, as it was written.
#[derive(Default)]
pub struct ServerFields {
    /// Whether the others count.
    pub enabled: bool,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_ca_file: Option<String>,
    offer: Offer,
}

static CLIENT_FIELDS: [Field<ClientFields>; 7] = [
    Field::new(
        "enabled",
        Takes::Bool(|s: &mut ClientFields, on| s.enabled = on),
        DefaultValue::Bool(false),
        "Whether the fields below count; an `https://` endpoint speaks TLS in any case.",
    )
    .variable("MC_TLS_ENABLED"),
    Field::new(
        "cert_file",
        Takes::Text(|s: &mut ClientFields, file| set(&mut s.cert_file, file)),
        DefaultValue::Null,
        "Client certificate (PEM); together with `key_file`.",
    )
    .variable("MC_TLS_CERT_FILE"),
    Field::new(
        "key_file",
        Takes::Text(|s: &mut ClientFields, file| set(&mut s.key_file, file)),
        DefaultValue::Null,
        "Client key (PEM); together with `cert_file`.",
    )
    .variable("MC_TLS_KEY_FILE"),
    Field::new(
        "ca_file",
        Takes::Text(|s: &mut ClientFields, file| set(&mut s.ca_file, file)),
        DefaultValue::Null,
        "PEM bundle that verifies the server; null: the system's roots.",
    )
    .variable("MC_TLS_CA_FILE"),
    Field::new(
        "server_name",
        Takes::Text(set_server_name),
        DefaultValue::Null,
        "Name for SNI and verification: a host name or an IP address; null: the endpoint's host.",
    )
    .variable("MC_TLS_SERVER_NAME"),
    Field::new(
        "insecure_skip_verify",
        Takes::Bool(|s: &mut ClientFields, on| s.insecure_skip_verify = on),
        DefaultValue::Bool(false),
        "Accept any server certificate; warned of at every start.",
    )
    .variable("MC_TLS_INSECURE_SKIP_VERIFY"),
    Field::all_of(&Inner { table: &CLIENT_OFFER, of: |s: &mut ClientFields| &mut s.offer }),
];

/// `tls` of one who connects.
pub static CLIENT_TABLE: Table<ClientFields> = Table::new(|| CLIENT_FIELDS.iter().collect());

static SERVER_FIELDS: [Field<ServerFields>; 5] = [
    Field::new(
        "enabled",
        Takes::Bool(|s, on| s.enabled = on),
        DefaultValue::Bool(false),
        "Whether the HTTP server speaks TLS, and nothing else.",
    ),
    Field::new(
        "cert_file",
        Takes::Text(|s, file| set(&mut s.cert_file, file)),
        DefaultValue::Null,
        "Its certificate, with its chain (PEM); read again when it changes.",
    ),
    Field::new("key_file", Takes::Text(|s, file| set(&mut s.key_file, file)), DefaultValue::Null, "Its key (PEM)."),
    Field::new(
        "client_ca_file",
        Takes::Text(|s: &mut ServerFields, file| {
            s.client_ca_file = Some(file);
            Ok(())
        }),
        DefaultValue::Null,
        "PEM bundle; if given, every client has to show a certificate from one of these authorities, for `/live` too.",
    )
    .credential(),
    Field::all_of(&Inner { table: &SERVER_OFFER, of: |s: &mut ServerFields| &mut s.offer }),
];

/// `server.tls`.
pub static SERVER_TABLE: Table<ServerFields> = Table::new(|| SERVER_FIELDS.iter().collect());

static CLIENT_OFFER_FIELDS: [Field<Offer>; 4] = [
    MIN_VERSION.variable("MC_TLS_MIN_VERSION"),
    MAX_VERSION,
    cipher_suites(
        "IANA names, offered in this order; TLS 1.3's stay unless one of them is named; null: the library's choice.",
    ),
    session_tickets("Session resumption."),
];

static CLIENT_OFFER: Table<Offer> = Table::new(|| CLIENT_OFFER_FIELDS.iter().collect());

static SERVER_OFFER_FIELDS: [Field<Offer>; 4] = [
    MIN_VERSION,
    MAX_VERSION,
    cipher_suites(
        "IANA names, preferred in this order; TLS 1.3's stay unless one of them is named; null: the library's, as the client prefers.",
    ),
    session_tickets("Session resumption; with `client_ca_file` there is none."),
];

static SERVER_OFFER: Table<Offer> = Table::new(|| SERVER_OFFER_FIELDS.iter().collect());

const MIN_VERSION: Field<Offer> = Field::new(
    "min_version",
    Takes::Text(|s, name| set_version(&mut s.min_version, name)),
    DefaultValue::Text(VERSIONS[TLS12]),
    "`TLS1.2` or `TLS1.3`; lower ones mean `TLS1.2`.",
);

const MAX_VERSION: Field<Offer> = Field::new(
    "max_version",
    Takes::Text(|s, name| set_version(&mut s.max_version, name)),
    DefaultValue::Text(VERSIONS[TLS13]),
    "`TLS1.2` or `TLS1.3`.",
);

const fn cipher_suites(doc: &'static str) -> Field<Offer> {
    Field::new("cipher_suites", Takes::Texts(|s| s.cipher_suites.clear(), add_suite), DefaultValue::Null, doc)
}

const fn session_tickets(doc: &'static str) -> Field<Offer> {
    Field::new("session_tickets", Takes::Bool(|s, on| s.no_session_tickets = !on), DefaultValue::Bool(true), doc)
}

fn set(place: &mut Option<String>, path: String) -> Done {
    if path.is_empty() {
        return Err(Fault::expected("the path of a file"));
    }
    *place = Some(path);
    Ok(())
}

fn set_server_name(s: &mut ClientFields, name: String) -> Done {
    let name = ServerName::try_from(name);
    s.server_name = Some(name.map_err(|_| Fault::expected("a host name or an IP address, without a port"))?);
    Ok(())
}

/// An empty name counts as none, with a warning, as empty texts do.
fn set_version(place: &mut Option<String>, name: String) -> Done {
    if name.is_empty() {
        return Err(unknown_version(&name));
    }
    *place = Some(name);
    Ok(())
}

fn add_suite(s: &mut Offer, name: String) -> Done {
    s.cipher_suites.push(name);
    Ok(())
}

/// The place of the version in [`VERSIONS`]; none of what is none, which is a problem.
fn version(field: &'static str, name: Option<&str>, notes: &mut Notes) -> Option<usize> {
    let name = name?;
    let at = VERSIONS.iter().position(|version| *version == name);
    if at.is_none() {
        notes.problem(field, unknown_version(name));
    }
    at
}

/// What is no version.
fn unknown_version(name: &str) -> Fault {
    Fault::expected(any_of(&VERSIONS)).near(name, VERSIONS)
}

/// What is no suite, and what it may be.
fn unknown_suite(name: &str) -> Fault {
    let fault = Fault::quoting("unknown cipher suite ");
    match of_openssl(name) {
        Some(iana) => fault.after(format!("; that is OpenSSL's name of {iana}, which is to be written here")),
        None if name.contains([':', ',', ' ']) => {
            fault.after("; one name is expected here, such as TLS_AES_128_GCM_SHA256; several are items of the list")
        }
        None => fault.near(name, SUITES_13.into_iter().chain(SUITES_12)),
    }
}

impl Offer {
    /// Versions and suites that are offered; of others it is said that they are not.
    fn settle(self, notes: &mut Notes) -> (Version, Version, Vec<String>, bool) {
        let given = version("min_version", self.min_version.as_deref(), notes);
        let min = given.unwrap_or(TLS12).max(TLS12);
        if given.is_some_and(|version| version < TLS12) {
            notes.warning("min_version", Fault::quoting("").after(" is not offered any more; TLS1.2 is used"));
        }
        let max = version("max_version", self.max_version.as_deref(), notes).unwrap_or(TLS13);
        if max < TLS12 {
            let after = " is not offered any more; expected \"TLS1.2\" or \"TLS1.3\"";
            notes.problem("max_version", Fault::quoting("").after(after));
        } else if max < min {
            notes.problem("max_version", "lower than min_version");
        }
        // What was refused must not make further complaints of its own.
        let max = max.max(min);
        let suites = notes.within("cipher_suites", |notes| usable(self.cipher_suites, min, max, notes));
        let of_place = |version| if version >= TLS13 { Version::Tls13 } else { Version::Tls12 };
        (of_place(min), of_place(max), suites, !self.no_session_tickets)
    }
}

/// The suites to offer, in their order; none: all. Suites of TLS 1.3 that are not named stay,
/// as [`super::names::provider`] has it.
fn usable(suites: Vec<String>, min: usize, max: usize, notes: &mut Notes) -> Vec<String> {
    let is_empty = suites.is_empty();
    let suites: Vec<String> = suites.iter().map(|name| canonical(name).to_owned()).collect();
    // Nothing of such a list counts, and what would be offered without it is.
    let is_of_12_alone = suites.iter().any(|name| SUITES_12.contains(&name.as_str()))
        && !suites.iter().any(|name| SUITES_13.contains(&name.as_str()));
    if min >= TLS13 && is_of_12_alone {
        notes.warn("is of TLS 1.2 alone, and has no effect with this min_version");
        return Vec::new();
    }
    let (mut usable, mut is_unknown) = (Vec::new(), false);
    for (at, name) in suites.into_iter().enumerate() {
        let known = name.as_str();
        if ![&SUITES_13[..], &SUITES_12, &OLD_SUITES].iter().any(|suites| suites.contains(&known)) {
            notes.problem(at, unknown_suite(known));
            is_unknown = true;
        } else if OLD_SUITES.contains(&known) {
            notes.warning(at, Fault::quoting("").after(" is too weak to be offered and is skipped"));
        } else if (SUITES_13.contains(&known) && max >= TLS13) || (SUITES_12.contains(&known) && min <= TLS12) {
            usable.push(name);
        } else {
            notes.warning(at, Fault::quoting("").after(" is not of these versions of TLS and is skipped"));
        }
    }
    // What was refused must not make further complaints of its own.
    if usable.is_empty() && !is_empty && !is_unknown {
        notes.lack("none of these suites can be used with these versions of TLS");
    }
    usable
}

impl ClientFields {
    /// What is meant, for somebody who speaks TLS if `https` says so. Notes are of the object `tls`.
    /// The files are looked at if they will be used.
    pub fn settle(self, https: bool, notes: &mut Notes) -> Option<ClientSettings> {
        let ClientFields { enabled, cert_file, key_file, ca_file, server_name, insecure_skip_verify, offer } = self;
        let is_given = cert_file.is_some() || key_file.is_some();
        // What does not count is not found fault with: older files hold it, switched off.
        let mut unheard = Notes::default();
        let heard = if enabled { &mut *notes } else { &mut unheard };
        match (&cert_file, &key_file) {
            (Some(_), None) => heard.problem("cert_file", "cert_file and key_file go together; give both or neither"),
            (None, Some(_)) => heard.problem("key_file", "cert_file and key_file go together; give both or neither"),
            _ => {}
        }
        let (min_version, max_version, cipher_suites, session_tickets) = offer.settle(heard);
        let settings = ClientSettings {
            identity: cert_file.zip(key_file).map(|(cert, key)| (PathBuf::from(cert), PathBuf::from(key))),
            ca_file: ca_file.map(PathBuf::from),
            server_name,
            insecure_skip_verify,
            min_version,
            max_version,
            cipher_suites,
            session_tickets,
        };
        if !enabled {
            // Somebody who wrote this believes that it counts.
            if is_given || settings != ClientSettings::default() || !unheard.into_list().is_empty() {
                notes.warn("has no effect while its enabled is false");
            }
            return https.then(ClientSettings::default);
        }
        if !https {
            return None;
        }
        let files = settings.identity.iter().flat_map(|(cert, key)| [("cert_file", cert), ("key_file", key)]);
        note_files(
            &settings,
            &files.chain(settings.ca_file.iter().map(|ca| ("ca_file", ca))).collect::<Vec<_>>(),
            notes,
        );
        if insecure_skip_verify {
            let message = "any certificate of the server is accepted: whoever is in between reads all";
            notes.warning("insecure_skip_verify", message);
        }
        Some(settings)
    }
}

impl ServerFields {
    /// What is meant; none where it is not enabled, or of no use. Notes are of the object `tls`.
    pub fn settle(self, notes: &mut Notes) -> Option<ServerSettings> {
        let ServerFields { enabled, cert_file, key_file, client_ca_file, offer } = self;
        // Empty like the other two it would let everybody in.
        let is_open = client_ca_file.as_ref().is_some_and(String::is_empty);
        if enabled && is_open {
            notes.problem(
                "client_ca_file",
                "is empty; name a file, or leave the field out to let in who has no certificate",
            );
        }
        let client_ca_file = client_ca_file.filter(|_| !is_open);
        // As with clients.
        let mut unheard = Notes::default();
        let heard = if enabled { &mut *notes } else { &mut unheard };
        let (min_version, max_version, cipher_suites, session_tickets) = offer.settle(heard);
        if !enabled {
            // Somebody who wrote this believes that connections are encrypted.
            if cert_file.is_some() || key_file.is_some() || client_ca_file.is_some() {
                notes.warn("has no effect while its enabled is false");
            }
            return None;
        }
        let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else {
            notes.lack("enabled, so it takes both cert_file and key_file");
            return None;
        };
        let settings = ServerSettings {
            cert_file: cert_file.into(),
            key_file: key_file.into(),
            client_ca_file: client_ca_file.map(PathBuf::from),
            min_version,
            max_version,
            cipher_suites,
            session_tickets,
        };
        let named = [("cert_file", &settings.cert_file), ("key_file", &settings.key_file)];
        let authority = settings.client_ca_file.iter().map(|ca| ("client_ca_file", ca));
        note_files(&settings, &named.into_iter().chain(authority).collect::<Vec<_>>(), notes);
        Some(settings)
    }
}

/// Notes what a look at files brought, each at the field that names the file.
fn note_files(recipe: &impl Recipe, named: &[(&'static str, &PathBuf)], notes: &mut Notes) {
    // All that are not there at once: whoever makes what is made of them stops at the first.
    let unreadable: Vec<_> = named.iter().filter_map(|(name, path)| Some((*name, readable(path).err()?))).collect();
    if unreadable.len() > 1 {
        return unreadable.into_iter().for_each(|(name, error)| notes.problem(name, error.to_string()));
    }
    let naming = |what: &FileError| named.iter().rev().find(|(_, path)| **path == what.path).map(|(name, _)| *name);
    match recipe.check() {
        Ok(warnings) => {
            for warning in warnings {
                naming(&warning).inspect(|name| notes.warning(*name, warning.to_string()));
            }
        }
        Err(error) => match naming(&error) {
            Some(name) => notes.problem(name, error.to_string()),
            None => notes.refuse(error.to_string()),
        },
    }
}
