//! The fast way: frames laid out byte for byte as the venue writes them.
//!
//! One pass, no backtracking but the choice of frame. Whatever differs from the layout (whitespace, escapes, unknown
//! keys, another order, a new symbol, a number out of range) gives `None`, and the general parser decides. So nothing is accepted
//! here that is not valid JSON, and no value differs from what the parser would find.

use signal_event::decimal::POW10;
use signal_event::{EventBatchBuilder, Header, Kind, NO_RULE, NO_TIME, Side};

use super::Market;
use super::decoder::{Decoder, Listing, aggressor, ns_of_ms, push_quote};

/// Scans one frame and adds its rows to `builder` as an open message. The header's `ts_recv` is the caller's to set.
#[inline]
pub(super) fn frame(
    decoder: &mut Decoder,
    frame: &[u8],
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    let mut scan = Scan { rest: frame };
    if scan.eat(b"{\"stream\":\"") {
        scan.word()?;
        scan.expect(b",\"data\":{")?;
        let header = if scan.eat(b"\"e\":\"depthUpdate\",\"E\":") {
            diff(decoder, &mut scan, builder)
        } else if scan.eat(b"\"e\":\"trade\",\"E\":") {
            trade(decoder, &mut scan, builder)
        } else {
            quote(decoder, &mut scan, builder)
        }?;
        scan.expect(b"}}")?;
        scan.end()?;
        Some(header)
    } else {
        snapshot(decoder, &mut scan, builder)
    }
}

fn diff(
    decoder: &mut Decoder,
    scan: &mut Scan<'_>,
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    let event = ns_of_ms(scan.unsigned()?)?;
    let futures = scan.eat(b",\"T\":");
    let ts_event = if futures {
        ns_of_ms(scan.unsigned()?)?
    } else {
        event
    };
    let listing = scan.symbol(b",\"s\":\"", futures, decoder)?;
    scan.expect(b",\"U\":")?;
    let first = scan.unsigned()?;
    scan.expect(b",\"u\":")?;
    let sequence = scan.unsigned()?;
    let sequence_prev = if futures {
        scan.expect(b",\"pu\":")?;
        scan.unsigned()?
    } else {
        first.checked_sub(1)?
    };
    if first > sequence {
        return None;
    }
    scan.expect(b",\"b\":")?;
    scan.levels(Side::Bid, listing, builder)?;
    scan.expect(b",\"a\":")?;
    scan.levels(Side::Ask, listing, builder)?;
    Some(Header {
        kind: Kind::BookDiff,
        instrument: listing.index,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev,
    })
}

fn trade(
    decoder: &mut Decoder,
    scan: &mut Scan<'_>,
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    ns_of_ms(scan.unsigned()?)?;
    let futures = scan.eat(b",\"T\":");
    let mut ts_event = if futures {
        ns_of_ms(scan.unsigned()?)?
    } else {
        0
    };
    let listing = scan.symbol(b",\"s\":\"", futures, decoder)?;
    scan.expect(b",\"t\":")?;
    let sequence = scan.unsigned()?;
    scan.expect(b",\"p\":\"")?;
    let price = scan.decimal(listing.price_scale)?;
    scan.expect(b"\",\"q\":\"")?;
    let qty = scan.decimal(listing.qty_scale)?;
    let buyer_is_maker = if futures {
        scan.expect(b"\",\"X\":\"MARKET\",\"m\":")?;
        scan.truth()?
    } else {
        scan.expect(b"\",\"T\":")?;
        ts_event = ns_of_ms(scan.unsigned()?)?;
        scan.expect(b",\"m\":")?;
        let buyer_is_maker = scan.truth()?;
        scan.expect(b",\"M\":")?;
        scan.truth()?;
        buyer_is_maker
    };
    builder.push_row(aggressor(buyer_is_maker, true), price, qty);
    let sequence_prev = sequence.checked_sub(1)?;
    Some(Header {
        kind: Kind::Trade,
        instrument: listing.index,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev,
    })
}

