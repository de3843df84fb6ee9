//! What a destination's configuration says about its format.

use std::any::Any;
use std::fmt;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// Snappy's block format.
    Snappy,
}

impl Compression {
    /// All of them, in the order of [`Compression::WORDS`].
    pub const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

    /// How they are written in the configuration.
    pub const WORDS: [&str; 3] = ["none", "gzip", "snappy"];

    /// As it is written in the configuration.
    pub fn word(self) -> &'static str {
        Compression::WORDS[self as usize]
    }
}

/// What is set of the formats' settings. What one format alone has is a type of its own, in
/// its own file; nobody else has to know of it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// None: the format's own choice.
    pub compression: Option<Compression>,
    own: Vec<Box<dyn Own>>,
}

impl Options {
    /// Bodies compressed so; the rest is as by default.
    pub fn compressed(compression: impl Into<Option<Compression>>) -> Options {
        Options { compression: compression.into(), own: Vec::new() }
    }

    /// A format's own settings, to be read.
    pub fn get<T: Clone + Default + 'static>(&self) -> T {
        self.own.iter().find_map(|own| own.as_any().downcast_ref::<T>()).cloned().unwrap_or_default()
    }

    /// A format's own settings, to be set.
    pub fn of<T: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static>(&mut self) -> &mut T {
        let found = self.own.iter().position(|own| own.as_any().is::<T>());
        let at = found.unwrap_or_else(|| {
            self.own.push(Box::new(T::default()));
            self.own.len() - 1
        });
        self.own[at].as_any_mut().downcast_mut().expect("it was found by its type, or made of it")
    }

    /// These, with `own` among them.
    pub fn with<T: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static>(mut self, own: T) -> Options {
        *self.of() = own;
        self
    }
}

/// What is not set is as it is by default.
impl PartialEq for Options {
    fn eq(&self, other: &Options) -> bool {
        let within = |a: &Options, b: &Options| {
            a.own.iter().all(|own| match b.own.iter().find(|other| own.is_of_type_of(&***other)) {
                Some(other) => own.is_same(&**other),
                None => own.is_default(),
            })
        };
        self.compression == other.compression && within(self, other) && within(other, self)
    }
}

/// Settings of any type.
trait Own: Any + fmt::Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn copied(&self) -> Box<dyn Own>;
    fn is_of_type_of(&self, other: &dyn Own) -> bool;
    fn is_same(&self, other: &dyn Own) -> bool;
    fn is_default(&self) -> bool;
}

impl<T: Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static> Own for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn copied(&self) -> Box<dyn Own> {
        Box::new(self.clone())
    }

    fn is_of_type_of(&self, other: &dyn Own) -> bool {
        other.as_any().is::<T>()
    }

    fn is_same(&self, other: &dyn Own) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn is_default(&self) -> bool {
        *self == T::default()
    }
}

impl Clone for Box<dyn Own> {
    fn clone(&self) -> Box<dyn Own> {
        (**self).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct One(u8);
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Other(String);

    #[test]
    fn each_format_finds_its_own() {
        let options = Options::default().with(One(3)).with(Other("x".into()));
        assert_eq!((options.get::<One>(), options.get::<Other>()), (One(3), Other("x".into())));
        assert_eq!(Options::default().get::<One>(), One(0));
        assert_eq!(options.clone(), Options::default().with(Other("x".into())).with(One(3)));
    }

    #[test]
    fn what_is_not_set_is_as_by_default() {
        let none = Options::default();
        assert_eq!(none.clone().with(One(0)), none);
        assert_ne!(none.clone().with(One(1)), none);
        assert_ne!(none, none.clone().with(One(1)));
        assert_ne!(none.clone().with(One(1)), none.clone().with(One(2)));
        assert_ne!(Options { compression: Some(Compression::Gzip), ..none.clone() }, none);
    }
}
