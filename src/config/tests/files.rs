//! The file itself: one that cannot be read, a link, one that is hostile.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn files_that_cannot_be_read_say_why() {
    let dir = TempDir::new();
    let refused = |path: &Path| load(Source::File(path.into()), &|_| None, "h").unwrap_err().to_string();
    assert!(refused(&dir.0).ends_with(": is a directory; name the file in it"));
    assert!(refused(&dir.0.join("none.json")).ends_with("none.json: no such file; name another one with -config"));

    let large = dir.0.join("large.json");
    fs::write(&large, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(refused(&large).contains("larger than 1048576 bytes"));

    let locked = dir.0.join("locked.json");
    fs::write(&locked, "{}").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything, so there the mode proves nothing.
    if File::open(&locked).is_err() {
        assert!(refused(&locked).contains("may not be read by this user"));
    }
}

#[test]
fn a_file_is_known_by_the_name_it_was_given() {
    let dir = TempDir::new();
    let path = dir.0.join("a.json");
    fs::write(&path, r#"{"server": {"port": 9}}"#).unwrap();
    let config = load(Source::from(Some(path.clone())), &|_| None, "h").unwrap();
    assert_eq!((config.source, config.server.port), (path.display().to_string(), 9));
    assert_eq!(Source::from(None), Source::Default);
}

#[test]
fn a_link_to_nowhere_is_not_taken_for_an_absent_file() {
    let dir = TempDir::new();
    let link = dir.0.join("config.json");
    assert!(!is_there(&link));
    symlink("/nowhere/at/all", &link).unwrap();
    assert!(is_there(&link));
}

#[test]
fn what_is_wrong_with_a_file_of_endpoints_leaves_its_name_to_who_asked() {
    let of = |text: &str| endpoints_of(Path::new("/e/a.json"), text, Duration::from_secs(10), &|_| None).unwrap_err();
    let all = of("[{\"name\": \"a\", \"url\": \"x\"},\n{\"name\": \"b\"}]");
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 2, "{all}");
    assert!(lines[0].starts_with("1:23: endpoints[0].url: "), "{all}");
    assert!(lines[1].starts_with("2:1: endpoints[1].url: required"), "{all}");
    // A list of Prometheus' is read as another text, in which nobody would find a place.
    let all = of(r#"[{"targets": ["a:b:c"]}]"#);
    assert!(all.starts_with("endpoints[0].url: "), "{all}");
}

#[test]
fn hostile_files_cost_bounded_work() {
    let many: String = (0..20_000).map(|i| format!("\"k{i}\": 1,")).collect();
    let error = load_with(&format!("{{{many}\"x\": 1}}"), &[]).unwrap_err();
    assert_eq!(error.iter().len(), 100);
    assert!(error.to_string().ends_with("... and 19901 more"));
    let shippers = vec![r#"{"type": "stdout"}"#; 1000].join(",");
    assert!(load_with(&format!(r#"{{"shippers": [{shippers}]}}"#), &[]).is_err());
    assert!(problem(&format!("{}{}", "[".repeat(500_000), "]".repeat(500_000))).contains("nested deeper"));
}
