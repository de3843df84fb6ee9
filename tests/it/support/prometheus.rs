//! A real Prometheus, or what has its HTTP API: started for a test, asked, ended with it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{program::Captured, wait_for, wait_long_for};

/// A running server that takes remote writes; killed when dropped.
pub struct Prometheus {
    child: Child,
    pub port: u16,
    output: Captured,
}

/// One series of an answer.
#[derive(Clone, Debug)]
pub struct Series {
    /// `__name__` among them.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the UNIX epoch, and the value then.
    pub samples: Vec<(i64, f64)>,
}

impl Series {
    pub fn name(&self) -> &str {
        &self.labels["__name__"]
    }

    pub fn at(&self, time_ms: i64) -> Option<f64> {
        self.samples.iter().find(|(time, _)| *time == time_ms).map(|(_, value)| *value)
    }
}

impl Prometheus {
    /// Starts the system's own, which keeps its data in `dir`, where that of an earlier one may
    /// lie, and scrapes what `scrape_configs` say, a list in YAML. Waits until it serves.
    pub fn start(dir: &Path, port: u16, scrape_configs: &str) -> Prometheus {
        Prometheus::start_as(Command::new("prometheus"), dir, port, &format!("scrape_configs: {scrape_configs}\n"))
    }

    /// Starts `program` with a configuration in YAML.
    pub fn start_as(mut program: Command, dir: &Path, port: u16, config: &str) -> Prometheus {
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        program
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.enable-remote-write-receiver");
        Prometheus::serve(program, dir, port, "/-/ready")
    }

    /// Starts `command`, and waits until the page `ready` is there on `port`.
    pub fn serve(mut command: Command, dir: &Path, port: u16, ready: &str) -> Prometheus {
        let child = command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child
            .unwrap_or_else(|error| panic!("cannot start {:?} ({error}); make e2e brings it", command.get_program()));
        let output = Captured::default();
        output.take(child.stdout.take().unwrap());
        output.take(child.stderr.take().unwrap());
        let mut server = Prometheus { child, port, output };
        wait_long_for("the server to be ready", || {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("it ended with {status}");
            }
            let response = ureq::get(format!("http://127.0.0.1:{port}{ready}")).call().ok()?;
            (response.status() == 200).then_some(())
        });
        server
    }

    /// Asks it to stop, and waits until it has written everything down and is gone.
    pub fn stop(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM).unwrap();
        wait_for("the server to end", || self.child.try_wait().unwrap());
    }

    /// The answer to a query whose result has samples with their own times: `name[5m]`.
    pub fn samples(&self, query: &str) -> Vec<Series> {
        series(&self.api("query", &[("query", query)]), "matrix", query)
    }

    /// The same as at another time.
    pub fn samples_at(&self, query: &str, time_ms: i64) -> Vec<Series> {
        series(&self.api("query", &[("query", query), ("time", &seconds(time_ms))]), "matrix", query)
    }

    /// The value of a query that has one; none where nothing matches.
    pub fn value(&self, query: &str) -> Option<f64> {
        only(&series(&self.api("query", &[("query", query)]), "vector", query), query)
    }

    /// The same as at another time.
    pub fn value_at(&self, query: &str, time_ms: i64) -> Option<f64> {
        only(&self.vector_at(query, time_ms), query)
    }

    /// What a query matches at a time, each with one value.
    pub fn vector_at(&self, query: &str, time_ms: i64) -> Vec<Series> {
        series(&self.api("query", &[("query", query), ("time", &seconds(time_ms))]), "vector", query)
    }

    /// `data` of a successful answer.
    pub fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let mut response = agent.get(url).query_pairs(parameters.iter().copied()).call().unwrap();
        // ureq's own bound is meant for pages; an hour of samples is larger.
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.output.text());
        }
    }
}

/// A time as the API takes it.
fn seconds(time_ms: i64) -> String {
    format!("{}.{:03}", time_ms / 1000, time_ms % 1000)
}

/// The series of an answer of that type.
fn series(data: &Value, kind: &str, query: &str) -> Vec<Series> {
    assert_eq!(data["resultType"], kind, "{query}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let series = |found: &Value| Series {
        labels: found["metric"].as_object().unwrap().iter().map(|(n, v)| (n.clone(), text(v))).collect(),
        samples: match &found["values"] {
            Value::Array(values) => values.iter().map(sample).collect(),
            _ => vec![sample(&found["value"])],
        },
    };
    data["result"].as_array().unwrap().iter().map(series).collect()
}

fn only(found: &[Series], query: &str) -> Option<f64> {
    assert!(found.len() < 2, "{query} has several values: {found:?}");
    Some(found.first()?.samples[0].1)
}

/// `[1700000000.123, "1.5"]`.
fn sample(pair: &Value) -> (i64, f64) {
    let time_ms = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
    (time_ms, pair[1].as_str().unwrap().parse().unwrap())
}
