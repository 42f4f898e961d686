//! Where bars of time begin and end.

use std::sync::Arc;

use signal_event::Timestamp;

use super::BarError;

/// Cuts time into spans, of which some are bars. Every moment lies in one span, and spans follow each other without a hole.
#[derive(Clone, Debug, PartialEq)]
pub enum Grid {
    /// Bars of this length from multiples of it since 1970 UTC; the first and the last are cut off at the ends of time.
    Even(i64),
    /// Bars of this length from the opening of each session, the last of a session cut off at its end. What lies between
    /// sessions is in no bar.
    Sessions(i64, Arc<[Session]>),
}

/// A span in which a venue trades: from `open` to before `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its first moment.
    pub open: Timestamp,
    /// The first moment after it.
    pub close: Timestamp,
}

/// From `start` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Whether it is a bar.
    pub counts: bool,
}

impl Grid {
    /// The grid, if its length is above zero, and its sessions are in order and none is empty.
    pub fn checked(self) -> Result<Grid, BarError> {
        if self.length() <= 0 {
            return Err(BarError::Length(self.length()));
        }
        if let Grid::Sessions(_, sessions) = &self {
            let empty = sessions.iter().any(|session| session.close <= session.open);
            let disorder = |pair: &[Session]| pair[1].open < pair[0].close;
            if empty || sessions.windows(2).any(disorder) {
                return Err(BarError::Sessions);
            }
        }
        Ok(self)
    }

    /// Length of its bars in nanoseconds.
    pub fn length(&self) -> i64 {
        match self {
            Grid::Even(len_ns) | Grid::Sessions(len_ns, _) => *len_ns,
        }
    }

    /// The span that holds `ts`.
    pub(super) fn span(&self, ts: Timestamp) -> Span {
        match self {
            Grid::Even(len_ns) => {
                let start = ts.saturating_sub(ts.rem_euclid(*len_ns));
                // Only a bar cut off at the beginning of time starts between multiples.
                let rest = len_ns - start.rem_euclid(*len_ns);
                Span {
                    start,
                    end: start.saturating_add(rest),
                    counts: true,
                }
            }
            Grid::Sessions(len_ns, sessions) => {
                let next = sessions.partition_point(|session| session.close <= ts);
                match sessions.get(next) {
                    Some(session) if session.open <= ts => {
                        let start = ts - (ts - session.open).rem_euclid(*len_ns);
                        Span {
                            start,
                            end: start.saturating_add(*len_ns).min(session.close),
                            counts: true,
                        }
                    }
                    later => Span {
                        start: match next {
                            0 => Timestamp::MIN,
                            _ => sessions[next - 1].close,
                        },
                        end: later.map_or(Timestamp::MAX, |session| session.open),
                        counts: false,
                    },
                }
            }
        }
    }

    /// Start and end of the bar that holds `ts`; `None` between sessions.
    pub fn bar(&self, ts: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let span = self.span(ts);
        span.counts.then_some((span.start, span.end))
    }

    /// The end of the bar, or of the time between sessions, that holds `ts`.
    pub fn next(&self, ts: Timestamp) -> Timestamp {
        self.span(ts).end
    }

    /// The first end of a bar after `ts`; the end of time if there is none.
    pub fn next_end(&self, ts: Timestamp) -> Timestamp {
        match self.span(ts) {
            Span {
                end, counts: true, ..
            } => end,
            Span {
                end: Timestamp::MAX,
                ..
            } => Timestamp::MAX,
            Span { end, .. } => self.span(end).end,
        }
    }
}
