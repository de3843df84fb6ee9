//! OTLP metrics in protobuf, field by field.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto>

use prost::encoding::decode_varint;

use super::exemplar::{MAX_EXEMPLARS, SPAN_ID, Seen, TRACE_ID, hex};
use super::{Budget, Data, Metric, Point, Sent, SentBuckets, Taker, Temporality};
use crate::ingest::budget::Refused;
use crate::ingest::wire::{Field, attribute, fields, text};
use crate::model::{Attribute, Kind};

/// The flag of a point that says that there is none.
const NO_RECORDED_VALUE: u64 = 1;

pub fn read(body: &[u8], budget: &mut Budget, taker: &mut Taker) -> Result<(), Refused> {
    for field in fields(body) {
        if let (1, Field::Bytes(of)) = field? {
            of_resource(of, budget, taker)?;
        }
    }
    Ok(())
}

fn of_resource(of: &[u8], budget: &mut Budget, taker: &mut Taker) -> Result<(), Refused> {
    let mut attributes: Vec<Attribute> = Vec::new();
    // The resource may stand behind its metrics.
    for field in fields(of) {
        if let (1, Field::Bytes(resource)) = field? {
            for field in fields(resource) {
                if let (1, Field::Bytes(pair)) = field? {
                    attributes.push(attribute(pair, 0, budget)?);
                }
            }
        }
    }
    taker.resource(&attributes);
    for field in fields(of) {
        if let (2, Field::Bytes(scope)) = field? {
            for field in fields(scope) {
                if let (2, Field::Bytes(metric)) = field? {
                    read_metric(metric, budget, taker)?;
                }
            }
        }
    }
    Ok(())
}

fn read_metric(of: &[u8], budget: &mut Budget, taker: &mut Taker) -> Result<(), Refused> {
    let mut texts = [Box::<str>::default(), Box::default(), Box::default()];
    for field in fields(of) {
        if let (number @ 1..=3, Field::Bytes(bytes)) = field? {
            texts[number as usize - 1] = text(bytes, budget)?;
        }
    }
    let [name, help, unit] = &texts;
    for field in fields(of) {
        let (number @ (5 | 7 | 9 | 10 | 11), Field::Bytes(data)) = field? else { continue };
        let (mut temporality, mut is_monotonic) = (Temporality::Unsaid, false);
        for field in fields(data) {
            match field? {
                (2, Field::Number(given)) => temporality = Temporality::of(given as i64),
                (3, Field::Number(given)) => is_monotonic = given != 0,
                _ => {}
            }
        }
        let kind = match number {
            5 => Kind::Gauge,
            7 if is_monotonic => Kind::Counter,
            7 => Kind::UpDown,
            9 | 10 => Kind::Histogram,
            11 => Kind::Summary,
            _ => continue,
        };
        if matches!(kind, Kind::Gauge | Kind::Summary) {
            temporality = Temporality::Cumulative;
        }
        let metric = Metric { name, help, unit, kind, temporality };
        for field in fields(data) {
            if let (1, Field::Bytes(bytes)) = field? {
                budget.take::<Point>(name.len() + help.len() + unit.len())?;
                let point = if number == 10 { exponential(bytes, budget)? } else { point(kind, bytes, budget)? };
                taker.point(&metric, point);
            }
        }
    }
    Ok(())
}

fn point(kind: Kind, bytes: &[u8], budget: &mut Budget) -> Result<Point, Refused> {
    let mut point = Point::default();
    let (mut count, mut sum) = (0, None);
    let (mut counts, mut bounds, mut quantiles) = (Vec::new(), Vec::new(), Vec::new());
    for field in fields(bytes) {
        match (kind, field?) {
            (_, (2, Field::Fixed64(time))) => point.start_ns = time,
            (_, (3, Field::Fixed64(time))) => point.time_ns = time,
            (Kind::Histogram, (9, Field::Bytes(pair))) => point.attributes.push(attribute(pair, 0, budget)?),
            (Kind::Histogram, (4, Field::Fixed64(number))) | (Kind::Summary, (4, Field::Fixed64(number))) => {
                count = number
            }
            (Kind::Histogram | Kind::Summary, (5, Field::Fixed64(bits))) => sum = Some(f64::from_bits(bits)),
            (Kind::Histogram, (6, field)) => counts.extend(fixed(&field, budget)?),
            (Kind::Histogram, (7, field)) => bounds.extend(fixed(&field, budget)?.into_iter().map(f64::from_bits)),
            (Kind::Histogram, (8, Field::Bytes(bytes))) => seen(bytes, &mut point, budget)?,
            (Kind::Histogram, (10, Field::Number(flags))) => point.is_none = flags & NO_RECORDED_VALUE != 0,
            (Kind::Histogram, _) => {}
            (_, (7, Field::Bytes(pair))) => point.attributes.push(attribute(pair, 0, budget)?),
            (_, (8, Field::Number(flags))) => point.is_none = flags & NO_RECORDED_VALUE != 0,
            (Kind::Summary, (6, Field::Bytes(bytes))) => {
                budget.take::<(f64, f64)>(0)?;
                quantiles.push(quantile(bytes)?);
            }
            (Kind::Summary, _) => {}
            (_, (4, Field::Fixed64(bits))) => point.data = Data::Number(f64::from_bits(bits)),
            (_, (5, Field::Bytes(bytes))) => seen(bytes, &mut point, budget)?,
            (_, (6, Field::Fixed64(bits))) => point.data = Data::Number(bits as i64 as f64),
            _ => {}
        }
    }
    match kind {
        Kind::Histogram => point.data = Data::Histogram { count, sum, counts, bounds },
        Kind::Summary => point.data = Data::Summary { count, sum: sum.unwrap_or(0.0), quantiles },
        _ => {}
    }
    Ok(point)
}

