//! What reading a target's page costs, in CPU time of one thread: in full, as when a target is new,
//! and compared with the last one, of which only numbers changed.
//!
//! `cargo bench --bench exposition`

mod support;

use std::fmt::Write;
use std::time::Duration;

use metricsd::exposition::{Format, Limits, Page, Point, Series, Sink};

use support::budget::{end, measured_at_least, told};
use support::{thread_cpu, us};

/// Samples of the page that is compared.
const SERIES: usize = 100_000;

/// Pages that follow each other again and again.
const PAGES: usize = 4;

/// Readings whose median is told.
const ROUNDS: usize = 41;

/// Takes what it is given, and makes as little as it can of it.
#[derive(Default)]
struct Sum {
    learnt: usize,
    sum: f64,
}

impl Sink for Sum {
    type Known = u32;

    fn learn(&mut self, series: &Series<'_>) -> u32 {
        self.learnt += 1;
        (series.name.len() + series.labels.len()) as u32
    }

    fn wants(_: &u32) -> bool {
        true
    }

    fn give(&mut self, known: &u32, point: &Point<'_>) {
        self.sum += point.value + f64::from(*known);
    }
}

fn main() {
    println!("a page in the form of node_exporter's, read in full");
    in_full("64 CPUs, 24 disks, 32 interfaces", &node_exporter(64, 24, 32));
    in_full("2 CPUs, 2 disks, 2 interfaces", &node_exporter(2, 2, 2));
    println!("{SERIES} series of four families");
    let pages: Vec<String> = (0..PAGES).map(|round| application(round, |_| false)).collect();
    let steady = compared(&pages);
    told("only numbers change: a sample", steady, "ns");
    told("only numbers change: of the page", mb_per_s(&pages[0], steady), "MB/s");
    let scattered: Vec<String> = (0..PAGES).map(|round| application(round, |at| at % 100 == 7 * round % 100)).collect();
    let neighbours: Vec<String> =
        (0..PAGES).map(|round| application(round, |at| (at + 17_000 * round) % SERIES < SERIES / 100)).collect();
    told("1 % replaced, scattered: against that", compared(&scattered) / steady, "");
    told("1 % replaced, neighbours: against that", compared(&neighbours) / steady, "");
    end();
}

fn mb_per_s(page: &str, ns: f64) -> f64 {
    page.len() as f64 / (ns * SERIES as f64) * 1e3
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    us(times[times.len() / 2])
}

/// Reads `page` as it is read the first time.
fn in_full(what: &str, page: &str) {
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    let mut text = Vec::with_capacity(page.len() + 1);
    let times = (0..ROUNDS).map(|_| {
        text.clear();
        text.extend_from_slice(page.as_bytes());
        let (mut fresh, mut sum) = (Page::new(), Sum::default());
        let begun = thread_cpu();
        let read = fresh.read(&mut text, Format::Text, &Limits::default(), &mut sum).unwrap();
        let took = thread_cpu() - begun;
        assert_eq!((read.samples, read.fresh, sum.learnt), (samples, samples, samples));
        // Its memory was given for it.
        text = Vec::with_capacity(page.len() + 1);
        took
    });
    let took = median(times.collect());
    measured_at_least(what, page.len() as f64 / took, "MB/s", 300.0);
    told("    samples", samples as f64, "");
    told("    a sample, with its share of the metadata", took * 1e3 / samples as f64, "ns");
}

/// Reads `pages` one after the other, each compared with the one before; ns a sample.
fn compared(pages: &[String]) -> f64 {
    let (mut page, mut text) = (Page::new(), Vec::new());
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        text.clear();
        text.extend_from_slice(pages[round % pages.len()].as_bytes());
        let mut sum = Sum::default();
        let begun = thread_cpu();
        let read = page.read(&mut text, Format::Text, &Limits::default(), &mut sum).unwrap();
        let took = thread_cpu() - begun;
        assert_eq!((read.samples, read.fresh), (SERIES, sum.learnt));
        assert!(round == 0 || read.fresh <= SERIES / 50, "{} are new", read.fresh);
        // The first ones make what is kept.
        if round >= PAGES {
            times.push(took);
        }
    }
    median(times) * 1e3 / SERIES as f64
}

