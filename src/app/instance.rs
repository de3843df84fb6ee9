//! Which metricsd this is, for receivers that tell instances apart: `service.instance.id`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::host::HostPaths;

/// The namespace that OpenTelemetry gives to identifiers of services, 4d63009a-8d0f-11ee-aad7-4c796ed8e320
/// (<https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/>).
const NAMESPACE: [u8; 16] =
    [0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee, 0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20];

/// 32 hexadecimal digits; what is longer is something else.
const MAX_MACHINE_ID: u64 = 64;

/// What `/etc/machine-id` says; none where it says nothing, as in most containers.
pub fn machine_id(paths: &HostPaths) -> Option<String> {
    let file = File::open(paths.rooted(Path::new("/etc/machine-id"))).ok()?;
    let mut text = String::new();
    file.take(MAX_MACHINE_ID).read_to_string(&mut text).ok()?;
    let id = text.trim();
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// A UUID of version 5 (RFC 9562, section 5.5) of the machine's id, which is not given away so, and of the
/// host's name, which tells machines apart that were copied from one image. The same after a restart.
pub fn instance_id(machine_id: &str, host: &str) -> String {
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

    #[test]
    fn an_instance_s_id_is_a_uuid_of_the_machine_and_its_name() {
        // Python: uuid.uuid5(uuid.UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320"), "0123456789abcdef0123456789abcdef/web-1")
        assert_eq!(instance_id("0123456789abcdef0123456789abcdef", "web-1"), "19a1b272-8b47-5958-81e5-e6d118af84e8");
        assert_eq!(instance_id("", "web-1"), "b1227c35-20e6-5f68-b83c-da5f903b8407");
    }

    #[test]
    fn what_is_no_machine_id_is_none() {
        let dir = std::env::temp_dir().join(format!("metricsd-instance-{}", std::process::id()));
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
