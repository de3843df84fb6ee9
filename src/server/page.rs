//! The page at `/`: how this host and metricsd are doing, and where to look further.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use crate::telemetry::{Destination, DestinationStatus, Telemetry, VERSION, go_duration};

use super::health::{Health, Now, Status};
use super::overview::{Cpu, Disk, FileSystem, Interface, Memory, Overview, Rows};

/// [`POLICY`] names it by its sum.
const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--soft:#5b6472;--line:#d8dbe2;--bar:#3b6fd4;--good:#1a7f37;--fair:#9a6700;--bad:#cf222e}\
@media(prefers-color-scheme:dark){:root{--back:#14161a;--soft:#9aa3b2;--line:#343944;--bar:#6b9bf2;--good:#3fb950;--fair:#d29922;--bad:#f85149}}\
*{box-sizing:border-box}\
body{font:15px/1.5 system-ui,sans-serif;background:var(--back);max-width:60rem;margin:2.5rem auto 4rem;padding:0 1.25rem}\
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}\
h2{font-size:1rem;margin:2rem 0 .5rem}\
p{margin:.15rem 0}.soft{color:var(--soft)}\
.healthy,.ok{color:var(--good)}.degraded,.retrying,.fair{color:var(--fair)}.unhealthy,.held,.bad{color:var(--bad)}\
.reasons{padding-left:1.2rem;overflow-wrap:anywhere}\
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:0 2.5rem}\
.big{font-size:1.9rem;line-height:1.2;font-variant-numeric:tabular-nums}\
.bar{display:block;width:100%;height:.45rem;margin:.35rem 0;border-radius:.25rem;background:var(--line)}\
.bar rect{fill:var(--bar)}.bar.fair rect{fill:var(--fair)}.bar.bad rect{fill:var(--bad)}\
.table{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-top:1px solid var(--line)}\
thead th{border-top:0;font-weight:400;color:var(--soft);padding-top:0;white-space:nowrap}\
tbody th{font-weight:600;min-width:7rem;overflow-wrap:anywhere}th p{font-weight:400}\
th:last-child,td:last-child{padding-right:0}\
.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\
td.use{min-width:9rem;width:45%}\
td.state{overflow-wrap:anywhere;width:65%}\
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.9rem;display:flex;flex-wrap:wrap;gap:.25rem 1.5rem}\
a{color:inherit}";

/// What a browser may do with a page: show it, with the style above. No script, no request, no
/// frame around it.
pub(super) const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-2k0KQ+AuD4Pu4U/yGjIYPPWShsDsK5YmaNo/+0wig9E='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const LINKS: [(&str, &str); 5] = [
    ("/metrics", "for Prometheus"),
    ("/metrics/node", "in node_exporter's names"),
    ("/health", "as JSON"),
    ("/ready", "after the first collection"),
    ("/live", "while the process answers"),
];

/// A browser asks again after each interval, but not more often, and not less often: how
/// destinations are doing changes in between.
const REFRESH: (u64, u64) = (5, 60);

/// From these shares on, in percent, what fills up is about to be full.
const FILLS_UP: f64 = 85.0;
const IS_FULL: f64 = 95.0;

/// The whole document. Needs no script, no font and no other request.
pub(super) fn render(host: &str, health: &Health, telemetry: &Telemetry, now: Now) -> String {
    let mut out = String::with_capacity(8 << 10);
    // Writing to a String does not fail.
    let _ = document(&mut out, host, health, telemetry, now);
    out
}

