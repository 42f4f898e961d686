//! Time and ids: what is accepted, and when it happens.

use super::*;
use proptest::prelude::*;
use signal_event::{
    Condition, EventBatch, EventBatchBuilder, Header, Instrument, Instruments, NO_RULE,
    NO_SEQUENCE, Row, Side,
};
use std::sync::Arc;

fn header(kind: Kind, ts_recv: i64, sequence: u64) -> Header {
    Header {
        kind,
        instrument: InstrumentId(0),
        sequence,
        sequence_prev: sequence.wrapping_sub(1),
        ..Header::mark(ts_recv)
    }
}

fn batch(headers: &[Header]) -> EventBatch {
    let table = Instruments::of([Instrument::new("A.X"), Instrument::new("B.X")]).unwrap();
    let mut builder = EventBatchBuilder::new();
    for header in headers {
        if header.kind == Kind::Quote {
            builder.push_row(Side::Bid.code(), 1, 1);
            builder.push_row(Side::Ask.code(), 2, 1);
        }
        if header.kind == Kind::Trade {
            builder.push_row(Side::Bid.code(), 1, 1);
        }
        builder.close(*header);
    }
    builder.finish(&Arc::new(table))
}

fn judge(headers: &[Header]) -> (Vec<Admit>, Sequencer) {
    let mut sequencer = Sequencer::default();
    let verdicts = batch(headers)
        .messages()
        .map(|m| sequencer.admit(&m).admit)
        .collect();
    (verdicts, sequencer)
}

#[test]
fn trades_count_by_one() {
    let trade = |ts, id| header(Kind::Trade, ts, id);
    let (verdicts, sequencer) = judge(&[
        trade(1, 10),
        trade(2, 11),
        trade(3, 11),
        trade(4, 15),
        trade(5, 12),
        trade(4, 16),
    ]);
    let gap = Admit::Gap {
        expected: 12,
        got: 15,
        missing: 3,
    };
    assert_eq!(
        verdicts,
        [
            Admit::Accept,
            Admit::Accept,
            Admit::Duplicate,
            gap,
            Admit::Duplicate,
            Admit::Accept
        ]
    );
    let counts = sequencer.total();
    assert_eq!(
        (counts.gaps, counts.missing, counts.duplicate, counts.input),
        (1, 3, 2, 6)
    );
}

const SECOND: i64 = 1_000_000_000;

/// What happened when, in order: the message's number and its time.
fn axis(headers: &[Header]) -> (Vec<(usize, i64)>, Sequencer) {
    let (mut sequencer, mut held, mut out) = (Sequencer::default(), Vec::new(), Vec::new());
    for (at, message) in batch(headers).messages().enumerate() {
        let judged = sequencer.admit(&message);
        if let Some(release) = judged.release {
            let mut newest = i64::MIN;
            for (at, reading) in held.drain(..) {
                newest = match release {
                    Release::AsRead => newest.max(reading),
                    Release::At(time) => time,
                };
                out.push((at, newest));
            }
        }
        if matches!(judged.admit, Admit::Accept | Admit::Gap { .. }) {
            match judged.moment {
                Moment::At(time) | Moment::Anew(time) => out.push((at, time)),
                Moment::Held => held.push((at, message.ts_recv)),
            }
        }
    }
    (out, sequencer)
}

/// A trade whose venue time is so much before its receive time.
fn delayed(ts_recv: i64, delay: i64, id: u64) -> Header {
    Header {
        ts_event: ts_recv - delay,
        ..header(Kind::Trade, ts_recv, id)
    }
}

#[test]
fn a_reading_behind_happens_at_the_newest_time_until_the_clock_has_passed_it() {
    let times = [100, 98, 99, 101].map(|s| s * SECOND);
    let headers: Vec<_> = (1..)
        .zip(times)
        .map(|(id, t)| header(Kind::Trade, t, id))
        .collect();
    let (happened, sequencer) = axis(&headers);
    let expected = [100, 100, 100, 101].map(|s| s * SECOND);
    assert_eq!(happened, (0..).zip(expected).collect::<Vec<_>>());
    assert_eq!(sequencer.total().clock_steps, 2);
}

