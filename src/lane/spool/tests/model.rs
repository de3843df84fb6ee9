//! Random lives of a spool, against a list.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// xorshift64*: the same lives at every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

/// What a spool should hold: the truth that it is compared with.
#[derive(Default)]
struct Model {
    /// Stored, not acknowledged, not dropped, in order; with the payload.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// The ids of those in somebody's hands.
    in_hand: BTreeMap<u64, u64>,
    /// Acknowledged since the cursor was last certainly saved: these may come again.
    maybe_again: BTreeMap<u64, Vec<u8>>,
    /// Numbers whose frames were damaged or cut off: these may be gone.
    maybe_gone: BTreeSet<u64>,
    next: u64,
}

struct Life {
    dice: Dice,
    dir: TempDir,
    spool: Option<Spool>,
    model: Model,
    now: i64,
}

impl Life {
    fn options(&self) -> Options {
        Options { segment_bytes: 4096, ..options(self.dir.path()) }
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().unwrap()
    }

    fn push(&mut self) {
        self.model.next += 1;
        let n = self.model.next;
        let len = if self.dice.below(20) == 0 { self.dice.below(9000) } else { self.dice.below(300) };
        let bytes: Vec<u8> = n.to_le_bytes().into_iter().chain((0..len).map(|_| self.dice.below(256) as u8)).collect();
        let in_flight = self.dice.below(3) == 0;
        let now = self.now;
        let spool = self.spool();
        let pushed = if in_flight { spool.push_taken(now, 1, &bytes) } else { spool.push(now, 1, &bytes) }.unwrap();
        assert_eq!(pushed.dropped, Count::default());
        self.model.waiting.insert(n, bytes);
        if pushed.taken {
            self.model.in_hand.insert(n, pushed.id);
        }
    }

    /// Takes one, and checks that it is the oldest that should be there.
    fn take(&mut self) {
        let now = self.now;
        let taken = self.spool().take(now).unwrap();
        let model = &mut self.model;
        let Some(entry) = taken else {
            let lost: Vec<_> = model.waiting.keys().filter(|n| !model.in_hand.contains_key(n)).copied().collect();
            assert!(lost.iter().all(|n| model.maybe_gone.contains(n)), "lost: {lost:?}");
            for n in lost {
                model.waiting.remove(&n);
            }
            return;
        };
        let n = u64::from_le_bytes(entry.bytes[..8].try_into().unwrap());
        if let Some(bytes) = model.maybe_again.remove(&n) {
            assert_eq!(bytes, entry.bytes);
            model.waiting.insert(n, bytes);
        }
        assert_eq!(model.waiting.get(&n), Some(&entry.bytes), "frame {n} is invented");
        let before: Vec<_> =
            model.waiting.range(..n).map(|(n, _)| *n).filter(|n| !model.in_hand.contains_key(n)).collect();
        assert!(before.iter().all(|n| model.maybe_gone.contains(n)), "{n} came before {before:?}");
        for n in before {
            model.waiting.remove(&n);
        }
        assert!(model.in_hand.insert(n, entry.id).is_none(), "frame {n} is handed out twice");
    }

    fn settle(&mut self) {
        let count = self.model.in_hand.len() as u64;
        if count == 0 {
            return;
        }
        let nth = self.dice.below(count) as usize;
        let (&n, &id) = self.model.in_hand.iter().nth(nth).unwrap();
        self.model.in_hand.remove(&n);
        if self.dice.below(3) == 0 {
            assert!(self.spool().release(id));
        } else {
            assert!(self.spool().ack(id));
            let bytes = self.model.waiting.remove(&n).unwrap();
            self.model.maybe_again.insert(n, bytes);
        }
    }

    fn close(&mut self) {
        self.spool.take().unwrap().close().unwrap();
        // Below everything that was waiting, nothing comes again.
        let first = self.model.waiting.keys().next().copied().unwrap_or(u64::MAX);
        self.model.maybe_again.retain(|n, _| *n > first);
    }

