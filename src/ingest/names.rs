//! Names of metrics and labels as every receiver takes them, and those that are nobody else's.

/// Beginnings of names that are the host's in some naming scheme, or metricsd's own.
const RESERVED: [&str; 4] = ["system_", "node_", "metricsd_", "scrape_"];

/// Whether a name, with `_` for what a name of Prometheus' cannot hold, is one that the host's metrics or metricsd's
/// may have: what comes from outside must not be taken for them.
pub fn is_reserved(name: &str) -> bool {
    let as_written = |byte: u8| if is_of_a_metric(byte) { byte } else { b'_' };
    let begins =
        |begin: &str| name.len() >= begin.len() && name.bytes().map(as_written).zip(begin.bytes()).all(|(a, b)| a == b);
    name == "up" || RESERVED.iter().any(|begin| begins(begin))
}

fn is_of_a_metric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}

/// `text` as the name of a metric: letters, digits, `_` and `:`, no digit first; what else it holds
/// becomes `_`.
pub fn metric_name(text: &[u8], out: &mut String) {
    clean(text, is_of_a_metric, out);
}

/// The same as the name of a label, without `:`; what begins with `__`, which is Prometheus' own, begins
/// with one `_`.
pub fn label_name(text: &[u8], out: &mut String) {
    let begin = text.iter().take_while(|byte| **byte == b'_').count().saturating_sub(1);
    clean(&text[begin..], |byte| byte.is_ascii_alphanumeric() || byte == b'_', out);
}

fn clean(text: &[u8], holds: impl Fn(u8) -> bool, out: &mut String) {
    out.clear();
    if text.first().is_some_and(u8::is_ascii_digit) {
        out.push('_');
    }
    for (at, byte) in text.iter().enumerate() {
        // A character of several bytes is one `_`.
        let is_inside = byte & 0xc0 == 0x80 && at > 0 && text[at - 1] >= 0x80;
        match *byte {
            byte if holds(byte) => out.push(char::from(byte)),
            _ if is_inside => {}
            _ => out.push('_'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_host_and_of_metricsd_are_reserved_however_they_are_written() {
        for name in ["up", "system_load_1m", "system.cpu.time", "node_load1", "metricsd-x", "scrape_duration_seconds"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["ups", "up_total", "system", "nodes_total", "my_system_load", "process_cpu_seconds_total", ""] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn what_a_name_cannot_hold_becomes_a_line() {
        let metric = |text: &[u8]| {
            let mut out = String::new();
            metric_name(text, &mut out);
            out
        };
        let label = |text: &[u8]| {
            let mut out = String::new();
            label_name(text, &mut out);
            out
        };
        assert_eq!(metric(b"api.v1-get/users:x y"), "api_v1_get_users:x_y");
        assert_eq!(metric("größe.日本".as_bytes()), "gr__e___");
        assert_eq!(metric(b"9lives\xff\xfe"), "_9lives__");
        assert_eq!(label(b"__name__"), "_name__");
        assert_eq!(label(b"a:b"), "a_b");
        assert_eq!(label(b"_"), "_");
        assert_eq!(label(b""), "");
    }
}