#[test]
fn a_line_an_hour_ahead_happens_when_the_next_one_does() {
    let ahead = Header {
        ts_recv: 3_701 * SECOND,
        ..delayed(101 * SECOND, 7, 2)
    };
    let (happened, sequencer) = axis(&[
        delayed(100 * SECOND, 7, 1),
        ahead,
        delayed(102 * SECOND, 7, 3),
    ]);
    assert_eq!(
        happened,
        [(0, 100 * SECOND), (1, 102 * SECOND), (2, 102 * SECOND)]
    );
    assert_eq!(
        (sequencer.total().clock_steps, sequencer.total().accepted),
        (1, 3)
    );
}

#[test]
fn a_silence_of_days_is_no_fault() {
    let days = 30 * 86_400 * SECOND;
    let (happened, sequencer) = axis(&[
        delayed(100 * SECOND, 7, 1),
        delayed(days, 8, 2),
        delayed(days + 1, 8, 3),
    ]);
    assert_eq!(happened, [(0, 100 * SECOND), (1, days), (2, days + 1)]);
    // Without venue time the next message confirms it.
    let (happened, _) = axis(&[
        header(Kind::Trade, 100, 1),
        header(Kind::Trade, days, 2),
        header(Kind::Trade, days + 1, 3),
    ]);
    assert_eq!(happened, [(0, 100), (1, days), (2, days + 1)]);
    assert_eq!(sequencer.total().clock_steps, 0);
}

#[test]
fn after_a_first_message_from_the_future_time_begins_anew() {
    let mut headers = vec![delayed(400 * 86_400 * SECOND, 7, 1)];
    headers.extend((0..100).map(|i| delayed(i * SECOND, 7, 2 + i as u64)));
    let (happened, sequencer) = axis(&headers);
    assert_eq!(happened.len(), 101);
    let own = |&(at, time): &(usize, i64)| time == headers[at].ts_recv;
    assert!(happened[RUN as usize..].iter().all(own));
    let total = sequencer.total();
    assert_eq!((total.restarts, total.clock_steps), (1, RUN - 1));
}

#[test]
fn a_stepped_clock_whose_venue_time_stands_is_believed_in_the_end() {
    let step = 3_600 * SECOND;
    let mut headers = vec![delayed(100 * SECOND, 7, 1)];
    headers.extend((0..40).map(|i| delayed(101 * SECOND + i + step, 7 + step, 2 + i as u64)));
    let (happened, _) = axis(&headers);
    assert_eq!(happened.len(), 41);
    assert!(
        happened
            .iter()
            .all(|&(at, time)| time == headers[at].ts_recv)
    );
}

#[test]
fn ids_that_start_again_are_told_from_those_that_come_again() {
    let trade = |second: i64, id: u64| delayed(second * SECOND, 7, id);
    // A venue repeats its latest three, then goes on.
    let (verdicts, _) = judge(&[trade(1, 10), trade(2, 11), trade(3, 12)].repeat(2));
    assert_eq!(verdicts[3..], [Admit::Duplicate; 3]);
    // Ids start again an hour later.
    let (verdicts, sequencer) =
        judge(&[trade(1, 10), trade(2, 11), trade(3_600, 1), trade(3_601, 2)]);
    let anew = Admit::Gap {
        expected: 12,
        got: 1,
        missing: 0,
    };
    assert_eq!(
        verdicts,
        [Admit::Accept, Admit::Accept, anew, Admit::Accept]
    );
    assert_eq!(sequencer.total().restarts, 1);
    // Without venue time a thousand in a row tell it.
    for kind in [Kind::Trade, Kind::Quote] {
        let headers: Vec<_> = (5_000..5_010)
            .chain(1..1_200)
            .map(|id| header(kind, 1, id))
            .collect();
        let (verdicts, sequencer) = judge(&headers);
        let taken = verdicts.iter().filter(|v| **v != Admit::Duplicate).count();
        assert_eq!(taken, 10 + 1_199 - 999);
        assert_eq!(sequencer.total().restarts, 1);
    }
}

