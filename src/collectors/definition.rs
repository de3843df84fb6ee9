//! What a collector says about itself: all that the configuration, the documentation and the beat have to know of it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::collector::{Collector, Due};
use super::settings::{Given, Preset, SECTION, Settings};
use crate::fields::Table;
use crate::host::{HostPaths, StatFs};
use crate::model::{Learnt, Reading};

/// A collector of the table in `collectors/mod.rs`.
pub struct Definition {
    /// As the configuration, `/health` and the logs call it; also its file's name.
    pub name: &'static str,
    /// Its switch in the configuration: `enable_<name>`; empty for a part of another one.
    pub switch: &'static str,
    /// What it tells of, in a sentence for operators.
    pub about: &'static str,
    /// What is worth knowing of it; may be empty.
    pub note: &'static str,
    /// The smallest preset that it is in; none: it is on only where somebody asks for it.
    pub preset: Option<Preset>,
    /// The kernel's files, calls and libraries that it reads.
    pub reads: &'static [&'static str],
    /// What it needs beyond an ordinary user's rights; empty: nothing.
    pub needs: &'static str,
    /// Another collector whose switch and settings are its own too: it is a part of that one.
    pub part_of: Option<&'static str>,
    /// Another collector whose switch turns it as well, where its own says nothing.
    pub follows: Option<&'static str>,
    /// What it may give that no collector before it in the table does.
    pub readings: &'static [&'static [Reading]],
    /// The same of what is learnt at run time: the keys that kernels are known to have.
    pub keys: fn() -> Vec<Learnt>,
    /// The fields of its object in `collector`.
    pub section: &'static Table<Given>,
    /// Makes it. Reads nothing yet.
    pub build: fn(&Parts<'_>) -> Made,
}

impl Definition {
    /// Of a collector that says nothing else: the rest of the others' definitions.
    pub const PLAIN: Definition = Definition {
        name: "",
        switch: "",
        about: "",
        note: "",
        preset: None,
        reads: &[],
        needs: "",
        part_of: None,
        follows: None,
        readings: &[],
        keys: Vec::new,
        section: &SECTION,
        build: |_| unreachable!("every definition says how its collector is made"),
    };

    /// Under which name the configuration has its settings.
    pub fn section_name(&self) -> &'static str {
        self.part_of.unwrap_or(self.name)
    }

    /// Whether it is on.
    pub fn is_on(&self, settings: &Settings) -> bool {
        let said = |name: &str| settings.given(name).and_then(|given| given.on);
        let on = said(self.section_name()).or_else(|| said(self.follows?));
        on.unwrap_or_else(|| self.preset.is_some_and(|smallest| smallest <= settings.preset))
    }

    /// Whether both say the same of it, its switch aside.
    pub fn is_same(&self, a: &Settings, b: &Settings) -> bool {
        let (mut a, b) = (a.all_of(self.section_name()), b.all_of(self.section_name()));
        a.on = b.on;
        a == b
    }
}

/// What collectors are built from.
pub struct Parts<'a> {
    /// What is said of all collectors.
    pub settings: &'a Settings,
    /// Where the host's files are.
    pub host: &'a HostPaths,
    /// Asks file systems for their sizes.
    pub statfs: Arc<dyn StatFs>,
    /// What the parts of one collector share, by its type.
    pub shared: Shared,
}

/// What the parts of one collector share, by its type.
#[derive(Default)]
pub struct Shared(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Shared {
    /// The one `T` that there is.
    pub fn the<T: Default + Any + Send + Sync>(&self) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Arc::clone(all.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default())));
        // Nothing else is ever put there.
        one.downcast().unwrap_or_default()
    }
}

/// A collector as it was made.
pub enum Made {
    /// It answers at once, and is called on the beat.
    Fast(Box<dyn Collector>),
    /// It may hang, and is called on a thread of its own while it is due. A round that takes
    /// longer than the deadline is given up: said, and not waited for.
    Slow(Box<dyn Collector>, Due, Duration),
}
