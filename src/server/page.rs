//! The page at `/`: which host this is, how it is doing, and where to look further.

use std::fmt::Write as _;

use crate::telemetry::VERSION;

use super::health::{Health, Status};

const STYLE: &str = "\
:root{color-scheme:light dark;--soft:#667;--line:#d8dbe2;--good:#1a7f37;--fair:#9a6700;--bad:#cf222e}\
@media(prefers-color-scheme:dark){:root{--soft:#99a;--line:#3a3f4b;--good:#3fb950;--fair:#d29922;--bad:#f85149}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:12vh auto 4rem;padding:0 1.25rem}\
h1{font-size:1.6rem;margin:0}p{margin:.25rem 0}.soft{color:var(--soft)}\
.healthy{color:var(--good)}.degraded{color:var(--fair)}.unhealthy{color:var(--bad)}\
dl{display:grid;grid-template-columns:6.5rem 1fr;border-top:1px solid var(--line);margin:1.75rem 0;padding-top:1.25rem;gap:.4rem}\
dd{margin:0}ul{padding-left:1.2rem}a{color:inherit}";

const LINKS: [(&str, &str); 4] = [
    ("/metrics", "the latest collection, for Prometheus"),
    ("/health", "each collector and destination, as JSON"),
    ("/ready", "200 once there has been a collection"),
    ("/live", "200 while the process answers"),
];

/// The whole document. Needs no script, no font and no other request.
pub(super) fn render(host: &str, health: &Health) -> String {
    let mut out = String::with_capacity(2560);
    let host = escape(host);
    let status = health.status.as_str();
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>metricsd on {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{host}</h1>\n\
         <p class=\"soft\">metricsd {VERSION}, <strong class=\"{status}\">{status}</strong>, up {}</p>\n",
        health.uptime
    );
    if health.status != Status::Healthy {
        out.push_str("<ul>\n");
        for reason in &health.reasons {
            let _ = writeln!(out, "<li>{}</li>", escape(reason));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("<dl>\n");
    for (path, what) in LINKS {
        let _ = writeln!(out, "<dt><a href=\"{path}\">{path}</a></dt><dd class=\"soft\">{what}</dd>");
    }
    out.push_str("</dl>\n</body>\n</html>\n");
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(escape("<a href=\"x\">&'</a>"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
    }
}
