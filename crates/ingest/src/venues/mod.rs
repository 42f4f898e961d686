//! The venues: a file and a line in the table each.

use signal_event::{BookRule, ChecksumKind, Timestamp};

use crate::{Decode, Events, Outcome, Reject};

macro_rules! venues {
    ($($(#[$doc:meta])* $venue:ident = $name:literal in $file:ident, recordings $recordings:expr, scales $scales:expr, book $rule:expr;)+) => {
        $($(#[$doc])* pub mod $file;)+

        /// The venues whose frames are decoded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Venue { $($(#[$doc])* $venue,)+ }

        impl Venue {
            /// Every venue.
            pub const ALL: &'static [Venue] = &[$(Venue::$venue,)+];

            /// The name in settings; in capitals it is what the venue's instrument ids end with.
            pub const fn name(self) -> &'static str {
                match self { $(Venue::$venue => $name,)+ }
            }

            /// The names of the venue in the headers of recordings.
            const fn recordings(self) -> &'static [&'static str] {
                match self { $(Venue::$venue => &$recordings,)+ }
            }

            /// Decimal places of prices and quantities unless an instrument declares others.
            pub(crate) const fn scales(self) -> (u8, u8) {
                match self { $(Venue::$venue => $scales,)+ }
            }

            /// How its depth messages become a book.
            pub const fn rule(self) -> BookRule {
                match self { $(Venue::$venue => $rule,)+ }
            }

            /// Texts that tell the venue's frames.
            fn signs(self) -> &'static [&'static [&'static str]] {
                match self { $(Venue::$venue => <$file::Decoder as Decode>::SIGNS,)+ }
            }

            /// A decoder that has seen nothing.
            pub(crate) fn decoder(self) -> Decoder {
                match self { $(Venue::$venue => Decoder::$venue(Box::default()),)+ }
            }
        }

        /// A venue's decoder.
        #[derive(Clone, Debug)]
        pub(crate) enum Decoder { $($venue(Box<$file::Decoder>),)+ }

        impl Decoder {
            #[inline(always)]
            pub(crate) fn line<'a>(&mut self, ts_recv: Timestamp, text: &'a [u8], events: &mut Events) -> Option<&'a [u8]> {
                match self { $(Decoder::$venue(decoder) => decoder.line(ts_recv, text, events),)+ }
            }

            fn decode(&mut self, ts_recv: Timestamp, frame: &[u8], events: &mut Events) -> Result<Outcome, Reject> {
                match self { $(Decoder::$venue(decoder) => decoder.frame(ts_recv, frame, events),)+ }
            }

            fn decode_answer(&mut self, ts_recv: Timestamp, url: &str, body: &[u8], events: &mut Events) -> Result<Outcome, Reject> {
                match self { $(Decoder::$venue(decoder) => decoder.answer(ts_recv, url, body, events),)+ }
            }
        }
    };
}

venues! {
    /// Binance: spot, USD-M and COIN-M.
    Binance = "binance" in binance, recordings ["BINANCE", "BINANCE_FUTURES", "BINANCE_DELIVERY"], scales (9, 9), book BookRule::RANGE;
    /// Coinbase Advanced Trade.
    Coinbase = "coinbase" in coinbase, recordings ["COINBASE"], scales (9, 9), book BookRule::SNAPSHOT_RESETS;
    /// KuCoin spot.
    Kucoin = "kucoin" in kucoin, recordings ["KUCOIN"], scales (10, 9), book BookRule::RANGE;
    /// OKX: spot, swaps, futures.
    Okx = "okx" in okx, recordings ["OKX", "OKEX"], scales (9, 9), book BookRule::SNAPSHOT_RESETS.checked(ChecksumKind::Okx).deep(400);
    /// Kraken spot.
    Kraken = "kraken" in kraken, recordings ["KRAKEN"], scales (10, 9), book BookRule::UNNUMBERED.checked(ChecksumKind::Kraken).deep(1000);
    /// Deribit: options, futures, perpetuals.
    Deribit = "deribit" in deribit, recordings ["DERIBIT"], scales (9, 9), book BookRule::SNAPSHOT_RESETS;
    /// Independent Reserve.
    IndependentReserve = "independentreserve" in independentreserve, recordings ["INDEPENDENT_RESERVE"], scales (9, 9), book BookRule::LINKED;
    /// Bybit: one category a source.
    Bybit = "bybit" in bybit, recordings ["BYBIT"], scales (9, 9), book BookRule::SNAPSHOT_RESETS;
    /// Hyperliquid.
    Hyperliquid = "hyperliquid" in hyperliquid, recordings ["HYPERLIQUID"], scales (9, 9), book BookRule::UNNUMBERED;
}

