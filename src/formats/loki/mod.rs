//! `loki`: records as entries of Loki's streams, in protobuf and snappy's block format.
//!
//! <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>,
//! <https://github.com/grafana/loki/blob/main/pkg/push/push.proto>:
//!
//! ```text
//! PushRequest      { repeated StreamAdapter streams = 1; }
//! StreamAdapter    { string labels = 1; repeated EntryAdapter entries = 2; uint64 hash = 3; }
//! EntryAdapter     { google.protobuf.Timestamp timestamp = 1; string line = 2;
//!                    repeated LabelPairAdapter structuredMetadata = 3; }
//! LabelPairAdapter { string name = 1; string value = 2; }
//! ```
//!
//! What a record is found by is its stream's labels; everything else that it says is structured metadata. The hash is
//! Loki's own.

mod answer;
mod entry;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::entry::Entry;
use super::body::{Content, Piece, content, cuts};
use super::encoder::{Bodies, RecordEncoder};
use super::format::{Format, Limits, OfRecords, Over, Signal, as_given, nothing_said};
use super::options::Compression;
use super::wire::{Field, field_len, fields, write_bytes, write_length, write_text};
use crate::model::{Labels, Records, Scheme};
use crate::order;

/// `loki`.
pub static FORMAT: Format = Format {
    name: "loki",
    signals: &[Signal::Records],
    over: Over::Http,
    path: None,
    reach: as_given,
    naming: Scheme::Native,
    limits: LIMITS,
    // It takes what is up to an hour older than a stream's newest entry.
    ordered: false,
    has_target_labels: false,
    // Each stream names its host.
    host_label: None,
    by_tick: false,
    compressions: &[Compression::Snappy],
    headers: &[],
    fields: &[],
    encoder: None,
    divide: None,
    downgrade: None,
    written: nothing_said,
    records: Some(OfRecords {
        path: Some("/loki/api/v1/push"),
        limits: LIMITS,
        encoder: |_, labels| Box::new(Loki::new(labels.clone())),
        divide: Some(divide),
        written: answer::written,
    }),
};

const LIMITS: Limits = Limits { samples: 1000, ..Limits::NONE };

/// A body takes at most this before it is compressed, unless a record alone takes more: what Loki's parts send each
/// other is 4 MiB at most where nobody has said otherwise.
const MAX_PLAIN: usize = 1 << 20;

/// No body of ours takes more unpacked: a line, its metadata and its labels are bounded. One that claims to is damaged.
const MAX_UNPACKED: usize = 16 << 20;

const STREAMS: u32 = 1;
const LABELS: u32 = 1;
const ENTRIES: u32 = 2;

/// Encodes for one destination.
struct Loki {
    labels: Labels,
    content: Content,
}

impl Loki {
    fn new(labels: Labels) -> Loki {
        // No `Content-Encoding`: this type is packed so, and older versions know no other way to say it.
        Loki { labels, content: content(&[("Content-Type", "application/x-protobuf")]) }
    }
}

impl RecordEncoder for Loki {
    fn encode(&mut self, records: &Records, most: u64, out: &mut Bodies) {
        let mut streams = Streams::default();
        for record in &records.records {
            let entry = Entry::of(record, &records.resource, &self.labels);
            let is_full = streams.count >= most.max(1) || streams.bytes + entry.len() > MAX_PLAIN;
            if is_full && streams.count > 0 {
                let body = pack(&std::mem::take(&mut streams).write());
                out.push(body.bytes, body.samples);
            }
            streams.add(entry);
        }
        let body = pack(&streams.write());
        out.push(body.bytes, body.samples);
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

/// The streams of a body, by their labels.
#[derive(Default)]
struct Streams {
    by_labels: BTreeMap<String, Vec<Entry>>,
    count: u64,
    bytes: usize,
}

impl Streams {
    fn add(&mut self, mut entry: Entry) {
        self.count += 1;
        self.bytes += entry.len();
        self.by_labels.entry(std::mem::take(&mut entry.labels)).or_default().push(entry);
    }

    /// The message, and how many entries are in it.
    fn write(self) -> (Vec<u8>, u64) {
        let mut message = Vec::new();
        for (labels, mut entries) in self.by_labels {
            // Those of one time stay in the order in which they came.
            order::sort_by_key(&mut entries, |entry| entry.time_ns);
            let entries: Vec<&[u8]> = entries.iter().map(|entry| &entry.message[..]).collect();
            write_stream(&labels, &entries, &mut message);
        }
        (message, self.count)
    }
}

fn write_stream(labels: &str, entries: &[&[u8]], out: &mut Vec<u8>) {
    let len = field_len(labels.len()) + entries.iter().map(|entry| field_len(entry.len())).sum::<usize>();
    write_length(STREAMS, len, out);
    write_text(LABELS, labels, out);
    entries.iter().for_each(|entry| write_bytes(ENTRIES, entry, out));
}

fn pack((message, samples): &(Vec<u8>, u64)) -> Piece {
    // Fails only for a message over 4 GiB.
    let packed = snap::raw::Encoder::new().compress_vec(message);
    let bytes = packed.unwrap_or_else(|error| {
        log::error!("a body of {samples} records cannot be compressed: {error}; they are lost");
        Vec::new()
    });
    Piece { samples: if bytes.is_empty() { 0 } else { *samples }, bytes }
}

fn unpacked(body: &[u8]) -> Option<Vec<u8>> {
    let len = snap::raw::decompress_len(body).ok()?;
    (len <= MAX_UNPACKED).then(|| snap::raw::Decoder::new().decompress_vec(body).ok())?
}

/// The entries of a message with the labels of their streams, in order.
fn entries(message: &[u8]) -> Option<Vec<(&str, &[u8])>> {
    let mut all = Vec::new();
    for stream in fields(message) {
        let (STREAMS, Field::Bytes(stream)) = stream? else { return None };
        let mut labels = "";
        for field in fields(stream) {
            match field? {
                (LABELS, Field::Bytes(text)) => labels = std::str::from_utf8(text).ok()?,
                (ENTRIES, Field::Bytes(entry)) => all.push((labels, entry)),
                _ => return None,
            }
        }
    }
    Some(all)
}

/// Divides a request by its entries.
fn divide(_: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let message = unpacked(body)?;
    let all = entries(&message)?;
    let mut from = 0;
    let piece = |to: usize| {
        let part = &all[std::mem::replace(&mut from, to)..to];
        let mut message = Vec::new();
        for stream in part.chunk_by(|(one, _), (next, _)| one == next) {
            let entries: Vec<&[u8]> = stream.iter().map(|(_, entry)| *entry).collect();
            write_stream(stream[0].0, &entries, &mut message);
        }
        pack(&(message, part.len() as u64))
    };
    Some(cuts(all.len(), most)?.map(piece).collect())
}

#[cfg(test)]
mod tests;
