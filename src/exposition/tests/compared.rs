//! A page that is compared with the last one gives what it gives when it is read in full, and
//! only what is new is learnt.

use fastrand::Rng;

use super::{Format, Page, read_into};

/// Reads into `page`, and in full; both give the same. How many were new, where the page is good.
#[track_caller]
fn both(page: &mut Page<String>, text: &str, format: Format) -> Option<usize> {
    let compared = read_into(page, text.as_bytes(), format);
    let full = read_into(&mut Page::new(), text.as_bytes(), format);
    match (compared, full) {
        (Ok((compared, read)), Ok((full, all))) => {
            assert_eq!(compared, full, "{text}");
            assert_eq!(read.samples, all.samples);
            page.check();
            Some(read.fresh)
        }
        (Err(compared), Err(full)) => {
            assert_eq!(compared, full, "{text}");
            page.check();
            None
        }
        (compared, full) => panic!("compared: {compared:?}\nin full: {full:?}\n{text}"),
    }
}

/// Names that are alike, so that much is taken for something else.
const NAMES: [&str; 9] = ["a", "a_total", "a_bucket", "a_sum", "a_count", "a_created", "b", "b_info", "ab"];

fn choose<'a>(random: &mut Rng, of: &[&'a str]) -> &'a str {
    of[random.usize(0..of.len())]
}

fn number(random: &mut Rng) -> String {
    match random.u8(0..8) {
        0 => choose(random, &["NaN", "+Inf", "-Inf", "1e-7", "-0", "1.7592186044416e+13"]).to_owned(),
        1 => random.f64().to_string(),
        2 => (random.u64(..) >> random.u8(0..64)).to_string(),
        _ => random.u8(..).to_string(),
    }
}

fn labels(random: &mut Rng, format: Format) -> String {
    let mut all = Vec::new();
    for name in ["x", "y", "le", "quantile"] {
        if random.u8(0..3) == 0 {
            let value = choose(random, &["", "1", "2", "\\\"}\\n", "long, and with {braces}", "é"]);
            all.push(format!("{name}=\"{value}\""));
        }
    }
    let between = if format == Format::Text { choose(random, &[",", ", ", " "]) } else { "," };
    all.join(between)
}

fn sample(random: &mut Rng, format: Format) -> String {
    let name = choose(random, &NAMES);
    let labels = labels(random, format);
    let head = match random.u8(0..8) {
        0 => format!("{{\"{name}\",{labels}}}"),
        1 if format == Format::Text => format!("{name} {{{labels}}}"),
        _ if labels.is_empty() => name.to_owned(),
        _ => format!("{name}{{{labels}}}"),
    };
    let mut line = format!("{head} {}", number(random));
    if format == Format::Text && random.u8(0..16) == 0 {
        line = format!("{head}{}{}", choose(random, &["  ", "\t", " \t"]), number(random));
    }
    if random.u8(0..6) == 0 {
        line += &format!(" {}", random.u8(..));
    }
    if format == Format::OpenMetrics && random.u8(0..6) == 0 {
        line += &format!(" # {{id=\"{}\"}} {}", choose(random, &["q", "r", "} 1"]), random.u8(..));
    }
    line
}

fn meta(random: &mut Rng, format: Format) -> String {
    let name = choose(random, &["a", "a", "b", "ab", "a_total"]);
    let is_text = format == Format::Text;
    match random.u8(0..5) {
        0 | 1 => format!("# HELP {name} {}", choose(random, &["one", "two", "\\n\\\\"])),
        2 if !is_text => format!("# UNIT {name} {}", if name == "a_total" { "total" } else { "" }),
        _ if is_text => {
            format!("# TYPE {name} {}", choose(random, &["counter", "gauge", "histogram", "summary", "untyped"]))
        }
        _ => format!("# TYPE {name} {}", choose(random, &["counter", "info", "stateset", "gaugehistogram", "summary"])),
    }
}

fn line(random: &mut Rng, format: Format) -> String {
    match random.u8(0..12) {
        0..3 => meta(random, format),
        3 if format == Format::Text => {
            choose(random, &["", "# a comment", "  ", "#", "\t# HELP a indented"]).to_owned()
        }
        _ => sample(random, format),
    }
}

