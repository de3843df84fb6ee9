//! OTLP in JSON, as far as all signals have it in common: protobuf's mapping, with enums as numbers, 64-bit numbers as
//! texts or numbers. What is read comes out of a budget. Keys that are not known are passed over.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::budget::{Budget, MAX_DEPTH, Refused};
use crate::model::{Attribute, Value};

/// Reads `body`, whose parts take what is in `budget` at most.
pub fn read<T: DeserializeOwned>(body: &[u8], budget: &mut Budget) -> Result<T, Refused> {
    // An array would pass for an object that lacks all fields.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refused::Malformed("expected a JSON object".to_owned()));
    }
    let limits = Limits { budget: std::mem::replace(budget, Budget::new(0)), depth: 0, is_over: false };
    LIMITS.replace(Some(limits));
    let read: Result<T, _> = serde_json::from_slice(body);
    let limits = LIMITS.take();
    read.map_err(|error| match limits.is_some_and(|limits| limits.is_over) {
        true => Refused::TooMuch,
        // What serde quotes of the text is short.
        false => Refused::Malformed(error.to_string()),
    })
}

thread_local! {
    /// Of the request that this thread reads: serde has no way to hand it to what is read.
    static LIMITS: RefCell<Option<Limits>> = const { RefCell::new(None) };
}

struct Limits {
    budget: Budget,
    depth: usize,
    is_over: bool,
}

/// Takes what a `T` takes that has `len` bytes elsewhere.
fn take<T, E: Error>(len: usize) -> Result<(), E> {
    LIMITS.with_borrow_mut(|limits| {
        let Some(limits) = limits else { return Ok(()) };
        limits.budget.take::<T>(len).map_err(|_| {
            limits.is_over = true;
            E::custom("it holds too much")
        })
    })
}

/// A list whose elements come out of the budget; null is an empty one.
pub struct Few<T>(pub Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Few<T>, D::Error> {
        struct Elements<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_unit<E: Error>(self) -> Result<Few<T>, E> {
                Ok(Few::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Few<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    take::<T, A::Error>(0)?;
                    all.push(one);
                }
                Ok(Few(all))
            }
        }
        deserializer.deserialize_any(Elements(PhantomData))
    }
}

/// A `KeyValue`.
#[derive(serde::Deserialize)]
pub struct Pair {
    #[serde(default)]
    key: Box<str>,
    value: Option<Any>,
}

impl From<Pair> for Attribute {
    fn from(pair: Pair) -> Attribute {
        (pair.key, pair.value.map_or(Value::Empty, |Any(value)| value))
    }
}

/// A whole number, as a number or as a text.
pub struct Number(pub i128);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, as a number or a text")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number.into()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                // `1e3` is one, too; beyond these bounds the nearest.
                if number.fract() == 0.0 { Ok(Number(number as i128)) } else { Err(E::custom("no whole number")) }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("no whole number"))
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

/// A whole number from 0 on, as a number or as a text: what an unsigned field holds.
pub struct Unsigned(pub u64);

impl<'de> Deserialize<'de> for Unsigned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unsigned, D::Error> {
        let Number(number) = Number::deserialize(deserializer)?;
        u64::try_from(number)
            .map(Unsigned)
            .map_err(|_| D::Error::custom("no whole number from 0 to 18446744073709551615"))
    }
}

/// A number, or one of the three words for what JSON has none for.
pub struct Double(pub f64);

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Double, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Double;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Double, E> {
                Ok(Double(number as f64))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Double, E> {
                Ok(Double(number as f64))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Double, E> {
                Ok(Double(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Double, E> {
                text.parse().map(Double).map_err(|_| E::custom("no number"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// An `AnyValue`.
pub struct Any(pub Value);

#[derive(serde::Deserialize)]
struct List {
    #[serde(default)]
    values: Few<Any>,
}

#[derive(serde::Deserialize)]
struct Map {
    #[serde(default)]
    values: Few<Pair>,
}

/// One level deeper, until it is dropped.
struct Deeper;

impl Deeper {
    fn new<E: Error>() -> Result<Deeper, E> {
        let depth = LIMITS.with_borrow_mut(|limits| {
            limits.as_mut().map_or(0, |limits| {
                limits.depth += 1;
                limits.depth
            })
        });
        let deeper = Deeper;
        if depth > MAX_DEPTH {
            return Err(E::custom(format!("values lie more than {MAX_DEPTH} deep in each other")));
        }
        Ok(deeper)
    }
}

impl Drop for Deeper {
    fn drop(&mut self) {
        LIMITS.with_borrow_mut(|limits| limits.iter_mut().for_each(|limits| limits.depth -= 1));
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
        struct OneOf;
        impl<'de> Visitor<'de> for OneOf {
            type Value = Any;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value: {\"stringValue\": ...} or the like")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
                let _deeper = Deeper::new::<A::Error>()?;
                let mut value = Value::Empty;
                while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    value = match &*key {
                        "stringValue" => Value::Text(map.next_value()?),
                        "boolValue" => Value::Bool(map.next_value()?),
                        "intValue" => {
                            let Number(number) = map.next_value()?;
                            Value::Int(i64::try_from(number).map_err(|_| A::Error::custom("more than 64 bits"))?)
                        }
                        "doubleValue" => Value::Double(map.next_value::<Double>()?.0),
                        "bytesValue" => {
                            let text: std::borrow::Cow<'_, str> = map.next_value()?;
                            let bytes = STANDARD.decode(&*text).map_err(|_| A::Error::custom("no base64"))?;
                            Value::Bytes(bytes.into())
                        }
                        "arrayValue" => {
                            let List { values } = map.next_value()?;
                            Value::List(values.0.into_iter().map(|Any(value)| value).collect())
                        }
                        "kvlistValue" => {
                            let Map { values } = map.next_value()?;
                            Value::Map(values.0.into_iter().map(Pair::into).collect())
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            value
                        }
                    };
                }
                if let Value::Text(text) = &value {
                    take::<u8, A::Error>(text.len())?;
                }
                Ok(Any(value))
            }
        }
        deserializer.deserialize_map(OneOf)
    }
}
