//! Judges each message by time and by the venue's ids.

use std::collections::BTreeMap;

use signal_event::{InstrumentId, Kind, Message, NO_INSTRUMENT, NO_TIME, Timestamp};

use crate::RejectCode;

mod counts;
mod ids;
mod receive;
mod saved;
mod stream;
mod venue;

pub use counts::Counts;
use receive::ReceiveClock;
pub use receive::{Moment, Release};
pub use saved::SequencerError;
use stream::Stream;
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
    /// Late, but within what may be amended: it may take its place, and is judged there by [`Sequencer::follow`].
    Amends,
    /// It may wait for its turn, and for [`Sequencer::follow`].
    Waits,
    /// As `Waits`, and time begins anew with it: whatever waits has its turn before it.
    Anew,
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
/// is refused. Snapshots, status, definitions and reference data without one belong to the newest venue time seen; marks,
/// which tell receive time, move the venue's time on by as much as the receive clock went since the message before.
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
/// - Other kinds have no rule but time's, nor do messages without an id. A status `conflated` brings the number of messages that
///   were left out, which is counted under their kind.
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
    held: Vec<(InstrumentId, u8)>,
    streams: Vec<Stream>,
    unnamed: [Counts; KINDS],
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

    /// Judges a message on venue time by its time alone and moves time on. Late ones of a time at or after `amends_since` may
    /// be amended; `Timestamp::MAX` for none.
    pub fn arrive(&mut self, message: &Message<'_>, amends_since: Timestamp) -> Arrival {
        if message.ts_event == NO_TIME {
            let placed = matches!(
                message.kind,
                Kind::BookSnapshot | Kind::Mark | Kind::Status | Kind::Definition | Kind::Reference
            );
            return match placed {
                true => Arrival::Waits,
                false => {
                    Arrival::Refused(self.count(message, Admit::Reject(RejectCode::NoVenueTime)))
                }
            };
        }
        match self.venue_clock.read(message.ts_event, message.ts_recv) {
            Err(Admit::Late)
                if message.ts_event >= amends_since && self.venue_clock.behind.is_none() =>
            {
                Arrival::Amends
            }
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

    /// A mark says how far the receive clock went while nothing came: the venue's clock went as far.
    pub fn pass(&mut self, mark: &Message<'_>) {
        self.venue_clock.pass(mark.ts_recv);
        self.count(mark, Admit::Accept);
    }

    /// Counts a verdict that was met elsewhere: by a message that is not run again when what is late is amended.
    pub fn add_counts(&mut self, instrument: InstrumentId, kind: Kind, counts: &Counts) {
        let at = kind as usize - 1;
        match self.stream(instrument) {
            Some(stream) => stream.counts[at].add(counts),
            None => self.unnamed[at].add(counts),
        }
    }

    /// Takes over where the clocks of another sequencer stand; ids and counts stay.
    pub fn set_clocks(&mut self, other: &Sequencer) {
        (self.receive_clock, self.venue_clock) = (other.receive_clock, other.venue_clock);
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

    /// Names the places that the next message of an instrument will touch, for who wants them in the cache before.
    #[inline]
    pub fn places(&self, instrument: InstrumentId, touch: &mut impl FnMut(*const u8)) {
        if let Some(stream) = self.streams.get(instrument.place()) {
            stream.places(touch);
        }
    }

    #[inline]
    fn stream(&mut self, instrument: InstrumentId) -> Option<&mut Stream> {
        let at = instrument.place();
        if at >= self.streams.len() && instrument != NO_INSTRUMENT {
            self.streams.resize(at + 1, Stream::default());
        }
        self.streams.get_mut(at)
    }

    /// Counts what was left out before the next message of a stream.
    #[cold]
    fn count_conflated(&mut self, message: &Message<'_>) {
        let Some((kind, count)) = message.conflated() else {
            return;
        };
        if let Some(stream) = self.stream(message.instrument) {
            let counts = &mut stream.counts[kind as usize - 1];
            counts.input += count;
            counts.conflated += count;
        }
    }

    #[inline]
    fn count(&mut self, message: &Message<'_>, admit: Admit) -> Admit {
        if message.kind == Kind::Status {
            self.count_conflated(message);
        }
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
    pub fn counts(&self) -> BTreeMap<(InstrumentId, Kind), Counts> {
        let named = self
            .streams
            .iter()
            .enumerate()
            .map(|(at, stream)| (InstrumentId::at(at), &stream.counts));
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

#[cfg(test)]
mod tests;
