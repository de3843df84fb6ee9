//! TLS settings by the rules of the field, although this version cannot use them yet: a
//! configuration that is accepted today must not turn out wrong when it can.

use super::fields::TLS;
use super::section::{Item, Section};
use crate::nearest::did_you_mean;

/// Versions in their order; what stands before `TLS1.2` is not offered any more.
const VERSIONS: [&str; 4] = ["TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3"];
const TLS12: usize = 2;
const TLS13: usize = 3;

const SUITES_13: [&str; 3] = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

const SUITES_12: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Weak suites that configurations in the field still name. No library worth using has them.
const SUITES_OLD: [&str; 10] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
];

/// Checks `shipper.tls`. Whether anything in it is set to other than its default.
pub(super) fn check(shipper: &Section<'_>) -> bool {
    let tls = shipper.section("tls", &TLS);
    let mut set = false;

    if let Some(item) = tls.get("enabled").filter(|item| item.bool() == Some(true)) {
        item.problem("TLS is not available in this version; set it to false and use an http:// endpoint");
    }
    let files = ["cert_file", "key_file"].map(|name| given_text(&tls, name));
    if let [Some(one), None] | [None, Some(one)] = &files {
        one.problem("cert_file and key_file go together; give both or neither");
    }
    set |= files.iter().any(Option::is_some);
    set |= given_text(&tls, "ca_file").is_some();
    set |= given_text(&tls, "server_name").is_some();
    if let Some(item) = tls.get("insecure_skip_verify") {
        set |= item.bool() == Some(true);
    }
    if let Some(item) = tls.get("session_tickets") {
        set |= item.bool() == Some(false);
    }

    let min = version(&tls, "min_version").map_or(TLS12, |(item, version)| {
        set |= version != TLS12;
        if version < TLS12 {
            item.warning(format!("{} is not offered any more; TLS1.2 is used", item.described()));
        }
        version.max(TLS12)
    });
    let max = version(&tls, "max_version").map_or(TLS13, |(item, version)| {
        set |= version != TLS13;
        if version < TLS12 {
            item.problem(format!("{} is not offered any more; expected \"TLS1.2\" or \"TLS1.3\"", item.described()));
        } else if version < min {
            item.problem("lower than min_version");
        }
        // What was refused must not make further complaints of its own.
        version.max(min)
    });
    if let Some(item) = tls.get("cipher_suites") {
        set |= suites(&item, min, max);
    }
    set
}

/// The field `name` if it is given; an empty string is what Go's default looks like, so it counts as none.
fn given_text<'v>(tls: &Section<'v>, name: &'static str) -> Option<Item<'v>> {
    tls.get(name).filter(|item| item.text().is_some_and(|text| !text.is_empty()))
}

fn version<'v>(tls: &Section<'v>, name: &'static str) -> Option<(Item<'v>, usize)> {
    let item = tls.get(name)?;
    if item.text()?.is_empty() {
        return None;
    }
    let version = item.word(&VERSIONS)?;
    Some((item, version))
}

/// Checks the list of suites. Whether it names any.
fn suites(list: &Item<'_>, min: usize, max: usize) -> bool {
    let Some(items) = list.list() else { return false };
    let mut usable = items.is_empty();
    let mut refused = false;
    for item in &items {
        let Some(name) = item.text() else {
            refused = true;
            continue;
        };
        let name = name.as_str();
        if SUITES_13.contains(&name) {
            usable |= max >= TLS13;
        } else if SUITES_12.contains(&name) {
            usable |= min <= TLS12;
        } else if SUITES_OLD.contains(&name) {
            item.warning(format!("{} is too weak to be offered and is skipped", item.described()));
        } else {
            let known = SUITES_13.iter().chain(&SUITES_12).copied();
            item.problem(format!("unknown cipher suite {}{}", item.described(), did_you_mean(name, known)));
            refused = true;
        }
    }
    if !usable && !refused {
        list.problem("none of these suites can be used with these versions of TLS");
    }
    !items.is_empty()
}