    /// Damage to files, while nobody has them.
    fn damage(&mut self) {
        let files = segments(self.dir.path());
        if files.is_empty() {
            return;
        }
        let file = &files[self.dice.below(files.len() as u64) as usize];
        let mut bytes = fs::read(file).unwrap();
        let at = self.dice.below(bytes.len() as u64) as usize;
        let hit = match self.dice.below(3) {
            0 => {
                bytes[at] ^= 1 << self.dice.below(8);
                at..at + 1
            }
            1 => {
                let end = (at + self.dice.below(5000) as usize).min(bytes.len());
                for byte in &mut bytes[at..end] {
                    *byte = self.dice.below(256) as u8;
                }
                at..end
            }
            _ => {
                let cut = at..bytes.len();
                bytes.truncate(at);
                cut
            }
        };
        let whole = fs::read(file).unwrap();
        fs::write(file, bytes).unwrap();
        // Which frames are in the stretch, by reading the file as documented.
        let mut at = 2 * u32::from_le_bytes(whole[12..16].try_into().unwrap_or_default()) as usize;
        let header = at;
        while let Some(head) = whole.get(at..).and_then(format::Head::decode) {
            let end = at + 40 + head.len as usize;
            if end > whole.len() {
                break;
            }
            // A frame's number stands first in its payload.
            let n = u64::from_le_bytes(whole[at + 40..at + 48].try_into().unwrap());
            if at < hit.end && hit.start < end {
                self.model.maybe_gone.insert(n);
            }
            at = end;
        }
        if at < whole.len() || header == 0 {
            // Damaged before: too much to say what this cost.
            let numbers: Vec<u64> = self.model.waiting.keys().copied().collect();
            self.model.maybe_gone.extend(numbers);
        }
    }

    fn open(&mut self) {
        self.model.in_hand.clear();
        let (spool, recovery) = Spool::open(self.options(), self.now).unwrap();
        let stats = spool.stats();
        assert_eq!(recovery.waiting, stats.waiting);
        let certain = self.model.waiting.keys().filter(|n| !self.model.maybe_gone.contains(n)).count() as u64;
        assert!(stats.waiting.frames >= certain, "{} of {certain}: {recovery:?}", stats.waiting.frames);
        let possible = (self.model.waiting.len() + self.model.maybe_again.len()) as u64;
        assert!(stats.waiting.frames <= possible, "{} of {possible}: {recovery:?}", stats.waiting.frames);
        self.spool = Some(spool);
    }
}

fn live(seed: u64, damage: bool) {
    let mut life = Life { dice: Dice(seed), dir: TempDir::new(), spool: None, model: Model::default(), now: 0 };
    life.open();
    for _ in 0..600 {
        life.now += life.dice.below(400) as i64 - 50;
        match life.dice.below(100) {
            0..40 => life.push(),
            40..65 => life.take(),
            65..90 => life.settle(),
            90..96 => {
                let now = life.now;
                life.spool().sync(now).unwrap();
            }
            96..98 => {
                life.close();
                life.open();
            }
            // A kill.
            98 => {
                life.spool = None;
                life.open();
            }
            _ => {
                life.close();
                if damage {
                    // What a damaged frame took with it may be anything's cursor.
                    life.damage();
                }
                life.open();
            }
        }
    }
    while !life.model.in_hand.is_empty() {
        life.settle();
    }
    while life.spool().stats().waiting.frames > 0 {
        life.take();
        while !life.model.in_hand.is_empty() {
            life.settle();
        }
    }
    life.take();
    assert!(life.model.waiting.is_empty());
    life.close();
    let left = names(life.dir.path());
    assert!(left.iter().all(|n| n == "lock" || n == "quarantine"), "{left:?}");
}

#[test]
fn random_lives_are_as_the_model_has_them() {
    for seed in 1..=150 {
        live(seed, false);
    }
}

#[test]
fn random_lives_with_damage_lose_what_was_damaged_and_nothing_else() {
    for seed in 1001..=1200 {
        live(seed, true);
    }
}
