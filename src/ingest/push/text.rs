//! A push of Prometheus text, or of OpenMetrics: its metrics, or why it is not taken.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::given::{Given, GivenItem, GivenPart, RESERVED, Refused, budget, settle_labels};
use crate::exposition::{Flaw, Format, Limits, Page, Point, Role, Series, Sink, Wrong};
use crate::ingest::budget::Budget;
use crate::ingest::names::is_reserved;
use crate::model::{Exemplar, Kind};

/// A sample that says to be older than that, or of times to come, is not of now: receivers refuse it,
/// and a whole request with it.
const MAX_AGE_MS: i64 = 3_600_000;
const MAX_AHEAD_MS: i64 = 600_000;

/// Reads a page, not packed any more, that is pushed at `now_ms`, of at most so many series. `query` says
/// by whom.
pub fn read(
    query: &str,
    content_type: &str,
    page: &[u8],
    max_bytes: usize,
    max_series: usize,
    now_ms: i64,
) -> Result<Given, Refused> {
    let mut given = Given::default();
    (given.job, given.instance) = application(query)?;
    let format = format(content_type)?;
    let limits = Limits { samples: max_series, ..Limits::default() };
    let mut reader = Reader { budget: budget(max_bytes), now_ms, ..Reader::default() };
    let mut text = page.to_vec();
    let read = Page::new().read(&mut text, format, &limits, &mut reader).map_err(of_flaw);
    if let Some(refused) = reader.refused {
        return Err(refused);
    }
    read?;
    given.items = reader.started();
    Ok(given)
}

/// Seconds since 1970, as a page says when something began to count, in milliseconds; none where that is no time.
fn start_ms(seconds: f64) -> Option<i64> {
    // 2^53: beyond, a double has no milliseconds.
    const LAST: f64 = 9_007_199_254_740_992.0;
    let ms = (seconds * 1000.0).round();
    (1.0..LAST).contains(&ms).then_some(ms as i64)
}

fn of_flaw(flaw: Flaw) -> Refused {
    match flaw.wrong {
        Wrong::Limit { name: "samples", most } => {
            Refused::TooMuch(format!("it holds more than {most} samples (listen.push.max_series)"))
        }
        _ => Refused::Malformed(flaw.to_string()),
    }
}

/// What the text is. Pushers of text are many, and few say a type that is one.
fn format(content_type: &str) -> Result<Format, Refused> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "application/openmetrics-text" => Ok(Format::OpenMetrics),
        "" | "text/plain" | "application/x-www-form-urlencoded" | "application/octet-stream" => Ok(Format::Text),
        _ => Err(Refused::Malformed(format!("{kind:?} is no text of metrics; send text/plain"))),
    }
}

/// Job and instance of a query.
fn application(query: &str) -> Result<(String, String), Refused> {
    let (mut job, mut instance) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value).ok_or_else(|| Refused::Malformed(format!("{name} is not well encoded")))?;
        let of = match name {
            "job" => &mut job,
            "instance" => &mut instance,
            _ => return Err(Refused::Malformed(format!("there is no parameter {name:?}; give job and instance"))),
        };
        if value.len() > MAX_NAME || value.chars().any(char::is_control) || of.replace(value).is_some() {
            let why = format!("{name} is given once, in at most {MAX_NAME} bytes without control characters");
            return Err(Refused::Malformed(why));
        }
    }
    let job = job.filter(|job| !job.is_empty());
    let job =
        job.ok_or_else(|| Refused::Malformed("it takes a job: /api/v1/push?job=NAME&instance=NAME".to_owned()))?;
    Ok((job, instance.unwrap_or_default()))
}

/// Names become values of labels and names of sources.
pub(super) const MAX_NAME: usize = 256;

/// What is between `%`s, and `+` for a blank.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                rest = behind;
                let digits =
                    std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
                u8::from_str_radix(digits, 16).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Makes items of a page's samples.
#[derive(Default)]
struct Reader {
    items: Vec<GivenItem>,
    /// Where a histogram or a summary is that has begun, and where a counter is, by its name and labels.
    begun: HashMap<String, usize>,
    /// Where it is said since when something counts, likewise.
    created: HashMap<String, usize>,
    /// All series that were there, by their names and labels.
    seen: HashSet<String>,
    budget: Budget,
    now_ms: i64,
    /// What is wrong with it, the first thing.
    refused: Option<Refused>,
}

/// Which item a series is of, and which part of it.
#[derive(Clone, Copy)]
struct Place {
    item: usize,
    part: usize,
}

impl Sink for Reader {
    /// None: it is refused.
    type Known = Option<Place>;

    fn learn(&mut self, series: &Series<'_>) -> Option<Place> {
        if self.refused.is_some() {
            return None;
        }
        self.place(series).map_err(|refused| self.refused = Some(refused)).ok()
    }

    fn wants(known: &Option<Place>) -> bool {
        known.is_some()
    }

