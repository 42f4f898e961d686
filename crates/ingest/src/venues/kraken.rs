//! Kraken spot, version 1 of its WebSocket: `trade`, `ticker`, `spread`, `book`.
//!
//! A frame is a list: the number of the channel, one or two payloads, the channel's name, the pair. So the pair, whose scales
//! the payloads need, stands last: it is guessed by the channel's number, or read from the frame's end; where the guess fails,
//! what it gave is forgotten and the payloads are read again.
//!
//! Prices of a pair have as many decimal places as the venue writes, so that asks of ten digits, which occur, can be held.
//!
//! | frame | `sequence` | `sequence_prev` | `ts_event` |
//! |---|---|---|---|
//! | `book-N` | none: each has a checksum | no rule | of the latest change |
//! | `trade` | none | no rule | the trade's |
//! | `ticker`, `spread` | none | no rule | none; a spread's own |

use signal_event::{Header, Kind, Side, Timestamp};

use crate::decode::Listing;
use crate::json::{Cursor, Fault, Shapes, fault, object, pairs};
use crate::{Decode, Events, Outcome, Reject, RejectCode};

/// Payloads of a frame at most.
const PAYLOADS_MAX: usize = 2;

/// Decimal places of a pair's prices at most.
const PRICE_SCALE: u8 = 10;

/// Decimal places of quantities.
const QTY_SCALE: u8 = 8;

/// Decodes Kraken's frames.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Channels in the order of their numbers, as they have shown themselves.
    channels: Vec<(u64, Channel)>,
    /// Where a channel stands, by the end of its number: a wrong guess costs a search.
    guesses: Guesses,
}

const GUESSES: usize = 128;

#[derive(Clone, Debug)]
struct Guesses([u16; GUESSES]);

impl Default for Guesses {
    fn default() -> Guesses {
        Guesses([0; GUESSES])
    }
}

#[derive(Clone, Debug)]
struct Channel {
    kind: ChannelKind,
    listing: Listing,
    /// How its frames end: `"book-1000","XBT/USD"]`.
    end: Vec<u8>,
    shapes: Shapes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChannelKind {
    /// A book of this many levels a side.
    Book(usize),
    Trade,
    Ticker,
    Spread,
    Unused,
}

impl ChannelKind {
    fn of(name: &[u8]) -> Option<ChannelKind> {
        let name = std::str::from_utf8(name).ok()?;
        let (kind, depth) = name
            .split_once('-')
            .map_or((name, None), |(kind, depth)| (kind, depth.parse().ok()));
        match kind {
            "book" => Some(ChannelKind::Book(depth.unwrap_or(10))),
            "trade" => Some(ChannelKind::Trade),
            "ticker" => Some(ChannelKind::Ticker),
            "spread" => Some(ChannelKind::Spread),
            "ohlc" => Some(ChannelKind::Unused),
            _ => None,
        }
    }
}

/// What a frame has told of a book so far.
#[derive(Debug, Default)]
struct Book {
    snapshot: bool,
    ts_event: Option<Timestamp>,
    unheld: Option<Fault>,
}

impl Decode for Decoder {
    const SIGNS: &'static [&'static [&'static str]] = &[
        &["\"book-", "\"]", "[\""],
        &["\"trade\"", "\"]", "[[\""],
        &["\"ticker\"", "\"]", "{\"a\":["],
        &["\"channelID\"", "\"subscriptionStatus\""],
        &["\"event\":\"heartbeat\"}"],
    ];

    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject> {
        let mut c = Cursor::new(frame, Shapes::default());
        if c.begins(b'{') {
            return Ok(notice(c)?);
        }
        if let Some(outcome) = self.guessed(c, ts_recv, events) {
            return Ok(outcome);
        }
        events.undo();
        if let Some(outcome) = self.by_end(c, ts_recv, events) {
            return Ok(outcome);
        }
        events.undo();
        Ok(self.named(c, ts_recv, events)?)
    }
}

/// Decimal places of a pair's prices, which the venue writes with a fixed number of them: those of the first string.
fn price_places(payload: &[u8]) -> u8 {
    let first = payload
        .split(|&b| b == b'"')
        .find(|text| text.first().is_some_and(u8::is_ascii_digit));
    let places = first.and_then(|text| text.split(|&b| b == b'.').nth(1));
    places.map_or(PRICE_SCALE, |places| {
        places.len().min(usize::from(PRICE_SCALE)) as u8
    })
}

/// What is no channel's: heartbeats, subscriptions, the state of the system.
fn notice(mut c: Cursor<'_>) -> Result<Outcome, Fault> {
    let mut event = false;
    object!(c, {
        "event" => {
            event = true;
            c.skip()?;
        },
    });
    c.end()?;
    match event {
        true => Ok(Outcome::UNUSED),
        false => Err(fault(
            RejectCode::UnknownFrame,
            "neither a channel nor an event",
        )),
    }
}

impl Decoder {
    /// Reads a frame as one of the channel that its number has been; `None` if it is not, or something is wrong.
    #[inline(always)]
    fn guessed(
        &mut self,
        mut c: Cursor<'_>,
        ts_recv: Timestamp,
        events: &mut Events,
    ) -> Option<Outcome> {
        c.mark(b'[').ok()?;
        let number = c.unsigned().ok()?;
        let channel = self.channel(number)?;
        let (kind, listing) = (channel.kind, channel.listing);
        c.shapes = channel.shapes;
        c.comma().ok()?;
        if let ChannelKind::Book(_) = kind {
            let mut c = c;
            if let Some(level) = Level::take(&mut c, listing)
                && c.rest == channel.end
            {
                channel.shapes = c.shapes;
                level.write(ts_recv, listing, events);
                return Some(Outcome::ONE);
            }
        }
        let outcome = payloads(&mut c, kind, listing, ts_recv, events)?;
        channel.shapes = c.shapes;
        (c.rest == channel.end).then_some(outcome)
    }

