//! Judges each message by time and by the venue's ids.

use std::collections::BTreeMap;

use signal_event::{Kind, Message, NO_INSTRUMENT, NO_RULE, NO_SEQUENCE, NO_TIME, Timestamp};

use crate::RejectCode;

mod saved;

pub use saved::SequencerError;

/// How far a receive time may lie ahead of everything before it, unless the caller says otherwise: 7 days.
pub const JUMP_MAX_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// The verdict on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// In order.
    Accept,
    /// Accepted; ids before it are missing.
    Gap {
        /// The id that should have come.
        expected: u64,
        /// The id that came.
        got: u64,
        /// How many ids are missing.
        missing: u64,
    },
    /// Its id has been seen, or passed over.
    Duplicate,
    /// Received, by its own time, before something already accepted.
    Late,
    /// Refused.
    Reject(RejectCode),
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
        self.missing += other.missing;
    }

    /// Whether every input met exactly one verdict.
    pub fn balances(&self) -> bool {
        self.input == self.accepted + self.duplicate + self.late + self.rejected
    }
}

/// Judges the messages of one merged stream. Time is one for all instruments, ids are per instrument and kind.
///
/// - Time is the receive time, or the venue's with a lateness. A message whose time lies more than the lateness before the
///   newest accepted one (before the *watermark*) is late; on receive time the lateness is 0. One more than `jump_max_ns`
///   ahead is refused and does not move time.
/// - On venue time messages are judged by time when they arrive and by ids in their turn. A trade, quote or diff without one is refused. Snapshots and status without one belong to the newest
///   venue time seen; marks, which tell receive time, say nothing.
/// - Trades: the next id is the last plus one; a lower one is a duplicate, a higher one a gap.
/// - Quotes: ids rise, with holes (the venue numbers book changes); one that does not is a duplicate.
/// - Book diffs: whether one follows is the book's to judge; here only an immediate repeat is a duplicate.
/// - Snapshots, bars, marks and status have no rule but time's, nor do messages without an id.
///
/// Invariants: the counts balance; `newest` is the greatest accepted time, and never falls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequencer {
    jump_max_ns: i64,
    /// Whether time is the venue's.
    venue: bool,
    lateness_ns: i64,
    newest: Option<Timestamp>,
    streams: Vec<Stream>,
    unnamed: [Counts; KINDS],
}

/// The streams of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stream {
    trade: u64,
    quote: u64,
    diff: (u64, u64),
    counts: [Counts; KINDS],
}

const KINDS: usize = Kind::ALL.len();

impl Default for Sequencer {
    fn default() -> Sequencer {
        Sequencer::new(JUMP_MAX_NS)
    }
}

impl Sequencer {
    /// A sequencer on receive time that has seen nothing. `jump_max_ns` is the greatest step ahead in time.
    pub fn new(jump_max_ns: i64) -> Sequencer {
        Sequencer {
            jump_max_ns,
            venue: false,
            lateness_ns: 0,
            newest: None,
            streams: Vec::new(),
            unnamed: [Counts::default(); KINDS],
        }
    }

    /// A sequencer on venue time, in which messages may come `lateness_ns` after newer ones.
    pub fn on_venue_time(jump_max_ns: i64, lateness_ns: i64) -> Sequencer {
        Sequencer {
            venue: true,
            lateness_ns: lateness_ns.max(0),
            ..Sequencer::new(jump_max_ns)
        }
    }

    /// The greatest time that was accepted.
    pub fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Up to where time is complete: what comes before it is late.
    pub fn watermark(&self) -> Option<Timestamp> {
        Some(self.newest?.saturating_sub(self.lateness_ns))
    }

    /// The time of an accepted message; `None` where it has none of its own and none was seen yet.
    #[inline]
    pub fn time(&self, message: &Message<'_>) -> Option<Timestamp> {
        match (self.venue, message.ts_event) {
            (false, _) => Some(message.ts_recv),
            (true, NO_TIME) => self.newest,
            (true, time) => Some(time),
        }
    }

    /// Judges a message, by time and ids, and remembers it.
    #[inline]
    pub fn admit(&mut self, message: &Message<'_>) -> Admit {
        match self.timely(message) {
            Some(refusal) => self.count(message, refusal),
            None => {
                let admit = self.follow(message);
                if matches!(admit, Admit::Accept | Admit::Gap { .. }) {
                    self.newest = self.newest.max(self.time(message));
                }
                admit
            }
        }
    }

