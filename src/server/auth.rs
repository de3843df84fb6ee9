//! Who is let in: a user's name and password, or a token.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::files::{FileError, read_file};
use crate::secret::Secret;
use crate::tls::{Recipe, key_is_open};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In the configuration itself.
    Given(Secret),
    /// In a file; white space around it does not count.
    File(PathBuf),
}

/// What the configuration says (`server.basic_auth`, `server.bearer_token`). Either lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// A user's name, without a colon, and the password.
    pub basic: Option<(String, SecretSource)>,
    /// The token.
    pub bearer: Option<SecretSource>,
}

impl AuthSettings {
    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.basic.is_none() && self.bearer.is_none()
    }

    /// Reads the files and sees whether each holds a secret. What an operator should know of
    /// them, a line each.
    pub fn check(&self) -> Result<Vec<String>, FileError> {
        let contents: Result<Vec<_>, _> = self.paths().into_iter().map(read_file).collect();
        self.make(&contents?)?;
        Ok(self.paths().into_iter().filter_map(key_is_open).collect())
    }

    fn sources(&self) -> impl Iterator<Item = &SecretSource> {
        self.basic.iter().map(|(_, source)| source).chain(&self.bearer)
    }
}

impl Recipe for AuthSettings {
    type Made = Auth;

    fn paths(&self) -> Vec<&Path> {
        let file = |source| match source {
            &SecretSource::Given(_) => None,
            SecretSource::File(path) => Some(path.as_path()),
        };
        self.sources().filter_map(file).collect()
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Auth, FileError> {
        let mut contents = contents.iter();
        let mut text = |source: &SecretSource, good: fn(&str) -> Result<(), &'static str>| match source {
            // Its form was checked by whoever read the configuration.
            SecretSource::Given(secret) => Ok(secret.clone()),
            SecretSource::File(path) => {
                let bytes = contents.next().map_or(&[][..], Vec::as_slice);
                let text = std::str::from_utf8(bytes).map_err(|_| FileError::new(path, "is not UTF-8 text"))?.trim();
                good(text).map_err(|why| FileError::new(path, format!("holds {why}")))?;
                Ok(Secret::new(text))
            }
        };
        let basic = match &self.basic {
            Some((user, source)) => {
                let password = text(source, password_form)?;
                Some(tag(STANDARD.encode(format!("{user}:{}", password.expose())).as_bytes()))
            }
            None => None,
        };
        let bearer = match &self.bearer {
            Some(source) => Some(tag(text(source, token_form)?.expose().as_bytes())),
            None => None,
        };
        Ok(Auth { basic, bearer })
    }
}

/// What is wrong with a password, if anything is (RFC 7617, section 2).
pub fn password_form(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("an empty password"),
        _ if text.contains(char::is_control) => Err("a password with a line end or another control character"),
        _ => Ok(()),
    }
}

/// What is wrong with a token, if anything is: it has to fit into a header as it is.
pub fn token_form(text: &str) -> Result<(), &'static str> {
    match text {
        "" => Err("an empty token"),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => Err("a token with a space or another character that is \
                                                                  not visible ASCII"),
        _ => Ok(()),
    }
}

/// Tells who is let in, without keeping what they have to know.
pub struct Auth {
    basic: Option<hmac::Tag>,
    bearer: Option<hmac::Tag>,
}

impl Auth {
    /// Whether `authorization`, the field as it was sent, is good.
    ///
    /// How long this takes depends on what was sent, never on how much of it is right: both
    /// sides become digests of one length, and those are compared in constant time.
    pub fn admits(&self, authorization: &Secret) -> bool {
        let Some((scheme, sent)) = authorization.expose().split_once(' ') else { return false };
        let expected = if scheme.eq_ignore_ascii_case("basic") {
            &self.basic
        } else if scheme.eq_ignore_ascii_case("bearer") {
            &self.bearer
        } else {
            return false;
        };
        let sent = sent.trim_matches(' ').as_bytes();
        expected.as_ref().is_some_and(|tag| hmac::verify(&key(), sent, tag.as_ref()).is_ok())
    }

    /// What a client is told that it may show.
    pub fn challenges(&self) -> Vec<&'static str> {
        let basic = self.basic.as_ref().map(|_| r#"Basic realm="metricsd", charset="UTF-8""#);
        let bearer = self.bearer.as_ref().map(|_| r#"Bearer realm="metricsd""#);
        basic.into_iter().chain(bearer).collect()
    }
}

fn tag(text: &[u8]) -> hmac::Tag {
    hmac::sign(&key(), text)
}

/// No secret: HMAC stands here for a digest that comes with a comparison in constant time.
fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"metricsd")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> SecretSource {
        SecretSource::Given(Secret::new(text))
    }

    fn admits(settings: &AuthSettings, authorization: &str) -> bool {
        settings.make(&[]).unwrap().admits(&Secret::new(authorization))
    }

    #[test]
    fn either_lets_in_and_nothing_else_does() {
        // RFC 7617's own example.
        let basic = Some(("Aladdin".to_owned(), given("open sesame")));
        let both = AuthSettings { basic: basic.clone(), bearer: Some(given("abc.def")) };
        let basic_alone = AuthSettings { basic, bearer: None };
        for (authorization, basic_is_enough) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", true),
            ("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", true),
            ("Bearer abc.def", false),
            ("BEARER abc.def", false),
        ] {
            assert!(admits(&both, authorization), "{authorization}");
            assert_eq!(admits(&basic_alone, authorization), basic_is_enough, "{authorization}");
        }
        for authorization in [
            "",
            "Basic",
            "Basic ",
            "Bearer",
            "Bearer ",
            "Bearer abc.de",
            "Bearer abc.deff",
            "Bearer Abc.def",
            "Basic abc.def",
            "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
            "Basic Aladdin:open sesame",
            "Digest username=\"Aladdin\"",
            "abc.def",
        ] {
            assert!(!admits(&both, authorization), "{authorization}");
        }
    }

    #[test]
    fn challenges_name_what_is_configured() {
        let auth = AuthSettings { basic: None, bearer: Some(given("x")) }.make(&[]).unwrap();
        assert_eq!(auth.challenges(), [r#"Bearer realm="metricsd""#]);
        let auth = AuthSettings { basic: Some(("u".to_owned(), given("p"))), bearer: None }.make(&[]).unwrap();
        assert_eq!(auth.challenges(), [r#"Basic realm="metricsd", charset="UTF-8""#]);
    }

    #[test]
    fn a_file_holds_the_secret_and_maybe_a_line_end() {
        let file = |name: &str| SecretSource::File(PathBuf::from(name));
        let settings = AuthSettings { basic: Some(("u".to_owned(), file("p"))), bearer: Some(file("t")) };
        let made = |password: &[u8], token: &[u8]| settings.make(&[password.to_vec(), token.to_vec()]);
        let auth = made("pässword\r\n".as_bytes(), b"\ttoken \n").unwrap();
        assert!(auth.admits(&Secret::new(format!("Basic {}", STANDARD.encode("u:pässword")))));
        assert!(auth.admits(&Secret::new("Bearer token")));
        for (password, token, why) in [
            (&b"a\nb"[..], &b"t"[..], "p: holds a password with a line end or another control character"),
            (b"\xff", b"t", "p: is not UTF-8 text"),
            (b"p", b"a b", "t: holds a token with a space or another character that is not visible ASCII"),
        ] {
            assert_eq!(made(password, token).err().unwrap().to_string(), why);
        }
    }
}