    /// Reads a frame as one of the channel that is named at its end; `None` if nothing like that stands there, or something is
    /// wrong. So the first frame of a book, with thousands of levels, is read once.
    #[inline(never)]
    fn by_end(
        &mut self,
        mut c: Cursor<'_>,
        ts_recv: Timestamp,
        events: &mut Events,
    ) -> Option<Outcome> {
        let End { text, name, pair } = End::of(c.rest)?;
        let kind = ChannelKind::of(name)?;
        c.mark(b'[').ok()?;
        let number = c.unsigned().ok()?;
        c.comma().ok()?;
        let listing = listing(pair, c, events).ok()?;
        let outcome = payloads(&mut c, kind, listing, ts_recv, events)?;
        if c.rest != text {
            return None;
        }
        self.know(number, kind, listing, text, events);
        Some(outcome)
    }

    /// Notes what a channel's number means, unless its pair is new: the frame has to prove good first.
    fn know(
        &mut self,
        number: u64,
        kind: ChannelKind,
        listing: Listing,
        end: &[u8],
        events: &Events,
    ) {
        if events.has_newcomers() {
            return;
        }
        let channel = Channel {
            kind,
            listing,
            end: end.to_vec(),
            shapes: Shapes::default(),
        };
        match place(&self.channels, number) {
            Ok(at) => self.channels[at].1 = channel,
            Err(at) => self.channels.insert(at, (number, channel)),
        }
    }

    /// The channel with this number.
    #[inline(always)]
    fn channel(&mut self, number: u64) -> Option<&mut Channel> {
        let guess = &mut self.guesses.0[(number ^ number >> 4) as usize % GUESSES];
        if self.channels.get(usize::from(*guess))?.0 != number {
            let at = place(&self.channels, number).ok()?;
            *guess = u16::try_from(at).ok()?;
        }
        let channel = self.channels.get_mut(usize::from(*guess));
        channel.map(|(_, channel)| channel)
    }

