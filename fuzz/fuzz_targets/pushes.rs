//! What applications send. The input's first byte says what it is: `p` a request of OTLP's logs in protobuf, `j` one
//! in JSON, `m` and `n` the same of OTLP's metrics, `t` a page of text, `s` a datagram of StatsD, `z` something that is
//! packed.
//!
//! Whatever is taken for records is written again in each format and cut in pieces, and nothing is lost on the way.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use metricsd::formats::{self, Bodies, Options};
use metricsd::ingest::otlp::Encoding;
use metricsd::ingest::push::Pushed;
use metricsd::ingest::statsd::{self, Store};
use metricsd::ingest::{PushSettings, gunzip, logs};
use metricsd::model::{Frame, Labels, Record, Records, Resource, ViewSlots};

/// Small, so that it is met.
const MAX: usize = 1 << 16;

/// What a request takes in memory is within this, and a little for the last part that did not fit.
const MEMORY: usize = MAX * (logs::MEMORY_FACTOR + 1);

const NOW: Duration = Duration::from_secs(1000);
const NOW_MS: i64 = 1_700_000_000_000;
const MAX_SERIES: usize = 50;

/// What is pushed twice is within its bounds, the second time the same series, and gone in the end.
fn metrics(push: impl Fn(&mut Pushed) -> Vec<Frame>) {
    let settings = PushSettings { max_bytes: MAX, max_series: MAX_SERIES, ..PushSettings::default() };
    let expire = settings.expire;
    let mut pushed = Pushed::new(settings, &ViewSlots::default(), &Arc::default(), 0);
    let count = |frames: &[Frame]| frames.iter().map(|frame| frame.values.len()).sum::<usize>();
    let (first, second) = (push(&mut pushed), push(&mut pushed));
    assert!(count(&first) <= MAX_SERIES);
    assert_eq!(count(&first), count(&second));
    let ended = pushed.expire(NOW + expire, NOW_MS + 1_000_000);
    assert_eq!((count(&ended), ended.len()), (0, first.len()));
    assert!(pushed.next_look().is_none());
}

/// A datagram's series are within their bounds, and it gives as many metrics the second time.
fn datagram(bytes: &[u8]) {
    let settings = statsd::Settings { max_series: MAX_SERIES, ..statsd::Settings::default() };
    let mut store = Store::new(settings, &ViewSlots::default(), NOW_MS);
    store.take(bytes, NOW, |_, _| ());
    store.take(bytes, NOW, |_, _| ());
    assert!(store.count() <= MAX_SERIES);
    let frame = store.frame(NOW_MS + 1, NOW);
    assert!(frame.values.len() <= store.count() && frame.values.iter().all(|value| value.is_finite()));
}

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let encoding = match which {
        b'p' => Encoding::Protobuf,
        b'j' => Encoding::Json,
        b'm' => return metrics(|pushed| pushed.otlp(Encoding::Protobuf, body, NOW, NOW_MS).map_or(vec![], |(all, ..)| all)),
        b'n' => return metrics(|pushed| pushed.otlp(Encoding::Json, body, NOW, NOW_MS).map_or(vec![], |(all, ..)| all)),
        b't' => return metrics(|pushed| pushed.text("job=j", "", body, NOW, NOW_MS).unwrap_or_default()),
        b's' => return datagram(body),
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