#[test]
fn a_print_off_the_book_keeps_the_ids_and_is_no_event() {
    let mut builder = EventBatchBuilder::new();
    let table = Arc::new(Instruments::of([Instrument::new("A.X")]).unwrap());
    for (id, marked, qty) in [(1, false, 5), (3, true, 5), (4, false, 0), (5, false, 5)] {
        builder.push_more(Row {
            side: Side::Buy,
            price: 100,
            qty,
            condition: match marked {
                true => Condition::InsuranceFund,
                false => Condition::Ordinary,
            },
            ..Row::default()
        });
        builder.close(header(Kind::Trade, 1, id));
    }
    let mut sequencer = Sequencer::default();
    let batch = builder.finish(&table);
    let verdicts: Vec<_> = batch
        .messages()
        .map(|m| sequencer.admit(&m).admit)
        .collect();
    let gap = Admit::Gap {
        expected: 2,
        got: 3,
        missing: 1,
    };
    assert_eq!(
        verdicts,
        [Admit::Accept, Admit::OffBook, Admit::OffBook, gap]
    );
    let total = sequencer.total();
    assert_eq!((total.accepted, total.off_book, total.gaps), (4, 2, 1));
}

/// A step of the clock: how long after the message before, or back.
fn any_step() -> impl Strategy<Value = i64> {
    let scale = prop::sample::select(vec![
        1,
        1_000_000,
        SECOND,
        3_600 * SECOND,
        86_400 * SECOND,
        31_536_000 * SECOND,
    ]);
    (scale, -20i64..200).prop_map(|(scale, steps)| scale.saturating_mul(steps))
}

proptest! {
    /// Whatever the clock did before: once it runs again, every message happens at its own reading.
    #[test]
    fn no_clock_ends_the_stream(
        steps in prop::collection::vec((any_step(), any_step(), any::<bool>()), 0..60),
        timed: bool,
    ) {
        let (mut recv, mut event, mut headers) = (0i64, 0i64, Vec::new());
        for (at, &(step, other, together)) in steps.iter().enumerate() {
            recv = recv.saturating_add(step).clamp(-(1 << 61), 1 << 61);
            event = event.saturating_add(if together { step } else { other }).clamp(-(1 << 61), 1 << 61);
            let ts_event = if timed { event } else { NO_TIME };
            headers.push(Header { ts_event, sequence: NO_SEQUENCE, ..header(Kind::Trade, recv, at as u64 + 1) });
        }
        let wild = headers.len();
        let steady = 3 * RUN as i64;
        for i in 0..steady {
            let ts_event = if timed { event + i * 1_000_000 } else { NO_TIME };
            headers.push(Header { ts_event, sequence: NO_SEQUENCE, ..header(Kind::Trade, recv + i * 1_000_000, 0) });
        }
        let (happened, sequencer) = axis(&headers);
        prop_assert!(sequencer.check_invariants());
        let total = sequencer.total();
        prop_assert_eq!((total.input, total.accepted), (headers.len() as u64, headers.len() as u64));
        prop_assert_eq!(happened.iter().map(|h| h.0).collect::<Vec<_>>(), (0..headers.len()).collect::<Vec<_>>());
        for &(at, time) in &happened[wild + 2 * RUN as usize + 1..] {
            let behind = time - headers[at].ts_recv;
            prop_assert!((0..=10 * SECOND).contains(&behind), "message {} of {}: {}", at, wild, behind);
        }
    }

    /// The same on venue time, where what cannot be right is refused.
    #[test]
    fn no_venue_time_ends_the_stream(
        steps in prop::collection::vec((any_step(), any_step()), 0..60),
        lateness in 0..5 * SECOND,
    ) {
        let (mut recv, mut event, mut newest) = (0i64, 0i64, i64::MIN);
        let mut sequencer = Sequencer::on_venue_time(JUMP_MAX_NS, lateness);
        let mut arrive = |ts_recv, ts_event| {
            let batch = one(Header { ts_recv, ..venue(Kind::Trade, ts_event, NO_SEQUENCE) });
            let message = batch.messages().next().unwrap();
            let arrival = sequencer.arrive(&message, i64::MAX);
            if !matches!(arrival, Arrival::Refused(_)) {
                sequencer.follow(&message);
            }
            (arrival, sequencer.total())
        };
        let mut count = 0;
        for (step, other) in steps {
            recv = recv.saturating_add(step).clamp(-(1 << 61), 1 << 61);
            event = event.saturating_add(other).clamp(-(1 << 61), 1 << 61);
            let (_, total) = arrive(recv, event);
            count += 1;
            newest = newest.max(event);
            prop_assert!(total.balances() && total.input == count);
        }
        // Both clocks run together again, behind nothing that may have been right.
        event = event.max(recv);
        if newest.saturating_sub(event) <= JUMP_MAX_NS {
            event = event.max(newest);
        }
        recv = event;
        for i in 0..3 * RUN as i64 {
            let late_by = 10 * SECOND + lateness + i * 1_000_000;
            let (arrival, _) = arrive(recv + late_by, event + late_by);
            if i > 2 * RUN as i64 {
                prop_assert!(!matches!(arrival, Arrival::Refused(_)), "message {}", i);
            }
        }
    }
}

