//! When a book has to be fetched: what the ids of depth messages say, without the levels.

use std::time::{Duration, Instant};

use signal_event::{
    Event, Kind, Message, NO_RULE, NO_SEQUENCE, NO_TIME, OrderAction, Side, Timestamp,
};

/// A diff whose venue time is newer by more than this than any before it is new, whatever its id: as in the book's rules.
const NEWER_NS: i64 = 1_000_000_000;

/// Requests in a row that the venue may leave without a book; then the connection itself is made anew.
const UNANSWERED_MAX: u32 = 3;

/// What an instrument's depth stream needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// A whole book.
    Book,
    /// Another connection: on this one no book comes, however often it is asked for.
    Connection,
}

/// One instrument's depth stream on one connection: an unbroken run of diffs, and whether a snapshot belongs to it.
///
/// The book itself is joined behind the feed, by the same ids; this decides only when to ask the venue for a whole one.
/// It asks when a diff has come, never before: a snapshot that comes first could be older than the stream, and would
/// stand as a book until the next diff shows it.
#[derive(Clone, Debug, Default)]
pub(super) struct DepthRun {
    /// The id that the run's first diff follows, and its newest id.
    run: Option<(u64, u64)>,
    /// Venue time of the newest diff.
    newest: Option<Timestamp>,
    /// Receive time of the newest snapshot.
    whole_at: Timestamp,
    /// A snapshot is needed.
    wants: bool,
    /// It was asked for, and has not come.
    asked: bool,
    /// The venue sends snapshots on the stream, first of all when depth is subscribed.
    on_stream: bool,
    /// When a snapshot that was asked for on the stream is given up.
    due: Option<Instant>,
    /// Requests in a row that were given up.
    given_up: u32,
    /// Requests since a snapshot was of use.
    pub(super) tries: u32,
    /// Snapshots that were asked for.
    pub(super) requests: u64,
    /// Breaks of the run.
    pub(super) gaps: u64,
    /// Snapshots that were older than the run.
    pub(super) stale: u64,
    /// Requests that were given up.
    pub(super) unanswered: u64,
}

impl DepthRun {
    /// A run of which nothing is known. `on_stream`: the venue sends a snapshot when depth is subscribed.
    pub(super) fn new(on_stream: bool) -> DepthRun {
        DepthRun {
            on_stream,
            ..DepthRun::default()
        }
    }

    /// The connection was lost: all but the counts begins anew.
    pub(super) fn lost(&mut self) {
        *self = DepthRun {
            requests: self.requests,
            gaps: self.gaps,
            stale: self.stale,
            unanswered: self.unanswered,
            ..DepthRun::new(self.on_stream)
        };
    }

    /// Takes note of a message of the instrument.
    pub(super) fn see(&mut self, message: &Message<'_>) {
        match message.kind {
            Kind::BookDiff => self.diff(message),
            Kind::BookSnapshot => self.snapshot(message),
            Kind::Order if begins_anew(message) => self.snapshot(message),
            Kind::Order => self.diff(message),
            _ => {}
        }
    }

    fn diff(&mut self, message: &Message<'_>) {
        let (sequence, prev) = (message.sequence, message.sequence_prev);
        if sequence == NO_SEQUENCE {
            return;
        }
        let before = if prev == NO_RULE {
            sequence.saturating_sub(1)
        } else {
            prev
        };
        let time = Some(message.ts_event).filter(|time| *time != NO_TIME);
        match &mut self.run {
            None => {
                self.run = Some((before, sequence));
                self.wants |= !self.on_stream;
            }
            Some((_, last)) => {
                let newer = self.newest.zip(time);
                let newer =
                    newer.is_some_and(|(newest, time)| time.saturating_sub(newest) > NEWER_NS);
                if (prev != NO_RULE && prev > *last) || (sequence <= *last && newer) {
                    self.gaps += 1;
                    self.run = Some((before, sequence));
                    self.wants = true;
                } else if self.on_stream && prev == *last {
                    *last = sequence; // also where the venue's ids begin anew behind this link
                } else {
                    *last = sequence.max(*last);
                }
            }
        }
        self.newest = self.newest.max(time);
    }