/// A page of [`SERIES`] series, whose numbers are those of `round`; a series that is replaced has
/// another label then.
fn application(round: usize, is_replaced: impl Fn(usize) -> bool) -> String {
    let families = [
        ("http_requests_total", "counter"),
        ("cache_hits_total", "counter"),
        ("queue_depth", "gauge"),
        ("latency_seconds", "gauge"),
    ];
    let each = SERIES / families.len();
    let mut page = String::new();
    for (at, (name, kind)) in families.into_iter().enumerate() {
        let _ = writeln!(page, "# HELP {name} Something that is counted.\n# TYPE {name} {kind}");
        for item in 0..each {
            let number = at * each + item;
            let generation = if is_replaced(number) { format!("-{round}") } else { String::new() };
            let _ = write!(page, "{name}{{method=\"GET\",path=\"/api/v1/item/{item}{generation}\",code=\"200\"}} ");
            let _ = match kind {
                "counter" => writeln!(page, "{}", item * 7 + round * 13),
                _ => writeln!(page, "{}", fraction(number * PAGES + round)),
            };
        }
    }
    page
}

/// A number with as many digits as gauges have that were divided.
fn fraction(seed: usize) -> f64 {
    let mixed = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64 * 1000.0
}

/// A page as node_exporter 1.5 gives it: of each family what its collectors have, in its words'
/// lengths and its forms of numbers, in its order.
fn node_exporter(cpus: usize, disks: usize, interfaces: usize) -> String {
    let mut page = String::new();
    let family = |page: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
    };
    // Go writes what is large with an exponent.
    let number = |value: f64| if value >= 1e6 { format!("{value:e}").replace('e', "e+0") } else { value.to_string() };

    for at in 0..30 {
        let name = format!("go_memstats_{}_bytes", ["heap_inuse", "stack_sys", "next_gc", "mspan"][at % 4]);
        let name = format!("{name}{at}");
        family(&mut page, &name, "gauge", "Number of bytes obtained from system for stack allocator.");
        let _ = writeln!(page, "{name} {}", number((at * 458_752) as f64));
    }
    family(&mut page, "node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.");
    for cpu in 0..cpus {
        for (at, mode) in ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"].iter().enumerate() {
            let value = (cpu * 7919 + at * 104_729) as f64 / 100.0;
            let _ = writeln!(page, "node_cpu_seconds_total{{cpu=\"{cpu}\",mode=\"{mode}\"}} {}", number(value));
        }
    }
    for at in 0..17 {
        let name = format!("node_disk_{}_{at}_total", ["reads_completed", "written_bytes", "io_time_seconds"][at % 3]);
        family(&mut page, &name, "counter", "The total number of reads completed successfully.");
        for disk in 0..disks {
            let value = (disk * 1_000_003 + at * 4096) as f64 * 1.0009765625;
            let _ = writeln!(page, "{name}{{device=\"nvme{disk}n1\"}} {}", number(value));
        }
    }
    for at in 0..7 {
        let name = format!("node_filesystem_{}_bytes", ["avail", "files_free", "size"][at % 3]);
        let name = format!("{name}{at}");
        family(&mut page, &name, "gauge", "Filesystem space available to non-root users in bytes.");
        for disk in 0..disks {
            let labels = format!("device=\"/dev/nvme{disk}n1p1\",fstype=\"ext4\",mountpoint=\"/srv/data-{disk}\"");
            let _ = writeln!(page, "{name}{{{labels}}} {}", number((disk * 50_431_422 + at * 4096) as f64));
        }
    }
    for at in 0..140 {
        let name = format!("node_memory_{}_{at}_bytes", ["Active_anon", "KernelStack", "Slab", "Writeback"][at % 4]);
        family(&mut page, &name, "gauge", "Memory information field Active_anon_bytes.");
        let _ = writeln!(page, "{name} {}", number((at * 99_991 * 4096) as f64));
    }
    for at in 0..16 {
        let name = format!("node_network_{}_{at}_total", ["receive_bytes", "transmit_packets", "receive_drop"][at % 3]);
        family(&mut page, &name, "counter", "Network device statistic receive_bytes.");
        for interface in 0..interfaces {
            let value = (interface * 1_000_003 * at) as f64;
            let _ = writeln!(page, "{name}{{device=\"eth{interface}\"}} {}", number(value));
        }
    }
    for at in 0..110 {
        let name = format!("node_netstat_Tcp_{}_{at}", ["RetransSegs", "InErrs", "ActiveOpens"][at % 3]);
        family(&mut page, &name, "untyped", "Statistic TcpRetransSegs.");
        let _ = writeln!(page, "{name} {}", number((at * 7717) as f64));
    }
    // As Go's client does it.
    let mut families: Vec<&str> = page.split("# HELP ").filter(|family| !family.is_empty()).collect();
    families.sort();
    families.iter().map(|family| format!("# HELP {family}")).collect()
}