/// Changes lines as targets change them, and as they should not.
fn mutate(random: &mut Rng, lines: &mut Vec<String>, format: Format) {
    let at = random.usize(0..=lines.len());
    let some = random.usize(0..=(lines.len() - at).min(40));
    match random.u8(0..12) {
        0 => lines.insert(at, line(random, format)),
        1 => drop(lines.drain(at..at + some.min(3))),
        2 => drop(lines.drain(at..at + some)),
        3 => {
            let new: Vec<String> = (0..random.usize(0..60)).map(|_| line(random, format)).collect();
            lines.splice(at..at + some, new);
        }
        4 if lines.len() > 1 => {
            let (a, b) = (random.usize(0..lines.len()), random.usize(0..lines.len()));
            lines.swap(a, b);
        }
        5 => {
            let moved: Vec<String> = lines.drain(at..at + some).collect();
            let to = random.usize(0..=lines.len());
            lines.splice(to..to, moved);
        }
        6 if at < lines.len() => {
            // Another text, which begins or ends as it did.
            let line = &mut lines[at];
            let places: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
            if let Some(at) = places.get(random.usize(0..places.len().max(1))) {
                match random.bool() {
                    true => line.insert(*at, choose(random, &["a", " ", "1", "{", "\"", "_sum"]).as_bytes()[0].into()),
                    false => drop(line.remove(*at)),
                }
            }
        }
        7 => {
            let metas: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("# ")).collect();
            if !metas.is_empty() {
                lines[metas[random.usize(0..metas.len())]] = meta(random, format);
            }
        }
        8 => random.shuffle(&mut lines[at..at + some]),
        _ => {}
    }
    for line in lines.iter_mut().filter(|line| !line.starts_with('#')) {
        if random.u8(0..3) == 0 {
            if let Some((head, _)) = line.rsplit_once(' ').filter(|(head, _)| !head.is_empty()) {
                // Behind a number stands a time.
                let is_time = head.rsplit(' ').next().is_some_and(|word| word.parse::<f64>().is_ok());
                let number = if is_time { random.u8(..).to_string() } else { number(random) };
                *line = format!("{head} {number}");
            }
        }
    }
}

fn page_of(lines: &[String], format: Format, random: &mut Rng) -> String {
    let mut page: String = lines.iter().map(|line| format!("{line}\n")).collect();
    match format {
        Format::OpenMetrics => page += "# EOF\n",
        Format::Text if random.u8(0..8) == 0 => drop(page.pop()),
        Format::Text => {}
    }
    page
}

#[test]
fn random_pages_give_the_same_compared_and_in_full() {
    for format in [Format::Text, Format::OpenMetrics] {
        let (mut good, mut known) = (0, 0);
        for seed in 0..100 {
            let mut random = Rng::with_seed(seed);
            let mut page = Page::new();
            let mut lines: Vec<String> = Vec::new();
            while both(&mut page, &page_of(&lines, format, &mut random), format).is_none() || lines.is_empty() {
                lines = (0..random.usize(0..120)).map(|_| line(&mut random, format)).collect();
            }
            for _ in 0..30 {
                let before = lines.clone();
                mutate(&mut random, &mut lines, format);
                let text = page_of(&lines, format, &mut random);
                match both(&mut page, &text, format) {
                    Some(fresh) => {
                        good += 1;
                        known += usize::from(fresh < lines.len() / 2);
                    }
                    // Most pages are to be good ones.
                    None if random.u8(0..4) > 0 => lines = before,
                    None => {}
                }
            }
        }
        assert!(good > 1000 && known > 600, "{format:?}: {good} good pages, {known} of them mostly known");
    }
}

#[test]
fn pages_that_are_cut_give_the_same_compared_and_in_full() {
    for format in [Format::Text, Format::OpenMetrics] {
        let mut random = Rng::with_seed(7);
        let lines: Vec<String> = (0..40).map(|_| line(&mut random, format)).collect();
        let mut whole: String = lines.iter().map(|line| format!("{line}\n")).collect();
        if format == Format::OpenMetrics {
            whole += "# EOF\n";
        }
        for at in (0..whole.len()).filter(|at| whole.is_char_boundary(*at)) {
            let mut page = Page::new();
            both(&mut page, &whole, format).unwrap();
            let cut = both(&mut page, &whole[..at], format);
            // Without its last line end the mark is whole.
            assert!(format == Format::Text || cut.is_none() || at == whole.len() - 1, "{:?}", &whole[..at]);
            // A page that was refused leaves the last good one.
            if cut.is_none() {
                assert_eq!(both(&mut page, &whole, format), Some(0));
            }
        }
    }
}

/// A page of families of ten series each.
fn families(from: usize, to: usize, value: usize) -> Vec<String> {
    let family = |at: usize| {
        let meta = [format!("# HELP family_{at} Of series."), format!("# TYPE family_{at} gauge")];
        let samples = (0..10).map(move |one| format!("family_{at}{{one=\"{one}\"}} {}", value * one));
        meta.into_iter().chain(samples)
    };
    (from..to).flat_map(family).collect()
}

fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// How many are new in a page that follows one of 200 families.
#[track_caller]
fn fresh(new: &[String]) -> usize {
    let mut page = Page::new();
    both(&mut page, &joined(&families(0, 200, 1)), Format::Text).unwrap();
    let fresh = both(&mut page, &joined(new), Format::Text).unwrap();
    // What was new is known the next time.
    assert_eq!(both(&mut page, &joined(new), Format::Text), Some(0));
    fresh
}

