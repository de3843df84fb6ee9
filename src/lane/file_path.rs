//! What an operator wrote as the path of a destination's file: whether it can be one.

use std::path::{Path, PathBuf};

use crate::http::percent_decoded;

/// The path that `text` names: a path, or a `file://` URL of one.
pub fn file_path(text: &str) -> Result<PathBuf, String> {
    let path = match text.split_once("://") {
        None => PathBuf::from(text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err("names another host; a file URL has three slashes: file:///var/lib/x".to_owned());
            }
            PathBuf::from(percent_decoded(path).ok_or("has a % that does not begin an escape such as %20")?)
        }
        Some(_) => return Err("is no file; expected a path or a file:// URL".to_owned()),
    };
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty() {
        return Err("is no path".to_owned());
    }
    if text.contains(&0) {
        return Err("holds a NUL, which no path can".to_owned());
    }
    if text.ends_with(b"/") || text.ends_with(b"/.") || text.ends_with(b"..") || is_directory(&path) {
        return Err("is a directory; name a file in it".to_owned());
    }
    Ok(path)
}

fn is_directory(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_paths_or_file_urls() {
        for (text, path) in [
            ("/var/lib/m.jsonl", "/var/lib/m.jsonl"),
            ("out.jsonl", "out.jsonl"),
            ("file:///var/a%20b", "/var/a b"),
            ("file://localhost/x", "/x"),
            ("FILE:///x", "/x"),
        ] {
            assert_eq!(file_path(text), Ok(PathBuf::from(path)), "{text}");
        }
        for text in ["", "file://", "file://host/x", "http://h/x", "/tmp", "/x/", "..", "file:///a%2", "/a\0b"] {
            assert!(file_path(text).is_err(), "{text}");
        }
    }
}
