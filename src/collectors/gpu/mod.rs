//! NVIDIA GPUs, as NVIDIA's own library (NVML) tells of them: a slow collector.
//!
//! The library is loaded at run time, so that one program serves hosts with a GPU and hosts
//! without. It talks to a driver, and may hang with it.

mod cards;
#[cfg_attr(
    any(target_env = "musl", target_feature = "crt-static"),
    allow(dead_code, reason = "no library answers a static binary")
)]
mod library;
#[cfg(not(any(target_env = "musl", target_feature = "crt-static")))]
mod nvml;
#[cfg(any(target_env = "musl", target_feature = "crt-static"))]
#[path = "no_nvml.rs"]
mod nvml;
mod pci;
mod readings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::definition::{Definition, Made};
use super::settings::{COMMON, DEFAULT_TIMEOUT, Given, TIMEOUT};
use crate::fields::{DefaultValue, Fault, Field, Inner, Table, Takes};

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "gpu",
    switch: "enable_gpu",
    about: "NVIDIA GPUs.",
    note: "through NVIDIA's own library, which a static binary cannot load; `system_gpu_count` is 0 on a host without \
           one",
    reads: &["libnvidia-ml.so.1", "/sys/bus/pci/devices"],
    needs: "the devices /dev/nvidia*, which the packages' unit allows",
    readings: readings::ALL,
    section: &SECTION,
    build: |parts| {
        let GpuSettings { library } = parts.settings.own(DEFINITION.name);
        let collector = cards::Gpu::new(move || nvml::open(&library), parts.host);
        let deadline = parts.settings.timeout(DEFINITION.name, DEFAULT_TIMEOUT);
        Made::Slow(Box::new(collector), Arc::new(|| true), deadline)
    },
    ..Definition::PLAIN
};

static SECTION: Table<Given> = Table::new(|| COMMON.iter().chain([&OWN, &TIMEOUT]).collect());
static OWN: Field<Given> = Field::all_of(&Inner { table: &TABLE, of: |s: &mut Given| s.own::<GpuSettings>() });
static TABLE: Table<GpuSettings> = Table::new(|| FIELDS.iter().collect());

/// Default of `collector.gpu.library`: the name by which every driver's packages install it.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// What `collector.gpu` may say.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuSettings {
    /// The library's name, which the loader looks for, or its path.
    pub library: String,
}

impl Default for GpuSettings {
    fn default() -> GpuSettings {
        GpuSettings { library: LIBRARY.to_owned() }
    }
}

static FIELDS: [Field<GpuSettings>; 1] = [Field::new(
    "library",
    Takes::Text(|s, library| {
        if library.is_empty() {
            return Err(Fault::expected("a name or a path"));
        }
        s.library = library;
        Ok(())
    }),
    DefaultValue::Text(LIBRARY),
    "NVIDIA's library: a name that the system's loader looks for, or a path.",
)];
