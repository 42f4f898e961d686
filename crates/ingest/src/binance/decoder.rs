//! Lines to messages.

use std::sync::Arc;

use signal_event::{
    EventBatchBuilder, Header, Instrument, InstrumentTable, Kind, NO_TIME, Side, Timestamp,
};

use super::{Market, parse, scan};
use crate::{Reject, RejectCode};

/// What a line became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The message's kind.
    pub kind: Kind,
    /// Its instrument, an index into [`Decoder::instruments`].
    pub instrument: u16,
    /// When it was received.
    pub ts_recv: Timestamp,
}

/// Decodes lines of raw Binance captures, and names the instruments as they appear.
///
/// Invariants: each entry of `known` stands in `instruments`, and its scales are those of the table; between lines there
/// is no newcomer.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    instruments: Arc<InstrumentTable>,
    known: Vec<Known>,
    /// The symbol of the line at hand, if it is new: it is listed once the whole line proves good.
    newcomer: Option<(Known, Instrument)>,
    /// The entry of `known` that the line before used.
    latest: usize,
}

/// A symbol of a market that has been seen.
#[derive(Clone, Debug)]
struct Known {
    market: Market,
    symbol: Vec<u8>,
    listing: Listing,
}

/// What a frame needs to know of its instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub index: u16,
    pub price_scale: u8,
    pub qty_scale: u8,
}

impl Decoder {
    /// A decoder that knows no instrument yet. New ones get the default scales.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// A decoder that uses the scales, and keeps the indices, of these instruments.
    pub fn with_instruments(instruments: Arc<InstrumentTable>) -> Decoder {
        Decoder {
            instruments,
            ..Decoder::default()
        }
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<InstrumentTable> {
        &self.instruments
    }

    /// Decodes one line, without its line feed, and adds its message to `builder`. A line that is refused adds nothing.
    pub fn decode_line(
        &mut self,
        line: &[u8],
        builder: &mut EventBatchBuilder,
    ) -> Result<Decoded, Reject> {
        let (ts_recv, frame) = split_line(line)?;
        if let Some(decoded) = self.scan(ts_recv, frame, builder) {
            return Ok(decoded);
        }
        let parsed =
            parse::frame(self, frame, builder).and_then(|header| self.welcome().map(|()| header));
        match parsed {
            Ok(header) => Ok(close(Header { ts_recv, ..header }, builder)),
            Err(reject) => {
                self.newcomer = None;
                builder.abandon();
                Err(reject)
            }
        }
    }

    /// The fast way; `None` leaves everything as it was.
    #[inline]
    pub(super) fn scan(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        builder: &mut EventBatchBuilder,
    ) -> Option<Decoded> {
        match scan::frame(self, frame, builder) {
            Some(header) => Some(close(Header { ts_recv, ..header }, builder)),
            None => {
                builder.abandon();
                None
            }
        }
    }

    /// The listing of a symbol that is known.
    #[inline]
    pub(super) fn known(&mut self, market: Market, symbol: &[u8]) -> Option<Listing> {
        let is = |known: &Known| known.market == market && known.symbol == symbol;
        match self.known.get(self.latest) {
            Some(known) if is(known) => Some(known.listing),
            _ => {
                self.latest = self.known.iter().position(is)?;
                Some(self.known[self.latest].listing)
            }
        }
    }

    /// The listing of a symbol; a new one is a newcomer until the line proves good.
    pub(super) fn listing(&mut self, market: Market, symbol: &str) -> Result<Listing, Reject> {
        if let Some(listing) = self.known(market, symbol.as_bytes()) {
            return Ok(listing);
        }
        if symbol.is_empty() {
            return Err(Reject::new(RejectCode::BadValue, "the symbol is empty"));
        }
        let id = market.instrument_id(symbol);
        let declared = self.instruments.index(&id);
        let index = declared.unwrap_or(self.instruments.len() as u16);
        let instrument = declared
            .and_then(|index| self.instruments.get(index))
            .cloned();
        let instrument = instrument.unwrap_or_else(|| Instrument::new(id));
        let listing = Listing {
            index,
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
        };
        self.newcomer = Some((
            Known {
                market,
                symbol: symbol.into(),
                listing,
            },
            instrument,
        ));
        Ok(listing)
    }

    /// Lists the newcomer, if there is one.
    fn welcome(&mut self) -> Result<(), Reject> {
        if let Some((known, instrument)) = self.newcomer.take() {
            let listed = Arc::make_mut(&mut self.instruments).intern(&instrument);
            listed.map_err(|e| Reject::new(RejectCode::UnknownInstrument, e.to_string()))?;
            self.known.push(known);
        }
        Ok(())
    }

    /// The only instrument of a market: whose a snapshot without a symbol is.
    pub(super) fn only_listing(&self, market: Market) -> Result<Listing, Reject> {
        let mut of_market = self.known.iter().filter(|known| known.market == market);
        match (of_market.next(), of_market.next()) {
            (Some(known), None) => Ok(known.listing),
            (None, _) => Err(Reject::new(
                RejectCode::UnknownInstrument,
                format!(
                    "a {market:?} snapshot names no symbol and no frame before it did; record the stream first"
                ),
            )),
            (Some(_), Some(_)) => Err(Reject::new(
                RejectCode::UnknownInstrument,
                format!(
                    "a {market:?} snapshot names no symbol and the capture holds several; record one a file"
                ),
            )),
        }
    }
}

fn close(header: Header, builder: &mut EventBatchBuilder) -> Decoded {
    builder.close(header);
    Decoded {
        kind: header.kind,
        instrument: header.instrument,
        ts_recv: header.ts_recv,
    }
}

/// Adds the rows of a best quote.
#[inline]
pub(super) fn push_quote(builder: &mut EventBatchBuilder, bid: (i64, i64), ask: (i64, i64)) {
    builder.push_row(Side::Bid.code(), bid.0, bid.1);
    builder.push_row(Side::Ask.code(), ask.0, ask.1);
}

/// The aggressor's side. A trade that is not of the public order book (insurance fund, settlement) has none.
#[inline]
pub(super) fn aggressor(buyer_is_maker: bool, of_the_book: bool) -> u8 {
    match (of_the_book, buyer_is_maker) {
        (false, _) => Side::None.code(),
        (true, true) => Side::Sell.code(),
        (true, false) => Side::Buy.code(),
    }
}

/// Milliseconds to nanoseconds; `None` if they do not fit, or mean "absent".
#[inline]
pub(super) fn ns_of_ms(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms)
        .ok()?
        .checked_mul(1_000_000)
        .filter(|ns| *ns != NO_TIME)
}

/// The receive time and the frame of a line.
fn split_line(line: &[u8]) -> Result<(Timestamp, &[u8]), Reject> {
    let digits = line
        .iter()
        .take(20)
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(line.len().min(20));
    let refuse = || {
        let start = String::from_utf8_lossy(&line[..line.len().min(24)]).into_owned();
        Reject::new(
            RejectCode::BadTimestamp,
            format!("the line begins {start:?}, not with <ns since 1970> and a space"),
        )
    };
    if digits == 0 || line.get(digits) != Some(&b' ') {
        return Err(refuse());
    }
    let mut ts: i64 = 0;
    for &digit in &line[..digits] {
        ts = ts
            .checked_mul(10)
            .and_then(|t| t.checked_add(i64::from(digit - b'0')))
            .ok_or_else(refuse)?;
    }
    Ok((ts, &line[digits + 1..]))
}
