//! A page of metrics in Prometheus' text format, taken apart.

use std::collections::BTreeMap;

/// What a page says.
#[derive(Debug, Default)]
pub struct Page {
    /// The type of each family, by name.
    pub types: BTreeMap<String, String>,
    /// The number of each series, by name and labels.
    pub values: BTreeMap<Key, f64>,
}

/// A series' name and its labels.
pub type Key = (String, BTreeMap<String, String>);

impl Page {
    /// Reads a page of somebody whom we trust to write good ones.
    pub fn read(text: &str) -> Page {
        let mut page = Page::default();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                page.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') && !line.is_empty() {
                let (key, value) = sample(line);
                assert!(page.values.insert(key, value).is_none(), "twice on the page: {line}");
            }
        }
        page
    }

    /// The series of a family, by labels.
    pub fn series(&self, family: &str) -> impl Iterator<Item = (&BTreeMap<String, String>, f64)> {
        let from = (family.to_owned(), BTreeMap::new());
        let all = self.values.range(from..).map(|((name, labels), value)| (name, labels, *value));
        all.take_while(move |(name, _, _)| *name == family).map(|(_, labels, value)| (labels, value))
    }
}

/// `name{label="value",...} number`; within a value `\\`, `\"` and `\n` stand for others.
fn sample(line: &str) -> (Key, f64) {
    let (name, mut rest) = line.split_at(line.find(['{', ' ']).unwrap());
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while let Some((label, value)) = rest.split_once("=\"").filter(|_| !rest.starts_with('}')) {
            let mut text = String::new();
            let mut chars = value.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => match chars.next().unwrap().1 {
                        'n' => text.push('\n'),
                        other => text.push(other),
                    },
                    (_, other) => text.push(other),
                }
            };
            labels.insert(label.to_owned(), text);
            rest = value[end + 1..].trim_start_matches(',');
        }
        rest = rest.strip_prefix('}').unwrap();
    }
    let number = rest.split_whitespace().next().unwrap();
    ((name.to_owned(), labels), number.parse().unwrap())
}

#[test]
fn a_page_is_taken_apart() {
    let page = Page::read(
        "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"1\",y=\"q\\\"}\\\\\\n=\"} 1.5e+06\na_total{} 2\n\n# TYPE b gauge\nb 3 1700\n",
    );
    let labels = |all: &[(&str, &str)]| all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let expected: [(Key, f64); 3] = [
        (("a_total".to_owned(), BTreeMap::new()), 2.0),
        (("a_total".to_owned(), labels(&[("x", "1"), ("y", "q\"}\\\n=")])), 1_500_000.0),
        (("b".to_owned(), BTreeMap::new()), 3.0),
    ];
    assert_eq!(page.values, expected.into());
    assert_eq!(page.series("a_total").map(|(_, value)| value).collect::<Vec<_>>(), [2.0, 1_500_000.0]);
    assert_eq!(page.types["a_total"], "counter");
}