    fn give(&mut self, known: &Option<Place>, point: &Point<'_>) {
        let Some(Place { item, part }) = *known else { return };
        let (now, item) = (self.now_ms, &mut self.items[item]);
        item.parts[part].value = point.value;
        if let Some(exemplar) = &point.exemplar {
            let len =
                |(name, value): &(Cow<'_, str>, Cow<'_, str>)| size_of::<[Box<str>; 2]>() + name.len() + value.len();
            if let Err(refused) = self.budget.take::<Exemplar>(exemplar.labels.iter().map(len).sum()) {
                self.refused.get_or_insert(refused.into());
            }
            item.exemplars.push(exemplar.owned());
        }
        if let Some(time_ms) = point.time_ms {
            if !(now - MAX_AGE_MS..=now + MAX_AHEAD_MS).contains(&time_ms) {
                let why = format!(
                    "a sample of {} says to be of more than an hour ago, or of times to come",
                    item.parts[part].name
                );
                self.refused.get_or_insert(Refused::Malformed(why));
            }
            item.time_ms = Some(time_ms);
        }
    }
}

impl Reader {
    /// Its items. What is said of one's start is in that one, and no metric of its own.
    fn started(self) -> Vec<GivenItem> {
        let mut items = self.items;
        let mut used = HashSet::new();
        for (key, at) in self.created {
            let (start_ms, of) = (start_ms(items[at].parts[0].value), self.begun.get(&key));
            if let (Some(start_ms), Some(of)) = (start_ms, of) {
                items[*of].start_ms = Some(start_ms);
                used.insert(at);
            }
        }
        let mut at = 0..;
        items.retain(|_| at.next().is_none_or(|at| !used.contains(&at)));
        items
    }

