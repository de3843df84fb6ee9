//! The command line, exit codes, and the program's life from start to stop.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};

use nix::sys::signal::Signal;

use crate::support::peer::{Peer, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd, run};
use crate::support::{cannot_look, wait_for};

#[test]
fn help_and_version_print_and_exit_0() {
    for flag in ["-help", "--help", "-h"] {
        let ran = run(metricsd().arg(flag));
        assert_eq!(ran.code, 0);
        for named in ["-config", "-log-level", "-check", "-once", "-root", "-format", "-version"] {
            assert!(ran.stdout.contains(named), "{flag} does not name {named}");
        }
    }
    let ran = run(metricsd().arg("-version"));
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", ran.stdout);
}

#[test]
fn bad_use_exits_64_and_names_the_nearest_flag() {
    for args in [&["-confg", "x"][..], &["stray"], &["-config"], &["-log-level", "loud"], &["-once", "-format", "xml"]]
    {
        let ran = run(metricsd().args(args));
        assert_eq!(ran.code, 64, "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
    assert!(run(metricsd().args(["-confg", "x"])).stderr.contains("-config"));
}

#[test]
fn a_bad_configuration_exits_78_and_names_every_problem_with_its_place() {
    let dir = TempDir::new();
    let path = dir.write(
        "bad.json",
        "{\n  \"server\": {\"port\": 70000},\n  \"colector\": {},\n  \"collector\": {\"interval_seconds\": -1}\n}\n",
    );
    for check in [true, false] {
        let mut command = metricsd();
        command.arg("-config").arg(&path);
        if check {
            command.arg("-check");
        }
        let ran = run(&mut command);
        assert_eq!(ran.code, 78, "{}", ran.stderr);
        for expected in
            ["bad.json:2:", "server.port", "bad.json:3:", "colector", "collector", "bad.json:4:", "interval_seconds"]
        {
            assert!(ran.stderr.contains(expected), "{expected:?} is not in:\n{}", ran.stderr);
        }
    }
}

#[test]
fn bad_files_exit_78() {
    let dir = TempDir::new();
    let cases = [
        dir.write("empty.json", ""),
        dir.write("torn.json", "{\"server\": {\"po"),
        dir.write("types.json", "{\"server\": {\"port\": \"many\"}}"),
        dir.write("twice.json", "{\"server\": {}, \"server\": {}}"),
        dir.write("url.json", "{\"shipper\": {\"type\": \"http_json\", \"endpoint\": \"localhost:9090/x\"}}"),
        dir.path().join("missing.json"),
        dir.path().to_owned(),
    ];
    for path in cases {
        let ran = run(metricsd().arg("-check").arg("-config").arg(&path));
        assert_eq!(ran.code, 78, "{}: {}", path.display(), ran.stderr);
        assert!(ran.stderr.contains(path.file_name().unwrap().to_str().unwrap()), "{}", ran.stderr);
    }
}

#[test]
fn the_examples_are_good() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples = vec![root.join("config.example.json")];
    examples.extend(fs::read_dir(root.join("docs/examples")).unwrap().map(|entry| entry.unwrap().path()));
    for path in examples {
        let ran = run(metricsd().arg("-check").arg("-config").arg(&path));
        assert_eq!(ran.code, 0, "{}: {}", path.display(), ran.stderr);
    }
}

#[test]
fn a_port_that_is_taken_exits_69_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = run(metricsd().env("MC_SERVER_HOST", "127.0.0.1").env("MC_SERVER_PORT", port.to_string()));
    assert_eq!(ran.code, 69, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("127.0.0.1:{port}")), "{}", ran.stderr);
}

