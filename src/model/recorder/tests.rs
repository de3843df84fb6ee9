//! What a recorder makes of rounds.

use super::*;
use crate::model::chunk::Was;
use crate::model::testing::random;
use crate::model::{Family, Label, Scheme, face};

static BYTES: Reading = reading(&Family::counter("bytes", "", ""));
static DROPS: Reading = reading(&Family::counter("drops", "", ""));
static ERRORS: Reading = reading(&Family::counter("errors", "", ""));

const fn reading(family: &'static Family<'static>) -> Reading {
    const LABELS: &[Label] = &[Label::key("device", 0)];
    Reading { native: face(family, LABELS), node: None, otel: None }
}

#[test]
fn times_of_their_own_stay_with_their_numbers() {
    let reading = Arc::new(Learnt::everywhere(Family::gauge("a", "", ""), &[]));
    let items: Vec<Item> = ["a", "b", "c", "d"].iter().map(|key| Item::new(&[key])).collect();
    let mut out = Recorder::new("app", 100);
    let mut round = |samples: &[(usize, f64, i64)]| {
        for (item, value, time) in samples {
            out.item(&items[*item]).push_learnt_at(&reading, *value, *time);
        }
        let frame = out.finish(9);
        (frame.values.to_vec(), frame.times.map(|times| times.to_vec()))
    };
    const NONE: i64 = Frame::NO_TIME;
    assert_eq!(round(&[(0, 1.0, NONE), (1, 2.0, NONE)]), (vec![1.0, 2.0], None));
    // The second `a` is refused, with its time.
    let samples = [(0, 1.0, NONE), (0, 9.0, 99), (1, 2.0, 7), (2, 3.0, NONE), (3, 4.0, 8)];
    assert_eq!(round(&samples), (vec![1.0, 2.0, 3.0, 4.0], Some(vec![NONE, 7, NONE, 8])));
    assert_eq!(round(&samples), (vec![1.0, 2.0, 3.0, 4.0], Some(vec![NONE, 7, NONE, 8])));
    assert_eq!(round(&[(2, 3.0, 5), (1, 2.0, NONE)]), (vec![3.0, 2.0], Some(vec![5, NONE])));
    assert_eq!(round(&[(1, 2.0, NONE)]), (vec![2.0], None));
}

/// What a frame says: each item with its readings' names and numbers.
fn said(frame: &Frame) -> Vec<(String, String, f64)> {
    let mut said = Vec::new();
    for (chunk, values) in frame.parts() {
        for ((item, reading), value) in chunk.each().zip(values) {
            let name = reading.face(Scheme::Native).unwrap().family.name.to_owned();
            said.push((item.key.value(0).to_owned(), name, *value));
        }
    }
    assert_eq!(said.len(), frame.values.len());
    said
}

fn items(names: &[&str]) -> Vec<Item> {
    names.iter().map(|name| Item::new(&[name])).collect()
}

fn round(recorder: &mut Recorder, items: &[Item], time_ms: i64) -> Frame {
    for (at, item) in items.iter().enumerate() {
        let mut out = recorder.item(item);
        out.push(&BYTES, at as f64);
        out.push(&DROPS, 0.5);
    }
    recorder.finish(time_ms)
}

fn ids(frame: &Frame) -> Vec<u64> {
    frame.chunks.iter().map(|chunk| chunk.id()).collect()
}

fn names(count: usize) -> Vec<Item> {
    (0..count).map(|at| Item::new(&[&format!("eth{at}")])).collect()
}

#[test]
fn the_same_round_again_has_the_same_chunks_and_other_numbers() {
    let mut recorder = Recorder::new("network", 1000);
    let items = names(100);
    let first = round(&mut recorder, &items, 1);
    let second = round(&mut recorder, &items, 2);
    assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
    assert_eq!(first.chunks.len(), 4, "200 series in chunks of 64");
    // Also where the collector has made its keys anew.
    let third = round(&mut recorder, &names(100), 3);
    assert!(Arc::ptr_eq(&first.chunks, &third.chunks));
    assert_eq!(said(&third)[3], ("eth1".to_owned(), "drops".to_owned(), 0.5));
}

