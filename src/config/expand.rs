//! `${NAME}` in a string becomes what the environment holds under that name.

use std::borrow::Cow;

use crate::http::Env;

/// What a string may grow to; a short file could otherwise name a long variable thousands of times.
const MAX_EXPANDED_BYTES: usize = 64 << 10;

/// `text` with each `${NAME}` replaced and each `$${` made `${`; `${1}` stays. What was put in is
/// not looked at again. The error names the variable, never a value.
pub(super) fn expand<'t>(text: &'t str, env: Env<'_>) -> Result<Cow<'t, str>, String> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$${") {
            expanded.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let (name, after) = after.split_once('}').ok_or("${ without a }; write $${ for a literal ${")?;
            if is_group(name) {
                expanded.extend(["${", name, "}"]);
                rest = after;
                continue;
            }
            if !is_name(name) {
                return Err("no variable's name between ${ and }; write $${ for a literal ${".to_owned());
            }
            let value = env(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
            expanded.push_str(&value);
            rest = after;
        } else {
            expanded.push('$');
            rest = &rest[1..];
        }
        if expanded.len() > MAX_EXPANDED_BYTES {
            return Err(format!("longer than {MAX_EXPANDED_BYTES} bytes with its variables replaced"));
        }
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

/// Whether `name` is no variable's but the number of a group, as rules have them (`${1}`).
fn is_group(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 256
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db1".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            "LONG" => Some("x".repeat(1000)),
            _ => None,
        }
    }

    #[test]
    fn names_are_replaced_once() {
        for (text, expanded) in [
            ("http://${HOST}:80/${HOST}", "http://db1:80/db1"),
            ("${EMPTY}", ""),
            ("${NESTED}", "${HOST}"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
            ("a$b$", "a$b$"),
            ("eth[0-9]+$", "eth[0-9]+$"),
            ("$é${HOST}é", "$édb1é"),
            ("${1}_${HOST}_${23}", "${1}_db1_${23}"),
            ("$${1}", "${1}"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_refused() {
        assert_eq!(expand("${NOPE}", &env), Err("the environment variable NOPE is not set".into()));
        for text in ["${", "${HOST", "${}", "${A B}", "${1", "${1a}"] {
            assert!(expand(text, &env).is_err(), "{text}");
        }
        assert!(expand(&"${LONG}".repeat(100), &env).is_err());
    }
}
