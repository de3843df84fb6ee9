//! Entropy for random numbers, from `/proc/sys/kernel/random`.

use super::collector::{CollectError, Collector, Tick};
use super::definition::{Definition, Made};
use super::parse::{ParseError, one_number};
use super::settings::Preset;
use crate::host::{HostPaths, KernelFile, Scratch};
use crate::model::{Family, Item, Reading, Recorder, face};

static AVAILABLE: Reading = Reading {
    native: face(&Family::gauge("system_entropy_available_bits", "bits", "Entropy in the kernel's pool."), &[]),
    node: face(&Family::gauge("node_entropy_available_bits", "", "Entropy in the kernel's pool."), &[]),
    otel: face(&Family::gauge("system.linux.entropy.available", "bit", "Entropy in the kernel's pool."), &[]),
};
static POOL_SIZE: Reading = Reading {
    native: face(&Family::gauge("system_entropy_pool_size_bits", "bits", "Size of the kernel's pool."), &[]),
    node: face(&Family::gauge("node_entropy_pool_size_bits", "", "Size of the kernel's pool."), &[]),
    otel: face(&Family::gauge("system.linux.entropy.pool_size", "bit", "Size of the kernel's pool."), &[]),
};

/// What it says about itself.
pub static DEFINITION: Definition = Definition {
    name: "entropy",
    switch: "enable_entropy",
    about: "Entropy for random numbers.",
    preset: Some(Preset::Full),
    reads: &["/proc/sys/kernel/random/entropy_avail", "/proc/sys/kernel/random/poolsize"],
    readings: &[std::slice::from_ref(&AVAILABLE), std::slice::from_ref(&POOL_SIZE)],
    build: |parts| Made::Fast(Box::new(Entropy::new(parts.host))),
    ..Definition::PLAIN
};

/// The collector.
#[derive(Debug)]
pub struct Entropy {
    available: KernelFile,
    pool_size: KernelFile,
    host: Item,
}

impl Entropy {
    /// Reads `/proc/sys/kernel/random` of `host`.
    pub fn new(host: &HostPaths) -> Entropy {
        let file = |name| KernelFile::new(host.proc("sys/kernel/random").join(name)).in_one_piece();
        Entropy { available: file("entropy_avail"), pool_size: file("poolsize"), host: Item::new(&[]) }
    }
}

impl Collector for Entropy {
    fn collect(&mut self, _tick: &Tick, scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let mut host = out.item(&self.host);
        for (file, reading) in [(&mut self.available, &AVAILABLE), (&mut self.pool_size, &POOL_SIZE)] {
            let bits = parse(file.read(scratch)?).map_err(|error| error.of(file.path()))?;
            host.push(reading, bits as f64);
        }
        Ok(())
    }
}

/// The one number of the file, in bits:
///
/// ```text
/// 256
/// ```
///
/// See <https://www.kernel.org/doc/html/latest/admin-guide/sysctl/kernel.html#random>. Since
/// Linux 5.18 both are 256 once the pool is filled.
pub fn parse(text: &[u8]) -> Result<u64, ParseError> {
    one_number(text)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Folder, collect, collect_as, cut_everywhere, owned};
    use super::*;
    use crate::model::Scheme;

    #[test]
    fn both_numbers_are_read() {
        let folder = Folder::new("entropy");
        folder.write("proc/sys/kernel/random/entropy_avail", "3011\n");
        folder.write("proc/sys/kernel/random/poolsize", "4096\n");
        let seen = |scheme| collect_as(scheme, &mut Entropy::new(&folder.host()));
        let expected = [("system_entropy_available_bits", 3011.0), ("system_entropy_pool_size_bits", 4096.0)];
        assert_eq!(seen(Scheme::Native), owned(&expected));
        let expected = [("node_entropy_available_bits", 3011.0), ("node_entropy_pool_size_bits", 4096.0)];
        assert_eq!(seen(Scheme::NodeExporter), owned(&expected));
        let expected = [("system.linux.entropy.available", 3011.0), ("system.linux.entropy.pool_size", 4096.0)];
        assert_eq!(seen(Scheme::Otel), owned(&expected));
    }

    #[test]
    fn a_kernel_without_it_is_no_failure_and_garbage_is() {
        let folder = Folder::new("entropy-missing");
        assert!(matches!(collect(&mut Entropy::new(&folder.host())), Err(CollectError::Absent(_))));
        folder.write("proc/sys/kernel/random/entropy_avail", "-1\n");
        let error = collect(&mut Entropy::new(&folder.host())).unwrap_err().to_string();
        assert!(error.contains("entropy_avail") && error.ends_with("expected a number, got \"-1\""), "{error}");
    }

    #[test]
    fn no_text_makes_it_panic() {
        cut_everywhere("proc/sys/kernel/random/entropy_avail", |text| drop(parse(text)));
    }
}
