//! The ring through its public interface: which answer reaches which call, and what happens when none comes.
#![allow(clippy::unwrap_used, clippy::panic)]
use std::collections::VecDeque;
use std::io::Read;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use signal_ring::{Client, Outcome, Refusal, RingError, Spec, Taken, Worker, monotonic_ns};

const SPEC: Spec = Spec {
    slots: 4,
    request_bytes: 16,
    answer_bytes: 16,
    spin_ns_max: 0,
};

fn pair(spec: Spec) -> (Client, Worker) {
    let mut client = Client::create(spec).unwrap();
    let worker = Worker::attach(client.take_fd().unwrap()).unwrap();
    (client, worker)
}

fn in_ms(ms: u64) -> u64 {
    monotonic_ns() + ms * 1_000_000
}

fn far() -> u64 {
    in_ms(20_000)
}

/// Answers each request with its bytes reversed until the ring is closed; `work` may dawdle.
fn echo(mut worker: Worker, mut work: impl FnMut(u64)) {
    let mut count = 0;
    loop {
        let bytes = match worker.take(in_ms(1000)).unwrap() {
            Taken::Request { bytes, .. } => bytes.iter().rev().copied().collect::<Vec<_>>(),
            Taken::Idle => continue,
            Taken::Closed => return,
        };
        count += 1;
        work(count);
        worker.answer(7, &bytes).unwrap();
    }
}

/// Runs a worker on a thread of its own; the thread that attaches is the worker.
fn on_a_thread(
    client: &mut Client,
    body: impl FnOnce(Worker) + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let fd = client.take_fd().unwrap();
    std::thread::spawn(move || body(Worker::attach(fd).unwrap()))
}

#[test]
fn a_call_gets_its_answer() {
    let mut client = Client::create(SPEC).unwrap();
    let thread = on_a_thread(&mut client, |worker| echo(worker, |_| ()));
    for i in 0..10_000u64 {
        let expected: Vec<u8> = i.to_le_bytes().iter().rev().copied().collect();
        let got = client.call(&i.to_le_bytes(), far()).unwrap();
        assert_eq!(
            got,
            Outcome::Answer {
                code: 7,
                bytes: &expected
            }
        );
    }
    client.view().close();
    thread.join().unwrap();
}

#[test]
fn spinning_gives_the_same_answers() {
    let mut client = Client::create(Spec {
        spin_ns_max: 50_000,
        ..SPEC
    })
    .unwrap();
    let thread = on_a_thread(&mut client, |worker| echo(worker, |_| ()));
    for i in 0..10_000u64 {
        let expected: Vec<u8> = i.to_le_bytes().iter().rev().copied().collect();
        let got = client.call(&i.to_le_bytes(), far()).unwrap();
        assert_eq!(
            got,
            Outcome::Answer {
                code: 7,
                bytes: &expected
            }
        );
    }
    drop(client); // closes the ring
    thread.join().unwrap();
}

/// A worker that is now and then slower than the deadline: whoever is answered is answered with his own answer.
#[test]
fn a_late_answer_reaches_no_other_call() {
    let mut client = Client::create(SPEC).unwrap();
    let thread = on_a_thread(&mut client, |worker| {
        echo(worker, |count| {
            let until = Instant::now() + Duration::from_micros(count * 7919 % 400);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        })
    });
    let (mut answered, mut late) = (0, 0);
    let give_up = Instant::now() + Duration::from_secs(60);
    for i in 0u64.. {
        match client
            .call(&i.to_le_bytes(), monotonic_ns() + 200_000)
            .unwrap()
        {
            Outcome::Answer { bytes, .. } => {
                let back: Vec<u8> = bytes.iter().rev().copied().collect();
                assert_eq!(back, i.to_le_bytes());
                answered += 1;
            }
            Outcome::Deadline => late += 1,
            Outcome::Full => (),
            Outcome::Dead => panic!("the worker lives"),
        }
        if answered >= 500 && late >= 500 {
            break;
        }
        assert!(Instant::now() < give_up, "{answered} answered, {late} late");
    }
    drop(client);
    thread.join().unwrap();
}

