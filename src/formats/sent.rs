//! The list of series that a destination has been sent, in a form that outlives the process.
//!
//! A receiver goes on showing a series' last value for minutes unless it is told that the
//! series has ended. So a lane keeps the list of what it sent beside its spool, writes it
//! when the set of series has changed (not each tick), and gives it to its encoder at the
//! next start, which then ends what does not come any more.
//!
//! ```text
//! file    "MDSERIES" version:u8=2 crc32:u32le(of all that follows) snappy(list)
//! list    { source }
//! source  name:text count:varint { series }
//! series  kind:u8(c|g|d|u|h|s|i|t) help:text unit:text count:varint { name:text value:text }     labels, __name__ among them
//! text    length:varint utf-8
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};

use super::names::prometheus_name;
use crate::model::{Kind, Labels};
use crate::shaping::ViewSeries;

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

const MAGIC: &[u8; 9] = b"MDSERIES\x02";

/// More series than this are not remembered: their receiver forgets them by itself, minutes
/// later than it could.
const MAX_SERIES: usize = 100_000;

/// A file that unpacks to more than this is none of ours.
const MAX_UNPACKED: usize = 64 << 20;

/// A series as its receiver knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SentSeries {
    /// All labels, `__name__` and those of the configuration among them, sorted by name.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// What its values were.
    pub kind: Kind,
    /// Its metric's help.
    pub help: Cow<'static, str>,
    /// Its metric's unit.
    pub unit: Cow<'static, str>,
}

impl SentSeries {
    /// `series` as it is sent.
    pub fn of(series: &ViewSeries) -> SentSeries {
        let family = series.family();
        let name = prometheus_name(family);
        let labels = named(&name, &series.labels).map(|(name, value)| (name.into(), value.into())).collect();
        SentSeries {
            labels,
            kind: family.kind,
            help: family.help.to_owned().into(),
            unit: family.unit.to_owned().into(),
        }
    }

    /// The labels, borrowed: what tells a series from every other one.
    pub fn identity(&self) -> Vec<(&str, &str)> {
        self.labels.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// All labels of a series of that name as it is sent: its own and its name, sorted by name.
pub fn named<'l>(name: &'l str, labels: &'l Labels) -> impl Iterator<Item = (&'l str, &'l str)> {
    let before = labels.iter().take_while(|(name, _)| *name < NAME);
    let behind = labels.iter().skip_while(|(name, _)| *name < NAME);
    before.chain([(NAME, name)]).chain(behind)
}

/// What an encoder has sent and not ended, by source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent(pub Vec<(Arc<str>, Vec<SentSeries>)>);

impl Sent {
    /// As a file's content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut list = Vec::new();
        let mut left = MAX_SERIES;
        for (source, series) in &self.0 {
            let series = &series[..series.len().min(left)];
            left -= series.len();
            if series.is_empty() {
                continue;
            }
            write_text(source, &mut list);
            encode_varint(series.len() as u64, &mut list);
            for one in series {
                list.push(letter(one.kind));
                write_text(&one.help, &mut list);
                write_text(&one.unit, &mut list);
                encode_varint(one.labels.len() as u64, &mut list);
                for (name, value) in &one.labels {
                    write_text(name, &mut list);
                    write_text(value, &mut list);
                }
            }
        }
        // Fails only for more than 4 GiB, and labels are bounded far below that: an empty list is a safe one.
        let packed = snap::raw::Encoder::new().compress_vec(&list).unwrap_or_else(|_| vec![0]);
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&crc32fast::hash(&packed).to_le_bytes());
        bytes.extend_from_slice(&packed);
        bytes
    }

    /// Reads a file's content; none where it is damaged, of another version, or not ours.
    pub fn from_bytes(bytes: &[u8]) -> Option<Sent> {
        let (crc, packed) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(packed) {
            return None;
        }
        if snap::raw::decompress_len(packed).ok()? > MAX_UNPACKED {
            return None;
        }
        let list = snap::raw::Decoder::new().decompress_vec(packed).ok()?;
        let mut rest = &list[..];
        let mut sent = Sent::default();
        while !rest.is_empty() {
            let source = read_text(&mut rest)?.into();
            let count = read_count(&mut rest)?;
            let series = (0..count).map(|_| read_series(&mut rest)).collect::<Option<Vec<_>>>()?;
            sent.0.push((source, series));
        }
        Some(sent)
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, series)| series.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Every kind that a receiver is told of.
const KINDS: [Kind; 8] = [
    Kind::Counter,
    Kind::Gauge,
    Kind::UpDown,
    Kind::Untyped,
    Kind::Histogram,
    Kind::Summary,
    Kind::Info,
    Kind::StateSet,
];

fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::Counter => b'c',
        Kind::Gauge => b'g',
        Kind::UpDown => b'd',
        Kind::Untyped => b'u',
        Kind::Histogram => b'h',
        Kind::Summary => b's',
        Kind::Info => b'i',
        Kind::StateSet => b't',
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn read_text<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let len = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (text, left) = rest.split_at_checked(len)?;
    *rest = left;
    std::str::from_utf8(text).ok()
}

/// A count of things of which each takes a byte at least, so that no count promises more
/// than there is.
fn read_count(rest: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(decode_varint(rest).ok()?).ok()?;
    (count <= rest.len()).then_some(count)
}

fn read_series(rest: &mut &[u8]) -> Option<SentSeries> {
    let (kind, left) = rest.split_first()?;
    *rest = left;
    let kind = *KINDS.iter().find(|known| letter(**known) == *kind)?;
    let mut text = || Some(Cow::from(read_text(rest)?.to_owned()));
    let (help, unit) = (text()?, text()?);
    let pairs = read_count(rest)?;
    let labels: Option<Box<[_]>> =
        (0..pairs).map(|_| Some((read_text(rest)?.into(), read_text(rest)?.into()))).collect();
    Some(SentSeries { labels: labels?, kind, help, unit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::{self, TOTAL, USAGE};
    use crate::model::Family;

    fn two_sources() -> Sent {
        let extra = Labels::of(&[("job", "metricsd")]);
        let of = |metric: &Family, labels: &Labels| {
            let frame = testing::frame("x", 1, &[(metric, labels, 1.0)]);
            SentSeries::of(&testing::from(extra.clone()).view(&frame.chunks[0]).series()[0])
        };
        Sent(vec![
            ("disk".into(), vec![of(&TOTAL, &Labels::of(&[("device", "sda")])), of(&TOTAL, &Labels::EMPTY)]),
            ("cpu".into(), vec![of(&USAGE, &Labels::of(&[("A", "é")]))]),
        ])
    }

    #[test]
    fn a_list_reads_back_as_it_was() {
        let sent = two_sources();
        assert_eq!(sent.len(), 3);
        assert_eq!(
            sent.0[0].1[0].identity(),
            [("__name__", "test_bytes_total"), ("device", "sda"), ("job", "metricsd")]
        );
        assert_eq!(Sent::from_bytes(&sent.to_bytes()), Some(sent));
        assert_eq!(Sent::from_bytes(&Sent::default().to_bytes()), Some(Sent::default()));
    }

    #[test]
    fn a_damaged_list_is_none() {
        let bytes = two_sources().to_bytes();
        for at in 0..bytes.len() {
            assert_eq!(Sent::from_bytes(&bytes[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(Sent::from_bytes(&flipped), None, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_list_that_lies_about_itself_is_none() {
        // With a good checksum: counts and lengths beyond the end, other kinds, broken text.
        for list in [
            &b"\x01a\x7f"[..],
            b"\x01a\x01x\x00\x00\x00",
            b"\x01a\x01g\x00\x00\x01\x01",
            b"\x01a\x01g\x05\x00\x00",
            b"\x7fa",
            b"\x01\xff\x00",
            b"\x01a\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            let packed = snap::raw::Encoder::new().compress_vec(list).unwrap();
            let bytes = [&MAGIC[..], &crc32fast::hash(&packed).to_le_bytes(), &packed].concat();
            assert_eq!(Sent::from_bytes(&bytes), None, "{list:?}");
        }
        // 4 GiB of snappy.
        let packed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let bytes = [&MAGIC[..], &crc32fast::hash(&packed).to_le_bytes(), &packed].concat();
        assert_eq!(Sent::from_bytes(&bytes), None);
    }

    #[test]
    fn a_list_is_bounded() {
        let one = two_sources().0[1].1[0].clone();
        let sent = Sent(vec![("a".into(), vec![one.clone(); MAX_SERIES - 1]), ("b".into(), vec![one; 5])]);
        let read = Sent::from_bytes(&sent.to_bytes()).unwrap();
        assert_eq!((read.len(), read.0[1].1.len()), (MAX_SERIES, 1));
    }
}
