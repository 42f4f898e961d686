//! The fast way: frames laid out byte for byte as the venue writes them.
//!
//! One pass, no backtracking but the choice of frame. Whatever differs from the layout (whitespace, escapes, unknown
//! keys, another order, a new symbol, a number out of range) gives `None`, and the general parser decides. So nothing
//! is accepted here that is not valid JSON, and no value differs from what the parser would find.

use signal_event::decimal::POW10;
use signal_event::{EventBatchBuilder, Header, Kind, NO_RULE, NO_TIME, Side};

use super::decoder::{Decoder, Listing, aggressor, ns_of_ms, push_quote};
use super::{Market, digits};

/// Scans the frame that begins `text` and adds its rows to `builder` as an open message. Gives the header, whose
/// `ts_recv` is the caller's to set, and what follows the frame.
#[inline]
pub(super) fn frame<'a>(
    decoder: &mut Decoder,
    text: &'a [u8],
    builder: &mut EventBatchBuilder,
) -> Option<(Header, &'a [u8])> {
    let mut scan = Scan {
        rest: text,
        shapes: decoder.shapes,
    };
    let header = whole_frame(decoder, &mut scan, builder);
    decoder.shapes = scan.shapes;
    Some((header?, scan.rest))
}

#[inline(always)]
fn whole_frame(
    decoder: &mut Decoder,
    scan: &mut Scan<'_>,
    builder: &mut EventBatchBuilder,
) -> Option<Header> {
    if scan.eat(b"{\"stream\":\"") {
        scan.word()?;
        scan.expect(b",\"data\":{")?;
        let header = if scan.eat(b"\"e\":\"depthUpdate\",\"E\":") {
            diff(decoder, scan, builder)
        } else if scan.eat(b"\"e\":\"trade\",\"E\":") {
            trade(decoder, scan, builder)
        } else {
            quote(decoder, scan, builder)
        }?;
        scan.expect(b"}}")?;
        Some(header)
    } else {
        snapshot(decoder, scan, builder)
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
        instrument: listing.id,
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
    let price = scan.price(listing.price_scale)?;
    scan.expect(b"\",\"q\":\"")?;
    let qty = scan.qty(listing.qty_scale)?;
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
    builder.push_row(aggressor(buyer_is_maker, true).code(), price, qty);
    let sequence_prev = sequence.checked_sub(1)?;
    Some(Header {
        kind: Kind::Trade,
        instrument: listing.id,
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
    let bid_price = scan.price(listing.price_scale)?;
    scan.expect(b"\",\"B\":\"")?;
    let bid_qty = scan.qty(listing.qty_scale)?;
    scan.expect(b"\",\"a\":\"")?;
    let ask_price = scan.price(listing.price_scale)?;
    scan.expect(b"\",\"A\":\"")?;
    let ask_qty = scan.qty(listing.qty_scale)?;
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
        instrument: listing.id,
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
        let (listing, rest) = decoder.known_in(true, scan.rest)?;
        scan.rest = rest;
        scan.expect(b",\"pair\":\"")?;
        scan.word()?;
        listing
    } else {
        decoder.only_listing(market).ok()?
    };
    scan.expect(b",\"bids\":")?;
    scan.levels(Side::Bid, listing, builder)?;
    scan.expect(b",\"asks\":")?;
    scan.levels(Side::Ask, listing, builder)?;
    scan.expect(b"}")?;
    Some(Header {
        kind: Kind::BookSnapshot,
        instrument: listing.id,
        ts_recv: 0,
        ts_event,
        sequence,
        sequence_prev: NO_RULE,
    })
}

/// How many digits a number had before and behind its point.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    whole: usize,
    places: usize,
}

/// The shapes of the latest price and quantity: guesses of the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shapes {
    price: Shape,
    qty: Shape,
}