fn document(out: &mut String, host: &str, health: &Health, telemetry: &Telemetry, now: Now) -> fmt::Result {
    let subjects = telemetry.subjects();
    let host = Text(host);
    let status = health.status.as_str();
    let (least, most) = REFRESH;
    let refresh = subjects.interval.as_secs().clamp(least, most);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{refresh}\">\n\
         <title>metricsd on {host}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{host}</h1>\n\
         <p class=\"soft\">metricsd {VERSION}, <strong class=\"{status}\">{status}</strong>, up {}",
        health.uptime
    )?;
    match telemetry.last_collection() {
        Some(at) => {
            let ago = go_duration(now.monotonic.saturating_sub(at));
            writeln!(out, "; collected {ago} ago, every {}</p>", every(subjects.interval))?;
        }
        None => writeln!(out, "; nothing collected yet</p>")?,
    }
    if health.status != Status::Healthy {
        out.push_str("<ul class=\"reasons\">\n");
        for reason in &health.reasons {
            writeln!(out, "<li>{}</li>", Text(reason))?;
        }
        out.push_str("</ul>\n");
    }
    let Overview { cpu, memory, file_systems, disks, interfaces } = Overview::of(&telemetry.latest.rounds());
    out.push_str("<div class=\"cards\">\n");
    cpu_card(out, &cpu)?;
    memory_cards(out, &memory)?;
    out.push_str("</div>\n");
    table(out, "File systems", &["mounted on", "in use", "n:size"], &file_systems, file_system)?;
    table(out, "Disks", &["device", "n:read", "n:written", "n:reads", "n:writes"], &disks, disk)?;
    table(out, "Network", &["interface", "n:received", "n:sent", "n:errors", "n:dropped"], &interfaces, interface)?;
    let destinations = Rows { shown: subjects.by_destination().collect(), hidden: 0 };
    if destinations.shown.is_empty() {
        out.push_str("<h2>Destinations</h2>\n<p class=\"soft\">none is configured; /metrics can be scraped</p>\n");
    }
    table(out, "Destinations", &["name", "state"], &destinations, |out, one| destination(out, *one, now))?;
    out.push_str("<footer>\n");
    for (path, what) in LINKS {
        writeln!(out, "<span><a href=\"{path}\">{path}</a> <span class=\"soft\">{what}</span></span>")?;
    }
    out.push_str("</footer>\n</body>\n</html>\n");
    Ok(())
}

/// Nothing where nothing of it is known.
fn cpu_card(out: &mut String, cpu: &Cpu) -> fmt::Result {
    if *cpu == Cpu::default() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>CPU</h2>\n<p class=\"big\">{}</p>", Percent(cpu.percent))?;
    // A CPU that is busy does its work.
    bar(out, cpu.percent, "")?;
    let count = cpu.count.map(|count| format!("{count} {}", if count == 1.0 { "core" } else { "cores" }));
    let load = cpu.load.iter().flatten().map(|load| format!("{load:.2}")).collect::<Vec<_>>().join(" ");
    let load = Some(load).filter(|load| !load.is_empty()).map(|load| format!("load {load}"));
    let what: Vec<String> = count.into_iter().chain(load).collect();
    writeln!(out, "<p class=\"soft\">{}</p>\n</section>", what.join(", "))
}

fn memory_cards(out: &mut String, memory: &Memory) -> fmt::Result {
    if let Some(total) = memory.total {
        writeln!(out, "<section>\n<h2>Memory</h2>\n<p class=\"big\">{}</p>", Percent(memory.percent))?;
        bar(out, memory.percent, level(memory.percent))?;
        let (used, available) = (Bytes(memory.used), Bytes(memory.available));
        writeln!(
            out,
            "<p class=\"soft\">{used} of {} in use, {available} available</p>\n</section>",
            Bytes(Some(total))
        )?;
    }
    // Where there is none, there is nothing to say.
    if let Some(total) = memory.swap_total.filter(|total| *total > 0.0) {
        writeln!(out, "<section>\n<h2>Swap</h2>\n<p class=\"big\">{}</p>", Percent(memory.swap_percent))?;
        bar(out, memory.swap_percent, level(memory.swap_percent))?;
        let used = Bytes(memory.swap_used);
        writeln!(out, "<p class=\"soft\">{used} of {} in use</p>\n</section>", Bytes(Some(total)))?;
    }
    Ok(())
}

