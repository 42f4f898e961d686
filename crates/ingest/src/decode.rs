//! What a decoder is: a venue's frames to messages.

use std::collections::HashMap;
use std::sync::Arc;

use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, NO_INSTRUMENT,
    NO_TIME, Row, Side, Timestamp, flags,
};

use crate::json::{Fault, fault};
pub(crate) use crate::listing::{Listing, Prints};
use crate::{Reject, RejectCode};

/// Decodes the frames of one venue, as it sends them.
///
/// A frame becomes no message (an answer to a subscription, a heartbeat, a stream that nobody uses), one or several; one
/// that is refused adds nothing, whatever it had added before the fault was found. Keys may come in any order, with
/// whitespace, escapes and keys that we do not know; what is no JSON, and a key that stands twice, is refused.
pub trait Decode: Default {
    /// Texts that tell the venue's frames from those of others: a frame is the venue's if it holds each text of a line.
    const SIGNS: &'static [&'static [&'static str]];

    /// Decodes one frame and adds its messages.
    fn frame(
        &mut self,
        ts_recv: Timestamp,
        frame: &[u8],
        events: &mut Events,
    ) -> Result<Outcome, Reject>;

    /// Decodes the venue's answer to a request: a snapshot of a book, or a list of instruments. What is not used is no
    /// message.
    fn answer(
        &mut self,
        _ts_recv: Timestamp,
        _url: &str,
        _body: &[u8],
        _events: &mut Events,
    ) -> Result<Outcome, Reject> {
        Ok(Outcome::UNUSED)
    }

    /// The fast way, where a venue has one that finds the frame's end by itself: decodes the frame with which `text`
    /// begins, if a line feed ends it, and gives what follows. `None` changes nothing; then [`Decode::frame`] decides.
    #[inline(always)]
    fn line<'a>(
        &mut self,
        _ts_recv: Timestamp,
        _text: &'a [u8],
        _events: &mut Events,
    ) -> Option<&'a [u8]> {
        None
    }
}

/// What a frame became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that were added; without one the frame is unused.
    pub messages: u32,
    /// Why the levels of a message cannot be held: then it says only that there were some.
    pub unheld: Option<Box<Reject>>,
}

impl Outcome {
    /// No message, and nothing wrong.
    pub const UNUSED: Outcome = Outcome {
        messages: 0,
        unheld: None,
    };

    /// One message.
    pub const ONE: Outcome = Outcome {
        messages: 1,
        unheld: None,
    };

    /// Whether it became messages, and nothing of it was left out.
    #[inline(always)]
    pub(crate) fn is_used(&self) -> bool {
        self.messages > 0 && self.unheld.is_none()
    }

    /// This many messages.
    pub const fn of(messages: u32) -> Outcome {
        Outcome {
            messages,
            unheld: None,
        }
    }
}

/// A symbol that has been seen.
#[derive(Clone, Debug)]
struct Known {
    space: usize,
    /// No character of it is escaped in a JSON string.
    symbol: Vec<u8>,
    listing: Listing,
}

/// Symbols of different markets of a venue may be alike: each market has a space of its own.
const SPACES: usize = 2;

/// Bytes of a symbol at most; the longest have about thirty.
const SYMBOL_BYTES_MAX: usize = 64;

/// Guesses are as many as the bits of a hash tell apart.
const RECENT_BITS: u32 = 7;

type Recent = Box<[u32; 1 << RECENT_BITS]>;

