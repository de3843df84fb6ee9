//! A request, packed, and divided by its points.

use super::json::Json;
use super::proto::Protobuf;
use super::request::{Request, Wire};
use crate::formats::body::{Content, Piece, cuts};
use crate::formats::gzip::{pack, unpack};

/// Divides a request by its points.
pub fn divide(content: &Content, body: &[u8], most: u64) -> Option<Vec<Piece>> {
    let plain = unpack(content, body)?;
    let is_json = content.iter().any(|(_, value)| value == Json::CONTENT_TYPE);
    if is_json { divided::<Json>(content, &plain, most) } else { divided::<Protobuf>(content, &plain, most) }
}

fn divided<W: Wire>(content: &Content, plain: &[u8], most: u64) -> Option<Vec<Piece>> {
    let points = W::points(plain)?;
    let mut from = 0;
    let piece = |to: usize| {
        let mut request = Request::<W>::default();
        let part = &points[std::mem::replace(&mut from, to)..to];
        for point in part {
            let place = request.place(&point.resource, &point.head, point.data);
            request.add_written(place, point.written);
        }
        let (mut plain, mut bytes) = (Vec::new(), Vec::new());
        W::write(&request, &mut plain);
        pack(content, &plain, &mut bytes);
        Piece { bytes, samples: part.len() as u64 }
    };
    Some(cuts(points.len(), most)?.map(piece).collect())
}
