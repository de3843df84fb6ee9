//! Every field of the configuration, one row each: what is accepted, what the documentation
//! says, and what the example files have to hold all come from here.

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub takes: Takes,
    /// As JSON; empty where the field has to be given.
    pub default: &'static str,
    /// One sentence for operators.
    pub doc: &'static str,
}

/// What a field's value may be.
#[derive(Debug)]
pub(super) enum Takes {
    Bool,
    Whole,
    Number,
    Text,
    Duration,
    Texts,
    Map,
    Object(&'static Table),
    Objects,
    /// A list that has to be empty in this version.
    Nothing,
}

/// An object's fields.
#[derive(Debug)]
pub(super) struct Table {
    pub fields: &'static [Field],
    /// Fields of later versions: no typing mistakes, but nothing that is done yet.
    pub later: &'static [&'static str],
}

/// A row of the documentation's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// JSON path, `shipper.tls.ca_file`. Each of `shippers` takes what `shipper` takes.
    pub path: String,
    /// What kind of value it takes.
    pub takes: &'static str,
    /// The default as JSON, or `required`.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// All fields, in the order of the documentation; objects are there through their fields.
pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    add_rows("", &ROOT, &mut rows);
    rows
}

fn add_rows(prefix: &str, table: &Table, rows: &mut Vec<Row>) {
    for field in table.fields {
        let path = format!("{prefix}{}", field.name);
        if let Takes::Object(inner) = field.takes {
            add_rows(&format!("{path}."), inner, rows);
            continue;
        }
        let default = if field.default.is_empty() { "required" } else { field.default };
        rows.push(Row { path, takes: field.takes.in_words(), default, meaning: field.doc });
    }
}

impl Takes {
    fn in_words(&self) -> &'static str {
        match self {
            Takes::Bool => "boolean",
            Takes::Whole => "whole number",
            Takes::Number => "number",
            Takes::Text => "string",
            Takes::Duration => "duration",
            Takes::Texts => "list of strings",
            Takes::Map => "map of strings",
            Takes::Object(_) => "object",
            Takes::Objects | Takes::Nothing => "list of objects",
        }
    }
}

impl Table {
    /// The names that may be used.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }
}

const fn field(name: &'static str, takes: Takes, default: &'static str, doc: &'static str) -> Field {
    Field { name, takes, default, doc }
}

const fn object(name: &'static str, table: &'static Table) -> Field {
    field(name, Takes::Object(table), "{}", "")
}

pub(super) static ROOT: Table = Table {
    fields: &[
        field(
            "log_level",
            Takes::Text,
            "null",
            "`debug`, `info`, `warn` or `error`; null: `info`. `-log-level` and `MC_LOG_LEVEL` go over it. A reload takes it up.",
        ),
        object("server", &SERVER),
        object("collector", &COLLECTOR),
        field("labels", Takes::Map, "{}", "Labels added to every metric of every destination."),
        object("shipper", &SHIPPER),
        field(
            "shippers",
            Takes::Objects,
            "[]",
            "Any number of destinations, each with the fields of `shipper`; `shipper` is the short form of one.",
        ),
        object("spool", &SPOOL),
        field("endpoints", Takes::Nothing, "[]", "Application endpoints to scrape; none can be given in this version."),
    ],
    later: &["logs", "scrape", "containers", "runners"],
};