#[test]
fn health_asks_a_running_one_and_exits_by_its_answer() {
    let health = |url: String| run(metricsd().args(["-health", &url]));
    let dir = TempDir::new();
    let daemon = Daemon::start(dir.path(), r#"{"server": {"host": "127.0.0.1", "port": PORT}}"#);
    let url = format!("http://127.0.0.1:{}", daemon.port);
    let ran = health(format!("{url}/health"));
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""));
    let ran = health(format!("{url}/nothing"));
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.starts_with(&format!("metricsd: {url}/nothing answers 404: ")), "{}", ran.stderr);

    let sick = Peer::start(|_, _| Reply::status(503));
    let ran = health(sick.url("/health"));
    assert_eq!((ran.code, ran.stderr.lines().count()), (69, 1), "{}", ran.stderr);
    assert!(ran.stderr.contains(" answers 503"), "{}", ran.stderr);
    // A redirect is no good answer, and the password in a URL is for nobody's log.
    let moved = Peer::start(|_, _| Reply::status(302));
    let ran = health(moved.url("/health").replace("http://", "http://user:secret@"));
    assert!(ran.code == 69 && ran.stderr.contains("http://***@"), "{}", ran.stderr);

    let nobody = health(format!("http://127.0.0.1:{}/health", free_port()));
    assert_eq!(nobody.code, 69);
    assert!(nobody.stderr.contains("refused"), "{}", nobody.stderr);
    // Nobody speaks TLS there.
    assert_eq!(health(format!("https://127.0.0.1:{}/health", daemon.port)).code, 69);
    for bad in ["http://", "http://h h/"] {
        let ran = health(bad.to_owned());
        assert_eq!((ran.code, ran.stderr.lines().count()), (69, 1), "{bad}: {}", ran.stderr);
    }
}

#[test]
fn health_shows_the_user_and_password_of_its_url_to_the_server_alone() {
    let health = |url: String| run(metricsd().args(["-health", &url]));
    let dir = TempDir::new();
    // A space, an @ and a percent sign, which stand escaped in the URL.
    let auth = r#"{"username": "a user", "password": "s3cr3t@100%"}"#;
    let config = format!(r#"{{"server": {{"host": "127.0.0.1", "port": PORT, "basic_auth": {auth}}}}}"#);
    let daemon = Daemon::start(dir.path(), &config);
    for (user, code) in [("a%20user:s3cr3t%40100%25@", 0), ("a%20user:s3cr3t@", 69), ("", 69)] {
        let ran = health(format!("http://{user}127.0.0.1:{}/health", daemon.port));
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(code == 0 || ran.stderr.contains(" answers 401"), "{}", ran.stderr);
    }
    // Some servers quote what they were asked with. Base64 by hand: printf %s u:s3cr3t@100% | base64
    let nosy = Peer::start(|_, request| {
        assert_eq!(request.header("authorization"), Some("Basic dTpzM2NyM3RAMTAwJQ=="));
        Reply::Answer(403, Vec::new(), "Basic dTpzM2NyM3RAMTAwJQ== is not s3cr3t@100%")
    });
    let ran = health(nosy.url("/health").replace("http://", "http://u:s3cr3t%40100%25@"));
    let line = "/health answers 403 (its text is not shown: credentials went with the request)\n";
    assert!(ran.code == 69 && ran.stderr.ends_with(line), "{}", ran.stderr);
}

#[test]
fn an_address_that_is_not_there_exits_69_since_it_may_come() {
    // 192.0.2.0/24 is nobody's (RFC 5737), .invalid never resolves (RFC 6761).
    for host in ["192.0.2.1", "host.invalid"] {
        let ran = run(metricsd().env("MC_SERVER_HOST", host));
        assert_eq!(ran.code, 69, "{}", ran.stderr);
        assert!(ran.stderr.contains(host), "{}", ran.stderr);
    }
}

#[test]
fn health_does_not_wait_for_long() {
    let hung = Peer::start(|_, _| Reply::Hang);
    let begun = std::time::Instant::now();
    let ran = run(metricsd().args(["-health", &hung.url("/health")]));
    assert_eq!((ran.code, ran.stderr.lines().count()), (69, 1), "{}", ran.stderr);
    assert!(begun.elapsed().as_secs() < 15, "it took {:?}", begun.elapsed());
}

#[test]
fn without_a_file_it_serves_locally_with_defaults() {
    let dir = TempDir::new();
    let port = free_port();
    let mut command = metricsd();
    command.current_dir(dir.path()).env("MC_SERVER_PORT", port.to_string());
    let mut daemon = Daemon::spawn(&mut command, port);
    assert!(daemon.metric("system_cpu_count").unwrap() >= 1.0);
    let (status, health) = daemon.get("/health").unwrap();
    assert_eq!(status, 200);
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["collectors"]["memory"]["state"], "ok");
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn a_config_json_in_the_working_directory_is_read() {
    let dir = TempDir::new();
    dir.write("config.json", "{\"server\": 1}");
    let ran = run(metricsd().current_dir(dir.path()).arg("-check"));
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("config.json:1:"), "{}", ran.stderr);
}

