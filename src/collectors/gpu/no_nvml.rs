//! A static binary has no loader, so it cannot load NVIDIA's library, and says so. Neither can one
//! that is linked to musl: the library is made for glibc.

use super::library::{Library, NotOpen};

/// Says why not.
pub fn open(library: &str) -> Result<Box<dyn Library>, NotOpen> {
    let why = format!("this is the static build of metricsd, which cannot load {library}; that of the packages can");
    Err(NotOpen::Static(why))
}
