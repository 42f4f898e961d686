//! Single orders of a book.

use ::dbn::{MboMsg, RecordHeader};
use signal_event::{Header, Kind, Order, OrderAction, Side};

use super::market::{Market, print};
use super::{of, price, side, unused};
use crate::RejectCode;
use crate::json::{Fault, fault};

/// Orders of one event of the venue at most; beyond, they are a message by themselves.
const EVENT_ROWS_MAX: usize = 1 << 20;

impl Market {
    /// One order, or a print among them.
    #[inline(always)]
    pub(super) fn order(&mut self, record: &MboMsg) -> Result<(), Fault> {
        let (known, header) = self.at(&record.hd, record.ts_recv)?;
        let last = record.flags.is_last();
        let action = match record.action as u8 {
            b'A' => OrderAction::Add,
            b'M' => OrderAction::Change,
            b'C' => OrderAction::Cancel,
            b'R' => OrderAction::Clear,
            b'T' => {
                let cells = print(
                    &known,
                    record.price,
                    record.size,
                    record.side,
                    record.order_id,
                )?;
                self.doubt(header, record.flags);
                self.end_event();
                self.trade(header, cells);
                return Ok(());
            }
            b'F' => OrderAction::Match,
            b'N' => return self.of_no_use(header, last, "a record without an action"),
            other => return Err(no_action(&record.hd, other)),
        };
        if record.flags.is_tob() || record.flags.is_mbp() {
            let what = format!("{}: a level of several orders among orders", of(&record.hd));
            return Err(fault(RejectCode::UnknownFrame, what));
        }
        let px = match (action, price(record.price)) {
            (OrderAction::Clear, _) => 0,
            (_, Some(px)) => known.price(px)?,
            (_, None) => return Err(no_price(&record.hd, "an order")),
        };
        let order = Order {
            side: if action == OrderAction::Clear {
                Side::None
            } else {
                side(record.side)
            },
            price: px,
            qty: if action == OrderAction::Clear {
                0
            } else {
                known.qty(record.size.into())?
            },
            id: record.order_id,
            action,
        };
        self.doubt(header, record.flags);
        if !self.orders.is_empty() && self.event.instrument != header.instrument {
            self.end_event();
        }
        let header = Header {
            kind: Kind::Order,
            ..header
        };
        if last && self.orders.is_empty() {
            self.builder.push_single_order(header, order);
            return Ok(());
        }
        self.event = header;
        self.orders.push(order);
        if last || self.orders.len() >= EVENT_ROWS_MAX {
            self.end_event();
        }
        Ok(())
    }

    fn of_no_use(&mut self, header: Header, last: bool, what: &str) -> Result<(), Fault> {
        if last && self.event.instrument == header.instrument {
            self.event = Header {
                kind: Kind::Order,
                ..header
            };
            self.end_event();
        }
        Err(unused(what))
    }

    /// The orders that wait for the end of their event are a message.
    #[inline(always)]
    pub(super) fn end_event(&mut self) {
        if self.orders.is_empty() {
            return;
        }
        for order in self.orders.drain(..) {
            self.builder.push_order(order);
        }
        self.builder.close(self.event);
    }
}

#[cold]
fn no_price(header: &RecordHeader, what: &str) -> Fault {
    fault(
        RejectCode::BadValue,
        format!("{}: {what} without a price", of(header)),
    )
}

#[cold]
fn no_action(header: &RecordHeader, action: u8) -> Fault {
    let action = char::from(action);
    fault(
        RejectCode::BadValue,
        format!("{}: action {action:?}", of(header)),
    )
}