#[test]
fn where_other_views_are_asked_for_all_chunks_are_made_anew_once() {
    let slots = ViewSlots::default();
    slots.change(1);
    let mut recorder = Recorder::new("network", 1000).with_slots(&slots);
    let mut all = names(100);
    let room = |frame: &Frame| frame.chunks.iter().map(|chunk| chunk.slots().len()).collect::<Vec<_>>();
    let first = round(&mut recorder, &all, 1000);
    assert_eq!(room(&first), [1; 4]);
    // Also where as many are asked for as before, since their room is taken.
    slots.change(1);
    all.push(Item::new(&["new"]));
    let second = round(&mut recorder, &all, 2000);
    assert_eq!(room(&second), [1; 4]);
    assert!(ids(&second).iter().all(|id| !ids(&first).contains(id)));
    assert_eq!(second.chunks[3].items().get(3).since, Since::Start);
    assert_eq!(second.chunks[3].items().get(4).since, Since::ms(1000));
    assert_eq!(said(&second)[..200], said(&round(&mut recorder, &all, 3000))[..200]);
    slots.change(2);
    let third = round(&mut recorder, &all, 4000);
    assert_eq!(room(&third), [2; 4]);
    assert!(Arc::ptr_eq(&third.chunks, &round(&mut recorder, &all, 5000).chunks));
}

#[test]
fn an_item_that_came_or_went_costs_its_chunk_alone() {
    let mut recorder = Recorder::new("network", 10_000);
    let mut items = names(320);
    let first = ids(&round(&mut recorder, &items, 1));
    assert_eq!(first.len(), 10);
    items[100] = Item::new(&["new"]);
    let renamed = ids(&round(&mut recorder, &items, 2));
    let changed: Vec<usize> = (0..10).filter(|at| first[*at] != renamed[*at]).collect();
    assert_eq!((renamed.len(), changed), (10, vec![3]));
    items.remove(64);
    let removed = ids(&round(&mut recorder, &items, 3));
    let changed: Vec<usize> = (0..10).filter(|at| renamed[*at] != removed[*at]).collect();
    assert_eq!((removed.len(), changed), (10, vec![2]));
    items.insert(32, Item::new(&["between"]));
    let inserted = round(&mut recorder, &items, 4);
    let kept = ids(&inserted).iter().filter(|id| removed.contains(id)).count();
    assert!(kept >= 9, "{kept}");
    assert_eq!(said(&inserted)[64].0, "between");
}

#[test]
fn a_source_of_which_much_comes_and_goes_here_and_there_gets_smaller_chunks() {
    let mut recorder = Recorder::new("app", 100_000);
    let mut items = names(3200);
    let mut next = 0;
    let mut renamed = |recorder: &mut Recorder, step: usize| {
        for at in (next % step..items.len()).step_by(step) {
            items[at] = Item::new(&[&format!("new{next}-{at}")]);
        }
        next += 1;
        let frame = round(recorder, &items, next as i64);
        let largest = frame.chunks.iter().map(|chunk| chunk.len()).max();
        (largest, frame.chunks.len())
    };
    assert_eq!(renamed(&mut recorder, usize::MAX), (Some(64), 100));
    // A few, now and then: one of a hundred chunks.
    for _ in 0..20 {
        assert_eq!(renamed(&mut recorder, 3200), (Some(64), 100));
    }
    // All of it at once, and then nothing.
    assert_eq!(renamed(&mut recorder, 1), (Some(64), 100));
    for _ in 0..20 {
        assert_eq!(renamed(&mut recorder, usize::MAX), (Some(64), 100));
    }
    // One in each chunk, each time.
    for _ in 0..20 {
        renamed(&mut recorder, 40);
    }
    let (largest, count) = renamed(&mut recorder, 40);
    assert!(largest <= Some(16) && (400..600).contains(&count), "{largest:?} {count}");
}

#[test]
fn many_items_that_came_or_went_side_by_side_cost_their_chunks_alone() {
    let mut recorder = Recorder::new("app", 100_000);
    let mut items = names(6400);
    let first = ids(&round(&mut recorder, &items, 1));
    assert_eq!(first.len(), 200);
    let kept = |before: &[u64], now: &[u64]| now.iter().filter(|id| before.contains(id)).count();
    // 40 chunks, far more than are looked at one by one.
    (1280..2560).for_each(|at| items[at] = Item::new(&[&format!("new{at}")]));
    let replaced = ids(&round(&mut recorder, &items, 2));
    assert_eq!(kept(&first, &replaced), 160);
    items.drain(3000..4600);
    let removed = ids(&round(&mut recorder, &items, 3));
    assert!(kept(&replaced, &removed) >= 148, "{}", kept(&replaced, &removed));
    let more: Vec<Item> = (0..2000).map(|at| Item::new(&[&format!("more{at}")])).collect();
    items.splice(100..100, more);
    let inserted = ids(&round(&mut recorder, &items, 4));
    assert!(kept(&removed, &inserted) >= removed.len() - 1, "{}", kept(&removed, &inserted));
}

#[test]
fn very_many_items_that_come_twice_cost_no_more_than_they_are() {
    let mut recorder = Recorder::new("app", 100_000);
    let once = names(20_000);
    let all = [&once[..], &once[..]].concat();
    let first = round(&mut recorder, &all, 1);
    for time_ms in 2..5 {
        assert!(Arc::ptr_eq(&first.chunks, &round(&mut recorder, &all, time_ms).chunks));
    }
    assert_eq!(recorder.take_refused().duplicate, 4 * 40_000);
}

