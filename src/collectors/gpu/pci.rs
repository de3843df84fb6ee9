//! Whether a host has an NVIDIA GPU at all, whatever has become of its driver.

use crate::order;
use std::fs;
use std::path::Path;

/// NVIDIA's number as a vendor of PCI devices, as the kernel writes it.
const NVIDIA: &str = "0x10de";

/// How the class of a display controller begins: VGA-compatible ones, 3D controllers and others.
const DISPLAY: &str = "0x03";

/// The address of the first NVIDIA GPU below `/sys/bus/pci/devices`.
pub fn nvidia_gpu(devices: &Path) -> Option<String> {
    let is = |device: &Path, file: &str, begins: &str| {
        fs::read_to_string(device.join(file)).is_ok_and(|text| text.starts_with(begins))
    };
    let mut found: Vec<_> = fs::read_dir(devices).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    order::sort(&mut found);
    let gpu = found.iter().find(|device| is(device, "vendor", NVIDIA) && is(device, "class", DISPLAY))?;
    Some(gpu.file_name()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Folder;
    use super::*;

    #[test]
    fn a_display_controller_of_nvidias_is_one() {
        let folder = Folder::new("gpu-pci");
        let devices = folder.host().sys("bus/pci/devices");
        assert_eq!(nvidia_gpu(&devices), None, "a host without PCI");
        let device = |address: &str, vendor: &str, class: &str| {
            folder.write(&format!("sys/bus/pci/devices/{address}/vendor"), vendor);
            folder.write(&format!("sys/bus/pci/devices/{address}/class"), class);
        };
        device("0000:00:02.0", "0x8086\n", "0x030000\n");
        // The sound of a GPU, and the switch between them.
        device("0000:01:00.1", "0x10de\n", "0x040300\n");
        device("0000:02:00.0", "0x10de\n", "0x068000\n");
        assert_eq!(nvidia_gpu(&devices), None);
        device("0000:41:00.0", "0x10de\n", "0x030200\n");
        device("0000:01:00.0", "0x10de\n", "0x030000\n");
        assert_eq!(nvidia_gpu(&devices).as_deref(), Some("0000:01:00.0"));
    }
}
