//! What metricsd scrapes, held against what Prometheus scrapes from the same targets.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use super::{now_ms, remote_write};
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port};
use crate::support::prometheus::{Prometheus, Series};
use crate::support::{wait_for, wait_long_for};

/// Ends with the test.
struct Exporter(Child, u16);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn node_exporter() -> Exporter {
    let port = free_port();
    let mut command = Command::new("prometheus-node-exporter");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdout(Stdio::null()).stderr(Stdio::null());
    let exporter = Exporter(command.spawn().expect("make e2e brings prometheus-node-exporter"), port);
    wait_for("node_exporter", || ureq::get(format!("http://127.0.0.1:{port}/metrics")).call().ok().map(drop));
    exporter
}

/// All that a page may hold and a parser may get wrong; nothing of it changes.
const ODD: &str = concat!(
    "# HELP odd_total Odd \\\\ help\\nof two lines.\n# TYPE odd_total counter\n",
    "odd_total{a=\"back\\\\slash\",b=\"quo\\\"te\",c=\"line\\nfeed\"} 1\n",
    "odd_total{a=\"\",b=\"empty labels are none\"} 2\n",
    "odd_total { a = \"blanks\" , } 3\n",
    "# a comment\n\n   \n",
    "untyped 1e3\nuntyped_inf +Inf\nuntyped_neg -Inf\nuntyped_nan NaN\nuntyped_small 5e-324\n",
    "# TYPE took histogram\n",
    "took_bucket{le=\"0.1\"} 1\ntook_bucket{le=\"1.0\"} 2\ntook_bucket{le=\"+Inf\"} 3\ntook_sum 2.5\ntook_count 3\n",
    "# TYPE spread summary\n",
    "spread{quantile=\"0.5\"} 7\nspread{quantile=\"0.99\"} NaN\nspread_sum 70\nspread_count 10\n",
    "# TYPE later gauge\nlater{job=\"own\",instance=\"mine\",exported_job=\"theirs\"} 4\n",
    "# TYPE odd_total counter\nodd_total{a=\"second piece\"} 5\n",
    "odd_total{a=\"second piece\"} 6\n",
    "unicode{a=\"größer ≥ 1\"} 8\n",
);

/// OpenMetrics has more kinds, and other names for what it counts.
const OPEN: &str = concat!(
    "# HELP jobs Jobs.\n# TYPE jobs counter\n# UNIT jobs_seconds seconds\n",
    "jobs_total{kind=\"a\"} 17 # {trace_id=\"abc\"} 0.5 1600000000.123\njobs_created{kind=\"a\"} 1600000000.5\n",
    "# TYPE build info\nbuild_info{version=\"1\"} 1\n",
    "# TYPE feature stateset\nfeature{feature=\"on\"} 1\nfeature{feature=\"off\"} 0\n",
    "# TYPE load gauge\nload 0.25\n",
    "# TYPE lat histogram\nlat_bucket{le=\"1.0\"} 1 # {} 0.3\nlat_bucket{le=\"+Inf\"} 2\nlat_count 2\nlat_sum 3\n",
    "# EOF\n",
);

fn fixed(content_type: &'static str, body: &'static str) -> Peer {
    Peer::start(move |_, _| Reply::Answer(200, vec![("Content-Type", content_type.to_owned())], body))
}