impl Venue {
    /// The venue with this name.
    pub fn of_name(name: &str) -> Option<Venue> {
        Venue::ALL
            .iter()
            .copied()
            .find(|venue| venue.name() == name)
    }

    /// The venue that a recording's header names so.
    pub(crate) fn of_recording(name: &str) -> Option<Venue> {
        let same = |known: &str| known.eq_ignore_ascii_case(name);
        let named =
            |venue: &Venue| same(venue.name()) || venue.recordings().iter().any(|n| same(n));
        Venue::ALL.iter().copied().find(named)
    }

    /// The venue whose name is most like another, if one is: they share more than half of the longer, or all of the venue's.
    pub fn nearest(name: &str) -> Option<Venue> {
        let name = name.to_ascii_lowercase();
        let alike = |venue: &Venue| {
            let (shared, own) = (shared_part(venue.name(), &name), venue.name().len());
            (2 * shared > own.max(name.len()) || shared == own).then_some(shared)
        };
        let best = Venue::ALL
            .iter()
            .filter_map(|venue| Some((alike(venue)?, *venue)));
        best.max_by_key(|(shared, _)| *shared)
            .map(|(_, venue)| venue)
    }

    /// The venue of an instrument, by the end of its id.
    pub fn of_instrument(id: &str) -> Option<Venue> {
        let (_, suffix) = id.rsplit_once('.')?;
        let named = |venue: &Venue| venue.name().eq_ignore_ascii_case(suffix);
        Venue::ALL.iter().copied().find(named)
    }

    /// Whether this may be a frame of the venue.
    pub(crate) fn claims(self, frame: &[u8]) -> bool {
        let (head, tail) = (
            &frame[..frame.len().min(512)],
            &frame[frame.len().saturating_sub(160)..],
        );
        let holds = |sign: &&str| {
            let found = |part| memchr::memmem::find(part, sign.as_bytes()).is_some();
            found(head) || found(tail)
        };
        self.signs().iter().any(|signs| signs.iter().all(holds))
    }
}

/// The length of the longest text that stands in both.
fn shared_part(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut longest, mut before) = (0, vec![0; b.len() + 1]);
    for x in a {
        let mut row = vec![0; b.len() + 1];
        for (at, y) in b.iter().enumerate() {
            if x == y {
                row[at + 1] = before[at] + 1;
                longest = longest.max(row[at + 1]);
            }
        }
        before = row;
    }
    longest
}

impl std::fmt::Display for Venue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Decoder {
    /// Decodes a frame; `check` may refuse what it became. A refused frame leaves nothing behind.
    pub(crate) fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
        check: impl FnOnce(&Events) -> Result<(), Reject>,
    ) -> Result<Outcome, Reject> {
        events.begin();
        let outcome = self.decode(ts_recv, frame, events);
        settle(outcome, events, check)
    }

    /// Decodes an answer to a request, as [`Decoder::frame`] a frame.
    pub(crate) fn answer(
        &mut self,
        ts_recv: Timestamp,
        url: &str,
        body: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        events.begin();
        let outcome = self.decode_answer(ts_recv, url, body, events);
        settle(outcome, events, |_| Ok(()))
    }
}

fn settle(
    outcome: Result<Outcome, Reject>,
    events: &mut Events,
    check: impl FnOnce(&Events) -> Result<(), Reject>,
) -> Result<Outcome, Reject> {
    let settled = outcome.and_then(|outcome| {
        check(events)?;
        events.keep()?;
        Ok(outcome)
    });
    if settled.is_err() {
        events.undo();
    }
    settled
}
