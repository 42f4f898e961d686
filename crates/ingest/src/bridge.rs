//! From what was recorded to what is live: nothing twice, and what is missing between is known.

use std::sync::Arc;

use signal_event::{
    EventBatch, EventBatchBuilder, InstrumentId, Instruments, Kind, Message, NO_INSTRUMENT,
    NO_RULE, NO_SEQUENCE, NO_TIME, Timestamp,
};

/// How long after the end of the history, by receive time, a live message may still be one of it.
const OVERLAP_NS: i64 = 600_000_000_000;

/// A lower id than the last is an older message, unless its time is so much newer: then ids have begun anew.
const ANEW_NS: i64 = 1_000_000_000;

/// Streams whose missing ids are named one by one.
const NAMED_MAX: usize = 20;

const KINDS: usize = Kind::ALL.len() + 1;

/// Passes what comes behind a history and drops what that holds: by its id where the venue numbers a stream's messages, else
/// by its receive time. Of each stream it notes how many ids are missing between the history's last message and the first
/// that passed.
///
/// Instruments are known by their ids; the diffs and snapshots of a book are one stream.
///
/// Invariants: `unmet` is the number of slots of `ends` with an end that is not met.
#[derive(Clone, Debug, Default)]
pub struct Bridge {
    /// By instrument of the history, then by kind.
    ends: Vec<[End; KINDS]>,
    table: Arc<Instruments>,
    /// Of each live instrument its index in `ends`.
    known: Vec<Option<usize>>,
    unmet: usize,
    bridged: Bridged,
}

/// The last message of one of the history's streams.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    there: bool,
    met: bool,
    sequence: u64,
    ts_recv: Timestamp,
    time: Timestamp,
}

/// What became of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridged {
    /// Messages of the history.
    pub messages: u64,
    /// Receive time of its newest message.
    pub ends: Option<Timestamp>,
    /// Receive time of the first live message that is not in it.
    pub begins: Option<Timestamp>,
    /// Live messages that were in it.
    pub overlap: u64,
    /// Its streams (instrument and kind) that live messages continue.
    pub streams: u64,
    /// Ids missing between, all streams together.
    pub missing: u64,
    /// The first streams that lack some: instrument, kind, how many.
    pub lacking: Vec<(String, Kind, u64)>,
}

impl Bridge {
    /// A message of the history was used.
    pub fn history(&mut self, batch: &EventBatch) {
        if !Arc::ptr_eq(&self.table, batch.instruments()) {
            self.table = batch.instruments().clone();
        }
        for message in batch.messages() {
            self.bridged.messages += 1;
            let newest = self.bridged.ends.get_or_insert(message.ts_recv);
            *newest = message.ts_recv.max(*newest);
            let Some(slot) = slot(&message) else { continue };
            let at = message.instrument.place();
            if self.ends.len() <= at {
                self.ends.resize(at + 1, [End::default(); KINDS]);
            }
            let end = &mut self.ends[at][slot];
            if !end.there {
                self.unmet += 1;
                end.there = true;
            }
            if message.sequence != NO_SEQUENCE {
                end.sequence = message.sequence;
            }
            end.ts_recv = end.ts_recv.max(message.ts_recv);
            end.time = end.time.max(time(&message));
        }
    }

    /// What of a live batch is not in the history.
    pub fn live(&mut self, batch: EventBatch) -> EventBatch {
        let mut kept: Vec<std::ops::Range<usize>> = Vec::new();
        let mut dropped = 0;
        for message in batch.messages() {
            if self.holds(&message) {
                dropped += 1;
                continue;
            }
            self.bridged.begins.get_or_insert(message.ts_recv);
            match kept.last_mut() {
                Some(last) if last.end == message.rows.start => last.end = message.rows.end,
                _ => kept.push(message.rows),
            }
        }
        self.bridged.overlap += dropped;
        if dropped == 0 {
            return batch;
        }
        let mut builder = EventBatchBuilder::new();
        for rows in kept {
            builder.extend(&batch, rows, &[]);
        }
        builder.finish(batch.instruments())
    }

    /// Whether every stream of the history is continued, or live time is so far behind its end that no message can be in it.
    pub fn is_done(&self, now: Timestamp) -> bool {
        let ends = self.bridged.ends.unwrap_or(Timestamp::MIN);
        self.unmet == 0 || now > ends.saturating_add(OVERLAP_NS)
    }

    /// What became of the history so far.
    pub fn bridged(&self) -> &Bridged {
        &self.bridged
    }

    /// Whether the history holds a live message; if not, its stream is continued with it.
    fn holds(&mut self, message: &Message<'_>) -> bool {
        let Some((at, slot)) = self.place(message) else {
            return false;
        };
        let end = &mut self.ends[at][slot];
        if !end.there || end.met {
            return false;
        }
        let numbered = message.sequence != NO_SEQUENCE && end.sequence != NO_SEQUENCE;
        let held = match numbered {
            true => {
                message.sequence <= end.sequence
                    && time(message) <= end.time.saturating_add(ANEW_NS)
            }
            false => message.ts_recv <= end.ts_recv,
        };
        if held {
            return true;
        }
        end.met = true;
        self.unmet -= 1;
        self.bridged.streams += 1;
        let missing = match message.kind {
            _ if !numbered || message.sequence <= end.sequence => 0,
            Kind::Trade => message.sequence - end.sequence - 1,
            Kind::BookDiff if message.sequence_prev != NO_RULE => {
                message.sequence_prev.saturating_sub(end.sequence)
            }
            _ => 0,
        };
        if missing > 0 {
            self.bridged.missing = self.bridged.missing.saturating_add(missing);
            if self.bridged.lacking.len() < NAMED_MAX {
                let id = message
                    .instrument()
                    .map_or_else(String::new, |i| i.id.clone());
                self.bridged.lacking.push((id, message.kind, missing));
            }
        }
        false
    }

