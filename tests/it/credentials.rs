//! What a destination is shown to let us in, how it is kept in step with its files, and the
//! way through a proxy.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::peer::{Peer, Received, Reply};
use crate::support::program::{Daemon, TempDir, free_port, metricsd};
use crate::support::proxy::{Conduct, Proxy};
use crate::support::wait_for;

/// An answer whose body is made up on the way.
pub fn answer(status: u16, body: String) -> Reply {
    Reply::Answer(status, Vec::new(), body.leak())
}

/// A program with one `http_json` destination at `endpoint`; `more` begins with a comma.
fn start(dir: &Path, endpoint: &str, more: &str) -> Daemon {
    start_with(dir, endpoint, more, &[])
}

fn start_with(dir: &Path, endpoint: &str, more: &str, env: &[(&str, &str)]) -> Daemon {
    let port = free_port();
    let config = format!(
        r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.05}},
            "shipper": {{"name": "remote", "type": "http_json", "endpoint": "{endpoint}"{more}}}}}"#
    );
    let path = dir.join("config.json");
    std::fs::write(&path, config).unwrap();
    Daemon::spawn(metricsd().arg("-config").arg(&path).envs(env.iter().copied()), port)
}

/// The first request to a peer that takes everything.
fn first_request(endpoint: impl Fn(&Peer) -> String, more: &str, env: &[(&str, &str)]) -> Received {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let _daemon = start_with(dir.path(), &endpoint(&peer), more, env);
    wait_for("a request", || peer.received().first().cloned())
}

/// When what a request holds was collected.
fn time_of(request: &Received) -> i64 {
    serde_json::from_slice::<serde_json::Value>(&request.body).unwrap()["timestamp_ms"].as_i64().unwrap()
}

fn last_error(daemon: &Daemon) -> String {
    wait_for("an error in /health", || {
        let (_, page) = daemon.get("/health")?;
        let health: serde_json::Value = serde_json::from_str(&page).ok()?;
        Some(health["destinations"]["remote"]["last_error"].as_str()?.to_owned())
    })
}

