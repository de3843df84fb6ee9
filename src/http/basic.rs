//! Users and passwords, as HTTP and URLs write them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::url::percent_decoded;

/// The value of `Authorization` for a user and its password.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The user and the password of what stands before the `@` of a URL.
pub fn user_and_password(info: &str) -> (String, String) {
    let (user, password) = info.split_once(':').unwrap_or((info, ""));
    let plain = |text: &str| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    (plain(user), plain(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_as_the_specifications_have_them() {
        // RFC 7617, section 2.
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for (info, user, password) in
            [("u:p", "u", "p"), ("u%3A:p%40:x", "u:", "p@:x"), ("token", "token", ""), ("u:100%", "u", "100%")]
        {
            assert_eq!(user_and_password(info), (user.to_owned(), password.to_owned()));
        }
    }
}
