//! Judges each message by time and by the venue's ids.

use std::collections::BTreeMap;

use signal_event::{Kind, Message, NO_INSTRUMENT, NO_RULE, NO_SEQUENCE, NO_TIME, Timestamp};

use crate::RejectCode;

mod ids;
mod receive;
mod saved;
mod venue;

use ids::{Ids, Rank};
use receive::ReceiveClock;
pub use receive::{Moment, Release};
pub use saved::SequencerError;
use venue::VenueClock;

/// How far a time may lie ahead of everything before it where nothing can confirm it, unless the caller says otherwise:
/// 7 days.
pub const JUMP_MAX_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// So many messages in a row that agree with each other are believed, against the newest time.
pub const RUN: u64 = 16;

/// The verdict on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// In order.
    Accept,
    /// Accepted; ids before it are missing, or ids have begun anew and nobody knows how many are.
    Gap {
        /// The id that should have come.
        expected: u64,
        /// The id that came.
        got: u64,
        /// How many ids are missing, as far as ids tell.
        missing: u64,
    },
    /// Accepted, and no event: a print that is no trade of the order book.
    OffBook,
    /// Its id has been seen, or passed over.
    Duplicate,
    /// Its time lies before the watermark.
    Late,
    /// Refused.
    Reject(RejectCode),
}

/// The verdict on a message on receive time, and when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub admit: Admit,
    /// When the message happens, if it is accepted.
    pub moment: Moment,
    /// What becomes of the messages held so far; it comes before this one.
    pub release: Option<Release>,
}

/// The verdict on the time of a message on venue time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Refused or late, and counted.
    Refused(Admit),
    /// It may wait for its turn, and for [`Sequencer::follow`].
    Waits,
    /// As `Waits`, and time begins anew with it: whatever waits has its turn before it.
    Anew,
}

/// How many messages of a stream met which verdict: `input == accepted + duplicate + late + rejected`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Judged.
    pub input: u64,
    /// Accepted, those after a gap included.
    pub accepted: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Behind what was accepted.
    pub late: u64,
    /// Refused.
    pub rejected: u64,
    /// Accepted after a gap.
    pub gaps: u64,
    /// Ids missing in the gaps.
    pub missing: u64,
    /// Accepted by their ids and no event: prints that are no trades of the order book.
    pub off_book: u64,
    /// Accepted, but not at the time that they were read at: the receive clock stood wrong.
    pub clock_steps: u64,
    /// How often time or ids began anew.
    pub restarts: u64,
}

impl Counts {
    /// Adds the counts of another stream.
    pub fn add(&mut self, other: &Counts) {
        self.input += other.input;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.rejected += other.rejected;
        self.gaps += other.gaps;
        self.missing = self.missing.saturating_add(other.missing);
        self.off_book += other.off_book;
        self.clock_steps += other.clock_steps;
        self.restarts += other.restarts;
    }

    /// Whether every input met exactly one verdict.
    pub fn balances(&self) -> bool {
        self.input == self.accepted + self.duplicate + self.late + self.rejected
    }
}

/// Judges the messages of one merged stream. Time is one for all instruments, ids are per instrument and kind.
///
/// **Receive time.** The order of arrival is what is known; a receive time is the reading of a clock that may stand wrong.
/// So no message is lost by it, and each happens at its reading with these exceptions, counted as `clock_steps`:
///
/// - *Behind.* A message read before the newest time happens at the newest time. Up to 10 s the clock is waited for. With
///   the 16th message in a row that is read more than 10 s before it, *time begins anew* there: windows, bars and the
///   graph's clock start afresh, books stay (`restarts`).
/// - *Ahead.* A message read more than 2 s after the newest time is *held* if the venue's time in it did not move along
///   (it lies nearer to the newest time than to the reading, by the delay of the newest message); without a venue time in
///   it, if it is more than a minute, and where no message has had one, more than `jump_max_ns`. The next message decides:
///   if it is read before what is held (by more than 2 s), the held messages happen at its time; if its venue time did
///   move along, or it is the 16th in a row (the 2nd where there is no venue time), they happen as they were read.
/// - A mark is the word of the one who keeps the clock: it is never held; one before the newest time is late, for nothing.
///
/// **Venue time.** A message before the *watermark*, which is the newest time less the lateness, is late. One more than a
/// minute (or `jump_max_ns`, if that is less) ahead of the newest, while the receive clock went on less than half as far,
/// is refused (`FUTURE`) and does not move time; the 16th in a row does. Where the newest time lies more than 10 s and
/// the lateness ahead of the receive clock, the 16th late message in a row begins time anew: whatever waits has its turn
/// first. Messages are judged by time when they arrive and by ids in their turn. A trade, quote or diff without venue time
/// is refused. Snapshots and status without one belong to the newest venue time seen; marks, which tell receive time,
/// say nothing.
///
/// **Ids.**
///
/// - Trades: the next id is the last plus one; a lower one is a duplicate, a higher one a gap.
/// - Quotes: ids rise, with holes (the venue numbers book changes); one that does not is a duplicate.
/// - Of both, ids *begin anew* (`restarts`; for trades a gap) with a lower id whose venue time is more than 1 s newer than
///   any before it. Where the stream has no venue time: with the 1,000th message in a row whose ids rise among
///   themselves but not above the last one. What a venue repeats to somebody who comes back is neither.
/// - A print that is no trade of the order book is accepted by its id, and no event (`off_book`).
/// - Book diffs: whether one follows is the book's to judge; here only an immediate repeat is a duplicate.
/// - Snapshots, bars, marks and status have no rule but time's, nor do messages without an id.
///
/// All of it is a function of the messages in their order, whatever the batches, the machine's clock, or restarts.
///
/// Invariants: the counts balance; `newest` is the greatest accepted time, and falls only where time begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequencer {
    /// Whether time is the venue's.
    venue: bool,
    receive_clock: ReceiveClock,
    venue_clock: VenueClock,
    /// Instrument and place of the kind of each message that is held.
    held: Vec<(u16, u8)>,
    streams: Vec<Stream>,
    unnamed: [Counts; KINDS],
}

