//! Rules that gather numbers over time, and that bound how many series there are: from an application's page to a
//! destination, and over reloads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use crate::lanes::decode;
use crate::own_metrics::is_stale;
use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir};
use crate::support::wait_for;

/// All that a receiver of remote write was sent: by series, without `instance`, its samples with their times.
fn sent(peer: &Peer) -> BTreeMap<String, Vec<(i64, f64)>> {
    let mut all: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for one in peer.received().iter().flat_map(|request| decode(&request.body).timeseries) {
        let labels = one.labels.iter().filter(|label| !["__name__", "instance"].contains(&&*label.name));
        let labels: Vec<String> = labels.map(|label| format!("{}={}", label.name, label.value)).collect();
        let name = one.labels.iter().find(|label| label.name == "__name__").unwrap();
        let series = format!("{}{{{}}}", name.value, labels.join(","));
        all.entry(series).or_default().extend(one.samples.iter().map(|sample| (sample.timestamp, sample.value)));
    }
    all
}

/// The values of a series that are no markers, added.
fn total(peer: &Peer, series: &str) -> f64 {
    let all = sent(peer);
    all.get(series).into_iter().flatten().map(|(_, value)| value).filter(|value| !is_stale(value)).sum()
}

/// A metricsd that asks `app` ten times a second, with these rules for its destination.
fn config(app: &Peer, to: &Peer, rules: &str) -> String {
    format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1, "preset": "none"}},
            "spool": {{"mode": "memory"}}, "endpoints": [{{"name": "app", "url": "{}"}}],
            "shippers": [{{"name": "to", "type": "prometheus_remote_write", "endpoint": "{}", "transforms": [{rules}]}}]}}"#,
        app.url("/metrics"),
        to.url("/w")
    )
}

fn reload(daemon: &Daemon, dir: &TempDir, config: &str, count: usize) {
    std::fs::write(dir.path().join("config.json"), config.replace("PORT", &daemon.port.to_string())).unwrap();
    daemon.signal(Signal::SIGHUP);
    wait_for("the reload", || (daemon.log().matches("reloaded in").count() >= count).then_some(()));
}

/// A page of which the counters are at `now`, and three times that.
fn page(now: usize) -> Reply {
    let body = format!(
        "# TYPE reqs_total counter\nreqs_total{{path=\"/a\"}} {now}\nreqs_total{{path=\"/b\"}} {}\n\
         # TYPE temp gauge\ntemp 5\ngo_x 1\ngo_y 1\n\
         many{{n=\"1\"}} 1\nmany{{n=\"2\"}} 1\nmany{{n=\"3\"}} 1\nmany{{n=\"4\"}} 1\nmany{{n=\"5\"}} 1\n",
        3 * now
    );
    Reply::Answer(200, vec![("Content-Type", "text/plain; version=0.0.4".to_owned())], Box::leak(body.into_boxed_str()))
}