    /// Reads the names that end a frame first.
    fn named(
        &mut self,
        mut c: Cursor<'_>,
        ts_recv: Timestamp,
        events: &mut Events,
    ) -> Result<Outcome, Fault> {
        if !c.begins(b'[') {
            return Err(c.refuse(RejectCode::UnknownFrame, "neither a list nor an object"));
        }
        c.mark(b'[')?;
        let number = c.unsigned()?;
        c.comma()?;
        let mut payloads = Vec::new();
        let end = loop {
            if c.begins(b'"') {
                break c.rest;
            }
            payloads.push(c);
            c.skip()?;
            c.comma()?;
        };
        let name = c.text()?;
        c.comma()?;
        let pair = c.text()?;
        c.rest_of_list()?;
        c.end()?;
        let Some(kind) = ChannelKind::of(&name) else {
            let detail = format!("channel {:?}", String::from_utf8_lossy(&name));
            return Err(fault(RejectCode::UnknownFrame, detail));
        };
        if payloads.is_empty() || payloads.len() > PAYLOADS_MAX {
            let detail = format!("{} payloads", payloads.len());
            return Err(fault(RejectCode::BadValue, detail));
        }
        let listing = listing(&pair, payloads[0], events)?;
        let outcome = match kind {
            ChannelKind::Book(levels) => {
                let mut book = Book::default();
                for c in &mut payloads {
                    payload_of_book(c, listing, levels, &mut book, events)?;
                }
                book.close(ts_recv, listing, events)
            }
            _ => payload(&mut payloads[0], kind, ts_recv, listing, events)?,
        };
        self.know(number, kind, listing, end, events);
        Ok(outcome)
    }
}

/// How a frame ends: `"book-1000","XBT/USD"]`.
struct End<'a> {
    text: &'a [u8],
    name: &'a [u8],
    pair: &'a [u8],
}

impl<'a> End<'a> {
    /// The end of a frame that is laid out as the venue does it.
    fn of(frame: &'a [u8]) -> Option<End<'a>> {
        let behind = |text: &'a [u8]| memchr::memrchr(b'"', text).map(|at| text.split_at(at));
        let (before, pair) = behind(frame.strip_suffix(b"\"]")?)?;
        let (before, name) = behind(before.strip_suffix(b"\",")?)?;
        let (pair, name) = (&pair[1..], &name[1..]);
        let plain =
            |text: &[u8]| (text.iter()).all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
        (plain(pair) && plain(name)).then(|| End {
            text: &frame[before.len()..],
            name,
            pair,
        })
    }
}

/// The listing of a pair; `payload` is what its first frame tells of it.
fn listing(pair: &[u8], payload: Cursor<'_>, events: &mut Events) -> Result<Listing, Fault> {
    match events.known(0, pair) {
        Some(listing) => Ok(listing),
        None => {
            let scales = (price_places(payload.rest), QTY_SCALE);
            events.newcomer(0, pair, scales, |pair| format!("{pair}.KRAKEN"))
        }
    }
}

/// Takes the payloads of a channel and the comma behind them; `None` if something is wrong.
#[inline(always)]
fn payloads(
    c: &mut Cursor<'_>,
    kind: ChannelKind,
    listing: Listing,
    ts_recv: Timestamp,
    events: &mut Events,
) -> Option<Outcome> {
    match kind {
        ChannelKind::Book(levels) => {
            let mut book = Book::default();
            let mut count = 0;
            loop {
                let taken = c.lend(|c| payload_of_book(c, listing, levels, &mut book, events));
                taken.ok()?;
                c.comma().ok()?;
                count += 1;
                if !c.begins(b'{') {
                    break;
                }
            }
            (count <= PAYLOADS_MAX).then(|| book.close(ts_recv, listing, events))
        }
        _ => {
            let taken = c.lend(|c| payload(c, kind, ts_recv, listing, events));
            let outcome = taken.ok()?;
            c.comma().ok()?;
            Some(outcome)
        }
    }
}

/// Where a channel stands, or would.
fn place(channels: &[(u64, Channel)], number: u64) -> Result<usize, usize> {
    channels.binary_search_by_key(&number, |(number, _)| *number)
}

/// The change of one level, which most frames of a book are: `{"a":[["price","volume","time"]],"c":"checksum"}`.
struct Level {
    side: Side,
    price: i64,
    qty: i64,
    ts_event: Timestamp,
    checksum: u32,
}

impl Level {
    /// Takes a payload that is laid out so, and the comma behind it; `None` leaves the cursor anywhere.
    #[inline(always)]
    fn take(c: &mut Cursor<'_>, listing: Listing) -> Option<Level> {
        c.expect(b"{\"")?;
        let (&key, rest) = c.rest.split_first()?;
        c.rest = rest;
        c.expect(b"\":[[\"")?;
        let price = c.price_digits(listing.price_scale)?;
        c.expect(b"\",\"")?;
        let qty = c.qty_digits(listing.qty_scale)?;
        c.expect(b"\",\"")?;
        let ts_event = c.micros_digits()?;
        c.expect(b"]],\"c\":\"")?;
        let checksum = u32::try_from(c.integer()?).ok()?;
        c.expect(b"\"},")?;
        // Which side it is, nobody can foresee.
        let side = if key == b'a' { Side::Ask } else { Side::Bid };
        let known = (key == b'a') | (key == b'b');
        known.then_some(Level {
            side,
            price,
            qty,
            ts_event,
            checksum,
        })
    }

