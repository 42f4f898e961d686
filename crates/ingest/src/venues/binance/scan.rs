//! The fast way: frames laid out byte for byte as the venue writes them.
//!
//! One pass, no backtracking but the choice of frame. Whatever differs from the layout (whitespace, escapes, unknown
//! keys, another order, a new symbol, a number out of range) gives `None`, and the general parser decides. So nothing
//! is accepted here that is not valid JSON, and no value differs from what the parser would find.

use signal_event::{Header, Kind, NO_RULE, NO_TIME, Side, Timestamp};

use super::{FUTURES, Market, SPOT, aggressor};
use crate::Events;
use crate::decode::{Listing, Only, Prints};
use crate::json::{Cursor, Shapes, ns_of_ms};

/// Scans the frame that begins `text` and adds its rows to `events` as an open message. Gives the header, and what follows
/// the frame.
#[inline]
pub(super) fn frame<'a>(
    shapes: &mut Shapes,
    ts_recv: Timestamp,
    text: &'a [u8],
    events: &mut Events,
) -> Option<(Header, &'a [u8])> {
    let mut scan = Cursor::new(text, *shapes);
    let header = whole_frame(&mut scan, ts_recv, events);
    *shapes = scan.shapes;
    Some((header?, scan.rest))
}

#[inline(always)]
fn whole_frame(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    if scan.eat(b"{\"stream\":\"") {
        scan.word()?;
        scan.expect(b",\"data\":{")?;
        let header = if scan.eat(b"\"e\":\"depthUpdate\",\"E\":") {
            diff(scan, ts_recv, events)
        } else if scan.eat(b"\"e\":\"trade\",\"E\":") {
            trade(scan, ts_recv, events)
        } else if scan.eat(b"\"e\":\"aggTrade\",\"E\":") {
            aggregate(scan, ts_recv, events)
        } else {
            quote(scan, ts_recv, events)
        }?;
        scan.expect(b"}}")?;
        Some(header)
    } else {
        snapshot(scan, ts_recv, events)
    }
}

fn diff(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    let event = ns_of_ms(scan.integer()?)?;
    let futures = scan.eat(b",\"T\":");
    let ts_event = if futures {
        ns_of_ms(scan.integer()?)?
    } else {
        event
    };
    let listing = symbol(scan, b",\"s\":\"", futures, events)?;
    scan.expect(b",\"U\":")?;
    let first = scan.integer()?;
    scan.expect(b",\"u\":")?;
    let sequence = scan.integer()?;
    let sequence_prev = if futures {
        scan.expect(b",\"pu\":")?;
        scan.integer()?
    } else {
        first.checked_sub(1)?
    };
    if first > sequence {
        return None;
    }
    scan.expect(b",\"b\":")?;
    levels(scan, Side::Bid, listing, events)?;
    scan.expect(b",\"a\":")?;
    levels(scan, Side::Ask, listing, events)?;
    Some(Header {
        kind: Kind::BookDiff,
        instrument: listing.id,
        ts_recv,
        ts_event,
        sequence,
        sequence_prev,
    })
}

fn trade(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    ns_of_ms(scan.integer()?)?;
    let futures = scan.eat(b",\"T\":");
    let mut ts_event = if futures {
        ns_of_ms(scan.integer()?)?
    } else {
        0
    };
    let listing = symbol(scan, b",\"s\":\"", futures, events)?;
    if listing.prints != Prints::Each {
        return None;
    }
    scan.expect(b",\"t\":")?;
    let sequence = scan.integer()?;
    scan.expect(b",\"p\":\"")?;
    let price = scan.price_digits(listing.price_scale)?;
    scan.expect(b"\",\"q\":\"")?;
    let qty = scan.qty_digits(listing.qty_scale)?;
    let buyer_is_maker = if futures {
        scan.expect(b"\",\"X\":\"MARKET\",\"m\":")?;
        scan.bool()?
    } else {
        scan.expect(b"\",\"T\":")?;
        ts_event = ns_of_ms(scan.integer()?)?;
        scan.expect(b",\"m\":")?;
        let buyer_is_maker = scan.bool()?;
        scan.expect(b",\"M\":")?;
        scan.bool()?;
        buyer_is_maker
    };
    events.row(aggressor(buyer_is_maker, true), price, qty);
    let sequence_prev = sequence.checked_sub(1)?;
    Some(Header {
        kind: Kind::Trade,
        instrument: listing.id,
        ts_recv,
        ts_event,
        sequence,
        sequence_prev,
    })
}