#[test]
fn numbers_are_gathered_over_windows_and_a_reload_that_leaves_a_rule_alone_leaves_what_it_knows() {
    let (dir, to) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let now = Arc::new(AtomicUsize::new(100));
    let counter = Arc::clone(&now);
    let app = Peer::start(move |_, _| page(counter.load(Ordering::SeqCst)));
    let increase = r#"{"aggregate": {"match": {"name": "hits_total"}, "function": "increase", "by": ["path"],
                       "window": "1s", "name": "hits_increase", "keep_input": true}}"#;
    let rest = r#"{"aggregate": {"match": {"name": "hits_total"}, "function": "sum", "without": ["path", "instance"],
                   "window": "1s", "name": "hits_sum"}},
                  {"downsample": {"match": {"name": "temp"}, "every": "1s", "function": "max"}},
                  {"limit": {"per_name": 2}}"#;
    let rename = r#"{"rename": {"name": "reqs_total", "to": "hits_total"}}"#;
    let rules = format!(r#"{{"drop": {{"name": "go_.*"}}}}, {rename}, {increase}, {rest}"#);
    let daemon = Daemon::start(dir.path(), &config(&app, &to, &rules));
    let [a, b] = ["hits_increase{path=/a}", "hits_increase{path=/b}"];
    // Nothing grows: a first number is none.
    wait_for("two windows", || (sent(&to).get(a)?.len() >= 2).then_some(()));
    assert_eq!((total(&to, a), total(&to, b)), (0.0, 0.0));
    now.store(110, Ordering::SeqCst);
    wait_for("what it grew", || (total(&to, a) == 10.0 && total(&to, b) == 30.0).then_some(()));
    let all = sent(&to);
    let names: BTreeSet<&str> = all.keys().map(|series| series.split('{').next().unwrap()).collect();
    assert!(!names.contains("go_x") && !names.contains("reqs_total") && !names.contains("hits_total"), "{names:?}");
    let many: Vec<&String> = all.keys().filter(|series| series.starts_with("many")).collect();
    assert_eq!(many, ["many{job=app,n=1}", "many{job=app,n=2}"]);
    // One number for each window, at its end.
    let temp = &all["temp{job=app}"];
    assert!(temp.windows(2).all(|pair| pair[0].0 < pair[1].0), "{temp:?}");
    assert!(temp.iter().all(|(time_ms, value)| time_ms % 1000 == 0 && *value == 5.0), "{temp:?}");
    wait_for("the sum", || (sent(&to)["hits_sum{job=app}"].last()?.1 == 440.0).then_some(()));
    // What each rule dropped: two series of each scrape, three of each.
    let dropped = |rule: usize| {
        let series =
            format!(r#"metricsd_transform_dropped_total{{destination="to",rule="shippers[0].transforms[{rule}]"}}"#);
        daemon.metric(&series)
    };
    let [runtime, too_many, gathered] = [0, 5, 2].map(|rule| dropped(rule).unwrap());
    assert!(runtime >= 2.0 && runtime % 2.0 == 0.0, "{runtime}");
    assert!(too_many >= 3.0 && too_many % 3.0 == 0.0, "{too_many}");
    assert_eq!(gathered, 0.0);

    // Another rule comes in front; what the others know stays.
    let rules = format!(r#"{{"drop": {{"name": "none"}}}}, {rules}"#);
    reload(&daemon, &dir, &config(&app, &to, &rules), 1);
    now.store(1000, Ordering::SeqCst);
    wait_for("what it grew since", || (total(&to, a) >= 900.0).then_some(()));
    wait_for("what the other one grew since", || (total(&to, b) >= 2700.0).then_some(()));
    assert_eq!((total(&to, a), total(&to, b)), (900.0, 2700.0));
    // So they do where a lane is made anew.
    let more = config(&app, &to, &rules).replace(r#""name": "to","#, r#""name": "to", "workers": 2,"#);
    reload(&daemon, &dir, &more, 2);
    now.store(1001, Ordering::SeqCst);
    wait_for("what it grew since", || (total(&to, a) == 901.0 && total(&to, b) == 2703.0).then_some(()));
    assert!(!sent(&to)[a].iter().any(|(_, value)| is_stale(value)), "no reload has ended it");

    // Without the rule what came of it ends.
    reload(&daemon, &dir, &config(&app, &to, rename), 3);
    wait_for("its end", || is_stale(&sent(&to)[a].last()?.1).then_some(()));
    wait_for("what it was made of", || sent(&to).contains_key("hits_total{job=app,path=/a}").then_some(()));
}

#[test]
fn rules_of_an_endpoint_gather_and_bound_its_series_alone_and_end_with_it() {
    let (dir, to) = (TempDir::new(), Peer::start(|_, _| Reply::status(200)));
    let now = Arc::new(AtomicUsize::new(100));
    let [app, other] = [(); 2].map(|()| {
        let counter = Arc::clone(&now);
        Peer::start(move |_, _| page(counter.load(Ordering::SeqCst)))
    });
    let increase = r#"{"aggregate": {"match": {"name": "reqs_total"}, "function": "increase", "window": "1s",
                       "by": ["job"], "name": "reqs_increase", "keep_input": true}}"#;
    let sum =
        r#"{"aggregate": {"match": {"name": "reqs_total"}, "function": "sum", "window": "1s", "name": "reqs_sum"}}"#;
    let rest = r#"{"downsample": {"match": {"name": "temp"}, "every": "1s"}}, {"limit": {"per_name": 2}},
                  {"rename": {"name": "reqs_(.*)", "to": "all_$1"}}"#;
    let endpoint = |name: &str, peer: &Peer, rules: &str| {
        format!(r#"{{"name": "{name}", "url": "{}", "transforms": [{rules}]}}"#, peer.url("/metrics"))
    };
    let config = |endpoints: &[String]| {
        format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.1, "preset": "none"}},
                "labels": {{"site": "a"}}, "spool": {{"mode": "memory"}}, "endpoints": [{}],
                "shippers": [{{"name": "to", "type": "prometheus_remote_write", "endpoint": "{}"}}]}}"#,
            endpoints.join(","),
            to.url("/w")
        )
    };
    let rules = format!(r#"{{"drop": {{"name": "go_.*"}}}}, {increase}, {sum}, {rest}"#);
    let plain = endpoint("other", &other, "");
    let daemon = Daemon::start(dir.path(), &config(&[endpoint("app", &app, &rules), plain.clone()]));
    // What is gathered over all labels is the endpoint's still.
    let [sum, grown] = ["all_sum{job=app,site=a}", "all_increase{job=app,site=a}"];
    // Of app alone: other gives the same series.
    wait_for("the sum", || (sent(&to).get(sum)?.last()?.1 == 400.0).then_some(()));
    wait_for("two windows", || (sent(&to).get(grown)?.len() >= 2).then_some(()));
    assert_eq!(total(&to, grown), 0.0);
    let all = sent(&to);
    let of = |job: &str| -> BTreeSet<String> {
        let name = |series: &String| series.split('{').next().unwrap().to_owned();
        all.keys().filter(|series| series.contains(&format!("job={job}"))).map(name).collect()
    };
    let scraped: BTreeSet<String> = ["reqs_total", "temp", "go_x", "go_y", "many"].map(str::to_owned).into();
    assert!(of("other").is_superset(&scraped), "{:?}", of("other"));
    // The input has gone into the sum.
    assert!(of("app").is_disjoint(&["reqs_total", "all_total", "go_x"].map(str::to_owned).into()), "{:?}", of("app"));
    let count = |job: &str| all.keys().filter(|series| series.starts_with(&format!("many{{job={job}"))).count();
    assert_eq!((count("app"), count("other")), (2, 5));
    assert!(all["temp{job=app,site=a}"].iter().all(|(time_ms, value)| time_ms % 1000 == 0 && *value == 5.0));
    // temp is gathered, two of many are left, and what is said of the scrape is no rule's business.
    let own = |name: &str| all[&format!("{name}{{job=app,site=a}}")].last().unwrap().1;
    assert_eq!(
        [own("up"), own("scrape_samples_scraped"), own("scrape_samples_post_metric_relabeling")],
        [1.0, 10.0, 2.0]
    );
    let dropped = |rule: usize| {
        daemon.metric(&format!(r#"metricsd_transform_dropped_total{{endpoint="app",rule="transforms[{rule}]"}}"#))
    };
    let too_many = dropped(4).unwrap();
    assert!(too_many >= 3.0 && too_many % 3.0 == 0.0, "{too_many}");
    assert_eq!((dropped(1), dropped(0)), (Some(0.0), None));

    // The endpoint changes and another rule comes in front; what the others know stays.
    let rules =
        rules.replace(r#"{"drop": {"name": "go_.*"}}"#, r#"{"drop": {"name": "go_.*"}}, {"limit": {"series": 50}}"#);
    let changed = endpoint("app", &app, &rules).replace(r#""name": "app","#, r#""name": "app", "timeout": "90ms","#);
    reload(&daemon, &dir, &config(&[changed, plain.clone()]), 1);
    now.store(110, Ordering::SeqCst);
    wait_for("what it grew", || (total(&to, grown) == 40.0).then_some(()));
    assert!(!sent(&to)[grown].iter().any(|(_, value)| is_stale(value)), "no reload has ended it");

    // Without the endpoint what came of it ends.
    reload(&daemon, &dir, &config(&[plain]), 2);
    for series in [sum, grown, "temp{job=app,site=a}", "many{job=app,n=1,site=a}", "up{job=app,site=a}"] {
        wait_for(&format!("the end of {series}"), || is_stale(&sent(&to).get(series)?.last()?.1).then_some(()));
    }
    assert!(!is_stale(&sent(&to)["temp{job=other,site=a}"].last().unwrap().1));
}
