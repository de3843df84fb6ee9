//! The man pages, from the tables that `-help` and the README have too.

use std::fmt::Write as _;

use metricsd::{cli, config};

use super::{VARIABLES, in_words};

/// `metricsd(1)`.
pub fn program() -> String {
    let mut page = head("METRICSD", 1, "metricsd", "collect and ship a Linux host's metrics");
    section(&mut page, "SYNOPSIS");
    page.push_str(".B metricsd\n");
    for flag in cli::flags() {
        let value = flag.value.map(|value| format!(" \\fI{value}\\fR")).unwrap_or_default();
        // Writing to a String does not fail, here and below.
        let _ = writeln!(page, "[\\fB\\-{}\\fR{value}]", escaped(flag.name));
    }
    section(&mut page, "DESCRIPTION");
    paragraph(
        &mut page,
        "metricsd reads this host's metrics from the kernel's own files, serves them over HTTP and ships them to \
         the destinations that its configuration names, as `metricsd.json`(5) says. Collecting never waits for a \
         destination. What cannot be delivered yet waits on disk; what is lost is counted, with the reason.",
    );
    paragraph(
        &mut page,
        "It runs in the foreground and logs to standard error. Under systemd it tells the service manager when the \
         first collection is done, of reloads and its end, and feeds the watchdog while collecting works.",
    );
    section(&mut page, "OPTIONS");
    paragraph(&mut page, "A flag has one dash or two, and its value follows after a space or `=`.");
    for flag in cli::flags() {
        let value = flag.value.map(|value| format!(" \\fI{value}\\fR")).unwrap_or_default();
        tagged(&mut page, &format!("\\fB\\-{}\\fR{value}", escaped(flag.name)), &marked(&flag.meaning));
    }
    section(&mut page, "EXIT STATUS");
    for (exit, _, when) in cli::EXITS {
        tagged(&mut page, &bold(&(exit as u8).to_string()), &marked(when));
    }
    section(&mut page, "ENVIRONMENT");
    paragraph(&mut page, "What is set here is laid over the configuration file; an empty variable counts as unset.");
    for (name, field) in config::variables() {
        tagged(&mut page, &bold(name), &bold(&field));
    }
    for (name, what) in VARIABLES {
        // Where a package has them.
        tagged(&mut page, &bold(name), &marked(&what.replace("docs/", "/usr/share/doc/metricsd/")));
    }
    section(&mut page, "SIGNALS");
    tagged(
        &mut page,
        &bold("SIGHUP"),
        &marked("Read the configuration again. A bad one changes nothing, and the log says why."),
    );
    tagged(
        &mut page,
        &bold("SIGTERM, SIGINT"),
        &marked("Deliver what is left and end, within 10 seconds; a second one ends at once."),
    );
    section(&mut page, "FILES");
    tagged(&mut page, &bold("/etc/metricsd/config.json"), &marked("The configuration of the packaged service."));
    tagged(&mut page, &bold("/etc/default/metricsd"), &marked("Environment of the packaged service; need not exist."));
    tagged(&mut page, &bold("/var/lib/metricsd"), &marked("What waits for delivery."));
    tagged(
        &mut page,
        &bold("/usr/share/doc/metricsd"),
        &marked("More on installing (`install.md`), credentials, TLS, delivery, the spool and the rest."),
    );
    section(&mut page, "EXAMPLES");
    example(&mut page, "Look at one round of readings:", "metricsd -once");
    example(&mut page, "Check a configuration:", "metricsd -config /etc/metricsd/config.json -check");
    example(&mut page, "See what waits for delivery:", "metricsd -config /etc/metricsd/config.json -spool");
    section(&mut page, "SEE ALSO");
    page.push_str(".BR metricsd.json (5)\n");
    page
}