/// Trades of one order at one price, of the USD-M market; that of spot has other keys behind it.
fn aggregate(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    ns_of_ms(scan.integer()?)?;
    scan.expect(b",\"a\":")?;
    let sequence = scan.integer()?;
    let listing = symbol(scan, b",\"s\":\"", true, events)?;
    if listing.prints != Prints::Aggregates {
        return None;
    }
    scan.expect(b",\"p\":\"")?;
    let price = scan.price_digits(listing.price_scale)?;
    scan.expect(b"\",\"q\":\"")?;
    let qty = scan.qty_digits(listing.qty_scale)?;
    scan.expect(b"\",\"f\":")?;
    scan.integer()?;
    scan.expect(b",\"l\":")?;
    scan.integer()?;
    scan.expect(b",\"T\":")?;
    let ts_event = ns_of_ms(scan.integer()?)?;
    scan.expect(b",\"m\":")?;
    let buyer_is_maker = scan.bool()?;
    events.row(aggressor(buyer_is_maker, true), price, qty);
    let sequence_prev = sequence.checked_sub(1)?;
    Some(Header {
        kind: Kind::Trade,
        instrument: listing.id,
        ts_recv,
        ts_event,
        sequence,
        sequence_prev,
    })
}

fn quote(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    // USD-M writes e, u; COIN-M u, e; spot only u.
    let named = scan.eat(b"\"e\":\"bookTicker\",");
    scan.expect(b"\"u\":")?;
    let sequence = scan.integer()?;
    let futures = named || scan.eat(b",\"e\":\"bookTicker\"");
    let listing = symbol(scan, b",\"s\":\"", futures, events)?;
    scan.expect(b",\"b\":\"")?;
    let bid_price = scan.price_digits(listing.price_scale)?;
    scan.expect(b"\",\"B\":\"")?;
    let bid_qty = scan.qty_digits(listing.qty_scale)?;
    scan.expect(b"\",\"a\":\"")?;
    let ask_price = scan.price_digits(listing.price_scale)?;
    scan.expect(b"\",\"A\":\"")?;
    let ask_qty = scan.qty_digits(listing.qty_scale)?;
    scan.expect(b"\"")?;
    let mut ts_event = NO_TIME;
    if futures {
        scan.expect(b",\"T\":")?;
        ts_event = ns_of_ms(scan.integer()?)?;
        scan.expect(b",\"E\":")?;
        ns_of_ms(scan.integer()?)?;
    }
    events.row(Side::Bid, bid_price, bid_qty);
    events.row(Side::Ask, ask_price, ask_qty);
    Some(Header {
        kind: Kind::Quote,
        instrument: listing.id,
        ts_recv,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

fn snapshot(scan: &mut Cursor<'_>, ts_recv: Timestamp, events: &mut Events) -> Option<Header> {
    scan.expect(b"{\"lastUpdateId\":")?;
    let sequence = scan.integer()?;
    let mut ts_event = NO_TIME;
    let mut market = Market::Spot;
    if scan.eat(b",\"E\":") {
        ns_of_ms(scan.integer()?)?;
        scan.expect(b",\"T\":")?;
        ts_event = ns_of_ms(scan.integer()?)?;
        market = Market::UsdM;
    }
    let listing = if market == Market::UsdM && scan.eat(b",\"symbol\":\"") {
        let (listing, rest) = events.known_in(FUTURES, scan.rest)?;
        scan.rest = rest;
        scan.expect(b",\"pair\":\"")?;
        scan.word()?;
        listing
    } else {
        only(market, events)?
    };
    scan.expect(b",\"bids\":")?;
    levels(scan, Side::Bid, listing, events)?;
    scan.expect(b",\"asks\":")?;
    levels(scan, Side::Ask, listing, events)?;
    scan.expect(b"}")?;
    Some(Header {
        kind: Kind::BookSnapshot,
        instrument: listing.id,
        ts_recv,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

/// The only instrument of a market, whose a snapshot without a symbol is.
fn only(market: Market, events: &Events) -> Option<Listing> {
    match market.only(events) {
        Only::One(listing) => Some(listing),
        Only::None | Only::Several => None,
    }
}

/// Takes a symbol after its key, and COIN-M's `ps` after it.
#[inline(always)]
fn symbol(
    scan: &mut Cursor<'_>,
    key: &[u8; 6],
    futures: bool,
    events: &mut Events,
) -> Option<Listing> {
    scan.expect(key)?;
    let space = if futures { FUTURES } else { SPOT };
    let (listing, rest) = events.known_in(space, scan.rest)?;
    scan.rest = rest;
    if futures && scan.eat(b",\"ps\":\"") {
        scan.word()?;
    }
    Some(listing)
}

/// Takes a list of `["price","quantity"]` pairs.
#[inline(always)]
fn levels(scan: &mut Cursor<'_>, side: Side, listing: Listing, events: &mut Events) -> Option<()> {
    scan.expect(b"[")?;
    if scan.eat(b"]") {
        return Some(());
    }
    loop {
        scan.expect(b"[\"")?;
        let price = scan.price_digits(listing.price_scale)?;
        scan.expect(b"\",\"")?;
        let qty = scan.qty_digits(listing.qty_scale)?;
        scan.expect(b"\"]")?;
        events.row(side, price, qty);
        if !scan.eat(b",") {
            return scan.expect(b"]");
        }
    }
}
