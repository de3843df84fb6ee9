//! What a steady tick allocates: a few blocks, however many series there are.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use metricsd::collectors::{self, Tick};
use metricsd::formats::Compression;
use metricsd::formats::{
    Bodies, Encoder,
    json::Json,
    remote_write::{RemoteWrite, Version},
};
use metricsd::host::{HostPaths, Scratch, SystemStatFs, monotonic};
use metricsd::model::{Batch, Labels, Resource, Scheme};
use metricsd::pipeline::Collectors;
use metricsd::shaping::Perspective;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// The bytes that this thread has asked for and not given back.
pub fn bytes_in_use() -> isize {
    BYTES.get()
}

fn used(change: isize) {
    // At a thread's very end the count is gone.
    let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + change));
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

/// For remote write the list of the batch's chunks and the body, for JSON the body.
const ENCODE: [u64; 3] = [2, 2, 1];

fn from(labels: Labels) -> Perspective {
    Perspective::new(Scheme::Native, labels)
}

/// The blocks that a steady tick of the fixture `host` takes: collecting, and each encoder.
fn steady_tick(host: &str) -> (usize, u64, Vec<u64>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(host);
    let settings = collectors::Settings { max_series: 1_000_000, ..Default::default() };
    let built = collectors::build(&settings, &HostPaths::below(&dir), Arc::new(SystemStatFs));
    let (mut collectors, _, _workers) = Collectors::new(built, settings.max_series);
    let mut scratch = Scratch::new();
    let resource = Arc::new(Resource { host: "host-1".into(), boot_ms: None });
    let mut encoders: Vec<Box<dyn Encoder>> = vec![
        Box::new(RemoteWrite::new(Version::V1, from(Labels::of(&[("job", "metricsd")])))),
        Box::new(RemoteWrite::new(Version::V2, from(Labels::of(&[("job", "metricsd")])))),
        Box::new(Json::new(from(Labels::EMPTY), Compression::None)),
    ];
    let mut last = (0, 0, Vec::new());
    let mut rooms = [(); 3].map(|()| Bodies::default());
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
