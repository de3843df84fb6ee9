//! The documentation against the code: tables, examples, links.
//!
//! What `docs/` says in tables of metrics, fields, flags and the like comes from the code's own
//! tables. It stands between `<!-- generated: NAME -->` and `<!-- /generated -->`, and `make golden`
//! rewrites it, with the man pages and completions.

mod completions;
mod example;
mod manual;
mod others;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metricsd::model::{Family, ReadingRef, Refused, Scheme, Signal};
use metricsd::telemetry::{
    CollectorState, CollectorStatus, DestinationStatus, EndpointStatus, Exposition, Round, Subjects, Telemetry,
};
use metricsd::{cli, collectors, config};

use crate::examples;
use crate::support::program::{TempDir, metricsd, run};

/// A generated part of a page, or file: its name, and what it has to be.
type Section = (&'static str, fn() -> String);

/// Variables that stand for no field of the configuration.
const VARIABLES: [(&str, &str); 8] = [
    ("MC_LOG_LEVEL", "`log_level`; the flag `-log-level` wins over both"),
    ("HOST_PROC", "where the host's `/proc` is; default `/proc`"),
    ("HOST_SYS", "where the host's `/sys` is; default `/sys`"),
    ("HOST_ROOT", "where the host's `/` is; default `/`"),
    ("HTTPS_PROXY", "`proxy_url` of `https://` destinations that have none; `https_proxy` wins over it"),
    ("HTTP_PROXY", "the same for `http://` destinations; `http_proxy` wins over it"),
    ("ALL_PROXY", "the same where the scheme's own is not set; `all_proxy` wins over it"),
    ("NO_PROXY", "whom these do not count for (a list; `docs/credentials.md`); `no_proxy` wins over it"),
];

/// What a README may be: who wants to know more has the pages below `docs/`.
const MAX_README_BYTES: usize = 10 << 10;

/// A default longer than this does not fit into a table.
const MAX_DEFAULT: usize = 40;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Every page of ours.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "packaging/examples/README.md"]
        .map(|page| root().join(page))
        .into();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|e| e == "md")));
    pages
}

fn labels_of(family: &str) -> String {
    let families = collectors::families(Scheme::Native);
    families.into_iter().find(|(known, _)| known.name == family).unwrap_or_else(|| panic!("no {family}")).1.join(", ")
}

/// A table in Markdown. A `|` would end its cell, even between backticks.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

fn family(metric: Family<'_>, labels: &str) -> Vec<String> {
    let labels: Vec<String> = labels.split(", ").map(code).collect();
    vec![
        code(metric.name),
        metric.kind.as_str().to_owned(),
        metric.unit.to_string(),
        labels.join(", "),
        metric.help.to_string(),
    ]
}

const FAMILY: [&str; 5] = ["metric", "kind", "unit", "labels", "meaning"];

fn metrics() -> String {
    let families = collectors::families(Scheme::Native).into_iter();
    table(&FAMILY, families.map(|(metric, labels)| family(metric, &labels.join(", "))))
}

/// A row for each reading that has another name than its native one: every name once, with its labels.
fn names() -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for definition in collectors::definitions() {
        let name = |reading: &ReadingRef, scheme| {
            let face = reading.face(scheme)?;
            let labels: Vec<&str> = face.labels.iter().map(|label| label.name()).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            Some(code(&format!("{}{labels}", face.family.name)))
        };
        let readings = collectors::readings_of(definition);
        let faces: Vec<[Option<String>; 3]> =
            readings.iter().map(|reading| Scheme::ALL.map(|scheme| name(reading, scheme))).collect();
        // A native name stands for all that its readings are called elsewhere; what has none comes after.
        let mut mine: Vec<[Vec<String>; 3]> = Vec::new();
        for first in 0..3 {
            for face in faces.iter().filter(|face| face.iter().position(Option::is_some) == Some(first)) {
                let row = match mine.iter().position(|row| face[first].as_ref().is_some_and(|n| row[first].contains(n)))
                {
                    Some(at) => &mut mine[at],
                    None => {
                        mine.push(Default::default());
                        mine.last_mut().unwrap()
                    }
                };
                for (names, name) in row.iter_mut().zip(face) {
                    names.extend(name.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>());
                }
            }
        }
        let others = mine.into_iter().filter(|row| !row[1].is_empty() || !row[2].is_empty());
        rows.extend(others.map(|row| [vec![code(definition.name)], row.map(|names| names.join(", ")).into()].concat()));
    }
    table(&["collector", "native", "node_exporter", "otel"], rows)
}

