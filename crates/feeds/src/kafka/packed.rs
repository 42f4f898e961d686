//! Our own encoding of one message, for topics that carry one event a message: little-endian, of fixed size but for the rows.
//!
//! ```text
//! 0   format (1)      2  price scale     4  ts_recv   12  ts_event   20  sequence   28  sequence_prev
//! 1   kind            3  quantity scale
//! 36  checksum of the book after it, -1 for none
//! 44  rows of 20 bytes: side, flags, condition, 0, price (8), quantity (8)
//! ```
//!
//! The key of the Kafka message is the instrument's id. Trades, quotes and depth have this form; what else is on a tape goes as
//! Arrow. Times are nanoseconds UTC; what is absent has the values that it has in memory (`NO_TIME`, `NO_SEQUENCE`, `NO_RULE`).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use signal_event::{
    Condition, EventBatch, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind,
    Message, Row, Side, flags,
};
use signal_ingest::{Reject, RejectCode};

use crate::FeedError;

/// The first byte of every message.
pub const FORMAT: u8 = 1;
const HEAD: usize = 44;
const ROW: usize = 20;
/// Flags that a row may carry here.
const ROW_FLAGS: u8 = flags::CUT | flags::UNHELD;

/// The key and value of each message of a batch. Fails for what has no such form: it is sent as Arrow.
pub fn pack(batch: &EventBatch) -> Result<Vec<(String, Vec<u8>)>, FeedError> {
    let named = |message: Message<'_>| {
        let kind = message.header().kind;
        let instrument = message.instrument().filter(|_| is_packed(kind));
        let instrument = instrument.ok_or_else(|| FeedError::BadOption {
            option: "payload",
            what: format!(
                "a {} is not sent as \"event\"; send it as \"arrow\"",
                kind.name()
            ),
        })?;
        Ok((instrument.id.clone(), packed(&message, instrument)))
    };
    batch.messages().map(named).collect()
}

const fn is_packed(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Trade | Kind::Quote | Kind::BookDiff | Kind::BookSnapshot
    )
}

fn packed(message: &Message<'_>, instrument: &Instrument) -> Vec<u8> {
    let header = message.header();
    let rows = message.sides().len();
    let mut bytes = Vec::with_capacity(HEAD + ROW * rows);
    bytes.extend([
        FORMAT,
        header.kind.code(),
        instrument.price_scale,
        instrument.qty_scale,
    ]);
    bytes.extend(header.ts_recv.to_le_bytes());
    bytes.extend(header.ts_event.to_le_bytes());
    bytes.extend(header.sequence.to_le_bytes());
    bytes.extend(header.sequence_prev.to_le_bytes());
    bytes.extend(message.checksum().map_or(-1, i64::from).to_le_bytes());
    let condition = if header.kind == Kind::Trade {
        message.condition().code()
    } else {
        0
    };
    for row in 0..rows {
        let flags = message.flags()[row];
        bytes.extend([message.sides()[row], flags & ROW_FLAGS, condition, 0]);
        bytes.extend(message.prices()[row].to_le_bytes());
        bytes.extend(message.qtys()[row].to_le_bytes());
    }
    bytes
}

/// Reads packed messages. Invariant: `places` finds each instrument that came under its key.
#[derive(Debug, Default)]
pub(crate) struct Unpacker {
    places: HashMap<Vec<u8>, (InstrumentId, u8, u8), BuildHasherDefault<KeyHasher>>,
}