    /// Judges a message by its time alone and moves time on: a refusal is counted, and `None` says that the message may
    /// wait for its turn, and for [`Sequencer::follow`].
    pub fn arrive(&mut self, message: &Message<'_>) -> Option<Admit> {
        match self.timely(message) {
            Some(refusal) => Some(self.count(message, refusal)),
            None => {
                self.newest = self.newest.max(self.time(message));
                None
            }
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

    #[inline]
    fn timely(&self, message: &Message<'_>) -> Option<Admit> {
        let bare = self.venue && message.ts_event == NO_TIME;
        if bare {
            let placed = matches!(message.kind, Kind::BookSnapshot | Kind::Mark | Kind::Status);
            return (!placed).then_some(Admit::Reject(RejectCode::NoVenueTime));
        }
        let (newest, time) = (self.newest?, self.time(message)?);
        if time < newest.saturating_sub(self.lateness_ns) {
            Some(Admit::Late)
        } else if time.saturating_sub(newest) > self.jump_max_ns {
            Some(Admit::Reject(RejectCode::Future))
        } else {
            None
        }
    }
}

impl Stream {
    #[inline]
    fn follow(&mut self, message: &Message<'_>) -> Admit {
        let id = message.sequence;
        if id == NO_SEQUENCE {
            return Admit::Accept;
        }
        match message.kind {
            Kind::Trade => follow_trade(&mut self.trade, id, message.sequence_prev),
            Kind::Quote if id <= self.quote => Admit::Duplicate,
            Kind::Quote => {
                self.quote = id;
                Admit::Accept
            }
            Kind::BookDiff if (id, message.sequence_prev) == self.diff => Admit::Duplicate,
            Kind::BookDiff => {
                self.diff = (id, message.sequence_prev);
                Admit::Accept
            }
            Kind::BookSnapshot | Kind::Bar | Kind::Mark | Kind::Status => Admit::Accept,
        }
    }
}

#[inline]
fn follow_trade(last: &mut u64, id: u64, previous: u64) -> Admit {
    if id <= *last {
        return Admit::Duplicate;
    }
    let begun = *last != NO_SEQUENCE;
    let expected = *last + 1;
    let ruled = previous != NO_RULE;
    *last = id;
    if begun && ruled && id > expected {
        Admit::Gap {
            expected,
            got: id,
            missing: id - expected,
        }
    } else {
        Admit::Accept
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
            builder.close(*header);
        }
        builder.finish(&Arc::new(table))
    }

    fn judge(headers: &[Header]) -> (Vec<Admit>, Sequencer) {
        let mut sequencer = Sequencer::default();
        let verdicts = batch(headers)
            .messages()
            .map(|m| sequencer.admit(&m))
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

    #[test]
    fn time_goes_forward_and_not_too_far() {
        let trade = |ts, id| header(Kind::Trade, ts, id);
        let (verdicts, sequencer) = judge(&[
            trade(100, 1),
            trade(99, 2),
            trade(101 + JUMP_MAX_NS, 2),
            Header::mark(150),
            trade(120, 2),
            trade(150, 2),
        ]);
        let future = Admit::Reject(RejectCode::Future);
        assert_eq!(
            verdicts,
            [
                Admit::Accept,
                Admit::Late,
                future,
                Admit::Accept,
                Admit::Late,
                Admit::Accept
            ]
        );
        assert_eq!(sequencer.newest(), Some(150));
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
            first.extend(batch(&headers[cut..]).messages().map(|m| restored.admit(&m)));
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
            let admit = sequencer.arrive(&batch.messages().next().unwrap());
            (admit, sequencer.watermark())
        };
        let bare = |kind| venue(kind, NO_TIME, 7);
        assert_eq!(arrive(bare(Kind::BookSnapshot)), (None, None));
        assert_eq!(arrive(venue(Kind::Trade, 100, 1)), (None, Some(90)));
        assert_eq!(arrive(venue(Kind::Trade, 90, 2)), (None, Some(90)));
        assert_eq!(
            arrive(venue(Kind::Trade, 89, 3)),
            (Some(Admit::Late), Some(90))
        );
        let refused = |code| (Some(Admit::Reject(code)), Some(90));
        assert_eq!(
            arrive(venue(Kind::Trade, 1_101, 4)),
            refused(RejectCode::Future)
        );
        assert_eq!(arrive(bare(Kind::Quote)), refused(RejectCode::NoVenueTime));
        assert_eq!(arrive(bare(Kind::Status)), (None, Some(90)));
        let total = sequencer.total();
        assert_eq!((total.input, total.late, total.rejected), (3, 1, 2));
    }

    #[test]
    fn what_waits_is_judged_by_its_ids_in_its_turn() {
        let mut sequencer = Sequencer::on_venue_time(1_000, 10);
        let batches = [3, 2].map(|id| one(venue(Kind::Trade, 100 + id as i64, id)));
        for batch in &batches {
            assert_eq!(sequencer.arrive(&batch.messages().next().unwrap()), None);
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