fn collectors_table() -> String {
    let row = |definition: &collectors::Definition| {
        let reads: Vec<String> = definition.reads.iter().copied().map(code).collect();
        let switch = definition.part_of.map_or_else(|| definition.switch.to_owned(), |whole| format!("enable_{whole}"));
        let preset = definition.preset.map_or("", |preset| preset.as_str());
        let about = [definition.about.trim_end_matches('.'), definition.note].join("; ");
        let about = about.trim_end_matches("; ").to_owned();
        vec![code(definition.name), code(preset), code(&switch), reads.join(", "), definition.needs.to_owned(), about]
    };
    table(&["collector", "preset", "switch", "reads", "needs", "what it tells of"], collectors::definitions().map(row))
}

/// A program's own page after a collection and a delivery, so that every family is on it.
fn own_metrics() -> String {
    let collector = CollectorStatus::new("cpu");
    let round =
        Round { state: CollectorState::Ok, at: Duration::ZERO, duration: Duration::ZERO, series: 1, error: None };
    collector.ended(round, Refused::default());
    let destination = DestinationStatus::new("prometheus", "prometheus_remote_write");
    destination.delivered(1, 1, 0);
    destination.has_rules(&["transforms[0]".to_owned()]);
    let of_records = DestinationStatus::of(Signal::Records, "prometheus", "otlp_http");
    let (collectors, destinations) = (vec![Arc::new(collector)], vec![Arc::new(destination), Arc::new(of_records)]);
    let endpoints = vec![Arc::new(EndpointStatus::new("shop").with_rules(["transforms[0]".to_owned()]))];
    let (statsd, pushes) = (Some(Arc::default()), Some(Arc::default()));
    let subjects = Subjects { collectors, destinations, endpoints, statsd, pushes, ..Subjects::default() };
    let telemetry = Telemetry::new(Duration::ZERO, 0, subjects);
    let frame = Exposition::new(&telemetry).frame(&telemetry, 0);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for reading in frame.chunks.iter().flat_map(|chunk| chunk.readings().iter()) {
        let face = reading.face(Scheme::Native).unwrap();
        let names: Vec<&str> = face.labels.iter().map(|label| label.name()).collect();
        let row = family(face.family, &names.join(", "));
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    table(&FAMILY, rows)
}

fn configuration() -> String {
    let rows = config::rows().into_iter().map(|row| {
        let default = match &*row.default {
            "required" => "required".to_owned(),
            long if long.len() > MAX_DEFAULT => "[in the example](../config.example.json)".to_owned(),
            short => code(short),
        };
        vec![code(&row.path), row.takes, default, row.meaning.to_owned()]
    });
    table(&["field", "takes", "default", "meaning"], rows)
}

fn environment() -> String {
    let over_the_file = config::variables().map(|(name, field)| vec![code(name), code(&field)]);
    let others = VARIABLES.map(|(name, what)| vec![code(name), what.to_owned()]);
    table(&["variable", "stands for"], over_the_file.chain(others))
}

/// `text` with what stands between backticks as `code` gives it, and the rest as `plain` does.
fn in_words(text: &str, plain: fn(&str) -> String, code: fn(&str) -> String) -> String {
    text.split('`').enumerate().map(|(i, part)| if i % 2 == 0 { plain(part) } else { code(part) }).collect()
}

fn exits() -> String {
    let rows = cli::EXITS.map(|(exit, _, when)| vec![(exit as u8).to_string(), when.to_owned()]);
    table(&["exit code", "when"], rows)
}

fn help() -> String {
    format!("```text\n{}```\n", cli::help())
}

/// Every generated part of our pages.
const PAGES: [(&str, &[Section]); 4] = [
    (
        "docs/metrics.md",
        &[("collectors", collectors_table), ("metrics", metrics), ("names", names), ("own metrics", own_metrics)],
    ),
    ("docs/configuration.md", &[("configuration", configuration), ("environment", environment)]),
    ("docs/command-line.md", &[("help", help), ("exit codes", exits)]),
    (
        "docs/coming-from.md",
        &[
            ("node_exporter", others::node_exporter),
            ("telegraf inputs", others::telegraf_inputs),
            ("telegraf outputs", others::telegraf_outputs),
        ],
    ),
];

#[test]
fn the_tables_of_the_pages_are_those_of_the_code() {
    for (file, sections) in PAGES {
        let page = read(file);
        let mut expected = page.clone();
        for (name, render) in sections {
            let open = format!("<!-- generated: {name} -->\n");
            let (before, rest) = expected.split_once(&open).unwrap_or_else(|| panic!("{file} has no {open}"));
            let (_, after) = rest.split_once("<!-- /generated -->").unwrap_or_else(|| panic!("{name} does not end"));
            expected = format!("{before}{open}\n{}\n<!-- /generated -->{after}", render());
        }
        is(file, &page, &expected);
    }
}

#[test]
fn the_readme_is_short() {
    let length = read("README.md").len();
    assert!(length <= MAX_README_BYTES, "README.md has {length} bytes; what is not needed first belongs into docs/");
}

#[test]
fn the_readme_says_what_each_dependency_does() {
    let (readme, manifest) = (read("README.md"), read("Cargo.toml"));
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names = dependencies.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    for (name, _) in names {
        assert!(readme.contains(&code(name)), "README.md does not say what {name} does here");
    }
}

#[test]
fn the_index_has_every_page() {
    let index = read("docs/README.md");
    for page in pages().iter().filter(|page| page.parent().unwrap().ends_with("docs")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || index.contains(&format!("]({name})")), "docs/README.md does not name {name}");
    }
}

