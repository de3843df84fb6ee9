//! What this host and this metricsd are, by OpenTelemetry's semantic conventions: the attributes of the
//! resource that all numbers of the host belong to.
//!
//! Everything comes from files and from the environment: nobody is asked over a network. What is not known is
//! left out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::host::HostPaths;
use crate::http::Env;
use crate::model::Resource;

/// The namespace that OpenTelemetry gives to identifiers of services, 4d63009a-8d0f-11ee-aad7-4c796ed8e320
/// (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/>).
const NAMESPACE: [u8; 16] =
    [0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20];

/// Of a file that says who the host is; the longest, os-release, has a few hundred bytes.
const MAX_FILE: u64 = 16 << 10;

/// What the environment may say of attributes: they are in every body.
const MAX_ATTRIBUTES: usize = 64;
const MAX_VALUE: usize = 1024;

/// Where Kubernetes tells a container its namespace.
const NAMESPACE_FILE: &str = "var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// What is known of the host besides its name, which may change.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    machine_id: Option<String>,
    /// What was found.
    found: BTreeMap<String, String>,
    /// What the environment says for it, over all else.
    said: BTreeMap<String, String>,
}

impl Identity {
    /// Of the host that is below `paths`. `own_root` is where the files of metricsd's own container are.
    pub fn of(paths: &HostPaths, own_root: &Path, env: Env<'_>) -> Identity {
        let machine_id = machine_id(paths);
        let mut found = BTreeMap::new();
        let mut is = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                found.insert(name.to_owned(), value);
            }
        };
        is("host.arch", Some(arch().to_owned()));
        is("host.id", machine_id.clone());
        is("os.type", Some("linux".to_owned()));
        is("os.description", os_description(paths));
        is("service.name", Some("metricsd".to_owned()));
        is("cloud.provider", cloud_provider(paths).map(str::to_owned));
        let namespace = first_line(&own_root.join(NAMESPACE_FILE));
        // Outside of Kubernetes others give variables such names: Jenkins calls its agents so.
        let is_inside = namespace.is_some() || env("KUBERNETES_SERVICE_HOST").is_some();
        for (name, variables) in KUBERNETES {
            let of = |variable: &&str| env(variable).filter(|_| is_inside || variable.starts_with("K8S_"));
            let said = variables.iter().find_map(of).map(|value| bounded(&value));
            is(name, said.or_else(|| namespace.clone().filter(|_| *name == "k8s.namespace.name")));
        }
        let mut said = env(ATTRIBUTES).and_then(|text| attributes(&text).ok()).unwrap_or_default();
        if let Some(name) = env("OTEL_SERVICE_NAME").filter(|name| !name.is_empty()) {
            said.insert("service.name".to_owned(), bounded(&name));
        }
        Identity { machine_id, found, said }
    }

    /// The resource of the host while it is called `host`.
    pub fn resource(&self, host: &str, boot_ms: Option<i64>) -> Resource {
        let mut all = self.found.clone();
        all.insert("host.name".to_owned(), host.to_owned());
        let machine_id = self.machine_id.as_deref().unwrap_or_default();
        all.insert("service.instance.id".to_owned(), instance_id(machine_id, host));
        all.extend(self.said.clone());
        let attributes: Vec<(Box<str>, Box<str>)> = all
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Resource { host: host.into(), attributes: Arc::from(attributes), boot_ms }
    }
}

/// A warning where the environment says attributes in a form that is none.
pub fn warning(env: Env<'_>) -> Option<String> {
    let why = attributes(&env(ATTRIBUTES)?).err()?;
    Some(format!("{ATTRIBUTES}: {why}; all of it is ignored"))
}

/// As OpenTelemetry's SDKs read it
/// (<https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable>).
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Attributes of Kubernetes, with the variables by which manifests hand them to a container (the downward API has
/// no names of its own), the surest first.
const KUBERNETES: &[(&str, &[&str])] = &[
    ("k8s.namespace.name", &["K8S_NAMESPACE_NAME", "K8S_POD_NAMESPACE", "K8S_NAMESPACE", "POD_NAMESPACE"]),
    ("k8s.node.name", &["K8S_NODE_NAME", "KUBE_NODE_NAME", "NODE_NAME"]),
    ("k8s.pod.name", &["K8S_POD_NAME", "KUBE_POD_NAME", "POD_NAME"]),
    ("k8s.pod.uid", &["K8S_POD_UID", "KUBE_POD_UID", "POD_UID"]),
];

/// The semantic conventions' word for what this is built for.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// `k=v,k2=v2`, with `%2C` for a comma.
fn attributes(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} has no ="))?;
        let decoded = |text: &str| decoded(text.trim()).ok_or_else(|| format!("{pair:?} is not percent-encoded UTF-8"));
        let (name, value) = (decoded(name)?, decoded(value)?);
        if name.is_empty() {
            return Err(format!("{pair:?} has no name"));
        }
        if name.len().max(value.len()) > MAX_VALUE {
            return Err(format!("an attribute is longer than {MAX_VALUE} bytes"));
        }
        all.insert(name, value);
    }
    if all.len() > MAX_ATTRIBUTES { Err(format!("more than {MAX_ATTRIBUTES} attributes")) } else { Ok(all) }
}

