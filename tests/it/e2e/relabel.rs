//! The table of relabelling rules, held against what real Prometheus do with them.

use std::collections::BTreeMap;
use std::process::Command;

use crate::relabel::table::{BEFORE_3, REFUSED, Row, SINCE_3, TABLE};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{TempDir, free_port};
use crate::support::prometheus::{Prometheus, Series};
use crate::support::receivers::prometheus_3;
use crate::support::wait_for;

/// The page of the row whose number the path is: its series with that number.
fn pages(rows: &[&'static Row]) -> Peer {
    let pages: Vec<&'static str> = rows
        .iter()
        .enumerate()
        .map(|(at, (_, given, _))| {
            let (name, labels) = given.split_once('{').unwrap_or((given, "}"));
            // With honor_labels these keep Prometheus from adding its own.
            &*Box::leak(format!("{name}{{job=\"\",instance=\"\",{labels} {at}\n").into_boxed_str())
        })
        .collect();
    Peer::start(move |_, request| {
        let number = request.line.split(['/', ' ']).find_map(|word| word.parse::<usize>().ok());
        let page = number.and_then(|at| pages.get(at)).unwrap_or(&"");
        Reply::Answer(200, vec![("Content-Type", "text/plain; version=0.0.4".to_owned())], page)
    })
}

/// A job for each row. JSON is YAML.
fn jobs(rows: &[&Row], peer: &Peer) -> String {
    let job = |(at, (rule, ..)): (usize, &&Row)| {
        format!(
            r#"{{"job_name": "row-{at}", "metrics_path": "/{at}", "honor_labels": true, "scrape_interval": "1s",
                "static_configs": [{{"targets": ["{}"]}}], "metric_relabel_configs": [{rule}]}}"#,
            peer.address
        )
    };
    format!("[{}]", rows.iter().enumerate().map(job).collect::<Vec<_>>().join(",\n"))
}

/// A series as the table writes it.
fn written(series: &Series) -> String {
    let labels = series.labels.iter().filter(|(name, _)| *name != "__name__").map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    let labels: Vec<String> = labels.collect();
    if labels.is_empty() { series.name().to_owned() } else { format!("{}{{{}}}", series.name(), labels.join(",")) }
}

/// That the server, which scrapes the rows, has what the table says.
fn agrees(server: &Prometheus, rows: &[&Row], who: &str) {
    wait_for("a scrape of each row", || {
        // Twice, so that what the first one brought is there.
        let scraped = server.samples(r#"up{job=~"row-.*"}[5m]"#);
        (scraped.len() == rows.len() && scraped.iter().all(|series| series.samples.len() > 1)).then_some(())
    });
    let own = r#"{__name__!="",__name__!~"up|scrape_.*"}"#;
    let mut left: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for series in server.samples(&format!("{own}[5m]")) {
        left.entry(series.samples[0].1 as usize).or_default().push(written(&series));
    }
    let mut wrong = Vec::new();
    for (at, (rule, given, expected)) in rows.iter().enumerate() {
        let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        let left = left.remove(&at).unwrap_or_default();
        if left != expected {
            wrong.push(format!("{rule}\n  of {given}\n  leaves {left:?}\n  and not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{who}:\n{}", wrong.join("\n"));
    println!("{who}: {} rules alike", rows.len());
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn prometheus_leaves_what_the_table_says() {
    let rows: Vec<&Row> = TABLE.iter().chain(BEFORE_3).collect();
    let peer = pages(&rows);
    let dir = TempDir::new();
    let server = Prometheus::start(dir.path(), free_port(), &jobs(&rows, &peer));
    agrees(&server, &rows, "the system's Prometheus");
}

#[test]
#[ignore = "needs a newer prometheus: make e2e"]
fn prometheus_3_leaves_what_the_table_says() {
    let rows: Vec<&Row> = TABLE.iter().chain(SINCE_3).collect();
    let peer = pages(&rows);
    let dir = TempDir::new();
    // Names are letters, digits and _ for us, as they were before it.
    let global = r#"{"metric_name_validation_scheme": "legacy"}"#;
    let config = format!("global: {global}\nscrape_configs: {}\n", jobs(&rows, &peer));
    let Some(server) = prometheus_3(dir.path(), &config) else { return };
    agrees(&server, &rows, "Prometheus 3");
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn prometheus_refuses_what_the_table_says() {
    let dir = TempDir::new();
    let refused = |rule: &str| {
        let config = format!(r#"{{"scrape_configs": [{{"job_name": "a", "metric_relabel_configs": [{rule}]}}]}}"#);
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "config"]).arg(dir.write("prometheus.yml", &config));
        !promtool.output().expect("make e2e brings promtool").status.success()
    };
    assert!(!refused(TABLE[0].0));
    let taken: Vec<&&str> = REFUSED.iter().filter(|rule| !refused(rule)).collect();
    assert!(taken.is_empty(), "{taken:#?}");
}
