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
    /// Stored, not acknowledged, in order; with the payload.
    waiting: BTreeMap<u64, Vec<u8>>,
    /// The ids of those in somebody's hands.
    in_hand: BTreeMap<u64, u64>,
    /// Acknowledged, ever.
    acked: BTreeMap<u64, Vec<u8>>,
    /// The same, also where it came again.
    delivered: BTreeSet<u64>,
    /// Numbers whose frames were damaged or cut off: these may be gone.
    maybe_gone: BTreeSet<u64>,
    next: u64,
}

/// How a life was interrupted, which says what may come again.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Closed,
    Killed,
    Damaged,
}

struct Life {
    dice: Dice,
    dir: TempDir,
    spool: Option<Spool>,
    model: Model,
    damaged: bool,
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

    /// Takes one, and checks that it is the oldest that nobody has.
    fn take(&mut self) {
        let now = self.now;
        let taken = self.spool().take(now).unwrap();
        let model = &mut self.model;
        let expected = model.waiting.iter().find(|(n, _)| !model.in_hand.contains_key(n));
        assert_eq!(taken.as_ref().map(|e| &e.bytes), expected.map(|(_, bytes)| bytes));
        if let (Some(entry), Some((n, _))) = (taken, expected) {
            model.in_hand.insert(*n, entry.id);
        }
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
            self.model.acked.insert(n, bytes);
            self.model.delivered.insert(n);
        }
    }

    fn close(&mut self) {
        self.spool.take().unwrap().close().unwrap();
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
        // Wherever a payload stands in the file, its frame begins 40 bytes before it. The
        // file may be damaged already: there is no other way of finding them.
        for (n, payload) in &self.model.waiting {
            let places = whole.windows(payload.len()).enumerate().filter(|(_, w)| w == payload).map(|(at, _)| at);
            for at in places {
                if at.saturating_sub(40) < hit.end && hit.start < at + payload.len() {
                    self.model.maybe_gone.insert(*n);
                }
            }
        }
    }

    /// Opens what an earlier life left, compares it with the model, and takes what came
    /// back for the truth.
    fn open(&mut self, end: End) {
        let copy = TempDir::new();
        copy_dir(self.dir.path(), copy.path());
        let (mut spool, recovery) = Spool::open(Options { dir: copy.path().into(), ..self.options() }, 0).unwrap();
        assert_eq!(recovery.waiting, spool.stats().waiting);
        // Damage is found anew at each start until the file is done with.
        self.damaged |= end == End::Damaged;
        assert!(self.damaged || recovery.is_clean(), "{recovery:?}");
        let entries: Vec<Frame> = std::iter::from_fn(|| spool.take(0).unwrap()).collect();
        assert_eq!(entries.len() as u64, recovery.waiting.frames);
        assert_eq!(spool.stats().lost, recovery.fresh);

        let model = &mut self.model;
        let came: BTreeMap<u64, Vec<u8>> =
            entries.iter().map(|e| (u64::from_le_bytes(e.bytes[..8].try_into().unwrap()), e.bytes.clone())).collect();
        let numbers = entries.iter().map(|e| u64::from_le_bytes(e.bytes[..8].try_into().unwrap()));
        assert!(numbers.eq(came.keys().copied()), "in order, and none twice");
        for (n, bytes) in &came {
            let known = model.waiting.get(n).or(model.acked.get(n));
            assert_eq!(known, Some(bytes), "frame {n} is invented");
        }
        let lost: Vec<_> = model.waiting.keys().filter(|n| !came.contains_key(n)).collect();
        assert!(lost.iter().all(|n| model.maybe_gone.contains(n)), "lost: {lost:?}");
        // Each frame is of one sample. One that was delivered and came again after a kill
        // may be known to have been delivered, or not.
        let counted = recovery.fresh.frames;
        let never = lost.iter().filter(|n| !model.delivered.contains(n)).count() as u64;
        assert!((never..=lost.len() as u64).contains(&counted), "lost: {lost:?}; {recovery:?}");
        assert_eq!(recovery.fresh.samples, counted);
        let first = model.waiting.keys().next().copied().unwrap_or(u64::MAX);
        let again: Vec<_> = came.keys().filter(|n| !model.waiting.contains_key(n)).collect();
        assert!(end != End::Closed || again.iter().all(|n| **n > first), "again: {again:?}");

        model.acked.append(&mut std::mem::take(&mut model.waiting));
        for n in came.keys() {
            model.acked.remove(n);
        }
        model.waiting = came;
        model.in_hand.clear();
        model.maybe_gone.clear();
        let (mut spool, again) = Spool::open(self.options(), self.now).unwrap();
        assert_eq!((spool.stats().waiting, spool.stats().lost), (recovery.waiting, recovery.fresh));
        assert_eq!(again.lost, recovery.lost);
        // A kill before this would have it counted again.
        spool.flush().unwrap();
        self.spool = Some(spool);
    }
}

fn live(seed: u64, damage: bool) {
    let mut life =
        Life { dice: Dice(seed), dir: TempDir::new(), spool: None, model: Model::default(), damaged: false, now: 0 };
    life.open(End::Closed);
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
                life.open(End::Closed);
            }
            98 => {
                life.spool = None;
                life.open(End::Killed);
            }
            _ if damage => {
                life.close();
                life.damage();
                life.open(End::Damaged);
            }
            _ => {}
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
    for seed in 1..=20 {
        live(seed, false);
    }
}

#[test]
fn random_lives_with_damage_lose_what_was_damaged_and_nothing_else() {
    for seed in 1001..=1020 {
        live(seed, true);
    }
}