struct Scan<'a> {
    rest: &'a [u8],
    shapes: Shapes,
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

    /// Takes the rest of a string of ASCII without escapes, and its closing quote.
    #[inline(always)]
    fn word(&mut self) -> Option<()> {
        while let Some((chunk, rest)) = self.rest.split_first_chunk::<8>() {
            let plain = digits::leading_plain(chunk);
            if plain < 8 {
                self.rest = self.rest.get(plain..)?;
                return self.expect(b"\"");
            }
            self.rest = rest;
        }
        None
    }

    /// Takes a symbol after its key, and COIN-M's `ps` after it.
    #[inline(always)]
    fn symbol(&mut self, key: &[u8; 6], futures: bool, decoder: &mut Decoder) -> Option<Listing> {
        self.expect(key)?;
        let (listing, rest) = decoder.known_in(futures, self.rest)?;
        self.rest = rest;
        if futures && self.eat(b",\"ps\":\"") {
            self.word()?;
        }
        Some(listing)
    }

    /// Takes an unsigned JSON integer of less than 16 digits; a longer one is the general parser's.
    #[inline(always)]
    fn unsigned(&mut self) -> Option<u64> {
        let first = *self.rest.first()?;
        let (count, mut value) = self.eight_digits();
        if count == 0 || (first == b'0' && count > 1) {
            return None;
        }
        if count == 8 {
            let (count, low) = self.eight_digits();
            if count == 8 {
                return None;
            }
            value = value * POW10[count] as u64 + low;
        }
        Some(value)
    }

    /// Takes the next digits, at most eight.
    #[inline(always)]
    fn eight_digits(&mut self) -> (usize, u64) {
        let (count, value) = match self.rest.first_chunk::<8>() {
            Some(chunk) => digits::leading(chunk),
            None => {
                let digits = self.rest.iter().take_while(|b| b.is_ascii_digit());
                digits.fold((0, 0), |(count, value), digit| {
                    (count + 1, value * 10 + u64::from(digit - b'0'))
                })
            }
        };
        self.rest = &self.rest[count..];
        (count, value)
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

    /// Takes a price within a string, up to its closing quote. Prices of an instrument are mostly as long as the one
    /// before, so the processor may go on with the next field before this one is read: a guess of the length costs a
    /// well-predicted branch, finding it out costs a wait.
    #[inline(always)]
    fn price(&mut self, scale: u8) -> Option<i64> {
        if let Some(mantissa) = self.shaped(self.shapes.price, scale) {
            return Some(mantissa);
        }
        let (mantissa, shape) = self.decimal(scale)?;
        self.shapes.price = shape;
        Some(mantissa)
    }

    /// Takes a quantity within a string, up to its closing quote. Its digits before the point vary and are counted;
    /// those behind it are guessed as those of a price are.
    #[inline(always)]
    fn qty(&mut self, scale: u8) -> Option<i64> {
        let whole = self.rest.first_chunk::<8>().map_or(0, digits::count);
        let guess = Shape {
            whole,
            ..self.shapes.qty
        };
        if let Some(mantissa) = self.shaped(guess, scale) {
            return Some(mantissa);
        }
        let (mantissa, shape) = self.decimal(scale)?;
        self.shapes.qty = shape;
        Some(mantissa)
    }

    /// Takes a decimal of this shape, if that is what comes up to the closing quote. Long ones are left.
    #[inline(always)]
    fn shaped(&mut self, shape: Shape, scale: u8) -> Option<i64> {
        let (Shape { whole, places }, scale) = (shape, scale as usize);
        let text = self.rest.first_chunk::<24>()?;
        if whole == 0 || whole > 7 || places > 8 || places > scale || whole + scale > 18 {
            return None;
        }
        let mut mantissa = digits::exactly(text.first_chunk()?, whole)? * POW10[scale] as u64;
        let mut end = whole;
        if places > 0 {
            let fraction = digits::exactly(text[whole + 1..].first_chunk()?, places)?;
            mantissa += fraction * POW10[scale - places] as u64;
            end += 1 + places;
            if text[whole] != b'.' {
                return None;
            }
        }
        if text[end] != b'"' {
            return None;
        }
        self.rest = &self.rest[end..];
        Some(mantissa as i64)
    }

    /// Takes a decimal of any shape: digits, or digits, a point and digits, at most 18 of them at this scale. What is
    /// longer, negative or over-precise is the general parser's to judge.
    #[cold]
    fn decimal(&mut self, scale: u8) -> Option<(i64, Shape)> {
        let scale = scale as usize;
        let digits_of = |bytes: &[u8]| bytes.iter().position(|b| !b.is_ascii_digit());
        let whole = digits_of(self.rest)?;
        let fraction = self.rest[whole..].strip_prefix(b".");
        let places = fraction.map_or(Some(0), digits_of)?;
        if whole == 0 || whole + scale > 18 || places > scale || (fraction.is_some() && places == 0)
        {
            return None;
        }
        let fraction_digits = fraction.map_or(&[][..], |text| &text[..places]);
        let all = self.rest[..whole].iter().chain(fraction_digits);
        let mantissa = all.fold(0, |m, digit| m * 10 + i64::from(digit - b'0'));
        self.rest = &self.rest[whole + places + usize::from(fraction.is_some())..];
        Some((mantissa * POW10[scale - places], Shape { whole, places }))
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
            let price = self.price(listing.price_scale)?;
            self.expect(b"\",\"")?;
            let qty = self.qty(listing.qty_scale)?;
            self.expect(b"\"]")?;
            builder.push_row(side.code(), price, qty);
            if !self.eat(b",") {
                return self.expect(b"]");
            }
        }
    }
}
