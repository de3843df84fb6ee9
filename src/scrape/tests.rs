//! What the tests of this room have in common, and targets as a whole.

use std::time::Duration;

use super::settings::{Limits, PageFormat, Settings};
use crate::http::HttpSettings;
use crate::model::Labels;

/// An endpoint at `url`, everything else at its default.
pub(super) fn settings(name: &str, url: &str) -> Settings {
    Settings {
        name: name.into(),
        source: Settings::source_of(name),
        job: name.into(),
        instance: "host:80".into(),
        http: HttpSettings::new(url.into()),
        format: PageFormat::Auto,
        interval: Duration::from_secs(60),
        labels: Labels::EMPTY,
        honor_labels: false,
        honor_timestamps: true,
        metric_prefix: "".into(),
        follow_redirects: true,
        retries: 0,
        gzip: false,
        limits: Limits::default(),
        transforms: crate::shaping::Rules::NONE,
    }
}
