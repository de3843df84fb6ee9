//! Several requests to a destination at a time, while it fails.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metricsd::formats::Compression;
use metricsd::lane::SpoolSettings;
use metricsd::telemetry::{DropReason, Outcome};

use crate::lanes::{Running, http, json_to};
use crate::support::peer::{Peer, Received, Reply};
use crate::support::wait_for;

fn start(peer: &Peer, workers: usize) -> Running {
    let kind = json_to(http(peer.url("/in")), Compression::None);
    Running::start_at(kind, SpoolSettings::memory(1 << 20), workers, None)
}

fn time(request: &Received) -> i64 {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    body["timestamp_ms"].as_i64().unwrap()
}

/// Waits within an answer, which nobody may do for ever.
fn wait_in_answer(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// That each tick was delivered, and none was lost.
fn check_all_arrived(peer: &Peer, lane: Running, ticks: i64) {
    lane.wait_sent(2 * ticks as u64);
    let status = lane.stop();
    assert_eq!(status.samples_sent(), 2 * ticks as u64);
    assert!(DropReason::ALL.iter().all(|reason| status.samples_dropped(*reason) == 0));
    let times: BTreeSet<i64> = peer.received().iter().map(time).collect();
    assert_eq!(times, (1..=ticks).map(|tick| tick * 1000).collect());
}

#[test]
fn what_one_sender_is_told_while_others_have_requests_under_way_counts_for_all() {
    for (workers, status) in [(2, 429), (4, 503)] {
        let (under_way, told) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let asked = Arc::new(Mutex::new(None));
        let (count, go_on, at) = (Arc::clone(&under_way), Arc::clone(&told), Arc::clone(&asked));
        let peer = Peer::start(move |n, _| {
            count.fetch_add(1, Ordering::SeqCst);
            if n == 0 {
                wait_in_answer(|| count.load(Ordering::SeqCst) == workers);
                *at.lock().unwrap() = Some(Instant::now());
                return Reply::Answer(status, vec![("Retry-After", "1".to_owned())], "");
            }
            if n < workers {
                wait_in_answer(|| go_on.load(Ordering::SeqCst));
            }
            Reply::status(200)
        });
        let mut lane = start(&peer, workers);
        for tick in 1..=workers as i64 {
            lane.tick(tick * 1000);
            wait_for("the request", || (peer.received().len() >= tick as usize).then_some(()));
        }
        wait_for("the answer to one", || (lane.status.requests(Outcome::Retried) == 1).then_some(()));
        let more = workers as i64 + 5;
        (workers as i64 + 1..=more).for_each(|tick| lane.tick(tick * 1000));
        // The others are answered well now, and have more to send.
        told.store(true, Ordering::SeqCst);
        lane.wait_sent(2 * more as u64);
        let pause = peer.received()[workers].at - asked.lock().unwrap().unwrap();
        assert!(pause >= Duration::from_secs(1), "{workers}: after {pause:?}");
        check_all_arrived(&peer, lane, more);
    }
}

#[test]
fn what_one_sender_is_told_while_others_are_idle_counts_for_all() {
    for workers in [2, 4] {
        let peer = Peer::start(move |n, _| match n {
            0 => Reply::Answer(429, vec![("Retry-After", "1".to_owned())], ""),
            _ => Reply::status(200),
        });
        let mut lane = start(&peer, workers);
        lane.tick(1000);
        wait_for("the answer", || (lane.status.requests(Outcome::Retried) == 1).then_some(()));
        (2..=8).for_each(|tick| lane.tick(tick * 1000));
        lane.wait_sent(16);
        let received = peer.received();
        let pause = received[1].at - received[0].at;
        assert!(pause >= Duration::from_secs(1), "{workers}: after {pause:?}");
        check_all_arrived(&peer, lane, 8);
    }
}

#[test]
fn after_each_failure_each_tick_is_delivered_with_no_other_to_wake_a_sender_up() {
    for workers in [2, 4, 8] {
        // The first of every ten ticks fails once.
        let failed = Mutex::new(BTreeSet::new());
        let peer = Peer::start(move |_, request| {
            let time = time(request);
            Reply::status(if time % 10_000 == 1000 && failed.lock().unwrap().insert(time) { 503 } else { 200 })
        });
        let mut lane = start(&peer, workers);
        for tick in 1..=100 {
            lane.tick(tick * 1000);
            lane.wait_sent(2 * tick as u64);
        }
        assert_eq!(lane.status.requests(Outcome::Retried), 10);
        check_all_arrived(&peer, lane, 100);
    }
}

#[test]
fn a_destination_that_refuses_is_asked_by_one_sender_at_a_time() {
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let most_seen = Arc::clone(&most);
    let peer = Peer::start(move |n, _| {
        let count = under_way.fetch_add(1, Ordering::SeqCst) + 1;
        // Long enough for others to come, if they do.
        std::thread::sleep(Duration::from_millis(20));
        if n < 6 {
            most.fetch_max(count, Ordering::SeqCst);
        }
        under_way.fetch_sub(1, Ordering::SeqCst);
        Reply::status(if n < 6 { 401 } else { 200 })
    });
    let mut lane = start(&peer, 4);
    lane.tick(1000);
    wait_for("the refusal", || (lane.status.requests(Outcome::Held) == 1).then_some(()));
    // No more than a mailbox holds.
    (2..=14).for_each(|tick| lane.tick(tick * 1000));
    lane.wait_sent(28);
    assert_eq!((most_seen.load(Ordering::SeqCst), lane.status.requests(Outcome::Held)), (1, 6));
    check_all_arrived(&peer, lane, 14);
}

#[test]
fn several_senders_drain_a_backlog_at_the_rate_of_one() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let peer = Peer::start(move |_, _| Reply::status(if is_up.load(Ordering::SeqCst) { 200 } else { 503 }));
    let kind = json_to(http(peer.url("/in")), Compression::None);
    let mut lane = Running::start_at(kind, SpoolSettings::memory(1 << 20), 4, Some(20.0));
    for tick in 1..=9 {
        lane.tick(tick * 1000);
        wait_for("the tick to be queued", || (lane.status.queue_frames() == tick as u64).then_some(()));
    }
    up.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    lane.wait_sent(18);
    // Between eight that waited there are seven times a twentieth of a second.
    assert!(begun.elapsed() >= Duration::from_millis(350), "{:?}", begun.elapsed());
    check_all_arrived(&peer, lane, 9);
}