/// Of keys, eight bytes at a time: one is looked up for every message, and who may write into the topic is trusted not to
/// choose them badly.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut eights = bytes.chunks_exact(8);
        for eight in &mut eights {
            self.mix(i64_at(eight, 0) as u64);
        }
        let rest = eights.remainder().iter();
        self.mix(rest.fold(bytes.len() as u64, |so_far, byte| {
            so_far << 8 | u64::from(*byte)
        }));
    }

    #[inline]
    fn write_usize(&mut self, _length: usize) {} // of a key: counted above

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl KeyHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Unpacker {
    /// Adds the message to `builder`, and its instrument to `instruments` if it is new. A refused one adds nothing.
    pub(crate) fn add(
        &mut self,
        key: &[u8],
        value: &[u8],
        builder: &mut EventBatchBuilder,
        instruments: &mut Arc<Instruments>,
    ) -> Result<(), Reject> {
        let Some((head, rows)) = value.split_at_checked(HEAD) else {
            let detail = format!("{} bytes, and a head has {HEAD}", value.len());
            return Err(refused(RejectCode::Corrupt, detail));
        };
        if head[0] != FORMAT {
            let detail = format!("format {}, and this reads {FORMAT}", head[0]);
            return Err(refused(RejectCode::UnknownFrame, detail));
        }
        let kind = Kind::from_code(head[1])
            .filter(|kind| is_packed(*kind))
            .ok_or_else(|| refused(RejectCode::BadValue, format!("kind {}", head[1])))?;
        if rows.is_empty() || rows.len() % ROW != 0 {
            let detail = format!("{} bytes of rows, and a row has {ROW}", rows.len());
            return Err(refused(RejectCode::Corrupt, detail));
        }
        check(kind, rows)?;
        let instrument = self.place(key, head[2], head[3], instruments)?;
        for row in rows.chunks_exact(ROW) {
            let (price, qty) = (i64_at(row, 4), i64_at(row, 12));
            match Condition::from_code(row[2]) {
                Some(condition) if condition != Condition::Ordinary => builder.push_more(Row {
                    side: Side::from_code(row[0]).unwrap_or(Side::None),
                    price,
                    qty,
                    condition,
                    ..Row::default()
                }),
                _ => builder.push_row(row[0], price, qty),
            }
            if row[1] != 0 {
                builder.mark_row(row[1]);
            }
        }
        if let Ok(checksum) = u32::try_from(i64_at(head, 36)) {
            builder.checksum(checksum);
        }
        builder.close(Header {
            kind,
            instrument,
            ts_recv: i64_at(head, 4),
            ts_event: i64_at(head, 12),
            sequence: i64_at(head, 20) as u64,
            sequence_prev: i64_at(head, 28) as u64,
        });
        Ok(())
    }

    #[inline]
    fn place(
        &mut self,
        key: &[u8],
        price_scale: u8,
        qty_scale: u8,
        instruments: &mut Arc<Instruments>,
    ) -> Result<InstrumentId, Reject> {
        let scales = (price_scale, qty_scale);
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => {
                let place = newcomer(key, scales, instruments)?;
                self.places.insert(key.to_vec(), place);
                place
            }
        };
        let (index, price_known, qty_known) = place;
        if (price_known, qty_known) != scales {
            let detail = format!(
                "scales {price_scale}/{qty_scale}, and {} has {price_known}/{qty_known}",
                String::from_utf8_lossy(key)
            );
            return Err(refused(RejectCode::BadValue, detail));
        }
        Ok(index)
    }
}

/// The rows are those that the kind calls for.
fn check(kind: Kind, rows: &[u8]) -> Result<(), Reject> {
    let wrong = |what: String| Err(refused(RejectCode::BadValue, what));
    let count = rows.len() / ROW;
    match kind {
        Kind::Trade if count != 1 => return wrong(format!("a trade of {count} rows")),
        Kind::Quote
            if count != 2 || rows[0] != Side::Bid.code() || rows[ROW] != Side::Ask.code() =>
        {
            return wrong("a quote that is not a bid and an ask".into());
        }
        _ => {}
    }
    for row in rows.chunks_exact(ROW) {
        if usize::from(row[0]) >= Side::ALL.len()
            || row[1] & !ROW_FLAGS != 0
            || Condition::from_code(row[2]).is_none()
        {
            return wrong(format!(
                "side {}, flags {}, condition {}",
                row[0], row[1], row[2]
            ));
        }
        if i64_at(row, 12) < 0 {
            let detail = format!("quantity {}", i64_at(row, 12));
            return Err(refused(RejectCode::Negative, detail));
        }
    }
    Ok(())
}

fn newcomer(
    key: &[u8],
    (price_scale, qty_scale): (u8, u8),
    instruments: &mut Arc<Instruments>,
) -> Result<(InstrumentId, u8, u8), Reject> {
    let id = std::str::from_utf8(key).ok().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| {
        let detail = "the key is no instrument's id".to_string();
        refused(RejectCode::UnknownInstrument, detail)
    })?;
    let instrument = Instrument {
        id: id.into(),
        price_scale,
        qty_scale,
    };
    let index = Arc::make_mut(instruments)
        .intern(&instrument)
        .map_err(|error| refused(RejectCode::UnknownInstrument, error.to_string()))?;
    Ok((index, price_scale, qty_scale))
}

fn refused(code: RejectCode, detail: String) -> Reject {
    Reject { code, detail }
}

/// The number at a place that is there. (`copy_from_slice` into an array stays a call of `memmove`.)
#[inline]
fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
    eight.map_or(0, |eight| i64::from_le_bytes(*eight))
}
