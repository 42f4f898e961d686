//! The ids of one instrument: whether a message follows those before it.

use signal_event::{Kind, Message, NO_RULE, NO_SEQUENCE};

use super::ids::{Ids, Rank};
use super::{Admit, Counts, KINDS};

/// The streams of one instrument.
///
/// What a message needs lies together: with many instruments each cache line that it takes has to be waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Stream {
    pub trade: Ids,
    pub diff: (u64, u64),
    /// The gap that a print off the book showed, told with the next trade: expected, got, missing.
    pub gap: Option<Box<[u64; 3]>>,
    pub quote: Ids,
    pub counts: [Counts; KINDS],
}

impl Stream {
    /// Forgets the ids; the counts stay.
    pub fn begin_anew(&mut self) {
        let counts = self.counts;
        *self = Stream {
            counts,
            ..Stream::default()
        };
    }

    /// Names the places that the next message will touch, one in each cache line.
    #[inline]
    pub fn places(&self, touch: &mut impl FnMut(*const u8)) {
        touch(std::ptr::from_ref(&self.trade).cast());
        touch(std::ptr::from_ref(&self.quote).cast());
        for counts in &self.counts[..Kind::Trade.max(Kind::BookDiff) as usize] {
            touch(std::ptr::from_ref(&counts.accepted).cast());
        }
    }

    #[inline]
    pub fn follow(&mut self, message: &Message<'_>) -> Admit {
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
            Kind::BookSnapshot
            | Kind::Bar
            | Kind::Mark
            | Kind::Status
            | Kind::Order
            | Kind::Definition
            | Kind::Reference => Admit::Accept,
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
            let before = self.gap.as_ref().map_or(0, |gap| gap[2]);
            self.gap = Some(Box::new([expected, got, missing.saturating_add(before)]));
        }
        if message.is_off_book() {
            return Admit::OffBook;
        }
        match self.gap.take().map(|gap| *gap) {
            Some([expected, got, missing]) => Admit::Gap {
                expected,
                got,
                missing,
            },
            None => admit,
        }
    }
}