#[test]
fn a_full_ring_refuses_at_once_and_recovers() {
    let (mut client, mut worker) = pair(SPEC);
    for i in 0..4u8 {
        client.submit(&[i], far()).unwrap();
    }
    let begin = Instant::now();
    assert_eq!(client.call(&[9], far()).unwrap(), Outcome::Full);
    assert!(begin.elapsed() < Duration::from_secs(1), "it waited");
    assert!(matches!(
        worker.take(0).unwrap(),
        Taken::Request { bytes: [0], .. }
    ));
    assert!(
        matches!(client.submit(&[9], far()), Err(Refusal::Full)),
        "taken is not finished"
    );
    worker.answer(0, &[]).unwrap();
    client.submit(&[9], far()).unwrap();
    assert_eq!(client.view().in_flight(), 4);
}

#[test]
fn a_passed_deadline_is_told_in_time_and_its_request_skipped() {
    let (mut client, mut worker) = pair(SPEC);
    let mut overshoots: Vec<u64> = (0..50)
        .map(|_| {
            let deadline = in_ms(1);
            assert!(matches!(
                client.call(&[1], deadline).unwrap(),
                Outcome::Deadline | Outcome::Full
            ));
            monotonic_ns().saturating_sub(deadline)
        })
        .collect();
    overshoots.sort_unstable();
    assert!(
        overshoots[25] < 100_000,
        "half of the calls came {} ns late or more",
        overshoots[25]
    );
    assert_eq!(
        worker.take(0).unwrap(),
        Taken::Idle,
        "expired requests are finished unseen"
    );
    assert_eq!(client.view().in_flight(), 0);
    assert_eq!(
        client.call(&[1], 0).unwrap(),
        Outcome::Deadline,
        "not even submitted"
    );
    assert_eq!(client.view().in_flight(), 0);
}

#[test]
fn a_worker_that_ends_amid_a_call_is_noticed_long_before_the_deadline() {
    let mut client = Client::create(SPEC).unwrap();
    let thread = on_a_thread(&mut client, |mut worker| {
        assert!(matches!(worker.take(far()).unwrap(), Taken::Request { .. }));
        std::mem::forget(worker); // as a killed process would: nothing is given back
    });
    let begin = Instant::now();
    assert_eq!(client.call(&[1], far()).unwrap(), Outcome::Dead);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(!client.view().is_alive());
    assert!(!client.view().is_alive(), "it stays dead");
    thread.join().unwrap();
}

#[test]
fn before_a_worker_attaches_it_counts_as_alive() {
    let mut client = Client::create(SPEC).unwrap();
    assert!(client.view().is_alive());
    let worker = Worker::attach(client.take_fd().unwrap()).unwrap();
    assert!(client.view().is_alive());
    drop(worker);
    assert!(!client.view().is_alive());
}

#[test]
fn misuse_is_an_error() {
    let (mut client, mut worker) = pair(SPEC);
    assert!(matches!(
        client.call(&[0; 17], far()),
        Err(RingError::Usage(_))
    ));
    assert!(
        matches!(client.take_fd(), Err(RingError::Usage(_))),
        "one ring, one worker"
    );
    assert!(matches!(worker.answer(0, &[]), Err(RingError::Usage(_))));
    client.submit(&[1], far()).unwrap();
    worker.take(0).unwrap();
    assert!(matches!(worker.take(0), Err(RingError::Usage(_))));
    assert!(matches!(
        worker.answer(0, &[0; 17]),
        Err(RingError::Usage(_))
    ));
    worker.answer(0, &[0; 16]).unwrap();
}

#[test]
fn a_spawned_worker_inherits_its_own_ring_only() {
    let (_other_client, _other_worker) = pair(SPEC);
    let mut client = Client::create(SPEC).unwrap();
    let argv = [
        "/bin/sh",
        "-c",
        "for f in /proc/self/fd/*; do readlink $f; done",
    ];
    let child = client.spawn(&argv.map(Into::into)).unwrap();
    let mut said = String::new();
    std::fs::File::from(child.stdout)
        .read_to_string(&mut said)
        .unwrap();
    let rings = said
        .lines()
        .filter(|line| line.contains("memfd:signal-stream-ring"));
    assert_eq!(rings.count(), 1, "{said}");
    // SAFETY: waits for the child made above; the status is not wanted.
    unsafe { libc::waitpid(child.pid as i32, std::ptr::null_mut(), 0) };
    assert!(matches!(client.spawn(&[]), Err(RingError::Usage(_))));
}

