//! The best levels, and ten of them.

use std::ffi::c_char;

use ::dbn::{BboMsg, BidAskPair, CbboMsg, Cmbp1Msg, FlagSet, TradeMsg};
use signal_event::{Header, Kind, ReferenceField, Row, Side};

use super::market::{Market, print};
use super::symbols::Known;
use super::wire::{LEVELS, Pair};
use super::{price, side, unused};
use crate::json::Fault;

const DOUBTED: &str = "levels while the vendor doubts the book (MAYBE_BAD_BOOK)";

/// Price and quantity of both sides, bids first; 0 where nobody stands.
type Quote = [(i64, i64); 2];

#[inline]
fn quote(known: &Known, sides: [(i64, u32); 2]) -> Result<Quote, Fault> {
    let mut quote = Quote::default();
    for (cells, (px, size)) in quote.iter_mut().zip(sides) {
        if let Some(px) = price(px) {
            *cells = (known.price(px)?, known.qty(size.into())?);
        }
    }
    Ok(quote)
}

impl Market {
    /// The best levels, and the trade that they come with.
    #[inline(always)]
    pub(super) fn quoted(&mut self, told: &TradeMsg, best: [(i64, u32); 2]) -> Result<(), Fault> {
        let (known, header) = self.at(&told.hd, told.ts_recv)?;
        let traded = match told.action as u8 {
            b'T' => Some(print(&known, told.price, told.size, told.side, 0)?),
            _ => None,
        };
        let quote = quote(&known, best)?;
        self.told_quote(header, told.flags, quote, traded)
    }

    /// The best levels of several venues, and the trade that they come with.
    pub(super) fn consolidated(&mut self, record: &Cmbp1Msg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let traded = match record.action as u8 {
            b'T' => Some(print(&known, record.price, record.size, record.side, 0)?),
            _ => None,
        };
        let best = &record.levels[0];
        let quote = quote(
            &known,
            [(best.bid_px, best.bid_sz), (best.ask_px, best.ask_sz)],
        )?;
        self.told_quote(header, record.flags, quote, traded)
    }

    /// The quote stands first: of a record that tells the levels before the trade it is known before, and where it tells those
    /// after an event, a trade leaves them as they are.
    #[inline(always)]
    fn told_quote(
        &mut self,
        header: Header,
        flags: FlagSet,
        quote: Quote,
        traded: Option<Row>,
    ) -> Result<(), Fault> {
        let doubted = self.doubt(header, flags);
        if !doubted {
            self.quote(header, quote);
        }
        match traded {
            Some(cells) => self.trade(header, cells),
            None if doubted => return Err(unused(DOUBTED)),
            None => {}
        }
        Ok(())
    }

    /// The best levels at the end of a second or minute, and its last trade.
    pub(super) fn sampled(&mut self, record: &BboMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let [
            BidAskPair {
                bid_px,
                ask_px,
                bid_sz,
                ask_sz,
                ..
            },
        ] = record.levels;
        let quote = quote(&known, [(bid_px, bid_sz), (ask_px, ask_sz)])?;
        let last = last_trade(&known, record.price, record.size, record.side)?;
        self.told_quote(header, record.flags, quote, None)?;
        self.told_last(header, last);
        Ok(())
    }

    /// The same of several venues.
    pub(super) fn sampled_consolidated(&mut self, record: &CbboMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let best = &record.levels[0];
        let quote = quote(
            &known,
            [(best.bid_px, best.bid_sz), (best.ask_px, best.ask_sz)],
        )?;
        let last = last_trade(&known, record.price, record.size, record.side)?;
        self.told_quote(header, record.flags, quote, None)?;
        self.told_last(header, last);
        Ok(())
    }

    /// It is no trade by itself: without a new one it is told again.
    fn told_last(&mut self, header: Header, last: Option<[Row; 2]>) {
        if let Some(rows) = last {
            for row in rows {
                self.builder.push_more(row);
            }
            self.builder.close(Header {
                kind: Kind::Reference,
                ..header
            });
        }
    }

    /// Ten levels a side, and the trade that they come with.
    #[inline(always)]
    pub(super) fn depth(&mut self, told: &TradeMsg, levels: &[Pair; LEVELS]) -> Result<(), Fault> {
        let (known, header) = self.at(&told.hd, told.ts_recv)?;
        let traded = match told.action as u8 {
            b'T' => Some(print(&known, told.price, told.size, told.side, 0)?),
            _ => None,
        };
        let doubted = self.doubt(header, told.flags);
        if !doubted {
            let place = known.id.place();
            if self.depths.len() <= place {
                self.depths.resize_with(place + 1, || None);
            }
            let depth = self.depths[place].get_or_insert_default();
            depth.update(levels, &known, header, &mut self.builder)?;
        }
        match traded {
            Some(cells) => self.trade(header, cells),
            None if doubted => return Err(unused(DOUBTED)),
            None => {}
        }
        Ok(())
    }

    #[inline]
    fn quote(&mut self, header: Header, [(bid, bid_qty), (ask, ask_qty)]: Quote) {
        let header = Header {
            kind: Kind::Quote,
            ..header
        };
        let (bid_side, ask_side) = (Side::Bid.code(), Side::Ask.code());
        let rows = [(bid_side, bid, bid_qty), (ask_side, ask, ask_qty)];
        self.builder.push_pair(header, rows);
    }
}

/// The rows of an interval's last trade, if there was one.
fn last_trade(
    known: &Known,
    px: i64,
    size: u32,
    aggressor: c_char,
) -> Result<Option<[Row; 2]>, Fault> {
    let Some(px) = price(px) else {
        return Ok(None);
    };
    let side = side(aggressor);
    let (px, qty) = (known.price(px)?, known.qty(size.into())?);
    Ok(Some([
        Row {
            side,
            ..Row::reference(ReferenceField::LastPrice, px)
        },
        Row {
            side,
            ..Row::reference(ReferenceField::LastQty, qty)
        },
    ]))
}