    fn snapshot(&mut self, message: &Message<'_>) {
        let sequence = message.sequence;
        self.whole_at = message.ts_recv;
        self.asked = false;
        self.wants = false;
        self.due = None;
        self.given_up = 0;
        match &mut self.run {
            // Orders have ids of their own; nobody can say that these are too old.
            _ if sequence == NO_SEQUENCE => {}
            Some((before, _)) if sequence < *before && !self.on_stream => {
                self.stale += 1;
                self.wants = true;
                return;
            }
            Some((_, last)) if !self.on_stream => *last = sequence.max(*last),
            run => *run = Some((sequence, sequence)),
        }
        self.tries = 0;
    }

    /// Somebody behind the feed does not trust the book since a message; a snapshot behind that settled it.
    pub(super) fn distrust(&mut self, since: Timestamp) {
        self.wants |= since > self.whole_at;
    }

    /// Whether to ask for a snapshot now; then it counts as asked for. One that was asked for on the stream and has not come
    /// within `patience` is asked for again; the patience doubles with each.
    pub(super) fn needs(&mut self, now: Instant, patience: Duration) -> Need {
        if self.asked && self.due.is_some_and(|due| due <= now) {
            self.asked = false;
            self.due = None;
            self.wants = true;
            self.unanswered += 1;
            self.given_up += 1;
            if self.given_up >= UNANSWERED_MAX {
                self.asked = true; // nothing more on this connection
                return Need::Connection;
            }
        }
        if !self.wants || self.asked {
            return Need::Nothing;
        }
        self.asked = true;
        self.tries += 1;
        self.requests += 1;
        if self.on_stream {
            let patience = patience.saturating_mul(1 << self.given_up);
            self.due = now.checked_add(patience);
        }
        Need::Book
    }

    /// What was asked for has come; whether it is of use, [`DepthRun::see`] finds.
    pub(super) fn answered(&mut self) {
        self.asked = false;
    }

    /// Whether a snapshot was asked for and has not come.
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }
}

