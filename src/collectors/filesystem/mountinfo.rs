//! The mounts of a mount namespace, from `/proc/<pid>/mountinfo`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::super::parse::{ParseError, lines, u64, whole};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Unique among the mounts of now; used again later.
    pub id: u64,
    /// The mount that this one is mounted on.
    pub parent: u64,
    /// Major and minor of the file system's device; anonymous ones have major 0.
    pub device: (u32, u32),
    /// Which directory of the file system is shown: `/`, or less for a bind mount or subvolume.
    pub root: PathBuf,
    /// Where it is shown, as the host sees it.
    pub mountpoint: PathBuf,
    /// `ext4`, `nfs4`, `fuse.sshfs`.
    pub fstype: String,
    /// A device, an export, or any word: may be empty.
    pub source: String,
    /// Whether nothing can be written, here or to all of the file system.
    pub is_read_only: bool,
}

/// The mounts of a text, and the first line that is not one:
///
/// ```text
/// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
/// ```
///
/// Id, parent, major:minor, root, mount point, options, any number of optional fields, a
/// dash, type, source, options of the file system. Blanks, tabs, line ends and backslashes
/// are written as a backslash and three octal digits. See
/// <https://www.kernel.org/doc/html/latest/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts>.
///
/// Unlike other kernel files this one holds what people chose: a line that is not
/// understood, or was cut, costs that mount and not all the others. Only a text without any
/// mount is an error.
pub fn parse(text: &[u8]) -> Result<(Vec<Mount>, Option<ParseError>), ParseError> {
    let mut mounts = Vec::new();
    let mut bad = whole(text).err();
    let cut = bad.as_ref().map(|error| error.line);
    for (line, content) in lines(text) {
        if cut == Some(line) {
            break;
        }
        match parse_line(content) {
            Some(mount) => mounts.push(mount),
            None => {
                let error = ParseError::expected(line, "a mount", content);
                if bad.as_ref().is_none_or(|first| line < first.line) {
                    bad = Some(error);
                }
            }
        }
    }
    match (mounts.is_empty(), bad) {
        (false, bad) => Ok((mounts, bad)),
        (true, Some(bad)) => Err(bad),
        (true, None) => Err(ParseError { line: 1, what: "the file holds no mount".to_owned() }),
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    // Not between runs of blanks: a source may be empty.
    let mut fields = line.split(|b| *b == b' ');
    let id = u64(fields.next()?)?;
    let parent = u64(fields.next()?)?;
    let device = fields.next()?;
    let colon = device.iter().position(|b| *b == b':')?;
    let number = |digits: &[u8]| u64(digits).and_then(|n| u32::try_from(n).ok());
    let device = (number(&device[..colon])?, number(&device[colon + 1..])?);
    let root = PathBuf::from(OsString::from_vec(unescape(fields.next()?)));
    let mountpoint = PathBuf::from(OsString::from_vec(unescape(fields.next()?)));
    if !mountpoint.is_absolute() {
        return None;
    }
    let options = fields.next()?;
    fields.by_ref().find(|field| *field == b"-")?;
    let text = |field: &[u8]| String::from_utf8_lossy(&unescape(field)).into_owned();
    let fstype = text(fields.next()?);
    let source = text(fields.next()?);
    if fstype.is_empty() {
        return None;
    }
    let all = fields.next().unwrap_or_default();
    let is_read_only = [options, all].iter().any(|options| options.split(|b| *b == b',').any(|option| option == b"ro"));
    Some(Mount { id, parent, device, root, mountpoint, fstype, source, is_read_only })
}

/// Undoes `\040` and its like. A backslash that does not begin an octal byte stands for
/// itself: the kernel always escapes it, other writers of such files may not.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] if *first == b'\\' => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::super::super::testing::cut_everywhere;
    use super::*;

    fn one(line: &str) -> Option<Mount> {
        parse_line(line.as_bytes())
    }

    #[test]
    fn a_line_has_any_number_of_optional_fields() {
        let expected = Mount {
            id: 36,
            parent: 35,
            device: (98, 0),
            root: "/mnt1".into(),
            mountpoint: "/mnt2".into(),
            fstype: "ext3".into(),
            source: "/dev/root".into(),
            is_read_only: false,
        };
        for optional in ["", " master:1", " shared:1 master:2 propagate_from:3 unbindable"] {
            let line = format!("36 35 98:0 /mnt1 /mnt2 rw,noatime{optional} - ext3 /dev/root rw,errors=continue");
            assert_eq!(one(&line).as_ref(), Some(&expected), "{line}");
        }
    }

    #[test]
    fn blanks_in_names_are_written_in_octal() {
        let mount = one(r"1 0 8:1 / /a\040b\011c\012d\134e\054 rw - ext4 //nas/my\040share rw").unwrap();
        assert_eq!(mount.mountpoint, Path::new("/a b\tc\nd\\e,"));
        assert_eq!(mount.source, "//nas/my share");
        let bytes = one(r"1 0 8:1 / /\377\376 rw - ext4 x rw").unwrap();
        assert_eq!(bytes.mountpoint.as_os_str(), OsStr::from_bytes(b"/\xff\xfe"));
        for (field, plain) in
            [(r"\04", r"\04"), (r"\0zz", r"\0zz"), (r"\777", r"\777"), (r"\", r"\"), (r"\\040", r"\ ")]
        {
            assert_eq!(unescape(field.as_bytes()), plain.as_bytes(), "{field}");
        }
    }

    #[test]
    fn a_source_may_be_empty_or_a_dash() {
        assert_eq!(one("1 0 0:5 / /x rw - tmpfs  rw").unwrap().source, "");
        assert_eq!(one("1 0 0:5 / /x rw - tmpfs - rw").unwrap().source, "-");
    }

    #[test]
    fn a_bad_line_costs_only_its_own_mount() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 eight:1 / /x rw - ext4 y rw\n3 1 8:2 / /y rw - ext4 /dev/s";
        let (mounts, bad) = parse(text.as_bytes()).unwrap();
        assert_eq!(mounts.len(), 1);
        assert_eq!(bad.unwrap().to_string(), "line 2: expected a mount, got \"2 1 eight:1 / /x rw - ext4 y rw\"");
        for bad in [
            "1 0 8:1 / / rw",
            "1 0 8:1 / / rw -",
            "1 0 8:1 / / rw - ext4",
            "1 0 81 / / rw - ext4 x rw",
            "",
            "1 0 8:1 / x rw - ext4 y rw",
        ] {
            assert_eq!(one(bad), None, "{bad}");
        }
        assert!(parse(b"").is_err());
        assert!(parse(b"garbage\n").is_err());
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/1/mountinfo", |text| drop(parse(text)));
    }
}
