//! Fields of made-up settings: what a collector, a format and a list of targets will declare.

use super::*;

#[derive(Default, PartialEq, Debug)]
struct Whole {
    port: u16,
    names: Vec<String>,
    wait: Duration,
    mode: usize,
    part: Inside,
    targets: Vec<Inside>,
    short: Option<Inside>,
    labels: Vec<(String, String)>,
    headers: Vec<(String, Held)>,
}

#[derive(Default, PartialEq, Debug)]
struct Inside {
    url: String,
    on: bool,
    deep: Deep,
}

#[derive(Default, PartialEq, Debug)]
struct Deep {
    rate: f64,
}

static DEEP: [Field<Deep>; 1] =
    [Field::new("rate", Takes::Number(0.5..=10.0, |s, rate| s.rate = rate), DefaultValue::Null, "How fast.")];
static DEEP_TABLE: Table<Deep> = Table::new(|| DEEP.iter().collect());

static INSIDE: [Field<Inside>; 3] = [
    Field::new("url", Takes::Text(set_url), DefaultValue::Required, "Where.").secret(),
    Field::new("on", Takes::Bool(|s: &mut Inside, on| s.on = on), DefaultValue::Bool(true), "Whether.")
        .variable("MC_ON"),
    Field::new(
        "deep",
        Takes::Object(&Inner { table: &DEEP_TABLE, of: |s: &mut Inside| &mut s.deep }),
        DefaultValue::EmptyMap,
        "",
    ),
];

static INSIDE_TABLE: Table<Inside> = Table::checked(
    || INSIDE.iter().collect(),
    |s, notes| {
        if s.on && s.url.is_empty() {
            notes.problem("url", "required");
        }
    },
);

fn set_url(s: &mut Inside, url: String) -> Done {
    if !url.contains(':') {
        return Err(Fault::quoting("").after(" has no scheme"));
    }
    s.url = url;
    Ok(())
}

static NUMBERS: [Field<Whole>; 2] = [
    Field::new("port", Takes::Whole(1..=65535, |s, port| s.port = port as u16), DefaultValue::Whole(80), "Port."),
    Field::new("wait", Takes::Duration(WAIT, |s, wait| s.wait = wait), DefaultValue::Text("5s"), "How long."),
];

static WORDS: [Field<Whole>; 5] = [
    Field::new(
        "names",
        Takes::Texts(
            |s| s.names.clear(),
            |s, name| {
                s.names.push(name);
                Ok(())
            },
        ),
        DefaultValue::Texts(&["a|b", "c\\d\n"]),
        "Names.",
    ),
    Field::new("mode", Takes::Word(&["fast", "slow"], |s, at| s.mode = at), DefaultValue::Text("slow"), "Mode."),
    Field::new(
        "labels",
        Takes::Map(|s, name, value| {
            s.labels.push((name.to_owned(), value));
            Ok(())
        }),
        DefaultValue::EmptyMap,
        "Labels.",
    ),
    Field::new(
        "headers",
        Takes::Secrets(|s, name, value| {
            s.headers.push((name.to_owned(), value));
            Ok(())
        }),
        DefaultValue::EmptyMap,
        "Headers.",
    ),
    Field::all_of(&Inner { table: &INSIDE_TABLE, of: |s: &mut Whole| &mut s.part }),
];

static LISTS: [Field<Whole>; 2] = [
    Field::new(
        "short",
        Takes::Object(&Inner { table: &INSIDE_TABLE, of: |s: &mut Whole| s.short.get_or_insert_with(Inside::default) }),
        DefaultValue::Null,
        "",
    ),
    Field::new(
        "targets",
        Takes::Objects(&Inner {
            table: &INSIDE_TABLE,
            of: |s: &mut Whole| {
                s.targets.push(Inside::default());
                s.targets.last_mut().expect("one was pushed")
            },
        }),
        DefaultValue::Texts(&[]),
        "Targets.",
    ),
];

static TABLE: Table<Whole> = Table::new(|| NUMBERS.iter().chain(&WORDS).chain(&LISTS).collect());

/// The message, `7` being what was written, and a hint's words in brackets.
fn said(done: Done) -> String {
    done.unwrap_err().message("7", |text, known| format!(" [{text}: {}]", known.join(" ")))
}

fn one(text: &str) -> Piece<'static> {
    Piece::One(Scalar::Text(text.to_owned()))
}