/// The streams of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stream {
    trade: Ids,
    quote: Ids,
    diff: (u64, u64),
    /// The gap that a print off the book showed, told with the next trade: expected, got, missing.
    gap: Option<[u64; 3]>,
    counts: [Counts; KINDS],
}

const KINDS: usize = Kind::ALL.len();

impl Default for Sequencer {
    fn default() -> Sequencer {
        Sequencer::new(JUMP_MAX_NS)
    }
}

impl Sequencer {
    /// A sequencer on receive time that has seen nothing. `jump_max_ns` is the greatest step ahead in time that needs no
    /// confirmation where there is no venue time.
    pub fn new(jump_max_ns: i64) -> Sequencer {
        Sequencer {
            venue: false,
            receive_clock: ReceiveClock {
                jump_max_ns,
                ..ReceiveClock::default()
            },
            venue_clock: VenueClock::default(),
            held: Vec::new(),
            streams: Vec::new(),
            unnamed: [Counts::default(); KINDS],
        }
    }

    /// A sequencer on venue time, in which messages may come `lateness_ns` after newer ones.
    pub fn on_venue_time(jump_max_ns: i64, lateness_ns: i64) -> Sequencer {
        Sequencer {
            venue: true,
            venue_clock: VenueClock {
                jump_max_ns,
                lateness_ns: lateness_ns.max(0),
                ..VenueClock::default()
            },
            ..Sequencer::new(jump_max_ns)
        }
    }

    /// The greatest time that was accepted since time began.
    pub fn newest(&self) -> Option<Timestamp> {
        match self.venue {
            false => self.receive_clock.newest,
            true => self.venue_clock.newest,
        }
    }

    /// Up to where time is complete: what comes before it is late.
    pub fn watermark(&self) -> Option<Timestamp> {
        Some(self.newest()?.saturating_sub(self.venue_clock.lateness_ns))
    }

    /// Venue time of an accepted message; `None` where it has none of its own and none was seen yet.
    #[inline]
    pub fn venue_time(&self, message: &Message<'_>) -> Option<Timestamp> {
        match message.ts_event {
            NO_TIME => self.venue_clock.newest,
            time => Some(time),
        }
    }

    /// Judges a message on receive time, by time and ids, and remembers it.
    #[inline]
    pub fn admit(&mut self, message: &Message<'_>) -> Judged {
        if message.kind == Kind::Mark {
            return self.admit_mark(message);
        }
        let admit = self.follow(message);
        let venue = Some(message.ts_event).filter(|&t| t != NO_TIME);
        let (release, moment) = match admit {
            Admit::Accept | Admit::Gap { .. } | Admit::OffBook => {
                self.receive_clock.read(message.ts_recv, venue)
            }
            // What was seen before happens at no time, but shows that the clock stands back.
            _ => (None, self.receive_clock.glance(message.ts_recv, venue)),
        };
        if moment != Moment::At(message.ts_recv) || release.is_some() {
            self.note_step(message, admit, release, moment);
        }
        Judged {
            admit,
            moment,
            release,
        }
    }

