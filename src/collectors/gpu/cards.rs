//! The collector: opens the library, knows the GPUs, asks each, and says what is wrong with one while the others go on.

use std::path::PathBuf;
use std::time::Duration;

use super::super::collector::{CollectError, Collector, Tick};
use super::super::partial::{Bound, Partial};
use super::library::{Answer, Fault, Identity, Library, NotOpen, Numbers};
use super::{pci, readings};
use crate::host::{HostPaths, Scratch};
use crate::model::{Item, Reading, Recorder};

/// How long it takes until a library that could not be opened, or that has lost a GPU, is opened
/// anew. That costs some hundred calls of the loader, and the driver more.
const REOPEN: Duration = Duration::from_secs(60);

/// No host has so many; what is beyond is not asked, should the library count wrongly, and said.
const MAX_GPUS: usize = 256;

/// Loads and initialises the library.
type Open = Box<dyn Fn() -> Result<Box<dyn Library>, NotOpen> + Send>;

/// The collector.
pub struct Gpu {
    open: Open,
    /// Where the kernel shows what is on the bus.
    pci_devices: PathBuf,
    state: State,
    partial: Partial,
    bound: Bound,
    host: Item,
}

enum State {
    /// Nobody has tried yet.
    New,
    Open(Session),
    /// It is no use before `until`, CLOCK_MONOTONIC.
    Closed {
        until: Duration,
        why: Closed,
    },
}

/// The library from when it was opened, with the GPUs that it knows.
struct Session {
    library: Box<dyn Library>,
    /// CLOCK_MONOTONIC.
    since: Duration,
    cards: Vec<Card>,
}

/// A GPU.
enum Card {
    /// It has not said yet which one it is.
    Unknown,
    Known(Item),
    /// It has fallen off the bus, and is not asked again in this session.
    Lost {
        name: String,
        why: String,
    },
}

/// Why there is nothing to ask.
#[derive(Clone)]
enum Closed {
    /// This host has no GPU.
    NoGpu(String),
    /// It has one, which this program cannot ask.
    Absent(String),
    Failed(String),
}

impl Gpu {
    /// Opens the library with `open`, in the first round; what is on the bus is seen from `host`.
    pub fn new(open: impl Fn() -> Result<Box<dyn Library>, NotOpen> + Send + 'static, host: &HostPaths) -> Gpu {
        Gpu {
            open: Box::new(open),
            pci_devices: host.sys("bus/pci/devices"),
            state: State::New,
            partial: Partial::default(),
            bound: Bound::default(),
            host: Item::new(&[]),
        }
    }

    /// The library as it is open now, or why there is none. What it returns has to be put back.
    fn session(&mut self, now: Duration) -> Result<Session, Closed> {
        match std::mem::replace(&mut self.state, State::New) {
            State::Open(session) if !session.is_worth_reopening(now) => return Ok(session),
            State::Closed { until, why } if now < until => {
                self.state = State::Closed { until, why: why.clone() };
                return Err(why);
            }
            // A library that is shut down first lets go of a driver that was exchanged meanwhile.
            old => drop(old),
        }
        match (self.open)() {
            Ok(library) => Ok(Session { library, since: now, cards: Vec::new() }),
            Err(error) => Err(self.close(now, self.why_closed(error))),
        }
    }

    fn close(&mut self, now: Duration, why: Closed) -> Closed {
        self.state = State::Closed { until: now + REOPEN, why: why.clone() };
        why
    }

    /// A host without a GPU has neither library nor driver, and that is no failure. One that has
    /// them on its disk only, as images do, is such a host, too.
    fn why_closed(&self, error: NotOpen) -> Closed {
        let gpu = pci::nvidia_gpu(&self.pci_devices);
        match (error, gpu) {
            (NotOpen::Static(why) | NotOpen::NotFound(why) | NotOpen::NoDriver(why), None) => Closed::NoGpu(why),
            (NotOpen::Static(why), Some(_)) => Closed::Absent(why),
            (NotOpen::NotFound(why) | NotOpen::NoDriver(why), Some(at)) => {
                Closed::Failed(format!("there is an NVIDIA GPU at {at}, but {why}"))
            }
            (NotOpen::Unusable(why) | NotOpen::Refused(why), _) => Closed::Failed(why),
        }
    }

    /// Asks every GPU. An error where nothing can be asked any more.
    fn ask(&mut self, session: &mut Session, out: &mut Recorder) -> Answer<()> {
        let count = session.library.count()?;
        out.item(&self.host).push(&readings::COUNT, f64::from(count));
        self.partial.begin();
        let asked = (count as usize).min(MAX_GPUS);
        self.bound.tell(count as usize > asked, "gpu", "GPUs", MAX_GPUS);
        session.cards.resize_with(asked, || Card::Unknown);
        for (index, card) in (0..).zip(&mut session.cards) {
            match card.ask(&*session.library, index) {
                Ok(Some((item, numbers))) => self.push(index, item, &numbers, out),
                Ok(None) => {}
                Err(Fault::Broken(why)) => return Err(Fault::Broken(why)),
                Err(fault) => self.partial.failed("gpu", &card.name(index), &fault.words()),
            }
            if let Card::Lost { name, why } = card {
                self.partial.failed("gpu", name, why);
            }
        }
        self.partial.end();
        Ok(())
    }

