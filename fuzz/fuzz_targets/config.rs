//! The configuration: any text, with and without environment variables.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::config::{self, Source};

fuzz_target!(|input: &[u8]| {
    for (env, host) in [(None, "host-1"), (Some("1"), ""), (Some("${NAME}"), "é")] {
        let look = |name: &str| env.filter(|_| name.len() % 2 == 0).map(str::to_owned);
        match config::load(Source::Text("fuzz.json".to_owned(), input.to_owned()), &look, host) {
            Ok(config) => {
                assert!(config.interval.as_millis() >= 50 && config.interval.as_secs() <= 86_400);
                assert_ne!(config.server.port, 0);
                let text = format!("{config:?}");
                assert!(!text.is_empty());
            }
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
    }
});
