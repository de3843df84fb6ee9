//! `-list`: which collectors there are, what this host has of them, and every metric by its names.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

use super::once::collect;
use super::{complain, print};
use crate::cli::{Exit, Format};
use crate::collectors::{self, Definition};
use crate::config::Config;
use crate::host::{HostPaths, monotonic};
use crate::model::{ReadingRef, Resource, Scheme};
use crate::telemetry::{CollectorState, CollectorStatus};

/// All that is listed.
#[derive(Serialize)]
struct List {
    collectors: Vec<Collector>,
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
struct Collector {
    name: &'static str,
    about: &'static str,
    on: bool,
    preset: Option<&'static str>,
    switch: &'static str,
    reads: &'static [&'static str],
    needs: Option<&'static str>,
    /// Whether this host has it: `yes`, `no`, or that it could not be read.
    here: &'static str,
    /// Why not.
    why: Option<String>,
}

#[derive(Serialize)]
struct Metric {
    collector: &'static str,
    native: Option<Name>,
    node_exporter: Option<Name>,
    otel: Option<Name>,
}

#[derive(Serialize)]
struct Name {
    name: String,
    kind: &'static str,
    unit: String,
    labels: Vec<String>,
    help: String,
}

/// Asks every collector once, those that are off too, and prints what there is.
pub fn list(config: &Config, paths: &HostPaths, format: Format) -> Exit {
    let mut settings = config.collectors.clone();
    for definition in collectors::definitions().filter(|one| one.part_of.is_none()) {
        settings.switch(definition.name, true);
    }
    let resource = Arc::new(Resource { host: "".into(), boot_ms: None, ..Resource::default() });
    let statuses = match collect(&settings, paths, &resource) {
        Ok((_, statuses)) => statuses,
        Err(error) => {
            complain(&format!("cannot start a thread: {error}"));
            return Exit::Internal;
        }
    };
    let collector = |definition| Collector::new(definition, config, &statuses);
    let list = List { collectors: collectors::definitions().map(collector).collect(), metrics: metrics().collect() };
    match format {
        Format::Prom => print(&list.tables()),
        Format::Json => match serde_json::to_string_pretty(&list) {
            Ok(json) => print(&format!("{json}\n")),
            Err(error) => {
                complain(&format!("cannot print the list: {error}"));
                Exit::Internal
            }
        },
    }
}

/// Every metric, once.
fn metrics() -> impl Iterator<Item = Metric> {
    collectors::definitions().flat_map(|definition| {
        let mut metrics: Vec<Metric> = Vec::new();
        for reading in collectors::readings_of(definition) {
            let [native, node_exporter, otel] = Scheme::ALL.map(|scheme| Name::new(&reading, scheme));
            let metric = Metric { collector: definition.name, native, node_exporter, otel };
            // Several readings may be one metric with another value of a label.
            if !metrics.iter().any(|known| known.names() == metric.names()) {
                metrics.push(metric);
            }
        }
        metrics
    })
}

impl Collector {
    fn new(definition: &'static Definition, config: &Config, statuses: &[Arc<CollectorStatus>]) -> Collector {
        let status = statuses.iter().find(|status| status.name() == definition.name);
        let last = status.and_then(|status| status.last(monotonic()));
        let here = match last.as_ref().map(|round| round.state) {
            Some(CollectorState::Ok) => "yes",
            Some(CollectorState::Failed | CollectorState::Stale) => "fails",
            // A part that had nothing to do was not asked.
            Some(CollectorState::Absent) | None => "no",
        };
        Collector {
            name: definition.name,
            about: definition.about,
            on: definition.is_on(&config.collectors),
            preset: definition.preset.map(|preset| preset.as_str()),
            switch: definition.switch,
            reads: definition.reads,
            needs: Some(definition.needs).filter(|needs| !needs.is_empty()),
            here,
            why: last.and_then(|round| round.error),
        }
    }
}

impl Metric {
    fn names(&self) -> [Option<&str>; 3] {
        [&self.native, &self.node_exporter, &self.otel].map(|name| name.as_ref().map(|name| &*name.name))
    }
}

impl Name {
    fn new(reading: &ReadingRef, scheme: Scheme) -> Option<Name> {
        let face = reading.face(scheme)?;
        Some(Name {
            name: face.family.name.to_owned(),
            kind: face.family.kind.as_str(),
            unit: face.family.unit.to_owned(),
            labels: face.labels.iter().map(|label| label.name().to_owned()).collect(),
            help: face.family.help.to_owned(),
        })
    }
}

impl List {
    fn tables(&self) -> String {
        let mut out = String::new();
        let rows = self.collectors.iter().map(|one| {
            let on = if one.on { "on" } else { "off" };
            let what = one.why.clone().unwrap_or_else(|| one.reads.join(" "));
            [one.name, on, one.preset.unwrap_or("-"), one.here, one.needs.unwrap_or("-"), &what].map(str::to_owned)
        });
        table(&mut out, ["COLLECTOR", "SWITCH", "PRESET", "HERE", "NEEDS", "READS, OR WHY NOT"], rows);
        out.push('\n');
        let rows = self.metrics.iter().map(|metric| {
            let [native, node, otel] = metric.names().map(|name| name.unwrap_or("-").to_owned());
            [metric.collector.to_owned(), native, node, otel]
        });
        table(&mut out, ["COLLECTOR", "NATIVE", "NODE_EXPORTER", "OTEL"], rows);
        out
    }
}

/// Columns as wide as what stands in them.
fn table<const N: usize>(out: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let rows: Vec<[String; N]> = [head.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a String does not fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}