#[test]
fn a_mistyped_variable_is_warned_of_at_the_start_and_by_check() {
    let dir = TempDir::new();
    let path = dir.write("config.json", r#"{"labels": {"zone": "${MC_ZONE}"}}"#);
    let with_variables = |command: &mut std::process::Command| {
        command.arg("-config").arg(&path).env("MC_ZONE", "z").env("MC_SHIPPER_ENDPOIN", "http://secret/");
    };
    let mut check = metricsd();
    with_variables(check.arg("-check"));
    let ran = run(&mut check);
    let said =
        "MC_SHIPPER_ENDPOIN: no variable of metricsd's, and without effect; did you mean \"MC_SHIPPER_ENDPOINT\"?";
    assert_eq!((ran.code, ran.stderr), (0, format!("metricsd: warning: {said}\n")));
    let port = free_port();
    let mut command = metricsd();
    with_variables(command.env("MC_SERVER_HOST", "127.0.0.1").env("MC_SERVER_PORT", port.to_string()));
    let daemon = Daemon::spawn(&mut command, port);
    assert!(daemon.log().contains(&format!("warn  {said}\n")), "{}", daemon.log());
}

#[test]
fn a_cap_on_series_that_is_reached_is_said_once() {
    let dir = TempDir::new();
    let capped = r#""collector": {"interval_seconds": 0.05, "max_series": 4}"#;
    // The averages fit; what memory gives is one item, which is taken whole or not at all.
    let times_said = |log: &str| {
        let is_it = |line: &&str| {
            let said = " series are left out: it gives more than collector.max_series (4); raise that";
            line.starts_with("warn  collector memory: ") && line.contains(said)
        };
        log.lines().filter(is_it).count()
    };
    let path = dir.write("once.json", &format!("{{{capped}}}"));
    let ran = run(metricsd().arg("-once").arg("-config").arg(path));
    assert_eq!((ran.code, times_said(&ran.stderr)), (0, 1), "{}", ran.stderr);
    assert!(ran.stdout.contains("\nsystem_load_1m ") && !ran.stdout.contains("system_memory_"), "{}", ran.stdout);
    let daemon =
        Daemon::start(dir.path(), &format!(r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, {capped}}}"#));
    wait_for("some ticks", || daemon.metric("metricsd_collections_total").filter(|count| *count > 5.0));
    assert_eq!(times_said(&daemon.log()), 1, "{}", daemon.log());
}

#[test]
fn a_device_that_comes_twice_is_said_once() {
    let dir = TempDir::new();
    let net = dir.path().join("proc/1/net");
    fs::create_dir_all(&net).unwrap();
    let line = "  eth0: 9 8 0 0 0 0 0 0 7 6 0 0 0 0 0 0\n";
    fs::write(net.join("dev"), format!("Inter-| Receive | Transmit\n face |bytes|bytes\n{line}{line}")).unwrap();
    let port = free_port();
    let text = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}},
            "collector": {{"interval_seconds": 0.05, "preset": "none", "enable_network": true}}}}"#
    );
    let path = dir.write("config.json", &text);
    let daemon = Daemon::spawn(metricsd().arg("-config").arg(path).arg("-root").arg(dir.path()), port);
    wait_for("some ticks", || daemon.metric("metricsd_collections_total").filter(|count| *count > 5.0));
    let log = daemon.log();
    let said: Vec<&str> = log.lines().filter(|line| line.contains("twice")).collect();
    assert!(said.len() == 1 && said[0].starts_with("warn  collector network: "), "{log}");
    assert_eq!(daemon.metric(r#"system_network_bytes_recv_total{interface="eth0"}"#), Some(9.0));
}

#[test]
fn check_warns_of_a_root_that_is_no_hosts_and_binds_no_port() {
    let dir = TempDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut check = metricsd();
    check.current_dir(dir.path()).arg("-check").env("MC_SERVER_HOST", "127.0.0.1");
    check.env("MC_SERVER_PORT", taken.local_addr().unwrap().port().to_string());
    let ran = run(&mut check);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let said =
        |proc: String| format!("metricsd: warning: {proc}: has no stat and no meminfo, so it is no host's /proc;");
    let root = dir.path().display().to_string();
    let ran = run(check.arg("-root").arg(dir.path()));
    assert!(ran.code == 0 && ran.stderr.starts_with(&said(format!("{root}/proc"))), "{}", ran.stderr);
    let ran = run(metricsd().current_dir(dir.path()).arg("-check").env("HOST_PROC", dir.path()));
    assert!(ran.code == 0 && ran.stderr.starts_with(&said(root)), "{}", ran.stderr);
}

#[test]
fn check_warns_of_a_spool_that_this_user_may_not_write_to() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let dir = TempDir::new();
    let check = |spool: &std::path::Path, mode: &str| {
        let text = format!(
            r#"{{"spool": {{"dir": "{}", "mode": "{mode}"}},
                "shipper": {{"type": "http_json", "endpoint": "http://127.0.0.1:9/"}}}}"#,
            spool.display()
        );
        let mut command = metricsd();
        command.arg("-check").arg("-config").arg(dir.write("config.json", &text));
        command
    };
    let file = dir.write("file", "");
    let ran = run(&mut check(&file.join("spool"), "behind"));
    let said = "cannot be written to: ";
    assert!(ran.code == 0 && ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(run(&mut check(&file.join("spool"), "memory")).stderr, "");
    let spool = dir.path().join("not/yet/there");
    assert_eq!(run(&mut check(&spool, "behind")).stderr, "");
    assert!(!dir.path().join("not").exists(), "looked at, and not made");

    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = check(&closed.join("spool"), "behind");
    if nix::unistd::geteuid().is_root() {
        // Root may write everywhere; nobody may, if it can run the program at all where this checkout lies.
        command.uid(65534).gid(65534);
    }
    match command.output() {
        Ok(output) => {
            let ran = crate::support::program::Ran::from(output);
            let said = format!("spool.dir: {}/spool {said}{}: Permission denied", closed.display(), closed.display());
            assert!(ran.code == 0 && ran.stderr.contains(&said), "{}", ran.stderr);
        }
        Err(error) => println!("skipped, the program does not run as nobody: {error}"),
    }
}