    fn admit_mark(&mut self, message: &Message<'_>) -> Judged {
        let read = self.receive_clock.mark(message.ts_recv);
        let admit = match read {
            Some(_) => Admit::Accept,
            None => Admit::Late,
        };
        self.count(message, admit);
        let newest = self.receive_clock.newest.unwrap_or(message.ts_recv);
        let (release, moment) = read.unwrap_or((None, Moment::At(newest)));
        if release.is_some() {
            self.note_step(message, admit, release, Moment::At(message.ts_recv));
        }
        Judged {
            admit,
            moment,
            release,
        }
    }

    /// Counts what the clock did with a message and with those that were held before it.
    #[cold]
    fn note_step(
        &mut self,
        message: &Message<'_>,
        admit: Admit,
        release: Option<Release>,
        moment: Moment,
    ) {
        if let Some(release) = release {
            for (instrument, at) in std::mem::take(&mut self.held) {
                let stepped = u64::from(matches!(release, Release::At(_)));
                if let Some(stream) = self.stream(instrument) {
                    stream.counts[usize::from(at)].clock_steps += stepped;
                }
            }
        }
        let (at, instrument) = (message.kind as usize - 1, message.instrument);
        match moment {
            Moment::Held => self.held.push((instrument, at as u8)),
            Moment::At(time) if time == message.ts_recv || admit == Admit::Duplicate => {}
            Moment::At(_) => {
                if let Some(stream) = self.stream(instrument) {
                    stream.counts[at].clock_steps += 1;
                }
            }
            Moment::Anew(_) => {
                // Ids may have gone back with time, as where an older recording follows.
                self.streams.iter_mut().for_each(Stream::begin_anew);
                if let Some(stream) = self.stream(instrument) {
                    stream.counts[at].restarts += 1;
                    if admit != Admit::Duplicate {
                        stream.follow(message);
                    }
                }
            }
        }
    }

    /// Judges a message on venue time by its time alone and moves time on.
    pub fn arrive(&mut self, message: &Message<'_>) -> Arrival {
        if message.ts_event == NO_TIME {
            let placed = matches!(message.kind, Kind::BookSnapshot | Kind::Mark | Kind::Status);
            return match placed {
                true => Arrival::Waits,
                false => {
                    Arrival::Refused(self.count(message, Admit::Reject(RejectCode::NoVenueTime)))
                }
            };
        }
        match self.venue_clock.read(message.ts_event, message.ts_recv) {
            Err(refusal) => Arrival::Refused(self.count(message, refusal)),
            Ok(timely) if timely.anew => {
                let at = message.kind as usize - 1;
                if let Some(stream) = self.stream(message.instrument) {
                    stream.counts[at].restarts += 1;
                }
                Arrival::Anew
            }
            Ok(_) => Arrival::Waits,
        }
    }

    /// Judges a message of good time by its ids, and counts it.
    #[inline]
    pub fn follow(&mut self, message: &Message<'_>) -> Admit {
        let admit = match self.stream(message.instrument) {
            Some(stream) => stream.follow(message),
            None => Admit::Accept,
        };
        self.count(message, admit)
    }

    #[inline]
    fn stream(&mut self, instrument: u16) -> Option<&mut Stream> {
        let at = usize::from(instrument);
        if at >= self.streams.len() && instrument != NO_INSTRUMENT {
            self.streams.resize(at + 1, Stream::default());
        }
        self.streams.get_mut(at)
    }

    #[inline]
    fn count(&mut self, message: &Message<'_>, admit: Admit) -> Admit {
        let at = message.kind as usize - 1;
        let counts = match self.stream(message.instrument) {
            Some(stream) => &mut stream.counts[at],
            None => &mut self.unnamed[at],
        };
        counts.input += 1;
        match admit {
            Admit::Accept => counts.accepted += 1,
            Admit::Gap { missing, .. } => {
                counts.accepted += 1;
                counts.gaps += 1;
                counts.missing = counts.missing.saturating_add(missing);
            }
            Admit::OffBook => {
                counts.accepted += 1;
                counts.off_book += 1;
            }
            Admit::Duplicate => counts.duplicate += 1,
            Admit::Late => counts.late += 1,
            Admit::Reject(_) => counts.rejected += 1,
        }
        admit
    }

    /// The counts of each instrument and kind that had a message; [`NO_INSTRUMENT`] for marks and the like.
    pub fn counts(&self) -> BTreeMap<(u16, Kind), Counts> {
        let named = self
            .streams
            .iter()
            .enumerate()
            .map(|(at, stream)| (at as u16, &stream.counts));
        let all = named.chain(std::iter::once((NO_INSTRUMENT, &self.unnamed)));
        let of_kinds = all.flat_map(|(at, counts)| {
            Kind::ALL
                .iter()
                .zip(counts)
                .map(move |(&kind, c)| ((at, kind), *c))
        });
        of_kinds.filter(|(_, counts)| counts.input > 0).collect()
    }

