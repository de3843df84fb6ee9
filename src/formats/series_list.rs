//! The form in which the list of series that a destination was sent outlives the process.
//!
//! It is written and read block by block, so that neither takes more memory than a block does
//! besides what is kept. A block is of one source, which may have several.
//!
//! ```text
//! file    "MDSERIES" version:u8=3 { block } end
//! block   length:u32le crc32:u32le(of length and of what follows) snappy(plain), which has `length` bytes
//! end     a block of length 0
//! plain   source:text { series }     as in `series_record`
//! ```
//!
//! Up to the first block that is damaged a list holds: to end a series that was listed and does
//! not come is right whatever else there was. The version before had one block:
//!
//! ```text
//! file    "MDSERIES" version:u8=2 crc32:u32le(of all that follows) snappy(list)
//! list    { source }
//! source  name:text count:varint { series }
//! ```

use std::io::{self, Read, Write};

use super::sent::{One, Past, Sent, SentSource};
use super::series_record::{read_count, read_series, read_text, write_text};

const MAGIC: &[u8; 8] = b"MDSERIES";
const VERSION: u8 = 3;
const VERSION_BEFORE: u8 = 2;

/// So much is gathered before it is packed. Snappy looks back no further.
const BLOCK: usize = 64 << 10;

/// A block with one series of the largest labels that are taken anywhere is well below this;
/// a larger one is none of ours, and a series that would need one is not listed.
const MAX_BLOCK: usize = 1 << 20;

/// What is not listed its receiver forgets by itself, minutes later than it could. This is
/// what is read, and kept, of a list at most, packed: several hundred thousand series.
const MAX_BYTES: u64 = 16 << 20;

/// A list that unpacks to more than this is none of ours.
const MAX_UNPACKED: usize = 64 << 20;

/// How much of a list could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What stands in front of the first damage.
    Part,
}

impl Sent {
    /// Writes the list, block by block. `out` need not gather anything.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&[VERSION])?;
        let mut blocks = Blocks::new(out);
        for source in &self.sources {
            blocks.begin(&source.name);
            for past in &source.past {
                let mut done = Ok(());
                past.each(|one| {
                    if done.is_ok() {
                        done = blocks.add(&one);
                    }
                });
                done?;
            }
            blocks.flush()?;
        }
        blocks.end()
    }

    /// Reads a list, and says how much of it there was. An error is of `from`, or says that this
    /// is no list of ours.
    pub fn read(from: &mut dyn Read) -> io::Result<(Sent, Extent)> {
        let mut head = [0; MAGIC.len() + 1];
        from.read_exact(&mut head)?;
        let mut from = from.take(MAX_BYTES);
        match head.split_last() {
            Some((&VERSION, magic)) if magic == MAGIC => read_blocks(&mut from),
            Some((&VERSION_BEFORE, magic)) if magic == MAGIC => {
                let mut bytes = Vec::new();
                from.read_to_end(&mut bytes)?;
                Ok((read_before(&bytes).ok_or(io::ErrorKind::InvalidData)?, Extent::Whole))
            }
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn add(&mut self, source: &str, block: Vec<u8>) {
        let past = Past::Read(block.into());
        match self.sources.last_mut() {
            Some(last) if *last.name == *source => last.past.push(past),
            _ => self.sources.push(SentSource { name: source.into(), past: vec![past] }),
        }
    }
}

/// Gathers series and writes them as blocks.
struct Blocks<'w> {
    out: &'w mut dyn Write,
    source: Vec<u8>,
    /// What is gathered; it begins with the source.
    plain: Vec<u8>,
    packed: Vec<u8>,
    snappy: snap::raw::Encoder,
    /// What more a reader takes, packed and unpacked.
    left: (usize, usize),
}

/// What stands in front of a block, and is the whole of the last one.
const HEAD: usize = 8;

impl<'w> Blocks<'w> {
    fn new(out: &'w mut dyn Write) -> Blocks<'w> {
        let left = (MAX_BYTES as usize - HEAD, MAX_UNPACKED);
        let snappy = snap::raw::Encoder::new();
        Blocks { out, source: Vec::new(), plain: Vec::new(), packed: Vec::new(), snappy, left }
    }

    /// What is added from now on is of that source.
    fn begin(&mut self, source: &str) {
        self.source.clear();
        write_text(source, &mut self.source);
        self.plain.clear();
        self.plain.extend_from_slice(&self.source);
    }

    fn add(&mut self, one: &One<'_>) -> io::Result<()> {
        let before = self.plain.len();
        one.write(&mut self.plain);
        let len = self.plain.len() - before;
        if self.source.len() + len > MAX_BLOCK {
            self.plain.truncate(before);
        } else if self.plain.len() > BLOCK && before > self.source.len() {
            let last = self.plain.split_off(before);
            self.flush()?;
            self.plain.extend_from_slice(&last);
        }
        Ok(())
    }

    /// Writes what is gathered. What is over the limits of a list is left out.
    fn flush(&mut self) -> io::Result<()> {
        if self.plain.len() > self.source.len() {
            self.packed.resize(HEAD + snap::raw::max_compress_len(self.plain.len()), 0);
            // Fails only for more than 4 GiB.
            let len = self.snappy.compress(&self.plain, &mut self.packed[HEAD..]).map_err(io::Error::other)?;
            self.packed.truncate(HEAD + len);
            let left = (self.left.0.checked_sub(self.packed.len()), self.left.1.checked_sub(self.plain.len()));
            if let (Some(packed), Some(plain)) = left {
                self.left = (packed, plain);
                let head = head(&self.packed[HEAD..]);
                self.packed[..HEAD].copy_from_slice(&head);
                self.out.write_all(&self.packed)?;
            }
        }
        self.plain.truncate(self.source.len());
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        self.out.write_all(&head(&[]))
    }
}

/// A block's length and checksum.
fn head(packed: &[u8]) -> [u8; HEAD] {
    let length = (packed.len() as u32).to_le_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(packed);
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&length);
    head[4..].copy_from_slice(&crc.finalize().to_le_bytes());
    head
}

