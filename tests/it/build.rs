//! Which commit a build from an archive says it is of.

use std::path::Path;
use std::process::Command;

use crate::support::cannot_look;

#[expect(dead_code, reason = "only what it reads of an archive is tried here")]
#[path = "../../build.rs"]
mod script;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn an_archive_says_of_which_commit_it_is() {
    let read = |text| script::commit_and_date(text);
    let filled = "0123456789abcdef0123456789abcdef01234567 1700000000\n";
    assert_eq!(read(filled), Some(("0123456789ab".to_owned(), 1_700_000_000)));
    for unfilled in ["$Format:%H %ct$\n", "", "0123 1700000000", "0123456789ab", "0123456789ab later"] {
        assert_eq!(read(unfilled), None, "{unfilled:?}");
    }
}

#[test]
fn git_fills_in_the_commit() {
    let root = Path::new(ROOT);
    if !root.join(".git").exists() {
        return cannot_look("these sources are no repository of git's");
    }
    let git = |arguments: &str| {
        let output = Command::new("git").current_dir(root).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "git {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let archive = git("archive --format=tar HEAD packaging/release/commit");
    let commit = git("log -1 --format=%H HEAD");
    // A header that ends in zeros, then the file.
    assert!(archive.contains(&format!("\0{} ", commit.trim())), "{archive}");
}
