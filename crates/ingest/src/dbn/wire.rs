//! The records that come in millions, read where they stand in the bytes: copied nowhere first.
//!
//! Databento's crate makes references of bytes that it has copied into memory of its own; from a file that is read once, the copy
//! costs more than all that is done with most records.

use ::dbn::{BidAskPair, FlagSet, HasRType, MboMsg, Mbp1Msg, Mbp10Msg, RecordHeader, TradeMsg};

/// Bytes of these records.
pub(super) const ORDER: usize = size_of::<MboMsg>();
pub(super) const TRADE: usize = size_of::<TradeMsg>();
pub(super) const QUOTE: usize = size_of::<Mbp1Msg>();
pub(super) const DEPTH: usize = size_of::<Mbp10Msg>();

/// Levels of a side in a record of ten.
pub(super) const LEVELS: usize = 10;

/// A level of both sides, as it stands in a record.
pub(super) type Pair = [u8; size_of::<BidAskPair>()];

/// These bytes of a record, from one on.
#[inline(always)]
fn bytes<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    let bytes = record.get(at..).and_then(|rest| rest.first_chunk());
    // Records are at least as long as their types say.
    bytes.copied().unwrap_or([0; N])
}

#[inline(always)]
fn header<T: HasRType<Header = RecordHeader>>(record: &[u8]) -> RecordHeader {
    RecordHeader::new::<T>(
        record[1],
        u16::from_le_bytes(bytes(record, 2)),
        u32::from_le_bytes(bytes(record, 4)),
        u64::from_le_bytes(bytes(record, 8)),
    )
}

/// An order.
#[inline(always)]
pub(super) fn order(record: &[u8; ORDER]) -> MboMsg {
    MboMsg {
        hd: header::<MboMsg>(record),
        order_id: u64::from_le_bytes(bytes(record, 16)),
        price: i64::from_le_bytes(bytes(record, 24)),
        size: u32::from_le_bytes(bytes(record, 32)),
        flags: FlagSet::from(record[36]),
        channel_id: record[37],
        action: record[38] as _,
        side: record[39] as _,
        ts_recv: u64::from_le_bytes(bytes(record, 40)),
        ts_in_delta: i32::from_le_bytes(bytes(record, 48)),
        sequence: u32::from_le_bytes(bytes(record, 52)),
    }
}

/// A trade, or what a record of levels tells before them.
#[inline(always)]
pub(super) fn trade(record: &[u8; TRADE]) -> TradeMsg {
    TradeMsg {
        hd: header::<TradeMsg>(record),
        price: i64::from_le_bytes(bytes(record, 16)),
        size: u32::from_le_bytes(bytes(record, 24)),
        action: record[28] as _,
        side: record[29] as _,
        flags: FlagSet::from(record[30]),
        depth: record[31],
        ts_recv: u64::from_le_bytes(bytes(record, 32)),
        ts_in_delta: i32::from_le_bytes(bytes(record, 40)),
        sequence: u32::from_le_bytes(bytes(record, 44)),
    }
}

/// The best levels, and what stands before them.
#[inline(always)]
pub(super) fn quote(record: &[u8; QUOTE]) -> (TradeMsg, &[Pair; 1]) {
    levels(record)
}

/// Ten levels, and what stands before them.
#[inline(always)]
pub(super) fn depth(record: &[u8; DEPTH]) -> (TradeMsg, &[Pair; LEVELS]) {
    levels(record)
}

#[inline(always)]
fn levels<const N: usize>(record: &[u8]) -> (TradeMsg, &[Pair; N]) {
    const NONE: Pair = [0; size_of::<Pair>()];
    let (pairs, _) = record.get(TRADE..).unwrap_or_default().as_chunks();
    (
        trade(&bytes(record, 0)),
        pairs.first_chunk().unwrap_or(&[NONE; N]),
    )
}

/// Prices and quantities of a level: of the bid, of the ask.
#[inline(always)]
pub(super) fn pair(pair: &Pair) -> [(i64, u32); 2] {
    let price = |at| i64::from_le_bytes(bytes(pair, at));
    let size = |at| u32::from_le_bytes(bytes(pair, at));
    [(price(0), size(16)), (price(8), size(20))]
}
