//! What kinds of data there are.

/// A kind of data. Each has lanes of its own, so that none waits for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Series of numbers.
    Metrics,
    /// Log lines and events.
    Records,
}

impl Signal {
    /// What its lanes are called by, behind the name of their destination, which holds no `@`.
    pub fn suffix(self) -> &'static str {
        match self {
            Signal::Metrics => "",
            Signal::Records => "@records",
        }
    }

    /// What one thing of it is called.
    pub fn thing(self) -> &'static str {
        match self {
            Signal::Metrics => "sample",
            Signal::Records => "record",
        }
    }

    /// The same for many.
    pub fn things(self) -> &'static str {
        match self {
            Signal::Metrics => "samples",
            Signal::Records => "records",
        }
    }
}
