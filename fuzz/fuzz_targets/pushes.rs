//! What applications push. The input's first byte says what it is: `p` a request of OTLP's logs in protobuf, `j` one
//! in JSON, `z` something that is packed.
//!
//! Whatever is taken for records is written again in each format and cut in pieces, and nothing is lost on the way.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use metricsd::formats::{self, Bodies, Options};
use metricsd::ingest::otlp::Encoding;
use metricsd::ingest::{gunzip, logs};
use metricsd::model::{Labels, Record, Records, Resource};

/// Small, so that it is met.
const MAX: usize = 1 << 16;

/// What a request takes in memory is within this, and a little for the last part that did not fit.
const MEMORY: usize = MAX * (logs::MEMORY_FACTOR + 1);

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let encoding = match which {
        b'p' => Encoding::Protobuf,
        b'j' => Encoding::Json,
        b'z' => return assert!(gunzip(body, MAX).map_or(0, |plain| plain.len()) <= MAX),
        _ => return,
    };
    let Ok(records) = logs::records(encoding, body, MAX, 1_700_000_000_000_000_000) else { return };
    assert!(records.iter().map(Record::weight).sum::<usize>() <= MEMORY);
    let count = records.len() as u64;
    let records = Records { time_ms: 0, resource: Arc::new(Resource::default()), records };
    for format in formats::ALL {
        let Some(of) = format.records else { continue };
        let mut encoder = (of.encoder)(&Options::default(), &Labels::of(&[("dc", "eu")]));
        let mut bodies = Bodies::default();
        encoder.encode(&records, 50, &mut bodies);
        let content = encoder.content();
        let mut sum = 0;
        for body in bodies.drain() {
            assert!(body.samples <= 50);
            sum += body.samples;
            if let (Some(divide), true) = (of.divide, body.samples > 1) {
                let pieces = divide(&content, &body.bytes, 7).expect("a body of ours can be divided");
                assert_eq!(pieces.iter().map(|piece| piece.samples).sum::<u64>(), body.samples);
                assert!(pieces.iter().all(|piece| piece.samples <= 7));
            }
        }
        assert_eq!(sum, count, "{}", format.name);
    }
});