/// Text with `%` and two hexadecimal digits for a byte; none where that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, left)) = rest.split_first() {
        rest = left;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = left.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &left[2..];
    }
    String::from_utf8(bytes).ok()
}

/// Cut at the bound of a value.
fn bounded(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].trim().to_owned()
}

/// The beginning of a file, as text; none where it cannot be read.
fn text_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
}

fn first_line(path: &Path) -> Option<String> {
    let text = text_of(path)?;
    text.lines().next().map(bounded).filter(|line| !line.is_empty())
}

/// What the distribution calls itself.
fn os_description(paths: &HostPaths) -> Option<String> {
    // https://www.freedesktop.org/software/systemd/man/latest/os-release.html
    let files = ["/etc/os-release", "/usr/lib/os-release"];
    let text = files.iter().find_map(|file| text_of(&paths.rooted(Path::new(file))))?;
    let value = text.lines().find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    Some(bounded(&unquoted(value)))
}

/// A value as a shell would take it.
fn unquoted(value: &str) -> String {
    if let Some(plain) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return plain.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        out.extend(if char == '\\' { chars.next() } else { Some(char) });
    }
    out
}

/// Whose machine this is, where its firmware says so and no other one does: a vendor that also sells what people
/// run themselves (Microsoft, Google) has to say more.
fn cloud_provider(paths: &HostPaths) -> Option<&'static str> {
    let dmi = |file: &str| first_line(&paths.sys("class/dmi/id").join(file)).unwrap_or_default();
    let (vendor, product, tag) = (dmi("sys_vendor"), dmi("product_name"), dmi("chassis_asset_tag"));
    Some(match (&*vendor, &*product, &*tag) {
        ("Amazon EC2", ..) => "aws",
        // Older machines, which run on Xen.
        ("Xen", "HVM domU", _) if dmi("bios_version").ends_with(".amazon") => "aws",
        ("Google", "Google Compute Engine", _) => "gcp",
        ("Microsoft Corporation", _, "7783-7084-3265-9085-8269-3286-77") => "azure",
        ("Alibaba Cloud", ..) => "alibaba_cloud",
        ("Tencent Cloud", ..) => "tencent_cloud",
        (.., "OracleCloud.com") => "oracle_cloud",
        _ => return None,
    })
}

/// What `/etc/machine-id` says; none where it says nothing, as in most containers.
fn machine_id(paths: &HostPaths) -> Option<String> {
    let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    let is_id = |id: &String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    files.iter().find_map(|file| first_line(&paths.rooted(Path::new(file))).filter(is_id))
}