pub(super) static SERVER: Table = Table {
    fields: &[
        field("host", Takes::Text, r#""0.0.0.0""#, "Address that the HTTP server binds: an IP address or a host name."),
        field("port", Takes::Whole, "8080", "Port of the HTTP server, 1 to 65535."),
        object("tls", &SERVER_TLS),
        object("basic_auth", &SERVER_BASIC_AUTH),
        field(
            "bearer_token",
            Takes::Text,
            "null",
            "Token that clients have to send for everything but `/live`; where there is `basic_auth` too, either will do.",
        ),
        field("bearer_token_file", Takes::Text, "null", "The file that holds it; read again when it changes."),
    ],
    later: &[],
};

pub(super) static SERVER_TLS: Table = Table {
    fields: &[
        field("enabled", Takes::Bool, "false", "Whether the HTTP server speaks TLS, and nothing else."),
        field("cert_file", Takes::Text, "null", "Its certificate, with its chain (PEM); read again when it changes."),
        field("key_file", Takes::Text, "null", "Its key (PEM)."),
        field(
            "client_ca_file",
            Takes::Text,
            "null",
            "PEM bundle; if given, every client has to show a certificate from one of these authorities, for `/live` too.",
        ),
        field("min_version", Takes::Text, r#""TLS1.2""#, "`TLS1.2` or `TLS1.3`; lower ones mean `TLS1.2`."),
        field("max_version", Takes::Text, r#""TLS1.3""#, "`TLS1.2` or `TLS1.3`."),
        field(
            "cipher_suites",
            Takes::Texts,
            "null",
            "IANA names, preferred in this order; null: the library's, as the client prefers.",
        ),
        field("session_tickets", Takes::Bool, "true", "Session resumption; with `client_ca_file` there is none."),
    ],
    later: &[],
};

pub(super) static SERVER_BASIC_AUTH: Table = Table {
    fields: &[
        field("username", Takes::Text, "null", "User that clients have to name for everything but `/live`."),
        field("password", Takes::Text, "null", "The password; better from `${NAME}` or a file."),
        field("password_file", Takes::Text, "null", "The file that holds it; read again when it changes."),
    ],
    later: &[],
};

pub(super) static COLLECTOR: Table = Table {
    fields: &[
        field(
            "interval_seconds",
            Takes::Number,
            "60",
            "Seconds between collections, 0.05 to 86400; fractions are fine.",
        ),
        field("enable_cpu", Takes::Bool, "true", "CPU usage and seconds by mode."),
        field("enable_memory", Takes::Bool, "true", "Memory and swap."),
        field("enable_load", Takes::Bool, "true", "Load averages."),
        field("enable_uptime", Takes::Bool, "true", "Uptime and boot time."),
        field("enable_disk", Takes::Bool, "true", "Disk I/O and the space of file systems."),
        field("enable_network", Takes::Bool, "true", "Network interfaces."),
        field("enable_gpu", Takes::Bool, "false", "NVIDIA GPUs; not built into this version."),
        object("disk", &DISK),
        object("filesystem", &FILESYSTEM),
        object("network", &NETWORK),
        field(
            "max_series",
            Takes::Whole,
            "10000",
            "Series that one collector may give a round, 1 to 1000000; more are refused and counted.",
        ),
    ],
    later: &[],
};

pub(super) static DISK: Table = Table {
    fields: &[
        field(
            "include",
            Takes::Texts,
            "[]",
            "Devices whose I/O is shown, as regular expressions for the whole name; empty: whole disks, dm and md.",
        ),
        field("exclude", Takes::Texts, r#"["(loop|ram|zram|sr|fd)[0-9]+"]"#, "Devices left out in any case."),
    ],
    later: &[],
};

pub(super) static FILESYSTEM: Table = Table {
    fields: &[
        field(
            "include_mountpoints",
            Takes::Texts,
            "[]",
            "Mount points whose space is shown, as regular expressions for the whole path; empty: all.",
        ),
        field(
            "exclude_mountpoints",
            Takes::Texts,
            r#"["/(var/lib/docker|var/lib/containers|var/lib/kubelet/pods|run/containerd|run/docker|run/credentials|run/user)/.+","/(proc|sys|dev)(/.*)?"]"#,
            "Mount points left out in any case.",
        ),
        field(
            "include_types",
            Takes::Texts,
            "[]",
            "File system types that are shown, as regular expressions; empty: all on block devices, network and FUSE.",
        ),
        field(
            "exclude_types",
            Takes::Texts,
            r#"["tmpfs|devtmpfs|ramfs|rootfs|squashfs|erofs|overlay|aufs|iso9660","autofs|binfmt_misc|bpf|cgroup2?|configfs|cpuset|debugfs|devpts|efivarfs|fuse\\.(lxcfs|portal|gvfsd-fuse|snapfuse)|fusectl|hugetlbfs|mqueue|nsfs|proc|pstore|resctrl|rpc_pipefs|securityfs|selinuxfs|sysfs|tracefs"]"#,
            "File system types left out in any case.",
        ),
        field(
            "timeout",
            Takes::Duration,
            r#""5s""#,
            "How long a network or FUSE mount may take before it counts as stuck.",
        ),
    ],
    later: &[],
};

pub(super) static NETWORK: Table = Table {
    fields: &[
        field(
            "include",
            Takes::Texts,
            "[]",
            "Interfaces that are shown, as regular expressions for the whole name; empty: all.",
        ),
        field("exclude", Takes::Texts, r#"["veth.*","cali.*","br-[0-9a-f]{12}"]"#, "Interfaces left out in any case."),
    ],
    later: &[],
};

pub(super) static SHIPPER: Table = Table {
    fields: &[
        field("name", Takes::Text, "null", "Name in logs and metrics, unique among the destinations; null: its type."),
        field("type", Takes::Text, "", "`prometheus_remote_write`, `http_json`, `file` or `stdout`."),
        field(
            "endpoint",
            Takes::Text,
            "",
            "`http://` or `https://` URL; for `file` a path or a `file://` URL. `stdout` needs none.",
        ),
        field(
            "timeout",
            Takes::Duration,
            "30000000000",
            "Whole request; a number is nanoseconds, a string a duration (`\"30s\"`, `\"1m30s\"`).",
        ),
        field(
            "compression",
            Takes::Text,
            "null",
            "`none` or `gzip` for `http_json`, `snappy` for remote write; null: `none`, or `snappy` for remote write.",
        ),
        field(
            "protobuf_message",
            Takes::Text,
            r#""prometheus.WriteRequest""#,
            "Message of remote write: that of 1.0, or `io.prometheus.write.v2.Request` (2.0), which falls back to 1.0 where the receiver answers 415.",
        ),
        field(
            "labels",
            Takes::Map,
            "{}",
            "Labels for this destination, over the global ones; an empty value takes a label away.",
        ),
        field("naming", Takes::Text, r#""native""#, "Naming scheme of the metrics; this version has `native` alone."),
        object("retry", &RETRY),
        field(
            "workers",
            Takes::Whole,
            "1",
            "Requests under way at a time, 1 to 16; above 1 their order is not kept. Remote write insists on order and has 1.",
        ),
        field(
            "drain_rate",
            Takes::Number,
            "null",
            "Requests a second with which a backlog is drained, also at the end; null: as fast as they are taken. It has to be more than is collected.",
        ),
        object("spool", &SHIPPER_SPOOL),
        object("tls", &TLS),
        field(
            "headers",
            Takes::Map,
            "{}",
            "Headers of your own. A value may be `{\"file\": \"/path\"}`: then that file holds it.",
        ),
        object("basic_auth", &BASIC_AUTH),
        field("bearer_token", Takes::Text, "null", "Sent as `Authorization: Bearer TOKEN`."),
        field("bearer_token_file", Takes::Text, "null", "A file that holds the token, taken up when it changes."),
        object("oauth2", &OAUTH2),
        object("sigv4", &SIGV4),
        field(
            "proxy_url",
            Takes::Text,
            "null",
            "HTTP proxy, `http://` or `https://`, with credentials as user info; null: what `HTTPS_PROXY` or `HTTP_PROXY` says; `\"\"`: none.",
        ),
    ],
    later: &[],
};

pub(super) static BASIC_AUTH: Table = Table {
    fields: &[
        field("username", Takes::Text, "null", "User of basic authentication."),
        field("password", Takes::Text, "null", "Its password."),
        field("password_file", Takes::Text, "null", "A file that holds the password, taken up when it changes."),
    ],
    later: &[],
};

pub(super) static OAUTH2: Table = Table {
    fields: &[
        field(
            "token_url",
            Takes::Text,
            "null",
            "Where bearer tokens are fetched by the client credentials grant, and renewed before they expire.",
        ),
        field("client_id", Takes::Text, "null", "Who we are there."),
        field("client_secret", Takes::Text, "null", "Our secret there."),
        field("client_secret_file", Takes::Text, "null", "A file that holds it, taken up when it changes."),
        field("scopes", Takes::Texts, "[]", "What is asked for; empty: what the server gives by itself."),
        field(
            "endpoint_params",
            Takes::Map,
            "{}",
            "More parameters of the request for a token (`audience`); values as those of `headers`.",
        ),
    ],
    later: &[],
};

pub(super) static SIGV4: Table = Table {
    fields: &[
        field("region", Takes::Text, "null", "Requests are signed for this region of AWS."),
        field("service", Takes::Text, r#""aps""#, "The service's name; `aps` is Amazon Managed Prometheus."),
        field("access_key_id", Takes::Text, "null", "The key's name."),
        field("secret_access_key", Takes::Text, "null", "The key."),
        field("secret_access_key_file", Takes::Text, "null", "A file that holds the key, taken up when it changes."),
        field("session_token", Takes::Text, "null", "Of temporary keys."),
        field("session_token_file", Takes::Text, "null", "A file that holds it, taken up when it changes."),
    ],
    later: &[],
};

/// A secret's place, where its value could stand.
pub(super) static FILE: Table =
    Table { fields: &[field("file", Takes::Text, "", "The file that holds the value.")], later: &[] };

pub(super) static RETRY: Table = Table {
    fields: &[
        field("min_backoff", Takes::Duration, r#""500ms""#, "Longest pause after the first failure."),
        field("max_backoff", Takes::Duration, r#""5s""#, "Longest pause after many failures."),
    ],
    later: &[],
};

/// `spool` at the top: for all destinations.
pub(super) static SPOOL: Table = Table {
    fields: &[
        field(
            "dir",
            Takes::Text,
            "null",
            "Directory for what waits, one in it for each destination; null: `$STATE_DIRECTORY`, or `/var/lib/metricsd`.",
        ),
        field(
            "mode",
            Takes::Text,
            r#""behind""#,
            "`behind`: on disk when not delivered within a second; `always`: before it is sent; `memory`: never.",
        ),
        field(
            "max_bytes",
            Takes::Whole,
            "67108864",
            "What may wait for a destination, 65536 to 1099511627776; over it the oldest goes, counted. In memory at most 4 MiB of it.",
        ),
        field("max_age", Takes::Duration, "null", "What has waited for longer is dropped, counted; null: nothing is."),
        field(
            "sync",
            Takes::Text,
            r#""1s""#,
            "How long a power cut may undo what was written: a duration, `always` (nothing) or `never` (as the kernel likes).",
        ),
        field("total_max_bytes", Takes::Whole, "268435456", "What may wait for all destinations together, on disk."),
    ],
    later: &[],
};

/// `spool` of one destination: what it does differently.
pub(super) static SHIPPER_SPOOL: Table = Table {
    fields: &[
        field(
            "mode",
            Takes::Text,
            "null",
            "Here and below: null takes the top `spool`'s; `memory` for `file` and `stdout`.",
        ),
        field("dir", Takes::Text, "null", "As in `spool`: another disk, for one destination."),
        field("max_bytes", Takes::Whole, "null", "As in `spool`."),
        field("max_age", Takes::Duration, "null", "As in `spool`."),
        field("sync", Takes::Text, "null", "As in `spool`."),
    ],
    later: &[],
};

pub(super) static TLS: Table = Table {
    fields: &[
        field(
            "enabled",
            Takes::Bool,
            "false",
            "Whether the fields below count; an `https://` endpoint speaks TLS in any case.",
        ),
        field("cert_file", Takes::Text, "null", "Client certificate (PEM); together with `key_file`."),
        field("key_file", Takes::Text, "null", "Client key (PEM); together with `cert_file`."),
        field("ca_file", Takes::Text, "null", "PEM bundle that verifies the server; null: the system's roots."),
        field(
            "server_name",
            Takes::Text,
            "null",
            "Name for SNI and verification: a host name or an IP address; null: the endpoint's host.",
        ),
        field("insecure_skip_verify", Takes::Bool, "false", "Accept any server certificate; warned of at every start."),
        field("min_version", Takes::Text, r#""TLS1.2""#, "`TLS1.2` or `TLS1.3`; lower ones mean `TLS1.2`."),
        field("max_version", Takes::Text, r#""TLS1.3""#, "`TLS1.2` or `TLS1.3`."),
        field("cipher_suites", Takes::Texts, "null", "IANA names, offered in this order; null: the library's choice."),
        field("session_tickets", Takes::Bool, "true", "Session resumption."),
    ],
    later: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_json_and_every_row_is_told_of() {
        for row in rows() {
            assert!(!row.meaning.is_empty(), "{}", row.path);
            if row.default != "required" {
                serde_json::from_str::<serde_json::Value>(row.default).unwrap_or_else(|e| panic!("{}: {e}", row.path));
            }
        }
    }
}