/// A point of an exponential histogram.
fn exponential(bytes: &[u8], budget: &mut Budget) -> Result<Point, Refused> {
    let (mut point, mut sent) = (Point::default(), Sent::default());
    for field in fields(bytes) {
        match field? {
            (1, Field::Bytes(pair)) => point.attributes.push(attribute(pair, 0, budget)?),
            (2, Field::Fixed64(time)) => point.start_ns = time,
            (3, Field::Fixed64(time)) => point.time_ns = time,
            (4, Field::Fixed64(number)) => sent.count = number,
            (5, Field::Fixed64(bits)) => sent.sum = Some(f64::from_bits(bits)),
            (6, Field::Number(number)) => sent.scale = zigzag(number),
            (7, Field::Fixed64(number)) => sent.zero = number,
            (8, Field::Bytes(bytes)) => sent.positive = buckets(bytes, budget)?,
            (9, Field::Bytes(bytes)) => sent.negative = buckets(bytes, budget)?,
            (10, Field::Number(flags)) => point.is_none = flags & NO_RECORDED_VALUE != 0,
            (11, Field::Bytes(bytes)) => seen(bytes, &mut point, budget)?,
            (14, Field::Fixed64(bits)) => sent.zero_threshold = f64::from_bits(bits),
            _ => {}
        }
    }
    point.data = Data::Exponential(sent);
    Ok(point)
}

/// An exemplar of `point`.
fn seen(bytes: &[u8], point: &mut Point, budget: &mut Budget) -> Result<(), Refused> {
    if point.exemplars.len() >= MAX_EXEMPLARS {
        return Ok(());
    }
    budget.take::<Seen>(2 * (TRACE_ID + SPAN_ID))?;
    let mut seen = Seen::default();
    for field in fields(bytes) {
        match field? {
            (2, Field::Fixed64(time)) => seen.time_ns = time,
            (3, Field::Fixed64(bits)) => seen.value = Some(f64::from_bits(bits)),
            (4, Field::Bytes(id)) => seen.span_id = hex(id, SPAN_ID),
            (5, Field::Bytes(id)) => seen.trace_id = hex(id, TRACE_ID),
            (6, Field::Fixed64(bits)) => seen.value = Some(bits as i64 as f64),
            (7, Field::Bytes(pair)) => seen.attributes.push(attribute(pair, 0, budget)?),
            _ => {}
        }
    }
    point.exemplars.push(seen);
    Ok(())
}

fn buckets(bytes: &[u8], budget: &mut Budget) -> Result<SentBuckets, Refused> {
    let mut buckets = SentBuckets::default();
    for field in fields(bytes) {
        match field? {
            (1, Field::Number(number)) => buckets.offset = zigzag(number),
            (2, field) => buckets.counts.extend(varints(&field, budget)?),
            _ => {}
        }
    }
    Ok(buckets)
}

/// A `sint32`.
fn zigzag(number: u64) -> i32 {
    let number = number as u32;
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

/// Numbers of one to ten bytes, packed or one by one.
fn varints(field: &Field<'_>, budget: &mut Budget) -> Result<Vec<u64>, Refused> {
    let mut rest: &[u8] = match field {
        Field::Number(number) => return Ok(vec![*number]),
        Field::Bytes(bytes) => bytes,
        _ => return Ok(Vec::new()),
    };
    // Each ends in a byte below 128.
    let count = rest.iter().filter(|byte| **byte < 0x80).count();
    budget.take::<Vec<u64>>(count * size_of::<u64>())?;
    let mut numbers = Vec::with_capacity(count);
    while !rest.is_empty() {
        let number = decode_varint(&mut rest);
        numbers.push(number.map_err(|_| Refused::Malformed("packed numbers are cut off".to_owned()))?);
    }
    Ok(numbers)
}

/// Numbers of eight bytes, packed or one by one.
fn fixed(field: &Field<'_>, budget: &mut Budget) -> Result<Vec<u64>, Refused> {
    let bytes: &[u8] = match field {
        Field::Fixed64(number) => return Ok(vec![*number]),
        Field::Bytes(bytes) => bytes,
        _ => return Ok(Vec::new()),
    };
    if bytes.len() % size_of::<u64>() != 0 {
        return Err(Refused::Malformed("packed numbers of eight bytes are cut off".to_owned()));
    }
    budget.take::<Vec<u64>>(bytes.len())?;
    let numbers = bytes.chunks_exact(size_of::<u64>());
    Ok(numbers.filter_map(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?))).collect())
}

fn quantile(bytes: &[u8]) -> Result<(f64, f64), Refused> {
    let mut pair = (0.0, 0.0);
    for field in fields(bytes) {
        match field? {
            (1, Field::Fixed64(bits)) => pair.0 = f64::from_bits(bits),
            (2, Field::Fixed64(bits)) => pair.1 = f64::from_bits(bits),
            _ => {}
        }
    }
    Ok(pair)
}
