//! What the program does where it may not do everything.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::program::{Daemon, TempDir, free_port, metricsd, run};
use crate::support::{cannot_look, wait_for};

/// `nobody`, on every distribution that matters.
const NOBODY: u32 = 65534;

/// The program as a user without any privilege. Where the tests themselves run as one, that
/// one will do.
fn unprivileged(dir: &TempDir) -> Command {
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    // Where it was built, others may not even look.
    let program = dir.path().join("metricsd");
    let built = env!("CARGO_BIN_EXE_metricsd");
    // A copy cannot be run while a process that another test is about to start has it open for writing.
    match fs::hard_link(built, &program) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        // On another disk.
        Err(_) => drop(fs::copy(built, &program).unwrap()),
    }
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("JOURNAL_STREAM", "0:0").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The families on a page.
fn families(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn an_unprivileged_user_sees_every_family_that_root_sees() {
    let dir = TempDir::new();
    let ours = run(metricsd().arg("-once"));
    let theirs = run(unprivileged(&dir).arg("-once"));
    assert_eq!(theirs.code, 0, "{}", theirs.stderr);
    assert_eq!(families(&theirs.stdout), families(&ours.stdout), "{}", theirs.stderr);
}

#[test]
fn what_may_not_be_read_is_absent_and_said_once() {
    let dir = TempDir::new();
    for file in ["loadavg", "meminfo", "stat"] {
        let text = fs::read_to_string(format!("{}/tests/fixtures/vm/proc/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        fs::create_dir_all(dir.path().join("proc")).unwrap();
        let path = dir.write(&format!("proc/{file}"), &text);
        let mode = if file == "loadavg" { 0o000 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let mut command = unprivileged(&dir);
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1}},
            "spool": {{"dir": "/nowhere"}}}}"#
    );
    let config = dir.write("config.json", &config);
    let daemon = Daemon::spawn(command.arg("-config").arg(config).arg("-root").arg(dir.path()), port);
    wait_for("ten collections", || (daemon.metric("metricsd_collections_total")? >= 10.0).then_some(()));
    let (_, page) = daemon.get("/metrics").unwrap();
    assert!(!families(&page).contains(&"system_load_1m"), "{page}");
    assert!(families(&page).contains(&"system_memory_total_bytes"), "{page}");
    let said: Vec<String> = daemon.log().lines().filter(|line| line.contains("loadavg")).map(str::to_owned).collect();
    assert_eq!(said.len(), 1, "{}", daemon.log());
    assert!(said[0].to_lowercase().contains("permission denied"), "{said:?}");
}

#[test]
fn files_that_may_not_be_read_and_ports_that_may_not_be_had_have_their_exit_codes() {
    if !nix::unistd::geteuid().is_root() {
        return cannot_look("an ordinary user has no file that it may not read");
    }
    let dir = TempDir::new();
    let secret = dir.write("token", "hush-hush");
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let config = |server: &str| dir.write("config.json", &format!(r#"{{"server": {{{server}}}}}"#));
    let path = config(&format!(r#""host": "127.0.0.1", "bearer_token_file": "{}""#, secret.display()));
    let ran = run(unprivileged(&dir).arg("-check").arg("-config").arg(path));
    assert_eq!(ran.code, 78, "{}", ran.stderr);
    assert!(ran.stderr.contains("server.bearer_token_file: ") && ran.stderr.contains("may not be read by this user"));

    // A network of its own has the kernel's default for which ports are everybody's, whatever holds here.
    let path = config(r#""port": 443"#);
    let mut command = Command::new("unshare");
    command.args(["--net", "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command.arg(dir.path().join("metricsd")).arg("-config").arg(path).env_clear().env("PATH", "/usr/bin:/bin");
    let ran = run(&mut command);
    match ran.stderr.contains("unshare failed") {
        true => cannot_look(&ran.stderr),
        false => assert_eq!(ran.code, 77, "{}", ran.stderr),
    }
}

#[test]
fn a_spool_that_may_not_be_looked_into_is_listed_and_warned_of() {
    let dir = TempDir::new();
    // Of a disk of its own, and so nobody's spool.
    for name in ["closed", "open", "lost+found"] {
        fs::create_dir_all(dir.path().join("spool").join(name)).unwrap();
        fs::write(dir.path().join("spool").join(name).join("lock"), "").unwrap();
    }
    for name in ["closed", "lost+found"] {
        fs::set_permissions(dir.path().join("spool").join(name), Permissions::from_mode(0o000)).unwrap();
    }
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "spool": {{"dir": "{}/spool"}}, "shippers": []}}"#,
        dir.path().display()
    );
    let config = dir.write("config.json", &config);
    let ran = run(unprivileged(&dir).arg("-config").arg(&config).arg("-spool"));
    let closed = format!("{}/spool/closed: ", dir.path().display());
    assert_eq!(ran.code, 77, "{}{}", ran.stdout, ran.stderr);
    let rows = |name: &str| ran.stdout.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!((rows("closed "), rows("open "), rows("lost")), (1, 1, 0), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("  {closed}cannot be looked into: Permission denied")), "{}", ran.stdout);
    let daemon = Daemon::spawn(unprivileged(&dir).arg("-config").arg(config), port);
    wait_for("the warning", || daemon.log().contains(&format!("{closed}requests may wait in it")).then_some(()));
    assert!(!daemon.log().contains("lost+found"), "{}", daemon.log());
    for name in ["closed", "lost+found"] {
        fs::set_permissions(dir.path().join("spool").join(name), Permissions::from_mode(0o700)).unwrap();
    }
}