    /// Where the end of a live message's stream stands.
    fn place(&mut self, message: &Message<'_>) -> Option<(usize, usize)> {
        let slot = slot(message)?;
        let at = message.instrument.place();
        while self.known.len() <= at {
            let number = InstrumentId::at(self.known.len());
            let id = message.batch.instruments().get(number);
            let found = id
                .and_then(|id| self.table.id(&id.id))
                .map(InstrumentId::place);
            self.known.push(found.filter(|&at| at < self.ends.len()));
        }
        Some((self.known[at]?, slot))
    }
}

/// The place of a message's stream among those of its instrument; `None` where it belongs to none.
fn slot(message: &Message<'_>) -> Option<usize> {
    match message.kind {
        _ if message.instrument == NO_INSTRUMENT => None,
        Kind::BookSnapshot => Some(Kind::BookDiff as usize),
        kind => Some(kind as usize),
    }
}

/// When a message happened, or came where it does not say.
fn time(message: &Message<'_>) -> Timestamp {
    match message.ts_event {
        NO_TIME => message.ts_recv,
        time => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_event::{Header, Instrument};

    /// Trades of `AB` with these ids, one a millisecond, at `ms = id`.
    fn trades(ids: std::ops::Range<u64>) -> EventBatch {
        events(ids.map(|id| (Kind::Trade, id, NO_RULE, id as i64)))
    }

    fn events(messages: impl Iterator<Item = (Kind, u64, u64, i64)>) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for (kind, sequence, sequence_prev, ms) in messages {
            let header = Header {
                kind,
                instrument: InstrumentId(0),
                sequence,
                sequence_prev,
                ts_event: ms * 1_000_000,
                ..Header::mark(ms * 1_000_000)
            };
            builder.push(header, 1, 1, 1);
        }
        let table = Instruments::of([Instrument::new("AB.X")]).unwrap();
        builder.finish(&Arc::new(table))
    }

    fn ids(batch: &EventBatch) -> Vec<u64> {
        batch.messages().map(|message| message.sequence).collect()
    }

    fn bridge(history: &EventBatch) -> Bridge {
        let mut bridge = Bridge::default();
        bridge.history(history);
        bridge
    }

    #[test]
    fn what_the_history_holds_is_dropped_and_what_is_missing_is_counted() {
        let mut overlapped = bridge(&trades(1..10));
        assert!(!overlapped.is_done(0));
        assert!(overlapped.live(trades(5..9)).is_empty());
        assert_eq!(ids(&overlapped.live(trades(9..12))), [10, 11]);
        assert!(overlapped.is_done(0));
        let found = overlapped.bridged();
        assert_eq!(
            (found.messages, found.overlap, found.streams, found.missing),
            (9, 5, 1, 0)
        );
        assert_eq!(
            (found.ends, found.begins),
            (Some(9_000_000), Some(10_000_000))
        );

        let mut torn = bridge(&trades(1..10));
        assert_eq!(ids(&torn.live(trades(14..16))), [14, 15]);
        assert_eq!(torn.bridged().missing, 4);
        assert_eq!(torn.bridged().lacking, [("AB.X".into(), Kind::Trade, 4)]);
    }

    #[test]
    fn a_book_goes_on_by_its_links_and_other_streams_by_their_times() {
        let link = |prev: u64, id: u64, ms: i64| (Kind::BookDiff, id, prev, ms);
        let mut book = bridge(&events([link(0, 10, 1), link(10, 14, 2)].into_iter()));
        let older = (Kind::BookSnapshot, 12, NO_RULE, 3);
        let live = events([older, link(10, 14, 4), link(14, 20, 5)].into_iter());
        assert_eq!(ids(&book.live(live)), [20]);
        assert_eq!((book.bridged().missing, book.bridged().overlap), (0, 2));
        let mut torn = bridge(&events([link(0, 10, 1)].into_iter()));
        torn.live(events([link(13, 14, 2)].into_iter()));
        assert_eq!(torn.bridged().missing, 3);

        let bar = |ms| (Kind::Bar, NO_SEQUENCE, NO_RULE, ms);
        let mut bars = bridge(&events([bar(1), bar(2)].into_iter()));
        let kept = bars.live(events([bar(2), bar(3)].into_iter()));
        assert_eq!(kept.ts_recv(), [3_000_000]);
    }

    #[test]
    fn ids_that_began_anew_are_no_overlap_and_streams_that_end_are_not_waited_for() {
        let mut bridge = bridge(&trades(5_000..5_003));
        let anew = events([(Kind::Trade, 1, NO_RULE, 7_000)].into_iter());
        assert_eq!(ids(&bridge.live(anew)), [1]);
        assert_eq!(bridge.bridged().missing, 0);
        let ended = self::bridge(&trades(1..3));
        assert!(!ended.is_done(2_000_000 + OVERLAP_NS) && ended.is_done(2_000_001 + OVERLAP_NS));
        assert!(Bridge::default().is_done(0));
    }
}