    fn place(&mut self, series: &Series<'_>) -> Result<Place, Refused> {
        if is_reserved(series.name) {
            return Err(Refused::Malformed(format!("{} {RESERVED}; nothing of the push is taken", series.name)));
        }
        let of_labels: usize =
            series.labels.iter().map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len()).sum();
        // Once as it is given, and once to know it by.
        self.budget.take::<(GivenItem, GivenPart)>(2 * (of_labels + series.name.len()))?;
        // Where it is of nothing that is there.
        let kind = if series.role == Role::Created { Kind::Gauge } else { series.family.kind };
        let is_part = matches!(kind, Kind::Histogram | Kind::Summary);
        let own_name = match series.role {
            Role::Bucket => "le",
            Role::Quantile => "quantile",
            _ => "",
        };
        let (mut own, mut labels) = (None, Vec::with_capacity(series.labels.len()));
        for (name, value) in series.labels {
            if is_part && name == own_name {
                own = Some((own_name, value.clone().into_owned()));
            } else {
                labels.push((name.clone().into_owned(), value.clone().into_owned()));
            }
        }
        settle_labels(&mut labels);
        // Lengths tell where each text ends, whatever is in it.
        let of_item: String =
            labels.iter().map(|(name, value)| format!("{}:{name}{}:{value}", name.len(), value.len())).collect();
        let of_own = own.as_ref().map_or(String::new(), |(_, value)| value.clone());
        if !self.seen.insert(format!("{}:{}{of_own}|{of_item}", series.name.len(), series.name)) {
            return Err(Refused::Malformed(format!("a series of {} stands twice", series.name)));
        }
        let part = GivenPart { name: series.name.to_owned(), own, value: 0.0 };
        let is_created = series.role == Role::Created;
        let key = (is_part || is_created || kind == Kind::Counter).then(|| format!("{}|{of_item}", series.family.name));
        if let Some(item) = key.as_ref().filter(|_| is_part).and_then(|key| self.begun.get(key)).copied() {
            let parts = &mut self.items[item].parts;
            parts.push(part);
            return Ok(Place { item, part: parts.len() - 1 });
        }
        let item = self.items.len();
        if let Some(key) = key {
            let all = if is_created { &mut self.created } else { &mut self.begun };
            all.insert(key, item);
        }
        let (help, unit) = (series.family.help.to_owned(), series.family.unit.to_owned());
        self.items.push(GivenItem {
            kind,
            help,
            unit,
            labels,
            parts: vec![part],
            time_ms: None,
            is_delta: false,
            start_ms: None,
            exponential: None,
            exemplars: Vec::new(),
        });
        Ok(Place { item, part: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn push(page: &str) -> Result<Given, Refused> {
        read("job=shop&instance=a%2Fb+c", "text/plain", page.as_bytes(), 1 << 20, 1000, NOW)
    }

    fn malformed(page: &str) -> String {
        match push(page) {
            Err(Refused::Malformed(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_page_is_its_metrics_and_its_query_says_whose() {
        let given = push(
            "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total{path=\"/a\",job=\"own\"} 3\n\
             # TYPE took histogram\ntook_bucket{le=\"1\",x=\"y\"} 3\ntook_bucket{le=\"+Inf\",x=\"y\"} 4\n\
             other 1 1700000000000\ntook_sum{x=\"y\"} 5.5\ntook_count{x=\"y\"} 4",
        )
        .unwrap();
        assert_eq!((&*given.job, &*given.instance), ("shop", "a/b c"));
        let [hits, took, other] = &given.items[..] else { panic!("{given:?}") };
        assert_eq!((hits.kind, &*hits.help, hits.parts[0].value), (Kind::Counter, "Hits.", 3.0));
        assert_eq!(hits.labels, [("exported_job".to_owned(), "own".to_owned()), ("path".to_owned(), "/a".to_owned())]);
        let parts: Vec<(&str, Option<&str>, f64)> =
            took.parts.iter().map(|part| (&*part.name, part.own.as_ref().map(|own| &*own.1), part.value)).collect();
        assert_eq!(
            parts,
            [
                ("took_bucket", Some("1"), 3.0),
                ("took_bucket", Some("+Inf"), 4.0),
                ("took_sum", None, 5.5),
                ("took_count", None, 4.0)
            ]
        );
        assert_eq!((other.kind, other.time_ms), (Kind::Untyped, Some(1_700_000_000_000)));
    }

    #[test]
    fn what_is_wrong_with_a_page_is_said_and_nothing_of_it_taken() {
        assert_eq!(malformed("a 1\na 2\n"), "a series of a stands twice");
        assert_eq!(malformed("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n"), "a series of a stands twice");
        assert!(malformed("a 1\nb x\n").starts_with("line 2: "));
        assert!(malformed("a{x=\"1\",x=\"2\"} 1\n").starts_with("line 1: "));
        assert!(malformed("<html>").starts_with("line 1: "));
        assert_eq!(
            malformed("a 1\nsystem_load_1m 7\n"),
            "system_load_1m is a name of the host's, or of metricsd's own; nothing of the push is taken"
        );
        assert!(malformed("# TYPE up gauge\nup 1\n").starts_with("up is a name"));
        assert!(malformed("scrape_duration_seconds{a=\"b\"} 1\n").starts_with("scrape_duration_seconds is a name"));
        assert!(malformed("a 1 1000\n").contains("more than an hour ago"));
        assert!(malformed("a 1 1700000700000\n").contains("times to come"));
        let many: String = (0..1001).map(|at| format!("a{at} 1\n")).collect();
        assert!(matches!(push(&many), Err(Refused::TooMuch(why)) if why.contains("1000 samples")));
        // Small parts take more memory than text.
        let labels: String = (0..20).map(|at| format!("l{at}=\"1\",")).collect();
        let page: String = (0..1000).map(|at| format!("a{at}{{{labels}}} 1\n")).collect();
        let small = read("job=x", "", page.as_bytes(), page.len(), 1000, NOW);
        assert!(matches!(small, Err(Refused::TooMuch(_))), "{small:?}");
        assert_eq!(push("").unwrap().items.len(), 0);
    }

    #[test]
    fn a_query_names_one_job() {
        let of = |query: &str| read(query, "", b"a 1\n", 1 << 20, 10, NOW);
        for query in ["", "job=", "instance=x", "job=a&job=b", "job=%zz", "job=%f", "job=%ff", "job=a&x=y", "job=a%00"]
        {
            assert!(matches!(of(query), Err(Refused::Malformed(_))), "{query}");
        }
        assert!(of(&format!("job={}", "x".repeat(MAX_NAME + 1))).is_err());
        assert_eq!(of("job=a").unwrap().instance, "");
        assert!(matches!(read("job=a", "application/json", b"{}", 10, 10, NOW), Err(Refused::Malformed(_))));
    }

    #[test]
    fn what_says_since_when_something_counts_is_its_start() {
        let page = b"# TYPE hits counter\nhits_created{p=\"/\"} 1699999000.5\nhits_total{p=\"/\"} 3\nhits_total{p=\"/a\"} 4\n\
            # TYPE took histogram\ntook_bucket{le=\"+Inf\"} 2\ntook_count 2\ntook_sum 3\ntook_created 1699999001\n\
            # TYPE alone summary\nalone_created{p=\"x\"} 1699999002\nalone_count{p=\"y\"} 1\nalone_created{p=\"y\"} -1\n\
            # EOF\n";
        let given = read("job=a", "application/openmetrics-text", page, 1 << 20, 100, NOW).unwrap();
        let items: Vec<(&str, Kind, Option<i64>)> =
            given.items.iter().map(|item| (&*item.parts[0].name, item.kind, item.start_ms)).collect();
        assert_eq!(
            items,
            [
                ("hits_total", Kind::Counter, Some(1_699_999_000_500)),
                ("hits_total", Kind::Counter, None),
                ("took_bucket", Kind::Histogram, Some(1_699_999_001_000)),
                // Of nothing that is there, or no time.
                ("alone_created", Kind::Gauge, None),
                ("alone_count", Kind::Summary, None),
                ("alone_created", Kind::Gauge, None),
            ]
        );
    }

    #[test]
    fn openmetrics_has_to_be_whole() {
        let of = |page: &[u8]| read("job=a", "application/openmetrics-text; version=1.0.0", page, 1 << 20, 10, NOW);
        assert_eq!(of(b"# TYPE a counter\na_total 1\n# EOF\n").unwrap().items.len(), 1);
        assert!(of(b"# TYPE a counter\na_total 1\n").is_err());
    }
}