/// Reads blocks up to the end of the list, or to the first that is none.
fn read_blocks(from: &mut dyn Read) -> io::Result<(Sent, Extent)> {
    let mut sent = Sent::default();
    let mut left = MAX_UNPACKED;
    loop {
        match read_block(from, &mut left) {
            Some(Some((source, packed))) => sent.add(&source, packed),
            Some(None) => return Ok((sent, Extent::Whole)),
            None => return Ok((sent, Extent::Part)),
        }
    }
}

/// The next block, packed, with its source; no block: that was the end. None where it is damaged,
/// or unpacks to more than is `left`.
fn read_block(from: &mut dyn Read, left: &mut usize) -> Option<Option<(String, Vec<u8>)>> {
    let mut given = [0; HEAD];
    from.read_exact(&mut given).ok()?;
    let length = u32::from_le_bytes(*given.first_chunk()?) as usize;
    if length > snap::raw::max_compress_len(MAX_BLOCK) {
        return None;
    }
    let mut packed = vec![0; length];
    from.read_exact(&mut packed).ok()?;
    if head(&packed) != given {
        return None;
    }
    if length == 0 {
        return Some(None);
    }
    let unpacked = snap::raw::decompress_len(&packed).ok().filter(|unpacked| *unpacked <= MAX_BLOCK)?;
    *left = left.checked_sub(unpacked)?;
    let plain = snap::raw::Decoder::new().decompress_vec(&packed).ok()?;
    let mut rest = &plain[..];
    let source = read_text(&mut rest)?.to_owned();
    while !rest.is_empty() {
        read_series(&mut rest)?;
    }
    Some(Some((source, packed)))
}