    fn push(&mut self, index: u32, item: &Item, numbers: &Numbers, out: &mut Recorder) {
        let mut out = out.item(item);
        let partial = &mut self.partial;
        if let Some(utilization) = told(partial, index, "utilization", &numbers.utilization) {
            out.push(&readings::UTILIZATION, f64::from(utilization.gpu));
            out.push(&readings::MEMORY_UTILIZATION, f64::from(utilization.memory));
        }
        if let Some(memory) = told(partial, index, "memory", &numbers.memory) {
            let (total, used) = (memory.total as f64, memory.used as f64);
            out.push(&readings::MEMORY_TOTAL, total);
            out.push(&readings::MEMORY_USED, used);
            out.push(&readings::MEMORY_FREE, memory.free as f64);
            if memory.total > 0 {
                out.push(&readings::MEMORY_USED_RATIO, used / total);
            }
        }
        let plain: [(&str, &Answer<u32>, &'static Reading); 5] = [
            ("temperature", &numbers.temperature, &readings::TEMPERATURE),
            ("power", &numbers.power, &readings::POWER),
            ("fan speed", &numbers.fan, &readings::FAN),
            ("SM clock", &numbers.clock_sm, &readings::CLOCK_SM),
            ("memory clock", &numbers.clock_memory, &readings::CLOCK_MEMORY),
        ];
        for (what, answer, reading) in plain {
            if let Some(number) = told(partial, index, what, answer) {
                out.push(reading, f64::from(*number));
            }
        }
    }
}

/// What the GPU `index` tells; none where it lacks that, or could not tell it, which is said.
fn told<'a, T>(partial: &mut Partial, index: u32, what: &str, answer: &'a Answer<T>) -> Option<&'a T> {
    match answer {
        Ok(told) => return Some(told),
        Err(Fault::Lacks) => {}
        // Of all GPUs alike, so it is said once.
        Err(fault @ Fault::NoFunction(_)) => partial.failed("gpu", &format!("{what} of GPUs"), &fault.words()),
        Err(fault) => partial.failed("gpu", &format!("{what} of GPU {index}"), &fault.words()),
    }
    None
}

impl Session {
    /// A GPU that has fallen off the bus may have come back, which a library that is open does not notice.
    fn is_worth_reopening(&self, now: Duration) -> bool {
        let has_lost = self.cards.iter().any(|card| matches!(card, Card::Lost { .. }));
        has_lost && now.saturating_sub(self.since) >= REOPEN
    }
}

impl Card {
    /// Its item and numbers; none while it is lost.
    fn ask(&mut self, library: &dyn Library, index: u32) -> Answer<Option<(&Item, Numbers)>> {
        if matches!(self, Card::Lost { .. }) {
            return Ok(None);
        }
        let answer = self.identify(library, index).and_then(|()| library.numbers(index));
        let fault = match &answer {
            Ok(numbers) => numbers.faults().find(|fault| matches!(fault, Fault::Lost(_) | Fault::Broken(_))),
            Err(fault) => Some(fault),
        };
        match (fault.cloned(), self) {
            (Some(Fault::Lost(why)), card) => {
                *card = Card::Lost { name: card.name(index), why };
                Ok(None)
            }
            (Some(fault), _) => Err(fault),
            (None, Card::Known(item)) => Ok(Some((item, answer?))),
            (None, _) => Ok(None),
        }
    }

    fn identify(&mut self, library: &dyn Library, index: u32) -> Answer<()> {
        if let Card::Unknown = self {
            let Identity { name, uuid, pci } = library.identity(index)?;
            *self = Card::Known(Item::of_kind("gpu", &[&index.to_string(), &name, &uuid, &pci]));
        }
        Ok(())
    }

    fn name(&self, index: u32) -> String {
        match self {
            Card::Known(item) => format!("GPU {index} ({}, {})", item.key().value(1), item.key().value(2)),
            Card::Unknown | Card::Lost { .. } => format!("GPU {index}"),
        }
    }
}

impl Fault {
    fn words(&self) -> String {
        match self {
            Fault::Lacks => "the device has none".to_owned(),
            Fault::NoFunction(why) => format!("the driver is too old: {why}"),
            Fault::Lost(why) | Fault::Broken(why) | Fault::Other(why) => why.clone(),
        }
    }
}

impl Collector for Gpu {
    fn collect(&mut self, tick: &Tick, _scratch: &mut Scratch, out: &mut Recorder) -> Result<(), CollectError> {
        let asked = self.session(tick.monotonic).and_then(|mut session| match self.ask(&mut session, out) {
            Ok(()) => {
                self.state = State::Open(session);
                Ok(())
            }
            Err(fault) => Err(self.close(tick.monotonic, Closed::Failed(fault.words()))),
        });
        match asked {
            Ok(()) => Ok(()),
            Err(Closed::NoGpu(why)) => {
                out.item(&self.host).push(&readings::COUNT, 0.0);
                Err(CollectError::NoneHere(why))
            }
            Err(Closed::Absent(why)) => Err(CollectError::Absent(why)),
            Err(Closed::Failed(why)) => Err(CollectError::Failed(why)),
        }
    }
}