/// `metricsd.json(5)`.
pub fn configuration() -> String {
    let mut page = head("METRICSD.JSON", 5, "metricsd.json", "configuration of metricsd");
    section(&mut page, "DESCRIPTION");
    paragraph(
        &mut page,
        "The configuration of `metricsd`(1) is JSON: the file that `-config` names, else `config.json` in the working \
         directory if it is there, else the defaults below. The packaged service reads \
         `/etc/metricsd/config.json`. Every field is optional unless it says otherwise. Unknown fields are mistakes; \
         `metricsd -check` reports every mistake at once, with line, column and path. A key that begins with `_`, \
         `//` or `$` is a comment; in maps (`labels`, `headers`) only one that begins with `//` is.",
    );
    paragraph(
        &mut page,
        "`${NAME}` in any string is replaced from the environment; `$${` stands for a literal `${`, and a variable \
         that is not set is a mistake. Durations are written as `\"30s\"`, `\"1m30s\"` or `\"250ms\"`. Patterns are \
         regular expressions that have to match the whole name; a list that is given replaces the default one.",
    );
    paragraph(
        &mut page,
        "Without `shipper` and `shippers`, metricsd only serves over HTTP. Each of `shippers` takes what `shipper` \
         takes; both together are a mistake.",
    );
    section(&mut page, "FIELDS");
    for row in config::rows() {
        let default = match &*row.default {
            "required" => "required".to_owned(),
            // A long list may be broken after a comma or a bar.
            json => format!("default {}", bold(json).replace(',', ",\\:").replace('|', "|\\:")),
        };
        let text = format!("{} ({}; {default})", marked(row.meaning), marked(&row.takes));
        tagged(&mut page, &bold(&row.path), &text);
    }
    section(&mut page, "EXAMPLES");
    example(
        &mut page,
        "Collect every 15 seconds and push to a Prometheus:",
        "{\n  \"collector\": {\"interval_seconds\": 15},\n  \"shipper\": {\n    \"type\": \"prometheus_remote_write\",\n    \
         \"endpoint\": \"http://prometheus:9090/api/v1/write\"\n  }\n}",
    );
    section(&mut page, "SEE ALSO");
    page.push_str(".BR metricsd (1)\n");
    page
}

/// Without a date: the same sources give the same page.
fn head(title: &str, number: u8, name: &str, what: &str) -> String {
    format!(
        ".\\\" Generated from the program's tables by `make golden`; changes made here are lost.\n\
         .TH {title} {number} \"\" \"metricsd {}\" \"\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
        env!("CARGO_PKG_VERSION"),
        escaped(name),
        escaped(what)
    )
}

fn section(page: &mut String, name: &str) {
    let _ = writeln!(page, ".SH {name}");
}

fn paragraph(page: &mut String, text: &str) {
    let _ = writeln!(page, ".PP\n{}", marked(text));
}

fn tagged(page: &mut String, tag: &str, text: &str) {
    let _ = writeln!(page, ".TP\n{tag}\n{text}");
}

fn example(page: &mut String, what: &str, text: &str) {
    let _ = writeln!(page, ".PP\n{}\n.PP\n.in +4n\n.EX\n{}\n.EE\n.in", marked(what), escaped(text));
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// Markdown's backticks as bold.
fn marked(text: &str) -> String {
    in_words(text, escaped, bold)
}

/// What roff would take for its own, or print as another character.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts_line = true;
    for c in text.chars() {
        if starts_line && matches!(c, '.' | '\'') {
            out.push_str("\\&");
        }
        starts_line = c == '\n';
        match c {
            '\\' => out.push_str("\\(rs"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn roff_takes_nothing_for_its_own() {
    assert_eq!(escaped(".x\n'y a-b \"\\.\""), "\\&.x\n\\&\\(aqy a\\-b \\(dq\\(rs.\\(dq");
    // The guard of the full stop is needed at the start of a line alone, and harms nowhere.
    assert_eq!(marked("`a` is `b-c`."), "\\fBa\\fR is \\fBb\\-c\\fR\\&.");
}