/// A table with these columns, those of numbers marked `n:`; nothing where it has no rows.
fn table<T>(
    out: &mut String,
    title: &str,
    columns: &[&str],
    rows: &Rows<T>,
    row: impl Fn(&mut String, &T) -> fmt::Result,
) -> fmt::Result {
    if rows.shown.is_empty() {
        return Ok(());
    }
    write!(out, "<h2>{title}</h2>\n<div class=\"table\"><table>\n<thead><tr>")?;
    for column in columns {
        match column.strip_prefix("n:") {
            Some(column) => write!(out, "<th class=\"n\">{column}</th>")?,
            None => write!(out, "<th>{column}</th>")?,
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for one in &rows.shown {
        out.push_str("<tr>");
        row(out, one)?;
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    if rows.hidden > 0 {
        writeln!(
            out,
            "<p class=\"soft\">and {} more with less to show, on <a href=\"/metrics\">/metrics</a></p>",
            rows.hidden
        )?;
    }
    Ok(())
}

fn file_system(out: &mut String, row: &FileSystem) -> fmt::Result {
    let (mountpoint, device, kind) = (Text(&row.mountpoint), Text(&row.device), Text(&row.kind));
    write!(out, "<th scope=\"row\">{mountpoint}<p class=\"soft\">{device}, {kind}</p></th><td class=\"use\">")?;
    match row.percent {
        _ if row.is_stuck => out.push_str("<span class=\"bad\">does not answer</span>"),
        Some(percent) => {
            write!(out, "{} <span class=\"soft\">{}</span>", Percent(Some(percent)), Bytes(row.used))?;
            bar(out, Some(percent), level(Some(percent)))?;
        }
        None => out.push('–'),
    }
    write!(out, "</td><td class=\"n\">{}</td>", Bytes(row.total))
}

fn disk(out: &mut String, row: &Disk) -> fmt::Result {
    let [read, written] = [row.read, row.written].map(|rate| Each(Bytes(rate), rate));
    let [reads, writes] = [row.reads, row.writes].map(|rate| Each(Count(rate), rate));
    write!(out, "<th scope=\"row\">{}</th>", Text(&row.device))?;
    write!(out, "<td class=\"n\">{read}</td><td class=\"n\">{written}</td>")?;
    write!(out, "<td class=\"n\">{reads}</td><td class=\"n\">{writes}</td>")
}

fn interface(out: &mut String, row: &Interface) -> fmt::Result {
    let [received, sent] = [row.received, row.sent].map(|rate| Each(Bytes(rate), rate));
    write!(out, "<th scope=\"row\">{}</th>", Text(&row.name))?;
    write!(out, "<td class=\"n\">{received}</td><td class=\"n\">{sent}</td>")?;
    write!(out, "<td class=\"n\">{}</td><td class=\"n\">{}</td>", row.errors, row.dropped)
}

fn destination(out: &mut String, status: Destination<'_>, now: Now) -> fmt::Result {
    let (state, error) = status.state();
    let (name, kind) = (Text(status.name()), Text(status.kind()));
    write!(out, "<th scope=\"row\">{name}")?;
    // Most are named after it.
    if status.name() != status.kind() {
        write!(out, "<p class=\"soft\">{kind}</p>")?;
    }
    let word = state.as_str();
    write!(out, "</th><td class=\"state\"><strong class=\"{word}\">{word}</strong>")?;
    if let Some(error) = error {
        write!(out, "<p>{}</p>", Text(&error))?;
    }
    let since = |at: i64| Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(at)).unwrap_or_default());
    match status.last_success_ms() {
        Some(at) => write!(out, "<p class=\"soft\">last delivery {} ago", go_duration(since(at)))?,
        None => out.push_str("<p class=\"soft\">nothing delivered yet"),
    }
    if status.sum(DestinationStatus::queue_frames) > 0 {
        let oldest = Duration::try_from_secs_f64(status.queue_oldest_seconds(now.wall_ms)).unwrap_or_default();
        let bytes = Bytes(Some(status.sum(DestinationStatus::queue_bytes) as f64));
        write!(out, "; {bytes} wait, for {}", go_duration(oldest))?;
    }
    for lane in status.lanes() {
        match lane.samples_dropped_total() {
            0 => {}
            lost => write!(out, "; {lost} {} lost", lane.signal().things())?,
        }
    }
    out.push_str("</p></td>");
    Ok(())
}

/// Filled to `percent`; for those who see it, since the number stands beside it.
fn bar(out: &mut String, percent: Option<f64>, level: &str) -> fmt::Result {
    let Some(percent) = percent else { return Ok(()) };
    let width = percent.clamp(0.0, 100.0);
    writeln!(out, "<svg class=\"bar {level}\" aria-hidden=\"true\"><rect width=\"{width:.1}%\" height=\"100%\"/></svg>")
}

/// The class of what is filled so far.
fn level(percent: Option<f64>) -> &'static str {
    match percent {
        Some(percent) if percent >= IS_FULL => "bad",
        Some(percent) if percent >= FILLS_UP => "fair",
        _ => "",
    }
}

