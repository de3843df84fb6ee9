//! The ways in which a text is escaped in URLs, JSON and HTML, undone as far as they go.

/// A text as one way of escaping reads it, with the place of each byte in the original.
pub struct View {
    bytes: Vec<u8>,
    /// Where the escape begins that the byte is of, or the byte itself; then the end of all.
    places: Vec<usize>,
}

/// Two readings that say the same.
impl PartialEq for View {
    fn eq(&self, other: &View) -> bool {
        self.bytes == other.bytes
    }
}

/// Reads one escape at the beginning of a text that goes on: what it stands for, and its length.
type Way = fn(&[u8]) -> Option<(Said, usize)>;

/// Every way that is known.
pub const WAYS: [Way; 4] = [percent, form, json, html];

/// What an escape stands for.
pub enum Said {
    Byte(u8),
    Char(char),
}

impl View {
    /// The text as it is.
    pub fn of(text: &str) -> View {
        View { bytes: text.as_bytes().to_vec(), places: (0..=text.len()).collect() }
    }

    /// What it says.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where the byte `at`, or the end, stands in the original.
    pub fn place(&self, at: usize) -> usize {
        self.places[at]
    }

    /// This once more, as `way` reads it; none where there is nothing that it would read otherwise.
    pub fn read(&self, way: Way) -> Option<View> {
        let mut view =
            View { bytes: Vec::with_capacity(self.bytes.len()), places: Vec::with_capacity(self.places.len()) };
        let (mut at, mut is_other) = (0, false);
        while at < self.bytes.len() {
            let (said, length) = way(&self.bytes[at..]).unwrap_or((Said::Byte(self.bytes[at]), 1));
            is_other |= length > 1 || !matches!(said, Said::Byte(byte) if byte == self.bytes[at]);
            match said {
                Said::Byte(byte) => view.bytes.push(byte),
                Said::Char(c) => view.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            view.places.resize(view.bytes.len(), self.places[at]);
            at += length;
        }
        view.places.push(self.places[at]);
        is_other.then_some(view)
    }
}

/// `%2F`, in either case.
fn percent(text: &[u8]) -> Option<(Said, usize)> {
    let [b'%', high, low, ..] = text else { return None };
    Some((Said::Byte((digit(*high)? * 16 + digit(*low)?) as u8), 3))
}

/// The same in forms, where a plus is a space.
fn form(text: &[u8]) -> Option<(Said, usize)> {
    if text.first() == Some(&b'+') { Some((Said::Byte(b' '), 1)) } else { percent(text) }
}

/// JSON's, and `\'` and `\x2f`, which other languages write between the same marks.
fn json(text: &[u8]) -> Option<(Said, usize)> {
    let [b'\\', kind, rest @ ..] = text else { return None };
    let byte = match kind {
        b'"' | b'\\' | b'/' | b'\'' => *kind,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'x' => return Some((Said::Byte(number(rest.get(..2)?, 16)? as u8), 4)),
        b'u' => return unicode(rest),
        _ => return None,
    };
    Some((Said::Byte(byte), 2))
}

/// What follows `\u`; what lies beyond 16 bits is written as two.
fn unicode(rest: &[u8]) -> Option<(Said, usize)> {
    let unit = number(rest.get(..4)?, 16)?;
    if let Some(c) = char::from_u32(unit) {
        return Some((Said::Char(c), 6));
    }
    let low = rest.get(4..10)?.strip_prefix(b"\\u").and_then(|digits| number(digits, 16))?;
    let pair = char::decode_utf16([unit as u16, low as u16]).next()?.ok()?;
    Some((Said::Char(pair), 12))
}

/// `&amp;`, `&#47;` and `&#x2f;`.
pub fn html(text: &[u8]) -> Option<(Said, usize)> {
    const NAMED: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((Said::Byte(*byte), name.len()));
    }
    let inner = text.strip_prefix(b"&#")?;
    let end = inner.iter().take(12).position(|byte| *byte == b';')?;
    let code = match &inner[..end] {
        [b'x' | b'X', digits @ ..] => number(digits, 16),
        digits => number(digits, 10),
    };
    Some((Said::Char(char::from_u32(code?)?), end + 3))
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// Digits alone: a number's parser would take a sign as well.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
    u32::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, way: Way) -> String {
        let view = View::of(text);
        String::from_utf8_lossy(view.read(way).as_ref().unwrap_or(&view).bytes()).into_owned()
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_stays() {
        for (way, text, said) in [
            (percent as Way, "a%2Fb%2fc%", "a/b/c%"),
            (percent, "%C3%BC%zz%+1+", "ü%zz%+1+"),
            (form, "a+b%2B", "a b+"),
            (json, r#"\/\"\\\u002F\u00e9\ud83d\ude00\x41\q\u12\ud83d\"#, r#"/"\/é😀A\q\u12\ud83d\"#),
            (html, "&#47;&#x2F;&quot;&amp;lt;&nope;&#;&#x110000;&#+7;&", "/\u{2f}\"&lt;&nope;&#;&#x110000;&#+7;&"),
        ] {
            assert_eq!(read(text, way), said, "{text}");
        }
        assert!(WAYS.iter().all(|way| View::of("plain").read(*way).is_none()));
    }

    #[test]
    fn places_are_those_of_the_escapes() {
        let view = View::of("aé%2f&amp;").read(percent).and_then(|view| view.read(html)).unwrap();
        assert_eq!(view.bytes(), "aé/&".as_bytes());
        assert_eq!(view.places, [0, 1, 2, 3, 6, 11]);
    }
}