#[test]
fn values_reach_their_settings_through_tables_in_tables() {
    let mut whole = Whole { names: vec!["default".to_owned()], ..Whole::default() };
    let mut fill = TABLE.fill(&mut whole);
    fill.set("port", Piece::One(Scalar::Number("8.08e3"))).unwrap();
    fill.set("wait", one("1m30s")).unwrap();
    fill.set("mode", one("slow")).unwrap();
    // A field of a part whose fields stand here, and an object below it.
    fill.set("url", one("a:")).unwrap();
    fill.open("deep").unwrap().set("rate", Piece::One(Scalar::Number("0.5"))).unwrap();
    fill.set("names", Piece::List).unwrap();
    fill.set("names", Piece::Item(Scalar::Text("n".to_owned()))).unwrap();
    fill.set("labels", Piece::Member("zone", Scalar::Text("a".to_owned()))).unwrap();
    fill.set("headers", Piece::MemberFile("X-Key", "/k".to_owned())).unwrap();
    for url in ["b:", "c:"] {
        fill.open("targets").unwrap().set("url", one(url)).unwrap();
    }
    assert!(fill.open("port").is_none() && fill.open("nothing").is_none());
    drop(fill);
    let inside = |url: &str, rate| Inside { url: url.to_owned(), on: false, deep: Deep { rate } };
    let expected = Whole {
        port: 8080,
        names: vec!["n".to_owned()],
        wait: Duration::from_secs(90),
        mode: 1,
        part: inside("a:", 0.5),
        targets: vec![inside("b:", 0.0), inside("c:", 0.0)],
        short: None,
        labels: vec![("zone".to_owned(), "a".to_owned())],
        headers: vec![("X-Key".to_owned(), Held::InFile("/k".to_owned()))],
    };
    assert_eq!(whole, expected);
}

#[test]
fn what_is_not_of_its_kind_or_range_is_refused_in_words() {
    let mut whole = Whole::default();
    let mut fill = TABLE.fill(&mut whole);
    let number = |text| Piece::One(Scalar::Number(text));
    for (field, piece, message) in [
        ("port", number("65536"), "expected a whole number from 1 to 65535, got 7"),
        ("port", number("80.5"), "expected a whole number from 1 to 65535, got 7"),
        ("port", one("80"), "expected a whole number from 1 to 65535, got 7"),
        (
            "wait",
            number("30"),
            "expected a duration from 1ms to 24h, got 7; a number is nanoseconds, for seconds write \"30s\"",
        ),
        ("wait", one("25h"), "expected a duration from 1ms to 24h, got 7"),
        (
            "wait",
            one("soon"),
            "expected a duration such as \"30s\", \"1m30s\" or \"250ms\", or a number of nanoseconds, got 7",
        ),
        ("mode", one("slw"), "expected \"fast\" or \"slow\", got 7 [slw: fast slow]"),
        ("mode", number("1"), "expected a string, got 7"),
        ("names", one("a"), "expected a list, got 7"),
        ("names", Piece::Item(Scalar::Number("1")), "expected a string, got 7"),
        ("labels", one("a"), "expected an object, got 7"),
        ("url", one("a"), "7 has no scheme"),
        ("on", one("a"), "expected true or false, got 7"),
        ("short", one("a"), "expected an object, got 7"),
        ("targets", one("a"), "expected a list, got 7"),
    ] {
        assert_eq!(said(fill.set(field, piece)), message, "{field}");
    }
    let mut deep = fill.open("deep").unwrap();
    assert_eq!(said(deep.set("rate", number("10.1"))), "expected a number from 0.5 to 10, got 7");
}

#[test]
fn a_check_speaks_of_the_fields_of_its_own_object() {
    let mut whole = Whole { part: Inside { on: true, ..Inside::default() }, ..Whole::default() };
    let mut notes = Notes::default();
    notes.within("shippers", |notes| notes.within(1, |notes| TABLE.fill(&mut whole).check(notes)));
    let [note] = &notes.into_list()[..] else { panic!("one note") };
    assert_eq!(note.path, ["shippers".into(), 1.into(), Step::from("url")]);
    assert_eq!((note.severity, &note.fault), (Severity::Problem, &Fault::new("required")));
}

#[test]
fn rows_tell_kind_range_and_default_of_every_field_lists_of_objects_included() {
    let rows = rows(&TABLE);
    let text: Vec<String> = rows.iter().map(|row| format!("{}: {}, {}", row.path, row.takes, row.default)).collect();
    assert_eq!(
        text,
        [
            "port: whole number, 1 to 65535, 80",
            "wait: duration, \"5s\"",
            r#"names: list of strings, ["a|b","c\\d\u000a"]"#,
            "mode: `fast`, `slow`, \"slow\"",
            "labels: map of strings, {}",
            "headers: map of strings, {}",
            "url: string, required",
            "on: boolean, true",
            "deep.rate: number, 0.5 to 10, null",
            "short.url: string, required",
            "short.on: boolean, true",
            "short.deep.rate: number, 0.5 to 10, null",
            "targets: list of objects, []",
        ]
    );
    // Without an object before it whose fields it shares, the list's own are told.
    static ONLY: Table<Whole> = Table::new(|| vec![&LISTS[1]]);
    let paths: Vec<String> = super::rows(&ONLY).into_iter().map(|row| row.path).collect();
    assert_eq!(paths, ["targets", "targets[].url", "targets[].on", "targets[].deep.rate"]);
}

#[test]
fn variables_stand_for_fields_of_objects_but_not_of_lists() {
    let all: Vec<String> = variables(&TABLE).into_iter().map(|v| format!("{} {:?}", v.name, v.path)).collect();
    assert_eq!(all, [r#"MC_ON ["on"]"#, r#"MC_ON ["short", "on"]"#]);
}
