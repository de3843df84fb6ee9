//! Secrets through whatever may go wrong: none is ever printed or served.
//!
//! Every secret of these tests holds the same word, and `support::program` looks for it, also
//! in base64, in all that any test's program prints, logs or serves.

use std::os::unix::fs::PermissionsExt;

use metricsd::config::{self, Source};
use nix::sys::signal::Signal;

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, assert_no_secret, free_port, metricsd, run};
use crate::support::proxy::{Conduct, Proxy};
use crate::support::wait_for;

/// Awkward in a URL, in JSON and in HTML.
const PASSWORD: &str = r#"s3cr3t \"&<pä/ss%word"#;

/// Each way to be let in; all hold the word.
fn credentials(tokens: &Peer, dir: &TempDir) -> Vec<String> {
    let file = dir.write("secret", "s3cr3t-in-a-file\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    vec![
        format!(r#""basic_auth": {{"username": "user", "password": "{PASSWORD}"}}"#),
        format!(r#""basic_auth": {{"username": "user", "password_file": {file:?}}}"#),
        r#""bearer_token": "s3cr3t-token""#.to_owned(),
        r#""bearer_token": "${TOKEN}""#.to_owned(),
        r#""headers": {"X-Key": "s3cr3t-key", "Authorization": "Custom s3cr3t-custom"}"#.to_owned(),
        format!(r#""headers": {{"X-Key": {{"file": {file:?}}}}}"#),
        format!(
            r#""oauth2": {{"token_url": "{}", "client_id": "id", "client_secret": "{PASSWORD}",
                "endpoint_params": {{"key": "s3cr3t-param"}}}}"#,
            tokens.url("/token?key=s3cr3t-query")
        ),
        r#""sigv4": {"region": "r", "access_key_id": "A", "secret_access_key": "s3cr3t-aws", "session_token": "s3cr3t-s"}"#
            .to_owned(),
    ]
}

/// All that came in, quoted back: once as it is, once as JSON, and once in a form that nobody
/// has thought of.
fn quoting(status: u16, request: &Received) -> Reply {
    let mut said: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}; ")).collect();
    said.push_str(&request.line);
    // The bodies of those who ask for tokens hold secrets; collected data does not.
    if request.body.len() < 400 {
        said.push_str(&String::from_utf8_lossy(&request.body));
    }
    let backwards: String = said.chars().rev().collect();
    let said = format!("{said} {} {backwards}", serde_json::Value::from(said.as_str()));
    Reply::Answer(status, vec![("Location", "http://u:s3cr3t@elsewhere/?s3cr3t".to_owned())], said.leak())
}

/// A program, chatty, with one destination.
fn start(dir: &TempDir, shipper: &str) -> Daemon {
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.05}},
            "shipper": {{"name": "remote", "timeout": "2s", {shipper}}}}}"#
    );
    let path = dir.write("config.json", &config);
    let mut command = metricsd();
    command.env("TOKEN", "s3cr3t-token").args(["-log-level", "debug", "-config"]).arg(path);
    Daemon::spawn(&mut command, port)
}

/// Looks at every page, and at the log, when something has gone wrong.
fn look(daemon: &Daemon) {
    wait_for("a failure to be told of", || daemon.log().contains("destination remote: ").then_some(()));
    wait_for("an error in /health", || {
        let (_, page) = daemon.get("/health")?;
        let health: serde_json::Value = serde_json::from_str(&page).ok()?;
        health["destinations"]["remote"]["last_error"].as_str().map(drop)
    });
    for page in ["/", "/health", "/metrics", "/ready", "/live", "/nothing"] {
        daemon.get(page).unwrap();
    }
    assert_no_secret(&daemon.log());
}

