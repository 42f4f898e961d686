use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Diffs of one instrument, of one or two rows each, with these times.
fn stream(name: &str, times: &[i64]) -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    for (at, &ts) in times.iter().enumerate() {
        (0..1 + at % 2).for_each(|row| builder.push_row(1, row as i64, at as i64));
        builder.close(Header {
            kind: Kind::BookDiff,
            instrument: InstrumentId(0),
            sequence: at as u64 + 1,
            ..Header::mark(ts)
        });
    }
    let table = Instruments::of([Instrument::new(name)]).unwrap();
    builder.finish(&Arc::new(table))
}

/// SplitMix64: enough for cuts.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Gives a stream in random cuts, with promises between that are true.
struct Cut {
    events: EventBatch,
    messages: usize,
    random: Random,
}

impl Feed for Cut {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        self.messages = position.map_or(Ok(0), |at| at.number("messages"))? as usize;
        Ok(())
    }

    fn poll(&mut self, _wait: Duration) -> Result<Poll, FeedError> {
        let rest = self.events.slice_messages(self.messages..usize::MAX);
        let Some(&next) = rest.ts_recv().iter().min() else {
            return Ok(Poll::End);
        };
        if self.random.below(3) == 0 {
            let watermark = Some(next - 1 - self.random.below(3) as i64);
            return Ok(Poll::Idle { watermark });
        }
        let batch = rest.slice_messages(0..1 + self.random.below(9) as usize);
        self.messages += batch.message_count();
        Ok(Poll::Batch(batch))
    }

    fn position(&self) -> Position {
        Position::new(format!("{{\"messages\":{}}}", self.messages))
    }

    fn records(&self) -> Vec<SourceRecord> {
        Vec::new()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        Vec::new()
    }
}

/// Eight streams of one to three hundred messages each, with many equal times, some going backwards.
fn streams() -> Vec<EventBatch> {
    let mut random = Random(7);
    (0..8)
        .map(|at| {
            let mut ts = 0;
            let times: Vec<i64> = (0..100 + 25 * at)
                .map(|_| {
                    ts += random.below(5) as i64 - i64::from(random.below(20) == 0) * 3;
                    ts
                })
                .collect();
            stream(&format!("I{at}"), &times)
        })
        .collect()
}

fn cuts(seed: u64) -> Vec<Box<dyn Feed>> {
    let cut = |(at, events)| -> Box<dyn Feed> {
        Box::new(Cut {
            events,
            messages: 0,
            random: Random(seed * 100 + at as u64),
        })
    };
    streams().into_iter().enumerate().map(cut).collect()
}

type Line = (i64, String, u64, usize);

fn lines(batch: &EventBatch) -> Vec<Line> {
    let line = |message: signal_event::Message<'_>| {
        let id = message.instrument().map(|i| i.id.clone());
        (
            message.ts_recv,
            id.unwrap_or_default(),
            message.sequence,
            message.rows.len(),
        )
    };
    batch.messages().map(line).collect()
}

/// Everything to the end, and each position with the number of messages before it.
fn read(fan_in: &mut FanIn) -> (Vec<Line>, Vec<(Position, usize)>) {
    let mut read = Vec::new();
    let mut places = vec![(fan_in.position(), 0)];
    loop {
        match fan_in.poll(PATIENCE).unwrap() {
            Poll::Batch(batch) => {
                assert_eq!(batch.check_invariants(), Ok(()));
                read.extend(lines(&batch));
                places.push((fan_in.position(), read.len()));
            }
            Poll::Idle { .. } => panic!("none is idle for so long"),
            Poll::End => return (read, places),
        }
    }
}

fn opened(feeds: Vec<Box<dyn Feed>>, patience: Duration, at: Option<&Position>) -> FanIn {
    let mut fan_in = FanIn::new(feeds, patience);
    fan_in.open(at).unwrap();
    fan_in
}

#[test]
fn a_hundred_ways_to_cut_give_one_stream() {
    let mut merge = Merge::new(8);
    let mut whole: Vec<_> = streams().into_iter().map(Some).collect();
    while let MergeStep::Wants(at) = merge.advance(usize::MAX) {
        match whole[at].take() {
            Some(batch) => merge.push(at, batch).unwrap(),
            None => merge.set_aside(at),
        }
    }
    let expected = lines(&merge.take());
    assert_eq!(
        expected.len(),
        streams()
            .iter()
            .map(EventBatch::message_count)
            .sum::<usize>()
    );
    for seed in 0..100 {
        let (found, places) = read(&mut opened(cuts(seed), PATIENCE, None));
        assert!(found == expected, "seed {seed}");
        // Behind each place follows the rest, whatever the cuts.
        let (position, given) = &places[seed as usize % places.len()];
        let (rest, _) = read(&mut opened(cuts(seed + 1000), PATIENCE, Some(position)));
        assert!(rest == expected[*given..], "seed {seed}, behind {position}");
    }
}

/// A feed that says what it is told to.
struct Told {
    polls: Receiver<Result<Poll, FeedError>>,
    notices: Sender<Notice>,
    dropped: Arc<AtomicBool>,
}

impl Feed for Told {
    fn open(&mut self, _position: Option<&Position>) -> Result<(), FeedError> {
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let told = self.polls.recv_timeout(wait);
        told.unwrap_or(Ok(Poll::Idle { watermark: None }))
    }

    fn position(&self) -> Position {
        Position::default()
    }

    fn records(&self) -> Vec<SourceRecord> {
        Vec::new()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        Vec::new()
    }

