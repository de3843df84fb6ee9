//! The collector with a library that answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::collector::{CollectError, Collector, Tick};
use super::super::testing::{Folder, owned, samples, value};
use super::cards::Gpu;
use super::library::{Answer, Fault, Identity, Library, Memory, NotOpen, Numbers, Utilization};
use crate::host::Scratch;

/// What the library says, for a test to change.
struct Script {
    refuses: Option<NotOpen>,
    broken: Option<Fault>,
    cards: Vec<(Answer<Identity>, Answer<Numbers>)>,
    opened: usize,
    shut_down: usize,
    asked: usize,
}

/// A library that says what stands in the script.
struct Scripted(Arc<Mutex<Script>>);

impl Library for Scripted {
    fn count(&self) -> Answer<u32> {
        let script = self.0.lock().unwrap();
        script.broken.clone().map_or(Ok(script.cards.len() as u32), Err)
    }

    fn identity(&self, index: u32) -> Answer<Identity> {
        self.0.lock().unwrap().cards[index as usize].0.clone()
    }

    fn numbers(&self, index: u32) -> Answer<Numbers> {
        let mut script = self.0.lock().unwrap();
        script.asked += 1;
        script.cards[index as usize].1.clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.lock().unwrap().shut_down += 1;
    }
}

fn identity(name: &str, uuid: &str) -> Answer<Identity> {
    Ok(Identity { name: name.to_owned(), uuid: uuid.to_owned(), pci: String::new() })
}

/// A card that can do everything.
fn numbers() -> Numbers {
    Numbers {
        utilization: Ok(Utilization { gpu: 50, memory: 25 }),
        memory: Ok(Memory { total: 1000, used: 200, free: 700 }),
        temperature: Ok(40),
        power: Ok(30_000),
        fan: Ok(35),
        clock_sm: Ok(1410),
        clock_memory: Ok(1215),
    }
}

struct Host {
    folder: Folder,
    script: Arc<Mutex<Script>>,
    gpu: Gpu,
}

