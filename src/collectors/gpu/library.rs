//! What is asked of NVIDIA's library, and how it answers. The library itself is behind a trait, so
//! that tests can give answers that a real one seldom does.

/// The library, loaded and initialised; it is shut down when this goes.
pub trait Library: Send {
    /// How many GPUs there are, those that may not be asked included.
    fn count(&self) -> Answer<u32>;

    /// Which one the GPU `index` is.
    fn identity(&self, index: u32) -> Answer<Identity>;

    /// The numbers of the GPU `index`.
    fn numbers(&self, index: u32) -> Answer<Numbers>;
}

/// What the library says.
pub type Answer<T> = Result<T, Fault>;

/// Why it does not say it; in its words, where it has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device has no such thing.
    Lacks,
    /// The library is too old to be asked this.
    NoFunction(String),
    /// The GPU has fallen off the bus.
    Lost(String),
    /// Nothing can be asked any more before the library is initialised again.
    Broken(String),
    /// Any other reason.
    Other(String),
}

/// Why there is no library to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpen {
    /// This program cannot load any.
    #[cfg_attr(not(any(target_env = "musl", target_feature = "crt-static")), allow(dead_code, reason = "this one can"))]
    Static(String),
    /// There is none of that name.
    NotFound(String),
    /// It is there, and is none that this program can load.
    Unusable(String),
    /// It says that there is no driver.
    NoDriver(String),
    /// It could not be initialised.
    Refused(String),
}

/// Which GPU it is. What the device does not tell is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its product's name.
    pub name: String,
    /// Its identifier, which no other GPU has.
    pub uuid: String,
    /// Where it is on the bus (`00000000:01:00.0`).
    pub pci: String,
}

/// The numbers of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Parts of the last sample's time, in percent.
    pub utilization: Answer<Utilization>,
    /// Its memory.
    pub memory: Answer<Memory>,
    /// Of the chip, in degrees Celsius.
    pub temperature: Answer<u32>,
    /// What it draws, in milliwatts.
    pub power: Answer<u32>,
    /// How fast its fan is meant to be, in percent of the fastest.
    pub fan: Answer<u32>,
    /// Of its multiprocessors, in MHz.
    pub clock_sm: Answer<u32>,
    /// Of its memory, in MHz.
    pub clock_memory: Answer<u32>,
}

/// Parts of the last sample's time, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utilization {
    /// In which a kernel ran.
    pub gpu: u32,
    /// In which memory was read or written.
    pub memory: u32,
}

/// Memory of a GPU, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub total: u64,
    /// What is allocated; not what driver and firmware keep for themselves.
    pub used: u64,
    /// What can be allocated.
    pub free: u64,
}

impl Numbers {
    /// What has gone wrong with any of them.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let Numbers { utilization, memory, temperature, power, fan, clock_sm, clock_memory } = self;
        let of_numbers = [temperature, power, fan, clock_sm, clock_memory].map(|answer| answer.as_ref().err());
        [utilization.as_ref().err(), memory.as_ref().err()].into_iter().chain(of_numbers).flatten()
    }
}