    #[inline(always)]
    fn write(self, ts_recv: Timestamp, listing: Listing, events: &mut Events) {
        let header = Header {
            ts_event: self.ts_event,
            ..listing.header(Kind::BookDiff, ts_recv)
        };
        let side = self.side.code();
        (events.builder).push_summed(header, side, self.price, self.qty, self.checksum);
    }
}

impl Book {
    fn close(self, ts_recv: Timestamp, listing: Listing, events: &mut Events) -> Outcome {
        let kind = match self.snapshot {
            true => Kind::BookSnapshot,
            false => Kind::BookDiff,
        };
        let header = listing.header(kind, ts_recv);
        let header = Header {
            ts_event: self.ts_event.unwrap_or(header.ts_event),
            ..header
        };
        events.depth(header, self.unheld)
    }
}

/// Takes an object of a book: levels that were (`as`, `bs`) or changed (`a`, `b`), and the checksum after it.
fn payload_of_book(
    c: &mut Cursor<'_>,
    listing: Listing,
    depth: usize,
    book: &mut Book,
    events: &mut Events,
) -> Result<(), Fault> {
    let Book {
        snapshot,
        ts_event,
        unheld,
    } = book;
    let mut take = |c: &mut Cursor<'_>, side, depth| {
        c.levels(unheld, |c| {
            levels(c, side, listing, depth, ts_event, events)
        })
    };
    let mut checksum = None;
    c.lend(|c| {
        object!(c, {
            "a" => c.lend(|c| take(c, Side::Ask, None))?,
            "b" => c.lend(|c| take(c, Side::Bid, None))?,
            "as" => {
                *snapshot = true;
                c.lend(|c| take(c, Side::Ask, Some(depth)))?;
            },
            "bs" => {
                *snapshot = true;
                c.lend(|c| take(c, Side::Bid, Some(depth)))?;
            },
            "c" => checksum = Some(c.quoted_unsigned()?),
        });
        Ok(())
    })?;
    match checksum {
        Some(checksum) => events.checksum(i64::try_from(checksum).unwrap_or(i64::MAX)),
        None => Ok(()),
    }
}

