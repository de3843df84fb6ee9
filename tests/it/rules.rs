//! The house rules that a compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `dir`, sorted.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A file's lines of code with their numbers; comments are left out.
fn code_lines(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(at, line)| (at + 1, line.to_owned())).collect()
}

/// `src/lane/encode/json.rs` is `lane::encode::json`.
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap().with_extension("");
    let parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).filter(|p| *p != "mod").collect();
    parts.join("::")
}

fn is_within(module: &str, of: &str) -> bool {
    module == of || module.strip_prefix(of).is_some_and(|rest| rest.starts_with("::"))
}

/// The table in `src/lib.rs`: a module and what it may use.
fn table() -> Vec<(String, Vec<String>)> {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let rows: Vec<(String, Vec<String>)> = rows
        .map(|row| {
            let (module, rest) = row.split_once('`').unwrap();
            let uses = rest.trim_end_matches(['|', ' ']).rsplit('|').next().unwrap();
            (module.to_owned(), uses.split(',').map(|name| name.trim().to_owned()).collect())
        })
        .collect();
    assert!(rows.len() > 5, "the table in src/lib.rs has lost its form");
    rows
}

/// Every `crate::a::b` of a line.
fn crate_paths(line: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        // `$crate` and `metricsd_crate::` would be something else.
        let path: String =
            line[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect();
        paths.push(path.trim_end_matches(':').to_owned());
    }
    paths
}

#[test]
fn modules_use_only_what_the_map_allows() {
    let table = table();
    let mut broken = Vec::new();
    for file in rust_files(&root().join("src")) {
        let module = module_of(&file);
        if ["lib", "main"].contains(&&*module) {
            continue;
        }
        let row = table.iter().filter(|(of, _)| is_within(&module, of)).max_by_key(|(of, _)| of.len());
        let Some((of, may_use)) = row else {
            broken.push(format!("{module} has no row in the table of src/lib.rs"));
            continue;
        };
        for (number, line) in code_lines(&file) {
            for path in crate_paths(&line) {
                let allowed =
                    is_within(&path, of) || may_use.iter().any(|name| name == "everything" || is_within(&path, name));
                if !allowed {
                    broken.push(format!("{}:{number}: {of} may not use {path}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stands_in_host_alone() {
    for file in rust_files(&root().join("src")) {
        if is_within(&module_of(&file), "host") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            let used = line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl");
            assert!(!used, "{}:{number}: unsafe code outside src/host", file.display());
        }
    }
}

/// Neither a shell nor anything else is started, and no other user's rights are taken on.
#[test]
fn no_program_is_started_and_no_identity_changed() {
    for file in rust_files(&root().join("src")) {
        for (number, line) in code_lines(&file) {
            let words = ["process::Command", "Command::new", "setuid", "setresuid", "setgid", "execv", "fork("];
            let used = words.iter().find(|word| line.contains(**word));
            assert!(used.is_none(), "{}:{number}: {used:?}", file.display());
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for dir in ["src", "tests/it", "benches"] {
        for file in rust_files(&root().join(dir)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{} opens without a `//!` sentence", file.display());
        }
    }
}