#[test]
fn what_is_collected_before_the_end_is_delivered() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "shippers": [{{"type": "http_json", "endpoint": "{}"}},
                         {{"type": "file", "endpoint": "{}/out.jsonl"}}]}}"#,
        peer.url("/in"),
        dir.path().display()
    );
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("ten requests", || (peer.received().len() >= 10).then_some(()));
    daemon.signal(Signal::SIGINT);
    assert_eq!(daemon.wait(), 0, "{}", daemon.log());
    let file = fs::read_to_string(dir.path().join("out.jsonl")).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    let received = peer.received();
    assert_eq!(lines.len(), received.len(), "both destinations were given every tick");
    let mut last = 0;
    for (line, request) in lines.iter().zip(&received) {
        assert_eq!(line.as_bytes(), request.body);
        let payload: serde_json::Value = serde_json::from_str(line).unwrap();
        let time = payload["timestamp_ms"].as_i64().unwrap();
        assert!(time > last, "ticks in order");
        last = time;
    }
}

#[test]
fn a_destination_that_hangs_delays_neither_the_beat_nor_the_others() {
    let dir = TempDir::new();
    let (hung, well) = (Peer::start(|_, _| Reply::Hang), Peer::start(|_, _| Reply::status(200)));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "shippers": [{{"name": "hung", "type": "http_json", "endpoint": "{}"}},
                         {{"name": "well", "type": "prometheus_remote_write", "endpoint": "{}"}}]}}"#,
        hung.url("/in"),
        well.url("/in"),
    );
    let daemon = Daemon::start(dir.path(), &config);
    wait_for("forty requests", || (well.received().len() >= 40).then_some(()));
    assert_eq!(hung.received().len(), 1);
    let waiting = daemon.metric("metricsd_destination_queue_frames{destination=\"hung\"}").unwrap();
    assert!(waiting >= 30.0, "{waiting} bodies wait for the destination that hangs");
    assert_eq!(daemon.metric("metricsd_destination_queue_frames{destination=\"well\"}").map(|n| n <= 2.0), Some(true));
}

#[test]
fn ending_does_not_wait_for_a_destination_that_hangs() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::Hang);
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "shipper": {{"type": "http_json", "endpoint": "{}", "timeout": "1h"}}}}"#,
        peer.url("/in")
    );
    let mut daemon = Daemon::start(dir.path(), &config);
    wait_for("a request", || (!peer.received().is_empty()).then_some(()));
    let begun = std::time::Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.wait(), 0);
    assert!(begun.elapsed().as_secs() < 30, "it took {:?}", begun.elapsed());
}