#[test]
fn items_count_since_they_came() {
    let mut recorder = Recorder::new("disk", 100);
    let since = |frame: &Frame| -> Vec<Since> {
        frame.chunks.iter().flat_map(|chunk| chunk.items().iter().map(|item| item.since)).collect()
    };
    let mut items = items(&["sda", "sdb"]);
    assert_eq!(since(&round(&mut recorder, &items, 1000)), [Since::Start, Since::Start]);
    items.insert(0, Item::new(&["sdc"]));
    assert_eq!(since(&round(&mut recorder, &items, 2000)), [Since::ms(1000), Since::Start, Since::Start]);
    items.swap(0, 2);
    assert_eq!(since(&round(&mut recorder, &items, 3000)), [Since::Start, Since::Start, Since::ms(1000)]);
    // Gone for a round: it counts anew.
    let sda = items.remove(1);
    round(&mut recorder, &items, 4000);
    items.push(sda);
    assert_eq!(since(&round(&mut recorder, &items, 5000)), [Since::Start, Since::ms(1000), Since::ms(4000)]);
}

#[test]
fn a_chunk_names_the_ones_before_it_and_each_series_place_there() {
    let mut recorder = Recorder::new("network", 1000);
    let mut all = items(&["a", "b"]);
    let first = ids(&round(&mut recorder, &all, 1));
    all.insert(1, Item::new(&["x"]));
    let frame = round(&mut recorder, &all, 2);
    let before = frame.chunks[0].before();
    assert_eq!(*before.chunks, [first[0]]);
    let places: Vec<_> = (0..6).map(|at| before.of(at)).collect();
    assert_eq!(places, [Some((0, 0)), Some((0, 1)), None, None, Some((0, 2)), Some((0, 3))]);
    assert_eq!(Was::at(255, 1), Was::NEW);
    assert_eq!(Was::at(1, 1 << 24), Was::NEW);
}

#[test]
fn an_item_that_comes_twice_is_refused_and_then_costs_nothing() {
    let mut recorder = Recorder::new("network", 1000);
    for twice in [["a", "b", "a", "c"], ["a", "a", "b", "c"], ["a", "b", "c", "c"]] {
        let all = items(&twice);
        let first = round(&mut recorder, &all, 1);
        let given: Vec<String> = said(&first).into_iter().step_by(2).map(|(item, ..)| item).collect();
        assert_eq!(given, ["a", "b", "c"]);
        assert_eq!(recorder.take_refused(), Refused { max_series: 0, duplicate: 2 });
        for time_ms in 2..4 {
            let next = round(&mut recorder, &all, time_ms);
            assert!(Arc::ptr_eq(&first.chunks, &next.chunks));
            assert_eq!(recorder.take_refused(), Refused { max_series: 0, duplicate: 2 });
        }
    }
}

#[test]
fn the_cap_cuts_the_last_items_and_none_of_them_in_two() {
    let mut recorder = Recorder::new("network", 7);
    let first = round(&mut recorder, &names(10), 1);
    assert_eq!(said(&first).len(), 6);
    assert_eq!(recorder.take_refused(), Refused { max_series: 14, duplicate: 0 });
    let second = round(&mut recorder, &names(10), 2);
    assert!(Arc::ptr_eq(&first.chunks, &second.chunks));
    assert_eq!(recorder.take_refused(), Refused { max_series: 14, duplicate: 0 });
    // One more in front: the last one makes room for it.
    let mut all = names(3);
    all.insert(0, Item::new(&["new"]));
    let third = said(&round(&mut recorder, &all, 3));
    assert_eq!((third.len(), &*third[0].0, &*third[4].0), (6, "new", "eth1"));
    assert_eq!(recorder.take_refused(), Refused { max_series: 2, duplicate: 0 });
}

#[test]
fn an_item_without_a_number_is_none_and_costs_nothing() {
    let mut recorder = Recorder::new("network", 100);
    let [a, b, c] = ["a", "b", "c"].map(|name| Item::new(&[name]));
    let mut give = |time_ms| {
        recorder.item(&a).push(&BYTES, 1.0);
        drop(recorder.item(&b));
        recorder.item(&c).push(&BYTES, 3.0);
        recorder.finish(time_ms)
    };
    let first = give(1);
    assert_eq!(said(&first).len(), 2);
    assert!(Arc::ptr_eq(&first.chunks, &give(2).chunks));
}

