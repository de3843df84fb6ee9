//! The labels that an endpoint gives, and what else there is to say of it.

use super::settings::Settings;
use crate::model::{Attributes, Labels};

/// Whether a series of that name tells of a scrape itself.
pub fn is_of_scrape(name: &str) -> bool {
    name == "up" || name.starts_with("scrape_")
}

/// The labels of `up` and its like; of a text's series as well.
pub fn own_labels(settings: &Settings, is_json: bool) -> Labels {
    let mut more = vec![("job", &*settings.job), ("instance", &*settings.instance)];
    if is_json {
        more.push(("endpoint", &settings.name));
    }
    with(&settings.labels, &more)
}

/// `labels`, and those of `more` that are not among them.
fn with(labels: &Labels, more: &[(&str, &str)]) -> Labels {
    let more = more.iter().copied().filter(|(name, _)| labels.get(name).is_none());
    Labels::new(labels.iter().chain(more)).unwrap_or(Labels::EMPTY)
}

/// Of those labels the ones that tell what is gathered from an endpoint from what is gathered from another one.
pub fn distinct_labels(settings: &Settings, is_json: bool) -> Labels {
    let (labels, names) = match is_json {
        true => (json_labels(settings), &["endpoint"][..]),
        false => (own_labels(settings, false), &["job", "instance"][..]),
    };
    Labels::new(labels.iter().filter(|(name, _)| names.contains(name))).unwrap_or(Labels::EMPTY)
}

/// The labels of a JSON object's series: `endpoint`, and those of the endpoint.
pub fn json_labels(settings: &Settings) -> Labels {
    with(&settings.labels, &[("endpoint", &settings.name)])
}

/// What there is to say of an endpoint's resource besides its labels.
pub fn attributes(settings: &Settings) -> Attributes {
    // A socket has no scheme that anybody could go by.
    let endpoint = &settings.http.endpoint;
    let scheme = endpoint.split_socket().is_none().then(|| if endpoint.is_https() { "https" } else { "http" });
    scheme.map(|scheme| ("url.scheme".into(), scheme.into())).into_iter().collect()
}
