//! Whole pages: what is read of them, what is refused, and that a page that is compared with the
//! last one gives what it gives when it is read in full.

mod compared;
mod exporters;
mod open;
mod text;

use std::fmt::Write;

use super::{Exemplar, Flaw, Format, Limits, Page, Point, Read, Series, Sink};

/// Writes down what it is given, a line a sample.
#[derive(Default)]
struct Lines {
    all: Vec<String>,
    learnt: usize,
}

/// What a series' text says.
fn told(series: &Series<'_>) -> String {
    let mut out = format!("{:?} {}", series.role, series.name);
    for (name, value) in series.labels {
        write!(out, " {name}={value:?}").unwrap();
    }
    let family = series.family;
    let unit = if family.unit.is_empty() { String::new() } else { format!(", {}", family.unit) };
    write!(out, " ({} {:?}{unit}: {})", family.name, family.kind, family.help).unwrap();
    out
}

impl Sink for Lines {
    type Known = String;

    fn learn(&mut self, series: &Series<'_>) -> String {
        self.learnt += 1;
        told(series)
    }

    fn wants(known: &String) -> bool {
        !known.contains("unwanted")
    }

    fn give(&mut self, known: &String, point: &Point<'_>) {
        let mut out = format!("{known} {:?}", point.value);
        if let Some(time) = point.time_ms {
            write!(out, " @{time}").unwrap();
        }
        if let Some(Exemplar { labels, value, time_ms }) = &point.exemplar {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            write!(out, " # {} {value:?} {time_ms:?}", labels.join(" ")).unwrap();
        }
        self.all.push(out);
    }
}

/// Reads into `page`; the samples, line by line.
fn read_into(page: &mut Page<String>, text: &[u8], format: Format) -> Result<(Vec<String>, Read), Flaw> {
    let mut sink = Lines::default();
    let read = page.read(&mut text.to_vec(), format, &Limits::default(), &mut sink)?;
    assert_eq!(read.fresh, sink.learnt);
    Ok((sink.all, read))
}

fn read(text: &[u8], format: Format) -> Result<Vec<String>, Flaw> {
    let mut page = Page::new();
    let (all, read) = read_into(&mut page, text, format)?;
    assert_eq!(read.fresh, read.samples);
    // Again, nothing is new, and the numbers are the same.
    let (again, read) = read_into(&mut page, text, format).unwrap();
    assert_eq!(again, all);
    assert_eq!(read.fresh, 0);
    Ok(all)
}

/// The samples of a page of text.
#[track_caller]
fn text(page: &str) -> Vec<String> {
    read(page.as_bytes(), Format::Text).unwrap()
}

/// The samples of an OpenMetrics page, to which its end is added.
#[track_caller]
fn open(page: &str) -> Vec<String> {
    read(format!("{page}# EOF\n").as_bytes(), Format::OpenMetrics).unwrap()
}

/// What is wrong with a page.
#[track_caller]
fn flaw(page: impl AsRef<[u8]>, format: Format) -> String {
    match read(page.as_ref(), format) {
        Ok(all) => panic!("{:?} was taken: {all:#?}", String::from_utf8_lossy(page.as_ref())),
        Err(flaw) => flaw.to_string(),
    }
}
