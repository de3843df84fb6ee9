//! Pages of targets. Rounds of them, of which each is compared with the one before: that gives
//! what reading it in full gives. The input's first byte says which format; what follows it are
//! pages with a byte 0xff between them, or (upper case) one page and a list of changes to it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::exposition::{Flaw, Format, Limits, Page, Point, Series, Sink, json};

/// More rounds find nothing that these don't.
const MAX_ROUNDS: usize = 4;

/// Changes to a page: the last bytes of the input, four each.
const CHANGES: usize = 4 * 6;

/// Small, so that they are met.
const LIMITS: Limits = Limits { samples: 500, labels: 6, label_name_bytes: 40, label_value_bytes: 80 };

/// Writes down what it is given.
#[derive(Default)]
struct Given {
    all: Vec<String>,
    learnt: usize,
}

impl Sink for Given {
    type Known = String;

    fn learn(&mut self, series: &Series<'_>) -> String {
        assert!(!series.name.is_empty() && series.labels.len() <= LIMITS.labels);
        for (at, (name, value)) in series.labels.iter().enumerate() {
            assert!(!name.is_empty() && !value.is_empty() && name != "__name__");
            assert!(series.labels[..at].iter().all(|(other, _)| other != name));
        }
        self.learnt += 1;
        format!("{series:?}")
    }

    fn wants(_: &String) -> bool {
        true
    }

    fn give(&mut self, known: &String, point: &Point<'_>) {
        self.all.push(format!("{known} {point:?}"));
    }
}

fn read(page: &mut Page<String>, text: &[u8], format: Format) -> Result<Vec<String>, Flaw> {
    let mut given = Given::default();
    let read = page.read(&mut text.to_vec(), format, &LIMITS, &mut given)?;
    assert_eq!((read.samples, read.fresh), (given.all.len(), given.learnt));
    Ok(given.all)
}

/// Reads `text` into `page`, and in full.
fn both(page: &mut Page<String>, text: &[u8], format: Format) {
    let compared = read(page, text, format);
    let full = read(&mut Page::new(), text, format);
    assert_eq!(compared, full);
    if compared.is_ok() {
        // Nothing is new the second time.
        let mut given = Given::default();
        let again = page.read(&mut text.to_vec(), format, &LIMITS, &mut given).unwrap();
        assert_eq!((again.fresh, Ok(given.all)), (0, full));
    }
}

/// What a target does to a page between two scrapes.
fn change(lines: &mut Vec<Vec<u8>>, change: &[u8]) {
    let &[what, at, to, with] = change else { return };
    if lines.is_empty() {
        return;
    }
    let (at, to) = (usize::from(at) % lines.len(), usize::from(to) % lines.len());
    match what % 6 {
        0 => drop(lines.drain(at.min(to)..at.max(to))),
        1 => lines.swap(at, to),
        2 => lines.insert(to, lines[at].clone()),
        3 => {
            let line = lines.remove(at);
            lines.insert(to.min(lines.len()), line);
        }
        4 => {
            let number = lines[at].iter().rposition(|byte| *byte == b' ').unwrap_or(0);
            lines[at].truncate(number);
            lines[at].extend_from_slice(format!(" {with}\n").as_bytes());
        }
        _ => {
            let place = to % lines[at].len().max(1);
            lines[at].insert(place, with);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let mut page = Page::new();
    match which {
        b't' | b'o' => {
            let format = if *which == b't' { Format::Text } else { Format::OpenMetrics };
            text.split(|byte| *byte == 0xff).take(MAX_ROUNDS).for_each(|text| both(&mut page, text, format));
        }
        b'T' | b'O' => {
            let format = if *which == b'T' { Format::Text } else { Format::OpenMetrics };
            let (text, changes) = text.split_at(text.len().saturating_sub(CHANGES));
            let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            both(&mut page, text, format);
            for changes in changes.chunks(2 * 4) {
                changes.chunks(4).for_each(|one| change(&mut lines, one));
                both(&mut page, &lines.concat(), format);
            }
        }
        b'j' => {
            let mut count = 0;
            let read = json::read(text, &LIMITS, &mut |name, value| {
                assert!(name.starts_with("app_") && value.is_finite(), "{name} {value}");
                assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')), "{name}");
                count += 1;
            });
            assert!(read.is_err() || read == Ok(count));
            assert!(count <= LIMITS.samples);
        }
        _ => {}
    }
});
