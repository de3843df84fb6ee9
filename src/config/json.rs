//! JSON as a tree in which every value and key knows where in the text it stands.
//!
//! serde_json does the parsing: a `RawValue` that was borrowed from the text is a slice of
//! it, so the difference of two addresses is its place. Each level is taken apart on its
//! own, hence the bound on the depth.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper than any configuration, and shallow enough for the smallest stack; every level
/// also costs one more pass over the text inside.
const MAX_DEPTH: usize = 32;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The byte of the file's text at which it begins.
    File(usize),
    /// The environment variable that holds it.
    Variable(&'static str),
}

/// A value and where it comes from.
#[derive(Debug, PartialEq)]
pub(super) struct Value<'t> {
    pub origin: Origin,
    pub data: Data<'t>,
}

/// What JSON can say. Numbers stay text: only who reads one knows its type.
#[derive(Debug, PartialEq)]
pub(super) enum Data<'t> {
    Null,
    Bool(bool),
    Number(Cow<'t, str>),
    Text(Cow<'t, str>),
    List(Vec<Value<'t>>),
    Object(Vec<Entry<'t>>),
}

/// A key with its value. An object keeps them in the order of the text, double ones too.
#[derive(Debug, PartialEq)]
pub(super) struct Entry<'t> {
    pub key: Cow<'t, str>,
    pub key_origin: Origin,
    pub value: Value<'t>,
}

impl Value<'_> {
    /// `null` stands for "not given" everywhere, as it does in Go's JSON.
    pub fn is_null(&self) -> bool {
        self.data == Data::Null
    }
}

/// Why the text is no JSON that can be read, and at which of its bytes.
#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub at: usize,
    pub message: String,
}

/// Takes `text` apart.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Fault> {
    if text.trim().is_empty() {
        return Err(Fault { at: 0, message: "the file is empty; {} stands for all defaults".to_owned() });
    }
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| fault(text, &error))?;
    Reader { text }.value(raw, 0)
}

/// Our words for serde_json's error, and its line and column as a place in `text`.
fn fault(text: &str, error: &serde_json::Error) -> Fault {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    if error.is_eof() {
        let said = said.replace("EOF while parsing", "the text ends within");
        return Fault { at: text.trim_end().len(), message: format!("{said}; is the file complete?") };
    }
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut at = (line_start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let hint = match text[at..].chars().next() {
        Some('/' | '#') => "; JSON has no comments, but a key that begins with // is one",
        Some('\'') => "; JSON has double quotes only",
        Some('}' | ']') => "; a comma too many before it?",
        _ => "",
    };
    Fault { at, message: format!("not valid JSON: {said}{hint}") }
}

struct Reader<'t> {
    text: &'t str,
}

impl<'t> Reader<'t> {
    /// The place of a slice of the text.
    fn offset(&self, slice: &str) -> usize {
        (slice.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize)
    }

    fn value(&self, raw: &'t RawValue, depth: usize) -> Result<Value<'t>, Fault> {
        let source = raw.get();
        let at = self.offset(source);
        if depth > MAX_DEPTH {
            return Err(Fault { at, message: format!("nested deeper than {MAX_DEPTH} levels") });
        }
        let data = match source.as_bytes().first() {
            Some(b'n') => Data::Null,
            Some(b't') => Data::Bool(true),
            Some(b'f') => Data::Bool(false),
            Some(b'"') => Data::Text(self.part::<Word>(source, at)?.0),
            Some(b'[') => {
                let items: Vec<&'t RawValue> = self.part(source, at)?;
                Data::List(items.into_iter().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let pairs: Pairs<'t> = self.part(source, at)?;
                let entry = |(key, raw): (Word<'t>, &'t RawValue)| {
                    let value = self.value(raw, depth + 1)?;
                    // A key with escapes was copied; the place of its value is near enough.
                    let key_origin = match &key.0 {
                        Cow::Borrowed(key) => Origin::File(self.offset(key).saturating_sub(1)),
                        Cow::Owned(_) => value.origin,
                    };
                    Ok(Entry { key: key.0, key_origin, value })
                };
                Data::Object(pairs.0.into_iter().map(entry).collect::<Result<_, _>>()?)
            }
            _ => Data::Number(Cow::Borrowed(source)),
        };
        Ok(Value { origin: Origin::File(at), data })
    }

    /// One level. The whole text is valid by now, so what can fail is little (a lone
    /// surrogate in a string), and the place of the value will do.
    fn part<T: Deserialize<'t>>(&self, source: &'t str, at: usize) -> Result<T, Fault> {
        serde_json::from_str(source).map_err(|error| Fault { at, message: fault(source, &error).message })
    }
}

/// A string, borrowed from the text unless it holds escapes.
struct Word<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;

        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(WordVisitor)
    }
}

/// An object's pairs in the order of the text.
struct Pairs<'t>(Vec<(Word<'t>, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(text: &str) -> (usize, String) {
        let fault = parse(text).unwrap_err();
        (fault.at, fault.message)
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "{ \"a\": [1, true],\n  \"b\\u0063\": \"x\" }";
        let Data::Object(entries) = parse(text).unwrap().data else { panic!() };
        assert_eq!(entries[0].key, "a");
        assert_eq!(entries[0].key_origin, Origin::File(2));
        assert_eq!(entries[0].value.origin, Origin::File(7));
        let Data::List(items) = &entries[0].value.data else { panic!() };
        assert_eq!(items[0], Value { origin: Origin::File(8), data: Data::Number("1".into()) });
        assert_eq!(items[1], Value { origin: Origin::File(11), data: Data::Bool(true) });
        // The key was unescaped into a copy, so its value's place stands for it.
        assert_eq!(entries[1].key, "bc");
        assert_eq!(entries[1].key_origin, Origin::File(31));
        assert_eq!(entries[1].value, Value { origin: Origin::File(31), data: Data::Text("x".into()) });
    }

    #[test]
    fn double_keys_are_kept_for_the_reader_to_refuse() {
        let Data::Object(entries) = parse(r#"{"a":1,"a":2}"#).unwrap().data else { panic!() };
        assert_eq!(entries.iter().map(|entry| entry.key.as_ref()).collect::<Vec<_>>(), ["a", "a"]);
    }

    #[test]
    fn what_is_no_json_is_placed_and_explained() {
        assert_eq!(fault_of(" \n"), (0, "the file is empty; {} stands for all defaults".into()));
        assert_eq!(fault_of("{\"a\": \n"), (5, "the text ends within a value; is the file complete?".into()));
        assert_eq!(fault_of("{\"a\": tru"), (9, "the text ends within a value; is the file complete?".into()));
        assert_eq!(
            fault_of("{\n  // x\n}"),
            (
                4,
                "not valid JSON: key must be a string; JSON has no comments, but a key that begins with // is one"
                    .into()
            )
        );
        assert_eq!(
            fault_of("{'a': 1}"),
            (1, "not valid JSON: key must be a string; JSON has double quotes only".into())
        );
        assert_eq!(
            fault_of("{\"a\": 1,}"),
            (8, "not valid JSON: key must be a string; a comma too many before it?".into())
        );
        assert_eq!(fault_of("{} x"), (3, "not valid JSON: trailing characters".into()));
        assert_eq!(fault_of("{\"a\": \"\\ud800\"}").0, 6);
    }

    #[test]
    fn depth_is_bounded_however_deep_the_text_is() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH + 1)).is_ok());
        assert_eq!(fault_of(&nested(MAX_DEPTH + 2)), (MAX_DEPTH + 1, "nested deeper than 32 levels".into()));
        assert!(parse(&nested(100_000)).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
