//! What a steady tick allocates: a few blocks, however many series there are; and what other work takes at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use metricsd::collectors::{self, Tick};
use metricsd::formats::Compression;
use metricsd::formats::{
    Bodies, Encoder, Extent, Format, Options, Sent, datadog, graphite, influx,
    json::Json,
    remote_write::{RemoteWrite, Version},
};
use metricsd::host::{HostPaths, Scratch, SystemStatFs, monotonic};
use metricsd::model::{
    Batch, Family, Frame, Item, Label, Labels, Reading, Recorder, Resource, Scheme, ViewSlots, face,
};
use metricsd::pipeline::Collectors;
use metricsd::shaping::Perspective;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// The bytes that this thread has asked for and not given back.
pub fn bytes_in_use() -> isize {
    BYTES.get()
}

fn used(change: isize) {
    // At a thread's very end the count is gone.
    let now = BYTES.try_with(|bytes| {
        bytes.set(bytes.get() + change);
        bytes.get()
    });
    let _ = now.map(|now| MOST.try_with(|most| most.set(most.get().max(now))));
}

/// What `work` gives, and how many bytes more than before this thread had asked for while it
/// was done, at most.
fn most_during<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = BYTES.get();
    MOST.set(before);
    let done = work();
    (done, MOST.get() - before)
}

/// The system's allocator, counting what each thread asks of it.
struct Counting;

// SAFETY: every call is handed on to the system's allocator unchanged; the counts live in
// constant-initialised thread-locals, which allocate nothing themselves.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        used(layout.size() as isize);
        // SAFETY: the caller's promises are those that this call asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        used(size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are those that this call asks for.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        used(-(layout.size() as isize));
        // SAFETY: the caller's promises are those that this call asks for.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A frame's values for each of the seven collectors, and the list of frames: no collector
/// allocates by itself.
const COLLECT: u64 = 8;

/// For remote write the list of the batch's chunks and the body, for JSON the body, for the formats of lines
/// the list and the body, for Datadog those, the body before it is packed, and the host's name twice.
const ENCODE: [u64; 6] = [2, 2, 1, 2, 2, 5];

fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

/// An encoder that does not compress, which takes blocks of its own.
fn own(format: &Format) -> Box<dyn Encoder> {
    format.encoder.unwrap()(&Options::compressed(Compression::None), from(Labels::of(&[("host", "host-1")])))
}

/// The blocks that a steady tick of the fixture `host` takes: collecting, and each encoder.
fn steady_tick(host: &str) -> (usize, u64, Vec<u64>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(host);
    let settings = collectors::Settings { max_series: 1_000_000, ..Default::default() };
    let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
    let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
    let mut scratch = Scratch::new();
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    let mut encoders: Vec<Box<dyn Encoder>> = vec![
        Box::new(RemoteWrite::new(Version::V1, from(Labels::of(&[("job", "metricsd")])))),
        Box::new(RemoteWrite::new(Version::V2, from(Labels::of(&[("job", "metricsd")])))),
        Box::new(Json::new(from(Labels::EMPTY), Compression::None)),
        own(&influx::FORMAT),
        own(&graphite::FORMAT),
        own(&datadog::FORMAT),
    ];
    let mut last = (0, 0, Vec::new());
    let mut rooms = [(); 6].map(|()| Bodies::default());
    for round in 0..5 {
        let tick = Tick { wall_ms: 1_700_000_000_000 + round * 1000, monotonic: monotonic() };
        let before = COUNT.get();
        let frames = collectors.round(&tick, &mut scratch, |_| ());
        let collected = COUNT.get() - before;
        let batch = Batch::new(tick.wall_ms, Arc::clone(&resource), frames);
        let encoded = encoders.iter_mut().zip(&mut rooms).map(|(encoder, bodies)| {
            let before = COUNT.get();
            encoder.encode(&batch, 10_000, bodies);
            let took = COUNT.get() - before;
            assert_eq!(bodies.drain().count(), 1);
            took
        });
        last = (batch.readings(), collected, encoded.collect());
    }
    last
}

#[test]
fn a_steady_tick_takes_a_few_blocks_however_many_series_there_are() {
    let (few, small, small_encoded) = steady_tick("arm-board");
    let (many, large, large_encoded) = steady_tick("numa64");
    assert!(many > 3 * few, "{few} and {many} series are too alike to compare");
    assert_eq!((small, large), (COLLECT, COLLECT));
    assert_eq!(small_encoded, large_encoded);
    assert_eq!(small_encoded, ENCODE);
}

static DEVICE: &[Label] = &[Label::key("device", 0)];
static READ: Reading = Reading {
    native: face(&Family::counter("test_read_bytes_total", "bytes", "Bytes read."), DEVICE),
    node: None,
    otel: None,
};

/// A hundred thousand series of ten sources.
fn many(resource: &Arc<Resource>) -> Batch {
    let frames = (0..10).map(|source| {
        let mut out = Recorder::new(format!("source-{source}"), 10_000);
        for device in 0..10_000 {
            out.item(&Item::new(&[&format!("device-{source}-{device}")])).push(&READ, 1.0);
        }
        out.finish(1_700_000_000_000)
    });
    Batch::new(1_700_000_000_000, Arc::clone(resource), frames.collect())
}