#[test]
fn quotes_rise_and_diffs_only_must_not_repeat() {
    let (verdicts, _) = judge(&[
        header(Kind::Quote, 1, 5),
        header(Kind::Quote, 2, 5),
        header(Kind::Quote, 3, 9),
        header(Kind::BookDiff, 4, 7),
        header(Kind::BookDiff, 5, 7),
        header(Kind::BookDiff, 6, 6),
        Header {
            instrument: InstrumentId(1),
            ..header(Kind::Quote, 7, 5)
        },
    ]);
    use Admit::*;
    assert_eq!(
        verdicts,
        [Accept, Duplicate, Accept, Accept, Duplicate, Accept, Accept]
    );
}

prop_compose! {
    fn any_header()(
        kind in prop::sample::select(vec![Kind::Trade, Kind::Quote, Kind::BookDiff, Kind::BookSnapshot, Kind::Mark]),
        instrument in 0u32..2, ts_recv in 0i64..40, sequence in 0u64..12, ruled: bool,
    ) -> Header {
        let header = Header { instrument: InstrumentId(instrument), ..header(kind, ts_recv, sequence) };
        let header = if ruled { header } else { Header { sequence_prev: NO_RULE, ..header } };
        if kind == Kind::Mark { Header::mark(ts_recv) } else { header }
    }
}

proptest! {
    #[test]
    fn counts_balance_and_saving_changes_nothing(headers in prop::collection::vec(any_header(), 0..60), cut in 0usize..60) {
        let (verdicts, whole) = judge(&headers);
        prop_assert!(whole.check_invariants());
        prop_assert_eq!(whole.total().input as usize, headers.len());
        let cut = cut.min(headers.len());
        let (mut first, saved) = judge(&headers[..cut]);
        let mut bytes = Vec::new();
        saved.save(&mut bytes);
        bytes.push(7);
        let mut rest = bytes.as_slice();
        let mut restored = Sequencer::load(&mut rest).unwrap();
        prop_assert_eq!(rest, [7]);
        first.extend(batch(&headers[cut..]).messages().map(|m| restored.admit(&m).admit));
        prop_assert_eq!(first, verdicts);
        prop_assert_eq!(restored, whole);
    }

    #[test]
    fn hostile_states_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..400), version: bool) {
        if version && bytes.len() >= 8 {
            bytes[..8].copy_from_slice(&saved::SAVED_VERSION.to_le_bytes());
        }
        if let Ok(sequencer) = Sequencer::load(&mut bytes.as_slice()) {
            prop_assert!(sequencer.check_invariants());
        }
    }
}

fn venue(kind: Kind, ts_event: i64, sequence: u64) -> Header {
    Header {
        ts_event,
        ..header(kind, 1_000, sequence)
    }
}

fn one(header: Header) -> EventBatch {
    let table = Instruments::of([Instrument {
        id: "X".into(),
        price_scale: 9,
        qty_scale: 9,
    }])
    .unwrap();
    let mut builder = EventBatchBuilder::new();
    builder.push(header, Side::None.code(), 1, 1);
    builder.finish(&Arc::new(table))
}