/// Fails where a committed file is not what it should be, or makes it so.
fn is(file: &str, committed: &str, expected: &str) {
    if std::env::var("METRICSD_GOLDEN").as_deref() == Ok("write") {
        fs::write(root().join(file), expected).unwrap();
        return;
    }
    let missing: Vec<&str> = expected.lines().filter(|line| !committed.lines().any(|l| l == *line)).collect();
    assert!(committed == expected, "{file} is out of step; `make golden` rewrites it:\n  {}", missing.join("\n  "));
}

#[test]
fn man_pages_and_completions_are_those_of_the_code() {
    let files: [Section; 5] = [
        ("packaging/man/metricsd.1", manual::program),
        ("packaging/man/metricsd.json.5", manual::configuration),
        ("packaging/completions/metricsd.bash", completions::bash),
        ("packaging/completions/_metricsd", completions::zsh),
        ("packaging/completions/metricsd.fish", completions::fish),
    ];
    for (file, render) in files {
        // One that is not there yet is out of step too.
        let committed = fs::read_to_string(root().join(file)).unwrap_or_default();
        is(file, &committed, &render());
    }
}

#[test]
fn labels_are_those_of_the_samples() {
    // The fixtures have most families; this machine those that need two readings or a mount.
    let golden = fs::read_dir(root().join("tests/golden")).unwrap().map(|entry| entry.unwrap().path());
    let mut text: String = golden
        .filter(|path| path.to_str().is_some_and(|path| path.ends_with(".prom") && path.matches('.').count() == 1))
        .map(|p| fs::read_to_string(p).unwrap())
        .collect();
    text.push_str(&run(metricsd().arg("-once")).stdout);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let mut names = Vec::new();
        // A label begins after `{` or `",`; a value may hold both, but no bare `"`.
        let mut rest = line[end..].strip_prefix('{').unwrap_or_default();
        while let Some((name, after)) = rest.split_once("=\"") {
            names.push(name);
            let value = after.char_indices().scan(false, |escaped, (at, c)| {
                let ends = c == '"' && !*escaped;
                *escaped = c == '\\' && !*escaped;
                Some((at, ends))
            });
            let close = value.filter(|(_, ends)| *ends).map(|(at, _)| at).next().unwrap();
            rest = after[close + 1..].strip_prefix(',').unwrap_or_default();
        }
        names.sort_unstable();
        assert_eq!(labels_of(&line[..end]), names.join(", "), "{line}");
    }
}

