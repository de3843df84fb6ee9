//! The house rules that a compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
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

/// `src/formats/json.rs` is `formats::json`.
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

/// A file's code without comments, text in quotes, and its tests at the end.
fn code(path: &Path) -> String {
    let lines = code_lines(path).into_iter().map(|(_, line)| line);
    let lines: Vec<String> = lines.collect();
    let tests = lines.windows(2).position(|two| two[0].trim() == "#[cfg(test)]" && two[1].starts_with("mod tests {"));
    let mut code = String::new();
    for line in &lines[..tests.unwrap_or(lines.len())] {
        let mut parts = line.split('"');
        code.push_str(parts.next().unwrap_or_default());
        parts.skip(1).step_by(2).for_each(|part| code.push_str(part));
        code.push('\n');
    }
    code
}

/// The paths of a tree such as `a::{b, c::{self, d as e}}`, each as its names.
fn paths_of_tree(tree: &str, before: &[String], out: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let mut names = before.to_vec();
        names.extend(head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned));
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if !inner[begin..at].trim().is_empty() {
                        paths_of_tree(&inner[begin..at], &names, out);
                    }
                    begin = at + 1;
                }
                _ => {}
            }
        }
    } else {
        let mut names = before.to_vec();
        let path = tree.split(" as ").next().unwrap_or(tree);
        names.extend(
            path.split("::").map(|name| name.trim().to_owned()).filter(|name| name != "self" || before.is_empty()),
        );
        out.push(names);
    }
}

/// What a file says it uses: each path with whether it is passed on (`pub use`). Paths that
/// stand in the code count as those of `use` do.
fn uses(code: &str) -> Vec<(Vec<String>, bool)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let passes_on = line.starts_with("pub");
        if !(line.is_empty() || passes_on) {
            continue;
        }
        let Some(end) = code[at..].find(';') else { continue };
        let mut paths = Vec::new();
        paths_of_tree(&code[at + 4..at + end], &[], &mut paths);
        found.extend(paths.into_iter().map(|path| (path, passes_on)));
    }
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                continue;
            }
            let is_name = |c: &char| c.is_alphanumeric() || *c == '_' || *c == ':';
            let path: String = code[at..].chars().take_while(is_name).collect();
            let path = path.trim_end_matches(':').split("::").map(str::to_owned).collect();
            // In a `pub use` and in a `use` it was seen above, and a `use` counts once.
            let line = code[..at].rsplit('\n').next().unwrap_or_default().trim_start();
            let is_use = line.starts_with("use ") || (line.starts_with("pub") && line.contains("use "));
            if !is_use {
                found.push((path, false));
            }
        }
    }
    found
}

/// Every module of `src` that has a file, with the paths it uses from the root on: without
/// `crate::`, and with `super::` and `self::` put in place.
fn modules() -> BTreeMap<String, Vec<(String, bool)>> {
    let files = rust_files(&root().join("src"));
    let names: BTreeSet<String> = files.iter().map(|file| module_of(file)).collect();
    let of_file = |file: &PathBuf| {
        let module = module_of(file);
        let paths = uses(&code(file)).into_iter().filter_map(|(path, passes_on)| {
            let mut at: Vec<&str> = module.split("::").collect();
            let mut path = path.iter().map(String::as_str).peekable();
            match path.peek().copied() {
                Some("crate") => at.clear(),
                Some("self" | "super") => {}
                // A child, named by itself.
                Some(name) if names.contains(&format!("{module}::{name}")) => at.push(path.next()?),
                _ => return None,
            }
            for name in path {
                match name {
                    "crate" | "self" => {}
                    "super" => _ = at.pop(),
                    name => at.push(name),
                }
            }
            Some((at.join("::"), passes_on))
        });
        (module.clone(), paths.collect())
    };
    files.iter().map(of_file).filter(|(module, _)| !["lib", "main"].contains(&&**module)).collect()
}

#[test]
fn modules_use_only_what_the_map_allows() {
    let table = table();
    let mut broken = Vec::new();
    for (module, paths) in modules().into_iter().filter(|(module, _)| !is_test(module)) {
        let row = table.iter().filter(|(of, _)| is_within(&module, of)).max_by_key(|(of, _)| of.len());
        let Some((of, may_use)) = row else {
            broken.push(format!("{module} has no row in the table of src/lib.rs"));
            continue;
        };
        for (path, _) in paths {
            let allowed =
                is_within(&path, of) || may_use.iter().any(|name| name == "everything" || is_within(&path, name));
            if !allowed {
                broken.push(format!("{module}: {of} may not use {path}"));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// Which file of `modules` the path leads to: where a name is passed on, to where it comes from.
fn file_of(modules: &BTreeMap<String, Vec<(String, bool)>>, path: &str) -> Option<String> {
    let mut path = path.to_owned();
    // Passed on by several, one after the other; never so often.
    for _ in 0..8 {
        let mut module = path.as_str();
        while !modules.contains_key(module) {
            module = module.rsplit_once("::")?.0;
        }
        let name = path[module.len()..].trim_start_matches("::");
        let passed_on = modules[module].iter().find(|(from, passes_on)| {
            *passes_on && !name.is_empty() && from.rsplit("::").next() == name.split("::").next() && *from != path
        });
        match passed_on {
            Some((from, _)) => path = from.clone(),
            None => return Some(module.to_owned()),
        }
    }
    None
}

/// Tests in files of their own look into what they test.
fn is_test(module: &str) -> bool {
    module.split("::").any(|part| part == "tests" || part == "testing")
}

#[test]
fn no_files_go_round_in_a_circle() {
    let modules = modules();
    let mut arrows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, paths) in modules.iter().filter(|(module, _)| !is_test(module)) {
        let used = paths.iter().filter(|(_, passes_on)| !passes_on).filter_map(|(path, _)| file_of(&modules, path));
        arrows.insert(module, used.filter(|of| of != module && !is_test(of)).collect());
    }
    let reached = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            for used in arrows.get(module).into_iter().flatten() {
                if seen.insert(used.as_str()) {
                    next.push(used);
                }
            }
        }
        seen
    };
    let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
    for module in arrows.keys() {
        let round = reached(module);
        if round.contains(module) {
            circles.insert(round.into_iter().filter(|other| reached(other).contains(module)).collect());
        }
    }
    assert!(circles.is_empty(), "these use each other:\n{circles:#?}");
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
