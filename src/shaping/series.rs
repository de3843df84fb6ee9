//! One series on its way through rules.

use super::identity;

/// The label by which rules know a series' name.
pub const NAME: &str = "__name__";

/// A series as rules see it: its name, its labels, and what its numbers are multiplied with.
///
/// It is made to be filled again and again ([`Series::begin`]), and keeps the room for its texts.
#[derive(Clone, Debug)]
pub struct Series {
    name: String,
    /// The first `count` are its labels, sorted by name, no name twice, no value empty. Behind
    /// them is room for more.
    labels: Vec<(String, String)>,
    count: usize,
    factor: f64,
    /// Whether its name or a label has changed since somebody looked.
    changed: bool,
}

impl Default for Series {
    fn default() -> Series {
        Series { name: String::new(), labels: Vec::new(), count: 0, factor: 1.0, changed: false }
    }
}

impl Series {
    /// Begins another series: of that name, without labels, with a factor of 1.
    pub fn begin(&mut self, name: &str) {
        self.name.clear();
        self.name.push_str(name);
        self.count = 0;
        self.factor = 1.0;
        self.changed = false;
    }

    /// Its name; empty where a rule took it away.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its labels, sorted by name: no name twice, no value empty.
    pub fn labels(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.labels[..self.count].iter().map(|(name, value)| (&**name, &**value))
    }

    /// What tells it from other series: a hash of its name and labels.
    pub fn identity(&self) -> u64 {
        identity::of_series(self.name(), self.labels())
    }

    /// What its numbers are multiplied with.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// The value of the label `label`, its name for `__name__`; empty where it has none.
    pub fn get(&self, label: &str) -> &str {
        if label == NAME {
            return &self.name;
        }
        self.find(label).map_or("", |at| &self.labels[at].1)
    }

    /// Gives it a label, in the place of one of that name. An empty value takes the label away.
    pub fn set(&mut self, label: &str, value: &str) {
        if label == NAME {
            if self.name != value {
                self.name.clear();
                self.name.push_str(value);
                self.changed = true;
            }
            return;
        }
        match self.find(label) {
            Ok(at) if value.is_empty() => self.remove_at(at),
            Ok(at) => {
                let own = &mut self.labels[at].1;
                if *own != value {
                    own.clear();
                    own.push_str(value);
                    self.changed = true;
                }
            }
            Err(_) if value.is_empty() => {}
            Err(at) => {
                if self.count == self.labels.len() {
                    self.labels.push(Default::default());
                }
                let (name, own) = &mut self.labels[self.count];
                name.clear();
                name.push_str(label);
                own.clear();
                own.push_str(value);
                self.labels[at..=self.count].rotate_right(1);
                self.count += 1;
                self.changed = true;
            }
        }
    }

    /// Takes away the labels that `stays` says no to, its name among them (`__name__`).
    pub fn retain(&mut self, stays: impl Fn(&str) -> bool) {
        if !self.name.is_empty() && !stays(NAME) {
            self.name.clear();
            self.changed = true;
        }
        self.retain_labels(stays);
    }

    /// The same without its name.
    pub fn retain_labels(&mut self, stays: impl Fn(&str) -> bool) {
        let mut at = 0;
        while at < self.count {
            if stays(&self.labels[at].0) {
                at += 1;
            } else {
                self.remove_at(at);
            }
        }
    }

    /// Its numbers are multiplied with `factor`, too.
    pub fn scale(&mut self, factor: f64) {
        self.factor *= factor;
    }

    /// Whether its name or a label has changed since it began, or since this was asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn find(&self, label: &str) -> Result<usize, usize> {
        self.labels[..self.count].binary_search_by(|(name, _)| (**name).cmp(label))
    }

    fn remove_at(&mut self, at: usize) {
        self.labels[at..self.count].rotate_left(1);
        self.count -= 1;
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stay_sorted_and_an_empty_value_is_none() {
        let mut series = Series::default();
        series.begin("up");
        for (name, value) in [("job", "a"), ("a", "1"), ("z", ""), ("instance", "h"), ("job", "b")] {
            series.set(name, value);
        }
        assert_eq!(series.labels().collect::<Vec<_>>(), [("a", "1"), ("instance", "h"), ("job", "b")]);
        assert_eq!([NAME, "job", "z"].map(|label| series.get(label).to_owned()), ["up", "b", ""]);
        series.set("a", "");
        series.set(NAME, "down");
        assert_eq!((series.name(), series.labels().len()), ("down", 2));
        series.begin("next");
        assert_eq!((series.name(), series.labels().len(), series.factor()), ("next", 0, 1.0));
        series.set("b", "2");
        assert_eq!(series.labels().collect::<Vec<_>>(), [("b", "2")]);
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let mut series = Series::default();
        series.begin("up");
        series.set("job", "a");
        assert!(series.take_changed());
        series.set("job", "a");
        series.set("other", "");
        series.set(NAME, "up");
        series.scale(2.0);
        series.retain(|_| true);
        assert!(!series.take_changed());
        series.retain(|name| name != NAME);
        assert!(series.take_changed());
        assert_eq!((series.name(), series.factor()), ("", 2.0));
    }
}