/// Reads what is behind the head of a list of the version before.
fn read_before(bytes: &[u8]) -> Option<Sent> {
    let (crc, packed) = bytes.split_first_chunk::<4>()?;
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
        let begun = rest;
        let source = read_text(&mut rest)?;
        let name = &begun[..begun.len() - rest.len()];
        let count = read_count(&mut rest)?;
        let mut plain = name.to_vec();
        for at in 1..=count {
            let begun = rest;
            read_series(&mut rest)?;
            plain.extend_from_slice(&begun[..begun.len() - rest.len()]);
            if plain.len() >= BLOCK || at == count {
                sent.add(source, snap::raw::Encoder::new().compress_vec(&plain).ok()?);
                plain.truncate(name.len());
            }
        }
    }
    Some(sent)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::formats::sent::Names;
    use crate::formats::sent::tests::{listed, two_sources};
    use crate::formats::testing::{self, TOTAL};
    use crate::model::{Kind, Labels};

    fn bytes(sent: &Sent) -> Vec<u8> {
        let mut bytes = Vec::new();
        sent.write(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Option<(Sent, Extent)> {
        Sent::read(&mut &bytes[..]).ok()
    }

    fn file(blocks: &[&[u8]]) -> Vec<u8> {
        let mut file = b"MDSERIES\x03".to_vec();
        for plain in blocks {
            let packed = snap::raw::Encoder::new().compress_vec(plain).unwrap();
            file.extend(head(&packed));
            file.extend(packed);
        }
        file.extend(head(&[]));
        file
    }

    #[test]
    fn a_list_reads_back_as_it_was_and_is_written_again_as_it_was_read() {
        let sent = two_sources();
        let (again, extent) = read(&bytes(&sent)).unwrap();
        assert_eq!((listed(&again), extent), (listed(&sent), Extent::Whole));
        assert_eq!(bytes(&again), bytes(&sent));
        let (none, extent) = read(&bytes(&Sent::default())).unwrap();
        assert_eq!((none.len(), extent), (0, Extent::Whole));
    }

    #[test]
    fn a_block_is_as_specified() {
        let plain = [&b"\x03cpu"[..], b"g\x05Help.\x07percent\x02\x08__name__\x01n\x01a\x01b"].concat();
        let (sent, extent) = read(&file(&[&plain])).unwrap();
        assert_eq!(extent, Extent::Whole);
        let [(source, series)] = &listed(&sent)[..] else { panic!("{sent:?}") };
        let one = series[0].record();
        assert_eq!((&**source, one.kind, one.help, one.unit), ("cpu", Kind::Gauge, "Help.", "percent"));
        assert_eq!(one.labels, [("__name__", "n"), ("a", "b")]);
    }

    #[test]
    fn a_list_of_the_version_before_is_read() {
        // As 0.1 wrote it.
        let series = |name: &str| [b"c\x00\x05bytes\x01\x08__name__\x01", name.as_bytes()].concat();
        let list = [&b"\x04disk\x02"[..], &series("a"), &series("b"), b"\x03cpu\x01", &series("c")].concat();
        let packed = snap::raw::Encoder::new().compress_vec(&list).unwrap();
        let bytes = [b"MDSERIES\x02", &crc32fast::hash(&packed).to_le_bytes()[..], &packed].concat();
        let (sent, extent) = read(&bytes).unwrap();
        assert_eq!(extent, Extent::Whole);
        let names: Vec<(String, Vec<String>)> = listed(&sent)
            .into_iter()
            .map(|(source, all)| (source, all.iter().map(|one| one.record().labels[0].1.to_owned()).collect()))
            .collect();
        assert_eq!(names, [("disk".into(), vec!["a".into(), "b".into()]), ("cpu".into(), vec!["c".into()])]);
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at]).is_none(), "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x80;
            assert!(read(&flipped).is_none(), "byte {at}");
        }
        // 4 GiB of snappy.
        let packed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        let bytes = [b"MDSERIES\x02", &crc32fast::hash(&packed).to_le_bytes()[..], &packed].concat();
        assert!(read(&bytes).is_none());
    }

    #[test]
    fn a_damaged_list_is_what_stands_in_front_of_the_damage() {
        let sent = two_sources();
        let (whole, list) = (bytes(&sent), listed(&sent));
        let check = |bytes: &[u8], what: &str| match read(bytes) {
            None => assert!(bytes.len() < 9 || bytes[..9] != whole[..9], "{what}"),
            Some((sent, extent)) => {
                assert_eq!(extent, Extent::Part, "{what}");
                let part = listed(&sent);
                assert!(part.len() <= 2 && part[..] == list[..part.len()], "{what}");
            }
        };
        for at in 0..whole.len() {
            check(&whole[..at], &format!("cut at {at}"));
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                check(&flipped, &format!("bit {bit} of byte {at}"));
            }
        }
        // The second source's block is the last thing in front of the end.
        assert_eq!(listed(&read(&whole[..whole.len() - HEAD - 1]).unwrap().0), list[..1]);
        assert_eq!(listed(&read(&whole[..whole.len() - HEAD]).unwrap().0), list);
    }

    #[test]
    fn a_block_that_lies_about_itself_is_none() {
        // With a good checksum: counts and lengths beyond the end, other kinds, broken text.
        for plain in [
            &b"\x01ax\x00\x00\x00"[..],
            b"\x01ag\x00\x00\x01\x01",
            b"\x01ag\x05\x00\x00",
            b"\x01ag\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x7fa",
            b"\x01\xff",
        ] {
            let (sent, extent) = read(&file(&[b"\x01z", plain])).unwrap();
            assert_eq!((listed(&sent), extent), (vec![("z".to_owned(), Vec::new())], Extent::Part), "{plain:?}");
        }
        // A block of 4 GiB, packed and unpacked.
        let packed = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        for block in [[&head(&packed)[..], &packed].concat(), vec![0xff; 100]] {
            let (sent, extent) = read(&[b"MDSERIES\x03", &block[..]].concat()).unwrap();
            assert_eq!((sent.len(), extent), (0, Extent::Part));
        }
    }

    #[test]
    fn a_large_source_has_several_blocks_and_a_series_too_large_for_any_is_left_out() {
        let labels = |n: usize, len: usize| Labels::of(&[("path", &format!("{n:02}{}", "x".repeat(len - 2)))]);
        let all: Vec<Labels> = (0..30).map(|n| labels(n, if n == 20 { MAX_BLOCK } else { 8192 })).collect();
        let samples: Vec<_> = all.iter().map(|labels| (&TOTAL, labels, 1.0)).collect();
        let from = Arc::new(testing::from(Labels::EMPTY));
        let past = vec![Past::Seen(from, Names::Prometheus, testing::frame("big", 1, &samples).chunks)];
        let sent = Sent { sources: vec![SentSource { name: "big".into(), past }] };
        let (read, extent) = read(&bytes(&sent)).unwrap();
        // Seven of 8 KiB and a bit are the most that 64 KiB hold: 29 are in five blocks.
        assert_eq!((read.sources.len(), read.sources[0].past.len(), extent), (1, 5, Extent::Whole));
        let [mut expected, read] = [&sent, &read].map(|sent| listed(sent).remove(0).1);
        expected.remove(20);
        assert!(read == expected);
    }
}
