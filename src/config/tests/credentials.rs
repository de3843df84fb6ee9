//! Credentials and proxies: of one kind, sendable, and in no message.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::http::Authorization;

#[test]
fn secrets_are_in_no_message() {
    let env = [("TOKEN", "hunter2"), ("MC_SHIPPER_ENDPOINT", "http://u:hunter2@h:0/?k=hunter2")];
    for text in [
        r#"{"shipper": {"type": "http_json", "endpoint": "ftp://u:hunter2@h/?k=hunter2"}}"#,
        r#"{"shipper": {"type": "http_json", "endpoint": "ftp://u:${TOKEN}@h/"}}"#,
        r#"{"shipper": {"type": "${TOKEN}"}}"#,
        r#"{"shipper": {"type": "stdout", "naming": "${TOKEN}", "name": "/${TOKEN}"}}"#,
        r#"{"shipper": "http://u:hunter2@h/"}"#,
        r#"{"shipper": {"type": "file", "endpoint": "http://u:hunter2@h/"}}"#,
        r#"{"collector": {"disk": {"include": ["(${TOKEN}"]}}}"#,
    ] {
        for env in [&env[..], &env[..1]] {
            for line in problems_with(text, env) {
                assert!(!line.contains("hunter2"), "{line}");
            }
        }
    }
    let config = loaded(r#"{"shipper": {"type": "http_json", "endpoint": "http://u:hunter2@h/?k=hunter2"}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn credentials_are_of_one_kind() {
    let authorization = |more: &str| http_of(&shipper(more), &[("T", "tok")]).credentials.authorization;
    assert_eq!(authorization(""), Authorization::None);
    assert_eq!(
        authorization(r#", "basic_auth": {"username": "u", "password": ""}"#),
        Authorization::Basic(Secret::new("u"), given(""))
    );
    assert_eq!(authorization(r#", "bearer_token": "${T}""#), Authorization::Bearer(given("tok")));
    let sigv4 = r#", "sigv4": {"region": "eu-central-1", "access_key_id": "AKID", "secret_access_key": "k"}"#;
    assert!(matches!(authorization(sigv4), Authorization::SigV4(sigv4) if sigv4.service == "aps"));
    let oauth2 = r#", "oauth2": {"token_url": "https://idp/t", "client_id": "c", "client_secret": "s",
        "scopes": ["a", "b"], "endpoint_params": {"audience": "x"}}"#;
    assert!(matches!(authorization(oauth2), Authorization::OAuth2(oauth) if oauth.scopes.len() == 2));

    let user_info = r#"{"shipper": {"type": "http_json", "endpoint": "http://u%40x:p%3Ass@h:1/x?y"}}"#;
    let http = http_of(user_info, &[]);
    assert_eq!(http.endpoint.as_str(), "http://h:1/x?y");
    assert_eq!(http.credentials.authorization, Authorization::Basic(Secret::new("u@x"), given("p:ss")));

    let bearer = r#", "bearer_token": "x""#;
    for more in [
        r#", "basic_auth": {"username": "u", "password": "p"}"#,
        r#", "headers": {"authorization": "Bearer y"}"#,
        oauth2,
        sigv4,
    ] {
        let error = problem(&shipper(&format!("{bearer}{more}")));
        assert!(error.contains(" given together; a request has one Authorization"), "{error}");
    }
    let error = problem(&user_info.replace(r#"x?y""#, &format!(r#"x?y"{bearer}"#)));
    assert!(error.contains("bearer_token and the user info of endpoint are given together"), "{error}");
}

#[test]
fn credentials_that_cannot_be_sent_are_refused_and_never_quoted() {
    for (more, why) in [
        (r#""basic_auth": {"username": "hunter2:x", "password": "p"}"#, "a user without a colon"),
        (r#""basic_auth": {"username": "u"}"#, "shipper.basic_auth: has no password"),
        (r#""basic_auth": {"password": "hunter2"}"#, "shipper.basic_auth.username: required"),
        (r#""basic_auth": {"username": "u", "password": 12345678}"#, "password: expected a string, got a number"),
        (r#""basic_auth": "u:hunter2""#, "shipper.basic_auth: expected an object, got a string"),
        (r#""basic_auth": {"username": "u", "password": "hunter2", "password_file": "f"}"#, "given together; keep one"),
        (r#""bearer_token": "hunter2\nX-Evil: 1""#, "holds a line break"),
        (r#""bearer_token": """#, "bearer_token: is empty"),
        (r#""bearer_token": "Bearer hunter2""#, "give the token alone"),
        (r#""bearer_token": "hunter2é""#, "not visible ASCII"),
        (r#""bearer_token": ["hunter2"]"#, "expected a string, got a list"),
        (r#""bearer_token_file": "/nothing/here""#, "bearer_token_file: /nothing/here: no such file"),
        (r#""bearer_token_file": "/""#, "is a directory"),
        (r#""headers": {"Host": "hunter2"}"#, "is set by HTTP"),
        (r#""headers": {"content-TYPE": "hunter2"}"#, "is set by HTTP"),
        (r#""headers": {"a b": "hunter2"}"#, "is no header's name"),
        (r#""headers": {"X-A": "hunter2", "x-a": "hunter2"}"#, "is given twice"),
        (r#""headers": {"X-A": "hunter2\u0000"}"#, "control character"),
        (r#""headers": {"X-A": 12345678}"#, "expected a string, got a number"),
        (r#""headers": {"X-A": {"fil": "x"}}"#, "did you mean \"file\"?"),
        (r#""headers": "X-A: hunter2""#, "headers: expected an object, got a string"),
        (r#""oauth2": {"client_id": "c", "client_secret": "hunter2"}"#, "shipper.oauth2.token_url: required"),
        (r#""oauth2": {"token_url": "https://c:hunter2@h/", "client_id": "c", "client_secret": "s"}"#, "user info"),
        (r#""oauth2": {"token_url": "https://h/", "client_id": "c"}"#, "has no client_secret"),
        (
            r#""oauth2": {"token_url": "https://h/", "client_id": "c", "client_secret": "s", "scopes": ["a b"]}"#,
            "one scope",
        ),
        (r#""sigv4": {"region": "r", "secret_access_key": "hunter2"}"#, "shipper.sigv4.access_key_id: required"),
        (r#""sigv4": {"region": "a/b", "access_key_id": "A", "secret_access_key": "hunter2"}"#, "letters, digits"),
        (r#""proxy_url": "http://u:hunter2@p/path""#, "has a path"),
        (r#""proxy_url": "socks5://u:hunter2@p:1""#, "unknown scheme"),
    ] {
        let all = problems(&shipper(&format!(", {more}")));
        assert!(all.iter().any(|line| line.contains(why)), "{more}: {all:#?}");
        let text = all.join("\n");
        assert!(why == "a user without a colon" || !text.contains("hunter2"), "{text}");
        assert!(!text.contains("12345678"), "{text}");
    }
}

#[test]
fn the_way_goes_through_the_proxy_that_was_named_or_that_of_the_environment() {
    let to = |endpoint: &str, more: &str, env: &[(&str, &str)]| {
        let text = format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "{endpoint}"{more}}}}}"#);
        http_of(&text, env).proxy.map(|url| url.as_str().to_owned())
    };
    let env = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"), ("NO_PROXY", "internal,10.0.0.0/8")];
    assert_eq!(to("https://h/", "", &env).as_deref(), Some("http://s:1"));
    assert_eq!(to("http://h/", "", &env).as_deref(), Some("http://p:2"));
    assert_eq!(to("http://a.internal/", "", &env), None);
    assert_eq!(to("http://10.9.9.9:80/", "", &env), None);
    assert_eq!(to("http://localhost:9090/", "", &env), None);
    assert_eq!(to("http://h/", r#", "proxy_url": """#, &env), None);
    assert_eq!(to("http://10.9.9.9/", r#", "proxy_url": "http://own:3""#, &env).as_deref(), Some("http://own:3"));
    // Small letters first.
    assert_eq!(
        to("http://h/", "", &[("HTTP_PROXY", "http://a"), ("http_proxy", "http://b")]).as_deref(),
        Some("http://b")
    );
    let bad = problems_with(&shipper(""), &[("HTTP_PROXY", "socks5://u:hunter2@p:1")]);
    assert_eq!(
        bad,
        [
            "HTTP_PROXY: shipper.proxy_url: its value has an unknown scheme; use http:// or https://; proxy_url \"\" goes \
          without a proxy"
        ]
    );
    // Whoever needs no proxy is not bothered by one.
    loaded_with(r#"{"shipper": {"type": "stdout"}}"#, &[("HTTP_PROXY", "socks5://p:1")]);
}

#[test]
fn a_secret_file_that_others_may_read_is_warned_of() {
    let path = std::env::temp_dir().join(format!("metricsd-open-{}", std::process::id()));
    fs::write(&path, "hunter2\n").unwrap();
    let text = shipper(&format!(r#", "headers": {{"X-Key": {{"file": {path:?}}}}}"#));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(loaded(&text).warnings, [""; 0]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = loaded(&text).warnings;
    assert!(warnings[0].contains("every user of this machine may read this file; chmod o-r it"), "{warnings:?}");
    fs::write(&path, "").unwrap();
    assert!(problem(&text).ends_with("is empty"), "{}", problem(&text));
    fs::remove_file(&path).unwrap();
}

#[test]
fn credentials_in_the_clear_are_warned_of() {
    let warnings = |endpoint: &str, more: &str| {
        let text = format!(r#"{{"shipper": {{"type": "http_json", "endpoint": "{endpoint}"{more}}}}}"#);
        loaded(&text).warnings
    };
    let said = "credentials pass over the network in the clear; write https://";
    let basic = r#", "basic_auth": {"username": "u", "password": "hunter2"}"#;
    let oauth2 =
        |url: &str| format!(r#", "oauth2": {{"token_url": "{url}", "client_id": "c", "client_secret": "hunter2"}}"#);
    for (endpoint, more, fields) in [
        ("http://h/", "", &[][..]),
        ("http://h/", basic, &["shipper.endpoint"]),
        ("http://u:hunter2@h/", "", &["shipper.endpoint"]),
        ("http://h/", r#", "bearer_token": "hunter2""#, &["shipper.endpoint"]),
        ("http://h/", r#", "headers": {"authorization": "Key hunter2"}"#, &["shipper.endpoint"]),
        ("http://h/", r#", "headers": {"X-Scope-OrgID": "team"}"#, &[]),
        ("https://h/", basic, &[]),
        ("http://127.0.0.1:9090/", basic, &[]),
        ("http://[::1]/", basic, &[]),
        ("http://localhost/", basic, &[]),
        ("https://h/", &oauth2("http://idp/t"), &["shipper.oauth2.token_url"]),
        ("https://h/", &oauth2("https://idp/t"), &[]),
        ("http://h/", &oauth2("http://idp/t"), &["shipper.endpoint", "shipper.oauth2.token_url"]),
        ("http://h/", r#", "sigv4": {"region": "r", "access_key_id": "A", "secret_access_key": "hunter2"}"#, &[]),
    ] {
        let warnings = warnings(endpoint, more);
        assert_eq!(warnings.len(), fields.len(), "{warnings:?}");
        for (warning, field) in warnings.iter().zip(fields) {
            assert!(warning.ends_with(&format!(": {field}: {said}")), "{warning}");
        }
    }
}