    fn notice(&mut self, notice: &Notice) {
        self.notices.send(notice.clone()).unwrap();
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Release);
    }
}

struct Teller {
    polls: Sender<Result<Poll, FeedError>>,
    notices: Receiver<Notice>,
    dropped: Arc<AtomicBool>,
}

impl Teller {
    fn new() -> (Teller, Box<dyn Feed>) {
        let ((to, polls), (notices, from)) = (channel(), channel());
        let dropped = Arc::<AtomicBool>::default();
        let told = Told {
            polls,
            notices,
            dropped: dropped.clone(),
        };
        let teller = Teller {
            polls: to,
            notices: from,
            dropped,
        };
        (teller, Box::new(told))
    }

    fn batch(&self, name: &str, times: &[i64]) {
        self.polls
            .send(Ok(Poll::Batch(stream(name, times))))
            .unwrap();
    }

    fn watermark(&self, ts: i64) {
        let watermark = Some(ts);
        self.polls.send(Ok(Poll::Idle { watermark })).unwrap();
    }
}

fn two(patience: Duration) -> (Teller, Teller, FanIn) {
    let ((a, feed_a), (b, feed_b)) = (Teller::new(), Teller::new());
    (a, b, opened(vec![feed_a, feed_b], patience, None))
}

/// The times of the next so many messages.
fn times(fan_in: &mut FanIn, wanted: usize) -> Vec<i64> {
    let mut times = Vec::new();
    while times.len() < wanted {
        match fan_in.poll(PATIENCE).unwrap() {
            Poll::Batch(batch) => times.extend(batch.messages().map(|m| m.ts_recv)),
            other => panic!("{other:?} after {times:?}"),
        }
    }
    times
}

#[test]
fn a_promise_lets_others_go_on_and_a_quiet_feed_holds_them_up_only_for_the_patience() {
    let (a, b, mut fan_in) = two(PATIENCE);
    a.batch("A", &[1, 5, 9]);
    b.watermark(5);
    assert_eq!(times(&mut fan_in, 2), [1, 5]);
    let held = fan_in.poll(Duration::from_millis(20)).unwrap();
    assert!(
        matches!(held, Poll::Idle { watermark: Some(5) }),
        "{held:?}"
    );
    b.batch("B", &[7]);
    b.watermark(20);
    assert_eq!(times(&mut fan_in, 2), [7, 9]);
    // Nobody says more: the second feed is quiet, and what it gives at last goes on at once.
    let (a, b, mut fan_in) = two(Duration::from_millis(5));
    a.batch("A", &[1, 5, 9]);
    assert_eq!(times(&mut fan_in, 3), [1, 5, 9]);
    b.batch("B", &[2]);
    assert_eq!(times(&mut fan_in, 1), [2]);
    a.batch("A", &[10]);
    assert_eq!(times(&mut fan_in, 1), [10], "the second is quiet again");
}

#[test]
fn an_error_comes_when_its_turn_comes_and_notices_reach_every_feed() {
    let (a, b, mut fan_in) = two(PATIENCE);
    let notice = Notice {
        instrument: "A".into(),
        kind: crate::NoticeKind::BookGap,
        ts_recv: 3,
    };
    fan_in.notice(&notice);
    for teller in [&a, &b] {
        assert_eq!(teller.notices.recv_timeout(PATIENCE).unwrap(), notice);
    }
    b.batch("B", &[4]);
    b.polls.send(Err(FeedError::Panicked)).unwrap();
    a.batch("A", &[1, 4, 6]);
    a.polls.send(Ok(Poll::End)).unwrap();
    assert_eq!(times(&mut fan_in, 3), [1, 4, 4]);
    assert!(matches!(fan_in.poll(PATIENCE), Err(FeedError::Panicked)));
    assert_eq!(fan_in.poll(PATIENCE).unwrap(), Poll::End);
    assert_eq!(fan_in.position(), Position::default());
    drop(fan_in);
    assert!(a.dropped.load(Ordering::Acquire) && b.dropped.load(Ordering::Acquire));
}

#[test]
fn a_feed_that_cannot_be_resumed_leaves_the_others_their_places() {
    let expected = stream("I0", &[1, 2, 3, 4, 5]);
    let cut = |seed| -> Box<dyn Feed> {
        Box::new(Cut {
            events: expected.clone(),
            messages: 0,
            random: Random(seed),
        })
    };
    for seed in 0..20 {
        let (teller, pipe) = Teller::new();
        teller.polls.send(Ok(Poll::End)).unwrap();
        let (found, places) = read(&mut opened(vec![cut(seed), pipe], PATIENCE, None));
        assert_eq!(found, lines(&expected));
        for (position, given) in places {
            let (teller, pipe) = Teller::new();
            teller.polls.send(Ok(Poll::End)).unwrap();
            let again = vec![cut(seed + 100), pipe];
            let (rest, _) = read(&mut opened(again, PATIENCE, Some(&position)));
            assert_eq!(rest, lines(&expected)[given..], "behind {position}");
        }
    }
}

#[test]
fn a_position_of_other_feeds_is_refused() {
    for text in [
        r#"{"feeds":["{}"]}"#,
        r#"{"messages":3}"#,
        r#"{"feeds":[1,2]}"#,
    ] {
        let (one, other) = (Teller::new().1, Teller::new().1);
        let mut fan_in = FanIn::new(vec![one, other], PATIENCE);
        let error = fan_in.open(Some(&Position::new(text))).unwrap_err();
        assert!(error.to_string().contains("those of 2 feeds"), "{error}");
    }
}