#[test]
fn the_example_configuration_is_that_of_the_code() {
    is("config.example.json", &read("config.example.json"), &example::example());
}

#[test]
fn configurations_in_the_documentation_are_good() {
    let dir = TempDir::new();
    examples::write_files(&dir);
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        assert!(!text.contains("```jsonc"), "{}: say json, so that it is checked", page.display());
        for block in text.split("```json\n").skip(1) {
            let path = dir.write("example.json", &examples::with_files_in(&dir, block.split("```").next().unwrap()));
            let ran = run(metricsd().arg("-check").arg("-config").arg(&path));
            assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}:\n{block}", page.display());
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked} examples found");
}

/// Paths in the documentation that look like settings, and are none of ours: whose they are.
const SETTINGS_OF_OTHERS: [(&str, &str); 2] =
    [("collector.plugins", "the first metricsd"), ("server.address", "an attribute by OpenTelemetry")];

/// What names of files end in.
const ENDINGS: [&str; 4] = ["md", "rs", "json", "sock"];

/// Whether `path` is a setting, or an object of some: the whole of it, or its end, as `spool.sync` is of each
/// destination. `*` and `<name>` stand for anything in a name.
fn is_setting(path: &str, known: &[Vec<String>]) -> bool {
    let fits = |given: &str, own: &str| match given.find(['*', '<']) {
        Some(at) => own.starts_with(&given[..at]),
        None => given == own,
    };
    let given: Vec<&str> = path.split('.').collect();
    let fit_at = |own: &[String]| own.iter().zip(&given).all(|(own, given)| fits(given, own));
    known.iter().any(|own| own.windows(given.len()).any(fit_at))
}