#[test]
fn destinations_that_quote_what_they_were_told_give_nothing_away() {
    std::thread::scope(|scope| {
        for status in [301, 400, 401, 403, 500] {
            scope.spawn(move || {
                let dir = TempDir::new();
                let tokens = Peer::start(|number, _| {
                    let token = format!(r#"{{"access_token": "s3cr3t-token-{number}", "expires_in": 60}}"#);
                    Reply::Answer(200, Vec::new(), token.leak())
                });
                let peer = Peer::start(move |_, request| quoting(status, request));
                let endpoint = peer.url("/in?key=s3cr3t%2Fquery");
                for credentials in credentials(&tokens, &dir) {
                    let shipper =
                        format!(r#""type": "prometheus_remote_write", "endpoint": "{endpoint}", {credentials}"#);
                    let daemon = start(&dir, &shipper);
                    look(&daemon);
                    let why = "(its text is not shown: credentials went with the request)";
                    let log = wait_for("the refusal's line", || Some(daemon.log()).filter(|log| log.contains(why)));
                    assert!(!log.contains("elsewhere") && !log.contains("content-type"), "{credentials}: {log}");
                }
                // Those that a format has of its own; the query has none that an operator wrote.
                let file = dir.path().join("secret");
                for own in [
                    r#""type": "influxdb", "influxdb": {"org": "o", "bucket": "b", "token": "s3cr3t-token"}"#
                        .to_owned(),
                    format!(
                        r#""type": "influxdb", "influxdb": {{"version": 3, "database": "d", "token_file": {file:?}}}"#
                    ),
                    r#""type": "datadog", "datadog": {"api_key": "s3cr3t-key"}"#.to_owned(),
                    format!(r#""type": "datadog", "datadog": {{"api_key_file": {file:?}}}"#),
                ] {
                    let daemon = start(&dir, &format!(r#""endpoint": "{}", {own}"#, peer.url("")));
                    look(&daemon);
                    let why = "(its text is not shown: credentials went with the request)";
                    let log = wait_for("the refusal's line", || Some(daemon.log()).filter(|log| log.contains(why)));
                    assert!(!log.contains("elsewhere") && !log.contains("content-type"), "{own}: {log}");
                }
                for user_info in ["user:s3cr3t%20word", "s3cr3t-token"] {
                    let endpoint = format!("http://{user_info}@{}/in", peer.address);
                    look(&start(&dir, &format!(r#""type": "http_json", "endpoint": "{endpoint}""#)));
                }
            });
        }
    });
}

#[test]
fn token_servers_and_proxies_that_fail_give_nothing_away() {
    let dir = TempDir::new();
    let oauth = |tokens: &Peer| credentials(tokens, &dir).into_iter().find(|c| c.contains("oauth2")).unwrap();
    for conduct in [
        |request: &Received| quoting(400, request),
        |request: &Received| quoting(200, request),
        |request: &Received| {
            let said = String::from_utf8_lossy(&request.body).into_owned() + request.header("authorization").unwrap();
            let error = serde_json::json!({"error": format!("e {said}"), "error_description": said});
            Reply::Answer(401, Vec::new(), error.to_string().leak())
        },
        |_: &Received| Reply::Reset,
    ] {
        let tokens = Peer::start(move |_, request| conduct(request));
        let daemon =
            start(&dir, &format!(r#""type": "http_json", "endpoint": "http://127.0.0.1:1/", {}"#, oauth(&tokens)));
        look(&daemon);
    }
    for (scheme, conduct) in [
        ("https", Conduct::Say("HTTP/1.1 407 s3cr3t\r\nX: u:s3cr3t\r\n\r\n")),
        ("https", Conduct::Say("dTpzM2NyM3Q= u:s3cr3t\r\n\r\n")),
        ("https", Conduct::Flood(1 << 20)),
        ("http", Conduct::Say("HTTP/1.1 407 s3cr3t\r\nX: u:s3cr3t\r\n\r\n")),
        ("http", Conduct::Say("HTTP/1.1 502 s3cr3t\r\nX: u:s3cr3t\r\n\r\nu:s3cr3t dTpzM2NyM3Q=")),
        ("http", Conduct::Say("dTpzM2NyM3Q= u:s3cr3t\r\n\r\n")),
    ] {
        let proxy = Proxy::start(conduct);
        let way = format!(
            r#""endpoint": "{scheme}://nobody.invalid/?s3cr3t", "proxy_url": "http://u:s3cr3t@{}""#,
            proxy.address
        );
        look(&start(&dir, &format!(r#""type": "http_json", {way}"#)));
    }
    // Nobody there at all, and a name that nobody has.
    for endpoint in ["http://u:s3cr3t@127.0.0.1:1/in?t=s3cr3t", "https://u:s3cr3t@nobody.invalid/in?t=s3cr3t"] {
        look(&start(&dir, &format!(r#""type": "http_json", "endpoint": "{endpoint}""#)));
    }
}

/// Configurations that are wrong in a way that tempts to quote a secret.
fn wrong() -> Vec<String> {
    let shipper = |more: &str| format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "http://h/", {more}}}}}"#);
    let mut wrong: Vec<String> = [
        r#""basic_auth": "u:s3cr3t""#,
        r#""basic_auth": ["s3cr3t"]"#,
        r#""basic_auth": {"password": "s3cr3t"}"#,
        r#""basic_auth": {"username": "u", "pasword": "s3cr3t"}"#,
        r#""basic_auth": {"username": "u", "password": {"s3": "s3cr3t"}, "password_file": "/nothing"}"#,
        r#""basic_auth": {"username": "u", "password": "s3cr3t\n"}"#,
        r#""bearer_token": "s3cr3t\r\nX: y""#,
        r#""bearer_token": "Bearer s3cr3t""#,
        r#""bearer_token": "s3cr3t-ä""#,
        r#""bearer_token": "s3cr3t", "basic_auth": {"username": "u", "password": "s3cr3t"}"#,
        r#""bearer_token": "s3cr3t${NOT_SET}""#,
        r#""bearer_token": "${TOKEN}\n""#,
        r#""headers": "s3cr3t""#,
        r#""headers": {"X": "s3cr3t\n", "Host": "s3cr3t", "a b": "s3cr3t", "Y": {"fiel": "s3cr3t"}}"#,
        r#""headers": {"X": "s3cr3t", "X": "s3cr3t"}"#,
        r#""oauth2": "s3cr3t""#,
        r#""oauth2": {"client_secret": "s3cr3t"}"#,
        r#""oauth2": {"token_url": "https://u:s3cr3t@h/?s3cr3t", "client_id": "c", "client_secret": "s3cr3t"}"#,
        r#""oauth2": {"token_url": "u:s3cr3t@h", "client_id": "c", "endpoint_params": {"scope": "s3cr3t", "b": ["s3cr3t"]}}"#,
        r#""sigv4": {"secret_access_key": "s3cr3t", "session_token": 1}"#,
        r#""proxy_url": "u:s3cr3t@p:1""#,
        r#""proxy_url": "socks5://u:s3cr3t@p:1""#,
        r#""proxy_url": "http://u:s3cr3t@p:1/path?s3cr3t""#,
        r#""timeout": "http://u:s3cr3t@h/""#,
        r#""bearer_token": "s3cr3t"#,
        r#""bearer_token": "s3cr3t" "x""#,
        r#""bearer_token": "s3cr3t\q""#,
    ]
    .map(shipper)
    .into();
    for endpoint in [
        "ftp://u:s3cr3t@h/",
        "http://u:s3cr3t@h:0/",
        "http://u:s3cr3t@/",
        "http://u:s3cr3t%@h/",
        "http://u:s3%63r3t:s3cr3t@h/#",
        "u:s3cr3t@h",
        "http://h:0/?token=s3cr3t",
        "http://u:s3cr3t@[::1/",
    ] {
        wrong.push(format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "{endpoint}"}}}}"#));
    }
    wrong
}

#[test]
fn wrong_configurations_are_refused_without_quoting_secrets() {
    let dir = TempDir::new();
    let multiline = dir.write("lines", "s3cr3t\ns3cr3t\n");
    let mut wrong = wrong();
    wrong.push(format!(
        r#"{{"shipper": {{"type": "http_json", "endpoint": "http://h/", "bearer_token_file": {multiline:?}}}}}"#
    ));
    for text in &wrong {
        let path = dir.write("config.json", text);
        // `run` looks for secrets.
        for verb in [&["-check"][..], &["-once"], &[]] {
            let ran =
                run(metricsd().env("TOKEN", "s3cr3t").args(verb).args(["-log-level", "debug", "-config"]).arg(&path));
            assert_eq!(ran.code, 78, "{text}\n{}", ran.stderr);
        }
    }
    let path = dir.write("config.json", r#"{"shipper": {"type": "http_json", "endpoint": "http://h/"}}"#);
    for (name, value) in [("MC_SHIPPER_ENDPOINT", "htp://u:s3cr3t@h"), ("http_proxy", "socks5://u:s3cr3t@h")] {
        let ran = run(metricsd().env(name, value).arg("-check").arg("-config").arg(&path));
        assert_eq!(ran.code, 78, "{name}: {}", ran.stderr);
    }
}

#[test]
fn a_reload_that_is_refused_quotes_no_secret() {
    let dir = TempDir::new();
    let daemon = start(&dir, r#""type": "http_json", "endpoint": "http://127.0.0.1:1/", "bearer_token": "s3cr3t-one""#);
    for text in wrong() {
        let before = daemon.log().len();
        dir.write("config.json", &text);
        daemon.signal(Signal::SIGHUP);
        wait_for("a refusal", || daemon.log()[before..].contains("nothing was changed").then_some(()));
    }
    look(&daemon);
}

#[test]
fn a_crash_message_that_shows_the_configuration_shows_no_secret() {
    let dir = TempDir::new();
    let tokens = Peer::start(|_, _| Reply::Hang);
    for credentials in credentials(&tokens, &dir) {
        let text = format!(
            r#"{{"shipper": {{"type": "http_json", "endpoint": "https://h/?key=s3cr3t", {credentials},
                "proxy_url": "http://u:s3cr3t@p:1"}}}}"#
        );
        let env = |name: &str| (name == "TOKEN").then(|| "s3cr3t".to_owned());
        let text = text
            .replace("https://h", if credentials.contains("X-Key\": {") { "https://s3cr3t@h" } else { "https://h" });
        let config = config::load(Source::Text("c.json".into(), text.into_bytes()), &env, "host").unwrap();
        // What `unwrap` and `expect` would print.
        assert_no_secret(&format!("{config:?}\n{config:#?}"));
        assert_no_secret(&config.lanes[0].kind.to_string());
    }
}
