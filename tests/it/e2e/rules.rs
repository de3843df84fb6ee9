//! promtool on the alert rules, their tests, and the dashboard's queries.

use std::path::Path;
use std::process::Command;

use crate::examples::dashboard_expressions;
use crate::support::program::{TempDir, run};

fn promtool(what: [&str; 2], file: &Path) {
    let ran = run(Command::new("promtool").args(what).arg(file));
    assert_eq!(ran.code, 0, "{what:?} {}:\n{}{}", file.display(), ran.stdout, ran.stderr);
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn the_alert_rules_are_good_and_do_what_their_tests_say() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
    promtool(["check", "rules"], &dir.join("alerts.yaml"));
    promtool(["test", "rules"], &dir.join("alerts_test.yaml"));
}

#[test]
#[ignore = "needs prometheus: make e2e"]
fn the_dashboards_queries_can_be_parsed() {
    let rules: Vec<serde_json::Value> = dashboard_expressions()
        .iter()
        .enumerate()
        .map(|(at, expr)| {
            // Grafana puts a duration here; the other variables stand in strings.
            let expr = expr.replace("$__rate_interval", "5m");
            serde_json::json!({"record": format!("dashboard:{at}"), "expr": expr})
        })
        .collect();
    // JSON is YAML.
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let dir = TempDir::new();
    promtool(["check", "rules"], &dir.write("rules.yaml", &file.to_string()));
}