#[test]
fn venue_time_has_a_watermark_that_refused_messages_do_not_move() {
    let mut sequencer = Sequencer::on_venue_time(1_000, 10);
    let mut arrive = |header: Header| {
        let batch = one(header);
        let arrival = sequencer.arrive(&batch.messages().next().unwrap(), i64::MAX);
        (arrival, sequencer.watermark())
    };
    let bare = |kind| venue(kind, NO_TIME, 7);
    let waits = |watermark| (Arrival::Waits, watermark);
    let refused = |admit| (Arrival::Refused(admit), Some(90));
    assert_eq!(arrive(bare(Kind::BookSnapshot)), waits(None));
    assert_eq!(arrive(venue(Kind::Trade, 100, 1)), waits(Some(90)));
    assert_eq!(arrive(venue(Kind::Trade, 90, 2)), waits(Some(90)));
    assert_eq!(arrive(venue(Kind::Trade, 89, 3)), refused(Admit::Late));
    let future = Admit::Reject(RejectCode::Future);
    assert_eq!(arrive(venue(Kind::Trade, 1_101, 4)), refused(future));
    let no_time = Admit::Reject(RejectCode::NoVenueTime);
    assert_eq!(arrive(bare(Kind::Quote)), refused(no_time));
    assert_eq!(arrive(bare(Kind::Status)), waits(Some(90)));
    // The receive clock went along: it was a silence.
    let later = Header {
        ts_recv: 10_000,
        ..venue(Kind::Trade, 9_000, 5)
    };
    assert_eq!(arrive(later), waits(Some(8_990)));
    let total = sequencer.total();
    assert_eq!((total.input, total.late, total.rejected), (3, 1, 2));
}

#[test]
fn a_mark_moves_venue_time_as_far_as_the_receive_clock_went() {
    let mut sequencer = Sequencer::on_venue_time(JUMP_MAX_NS, 10);
    let trade = |ts_event, ts_recv| Header {
        ts_recv,
        ..venue(Kind::Trade, ts_event, NO_SEQUENCE)
    };
    let arrive = |sequencer: &mut Sequencer, header| {
        sequencer.arrive(&one(header).messages().next().unwrap(), i64::MAX)
    };
    let pass = |sequencer: &mut Sequencer, ts_recv| {
        let mark = one(Header::mark(ts_recv));
        sequencer.pass(&mark.messages().next().unwrap());
        sequencer.watermark()
    };
    assert_eq!(pass(&mut sequencer, 4_000), None);
    assert_eq!(arrive(&mut sequencer, trade(100, 5_000)), Arrival::Waits);
    assert_eq!(pass(&mut sequencer, 5_300), Some(390));
    assert_eq!(pass(&mut sequencer, 5_200), Some(390), "time does not fall");
    assert_eq!(pass(&mut sequencer, 5_310), Some(400));
    let late = Arrival::Refused(Admit::Late);
    assert_eq!(arrive(&mut sequencer, trade(399, 5_311)), late);
    assert_eq!(arrive(&mut sequencer, trade(400, 5_312)), Arrival::Waits);
    assert_eq!(sequencer.total().accepted, 4, "marks are counted");
    // A venue time far ahead of the receive clock may be wrong: no mark makes it worse.
    let mut sequencer = Sequencer::on_venue_time(JUMP_MAX_NS, 10);
    let ahead = trade(20 * SECOND, 5_000);
    assert_eq!(arrive(&mut sequencer, ahead), Arrival::Waits);
    let stands = Some(20 * SECOND - 10);
    assert_eq!(pass(&mut sequencer, SECOND), stands);
}

#[test]
fn what_waits_is_judged_by_its_ids_in_its_turn() {
    let mut sequencer = Sequencer::on_venue_time(1_000, 10);
    let batches = [3, 2].map(|id| one(venue(Kind::Trade, 100 + id as i64, id)));
    for batch in &batches {
        assert_eq!(
            sequencer.arrive(&batch.messages().next().unwrap(), i64::MAX),
            Arrival::Waits
        );
    }
    assert_eq!(sequencer.total().input, 0);
    for batch in batches.iter().rev() {
        assert_eq!(
            sequencer.follow(&batch.messages().next().unwrap()),
            Admit::Accept
        );
    }
    assert_eq!(sequencer.total().accepted, 2);
    let (mut bytes, mut again) = (Vec::new(), Vec::new());
    sequencer.save(&mut bytes);
    let loaded = Sequencer::load(&mut bytes.as_slice()).unwrap();
    loaded.save(&mut again);
    assert_eq!((&loaded, bytes), (&sequencer, again));
}