    /// All counts together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.counts().values().for_each(|counts| total.add(counts));
        total
    }

    /// Tests the invariants.
    pub fn check_invariants(&self) -> bool {
        self.counts().values().all(Counts::balances)
    }
}

impl Stream {
    /// Forgets the ids; the counts stay.
    fn begin_anew(&mut self) {
        let counts = self.counts;
        *self = Stream {
            counts,
            ..Stream::default()
        };
    }

    #[inline]
    fn follow(&mut self, message: &Message<'_>) -> Admit {
        let id = message.sequence;
        match message.kind {
            Kind::Trade => {
                let admit = match id {
                    NO_SEQUENCE => Admit::Accept,
                    _ => self.follow_trade(message),
                };
                if message.is_off_book() || self.gap.is_some() {
                    return self.set_aside(message, admit);
                }
                admit
            }
            _ if id == NO_SEQUENCE => Admit::Accept,
            Kind::Quote => match self.quote.rank(id, message.ts_event) {
                Rank::New(_) => Admit::Accept,
                Rank::Anew(_) => {
                    self.counts[Kind::Quote as usize - 1].restarts += 1;
                    Admit::Accept
                }
                Rank::Old => Admit::Duplicate,
            },
            Kind::BookDiff if (id, message.sequence_prev) == self.diff => Admit::Duplicate,
            Kind::BookDiff => {
                self.diff = (id, message.sequence_prev);
                Admit::Accept
            }
            Kind::BookSnapshot | Kind::Bar | Kind::Mark | Kind::Status => Admit::Accept,
        }
    }

    #[inline]
    fn follow_trade(&mut self, message: &Message<'_>) -> Admit {
        let got = message.sequence;
        let last = match self.trade.rank(got, message.ts_event) {
            Rank::New(last) => last,
            Rank::Old => return Admit::Duplicate,
            Rank::Anew(last) => {
                self.counts[Kind::Trade as usize - 1].restarts += 1;
                return Admit::Gap {
                    expected: last.saturating_add(1),
                    got,
                    missing: 0,
                };
            }
        };
        let expected = last.saturating_add(1);
        if last != NO_SEQUENCE && message.sequence_prev != NO_RULE && got > expected {
            Admit::Gap {
                expected,
                got,
                missing: got - expected,
            }
        } else {
            Admit::Accept
        }
    }

    /// A print off the book is no event: a gap before it is told with the next trade.
    #[cold]
    fn set_aside(&mut self, message: &Message<'_>, admit: Admit) -> Admit {
        match admit {
            Admit::Accept | Admit::Gap { .. } => {}
            other => return other,
        }
        if let Admit::Gap {
            expected,
            got,
            missing,
        } = admit
        {
            let before = self.gap.map_or(0, |gap| gap[2]);
            self.gap = Some([expected, got, missing.saturating_add(before)]);
        }
        if message.is_off_book() {
            return Admit::OffBook;
        }
        match self.gap.take() {
            Some([expected, got, missing]) => Admit::Gap {
                expected,
                got,
                missing,
            },
            None => admit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signal_event::{EventBatch, EventBatchBuilder, Header, Instrument, InstrumentTable, Side};
    use std::sync::Arc;

    fn header(kind: Kind, ts_recv: i64, sequence: u64) -> Header {
        Header {
            kind,
            instrument: 0,
            sequence,
            sequence_prev: sequence.wrapping_sub(1),
            ..Header::mark(ts_recv)
        }
    }

    fn batch(headers: &[Header]) -> EventBatch {
        let table = InstrumentTable::of([Instrument::new("A.X"), Instrument::new("B.X")]).unwrap();
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
        let table = Arc::new(InstrumentTable::of([Instrument::new("A.X")]).unwrap());
        for (id, marked, qty) in [(1, false, 5), (3, true, 5), (4, false, 0), (5, false, 5)] {
            builder.push_row(1, 100, qty);
            if marked {
                builder.mark_row(signal_event::flags::OFF_BOOK);
            }
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
                let arrival = sequencer.arrive(&message);
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
                instrument: 1,
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
            instrument in 0u16..2, ts_recv in 0i64..40, sequence in 0u64..12, ruled: bool,
        ) -> Header {
            let header = Header { instrument, ..header(kind, ts_recv, sequence) };
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
        let table = InstrumentTable::of([Instrument {
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
            let arrival = sequencer.arrive(&batch.messages().next().unwrap());
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
    fn what_waits_is_judged_by_its_ids_in_its_turn() {
        let mut sequencer = Sequencer::on_venue_time(1_000, 10);
        let batches = [3, 2].map(|id| one(venue(Kind::Trade, 100 + id as i64, id)));
        for batch in &batches {
            assert_eq!(
                sequencer.arrive(&batch.messages().next().unwrap()),
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
}
