//! Records as OTLP's logs.
//!
//! A record that an application has sent is sent on as that application's, with all that it said; one of the host is
//! the host's. What our records have besides, labels for instance, are attributes.

mod json;
mod proto;
mod wire;

use std::sync::Arc;

use self::wire::{Builder, Head, LogWire};
use super::json::Json;
use super::proto::Protobuf;
use super::request::Wire;
use crate::formats::body::{Content, Piece, content, cuts};
use crate::formats::encoder::{Bodies, RecordEncoder};
use crate::formats::format::Limits;
use crate::formats::gzip::{GZIP, pack, unpack};
use crate::formats::options::Compression;
use crate::model::{Labels, Origin, Records, Resource};

/// What a body may hold: the Collector's own batches have 8192 records.
pub const LIMITS: Limits = Limits { samples: 1000, ..Limits::NONE };

/// A body takes at most this before it is compressed, unless a record alone takes more.
const MAX_PLAIN: usize = 1 << 20;

/// How the host is written as a resource.
pub type HostOf = fn(&Resource) -> Arc<[u8]>;

/// An encoder whose records have these labels besides.
pub fn encoder<W: LogWire>(labels: &Labels, compression: Compression, host_of: HostOf) -> Box<dyn RecordEncoder> {
    let mut headers = vec![("Content-Type", W::CONTENT_TYPE)];
    if compression == Compression::Gzip {
        headers.push(GZIP);
    }
    Box::new(Logs { labels: labels.clone(), content: content(&headers), host_of, builder: Builder::<W>::default() })
}

struct Logs<W> {
    labels: Labels,
    content: Content,
    host_of: HostOf,
    builder: Builder<W>,
}

impl<W: LogWire> RecordEncoder for Logs<W> {
    fn encode(&mut self, records: &Records, most: u64, out: &mut Bodies) {
        let host = Arc::new(Head { resource: (self.host_of)(&records.resource), ..Head::scope_of_ours::<W>() });
        let mut current: (Option<&Arc<Origin>>, Arc<Head>) = (None, Arc::clone(&host));
        let mut written = Vec::new();
        for record in &records.records {
            let origin = record.origin.as_ref();
            if origin.map(Arc::as_ptr) != current.0.map(Arc::as_ptr) {
                let head = origin.map(|origin| Arc::new(Head::of::<W>(origin, &current.1, current.0)));
                current = (origin, head.unwrap_or_else(|| Arc::clone(&host)));
            }
            written.clear();
            W::record(record, &self.labels, &mut written);
            let is_full = self.builder.count() >= most.max(1) || self.builder.len() + written.len() > MAX_PLAIN;
            if is_full && self.builder.count() > 0 {
                self.end(out);
            }
            self.builder.add(&current.1, &written);
        }
        if self.builder.count() > 0 {
            self.end(out);
        }
    }

    fn content(&self) -> Content {
        Arc::clone(&self.content)
    }
}

impl<W: LogWire> Logs<W> {
    fn end(&mut self, out: &mut Bodies) {
        let (plain, count) = self.builder.finish();
        let mut body = out.room();
        pack(&self.content, &plain, &mut body);
        out.push(body, count);
    }
}

/// Divides a request by its records.
pub fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let plain = unpack(content, body)?;
    let is_json = content.iter().any(|(_, value)| value == Json::CONTENT_TYPE);
    if is_json { divided::<Json>(content, &plain, most) } else { divided::<Protobuf>(content, &plain, most) }
}

fn divided<W: LogWire>(content: &Content, plain: &[u8], most: u64) -> Option<Vec<Piece>> {
    let records = W::records(plain)?;
    let mut from = 0;
    let piece = |to: usize| {
        let mut builder = Builder::<W>::default();
        for (head, record) in &records[std::mem::replace(&mut from, to)..to] {
            builder.add(head, record);
        }
        let (plain, samples) = builder.finish();
        let mut bytes = Vec::new();
        pack(content, &plain, &mut bytes);
        Piece { bytes, samples }
    };
    Some(cuts(records.len(), most)?.map(piece).collect())
}

#[cfg(test)]
mod tests;
