//! Every parser of a kernel file; the input's first byte says which (`fuzz/seed` knows them too).

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::collectors::filesystem::mountinfo;
use metricsd::collectors::{cpu, disk, load, memory, network, uptime};

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    match which {
        b's' => {
            let mut readings = Vec::new();
            if cpu::parse(text, &mut readings).is_ok() {
                assert!(!readings.is_empty());
                assert!(readings.iter().all(|reading| (4..=10).contains(&reading.columns)));
            }
        }
        b'b' => drop(uptime::parse_boot_time(text)),
        b'm' => {
            if let Ok(info) = memory::parse(text) {
                // What the kernel gives is taken as it is; what we compute stays in bounds.
                assert!(info.available.is_some() || info.available().is_none_or(|bytes| bytes <= info.total));
            }
        }
        b'l' => {
            if let Ok(averages) = load::parse(text) {
                assert!(averages.iter().all(|average| average.is_finite() && *average >= 0.0));
            }
        }
        b'u' => {
            if let Ok(seconds) = uptime::parse(text) {
                assert!(seconds.is_finite() && seconds >= 0.0);
            }
        }
        b'd' => disk::parse(text).flatten().for_each(|line| assert!(!line.name.is_empty())),
        b'n' => network::parse(text).flatten().for_each(|line| assert!(!line.name.is_empty())),
        b'i' => {
            if let Ok((mounts, _)) = mountinfo::parse(text) {
                assert!(mounts.iter().all(|mount| mount.mountpoint.is_absolute()));
            }
        }
        _ => {}
    }
});
