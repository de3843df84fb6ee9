//! What lies below `packaging/` for others to copy: configurations, dashboard, alert rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metricsd::collectors::{self, Preset};
use metricsd::model::Scheme;

use crate::support::pki::Authority;
use crate::support::program::{TempDir, metricsd, run};
use crate::support::series::native;

/// Where the examples have their files: a test puts such files into a directory of its own.
const FILES: [&str; 3] = ["/etc/metricsd/tls/", "/run/secrets/metricsd/", "/etc/metricsd/"];

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

fn read(file: impl AsRef<Path>) -> String {
    let path = packaging().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The configurations, by their paths below `packaging/`.
fn configurations() -> Vec<String> {
    let mut found = Vec::new();
    for dir in ["examples", "kubernetes/base", "kubernetes/overlays"] {
        let mut rest = vec![packaging().join(dir)];
        while let Some(path) = rest.pop() {
            if path.is_dir() {
                rest.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|e| e == "json") {
                found.push(path.strip_prefix(packaging()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The files that examples name, written into `dir`.
pub fn write_files(dir: &TempDir) {
    let authority = Authority::new("examples");
    for name in ["ca.crt", "ca.pem"] {
        dir.write(name, &authority.pem);
    }
    for name in ["client", "tls", "agent"] {
        authority.issue(&["example"]).write(dir.path(), name);
    }
    for name in ["grafana-cloud.token", "token", "password"] {
        let file = dir.write(name, "secret\n");
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
}

/// An example whose files are in `dir`.
pub fn with_files_in(dir: &TempDir, example: &str) -> String {
    let here = format!("{}/", dir.path().display());
    FILES.iter().fold(example.to_owned(), |text, place| text.replace(place, &here))
}

#[test]
fn every_example_passes_the_check() {
    let dir = TempDir::new();
    write_files(&dir);
    let names = configurations();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let path = dir.write("config.json", &with_files_in(&dir, &read(&name)));
        let mut command = metricsd();
        command.arg("-check").arg("-config").arg(path);
        for variable in ["NODE_NAME", "CLUSTER", "HOST_NAME", "RACK"] {
            command.env(variable, "x");
        }
        let ran = run(&mut command);
        assert_eq!((ran.code, &*ran.stderr), (0, ""), "{name}");
    }
}

#[test]
fn every_example_is_described() {
    let readme = read("examples/README.md");
    for name in configurations().iter().filter_map(|path| path.strip_prefix("examples/")) {
        assert!(readme.contains(&format!("| [`{name}`]({name}) |")), "{name} has no row in examples/README.md");
    }
}

#[test]
fn the_manifests_name_this_versions_image() {
    let tag = format!("newTag: {}\n", env!("CARGO_PKG_VERSION"));
    assert!(read("kubernetes/base/kustomization.yaml").contains(&tag), "no {tag}");
}

/// Every name of ours in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| ["system_", "metricsd_", "process_"].iter().any(|prefix| word.starts_with(prefix)))
}

/// Every name that there is: those of the collectors, and of `metricsd`'s own table in the documentation,
/// which another test keeps in step.
fn known() -> BTreeSet<String> {
    let page = fs::read_to_string(packaging().join("../docs/metrics.md")).unwrap();
    let own = page.split("<!-- generated: own metrics -->").nth(1).unwrap().split("<!-- /generated -->").next();
    let own = own.unwrap().lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    native().map(|metric| metric.name.to_string()).chain(own.map(str::to_owned)).collect()
}

/// Every `expr` of the dashboard, and the queries of its variables.
pub fn dashboard_expressions() -> Vec<String> {
    fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "expr" => found.push(text.to_owned()),
                        _ => walk(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_str(&read("grafana/metricsd.json")).unwrap(), &mut found);
    found
}

#[test]
fn dashboard_and_alerts_name_only_what_there_is() {
    let known = known();
    let dashboard = dashboard_expressions();
    assert!(dashboard.len() > 30, "{} expressions", dashboard.len());
    let alerts = read("prometheus/alerts.yaml");
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(alerts.len() > 10, "{} alerts", alerts.len());
    for expression in dashboard.iter().map(String::as_str).chain(alerts) {
        assert!(names(expression).next().is_some(), "{expression} names nothing of ours");
        for name in names(expression) {
            assert!(known.contains(name), "there is no {name}: {expression}");
        }
    }
}

#[test]
fn the_dashboard_shows_every_family_of_the_basic_preset_or_its_percentage() {
    let all = dashboard_expressions().join("\n");
    // Said by others that are there: percentages, sums, and the time of the start.
    let left_out = [
        "system_memory_total_bytes",
        "system_swap_usage_percent",
        "system_boot_time_seconds",
        "system_disk_total_bytes",
        "system_disk_used_bytes",
        // For alerts and for other dashboards.
        "system_context_switches_total",
        "system_interrupts_total",
        "system_processes_created_total",
        "system_processes_running",
        "system_processes_blocked",
        "system_disk_inodes",
        "system_disk_inodes_free",
        "system_disk_read_only",
    ];
    let shown: BTreeSet<&str> = names(&all).collect();
    for metric in collectors::families_of(Scheme::Native, Preset::Basic) {
        let name: &str = metric.0.name;
        assert!(shown.contains(name) != left_out.contains(&name), "{name}");
    }
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("grafana/metricsd.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        for x in place[0]..place[0] + place[2] {
            assert!(x < 24, "{} is too wide", panel["title"]);
            assert!((place[1]..place[1] + place[3]).all(|y| cells.insert((x, y))), "{} overlaps", panel["title"]);
        }
    }
}
