//! Hardware sensors, from `/sys/class/hwmon`: temperatures, fans, voltages, currents, powers.
//!
//! | module | what it is |
//! |---|---|
//! | `definition` | what the collector says about itself, and its settings |
//! | `readings` | what an attribute is called in each scheme, and its unit |
//! | `names` | what an attribute's file name says, and what a chip is called |
//! | `chip` | a chip's sensors and attributes, found and read |
//! | `collect` | the round: which chips there are, one after the other |
//!
//! <https://www.kernel.org/doc/html/latest/hwmon/sysfs-interface.html>

mod chip;
mod collect;
mod definition;
mod names;
mod readings;

pub use collect::Hwmon;
pub use definition::{Chips, DEFINITION};
