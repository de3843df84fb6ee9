//! What metricsd knows about the world: what can be read, and the numbers of one tick.
//!
//! A host's set of series hardly ever changes; its numbers always do. So they are two things:
//! [`Chunk`]s, each a stretch of the series that a source gives, immutable and shared, and a
//! [`Frame`] with one number for each series. A collector writes item by item through a
//! [`Recorder`], which notices by address that the sequence is that of the last round and then
//! only stores numbers; what comes or goes makes its chunk anew, and no other one.
//!
//! A [`Reading`] is a number that a collector knows how to give; it has a family, labels and
//! a factor in each naming [`Scheme`] that knows it.
//!
//! Pure: no I/O, no clocks, nothing else of this crate.

mod attributes;
mod changes;
mod chunk;
mod exemplar;
mod family;
mod frame;
mod hash;
mod item;
mod items;
mod labels;
mod payload;
mod reading;
mod readings;
mod receipt;
mod record;
mod recorder;
mod roster;
mod scheme;
mod signal;
#[cfg(test)]
pub mod testing;
mod view_slots;

pub use attributes::Attributes;
pub use changes::changes;
pub use chunk::{Before, Chunk, Slot};
pub use exemplar::{Exemplar, Exemplars, MAX_EXEMPLARS};
pub use family::{Family, Kind};
pub use frame::{Batch, Frame, Resource};
pub use hash::{AsItIs, keyed};
pub use item::{Item, Key};
pub use items::{ChunkItem, Items, Since};
pub use labels::{Labels, LabelsError};
pub use payload::{Parcel, Payload};
pub(crate) use reading::everywhere;
pub use reading::{Face, FaceLabels, Label, Learnt, Named, Reading, ReadingRef, face, scaled};
pub use readings::Readings;
pub use receipt::{Fate, Receipt};
pub use record::{Application, Attribute, Origin, Record, Records, Value};
pub use recorder::{Recorder, Refused, RoundEnd, Took, Writer};
pub use roster::{Roster, stands_for};
pub use scheme::Scheme;
pub use signal::Signal;
pub use view_slots::ViewSlots;