/// Takes the levels of a side: `["price","volume","time"]`, in a snapshot the best first.
fn levels(
    c: &mut Cursor<'_>,
    side: Side,
    listing: Listing,
    depth: Option<usize>,
    latest: &mut Option<Timestamp>,
    events: &mut Events,
) -> Result<(), Fault> {
    let (mut count, mut newest) = (0, *latest);
    let rest = |c: &mut Cursor<'_>| {
        c.comma()?;
        newest = Some(c.quoted_seconds()?).max(newest);
        c.rest_of_list()
    };
    pairs(c, listing, rest, |price, qty| {
        events.row(side, price, qty);
        count += 1;
    })?;
    *latest = newest;
    if depth.is_some_and(|depth| count >= depth) && count > 0 {
        events.cut();
    }
    Ok(())
}

/// Takes what a channel sends that is no book.
fn payload(
    c: &mut Cursor<'_>,
    kind: ChannelKind,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    match kind {
        ChannelKind::Trade => trades(c, ts_recv, listing, events),
        ChannelKind::Ticker => ticker(c, ts_recv, listing, events),
        ChannelKind::Spread => spread(c, ts_recv, listing, events),
        ChannelKind::Book(_) | ChannelKind::Unused => {
            c.skip()?;
            Ok(Outcome::UNUSED)
        }
    }
}

/// Takes `["price","volume","time","b" or "s","l" or "m",""]`, one a trade.
fn trades(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let mut messages = 0;
    c.list(|c| {
        c.mark(b'[')?;
        let price = c.price(listing.price_scale)?;
        c.comma()?;
        let qty = c.qty(listing.qty_scale)?;
        c.comma()?;
        let ts_event = c.quoted_seconds()?;
        c.comma()?;
        let aggressor = match &*c.text()? {
            b"b" => Side::Buy,
            b"s" => Side::Sell,
            other => {
                let detail = format!("side {:?}", String::from_utf8_lossy(other));
                return Err(fault(RejectCode::BadValue, detail));
            }
        };
        c.rest_of_list()?;
        let header = Header {
            ts_event,
            ..listing.header(Kind::Trade, ts_recv)
        };
        events.trade(header, aggressor, price, qty);
        messages += 1;
        Ok(())
    })?;
    Ok(Outcome::of(messages))
}

/// Takes `{"a":["price",whole lots,"volume"],"b":[…],…}`.
fn ticker(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    let (mut ask, mut bid) = (None, None);
    let here = *c;
    object!(c, {
        "a" => ask = Some(best(c, listing)?),
        "b" => bid = Some(best(c, listing)?),
    });
    let (Some(bid), Some(ask)) = (bid, ask) else {
        return Err(here.refuse(RejectCode::MissingKey, "no \"a\" or no \"b\""));
    };
    events.quote(listing.header(Kind::Quote, ts_recv), bid, ask);
    Ok(Outcome::ONE)
}

fn best(c: &mut Cursor<'_>, listing: Listing) -> Result<(i64, i64), Fault> {
    if !c.begins(b'[') {
        return Err(c.refuse(RejectCode::BadValue, "no list"));
    }
    c.mark(b'[')?;
    let price = c.price(listing.price_scale)?;
    c.comma()?;
    c.skip()?;
    c.comma()?;
    let qty = c.qty(listing.qty_scale)?;
    c.rest_of_list()?;
    Ok((price, qty))
}

/// Takes `["bid","ask","time","bid volume","ask volume"]`.
fn spread(
    c: &mut Cursor<'_>,
    ts_recv: Timestamp,
    listing: Listing,
    events: &mut Events,
) -> Result<Outcome, Fault> {
    c.mark(b'[')?;
    let bid = c.price(listing.price_scale)?;
    c.comma()?;
    let ask = c.price(listing.price_scale)?;
    c.comma()?;
    let ts_event = c.quoted_seconds()?;
    c.comma()?;
    let bid_qty = c.qty(listing.qty_scale)?;
    c.comma()?;
    let ask_qty = c.qty(listing.qty_scale)?;
    c.rest_of_list()?;
    let header = Header {
        ts_event,
        ..listing.header(Kind::Quote, ts_recv)
    };
    events.quote(header, (bid, bid_qty), (ask, ask_qty));
    Ok(Outcome::ONE)
}