fn every(interval: Duration) -> String {
    if interval.subsec_nanos() == 0 { go_duration(interval) } else { format!("{interval:?}") }
}

/// What comes from outside, as text: nothing of it is markup.
struct Text<'t>(&'t str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // It would end the text for some readers; a name of the kernel's may hold it.
            c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER),
            c => f.write_char(c),
        })
    }
}

struct Percent(Option<f64>);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(percent) => write!(f, "{percent:.1} %"),
            None => f.write_char('–'),
        }
    }
}

/// `0 B`, `1023 B`, `1.0 KiB`, `9.4 GiB`, `120 GiB`.
struct Bytes(Option<f64>);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mut number) = self.0 else { return f.write_char('–') };
        let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter().peekable();
        let mut unit = "B";
        while let Some(next) = units.next() {
            unit = next;
            // What would be rounded to 1024 belongs to the next one.
            if number < 1023.5 || units.peek().is_none() {
                break;
            }
            number /= 1024.0;
        }
        let places = usize::from(unit != "B" && number < 99.95);
        write!(f, "{number:.places$} {unit}")
    }
}

/// `0`, `0.3`, `12`.
struct Count(Option<f64>);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) if count > 0.0 && count < 9.95 => write!(f, "{count:.1}"),
            Some(count) => write!(f, "{count:.0}"),
            None => f.write_char('–'),
        }
    }
}

/// So much a second, where it is known.
struct Each<T>(T, Option<f64>);

impl<T: Display> Display for Each<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = if self.1.is_some() { "/s" } else { "" };
        write!(f, "{}{per}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::digest::{SHA256, digest};

    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        assert_eq!(
            Text("<a href=\"x\">&'\u{1}</a>").to_string(),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}&lt;/a&gt;"
        );
    }

    #[test]
    fn numbers_are_short() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1024.0, "1.0 KiB"),
            (1023.9 * 1024.0, "1.0 MiB"),
            (99.9 * 1024.0, "99.9 KiB"),
            (100.0 * 1024.0, "100 KiB"),
            (9.44 * 1024.0 * 1024.0 * 1024.0, "9.4 GiB"),
            (5000.0 * 1024_f64.powi(6), "5000 EiB"),
        ] {
            assert_eq!(Bytes(Some(bytes)).to_string(), text);
        }
        assert_eq!([0.0, 0.04, 3.26, 12.3].map(|n| Count(Some(n)).to_string()), ["0", "0.0", "3.3", "12"]);
        assert_eq!(Each(Bytes(None), None).to_string(), "–");
        assert_eq!(Each(Bytes(Some(1536.0)), Some(1536.0)).to_string(), "1.5 KiB/s");
        assert_eq!(Percent(Some(37.46)).to_string(), "37.5 %");
    }

    #[test]
    fn the_policy_allows_this_style_alone() {
        let sum = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        assert!(POLICY.contains(&format!("style-src 'sha256-{sum}';")), "the style's sum is {sum}");
    }
}