/// The place of a symbol's guess.
#[inline(always)]
fn slot(symbol: &[u8]) -> usize {
    let ends = symbol.first_chunk().zip(symbol.last_chunk());
    let mixed = match ends {
        Some((first, last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(27)
        }
        None => symbol
            .iter()
            .fold(0, |mixed, &byte| mixed << 8 | u64::from(byte)),
    };
    let mixed = (mixed ^ symbol.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (u64::BITS - RECENT_BITS)) as usize
}

/// How many instruments a symbol may mean that is not named.
pub(crate) enum Only {
    None,
    One(Listing),
    Several,
}

/// What decoders add to: messages, and the instruments that are named as they appear.
///
/// Invariants: each entry of `known` stands in `instruments`, and its scales are those of the table; `places` finds each
/// entry by its symbol; between frames there are no newcomers, and `start` is the number of rows.
#[derive(Clone, Debug)]
pub struct Events {
    pub(crate) builder: EventBatchBuilder,
    instruments: Arc<Instruments>,
    /// Scales of new instruments' prices and quantities.
    scales: (u8, u8),
    known: Vec<Known>,
    /// Where in `known` a symbol stands.
    places: [HashMap<Vec<u8>, usize>; SPACES],
    /// The entry of `known` that the frame before used.
    latest: usize,
    /// Guesses where a symbol stands, by a few of its characters: as many instruments take turns in most sources.
    recent: Recent,
    /// New symbols of the frame at hand: they are listed once the whole frame proves good.
    newcomers: Vec<(Known, Instrument)>,
    /// Rows before the frame at hand.
    start: usize,
}

impl Default for Events {
    fn default() -> Events {
        Events::new(Arc::default(), Default::default())
    }
}

impl Events {
    /// Without messages, with these instruments, whose scales and indices stay. New ones get `scales`.
    pub(crate) fn new(instruments: Arc<Instruments>, scales: (u8, u8)) -> Events {
        Events {
            builder: EventBatchBuilder::new(),
            instruments,
            scales,
            known: Vec::new(),
            places: Default::default(),
            latest: 0,
            recent: Box::new([0; 1 << RECENT_BITS]),
            newcomers: Vec::new(),
            start: 0,
        }
    }

    /// Scales of instruments that appear from now on.
    pub(crate) fn set_scales(&mut self, scales: (u8, u8)) {
        self.scales = scales;
    }

    /// The instruments so far.
    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Rows of whole messages.
    pub(crate) fn rows(&self) -> usize {
        self.builder.len()
    }

    /// Takes the messages so far.
    pub(crate) fn take(&mut self) -> EventBatch {
        let rows = self.builder.len();
        let batch = self.builder.finish(&self.instruments);
        self.builder.reserve(rows);
        batch
    }

    /// A frame begins.
    pub(crate) fn begin(&mut self) {
        self.start = self.builder.len();
    }

    /// The frame is good: its new instruments are listed.
    #[inline(always)]
    pub(crate) fn keep(&mut self) -> Result<(), Reject> {
        match self.newcomers.is_empty() {
            true => Ok(()),
            false => self.list_newcomers(),
        }
    }

    #[cold]
    #[inline(never)]
    fn list_newcomers(&mut self) -> Result<(), Reject> {
        for (known, instrument) in self.newcomers.drain(..) {
            let listed = Arc::make_mut(&mut self.instruments).intern(&instrument);
            listed.map_err(|e| Reject::new(RejectCode::UnknownInstrument, e.to_string()))?;
            self.places[known.space].insert(known.symbol.clone(), self.known.len());
            self.known.push(known);
        }
        Ok(())
    }

    /// The frame is refused: it leaves nothing behind.
    pub(crate) fn undo(&mut self) {
        self.newcomers.clear();
        self.builder.rewind(self.start);
    }

    /// Forgets the messages of the frame at hand.
    #[inline]
    pub(crate) fn undo_rows(&mut self) {
        self.builder.rewind(self.start);
    }

    /// The venue's time of the frame at hand: its latest message's.
    pub(crate) fn ts_event(&self) -> Timestamp {
        self.builder
            .last_ts_event()
            .filter(|_| self.builder.len() > self.start)
            .unwrap_or(NO_TIME)
    }

    /// The listing of the known symbol with which `text` begins, and what follows its closing quote.
    #[inline(always)]
    pub(crate) fn known_in<'a>(
        &mut self,
        space: usize,
        text: &'a [u8],
    ) -> Option<(Listing, &'a [u8])> {
        if let Some(known) = self.known.get(self.latest)
            && known.space == space
            && let Some(rest) = text.strip_prefix(known.symbol.as_slice())
            && let Some(rest) = rest.strip_prefix(b"\"")
        {
            return Some((known.listing, rest));
        }
        self.known_elsewhere(space, text)
    }

    /// As `known_in`, where it is not the symbol of the frame before.
    #[inline(never)]
    fn known_elsewhere<'a>(&mut self, space: usize, text: &'a [u8]) -> Option<(Listing, &'a [u8])> {
        let end = memchr::memchr(b'"', &text[..text.len().min(SYMBOL_BYTES_MAX + 1)])?;
        let at = self.place(space, &text[..end])?;
        Some((self.known.get(at)?.listing, &text[end + 1..]))
    }

    /// Where a known symbol stands, which `latest` is from now on.
    #[inline]
    fn place(&mut self, space: usize, symbol: &[u8]) -> Option<usize> {
        let recent = &mut self.recent[slot(symbol)];
        let at = *recent as usize;
        let guess = self.known.get(at);
        if !guess.is_some_and(|known| known.space == space && known.symbol == symbol) {
            *recent = *self.places[space].get(symbol)? as u32;
        }
        self.latest = *recent as usize;
        Some(self.latest)
    }

    /// The listing of a symbol that is known.
    #[inline]
    pub(crate) fn known(&mut self, space: usize, symbol: &[u8]) -> Option<Listing> {
        if let Some(known) = self.known.get(self.latest)
            && known.space == space
            && known.symbol == symbol
        {
            return Some(known.listing);
        }
        let at = self.place(space, symbol)?;
        Some(self.known[at].listing)
    }

    /// The listing of a symbol; `id` names a new one, which is a newcomer until the frame proves good.
    #[inline]
    pub(crate) fn listing(
        &mut self,
        space: usize,
        symbol: &[u8],
        id: impl FnOnce(&str) -> String,
    ) -> Result<Listing, Fault> {
        match self.known(space, symbol) {
            Some(listing) => Ok(listing),
            None => self.newcomer(space, symbol, self.scales, id),
        }
    }

    /// A symbol that is not known: a newcomer with these scales, unless the instrument is declared with others.
    #[cold]
    pub(crate) fn newcomer(
        &mut self,
        space: usize,
        symbol: &[u8],
        scales: (u8, u8),
        id: impl FnOnce(&str) -> String,
    ) -> Result<Listing, Fault> {
        let same = |known: &Known| known.space == space && known.symbol == symbol;
        if let Some((known, _)) = self.newcomers.iter().find(|(known, _)| same(known)) {
            return Ok(known.listing);
        }
        let text = std::str::from_utf8(symbol).ok();
        let Some(text) = text.filter(|text| is_symbol(text)) else {
            let symbol = String::from_utf8_lossy(symbol);
            let detail = format!(
                "the symbol {symbol:?} is not made of 1 to {SYMBOL_BYTES_MAX} letters, digits and _ - / : @"
            );
            return Err(fault(RejectCode::BadValue, detail));
        };
        let id = id(text);
        let declared = self.instruments.id(&id);
        let new =
            |(_, instrument): &&(Known, Instrument)| self.instruments.id(&instrument.id).is_none();
        let number = declared.unwrap_or_else(|| {
            let newcomers = self.newcomers.iter().filter(new).count();
            InstrumentId::at(self.instruments.len() + newcomers)
        });
        if number == NO_INSTRUMENT {
            let detail = format!("{id:?}: there is no room for more instruments");
            return Err(fault(RejectCode::UnknownInstrument, detail));
        }
        let instrument = declared.and_then(|number| self.instruments.get(number));
        let instrument = instrument.cloned().unwrap_or(Instrument {
            id,
            price_scale: scales.0,
            qty_scale: scales.1,
        });
        let listing = Listing {
            id: number,
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
            prints: Prints::Unknown,
        };
        let symbol = symbol.to_vec();
        self.newcomers.push((
            Known {
                space,
                symbol,
                listing,
            },
            instrument,
        ));
        Ok(listing)
    }

    /// Whether the trades of the instrument of the frame at hand come from this stream; the first that says so is right.
    pub(crate) fn claims(&mut self, listing: Listing, prints: Prints) -> bool {
        let newcomers = self.newcomers.iter_mut().map(|(known, _)| known);
        let latest = self.known.get_mut(self.latest);
        let mut named = latest.into_iter().chain(newcomers);
        let Some(known) = named.find(|known| known.listing.id == listing.id) else {
            return false;
        };
        if known.listing.prints == Prints::Unknown {
            known.listing.prints = prints;
        }
        known.listing.prints == prints
    }

    /// The only instrument of a market: whose a message without a symbol is.
    pub(crate) fn only(&self, space: usize, of_market: impl Fn(&[u8]) -> bool) -> Only {
        let of_market = |known: &&Known| known.space == space && of_market(&known.symbol);
        let mut found = self.known.iter().filter(of_market);
        match (found.next(), found.next()) {
            (None, _) => Only::None,
            (Some(known), None) => Only::One(known.listing),
            (Some(_), Some(_)) => Only::Several,
        }
    }

    /// Adds a level, or a trade, to the open message.
    #[inline(always)]
    pub(crate) fn row(&mut self, side: Side, price: i64, qty: i64) {
        self.builder.push_row(side.code(), price, qty);
    }

    /// Ends the open message.
    #[inline(always)]
    pub(crate) fn close(&mut self, header: Header) {
        self.builder.close(header);
    }

    /// Adds a trade, a message of one row.
    #[inline(always)]
    pub(crate) fn trade(&mut self, header: Header, aggressor: Side, price: i64, qty: i64) {
        self.builder.push(header, aggressor.code(), price, qty);
    }

    /// Adds a message of one row that tells more than side, price and quantity.
    #[inline]
    pub(crate) fn single(&mut self, header: Header, row: Row) {
        self.builder.push_more(row);
        self.close(header);
    }

    /// Adds a best quote. A side without orders has quantity 0.
    #[inline(always)]
    pub(crate) fn quote(&mut self, header: Header, bid: (i64, i64), ask: (i64, i64)) {
        let (bid_side, ask_side) = (Side::Bid.code(), Side::Ask.code());
        let rows = [(bid_side, bid.0, bid.1), (ask_side, ask.0, ask.1)];
        self.builder.push_pair(header, rows);
    }

    /// Ends the open depth message. If one of its levels is beyond the range of a tape (`unheld`), all are replaced by a row
    /// that says so: the book is not what it was, although nobody can say what it is.
    #[inline(always)]
    pub(crate) fn depth(&mut self, header: Header, unheld: Option<Fault>) -> Outcome {
        if unheld.is_some() {
            self.builder.abandon();
            self.row(Side::None, 0, 0);
            self.builder.mark_row(flags::UNHELD);
        }
        self.close(header);
        Outcome {
            messages: 1,
            unheld,
        }
    }

    /// Whether the frame at hand names a symbol for the first time.
    pub(crate) fn has_newcomers(&self) -> bool {
        !self.newcomers.is_empty()
    }

    /// The newest level of the open message is the worst of a side that was cut off.
    pub(crate) fn cut(&mut self) {
        self.builder.mark_row(flags::CUT);
    }

    /// The venue's checksum of the book after the open message: 32 bits, which some venues write as a signed number.
    #[inline(always)]
    pub(crate) fn checksum(&mut self, checksum: i64) -> Result<(), Fault> {
        let fits = (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&checksum);
        if !fits {
            let detail = format!("checksum {checksum} does not fit into 32 bits");
            return Err(fault(RejectCode::BadValue, detail));
        }
        self.builder.checksum(checksum as u32);
        Ok(())
    }

    /// Forgets the rows of the open message.
    #[inline]
    pub(crate) fn abandon(&mut self) {
        self.builder.abandon();
    }
}

/// Levels that cannot be held, apart from other faults.
pub(crate) fn unheld(taken: Result<(), Fault>) -> Result<Option<Fault>, Fault> {
    match taken {
        Ok(()) => Ok(None),
        Err(fault) if fault.code == RejectCode::Overflow => Ok(Some(fault)),
        Err(fault) => Err(fault),
    }
}

fn is_symbol(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':' | '@');
    !text.is_empty() && text.len() <= SYMBOL_BYTES_MAX && text.chars().all(allowed)
}
