//! NVIDIA's library, as `nvml-wrapper` loads it.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/>

use std::io::ErrorKind;
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;

use super::library::{Answer, Fault, Identity, Library, Memory, NotOpen, Numbers, Utilization};
use crate::host::fetch;

/// What the loaders of glibc say, behind its name, of what is not there. In other words where
/// somebody has set a locale, which this program never does.
const NO_SUCH_FILE: &str = ": cannot open shared object file: No such file or directory";

/// Loads and initialises the library of that name or path.
pub fn open(library: &str) -> Result<Box<dyn Library>, NotOpen> {
    let path = Path::new(library);
    if library.contains('/') {
        fetch(path).map_err(|error| {
            let why = format!("cannot load {library}: {error}");
            if error.kind() == ErrorKind::NotFound { NotOpen::NotFound(why) } else { NotOpen::Unusable(why) }
        })?;
    }
    match Nvml::builder().lib_path(path.as_os_str()).init() {
        Ok(nvml) => Ok(Box::new(nvml)),
        // The loader's words name the library.
        Err(NvmlError::LibloadingError(error)) => {
            let (said, why) = (error.to_string(), format!("cannot load {error}"));
            // Of another library that this one needs it says the same, with that one's name.
            let is_missing = said.strip_prefix(library).is_some_and(|said| said.starts_with(NO_SUCH_FILE));
            Err(if is_missing { NotOpen::NotFound(why) } else { NotOpen::Unusable(why) })
        }
        Err(error @ NvmlError::DriverNotLoaded) => Err(NotOpen::NoDriver(said_by(library, &error))),
        Err(error) => Err(NotOpen::Refused(said_by(library, &error))),
    }
}

fn said_by(library: &str, error: &NvmlError) -> String {
    format!("{library} says: {}", words(error))
}

impl Library for Nvml {
    fn count(&self) -> Answer<u32> {
        self.device_count().map_err(fault)
    }

    fn identity(&self, index: u32) -> Answer<Identity> {
        let device = self.device_by_index(index).map_err(fault)?;
        Ok(Identity {
            name: if_any(device.name())?,
            uuid: if_any(device.uuid())?,
            pci: if_any(device.pci_info().map(|pci| pci.bus_id))?,
        })
    }

    fn numbers(&self, index: u32) -> Answer<Numbers> {
        let device = self.device_by_index(index).map_err(fault)?;
        let utilization = device.utilization_rates().map(|all| Utilization { gpu: all.gpu, memory: all.memory });
        let memory = device.memory_info().map(|all| Memory { total: all.total, used: all.used, free: all.free });
        Ok(Numbers {
            utilization: utilization.map_err(fault),
            memory: memory.map_err(fault),
            temperature: device.temperature(TemperatureSensor::Gpu).map_err(fault),
            power: device.power_usage().map_err(fault),
            fan: device.fan_speed(0).map_err(fault),
            clock_sm: device.clock_info(Clock::SM).map_err(fault),
            clock_memory: device.clock_info(Clock::Memory).map_err(fault),
        })
    }
}

/// A part of an identity; empty where the device, or an old library, does not tell it.
fn if_any(text: Result<String, NvmlError>) -> Answer<String> {
    match text.map_err(fault) {
        Err(Fault::Lacks | Fault::NoFunction(_)) => Ok(String::new()),
        text => text,
    }
}

fn fault(error: NvmlError) -> Fault {
    let said = format!("NVML says: {}", words(&error));
    match error {
        NvmlError::NotSupported => Fault::Lacks,
        NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound => Fault::NoFunction(words(&error)),
        NvmlError::GpuLost => Fault::Lost(said),
        NvmlError::Uninitialized | NvmlError::DriverNotLoaded | NvmlError::LibRmVersionMismatch => Fault::Broken(said),
        _ => Fault::Other(said),
    }
}

/// What NVIDIA's own tools print for it (`nvmlErrorString`), since that is what people look for;
/// the wrapper's words for what seldom comes.
fn words(error: &NvmlError) -> String {
    let known = match error {
        NvmlError::DriverNotLoaded => "Driver Not Loaded",
        NvmlError::GpuLost => "GPU is lost",
        NvmlError::LibRmVersionMismatch => "Driver/library version mismatch",
        NvmlError::NoPermission => "Insufficient Permissions",
        NvmlError::ResetRequired => "GPU requires reset",
        NvmlError::Unknown => "Unknown Error",
        _ => return error.to_string(),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::Folder;

    #[test]
    fn a_library_that_is_there_and_cannot_be_loaded_is_not_one_that_is_missing() {
        let folder = Folder::new("nvml");
        folder.write("text.so", "no library\n");
        folder.write("empty.so", "");
        folder.write("short.so", "\x7fELF");
        let path = |name: &str| folder.host().rooted(Path::new(name)).display().to_string();
        for name in ["text.so", "empty.so", "short.so", "."] {
            let opened = open(&path(name)).map(drop);
            assert!(
                matches!(&opened, Err(NotOpen::Unusable(why)) if why.starts_with("cannot load ")),
                "{name}: {opened:?}"
            );
        }
        for missing in [path("none.so"), "libmetricsd-none.so.1".to_owned()] {
            let opened = open(&missing).map(drop);
            assert!(matches!(opened, Err(NotOpen::NotFound(_))), "{missing}: {opened:?}");
        }
    }
}