#[test]
fn settings_that_the_documentation_names_are_there() {
    let parts = |path: &str| path.replace("[]", "").split('.').map(str::to_owned).collect::<Vec<_>>();
    let known: Vec<Vec<String>> = config::rows().iter().map(|row| parts(&row.path)).collect();
    // What is `shipper.x` of one destination is `shippers[].x` of several.
    let is_object =
        |name: &str| known.iter().any(|own| own.split_last().is_some_and(|(_, of)| of.iter().any(|one| one == name)));
    assert!(is_setting("spool.sync", &known) && is_setting("collector.enable_<name>", &known));
    assert!(!is_setting("spool.fsync", &known) && !is_setting("sync.spool", &known));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        // What stands between fences is tried by others.
        let prose = text.split("```").step_by(2);
        for code in prose.flat_map(|text| text.split('`').skip(1).step_by(2)) {
            let path = code.replace("[]", "").replace("shippers.", "shipper.");
            let is_path = path.contains('.')
                && path.split('.').all(|part| {
                    !part.is_empty()
                        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_<>*".contains(&b))
                });
            let (first, last) =
                (path.split('.').next().unwrap_or_default(), path.rsplit('.').next().unwrap_or_default());
            let is_other = ENDINGS.contains(&last) || SETTINGS_OF_OTHERS.iter().any(|(other, _)| *other == path);
            if !is_path || !is_object(first) || is_other {
                continue;
            }
            seen += 1;
            if !is_setting(&path, &known) {
                wrong.push(format!("{}: `{code}`", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "no such settings:\n{}", wrong.join("\n"));
    assert!(seen > 300, "{seen}");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(path.exists(), "{}: {target} does not exist", page.display());
            if !anchor.is_empty() {
                let anchors: Vec<String> = fs::read_to_string(&path).unwrap().lines().filter_map(anchor_of).collect();
                assert!(anchors.iter().any(|a| a == anchor), "{}: no heading for {target}", page.display());
            }
        }
    }
}

/// What a heading is linked as.
fn anchor_of(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = heading.to_lowercase();
    Some(
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect(),
    )
}

#[test]
fn make_run_names_the_binary_where_it_is() {
    let said = |target: Option<&str>| {
        let mut make = std::process::Command::new("make");
        make.current_dir(root()).args(["--dry-run", "run"]).env_remove("CARGO_BUILD_TARGET_DIR");
        match target {
            Some(target) => make.env("CARGO_TARGET_DIR", target),
            None => make.env_remove("CARGO_TARGET_DIR"),
        };
        Some(run(&mut make)).filter(|ran| ran.code == 0).map(|ran| ran.stdout)
    };
    if std::process::Command::new("make").arg("--version").output().is_err() {
        return println!("skipped, no make here");
    }
    assert!(said(Some("/elsewhere")).unwrap().contains("one round  /elsewhere/release/metricsd -once"));
    assert!(said(None).unwrap().contains("one round  target/release/metricsd -once"));
}

/// What a unit says, without its comments.
fn settings_of(unit: &str) -> Vec<String> {
    let text = read(unit);
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_unit_of_further_instances_is_that_of_the_first_with_places_of_its_own() {
    let own = |line: &String| match line.as_str() {
        "Description=Host metrics agent" => "Description=Host metrics agent, instance %i".to_owned(),
        "ExecStart=/usr/bin/metricsd -config /etc/metricsd/config.json" => {
            "ExecStart=/usr/bin/metricsd -config /etc/metricsd/%i.json".to_owned()
        }
        "EnvironmentFile=-/etc/default/metricsd" => "EnvironmentFile=-/etc/default/metricsd-%i".to_owned(),
        "StateDirectory=metricsd" => "StateDirectory=metricsd/%i".to_owned(),
        line => line.to_owned(),
    };
    let first = settings_of("metricsd.service");
    let expected: Vec<String> = first.iter().map(own).collect();
    assert_eq!(settings_of("metricsd@.service"), expected);
    assert_eq!(first.iter().zip(&expected).filter(|(first, own)| first != own).count(), 4);
}

#[test]
fn make_install_makes_metricsd_a_command() {
    let mut make = std::process::Command::new("make");
    if make.arg("--version").output().is_err() {
        return println!("skipped, no make here");
    }
    let dir = TempDir::new();
    let install = |assignments: &[String]| {
        let mut make = std::process::Command::new("make");
        make.current_dir(root()).args(["--no-print-directory", "install"]).args(assignments);
        run(make.env_remove("PREFIX").env_remove("DESTDIR").env_remove("MAKEFLAGS"))
    };
    let assign = |name: &str, value: &str| format!("{name}={value}");
    let binary = assign("BINARY", env!("CARGO_BIN_EXE_metricsd"));
    let ran = install(&[binary.clone(), assign("DESTDIR", dir.path().to_str().unwrap()), assign("PREFIX", "/opt/m")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let to = dir.path().join("opt/m");
    let said = run(std::process::Command::new(to.join("bin/metricsd")).arg("-version")).stdout;
    assert!(said.starts_with(concat!("metricsd ", env!("CARGO_PKG_VERSION"))), "{said}");
    for file in [
        "share/man/man1/metricsd.1",
        "share/man/man5/metricsd.json.5",
        "share/bash-completion/completions/metricsd",
        "share/zsh/site-functions/_metricsd",
        "share/fish/vendor_completions.d/metricsd.fish",
    ] {
        assert!(to.join(file).is_file(), "{file} is not installed");
    }
    let ran = install(&[binary, assign("DESTDIR", dir.path().to_str().unwrap())]);
    assert!(ran.code == 0 && dir.path().join("usr/local/bin/metricsd").is_file(), "{}", ran.stderr);
    let ran = install(&[assign("BINARY", "/nonexistent"), assign("DESTDIR", dir.path().to_str().unwrap())]);
    assert!(ran.code != 0 && ran.stderr.contains("make build"), "{}", ran.stderr);
}

#[test]
fn the_changelog_knows_this_version() {
    let heading = format!("\n## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(read("CHANGELOG.md").contains(&heading), "CHANGELOG.md has no {}", heading.trim());
}
