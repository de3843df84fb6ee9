//! Halving of request bodies, which has to work on whatever a queue holds; and the hiding of
//! credentials in URLs. The input's first byte says which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::formats::{Content, Split, content, json, remote_write};
use metricsd::http::{Url, redacted_url};

/// Halves until nothing can be halved.
fn down(split: Split, of: &Content, body: &[u8], depth: u32) -> u64 {
    match split(of, body) {
        Some([left, right]) => {
            assert!(left.samples > 0 && right.samples > 0 && left.samples.abs_diff(right.samples) <= 1);
            if depth == 0 {
                return left.samples + right.samples;
            }
            for half in [&left, &right] {
                assert!(half.samples == 1 || down(split, of, &half.bytes, depth - 1) == half.samples);
            }
            left.samples + right.samples
        }
        None => 0,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let (plain, gzip) = (content(&[]), content(&[("Content-Encoding", "gzip")]));
    match which {
        // As it is, and packed, since random bytes are seldom snappy's.
        b'r' => drop(remote_write::split(&plain, body)),
        b'R' => {
            let packed = snap::raw::Encoder::new().compress_vec(body).unwrap();
            down(remote_write::split, &plain, &packed, 3);
            if let Some(halves) = remote_write::split(&plain, &packed) {
                let unpacked = halves.map(|half| snap::raw::Decoder::new().decompress_vec(&half.bytes).unwrap());
                assert_eq!(unpacked.concat(), body);
            }
        }
        b'j' => drop(down(json::split, &plain, body, 3)),
        b'z' => drop(json::split(&gzip, body)),
        b'u' => {
            let Ok(url) = std::str::from_utf8(body) else { return };
            assert_eq!(Url::new(url).to_string(), redacted_url(url));
            if let Some((before, _)) = url.split_once("://user:secret@") {
                // Wherever it stands, what is in front of the last @ of the authority is hidden.
                assert!(before.contains(['/', '?']) || !redacted_url(url).contains("user:secret@"), "{url}");
            }
        }
        _ => {}
    }
});
