//! What all records share: the messages that they make, trades, bars, and whether a book can be believed.

use std::ffi::c_char;
use std::sync::Arc;

use ::dbn::{FlagSet, OhlcvMsg, RecordHeader, TradeMsg};
use signal_event::{
    BarField, Condition, EventBatchBuilder, Header, InstrumentId, Instruments, Kind, NO_RULE,
    NO_SEQUENCE, NO_TIME, Order, Row, Side, StatusCode, Timestamp,
};

use super::depth::Depth;
use super::symbols::{Known, Symbols};
use super::{of, price, side, time, told};
use crate::RejectCode;
use crate::json::{Fault, fault};

/// What the records so far have made.
///
/// The records of an event of the venue up to its last one (flag `LAST`) are one message of orders.
///
/// Invariants: rows in `orders` belong to one instrument's event that has not ended; no message is open in `builder`.
#[derive(Debug)]
pub(super) struct Market {
    pub builder: EventBatchBuilder,
    pub symbols: Symbols,
    pub(super) orders: Vec<Order>,
    /// Of the newest of these orders.
    pub(super) event: Header,
    /// Books of ten levels, by instrument.
    pub(super) depths: Vec<Option<Box<Depth>>>,
    /// Whose books the vendor doubts (flag `MAYBE_BAD_BOOK`).
    doubted: Vec<InstrumentId>,
    /// When the newest bars ended.
    bars_end: Option<Timestamp>,
}

impl Market {
    pub(super) fn new(instruments: Arc<Instruments>) -> Market {
        Market {
            builder: EventBatchBuilder::new(),
            symbols: Symbols::new(instruments),
            orders: Vec::new(),
            event: Header::mark(NO_TIME),
            depths: Vec::new(),
            doubted: Vec::new(),
            bars_end: None,
        }
    }

    /// There are no more records.
    pub(super) fn end(&mut self) {
        self.end_event();
        if let Some(end) = self.bars_end.take() {
            self.mark(end);
        }
    }

    /// The instrument of a record and what its messages share.
    #[inline(always)]
    pub(super) fn at(
        &mut self,
        header: &RecordHeader,
        ts_recv: u64,
    ) -> Result<(Known, Header), Fault> {
        let known = self.symbols.of(header, ts_recv)?;
        let header = Header {
            kind: Kind::Mark,
            instrument: known.id,
            ts_recv: time("ts_recv", ts_recv)?,
            ts_event: told(header.ts_event),
            sequence: NO_SEQUENCE,
            sequence_prev: NO_RULE,
        };
        Ok((known, header))
    }

    /// A trade.
    #[inline(always)]
    pub(super) fn traded(&mut self, record: &TradeMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let cells = print(&known, record.price, record.size, record.side, 0)?;
        self.doubt(header, record.flags);
        self.trade(header, cells);
        Ok(())
    }

    /// A bar, known at its end.
    pub(super) fn bar(&mut self, record: &OhlcvMsg, length: i64) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.hd.ts_event)?;
        let end = header.ts_recv.checked_add(length).ok_or_else(|| {
            fault(
                RejectCode::Overflow,
                format!("{}: a bar's end", of(&record.hd)),
            )
        })?;
        let prices = [
            (BarField::Open, record.open),
            (BarField::High, record.high),
            (BarField::Low, record.low),
            (BarField::Close, record.close),
        ];
        let mut rows = Vec::with_capacity(prices.len());
        for (field, px) in prices {
            if let Some(px) = price(px) {
                rows.push(Row::bar(field, known.price(px)?));
            }
        }
        let volume = i64::try_from(record.volume).map_err(|_| {
            fault(
                RejectCode::Overflow,
                format!("{}: volume {}", of(&record.hd), record.volume),
            )
        })?;
        let volume = known.qty(volume)?;
        if let Some(before) = self.bars_end.filter(|before| *before < end) {
            self.mark(before);
        }
        self.bars_end = Some(end);
        for row in rows {
            self.builder.push_more(row);
        }
        self.builder.push_more(Row::bar(BarField::Volume, volume));
        self.builder.push_more(Row::bar(BarField::Length, length));
        self.builder.close(Header {
            kind: Kind::Bar,
            ts_recv: end,
            ts_event: end,
            ..header
        });
        Ok(())
    }

    /// No more bars of a moment come: whoever waits for those of other instruments goes on.
    fn mark(&mut self, end: Timestamp) {
        let header = Header::mark(end.saturating_add(1));
        self.builder.push(header, Side::None.code(), 0, 0);
    }

    #[inline(always)]
    pub(super) fn trade(&mut self, header: Header, cells: Row) {
        let header = Header {
            kind: Kind::Trade,
            ..header
        };
        if cells.order_id == 0 && cells.condition == Condition::Ordinary {
            self.builder
                .push(header, cells.side.code(), cells.price, cells.qty);
        } else {
            self.builder.push_more(cells);
            self.builder.close(header);
        }
    }

    /// Whether the vendor doubts the instrument's book: messages were lost, and what comes before it is whole again cannot be
    /// believed. The beginning and the end of that are messages.
    #[inline(always)]
    pub(super) fn doubt(&mut self, header: Header, flags: FlagSet) -> bool {
        let doubts = flags.is_maybe_bad_book();
        if !doubts && self.doubted.is_empty() {
            return false;
        }
        self.doubt_changes(header, doubts)
    }

    #[cold]
    #[inline(never)]
    fn doubt_changes(&mut self, header: Header, doubts: bool) -> bool {
        let known = self.doubted.iter().position(|id| *id == header.instrument);
        match (known, doubts) {
            (None, true) => {
                self.end_event();
                self.doubted.push(header.instrument);
                if let Some(depth) = self.depths.get_mut(header.instrument.place()) {
                    *depth = None;
                }
                self.builder.status(header, StatusCode::Disconnected, None);
            }
            (Some(at), false) => {
                self.end_event();
                self.doubted.swap_remove(at);
                self.builder.status(header, StatusCode::Connected, None);
            }
            _ => {}
        }
        doubts
    }
}

/// The row of a trade.
#[inline(always)]
pub(super) fn print(
    known: &Known,
    px: i64,
    size: u32,
    aggressor: c_char,
    order_id: u64,
) -> Result<Row, Fault> {
    let Some(px) = price(px) else {
        return Err(fault(RejectCode::BadValue, "a trade without a price"));
    };
    Ok(Row {
        side: side(aggressor),
        price: known.price(px)?,
        qty: known.qty(size.into())?,
        order_id,
        condition: known.condition,
        ..Row::default()
    })
}