#[test]
fn a_thousand_ticks_gain_no_file_descriptor_and_no_thread() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": PORT}}, "collector": {{"interval_seconds": 0.05}},
            "shipper": {{"type": "prometheus_remote_write", "endpoint": "{}"}}}}"#,
        peer.url("/in")
    );
    let daemon = Daemon::start(dir.path(), &config);
    let counts = || {
        let entries = |dir: &str| fs::read_dir(daemon.proc(dir)).unwrap().count();
        (entries("fd"), entries("task"))
    };
    wait_for("ten ticks", || (peer.received().len() >= 10).then_some(()));
    let before = counts();
    crate::support::wait_long_for("a thousand ticks", || (peer.received().len() >= 1000).then_some(()));
    // A page being served at this moment holds a descriptor for a moment.
    wait_for("the same descriptors and threads as before", || (counts() == before).then_some(()));
    assert_eq!(peer.connections(), 1);
}

#[test]
fn fixture_processes_of_a_container_come_from_the_hosts_init() {
    // HOST_PROC as in a container: the host's /proc at another place.
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/container-v1");
    let dir = TempDir::new();
    symlink(fixture.join("proc"), dir.path().join("proc")).unwrap();
    let mut command = metricsd();
    command.arg("-once").env("HOST_PROC", dir.path().join("proc")).env("HOST_SYS", fixture.join("sys"));
    let ran = run(command.env("HOST_ROOT", &fixture));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // proc/1/net/dev's figure, not proc/self's or proc/net's.
    assert!(ran.stdout.contains("system_network_bytes_recv_total{interface=\"eth0\"} 77777777777\n"), "{}", ran.stdout);
}

