//! An application's JSON object: each number in it is a gauge.
//!
//! The object is walked as it is read, so that nothing of it is held in memory but the names on the
//! way to a number.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Limits;

/// Stands in front of every name.
const PREFIX: &str = "app";

/// How deep objects may lie in each other. No application's figures do so.
const MAX_DEPTH: usize = 32;

/// Reads `text`, and gives each number with the name of its metric; how many there were.
///
/// `{"db": {"open": 3, "up": true}}` is `app_db_open` 3 and `app_db_up` 1. Lists, texts and nulls
/// are passed over; what a name cannot hold becomes `_`. A key that stands twice gives its number
/// twice.
///
/// # Errors
/// What is no JSON object, and one that is over its limits, in words for people.
pub fn read(text: &[u8], limits: &Limits, give: &mut impl FnMut(&str, f64)) -> Result<usize, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut walk = Walk { name: PREFIX.to_owned(), depth: 0, count: 0, limits, give };
    walk.object(&mut reader).map_err(|error| words(&error))?;
    reader.end().map_err(|error| words(&error))?;
    Ok(walk.count)
}

fn words(error: &serde_json::Error) -> String {
    format!("the JSON cannot be read: {error}")
}

/// Where the walk is.
struct Walk<'w, F> {
    name: String,
    depth: usize,
    count: usize,
    limits: &'w Limits,
    give: &'w mut F,
}

impl<F: FnMut(&str, f64)> Walk<'_, F> {
    fn object<'de, D: Deserializer<'de>>(&mut self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(Object(self))
    }

    fn number<E: serde::de::Error>(&mut self, value: f64) -> Result<(), E> {
        self.count += 1;
        if self.count > self.limits.samples {
            return Err(E::custom(format!("more than {} numbers (limits.samples)", self.limits.samples)));
        }
        (self.give)(&self.name, value);
        Ok(())
    }
}

/// An object whose members are walked.
struct Object<'a, 'w, F>(&'a mut Walk<'w, F>);

impl<'de, F: FnMut(&str, f64)> Visitor<'de> for Object<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let walk = self.0;
        if walk.depth >= MAX_DEPTH {
            return Err(A::Error::custom(format!("objects lie more than {MAX_DEPTH} deep in each other")));
        }
        walk.depth += 1;
        let end = walk.name.len();
        while map.next_key_seed(Key(&mut *walk))?.is_some() {
            map.next_value_seed(Member(&mut *walk))?;
            walk.name.truncate(end);
        }
        walk.depth -= 1;
        Ok(())
    }
}

/// A key, which goes behind the name.
struct Key<'a, 'w, F>(&'a mut Walk<'w, F>);

impl<'de, F: FnMut(&str, f64)> DeserializeSeed<'de> for Key<'_, '_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_str(self)
    }
}

impl<'de, F: FnMut(&str, f64)> Visitor<'de> for Key<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        let walk = self.0;
        let most = walk.limits.label_value_bytes;
        if walk.name.len() + 1 + key.len() > most {
            return Err(E::custom(format!("a name has more than {most} bytes (limits.label_value_bytes)")));
        }
        walk.name.push('_');
        walk.name.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }));
        Ok(())
    }
}

/// The value of a member.
struct Member<'a, 'w, F>(&'a mut Walk<'w, F>);

impl<'de, F: FnMut(&str, f64)> DeserializeSeed<'de> for Member<'_, '_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&str, f64)> Visitor<'de> for Member<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<(), E> {
        self.0.number(f64::from(u8::from(on)))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.0.number(value as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.0.number(value as f64)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.0.number(value)
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object(self.0).visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Result<Vec<(String, f64)>, String> {
        let mut all = Vec::new();
        let count = read(text.as_bytes(), &Limits::default(), &mut |name, value| all.push((name.to_owned(), value)))?;
        assert_eq!(count, all.len());
        Ok(all)
    }

    #[test]
    fn each_number_is_a_gauge_by_the_way_to_it() {
        let text = r#" {"a": 1, "db": {"open-now": 2.5, "up": true, "x": {"y.z": -3e2}}, "big": 18446744073709551615,
            "list": [{"a": 1}, 2], "text": "3", "none": null, "ü\n": 0, "off": false, "": 9} "#;
        let expected = [
            ("app_a", 1.0),
            ("app_db_open_now", 2.5),
            ("app_db_up", 1.0),
            ("app_db_x_y_z", -300.0),
            ("app_big", 18446744073709551615.0),
            ("app___", 0.0),
            ("app_off", 0.0),
            ("app_", 9.0),
        ];
        let expected: Vec<_> = expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        assert_eq!(numbers(text), Ok(expected));
    }

    #[test]
    fn what_is_no_object_or_too_much_is_said() {
        for (text, word) in [
            ("[1]", "an object of numbers"),
            ("7", "an object of numbers"),
            ("", "EOF"),
            ("{\"a\": 1", "EOF"),
            ("{\"a\": 1} x", "trailing"),
            ("{\"a\": NaN}", "expected"),
        ] {
            assert!(numbers(text).unwrap_err().contains(word), "{text}: {:?}", numbers(text));
        }
        let deep = "{\"a\":".repeat(40) + "1" + &"}".repeat(40);
        assert!(numbers(&deep).unwrap_err().contains("more than 32 deep"));
        let long = format!("{{\"{}\": 1}}", "a".repeat(5000));
        assert!(numbers(&long).unwrap_err().contains("label_value_bytes"));
        let limits = Limits { samples: 1, ..Limits::default() };
        let many = read(br#"{"a": 1, "b": 2}"#, &limits, &mut |_, _| ());
        assert!(many.unwrap_err().contains("limits.samples"));
    }

    #[test]
    fn a_text_that_is_cut_is_no_object() {
        let text = br#"{"a": 1, "b": {"c": [1, 2], "d": "x"}}"#;
        for end in 0..text.len() {
            assert!(read(&text[..end], &Limits::default(), &mut |_, _| ()).is_err(), "{end}");
        }
    }
}