#[test]
fn a_failed_round_changes_nothing() {
    let mut recorder = Recorder::new("network", 100);
    let all = names(3);
    let first = round(&mut recorder, &all, 1);
    recorder.item(&all[0]).push(&ERRORS, 1.0);
    recorder.item(&all[2]).push(&BYTES, 1.0);
    recorder.discard();
    assert!(Arc::ptr_eq(&first.chunks, &round(&mut recorder, &all, 2).chunks));
}

#[test]
fn whatever_comes_in_whatever_order_is_what_the_frame_says() {
    let mut random = random();
    for life in 0..60 {
        let max = if life % 3 == 0 { 150 } else { 10_000 };
        let mut recorder = Recorder::new("x", max);
        let mut items = names(random(120));
        let (mut named, mut twice_before) = (0, HashSet::new());
        for time_ms in 1..60 {
            for _ in 0..random(4) {
                let at = random(items.len() + 1);
                match random(6) {
                    0 => items.insert(at, {
                        named += 1;
                        Item::new(&[&format!("n{named}")])
                    }),
                    1 if at < items.len() => drop(items.remove(at)),
                    2 if at < items.len() => items.swap(at, 0),
                    3 if at < items.len() => items.insert(0, items[at].clone()),
                    4 if random(4) == 0 => drop(items.drain(at..)),
                    5 if random(8) == 0 => items.reverse(),
                    _ => {}
                }
            }
            // Each item with what it gave, as often as it came.
            let mut given: Vec<Vec<(String, String, f64)>> = Vec::new();
            for item in &items {
                let mut numbers = Vec::new();
                let mut out = recorder.item(item);
                for (which, reading) in [&BYTES, &DROPS, &ERRORS].into_iter().enumerate() {
                    if random(12) > 0 {
                        let value = (time_ms * 10 + which as i64) as f64;
                        out.push(reading, value);
                        let name = reading.face(Scheme::Native).unwrap().family.name.to_owned();
                        numbers.push((item.key().value(0).to_owned(), name, value));
                    }
                }
                if !numbers.is_empty() {
                    given.push(numbers);
                }
            }
            if random(10) == 0 {
                recorder.discard();
                recorder.take_refused();
                continue;
            }
            let frame = recorder.finish(time_ms);
            let mut rest = &said(&frame)[..];
            let (mut taken, mut count) = (HashSet::new(), 0);
            for numbers in &given {
                if rest.starts_with(numbers) && taken.insert(&numbers[0].0) {
                    count += numbers.len();
                    rest = &rest[numbers.len()..];
                }
            }
            assert_eq!(rest, []);
            assert!(count <= max);
            let refused = recorder.take_refused();
            let offered: usize = given.iter().map(Vec::len).sum();
            assert_eq!(offered, count + (refused.duplicate + refused.max_series) as usize);
            let (mut all, mut twice) = (HashSet::new(), HashSet::new());
            for numbers in &given {
                if !all.insert(&numbers[0].0) {
                    twice.insert(numbers[0].0.clone());
                }
            }
            // One that was there twice may be missed for a round when the first one goes.
            assert!(refused.max_series > 0 || all.difference(&taken).all(|item| twice_before.contains(*item)));
            twice_before = twice;
            let small = frame.chunks.windows(2).filter(|two| two[0].len() + two[1].len() <= Chunk::SMALL / 2).count();
            assert!(small <= 1 + frame.chunks.len() / 2, "{small} small chunks of {}", frame.chunks.len());
        }
    }
}

#[test]
fn exemplars_follow_their_numbers_and_go_with_what_is_refused() {
    let exemplar = |value| Arc::new(Exemplar { labels: Arc::from([]), value, time_ms: None });
    let items: Vec<Item> = (0..200).map(|at| Item::new(&[&at.to_string()])).collect();
    let mut out = Recorder::new("x", 150);
    for gone in [0, 0, 3] {
        for (item, at) in items.iter().zip(0..).skip(gone) {
            let mut out = out.item(item);
            out.push(&BYTES, f64::from(at));
            if at % 10 == 0 {
                out.exemplar(&exemplar(f64::from(at)));
            }
        }
        let frame = out.finish(1);
        assert_eq!(frame.values.len(), 150);
        let found = frame.exemplars(0..150);
        // Each stands beside the number that it was given with.
        assert!(found.iter().all(|(place, one)| frame.values[*place as usize] == one.value), "{found:?}");
        assert_eq!(found.len(), 15);
        let (last, _) = found[14];
        assert_eq!(frame.exemplars(last as usize..150).len(), 1);
        assert!(frame.exemplars(last as usize + 1..150).is_empty());
    }
    for (item, at) in items.iter().zip(0..) {
        out.item(item).push(&BYTES, f64::from(at));
    }
    assert_eq!(out.finish(2).exemplars, None);
}
