//! What is wrong in files of our own is said at `-check` and at the start.

use std::path::Path;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, date_time_ymd};

use super::World;
use crate::support::pki::{self, Authority, fixture, new_key, write_key};
use crate::support::program::{Daemon, Ran, free_port, metricsd, run};
use crate::support::tls_peer::TlsPeer;
use crate::support::wait_for;

/// `-check`, or a start, of a configuration whose `tls` has these files.
fn check(dir: &Path, fields: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let fields: String = fields.iter().map(|(field, file)| format!(",\n    \"{field}\": \"{file}\"")).collect();
    let config = dir.join("config.json");
    let text = format!(
        "{{\"shipper\": {{\"type\": \"http_json\", \"endpoint\": \"https://h/\",\n  \"tls\": {{\"enabled\": true{fields}}}}}}}"
    );
    std::fs::write(&config, text).unwrap();
    run(metricsd().current_dir(dir).args(["-config", "config.json"]).args(arguments))
}

#[test]
fn a_file_that_cannot_be_used_is_exit_78_with_its_place() {
    let world = World::new();
    let (dir, client) = (world.dir.path(), world.authority.issue(&["agent.example"]));
    let crlf = |pem: &str| pem.replace('\n', "\r\n");
    client.write(dir, "good");
    Authority::new("other").issue(&["agent.example"]).write(dir, "other");
    for (name, text) in [
        ("ca.pem", world.authority.pem.clone()),
        ("empty", String::new()),
        ("blank", "\r\n \n".to_owned()),
        ("prose", "Have a look at https://ca.example instead.\n".to_owned()),
        ("cut.pem", client.pem[..client.pem.len() - 40].to_owned()),
        ("letters.pem", client.pem.replacen("MII", "M!I", 1)),
        ("nonsense.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()),
        ("indented.pem", format!("  {}", client.pem.replace('\n', "\n  "))),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    std::fs::write(dir.join("good.der"), &client.chain[0]).unwrap();
    std::fs::write(dir.join("key.der"), client.key().secret_der()).unwrap();
    std::fs::write(dir.join("v1.crt"), fixture("p256.v1.crt")).unwrap();
    for name in ["p256.encrypted.pem", "rsa.encrypted.pem", "p521.pkcs8.pem", "p256.pkcs8.pem"] {
        write_key(&dir.join(name), &fixture(name));
    }
    std::fs::create_dir(dir.join("directory")).unwrap();

    let decrypt = "the key is encrypted; decrypt it (openssl pkey -in FILE -out FILE.plain)";
    for (fields, place, said) in [
        (&[("ca_file", "none.pem")][..], "3:16: shipper.tls.ca_file", "none.pem: no such file"),
        (&[("ca_file", "directory")], "3:16: shipper.tls.ca_file", "directory: is a directory; name the file in it"),
        (&[("ca_file", "empty")], "3:16: shipper.tls.ca_file", "empty: is empty"),
        (&[("ca_file", "blank")], "3:16: shipper.tls.ca_file", "blank: is empty"),
        (&[("ca_file", "prose")], "3:16: shipper.tls.ca_file", "prose: holds no certificate in PEM form"),
        (&[("ca_file", "cut.pem")], "3:16: shipper.tls.ca_file", "no END line; the file may be cut off"),
        (&[("ca_file", "letters.pem")], "3:16: shipper.tls.ca_file", "holds what is no base64"),
        (&[("ca_file", "nonsense.pem")], "3:16: shipper.tls.ca_file", "certificate 1 in it is garbled"),
        (&[("ca_file", "good.der")], "3:16: shipper.tls.ca_file", "it looks like DER (openssl x509 -inform der"),
        (&[("ca_file", "good.key")], "3:16: shipper.tls.ca_file", "in PEM form; it holds a private key"),
        (&[("ca_file", "indented.pem")], "3:16: shipper.tls.ca_file", "stands before its -----BEGIN"),
        (
            &[("cert_file", "good.crt"), ("key_file", "other.key")],
            "4:17: shipper.tls.key_file",
            "other.key: the private key is not this certificate's (key values mismatch)",
        ),
        (&[("cert_file", "good.key"), ("key_file", "good.key")], "4:17: ", "in PEM form; it holds a private key"),
        (&[("cert_file", "good.crt"), ("key_file", "good.crt")], "4:17: ", "SEC1); it holds a certificate"),
        (&[("cert_file", "prose"), ("key_file", "good.key")], "3:18: shipper.tls.cert_file", "prose: holds no"),
        (&[("cert_file", "nonsense.pem"), ("key_file", "good.key")], "3:18: ", "its first certificate is garbled"),
        (&[("cert_file", "good.crt"), ("key_file", "empty")], "4:17: shipper.tls.key_file", "empty: is empty"),
        (&[("cert_file", "good.crt"), ("key_file", "key.der")], "4:17: ", "openssl pkey -inform der, makes PEM"),
        (&[("cert_file", "good.crt"), ("key_file", "p256.encrypted.pem")], "4:17: shipper.tls.key_file", decrypt),
        (&[("cert_file", "good.crt"), ("key_file", "rsa.encrypted.pem")], "4:17: shipper.tls.key_file", decrypt),
        (&[("cert_file", "v1.crt"), ("key_file", "good.key")], "4:17: ", "good.key: the private key is not this"),
        (
            &[("cert_file", "good.crt"), ("key_file", "p521.pkcs8.pem")],
            "4:17: ",
            "use RSA (2048 bits or more), ECDSA (P-256, P-384) or",
        ),
    ] {
        let ran = check(dir, fields, &["-check"]);
        assert_eq!(ran.code, 78, "{fields:?}: {}", ran.stderr);
        let expected = format!("metricsd: config.json:{place}");
        assert!(ran.stderr.starts_with(&expected) && ran.stderr.contains(said), "{fields:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{}", ran.stderr);
        assert_eq!((check(dir, fields, &[]).code, ran.stdout.as_str()), (78, ""), "the start says the same");
    }

    let ran = {
        check(dir, &[], &["-check"]);
        let mut command = metricsd();
        run(command.current_dir(dir).args(["-config", "config.json", "-check"]).env("MC_TLS_CA_FILE", "none.pem"))
    };
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (78, "metricsd: MC_TLS_CA_FILE: shipper.tls.ca_file: none.pem: no such file\n")
    );

    // And what may look odd but is not: Windows' line ends and mark, both in one file, text around.
    let both = format!("Bag Attributes\n  name: x\n{}\nKey:\n{}", client.pem, client.key_pem);
    write_key(&dir.join("both.pem"), &both);
    write_key(&dir.join("windows.pem"), &format!("\u{feff}{}", crlf(&(client.key_pem.clone() + &client.pem))));
    write_key(&dir.join("sec1.pem"), &fixture("p256.sec1.pem"));
    world.authority.issue_as(&["a"], pki::fixture_key("p256.pkcs8.pem"), |_| {}).write(dir, "sec1");
    for (certificate, key) in [
        ("good.crt", "good.key"),
        ("both.pem", "both.pem"),
        ("windows.pem", "windows.pem"),
        ("sec1.crt", "sec1.pem"),
        ("v1.crt", "p256.pkcs8.pem"),
    ] {
        let ran = check(dir, &[("cert_file", certificate), ("key_file", key), ("ca_file", "ca.pem")], &["-check"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{certificate} {key}");
    }
}

#[test]
fn a_certificate_of_ours_that_nobody_will_take_is_warned_of() {
    let world = World::new();
    let dir = world.dir.path();
    let issue = |name: &str, change: fn(&mut CertificateParams)| {
        world.authority.issue_as(&["agent.example"], new_key(), change).write(dir, name);
    };
    issue("old", |params| params.not_after = date_time_ymd(2020, 1, 2));
    issue("early", |params| params.not_before = date_time_ymd(2090, 3, 4));
    issue("server", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for (name, said) in [
        ("old", "certificate has expired on 2020-01-02: renew it, or set this machine's clock"),
        ("early", "certificate is not yet valid before 2090-03-04: look at this machine's clock"),
        (
            "server",
            "unsuitable certificate purpose: it is not one for clients; have it issued with clientAuth in its \
             extendedKeyUsage",
        ),
    ] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let ran = check(dir, &[("cert_file", &certificate), ("key_file", &key)], &["-check"]);
        let warning = format!("metricsd: warning: config.json:3:18: shipper.tls.cert_file: {name}.crt: {said}\n");
        assert_eq!((ran.code, ran.stderr), (0, warning));
    }
}

#[test]
fn one_bad_certificate_of_a_bundle_is_skipped_and_named() {
    let world = World::new();
    let dir = world.dir.path();
    let good = &world.authority.pem;
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let letters = good.replacen("MII", "M!I", 1);
    std::fs::write(dir.join("bundle.pem"), format!("{good}{nonsense}{good}{letters}")).unwrap();
    let said = |skipped: &[(usize, &str)]| {
        let at = "metricsd: warning: config.json:3:16: shipper.tls.ca_file: bundle.pem: ";
        let line = |(place, why): &(usize, &str)| format!("{at}certificate {place} in it is skipped: it {why}\n");
        skipped.iter().map(line).collect::<String>()
    };
    let ran = check(dir, &[("ca_file", "bundle.pem")], &["-check"]);
    assert_eq!((ran.code, ran.stderr), (0, said(&[(2, "is garbled"), (4, "holds what is no base64")])));

    // Of many a few are named.
    std::fs::write(dir.join("bundle.pem"), nonsense.repeat(7) + good).unwrap();
    let ran = check(dir, &[("ca_file", "bundle.pem")], &["-check"]);
    assert!(ran.stderr.starts_with(&said(&[1, 2, 3, 4].map(|place| (place, "is garbled")))), "{}", ran.stderr);
    assert!(
        ran.code == 0 && ran.stderr.ends_with("bundle.pem: 3 more certificates in it are skipped\n"),
        "{}",
        ran.stderr
    );

    // Without a good one, or cut off, it is of no use.
    for (text, why) in [
        (nonsense.repeat(2), "none of its certificates can be used: certificate 1 in it is garbled"),
        (format!("{good}{}", &good[..good.len() - 40]), "no END line; the file may be cut off"),
    ] {
        std::fs::write(dir.join("bundle.pem"), text).unwrap();
        let ran = check(dir, &[("ca_file", "bundle.pem")], &["-check"]);
        assert!(ran.code == 78 && ran.stderr.contains(why), "{}", ran.stderr);
    }
}

#[test]
fn an_odd_one_of_the_systems_roots_costs_no_other() {
    let world = World::new();
    let dir = world.dir.path();
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let roots = world.dir.write("roots.pem", &format!("{nonsense}{}", world.authority.pem));
    let peer = TlsPeer::start(&world.setup());
    let port = free_port();
    let config = world.dir.write(
        "config.json",
        &format!(
            r#"{{"server": {{"host": "127.0.0.1", "port": {port}}}, "collector": {{"interval_seconds": 0.1}},
                "shipper": {{"type": "http_json", "endpoint": "{}"}}}}"#,
            peer.url()
        ),
    );
    let mut command = metricsd();
    command.arg("-config").arg(config).env("SSL_CERT_FILE", roots).env("SSL_CERT_DIR", dir.join("none"));
    let daemon = Daemon::spawn(&mut command, port);
    wait_for("a delivery", || (!peer.received().is_empty()).then_some(()));
    let log = daemon.log();
    assert_eq!(log.matches("the system's roots: 2 of 3 are skipped; ").count(), 1, "{log}");
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let dir = world.dir.path();
    let (_, key) = world.authority.issue(&["agent.example"]).write(dir, "agent");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = check(dir, &[("cert_file", "agent.crt"), ("key_file", "agent.key")], &["-check"]);
    assert_eq!(ran.code, 0);
    let warning = "metricsd: warning: config.json:4:17: shipper.tls.key_file: agent.key: every user of this machine may \
                   read this file; chmod o-r it\n";
    assert_eq!(ran.stderr, warning);
}