#[test]
fn the_list_of_what_was_sent_is_written_and_read_piece_by_piece() {
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    let batch = many(&resource);
    let encoder = || RemoteWrite::new(Version::V1, from(Labels::of(&[("job", "metricsd"), ("instance", "host-1")])));
    let mut before = encoder();
    let mut bodies = Bodies::default();
    before.encode(&batch, 10_000, &mut bodies);
    bodies.drain().for_each(drop);

    let mut file = Vec::with_capacity(16 << 20);
    let (_, written) = most_during(|| before.sent().write(&mut file).unwrap());
    // What is gathered and what it is packed into, 64 KiB each and a bit, snappy's table, and a chunk's view.
    println!("written: {} bytes, with {written} more in memory", file.len());
    assert!(written < 400 << 10, "{written} bytes to write {}", file.len());

    // What is kept is what was read, and one block unpacked.
    let (sent, read) = most_during(|| Sent::read(&mut &file[..]).unwrap());
    println!("read: {read} bytes in memory");
    assert_eq!((sent.0.len(), sent.1), (100_000, Extent::Whole));
    assert!(read < file.len() as isize + (400 << 10), "{read} bytes to read {}", file.len());

    // It is all of it: nothing has ended.
    let mut after = encoder();
    after.inherit(sent.0);
    let encoded = after.encode(&batch, 10_000, &mut bodies);
    assert_eq!((encoded.samples, encoded.markers), (100_000, 0));
}

/// Of an interface: eight numbers, as `network` gives them by native names.
static TRAFFIC: [Reading; 8] = [
    of_interface(&Family::counter("system_network_bytes_sent_total", "bytes", "Bytes sent.")),
    of_interface(&Family::counter("system_network_bytes_recv_total", "bytes", "Bytes received.")),
    of_interface(&Family::counter("system_network_packets_sent_total", "", "Packets sent.")),
    of_interface(&Family::counter("system_network_packets_recv_total", "", "Packets received.")),
    of_interface(&Family::counter("system_network_errors_in_total", "", "Errors of receiving.")),
    of_interface(&Family::counter("system_network_errors_out_total", "", "Errors of sending.")),
    of_interface(&Family::counter("system_network_drop_in_total", "", "Packets dropped when received.")),
    of_interface(&Family::counter("system_network_drop_out_total", "", "Packets dropped when sent.")),
];

const INTERFACE: &[Label] = &[Label::key("interface", 0)];

const fn of_interface(family: &'static Family<'static>) -> Reading {
    Reading { native: face(family, INTERFACE), node: None, otel: None }
}

fn interfaces(recorder: &mut Recorder, items: &[Item], time_ms: i64) -> Frame {
    for (at, item) in items.iter().enumerate() {
        let mut out = recorder.item(item);
        TRAFFIC.iter().enumerate().for_each(|(nth, reading)| out.push(reading, (at * 1000 * nth) as f64));
    }
    recorder.finish(time_ms)
}

/// What is asked of the allocator, a series: what is seen of it, what remote write 1.0 keeps
/// besides, and what another destination keeps that is sent the same.
#[test]
fn a_series_takes_its_few_bytes_once_however_many_destinations_see_the_same_of_it() {
    const INTERFACES: usize = 1250;
    let items: Vec<Item> = (0..INTERFACES).map(|at| Item::new(&[&format!("eth{at}")])).collect();
    let a_series = |bytes: isize| bytes as f64 / (INTERFACES * TRAFFIC.len()) as f64;
    let slots = ViewSlots::default();
    slots.change(1);
    let mut recorder = Recorder::new("network", 100_000).with_slots(&slots);
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None, ..Resource::default() });
    let destination = || from(Labels::of(&[("instance", "host-1"), ("job", "metricsd")]));

    let chunks = interfaces(&mut recorder, &items, 1_700_000_000_000).chunks;
    let before = bytes_in_use();
    chunks.iter().for_each(|chunk| drop(destination().view(chunk)));
    let view = a_series(bytes_in_use() - before);

    let mut bodies = Bodies::default();
    let mut more = [(); 2].map(|()| {
        let before = bytes_in_use();
        let mut encoder = RemoteWrite::new(Version::V1, destination());
        for time_ms in 1_700_000_000_001..1_700_000_000_004 {
            let frames = vec![interfaces(&mut recorder, &items, time_ms)];
            let batch = Batch::new(time_ms, Arc::clone(&resource), frames);
            encoder.encode(&batch, 1000, &mut bodies);
            bodies.drain().for_each(drop);
        }
        (encoder, a_series(bytes_in_use() - before))
    });
    let [(_, one), (_, another)] = &mut more;
    println!("bytes a series: {view:.1} of a view, {one:.1} of remote write, {another:.1} of another destination");
    assert!(view < 40.0, "{view}");
    // What an encoder has once, such as room for a body, is among these.
    assert!(*one < 45.0, "{one}");
    assert!(*another < 12.0, "{another}");
}
