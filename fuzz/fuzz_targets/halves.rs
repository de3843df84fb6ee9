//! Dividing of request bodies, which has to work on whatever a queue holds; and the hiding of
//! credentials in URLs. The input's first byte says which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metricsd::formats::{self, Answered, Content, Divide, content, json, remote_write};
use metricsd::http::{Url, redacted_url};

/// Divides, by turns in two and in more pieces, until nothing can be divided; gives the samples.
fn down(divide: Divide, of: &Content, body: &[u8], most: u64, depth: u32) -> u64 {
    let Some(pieces) = divide(of, body, most) else { return 0 };
    assert!(pieces.len() > 1);
    let sizes = || pieces.iter().map(|piece| piece.samples);
    assert!(sizes().all(|size| size > 0 && size <= most));
    assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1);
    for piece in &pieces {
        let most = if depth % 2 == 0 { piece.samples.div_ceil(2) } else { piece.samples.div_ceil(3) };
        assert!(piece.samples == 1 || depth == 0 || down(divide, of, &piece.bytes, most, depth - 1) == piece.samples);
    }
    sizes().sum()
}

fuzz_target!(|input: &[u8]| {
    let Some((which, body)) = input.split_first() else { return };
    let (plain, gzip) = (content(&[]), content(&[("Content-Encoding", "gzip")]));
    match which {
        // As it is, and packed, since random bytes are seldom snappy's.
        b'r' => drop(remote_write::divide(&plain, body, 1000)),
        b'R' => {
            let packed = snap::raw::Encoder::new().compress_vec(body).unwrap();
            down(remote_write::divide, &plain, &packed, 1000, 3);
            if let Some(pieces) = remote_write::divide(&plain, &packed, 7) {
                let unpack = |bytes: &[u8]| snap::raw::Decoder::new().decompress_vec(bytes).unwrap();
                let unpacked: Vec<Vec<u8>> = pieces.iter().map(|piece| unpack(&piece.bytes)).collect();
                assert_eq!(unpacked.concat(), body);
            }
        }
        b'j' => drop(down(json::divide, &plain, body, 1000, 3)),
        // Between lines, whatever they are: what comes out is what went in.
        b'i' => {
            let divide = formats::influx::FORMAT.divide.unwrap();
            if let Some(pieces) = divide(&plain, body, 7) {
                assert!(pieces.len() > 1);
                assert_eq!(pieces.into_iter().map(|piece| piece.bytes).collect::<Vec<_>>().concat(), body);
            }
        }
        b'd' => drop(down(formats::datadog::FORMAT.divide.unwrap(), &plain, body, 1000, 3)),
        b'D' => drop(down(formats::datadog::FORMAT.records.unwrap().divide.unwrap(), &plain, body, 1000, 3)),
        // Loki's, packed, since random bytes are seldom snappy's; and as they are.
        b'l' => {
            let divide = formats::of_name("loki").and_then(|format| format.records?.divide).unwrap();
            drop(divide(&plain, body, 7));
            let packed = snap::raw::Encoder::new().compress_vec(body).unwrap();
            down(divide, &plain, &packed, 1000, 3);
        }
        // What a server says of what it was sent, in two parts.
        b'a' => {
            let (sent, said) = body.split_at(body.len() / 2);
            let header = |_: &str| Some("application/json");
            for status in [200, 202, 204, 400, 422] {
                let answer = Answered { status, header: &header, body: said, sent };
                formats::ALL.iter().for_each(|format| drop((format.written)(&plain, &answer)));
                let records = formats::ALL.iter().filter_map(|format| format.records);
                records.for_each(|records| drop((records.written)(&plain, &answer)));
            }
        }
        b'z' => drop(json::divide(&gzip, body, 3)),
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