#[derive(Debug, Clone)]
enum Step {
    Submit { payload: u64, expired: bool },
    Take,
    Answer,
    Poll { back: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (any::<u64>(), proptest::bool::weighted(0.2)).prop_map(|(payload, expired)| Step::Submit { payload, expired }),
        2 => Just(Step::Take),
        2 => Just(Step::Answer),
        3 => (0usize..12).prop_map(|back| Step::Poll { back }),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// Any interleaving of the two sides against a plain queue: answers go to the request they were made for, late ones
    /// and given-up ones included, the ring is full exactly when the queue is, and order is kept.
    #[test]
    fn any_interleaving_is_a_queue(steps in steps(), slots in 1u32..=64) {
        let (mut client, mut worker) = pair(Spec { slots, ..SPEC });
        let mut queue: VecDeque<(u64, u64, bool)> = VecDeque::new(); // id, payload, expired
        let mut taken: Option<(u64, u64)> = None;
        let mut asked: Vec<(u64, Option<Option<u64>>)> = vec![]; // id, and once finished: its answer, or None if expired
        for step in steps {
            match step {
                Step::Submit { payload, expired } => {
                    let deadline = if expired { 1 } else { far() };
                    let waiting = queue.len() + usize::from(taken.is_some());
                    match client.submit(&payload.to_le_bytes(), deadline) {
                        Ok(id) => {
                            prop_assert!(waiting < slots as usize);
                            prop_assert_eq!(id as usize, asked.len() + 1);
                            queue.push_back((id, payload, expired));
                            asked.push((id, None));
                        }
                        Err(Refusal::Full) => prop_assert_eq!(waiting, slots as usize),
                        Err(other) => prop_assert!(false, "{other:?}"),
                    }
                }
                Step::Take if taken.is_none() => {
                    while let Some(&(id, _, true)) = queue.front() {
                        asked[id as usize - 1].1 = Some(None);
                        queue.pop_front();
                    }
                    match (worker.take(0).unwrap(), queue.pop_front()) {
                        (Taken::Request { bytes, .. }, Some((id, payload, _))) => {
                            prop_assert_eq!(bytes, payload.to_le_bytes());
                            taken = Some((id, payload));
                        }
                        (Taken::Idle, None) => (),
                        (got, expected) => prop_assert!(false, "{got:?} for {expected:?}"),
                    }
                }
                Step::Answer => {
                    if let Some((id, payload)) = taken.take() {
                        worker.answer(3, &(!payload).to_le_bytes()).unwrap();
                        asked[id as usize - 1].1 = Some(Some(!payload));
                    }
                }
                Step::Poll { back } => {
                    if let Some(&(id, finished)) = asked.iter().rev().nth(back) {
                        let overwritten = asked[id as usize..].iter().any(|&(later, f)| f.is_some() && (later - id) % u64::from(slots) == 0);
                        match (client.poll(id), finished) {
                            (None, None) => (),
                            (None, Some(_)) => prop_assert!(overwritten),
                            (Some(Outcome::Deadline), Some(None)) => (),
                            (Some(Outcome::Answer { code: 3, bytes }), Some(Some(answer))) => prop_assert_eq!(bytes, answer.to_le_bytes()),
                            (got, expected) => prop_assert!(false, "{got:?} for {expected:?}"),
                        }
                    }
                }
                Step::Take => (),
            }
            let in_flight = queue.len() + usize::from(taken.is_some());
            prop_assert_eq!(client.view().in_flight() as usize, in_flight);
        }
    }
}

/// Runs `body` in a fork of this process, and gives its answer.
fn in_a_fork(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child touches nothing that another thread of this process may hold, and ends without unwinding.
    unsafe {
        let child = libc::fork();
        assert!(child >= 0);
        if child == 0 {
            libc::_exit(i32::from(!body()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn a_fork_cannot_call_and_cannot_close() {
    let mut client = Client::create(SPEC).unwrap();
    let thread = on_a_thread(&mut client, |worker| echo(worker, |_| ()));
    assert!(matches!(
        client.call(b"ab", far()),
        Ok(Outcome::Answer { .. })
    ));
    let refused = in_a_fork(|| {
        let call = matches!(client.call(b"cd", in_ms(50)), Err(RingError::Usage(_)));
        let submit = matches!(client.submit(b"ef", far()), Err(Refusal::Forked(_)));
        client.view().close();
        call && submit
    });
    assert!(refused);
    let answer = client.call(b"gh", far()).unwrap();
    assert!(matches!(answer, Outcome::Answer { bytes: b"hg", .. }));
    drop(client);
    thread.join().unwrap();
}
