//! What is wrong with a configuration, in words that lead to the place.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use super::loaded::LogFormat;
use crate::http::redacted_url;
use crate::order;

/// Problems beyond this many are counted, not kept: nobody reads on, and a hostile file
/// could hold one in every few bytes.
const MAX_PROBLEMS: usize = 100;

/// Characters of a value or key that a message quotes; enough to recognise it.
const MAX_QUOTED_CHARS: usize = 60;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the environment variable.
    pub source: String,
    /// Line and column (in characters), both from 1; none where a whole file or a variable is meant.
    pub place: Option<(usize, usize)>,
    /// JSON path, `shippers[1].tls.ca_file`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Prints a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    uncounted: usize,
    /// What log lines are to look like, as far as that could be read: these are among them.
    pub log_format: LogFormat,
}

impl Problems {
    /// Takes one more. `problem` is only asked while there is room: finding the line costs
    /// a pass over the file.
    pub(super) fn add(&mut self, problem: impl FnOnce() -> Problem) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(problem());
        } else {
            self.uncounted += 1;
        }
    }

    /// The same of a text that stood a line further down; without places where it is not what was written.
    pub(super) fn in_text(mut self, is_written: bool) -> Problems {
        for problem in &mut self.list {
            problem.place = problem.place.filter(|_| is_written).map(|(line, column)| (line.saturating_sub(1), column));
        }
        self
    }

    /// By line and column; what has none (variables) comes last.
    pub(super) fn sort(&mut self) {
        order::sort_by_key(&mut self.list, |problem| problem.place.unwrap_or((usize::MAX, 0)));
    }

    /// A line each, the last one for those that were not kept.
    pub(super) fn into_lines(self) -> Vec<String> {
        self.to_string().lines().map(str::to_owned).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems that were kept, at most a hundred.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.list.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems { list: vec![problem], ..Problems::default() }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.list.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        match self.uncounted {
            0 => Ok(()),
            more => write!(f, "\n... and {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// The way to a value: a list of steps that grows at its end and shares its beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(Option<Rc<(Path, Step)>>);

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The member `key` of what this leads to.
    pub fn key(&self, key: &str) -> Path {
        Path(Some(Rc::new((self.clone(), Step::Key(clipped(key).into_owned())))))
    }

    /// The field that this leads to: without places in lists, and those of each of `shippers` as those of `shipper`.
    pub fn of_field(&self) -> String {
        let Some((before, step)) = self.0.as_deref() else { return String::new() };
        let before = before.of_field();
        match step {
            Step::Index(_) if before == "shippers" => "shipper".to_owned(),
            Step::Index(_) => before,
            Step::Key(key) if before.is_empty() => key.clone(),
            Step::Key(key) => format!("{before}.{key}"),
        }
    }

    /// The item `index` of the list that this leads to.
    pub fn index(&self, index: usize) -> Path {
        Path(Some(Rc::new((self.clone(), Step::Index(index)))))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rc) = &self.0 else { return Ok(()) };
        let (before, step) = &**rc;
        before.fmt(f)?;
        match step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) if is_plain(key) && before.0.is_none() => f.write_str(key),
            Step::Key(key) if is_plain(key) => write!(f, ".{key}"),
            // Quoted, so that no key can bring line breaks or colours into a log.
            Step::Key(key) => write!(f, "[{key:?}]"),
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

/// `text` in quotes, cut to a length for people, without what may be credentials.
pub(super) fn quoted(text: &str) -> String {
    let shown = if text.contains("://") || text.contains('@') { redacted_url(text) } else { text.to_owned() };
    format!("{:?}", clipped(&shown))
}

fn clipped(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// Line and column, both from 1, of the byte `at` of `text`.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_that_leads_to_its_place() {
        let path = Path::default().key("shippers").index(1).key("tls").key("ca_fil");
        let mut problem = Problem {
            source: "config.json".into(),
            place: Some((12, 5)),
            path: path.to_string(),
            message: "unknown field".into(),
        };
        assert_eq!(problem.to_string(), "config.json:12:5: shippers[1].tls.ca_fil: unknown field");
        problem.path = Path::default().to_string();
        problem.place = None;
        assert_eq!(problem.to_string(), "config.json: unknown field");
    }

    #[test]
    fn odd_keys_are_quoted_and_long_ones_cut() {
        let labels = Path::default().key("labels");
        assert_eq!(labels.key("a\nb").to_string(), r#"labels["a\nb"]"#);
        assert_eq!(labels.key("").to_string(), r#"labels[""]"#);
        assert_eq!(labels.key(&"x".repeat(1000)).to_string().len(), "labels[\"...\"]".len() + MAX_QUOTED_CHARS);
    }

    #[test]
    fn columns_count_characters() {
        let text = "{\n \"é\": x}";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, text.find('x').unwrap()), (2, 7));
        assert_eq!(line_and_column(text, text.len()), (2, 9));
    }

    #[test]
    fn paths_know_their_field() {
        let shipper = Path::default().key("shippers").index(1);
        assert_eq!(shipper.key("tls").key("ca_file").of_field(), "shipper.tls.ca_file");
        assert_eq!(Path::default().key("a").index(0).key("b").index(2).of_field(), "a.b");
        assert_eq!(Path::default().of_field(), "");
    }

    #[test]
    fn quoting_hides_credentials() {
        assert_eq!(quoted("http://u:p@h/"), r#""http://***@h/""#);
        assert_eq!(quoted("plain"), r#""plain""#);
    }

    #[test]
    fn more_problems_than_anyone_reads_are_counted() {
        let mut problems = Problems::default();
        for _ in 0..105 {
            let (source, path) = (String::new(), String::new());
            problems.add(|| Problem { source, place: None, path, message: "x".into() });
        }
        assert_eq!(problems.iter().len(), 100);
        assert!(problems.to_string().ends_with("\n... and 5 more"));
    }
}