#[test]
fn a_log_that_nobody_reads_stops_neither_the_beat_nor_the_end() {
    let dir = TempDir::new();
    let port = free_port();
    // Each debug line counts: a destination that fails at every tick fills a pipe in a moment.
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.05}},
            "shippers": [{}]}}"#,
        (0..40)
            .map(|n| format!(r#"{{"name": "{}{n}", "type": "file", "endpoint": "/proc/none/{n}"}}"#, "x".repeat(60)))
            .collect::<Vec<_>>()
            .join(",")
    );
    let path = dir.write("config.json", &config);
    let mut child = metricsd()
        .args(["-log-level", "debug", "-config"])
        .arg(&path)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A page of a pipe: full after some tens of lines.
    let pipe = child.stderr.take().unwrap();
    nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let collections = || {
        let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
        let mut page = agent.get(format!("http://127.0.0.1:{port}/metrics")).call().ok()?;
        let page = page.body_mut().read_to_string().ok()?;
        page.lines().find_map(|line| line.strip_prefix("metricsd_collections_total ")?.parse::<f64>().ok())
    };
    let first = wait_for("a collection", collections);
    wait_for("the beat to go on", || collections().filter(|count| *count > first + 40.0));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let status = wait_for("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    drop(pipe);
}

#[test]
fn the_journal_is_told_the_priority_of_each_line_and_nobody_else_is() {
    let dir = TempDir::new();
    let config = dir.write("config.json", r#"{"server": {"prot": 1, "hots": 2}}"#);
    let said = |journal: bool| {
        let stderr = File::create(dir.path().join("stderr")).unwrap();
        let file = stderr.metadata().unwrap();
        let inode = if journal { file.ino() } else { file.ino() + 1 };
        let mut command = metricsd();
        command.arg("-config").arg(&config).env("JOURNAL_STREAM", format!("{}:{inode}", file.dev())).stderr(stderr);
        assert_eq!(command.status().unwrap().code(), Some(78));
        fs::read_to_string(dir.path().join("stderr")).unwrap()
    };
    let plain = said(false);
    assert!(plain.lines().count() > 1, "{plain}");
    let marked: String = plain.lines().map(|line| format!("<3>{line}\n")).collect();
    assert_eq!(said(true), marked);
}

/// `-check` of `text`, with what it says on standard error.
fn check(dir: &TempDir, text: &str) -> (i32, String) {
    let ran = run(metricsd().arg("-check").arg("-config").arg(dir.write("checked.json", text)));
    (ran.code, ran.stderr)
}

#[test]
fn what_cannot_be_written_to_is_told_by_check() {
    let dir = TempDir::new();
    let here = dir.path().display();
    dir.write("file", "");
    let file =
        |endpoint: &str| format!(r#"{{"shipper": {{"name": "out", "type": "file", "endpoint": "{endpoint}"}}}}"#);
    for good in [format!("{here}/new/deep/lines"), format!("{here}/file"), "/dev/stderr".to_owned()] {
        let (code, said) = check(&dir, &file(&good));
        assert_eq!((code, said.contains("cannot be written to")), (0, false), "{good}: {said}");
    }
    for (bad, why) in [
        (format!("{here}/file/lines"), "Not a directory"),
        ("/proc/metricsd/lines".to_owned(), "/proc: only the kernel makes files there"),
    ] {
        let (code, said) = check(&dir, &file(&bad));
        let warning = format!("metricsd: warning: destination out: {bad} cannot be written to: ");
        assert!(code == 0 && said.contains(&warning) && said.contains(why), "{bad}: {said}");
    }
    let spool = r#"{"spool": {"dir": "/proc/x"}, "shipper": {"type": "http_json", "endpoint": "http://127.0.0.1/"}}"#;
    let (code, said) = check(&dir, spool);
    // To others than root the kernel says so itself.
    let told = "warning: spool.dir: /proc/x cannot be written to: /proc: ";
    assert!(code == 0 && said.contains(told), "{said}");
}

#[test]
fn an_address_that_cannot_be_listened_on_is_refused_with_what_it_lacks() {
    let dir = TempDir::new();
    let host = |host: &str| check(&dir, &format!(r#"{{"server": {{"host": "{host}"}}}}"#));
    for bare in ["fe80::1", "[fe80::1]", "fe80::1%"] {
        let (code, said) = host(bare);
        let told = format!("server.host: \"{bare}\" is of one interface alone, which has to be named: fe80::1%eth0");
        assert!(code == 78 && said.contains(&told), "{bare}: {said}");
    }
    for good in ["fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%25eth0]", "::1"] {
        assert_eq!(host(good).0, 0, "{good}");
    }
    // The interface by its number, as in a URL and as people write it.
    let Some(index) = fs::read_to_string("/sys/class/net/lo/ifindex").ok() else {
        return cannot_look("there is no interface lo");
    };
    for zone in [format!("%25{}", index.trim()), format!("%{}", index.trim())] {
        let ran = run(metricsd().env("MC_SERVER_HOST", format!("fe80::1{zone}")).env("MC_SERVER_PORT", "1"));
        let told = format!("cannot listen on [fe80::1%{}]:1: server.host is not an address of this host", index.trim());
        assert!(ran.code == 69 && ran.stderr.contains(&told), "{} {}", ran.code, ran.stderr);
    }
}

#[test]
fn errors_of_the_start_are_objects_where_log_lines_are() {
    let dir = TempDir::new();
    let path = dir.write("config.json", r#"{"log_format": "json", "server": {"prot": 1, "hots": 2}}"#);
    let ran = run(metricsd().arg("-config").arg(&path));
    assert_eq!(ran.code, 78);
    let lines: Vec<serde_json::Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> =
        lines.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
    let at = path.display();
    assert_eq!(
        seen,
        [
            ("error", &*format!("{at}:1:35: server.prot: unknown field; did you mean \"port\"?")),
            ("error", &*format!("{at}:1:46: server.hots: unknown field; did you mean \"host\"?")),
        ]
    );
    // A person reads what -check says.
    assert!(run(metricsd().arg("-check").arg("-config").arg(&path)).stderr.starts_with("metricsd: "));
}

#[test]
fn once_says_that_no_collector_is_on() {
    let dir = TempDir::new();
    let path = dir.write("config.json", r#"{"collector": {"preset": "none"}}"#);
    let ran = run(metricsd().arg("-once").arg("-config").arg(&path));
    assert!(ran.code == 70 && ran.stderr.starts_with("metricsd: no collector is on, "), "{} {}", ran.code, ran.stderr);
}

#[test]
fn the_script_that_installs_says_how_it_is_used() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/install");
    for arguments in [&[][..], &["a", "b"]] {
        let ran = std::process::Command::new(script).args(arguments).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.code() == Some(64) && said.starts_with("usage: ") && said.ends_with(" BINARY\n"), "{said}");
    }
}