/// A UUID of version 5 (RFC 9562, section 5.5) of the machine's id and of the host's name, which tells machines
/// apart that were copied from one image. The same after a restart.
fn instance_id(machine_id: &str, host: &str) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for bytes in [&NAMESPACE[..], machine_id.as_bytes(), b"/", host.as_bytes()] {
        context.update(bytes);
    }
    let digest = context.finish();
    let mut id: Vec<u8> = digest.as_ref().iter().copied().take(16).collect();
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("metricsd-identity-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        dir
    }

    fn write(dir: &Path, file: &str, text: &str) {
        let path = dir.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn env_of<'e>(all: &'e [(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<'e> {
        |name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    /// In words, without what depends on the machine that this is built for.
    fn words(identity: &Identity) -> Vec<String> {
        let resource = identity.resource("web-1", Some(5));
        assert_eq!((&*resource.host, resource.boot_ms), ("web-1", Some(5)));
        assert!(resource.attributes.is_sorted());
        let all = resource.attributes.iter().filter(|(name, _)| &**name != "host.arch");
        all.map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_host_says_what_it_is_and_the_environment_says_more() {
        let dir = dir("all");
        let paths = HostPaths::below(&dir);
        let none = words(&Identity::of(&paths, &dir, &env_of(&[])));
        assert_eq!(
            none,
            [
                "host.name=web-1",
                "os.type=linux",
                "service.instance.id=b1227c35-20e6-5f68-b83c-da5f903b8407",
                "service.name=metricsd"
            ]
        );
        write(&dir, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        write(&dir, "etc/os-release", "NAME=Debian\nPRETTY_NAME=\"Debian \\\"13\\\" (trixie)\"\n");
        write(&dir, "sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        write(&dir, NAMESPACE_FILE, "monitoring");
        let env = [
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=prod, team=a%2Cb ,host.name=other,service.name=x",
            ),
            ("OTEL_SERVICE_NAME", "hosts"),
            ("NODE_NAME", "node-7"),
            ("POD_UID", ""),
        ];
        assert_eq!(
            words(&Identity::of(&paths, &dir, &env_of(&env))),
            [
                "cloud.provider=aws",
                "deployment.environment.name=prod",
                "host.id=0123456789abcdef0123456789abcdef",
                "host.name=other",
                "k8s.namespace.name=monitoring",
                "k8s.node.name=node-7",
                "os.description=Debian \"13\" (trixie)",
                "os.type=linux",
                "service.instance.id=19a1b272-8b47-5958-81e5-e6d118af84e8",
                "service.name=hosts",
                "team=a,b",
            ]
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_variable_that_others_use_too_counts_in_kubernetes_alone() {
        let dir = dir("jenkins");
        let paths = HostPaths::below(&dir);
        let node = |env: &[(&str, &str)]| {
            let all = words(&Identity::of(&paths, &dir, &env_of(env)));
            all.into_iter().find_map(|word| word.strip_prefix("k8s.node.name=").map(str::to_owned))
        };
        assert_eq!(node(&[("NODE_NAME", "built-in")]), None);
        assert_eq!(node(&[("NODE_NAME", "a"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")]), Some("a".to_owned()));
        assert_eq!(node(&[("K8S_NODE_NAME", "b"), ("NODE_NAME", "a")]), Some("b".to_owned()));
    }

    #[test]
    fn a_provider_is_named_only_where_no_other_one_says_the_same() {
        for (files, expected) in [
            (&[("sys_vendor", "Microsoft Corporation")][..], None),
            (
                &[("sys_vendor", "Microsoft Corporation"), ("chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77")],
                Some("azure"),
            ),
            (&[("sys_vendor", "Google"), ("product_name", "Chromebook")], None),
            (&[("sys_vendor", "Google"), ("product_name", "Google Compute Engine")], Some("gcp")),
            (&[("sys_vendor", "Xen"), ("product_name", "HVM domU"), ("bios_version", "4.11.amazon")], Some("aws")),
            (&[("sys_vendor", "Xen"), ("product_name", "HVM domU"), ("bios_version", "4.17")], None),
            (&[("sys_vendor", "QEMU"), ("chassis_asset_tag", "OracleCloud.com")], Some("oracle_cloud")),
            (&[("sys_vendor", "QEMU")], None),
            (&[], None),
        ] {
            let dir = dir("cloud");
            files.iter().for_each(|(file, text)| write(&dir, &format!("sys/class/dmi/id/{file}"), text));
            assert_eq!(cloud_provider(&HostPaths::below(&dir)), expected, "{files:?}");
            let _ = std::fs::remove_dir_all(dir);
        }
    }

    #[test]
    fn attributes_that_cannot_be_read_are_ignored_as_a_whole_and_said() {
        let ok =
            |text: &str| attributes(text).unwrap().into_iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>();
        assert_eq!(ok(""), [""; 0]);
        assert_eq!(ok("a=1,,b=x=y, c =%C3%A9 "), ["a=1", "b=x=y", "c=é"]);
        for bad in ["a", "a=1,b", "=1", "a=%", "a=%2", "a=%zz", "a=%ff", &format!("a={}", "x".repeat(MAX_VALUE + 1))] {
            assert!(attributes(bad).is_err(), "{bad}");
            let env = [("OTEL_RESOURCE_ATTRIBUTES", bad)];
            assert!(warning(&env_of(&env)).unwrap().starts_with("OTEL_RESOURCE_ATTRIBUTES: "));
        }
        let many: Vec<String> = (0..=MAX_ATTRIBUTES).map(|at| format!("a{at}=1")).collect();
        assert!(attributes(&many.join(",")).is_err());
        assert_eq!(warning(&env_of(&[])), None);
    }

    #[test]
    fn an_instance_s_id_is_a_uuid_of_the_machine_and_its_name() {
        // Python: uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), "0123456789abcdef0123456789abcdef/web-1")
        assert_eq!(instance_id("0123456789abcdef0123456789abcdef", "web-1"), "19a1b272-8b47-5958-81e5-e6d118af84e8");
        assert_eq!(instance_id("", "web-1"), "b1227c35-20e6-5f68-b83c-da5f903b8407");
    }

    #[test]
    fn what_is_no_machine_id_is_none() {
        let dir = dir("instance");
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        let paths = HostPaths::below(&dir);
        assert_eq!(machine_id(&paths), None);
        for (text, expected) in [
            ("0123456789abcdef0123456789abcdef\n", Some("0123456789abcdef0123456789abcdef")),
            ("uninitialized\n", None),
            ("", None),
            ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", None),
        ] {
            std::fs::write(dir.join("etc/machine-id"), text).unwrap();
            assert_eq!(machine_id(&paths).as_deref(), expected, "{text:?}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
