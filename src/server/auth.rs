//! Who is let in: a user's name and password, or a token.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::files::{FileError, Recipe};
use crate::secret::{Form, Secret, Source};

/// What the configuration says (`server.basic_auth`, `server.bearer_token`). Either lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// A user's name, without a colon, and the password.
    pub basic: Option<(String, Source)>,
    /// The token.
    pub bearer: Option<Source>,
}

impl AuthSettings {
    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.basic.is_none() && self.bearer.is_none()
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        self.basic.iter().map(|(_, source)| source).chain(&self.bearer)
    }
}

impl Recipe for AuthSettings {
    type Made = Auth;

    const FILES: &'static str = "secrets";

    fn paths(&self) -> Vec<&Path> {
        self.sources().filter_map(Source::file).collect()
    }

    fn secret_paths(&self) -> Vec<&Path> {
        self.paths()
    }

    fn make(&self, contents: &[Vec<u8>]) -> Result<Auth, FileError> {
        let mut contents = contents.iter();
        let basic = match &self.basic {
            Some((user, source)) => {
                let password = source.take(&mut contents, Form::Line)?;
                Some(tag(STANDARD.encode(format!("{user}:{}", password.expose())).as_bytes()))
            }
            None => None,
        };
        let bearer = match &self.bearer {
            Some(source) => Some(tag(source.take(&mut contents, Form::Token)?.expose().as_bytes())),
            None => None,
        };
        Ok(Auth { basic, bearer })
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

    fn given(text: &str) -> Source {
        Source::Given(Secret::new(text))
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
    fn each_file_holds_its_own_secret() {
        let file = |name: &str| Source::File(name.into());
        let settings = AuthSettings { basic: Some(("u".to_owned(), file("p"))), bearer: Some(file("t")) };
        let made = |password: &[u8], token: &[u8]| settings.make(&[password.to_vec(), token.to_vec()]);
        let auth = made("pässword\r\n".as_bytes(), b"token\n").unwrap();
        assert!(auth.admits(&Secret::new(format!("Basic {}", STANDARD.encode("u:pässword")))));
        assert!(auth.admits(&Secret::new("Bearer token")));
        for (password, token, why) in [
            (&b"a\nb"[..], &b"t"[..], "p: holds a line break or another control character"),
            (b"\xff", b"t", "p: is not UTF-8 text"),
            (b"p", b"a b", "t: is a token with a space or another character that is not visible ASCII"),
        ] {
            let error = made(password, token).err().unwrap().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