#[test]
fn each_kind_of_credential_arrives_as_it_should() {
    let plain = |peer: &Peer| peer.url("/in");
    let authorization = |more: &str| first_request(plain, more, &[]).header("authorization").map(str::to_owned);
    assert_eq!(authorization(""), None);
    // RFC 7617, section 2.
    assert_eq!(
        authorization(r#", "basic_auth": {"username": "Aladdin", "password": "open sesame"}"#).as_deref(),
        Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    );
    let dir = TempDir::new();
    let file = dir.write("secret", "open sesame\n");
    let from_file = format!(r#", "basic_auth": {{"username": "Aladdin", "password_file": {file:?}}}"#);
    assert_eq!(authorization(&from_file).as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(authorization(r#", "bearer_token": "mF_9.B5f-4.1JqM""#).as_deref(), Some("Bearer mF_9.B5f-4.1JqM"));
    let from_file = format!(r#", "bearer_token_file": {:?}"#, dir.write("token", "mF_9"));
    assert_eq!(authorization(&from_file).as_deref(), Some("Bearer mF_9"));

    let in_url = |peer: &Peer| format!("http://Aladdin:open%20sesame@{}/in", peer.address);
    let request = first_request(in_url, "", &[]);
    assert_eq!(request.header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert_eq!(request.line, "POST /in HTTP/1.1");

    let more = format!(
        r#", "headers": {{"X-Scope-OrgID": "team-1", "User-Agent": "mine/1", "X-Key": "${{KEY}}", "X-File": {{"file": {file:?}}}}}"#
    );
    let request = first_request(plain, &more, &[("KEY", "k1")]);
    for (name, value) in
        [("x-scope-orgid", "team-1"), ("user-agent", "mine/1"), ("x-key", "k1"), ("x-file", "open sesame")]
    {
        let all: Vec<_> = request.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        assert_eq!(all, [value], "{name}");
    }
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[test]
fn requests_to_amazon_are_signed() {
    let more = r#", "sigv4": {"region": "eu-central-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "s3cr3t",
        "session_token": "s3cr3t-session"}"#;
    let request = first_request(|peer| peer.url("/workspaces/ws-1/api/v1/remote_write"), more, &[]);
    let date = request.header("x-amz-date").unwrap();
    assert!(date.len() == 16 && date.ends_with('Z') && date.contains('T'), "{date}");
    assert_eq!(request.header("x-amz-security-token"), Some("s3cr3t-session"));
    let authorization = request.header("authorization").unwrap();
    let scope = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/eu-central-1/aps/aws4_request, ", &date[..8]);
    assert!(authorization.starts_with(&scope), "{authorization}");
    assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="));
}

#[test]
fn a_new_token_in_the_file_delivers_what_was_held_without_a_restart() {
    let dir = TempDir::new();
    let token = dir.write("token", "s3cr3t-expired\n");
    let peer = Peer::start(|_, request| match request.header("authorization") {
        Some("Bearer s3cr3t-renewed") => Reply::status(200),
        _ => Reply::status(401),
    });
    let daemon = start(dir.path(), &peer.url("/in"), &format!(r#", "bearer_token_file": {token:?}"#));
    let first = wait_for("a refusal", || peer.received().first().cloned());
    wait_for("the hold", || daemon.log().contains(": answered 401 Unauthorized; ").then_some(()));
    // A minute would have to pass before the next attempt.
    std::fs::write(dir.path().join("next"), "s3cr3t-renewed\n").unwrap();
    std::fs::rename(dir.path().join("next"), &token).unwrap();
    let taken = || -> Vec<Received> {
        peer.received().into_iter().filter(|r| r.header("authorization") == Some("Bearer s3cr3t-renewed")).collect()
    };
    wait_for("deliveries", || (taken().len() >= 10).then_some(()));
    assert_eq!(time_of(&taken()[0]), time_of(&first), "the one that was refused comes first");
    assert_eq!(
        daemon.metric(r#"metricsd_destination_samples_dropped_total{destination="remote",reason="rejected"}"#),
        Some(0.0)
    );

    // Whoever writes the file truncates it first.
    for broken in ["", "s3cr3t\nlines\n", "s3cr3t\0"] {
        std::fs::write(dir.path().join("next"), broken).unwrap();
        std::fs::rename(dir.path().join("next"), &token).unwrap();
        let (before, log) = (taken().len(), "the last good secrets stay in use");
        wait_for("a line about the file", || daemon.log().contains(log).then_some(()));
        wait_for("more deliveries", || (taken().len() >= before + 5).then_some(()));
    }
    assert_eq!(daemon.log().matches("is empty; the last good secrets stay in use").count(), 1, "{}", daemon.log());
    assert!(!peer.received().iter().skip(1).any(|r| r.header("authorization") == Some("Bearer s3cr3t")));
    std::fs::remove_file(&token).unwrap();
    wait_for("a line about the file", || daemon.log().contains("no such file; the last good").then_some(()));
}

/// A server of tokens: hands out `s3cr3t-0`, `s3cr3t-1`, ...
fn token_server(body: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Peer {
    Peer::start(move |number, _| body(number))
}

fn fresh(number: usize, expires_in: u64) -> Reply {
    answer(200, format!(r#"{{"access_token": "s3cr3t-{number}", "token_type": "Bearer", "expires_in": {expires_in}}}"#))
}

fn oauth(tokens: &Peer, more: &str) -> String {
    format!(
        r#", "retry": {{"min_backoff": "1ms", "max_backoff": "20ms"}}, "oauth2": {{"token_url": "{}",
            "client_id": "client 1", "client_secret": "s&s3cr3t", "scopes": ["write", "more"],
            "endpoint_params": {{"audience": "https://x/"}}}}{more}"#,
        tokens.url("/token?x=1")
    )
}

#[test]
fn all_workers_share_one_token_and_one_question_for_it() {
    let dir = TempDir::new();
    let tokens = token_server(|number| {
        std::thread::sleep(Duration::from_millis(400));
        fresh(number, 3600)
    });
    let peer = Peer::start(|_, _| Reply::status(200));
    let _daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, r#", "workers": 4"#));
    wait_for("deliveries", || (peer.received().len() >= 30).then_some(()));
    assert!(peer.received().iter().all(|r| r.header("authorization") == Some("Bearer s3cr3t-0")));
    let asked = tokens.received();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, "POST /token?x=1 HTTP/1.1");
    // `client+1:s%26s3cr3t`, as RFC 6749 writes client credentials.
    assert_eq!(asked[0].header("authorization"), Some("Basic Y2xpZW50KzE6cyUyNnMzY3IzdA=="));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    let body = String::from_utf8(asked[0].body.clone()).unwrap();
    assert_eq!(body, "grant_type=client_credentials&scope=write+more&audience=https%3A%2F%2Fx%2F");
}

#[test]
fn a_token_is_renewed_before_it_ends_and_one_at_a_time() {
    let dir = TempDir::new();
    let under_way = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, max) = (Arc::clone(&under_way), Arc::clone(&most));
    let tokens = token_server(move |number| {
        max.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        now.fetch_sub(1, Ordering::SeqCst);
        fresh(number, 8)
    });
    let issued = Instant::now();
    let peer = Peer::start(|_, _| Reply::status(200));
    let _daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, r#", "workers": 3"#));
    wait_for("a second token", || {
        peer.received().iter().any(|r| r.header("authorization") == Some("Bearer s3cr3t-1")).then_some(())
    });
    // In the last quarter of its life.
    let asked = tokens.received();
    let age = asked[1].at - asked[0].at;
    assert!(age >= Duration::from_millis(5900), "renewed after {age:?}");
    assert!(issued.elapsed() >= age);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn a_revoked_token_is_exchanged_at_once() {
    let dir = TempDir::new();
    let tokens = token_server(|number| fresh(number, 3600));
    let peer = Peer::start(|number, request| match request.header("authorization") {
        Some("Bearer s3cr3t-0") if number >= 5 => Reply::status(401),
        _ => Reply::status(200),
    });
    let daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, ""));
    wait_for("deliveries", || (peer.received().len() >= 20).then_some(()));
    let received = peer.received();
    let refused = received.iter().position(|r| time_of(r) == time_of(&received[5])).unwrap();
    assert_eq!(refused, 5);
    assert_eq!(time_of(&received[6]), time_of(&received[5]), "the same body, tried again");
    assert_eq!(received[6].header("authorization"), Some("Bearer s3cr3t-1"));
    assert!(received[6].at - received[5].at < Duration::from_secs(30), "without the pause of a hold");
    assert_eq!(tokens.received().len(), 2);
    assert!(!daemon.log().contains("refuses"), "{}", daemon.log());
}

#[test]
fn a_destination_that_refuses_new_tokens_too_is_held() {
    let dir = TempDir::new();
    let tokens = token_server(|number| fresh(number, 3600));
    let peer = Peer::start(|_, _| Reply::status(401));
    let daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, ""));
    wait_for("the hold", || daemon.log().contains(": answered 401 Unauthorized; ").then_some(()));
    wait_for("a second request", || (peer.received().len() >= 2).then_some(()));
    assert_eq!((peer.received().len(), tokens.received().len()), (2, 2));
}

#[test]
fn a_token_server_that_fails_costs_no_data_and_is_named() {
    for (reply, why) in [
        (
            answer(401, r#"{"error": "invalid_client", "error_description": "no s&s3cr3t"}"#.to_owned()),
            "answered 401: invalid_client; check client_id and client_secret",
        ),
        (answer(200, "[]".to_owned()), "no access_token"),
        (Reply::Endless, "its answer has more than 65536 bytes"),
        (Reply::Reset, "reset"),
        (Reply::Raw(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n"), "answered 302"),
    ] {
        let dir = TempDir::new();
        let mended = Arc::new(AtomicBool::new(false));
        let is_mended = Arc::clone(&mended);
        let tokens = token_server(
            move |number| {
                if is_mended.load(Ordering::SeqCst) { fresh(number, 3600) } else { reply.clone() }
            },
        );
        let peer = Peer::start(|_, _| Reply::status(200));
        let daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, ""));
        let error = last_error(&daemon);
        let prefix = format!("token endpoint http://{}/token?***: ", tokens.address);
        assert!(error.starts_with(&prefix) && error.contains(why), "{why}: {error}");
        assert!(!error.contains("s3cr3t"), "{error}");
        assert!(tokens.poured() < 16 << 20, "{}", tokens.poured());
        assert_eq!(peer.received().len(), 0);
        mended.store(true, Ordering::SeqCst);
        wait_for("deliveries", || (peer.received().len() >= 3).then_some(()));
    }
}

#[test]
fn a_proxy_is_asked_for_a_way_with_its_credentials_and_resolves_the_name() {
    let dir = TempDir::new();
    let peer = Peer::start(|_, _| Reply::status(200));
    let proxy = Proxy::start(Conduct::Through(peer.address));
    let more = format!(r#", "proxy_url": "http://Aladdin:open%20sesame@{}""#, proxy.address);
    let daemon = start(dir.path(), "http://nobody.invalid/in", &more);
    wait_for("deliveries", || (peer.received().len() >= 10).then_some(()));
    // Each request is one to the proxy, which would not lead to a port of `http://`.
    for head in &proxy.heads()[..10] {
        assert!(head.starts_with("POST http://nobody.invalid/in HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{head}");
    }
    let request = &peer.received()[0];
    assert_eq!((&*request.line, request.header("host")), ("POST /in HTTP/1.1", Some("nobody.invalid")));
    assert!(request.headers.iter().all(|(name, _)| !name.starts_with("proxy-")));
    let line = format!("http_json to http://nobody.invalid/in through the proxy http://***@{}", proxy.address);
    assert!(daemon.log().contains(&line), "{}", daemon.log());
}

#[test]
fn the_environments_proxies_count_where_none_is_named() {
    let peer = Peer::start(|_, _| Reply::status(200));
    let proxy = Proxy::start(Conduct::Through(peer.address));
    let url = format!("http://{}", proxy.address);
    for (name, endpoint, head) in [
        ("http_proxy", "http://nobody.invalid/in", "POST http://nobody.invalid/in "),
        ("HTTP_PROXY", "http://nobody.invalid:8080/in", "POST http://nobody.invalid:8080/in "),
        ("all_proxy", "http://nobody.invalid/in", "POST http://nobody.invalid/in "),
        ("ALL_PROXY", "https://nobody.invalid/in", "CONNECT nobody.invalid:443 "),
        // The peer does not speak TLS; that it is asked for is what counts.
        ("HTTPS_PROXY", "https://nobody.invalid/in", "CONNECT nobody.invalid:443 "),
        ("https_proxy", "https://[2001:db8::1]/in", "CONNECT [2001:db8::1]:443 "),
    ] {
        let dir = TempDir::new();
        let before = proxy.heads().len();
        let _daemon =
            start_with(dir.path(), endpoint, r#", "timeout": "5s""#, &[(name, &url), ("NO_PROXY", "other.invalid")]);
        let asked = wait_for("a request", || proxy.heads().get(before).cloned());
        assert!(asked.starts_with(head), "{name}: {asked}");
    }
    // Exempt, switched off, and not for this scheme: nobody is asked.
    for (more, env) in [
        ("", [("http_proxy", &*url), ("no_proxy", "peer.invalid,127.0.0.0/8")]),
        ("", [("ALL_PROXY", &url), ("NO_PROXY", "127.0.0.1")]),
        (r#", "proxy_url": """#, [("http_proxy", &url), ("NO_PROXY", "")]),
        ("", [("https_proxy", &url), ("NO_PROXY", "")]),
    ] {
        let dir = TempDir::new();
        let (before, asked) = (peer.received().len(), proxy.heads().len());
        let _daemon = start_with(dir.path(), &peer.url("/in"), more, &env);
        wait_for("deliveries", || (peer.received().len() >= before + 3).then_some(()));
        assert_eq!(proxy.heads().len(), asked);
    }
}

#[test]
fn a_token_is_fetched_through_the_proxy_too() {
    let dir = TempDir::new();
    let tokens = token_server(|number| fresh(number, 3600));
    let proxy = Proxy::start(Conduct::Through(tokens.address));
    let more = format!(
        r#", "proxy_url": "http://{}", "oauth2": {{"token_url": "http://idp.invalid/t", "client_id": "c", "client_secret": "s"}}"#,
        proxy.address
    );
    let _daemon = start(dir.path(), "http://nobody.invalid/in", &more);
    let heads = wait_for("both ways", || Some(proxy.heads()).filter(|heads| heads.len() >= 2));
    assert!(heads[0].starts_with("POST http://idp.invalid/t "), "{}", heads[0]);
    assert!(heads[1].starts_with("POST http://nobody.invalid/in "), "{}", heads[1]);
}

#[test]
fn a_proxy_that_fails_is_named_with_the_cause_and_costs_no_data() {
    let wanted = Conduct::Say("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let unknown = "the proxy answered 407: it wants credentials: write http://user:password@host:port as proxy_url";
    let wrong = "the proxy answered 407: it refuses the user or the password in proxy_url";
    let (tunnel, plain) = ("https://nobody.invalid/in", "http://nobody.invalid/in");
    for (endpoint, conduct, user, why) in [
        (tunnel, wanted, "", unknown),
        (tunnel, wanted, "u:s3cr3t@", wrong),
        (
            tunnel,
            Conduct::Say("HTTP/1.1 401 Unauthorized\r\n\r\n"),
            "u:s3cr3t@",
            "the proxy answered 401: it refuses the user or the password in proxy_url",
        ),
        (tunnel, Conduct::Say("HTTP/1.1 403 No\r\n\r\n"), "", "it does not allow CONNECT to nobody.invalid:443"),
        (tunnel, Conduct::Say("HTTP/1.1 405 No\r\n\r\n"), "", "it does not know CONNECT"),
        (tunnel, Conduct::Say("HTTP/1.1 502 No\r\n\r\n"), "", "it cannot reach nobody.invalid:443"),
        (tunnel, Conduct::Say("SSH-2.0-OpenSSH_9.2\r\n\r\n"), "", "it does not answer CONNECT in HTTP"),
        (tunnel, Conduct::Say(""), "", "it closed the connection instead of answering CONNECT"),
        (tunnel, Conduct::Hang, "", "timeout"),
        (tunnel, Conduct::Flood(10 << 20), "", "its answer to CONNECT has more than 8192 bytes of headers"),
        // What a proxy says where the server would is not of the data.
        (plain, wanted, "", unknown),
        (plain, wanted, "u:s3cr3t@", wrong),
        (
            plain,
            Conduct::Say("HTTP/1.1 400 Bad Request\r\nX-Squid-Error: ERR_INVALID_REQ 0\r\n\r\n"),
            "",
            "the proxy answered 400: it does not pass the request on",
        ),
        (
            plain,
            Conduct::Say("HTTP/1.1 403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\n\r\n"),
            "",
            "the proxy answered 403: it does not allow requests to this server",
        ),
        (
            plain,
            Conduct::Say("HTTP/1.1 503 No\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\n\r\n"),
            "",
            "the proxy answered 503: it cannot reach the server",
        ),
        // Others do not say that it is theirs, but do in what they pass on.
        (
            plain,
            Conduct::Say("HTTP/1.1 403 Filtered\r\nServer: tinyproxy/1.11\r\nContent-Length: 0\r\n\r\n"),
            "",
            "403 Forbidden; this may be the proxy's own answer: it has to allow requests to this server; else no credentials",
        ),
        (
            plain,
            Conduct::Say("HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n"),
            "",
            "405 Method Not Allowed; this may be the proxy's own answer: it has to allow requests to this server; else \
             check the path of endpoint",
        ),
        (
            plain,
            Conduct::Say("HTTP/1.1 405 No\r\nVia: 1.1 tinyproxy (tinyproxy/1.11)\r\nContent-Length: 0\r\n\r\n"),
            "",
            "405 Method Not Allowed; check the path of endpoint",
        ),
        (plain, Conduct::Hang, "", "no complete answer within 500ms"),
    ] {
        let dir = TempDir::new();
        let proxy = Proxy::start(conduct);
        let more = format!(r#", "timeout": "500ms", "proxy_url": "http://{user}{}""#, proxy.address);
        let daemon = start(dir.path(), endpoint, &more);
        let error = last_error(&daemon);
        let way = format!("{endpoint} through the proxy http://{}: ", proxy.address);
        assert!(error.starts_with(&way) && error.contains(why), "{why}: {error}");
        assert!(!daemon.log().contains("s3cr3t"), "{}", daemon.log());
        // What the kernel buffers on both sides goes out unread.
        assert!(proxy.poured() <= 8 << 20, "{}", proxy.poured());
        let dropped = r#"metricsd_destination_samples_dropped_total{destination="remote",reason="rejected"}"#;
        assert_eq!(daemon.metric(dropped), Some(0.0));
    }
}

#[test]
fn all_workers_say_once_that_there_is_no_token() {
    let dir = TempDir::new();
    let tokens = token_server(|_| answer(401, r#"{"error": "invalid_client"}"#.to_owned()));
    let peer = Peer::start(|_, _| Reply::status(200));
    let daemon = start(dir.path(), &peer.url("/in"), &oauth(&tokens, r#", "workers": 4"#));
    wait_for("questions", || (tokens.received().len() >= 10).then_some(()));
    let said = "answered 401: invalid_client; check client_id and client_secret";
    assert_eq!(daemon.log().matches(said).count(), 1, "{}", daemon.log());
}

#[test]
fn a_new_cause_has_its_line_at_once() {
    let dir = TempDir::new();
    let peer = Peer::start(|number, _| match number {
        0..=5 => Reply::Answer(500, vec![], "request 17 failed"),
        // A connection that was kept, and the new one on which the request goes once more.
        6 | 7 => Reply::Reset,
        _ => Reply::status(401),
    });
    let daemon = start(dir.path(), &peer.url("/in"), "");
    for line in [
        "answered 500 Internal Server Error: request 17 failed",
        "the connection was reset by the peer",
        "answered 401 Unauthorized",
    ] {
        wait_for(line, || daemon.log().to_lowercase().contains(&line.to_lowercase()).then_some(()));
    }
    assert_eq!(daemon.log().matches("answered 500").count(), 1, "{}", daemon.log());
}