impl Host {
    /// One with these GPUs: the name of each, and its numbers.
    fn new(test: &str, cards: &[(&str, Numbers)]) -> Host {
        let cards = cards.iter().map(|(name, numbers)| (identity(name, &format!("GPU-{name}")), Ok(numbers.clone())));
        let cards = cards.collect();
        let script = Script { refuses: None, broken: None, cards, opened: 0, shut_down: 0, asked: 0 };
        let script = Arc::new(Mutex::new(script));
        let folder = Folder::new(test);
        let of_library = Arc::clone(&script);
        let open = move || {
            let mut script = of_library.lock().unwrap();
            script.opened += 1;
            match script.refuses.clone() {
                None => Ok(Box::new(Scripted(Arc::clone(&of_library))) as Box<dyn Library>),
                Some(refuses) => Err(refuses),
            }
        };
        let gpu = Gpu::new(open, &folder.host());
        Host { folder, script, gpu }
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// A round `seconds` after the start: what it gives, and how it ends.
    fn round(&mut self, seconds: u64) -> (Vec<(String, f64)>, Result<(), CollectError>) {
        let tick = Tick { wall_ms: 0, monotonic: Duration::from_secs(seconds) };
        let mut result = Ok(());
        let seen = samples(|out| result = self.gpu.collect(&tick, &mut Scratch::new(), out));
        (seen, result)
    }

    /// What a round gives that is fine.
    fn seen(&mut self, seconds: u64) -> Vec<(String, f64)> {
        let (seen, result) = self.round(seconds);
        result.unwrap();
        seen
    }
}

fn of(card: &str, at: usize, metric: &str) -> String {
    format!("system_gpu_{metric}{{gpu={at},name={card},uuid=GPU-{card}}}")
}

#[test]
fn each_gpu_gives_what_it_has() {
    let old = Numbers { fan: Err(Fault::Lacks), power: Err(Fault::Lacks), temperature: Ok(61), ..numbers() };
    let mut host = Host::new("gpu-each", &[("A", numbers()), ("B", old)]);
    let labels = ["{gpu=0,name=A,uuid=GPU-A}", "{gpu=1,name=B,uuid=GPU-B}"];
    let of = |at: usize, name: &str, value: f64| (format!("system_gpu_{name}{}", labels[at]), value);
    let mut expected = owned(&[("system_gpu_count", 2.0)]);
    expected.extend([
        of(0, "utilization_percent", 50.0),
        of(0, "memory_utilization_percent", 25.0),
        of(0, "memory_total_bytes", 1000.0),
        of(0, "memory_used_bytes", 200.0),
        of(0, "memory_free_bytes", 700.0),
        of(0, "temperature_celsius", 40.0),
        of(0, "power_usage_milliwatts", 30_000.0),
        of(0, "fan_speed_percent", 35.0),
        of(0, "clock_sm_mhz", 1410.0),
        of(0, "clock_memory_mhz", 1215.0),
        of(1, "utilization_percent", 50.0),
        of(1, "memory_utilization_percent", 25.0),
        of(1, "memory_total_bytes", 1000.0),
        of(1, "memory_used_bytes", 200.0),
        of(1, "memory_free_bytes", 700.0),
        of(1, "temperature_celsius", 61.0),
        of(1, "clock_sm_mhz", 1410.0),
        of(1, "clock_memory_mhz", 1215.0),
    ]);
    assert_eq!(host.seen(0), expected);
    assert_eq!(host.seen(10), expected);
    assert_eq!(host.script.lock().unwrap().opened, 1);
}

#[test]
fn what_fails_of_one_gpu_is_missing_and_the_rest_is_not() {
    let mut host = Host::new("gpu-fails", &[("A", numbers()), ("B", numbers())]);
    host.change(|script| {
        let other = || Fault::Other("Unknown Error".to_owned());
        script.cards[0].1 = Ok(Numbers { power: Err(other()), ..numbers() });
        script.cards[1].0 = Err(other());
    });
    let seen = host.seen(0);
    assert_eq!(value(&seen, &of("A", 0, "power_usage_milliwatts")), None);
    assert_eq!(value(&seen, &of("A", 0, "fan_speed_percent")), Some(35.0));
    assert_eq!(value(&seen, "system_gpu_count"), Some(2.0));
    assert_eq!(seen.len(), 10, "nothing of a GPU that does not say which one it is");
    host.change(|script| script.cards[1].0 = identity("B", "GPU-B"));
    assert_eq!(host.seen(1).len(), 20);
}

#[test]
fn a_lost_gpu_ends_and_is_looked_for_when_the_library_is_opened_anew() {
    let mut host = Host::new("gpu-lost", &[("A", numbers()), ("B", numbers())]);
    assert_eq!(host.seen(0).len(), 21);
    // One number says so; the others are as they were.
    let lost = || Fault::Lost("GPU is lost".to_owned());
    host.change(|script| script.cards[1].1 = Ok(Numbers { fan: Err(lost()), ..numbers() }));
    let asked = host.script.lock().unwrap().asked;
    for second in 1..60 {
        let seen = host.seen(second);
        assert_eq!(seen.len(), 11);
        assert_eq!(value(&seen, &of("B", 1, "temperature_celsius")), None);
    }
    let script = |host: &Host| {
        let script = host.script.lock().unwrap();
        (script.opened, script.shut_down, script.asked - asked)
    };
    assert_eq!(script(&host), (1, 0, 60), "a lost one is asked once");
    // A minute after the library was opened, it is opened anew, and not again within the next minute.
    host.change(|script| script.cards[1].1 = Err(lost()));
    assert_eq!(host.seen(60).len(), 11);
    assert_eq!(host.seen(119).len(), 11);
    assert_eq!(script(&host), (2, 1, 60 + 3));
    host.change(|script| script.cards[1].1 = Ok(numbers()));
    assert_eq!(host.seen(120).len(), 21);
    assert_eq!(host.seen(500).len(), 21);
    assert_eq!(script(&host).0, 3);
}

#[test]
fn a_host_without_a_gpu_says_so_and_one_without_a_driver_fails() {
    let not_loaded = || Some(NotOpen::NotFound("cannot load libnvidia-ml.so.1: no such file".to_owned()));
    let no_driver = || Some(NotOpen::NoDriver("Driver Not Loaded".to_owned()));
    let static_build = || Some(NotOpen::Static("this is the static build".to_owned()));
    let refused = || Some(NotOpen::Refused("Driver/library version mismatch".to_owned()));
    for (test, refuses, without, with) in [
        ("gpu-no-library", not_loaded(), "none", "failed"),
        ("gpu-no-driver", no_driver(), "none", "failed"),
        ("gpu-static", static_build(), "none", "absent"),
        ("gpu-refused", refused(), "failed", "failed"),
    ] {
        let mut host = Host::new(test, &[]);
        host.change(|script| script.refuses = refuses);
        let mut ends = |seconds| match host.round(seconds) {
            (seen, Err(CollectError::NoneHere(_))) if seen == owned(&[("system_gpu_count", 0.0)]) => "none",
            (seen, Err(CollectError::Absent(_))) if seen.is_empty() => "absent",
            (seen, Err(CollectError::Failed(_))) if seen.is_empty() => "failed",
            other => panic!("{test}: {other:?}"),
        };
        assert_eq!((ends(0), ends(59)), (without, without), "{test}");
        host.folder.write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        host.folder.write("sys/bus/pci/devices/0000:01:00.0/class", "0x030200\n");
        let (seen, result) = host.round(60);
        let error = result.unwrap_err();
        match with {
            "failed" => assert!(matches!(error, CollectError::Failed(_)), "{test}: {error:?}"),
            _ => assert!(matches!(error, CollectError::Absent(_)), "{test}: {error:?}"),
        }
        assert!(seen.is_empty(), "{test}");
        assert_eq!(host.script.lock().unwrap().opened, 2, "{test}: once a minute");
    }
}

#[test]
fn a_library_that_comes_later_is_picked_up() {
    let mut host = Host::new("gpu-later", &[("A", numbers())]);
    host.change(|script| script.refuses = Some(NotOpen::NotFound("no such file".to_owned())));
    assert_eq!(host.round(0).0, owned(&[("system_gpu_count", 0.0)]));
    host.change(|script| script.refuses = None);
    assert_eq!(host.round(59).0.len(), 1);
    assert_eq!(host.seen(60).len(), 11);
}

#[test]
fn a_library_that_lost_its_driver_is_shut_down_and_opened_anew() {
    let mut host = Host::new("gpu-broken", &[("A", numbers())]);
    assert_eq!(host.seen(0).len(), 11);
    let broken = || Fault::Broken("Uninitialized".to_owned());
    host.change(|script| script.cards[0].1 = Ok(Numbers { power: Err(broken()), ..numbers() }));
    let (seen, result) = host.round(1);
    assert!(seen.len() <= 1, "{seen:?}");
    assert!(matches!(result, Err(CollectError::Failed(why)) if why == "Uninitialized"));
    assert_eq!(host.script.lock().unwrap().shut_down, 1);
    host.change(|script| script.cards[0].1 = Ok(numbers()));
    assert!(host.round(60).1.is_err());
    assert_eq!(host.seen(61).len(), 11);
    host.change(|script| script.broken = Some(broken()));
    assert!(host.round(62).1.is_err());
    assert_eq!(host.script.lock().unwrap().shut_down, 2);
}

#[test]
fn a_count_that_no_host_has_is_not_believed() {
    struct Liar;
    impl Library for Liar {
        fn count(&self) -> Answer<u32> {
            Ok(u32::MAX)
        }
        fn identity(&self, _: u32) -> Answer<Identity> {
            Ok(Identity::default())
        }
        fn numbers(&self, _: u32) -> Answer<Numbers> {
            Ok(numbers())
        }
    }
    let folder = Folder::new("gpu-liar");
    let mut gpu = Gpu::new(|| Ok(Box::new(Liar)), &folder.host());
    let tick = Tick { wall_ms: 0, monotonic: Duration::ZERO };
    let seen = samples(|out| gpu.collect(&tick, &mut Scratch::new(), out).unwrap());
    assert_eq!(seen.len(), 1 + 256 * 10);
}