/// Each series without the labels that tell who scraped it, with its value.
fn known(all: Vec<Series>) -> BTreeMap<BTreeMap<String, String>, f64> {
    let of = |series: Series| {
        let mut labels = series.labels;
        labels.remove("job");
        (labels, series.samples.last().unwrap().1)
    };
    all.into_iter().map(of).collect()
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
#[ignore = "needs prometheus and prometheus-node-exporter: make e2e"]
fn prometheus_and_metricsd_scrape_the_same_series_with_the_same_values() {
    let dir = TempDir::new();
    let exporter = node_exporter();
    let odd = fixed("text/plain; version=0.0.4", ODD);
    let open = fixed("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN);
    let port = free_port();
    let targets = [
        ("node", format!("127.0.0.1:{}", exporter.1)),
        ("odd", odd.address.to_string()),
        ("open", open.address.to_string()),
        ("prometheus", format!("127.0.0.1:{port}")),
    ];
    let theirs = targets.iter().map(|(name, address)| {
        format!(
            "\n- job_name: theirs-{name}\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs: [{{targets: ['{address}']}}]"
        )
    });
    let prometheus = Prometheus::start(dir.path(), port, &theirs.collect::<String>());
    let ours = targets.iter().map(|(name, address)| {
        format!(r#"{{"name": "{name}", "job": "ours-{name}", "url": "http://{address}/metrics"}}"#)
    });
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 1, "preset": "none"}},
            "spool": {{"mode": "memory"}}, "endpoints": [{}], "shippers": [{}]}}"#,
        ours.collect::<Vec<_>>().join(","),
        remote_write(port)
    );
    let daemon = Daemon::start(dir.path(), &config);
    for (name, _) in &targets {
        for who in ["ours", "theirs"] {
            wait_long_for("eight scrapes", || {
                let query = format!("count_over_time(up{{job=\"{who}-{name}\"}}[1m])");
                (prometheus.value(&query)? >= 8.0).then_some(())
            });
        }
    }
    // A while ago, so that what came behind it has been stored, too.
    let at = now_ms() - 3500;
    for (name, _) in &targets {
        let all = |who: &str, at| known(prometheus.vector_at(&format!("{{job=\"{who}-{name}\"}}"), at));
        let (ours, theirs) = (all("ours", at), all("theirs", at));
        let around = [-3000, -1500, 1500, 3000].map(|by| all("theirs", at + by));
        let names = |of: &BTreeMap<BTreeMap<String, String>, f64>| {
            // What only we say of a scrape, and what a Prometheus of another version does.
            let is_own = |labels: &&BTreeMap<String, String>| labels["__name__"].starts_with("scrape_");
            of.keys().filter(|labels| !is_own(labels)).cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(&ours), names(&theirs), "{name}");
        let (mut steady, mut moved) = (0, Vec::new());
        for (labels, value) in &theirs {
            // What did not change for so long had no other value between; but for what a program says of its
            // own memory, which goes up and back.
            let is_steady = around.iter().all(|all| all.get(labels).is_some_and(|other| same(*other, *value)));
            let is_own = ["scrape_", "go_", "process_"].iter().any(|begin| labels["__name__"].starts_with(begin));
            if is_steady && !is_own {
                steady += 1;
                if !same(ours[labels], *value) {
                    moved.push((labels.clone(), ours[labels], *value));
                }
            }
        }
        let is_fixed = ["odd", "open"].contains(name);
        let least = if is_fixed { ours.len() - 6 } else { ours.len() / 3 };
        // A gauge may go up and back between two scrapes (connections), a page that is fixed may not.
        let most = if is_fixed { 0 } else { steady / 20 };
        assert!(moved.len() <= most, "{name}: {moved:?}");
        assert!(steady >= least, "{name}: only {steady} of {} series held still", ours.len());
        println!("{name}: {} series alike, {steady} of them with a value that held still", ours.len());
        let samples = |who: &str| prometheus.value(&format!("scrape_samples_scraped{{job=\"{who}-{name}\"}}"));
        if *name != "prometheus" {
            assert_eq!(samples("ours"), samples("theirs"), "{name}");
        }
    }
    // Types are not stored with remote write 1.0: the page has them.
    let (_, page) = daemon.get("/metrics").unwrap();
    let theirs = ureq::get(format!("http://127.0.0.1:{}/metrics", exporter.1)).call().unwrap();
    let theirs = theirs.into_body().read_to_string().unwrap();
    let types: Vec<&str> = theirs.lines().filter(|line| line.starts_with("# TYPE node_")).collect();
    assert!(types.len() > 50, "{theirs}");
    for line in types {
        assert!(page.contains(&format!("{line}\n")), "{line}");
    }
}