/// Whether a message of orders tells all of them: it clears the book first.
fn begins_anew(message: &Message<'_>) -> bool {
    match message.event() {
        Event::Orders(mut orders) => {
            let first = orders.next();
            first
                .is_some_and(|order| order.action == OrderAction::Clear && order.side == Side::None)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use signal_event::{EventBatchBuilder, Header, Instrument, InstrumentId, Instruments};

    fn see(run: &mut DepthRun, kind: Kind, sequence: u64, sequence_prev: u64, ts_event: i64) {
        let table = Instruments::of([Instrument::new("A.X")]).unwrap();
        let mut builder = EventBatchBuilder::new();
        let (instrument, ts_recv) = (InstrumentId::at(0), 0);
        builder.close(Header {
            kind,
            instrument,
            ts_recv,
            ts_event,
            sequence,
            sequence_prev,
        });
        let batch = builder.finish(&Arc::new(table));
        batch.messages().for_each(|message| run.see(&message));
    }

    impl DepthRun {
        fn asks(&mut self) -> bool {
            self.needs(Instant::now(), Duration::from_secs(3_600)) == Need::Book
        }
    }

    fn diff(run: &mut DepthRun, prev: u64, sequence: u64) {
        see(run, Kind::BookDiff, sequence, prev, NO_TIME);
    }

    fn snapshot(run: &mut DepthRun, sequence: u64) {
        see(run, Kind::BookSnapshot, sequence, NO_RULE, NO_TIME);
    }

    #[test]
    fn a_snapshot_is_asked_for_once_a_diff_has_come_and_again_at_a_gap() {
        let mut run = DepthRun::new(false);
        assert!(!run.asks());
        diff(&mut run, 9, 12);
        assert!(run.asks() && !run.asks() && run.is_asked());
        diff(&mut run, 12, 15);
        snapshot(&mut run, 13);
        assert!(!run.is_asked() && !run.asks() && run.gaps == 0);
        diff(&mut run, 14, 18); // it overlaps the one before
        diff(&mut run, 12, 15); // it comes a second time
        assert!(!run.asks());
        diff(&mut run, 19, 20);
        assert!(run.asks() && run.gaps == 1);
        diff(&mut run, 18, 19); // what was missing, too late
        assert!(!run.asks() && run.gaps == 1);
    }

    #[test]
    fn a_snapshot_older_than_the_run_is_asked_for_again() {
        let mut run = DepthRun::new(false);
        diff(&mut run, 9, 12);
        assert!(run.asks());
        snapshot(&mut run, 8);
        assert!(run.stale == 1 && run.asks());
        diff(&mut run, 14, 15); // a gap while the answer is on its way: it is too old for what follows
        assert!(!run.asks());
        snapshot(&mut run, 12);
        assert!(run.stale == 2 && run.asks() && run.tries == 3);
        snapshot(&mut run, 14);
        assert!(!run.asks() && run.tries == 0 && run.requests == 3);
        diff(&mut run, 15, 16);
        assert!(!run.asks() && run.gaps == 1);
    }

    #[test]
    fn ids_that_begin_anew_are_a_gap_by_their_venue_time() {
        let mut run = DepthRun::new(false);
        see(&mut run, Kind::BookDiff, 1_000, 999, 5_000_000_000);
        assert!(run.asks());
        snapshot(&mut run, 1_000);
        see(&mut run, Kind::BookDiff, 7, 6, 5_900_000_000);
        assert!(!run.asks());
        see(&mut run, Kind::BookDiff, 9, 8, 6_900_000_001);
        assert!(run.asks() && run.gaps == 1);
    }

    #[test]
    fn a_venue_that_sends_snapshots_is_asked_only_after_a_gap() {
        let mut run = DepthRun::new(true);
        diff(&mut run, 4, 5);
        assert!(!run.asks());
        snapshot(&mut run, 7);
        diff(&mut run, 7, 8);
        assert!(!run.asks());
        diff(&mut run, 9, 10);
        assert!(run.asks() && !run.asks());
        snapshot(&mut run, 2); // its ids begin anew with a snapshot
        diff(&mut run, 2, 3);
        assert!(!run.asks());
        run.distrust(0); // that was before the latest snapshot
        assert!(!run.asks());
        run.distrust(1);
        assert!(run.asks());
        run.lost();
        assert!(!run.asks() && run.gaps == 1);
    }

    #[test]
    fn a_venue_that_does_not_answer_is_asked_again_and_then_left() {
        let (begun, patience) = (Instant::now(), Duration::from_secs(10));
        let mut run = DepthRun::new(true);
        snapshot(&mut run, 7);
        diff(&mut run, 9, 10);
        let mut needs = |seconds| run.needs(begun + Duration::from_secs(seconds), patience);
        assert_eq!(
            [needs(0), needs(0), needs(9)],
            [Need::Book, Need::Nothing, Need::Nothing]
        );
        assert_eq!([needs(10), needs(29)], [Need::Book, Need::Nothing]);
        assert_eq!(
            [needs(30), needs(69), needs(70)],
            [Need::Book, Need::Nothing, Need::Connection]
        );
        assert_eq!((run.unanswered, run.requests), (3, 3));
        run.lost();
        snapshot(&mut run, 20);
        assert_eq!(
            run.needs(begun + Duration::from_secs(999), patience),
            Need::Nothing
        );
        assert_eq!(run.unanswered, 3);
    }

    #[test]
    fn a_late_answer_ends_the_asking() {
        let (begun, patience) = (Instant::now(), Duration::from_secs(10));
        let mut run = DepthRun::new(true);
        snapshot(&mut run, 7);
        diff(&mut run, 9, 10);
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(run.needs(at(0), patience), Need::Book);
        assert_eq!(run.needs(at(10), patience), Need::Book);
        snapshot(&mut run, 11);
        diff(&mut run, 12, 13); // another gap: the patience is the first again
        assert_eq!(run.needs(at(20), patience), Need::Book);
        assert_eq!(run.needs(at(29), patience), Need::Nothing);
        assert_eq!(run.needs(at(30), patience), Need::Book);
        assert_eq!(run.unanswered, 2);
    }

    #[test]
    fn a_book_by_http_is_the_requests_own_affair() {
        let mut run = DepthRun::new(false);
        diff(&mut run, 9, 12);
        let begun = Instant::now();
        assert_eq!(run.needs(begun, Duration::from_secs(1)), Need::Book);
        assert_eq!(
            run.needs(begun + Duration::from_secs(3_600), Duration::from_secs(1)),
            Need::Nothing
        );
    }
}