fn quote(
    decoder: &mut Decoder,
    scan: &mut Scan<'_>,
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    // USD-M writes e, u; COIN-M u, e; spot only u.
    let named = scan.eat(b"\"e\":\"bookTicker\",");
    scan.expect(b"\"u\":")?;
    let sequence = scan.unsigned()?;
    let futures = named || scan.eat(b",\"e\":\"bookTicker\"");
    let listing = scan.symbol(b",\"s\":\"", futures, decoder)?;
    scan.expect(b",\"b\":\"")?;
    let bid_price = scan.decimal(listing.price_scale)?;
    scan.expect(b"\",\"B\":\"")?;
    let bid_qty = scan.decimal(listing.qty_scale)?;
    scan.expect(b"\",\"a\":\"")?;
    let ask_price = scan.decimal(listing.price_scale)?;
    scan.expect(b"\",\"A\":\"")?;
    let ask_qty = scan.decimal(listing.qty_scale)?;
    scan.expect(b"\"")?;
    let mut ts_event = NO_TIME;
    if futures {
        scan.expect(b",\"T\":")?;
        ts_event = ns_of_ms(scan.unsigned()?)?;
        scan.expect(b",\"E\":")?;
        ns_of_ms(scan.unsigned()?)?;
    }
    push_quote(builder, (bid_price, bid_qty), (ask_price, ask_qty));
    Some(Header {
        kind: Kind::Quote,
        instrument: listing.index,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

fn snapshot(
    decoder: &mut Decoder,
    scan: &mut Scan<'_>,
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    scan.expect(b"{\"lastUpdateId\":")?;
    let sequence = scan.unsigned()?;
    let mut ts_event = NO_TIME;
    let mut market = Market::Spot;
    if scan.eat(b",\"E\":") {
        ns_of_ms(scan.unsigned()?)?;
        scan.expect(b",\"T\":")?;
        ts_event = ns_of_ms(scan.unsigned()?)?;
        market = Market::UsdM;
    }
    let listing = if market == Market::UsdM && scan.eat(b",\"symbol\":\"") {
        let symbol = scan.symbol_text()?;
        scan.expect(b",\"pair\":\"")?;
        scan.symbol_text()?;
        decoder.known(Market::of_futures(symbol), symbol.as_bytes())?
    } else {
        decoder.only_listing(market).ok()?
    };
    scan.expect(b",\"bids\":")?;
    scan.levels(Side::Bid, listing, builder)?;
    scan.expect(b",\"asks\":")?;
    scan.levels(Side::Ask, listing, builder)?;
    scan.expect(b"}")?;
    scan.end()?;
    Some(Header {
        kind: Kind::BookSnapshot,
        instrument: listing.index,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// Takes these bytes if they come next.
    #[inline(always)]
    fn eat<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) if head == text => {
                self.rest = tail;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn expect<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        self.eat(text).then_some(())
    }

    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Takes the rest of a string of printable ASCII without escapes, and its closing quote.
    #[inline(always)]
    fn word(&mut self) -> Option<&'a [u8]> {
        let len = self
            .rest
            .iter()
            .position(|&b| b == b'"' || !(b' '..=b'~').contains(&b) || b == b'\\')?;
        let word = &self.rest[..len];
        self.rest = self.rest[len..].strip_prefix(b"\"")?;
        Some(word)
    }

    /// Takes the rest of a string of capitals, digits and underscores, not empty, and its closing quote.
    #[inline(always)]
    fn symbol_text(&mut self) -> Option<&'a str> {
        let word = self.word()?;
        let plain = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        if word.is_empty() || !word.iter().all(plain) {
            return None;
        }
        std::str::from_utf8(word).ok()
    }

    /// Takes a symbol after its key, and COIN-M's `ps` after it.
    #[inline(always)]
    fn symbol(&mut self, key: &[u8; 6], futures: bool, decoder: &mut Decoder) -> Option<Listing> {
        self.expect(key)?;
        let symbol = self.symbol_text()?;
        let market = if futures {
            Market::of_futures(symbol)
        } else {
            Market::Spot
        };
        if market == Market::CoinM && self.eat(b",\"ps\":\"") {
            self.symbol_text()?;
        }
        decoder.known(market, symbol.as_bytes())
    }

    /// Takes an unsigned JSON integer of at most 18 digits; a longer one is the general parser's.
    #[inline(always)]
    fn unsigned(&mut self) -> Option<u64> {
        let mut value = 0u64;
        let mut len = 0;
        for &byte in self.rest.iter().take(19) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + u64::from(digit);
            len += 1;
        }
        let zero_first = len > 1 && self.rest[0] == b'0';
        if len == 0 || len > 18 || zero_first {
            return None;
        }
        self.rest = &self.rest[len..];
        Some(value)
    }

    #[inline(always)]
    fn truth(&mut self) -> Option<bool> {
        if self.eat(b"true") {
            Some(true)
        } else {
            self.expect(b"false")?;
            Some(false)
        }
    }

    /// Takes a decimal within a string, up to its closing quote: digits, a point and digits, at most 18 of them at this
    /// scale. What is longer, negative or over-precise is the general parser's to judge.
    #[inline(always)]
    fn decimal(&mut self, scale: u8) -> Option<i64> {
        let scale = scale as usize;
        let bytes = self.rest;
        let mut mantissa = 0u64;
        let mut at = 0;
        loop {
            let digit = bytes.get(at)?.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            at += 1;
        }
        if at == 0 || at + scale > 18 {
            return None;
        }
        let mut places = 0;
        if bytes[at] == b'.' {
            at += 1;
            let point = at;
            loop {
                let digit = bytes.get(at)?.wrapping_sub(b'0');
                if digit > 9 {
                    break;
                }
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
                at += 1;
            }
            places = at - point;
            if places == 0 || places > scale {
                return None;
            }
        }
        self.rest = &bytes[at..];
        Some((mantissa * POW10[scale - places] as u64) as i64)
    }

    /// Takes a list of `["price","quantity"]` pairs.
    #[inline(always)]
    fn levels(
        &mut self,
        side: Side,
        listing: Listing,
        builder: &mut EventBatchBuilder,
    ) -> Option<()> {
        self.expect(b"[")?;
        if self.eat(b"]") {
            return Some(());
        }
        loop {
            self.expect(b"[\"")?;
            let price = self.decimal(listing.price_scale)?;
            self.expect(b"\",\"")?;
            let qty = self.decimal(listing.qty_scale)?;
            self.expect(b"\"]")?;
            builder.push_row(side.code(), price, qty);
            if !self.eat(b",") {
                return self.expect(b"]");
            }
        }
    }
}