#[test]
fn what_is_new_alone_is_learnt() {
    let page = families(0, 200, 2);
    assert_eq!(fresh(&page), 0, "other numbers");
    assert_eq!(fresh(&[]), 0);

    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = page.clone();
        change(&mut lines);
        fresh(&lines)
    };
    let scattered = |lines: &mut Vec<String>| {
        for line in lines.iter_mut().skip(7).step_by(120) {
            *line = line.replace("one=", "other=");
        }
    };
    assert_eq!(changed(&scattered), 20, "series replaced here and there");
    let neighbours = |lines: &mut Vec<String>| {
        for line in &mut lines[600..1200] {
            *line = line.replace("one=", "other=");
        }
    };
    assert_eq!(changed(&neighbours), 500, "neighbours replaced");
    assert_eq!(changed(&|lines| drop(lines.drain(600..1200))), 0, "families gone");
    assert_eq!(changed(&|lines| drop(lines.drain(604..606))), 0, "series gone");
    assert_eq!(changed(&|lines| drop(lines.splice(600..600, families(500, 600, 3)))), 1000, "families come");
    assert_eq!(changed(&|lines| drop(lines.splice(600..900, families(500, 510, 3)))), 100, "less comes than goes");
    assert_eq!(changed(&|lines| drop(lines.splice(600..630, families(500, 600, 3)))), 1000 + 6, "more comes than goes");
    let last_first = |lines: &mut Vec<String>| {
        let last = lines.split_off(lines.len() - 12);
        lines.splice(0..0, last);
    };
    assert_eq!(changed(&last_first), 10, "a family moved");
    let line_moved = |lines: &mut Vec<String>| {
        let line = lines.remove(2000);
        lines.insert(5, line);
    };
    // Where it stands now it has another family in front of it.
    assert_eq!(changed(&line_moved), 1, "a line moved");
    assert_eq!(changed(&|lines| *lines = families(300, 500, 1)), 2000, "all others");
}

#[test]
fn what_is_said_of_a_family_makes_its_series_new_and_no_others() {
    let page = families(0, 200, 2);
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = page.clone();
        change(&mut lines);
        fresh(&lines)
    };
    assert_eq!(changed(&|lines| lines[601] = lines[601].replace("gauge", "counter")), 10);
    assert_eq!(changed(&|lines| lines[600] += " And more."), 10);
    assert_eq!(changed(&|lines| drop(lines.remove(601))), 10);
    assert_eq!(changed(&|lines| drop(lines.drain(600..602))), 10);
    // Behind its samples it says nothing of them.
    assert_eq!(changed(&|lines| lines.insert(612, "# TYPE family_50 counter".into())), 0);
    assert_eq!(changed(&|lines| lines.insert(607, "# TYPE family_50 counter".into())), 5);
    assert_eq!(changed(&|lines| lines.insert(607, "# just a comment".into())), 0);
    assert_eq!(changed(&|lines| lines.insert(607, String::new())), 0);
    // A family of that name was there before, so that what holds is no more what it was.
    assert_eq!(changed(&|lines| lines.insert(0, "# HELP family_50 Early.".into())), 10);
}

#[test]
fn a_series_outside_its_family_follows_what_is_said_of_that() {
    let mut page = Page::new();
    let text = |kind: &str| format!("# TYPE a {kind}\na 1\n# TYPE b gauge\nb 1\na{{x=\"y\"}} 1\n# TYPE c gauge\nc 1\n");
    assert_eq!(both(&mut page, &text("gauge"), Format::Text), Some(4));
    assert_eq!(both(&mut page, &text("gauge"), Format::Text), Some(0));
    assert_eq!(both(&mut page, &text("counter"), Format::Text), Some(2));
}

#[test]
fn another_format_is_another_page() {
    let mut page = Page::new();
    let text = "# TYPE a counter\na 1 5\n# EOF\n";
    assert_eq!(both(&mut page, text, Format::Text), Some(1));
    assert_eq!(both(&mut page, text, Format::OpenMetrics), Some(1));
    assert_eq!(both(&mut page, text, Format::OpenMetrics), Some(0));
}

#[test]
fn what_is_not_wanted_is_not_looked_at() {
    let mut page = Page::new();
    let first = read_into(&mut page, b"a 1\nunwanted 2\nunwanted{x=\"y\"} 3\nb 4\n", Format::Text).unwrap();
    assert_eq!((first.0.len(), first.1.samples, first.1.fresh), (2, 4, 4));
    let then = read_into(&mut page, b"a 5\nunwanted ?\nunwanted{x=\"y\"} 3\nb 6\n", Format::Text).unwrap();
    assert_eq!((then.0.len(), then.1.samples, then.1.fresh), (2, 4, 0));
    // The same text, and yet another series.
    let then = read_into(&mut page, b"a 5\nunwanted {x=\"z\"} 7\nunwanted{x=\"y\"} 3\nb 6\n", Format::Text).unwrap();
    assert_eq!((then.0.len(), then.1.samples, then.1.fresh), (2, 4, 1));
}

#[test]
fn lines_that_are_all_alike_end() {
    let alike = "a{x=\"y\"} 1\n".repeat(20_000);
    let mut page = Page::new();
    assert_eq!(both(&mut page, &alike, Format::Text), Some(20_000));
    let other = format!("{}{}", "b 1\n".repeat(100), &alike[..alike.len() / 2]);
    let fresh = both(&mut page, &other, Format::Text).unwrap();
    assert!((100..=10_100).contains(&fresh), "{fresh}");
}
