//! Databento's binary encoding (DBN), versions 1 to 3, to messages. `docs/dbn.md` says what becomes of each record's fields.
//!
//! The bytes are taken apart by Databento's own `dbn` crate, but for the records that are sent in millions, orders, trades and levels:
//! those are the same in all versions, and read where they stand. Records of versions 1 and 2 are brought to version 3 one by one,
//! after their lengths have been checked: the crate's own upgrade takes lengths on trust.

mod definition;
mod depth;
mod market;
mod orders;
mod quotes;
mod reference;
mod symbols;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use ::dbn::decode::dbn::fsm::{DbnFsm, ProcessResult};
use ::dbn::{
    HasRType, RecordHeader, RecordRef, UNDEF_PRICE, UNDEF_TIMESTAMP, VersionUpgradePolicy, rtype,
    v1, v2, v3,
};
use signal_event::{EventBatch, Instruments, NO_TIME, Side, Timestamp};

use crate::json::{Fault, fault};
use crate::{Reject, RejectCode, Rejects};
use market::Market;

/// Lengths of bars by record type.
const BARS_NS: [(u8, i64); 4] = [
    (rtype::OHLCV_1S, 1_000_000_000),
    (rtype::OHLCV_1M, 60_000_000_000),
    (rtype::OHLCV_1H, 3_600_000_000_000),
    (rtype::OHLCV_1D, 86_400_000_000_000),
];

/// Length of a header, in the unit in which records tell their lengths.
const HEADER_WORDS: u8 = (size_of::<RecordHeader>() / RecordHeader::LENGTH_MULTIPLIER) as u8;

/// Bytes that are copied and taken apart at a time: few enough to stay in the processor's first cache.
const PART: usize = 16 << 10;

/// Records that are taken apart at a time.
const RUN: usize = 64;

/// A file or stream of DBN in the making: feed it pieces of any size, take batches.
///
/// Invariant: `inputs() == used() + rejects().total()`, once the input has ended.
#[derive(Debug)]
pub struct Dbn {
    fsm: DbnFsm,
    /// The version of the encoding, from the header.
    version: u8,
    market: Market,
    counts: Counts,
    /// Bytes that the unfinished record lacks, as far as is known.
    lacking: usize,
    /// What follows is skipped: damage, after which nobody knows where a record begins.
    broken: bool,
}

/// What became of the records.
#[derive(Debug, Default)]
struct Counts {
    records: u64,
    used: u64,
    rejects: Rejects,
}

impl Counts {
    #[inline(always)]
    fn add(&mut self, done: Result<(), Fault>, record: &[u8], market: &mut Market) {
        self.records += 1;
        match done {
            Ok(()) => self.used += 1,
            Err(reject) => {
                market.builder.abandon();
                self.rejects.add(self.records, *reject, record);
            }
        }
    }
}

impl Dbn {
    /// Nothing has been read. `instruments` are known by their ids, with scales that are not the usual ones.
    pub fn new(instruments: Arc<Instruments>) -> Dbn {
        let mut fsm = DbnFsm::new(2 * PART, 0);
        // Without a version yet, no policy is refused.
        let _ = fsm.set_upgrade_policy(VersionUpgradePolicy::AsIs);
        Dbn {
            fsm,
            version: 0,
            market: Market::new(instruments),
            counts: Counts::default(),
            lacking: PART,
            broken: false,
        }
    }

    /// Decodes the records that this piece completes and keeps the unfinished one.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() && !self.broken {
            let mut part = PART;
            if self.fsm.has_decoded_metadata() {
                if self.fsm.data().is_empty() {
                    rest = self.in_place(rest);
                } else {
                    // Only what the unfinished record lacks: what follows may be read where it stands.
                    part = self.lacking;
                }
            }
            let (part, behind) = rest.split_at(part.min(rest.len()));
            self.push_part(part);
            rest = behind;
        }
    }

    /// Takes records of the kinds that come in millions, up to one that is another or not whole; gives what is left.
    fn in_place<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while let [words, kind, ..] = *rest
            && words >= HEADER_WORDS
            && let Some((record, behind)) =
                rest.split_at_checked(usize::from(words) * RecordHeader::LENGTH_MULTIPLIER)
            && let Some(done) = often(&mut self.market, kind, record)
        {
            self.counts.add(done, record, &mut self.market);
            rest = behind;
        }
        rest
    }

    fn push_part(&mut self, part: &[u8]) {
        self.fsm.write_all(part);
        loop {
            let mut run = [None; RUN];
            match self.fsm.process_many(&mut run) {
                ProcessResult::ReadMore(lacking) => {
                    self.lacking = lacking.max(1);
                    return;
                }
                ProcessResult::Metadata(metadata) => {
                    self.version = metadata.version;
                    if let Err(reject) = self.market.symbols.begin(&metadata) {
                        return self.breaks(*reject);
                    }
                }
                ProcessResult::Record(records) => {
                    for record in records {
                        let done = one(&mut self.market, self.version, *record);
                        self.counts.add(done, record.as_ref(), &mut self.market);
                    }
                }
                ProcessResult::Err(error) => {
                    let detail = format!(
                        "record {} cannot be read: {error}; nothing behind it is",
                        self.counts.records + 1
                    );
                    return self.breaks(Reject::new(RejectCode::Corrupt, detail));
                }
            }
        }
    }

    /// Whether the header has come, or something that is none.
    pub fn has_begun(&self) -> bool {
        self.fsm.has_decoded_metadata() || self.counts.records > 0
    }

    /// The input has ended: what waited for its end becomes messages, and a record that is not whole is refused.
    pub fn end(&mut self) {
        self.market.end();
        let (left, begun) = (self.fsm.data().len(), self.fsm.has_decoded_metadata());
        if self.broken || (left == 0 && begun) {
            return;
        }
        let detail = match begun {
            true => format!("it ends within a record, of which {left} bytes are there"),
            false => "it ends within its header".to_string(),
        };
        self.breaks(Reject::new(RejectCode::Truncated, detail));
    }

    /// A part of the input is lost here. Nothing can be read behind it.
    pub fn refuse_part(&mut self, code: RejectCode, detail: String) {
        self.market.end();
        self.breaks(Reject::new(code, detail));
    }

    /// Rows that wait to be taken.
    pub fn rows(&self) -> usize {
        self.market.builder.len()
    }

    /// Takes the messages made so far.
    pub fn take(&mut self) -> EventBatch {
        let rows = self.market.builder.len();
        let batch = self
            .market
            .builder
            .finish(self.market.symbols.instruments());
        self.market.builder.reserve(rows);
        batch
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        self.market.symbols.instruments()
    }

    /// Records so far; a part that was lost counts as one.
    pub fn inputs(&self) -> u64 {
        self.counts.records
    }

    /// Records so far that became messages, or a part of one.
    pub fn used(&self) -> u64 {
        self.counts.used
    }

    /// Refusals so far, and records of no use among them.
    pub fn rejects(&self) -> &Rejects {
        &self.counts.rejects
    }

    /// As [`Dbn::rejects`], to keep or take them with their bytes.
    pub fn rejects_mut(&mut self) -> &mut Rejects {
        &mut self.counts.rejects
    }

    fn breaks(&mut self, reject: Reject) {
        self.broken = true;
        self.counts.records += 1;
        self.counts.rejects.add(self.counts.records, reject, b"");
    }
}

/// Makes messages of one record, if it is of the kinds that come in millions.
#[inline(always)]
fn often(market: &mut Market, kind: u8, record: &[u8]) -> Option<Result<(), Fault>> {
    Some(match kind {
        rtype::MBO => whole(record).and_then(|record| market.order(&wire::order(record))),
        rtype::MBP_0 => whole(record).and_then(|record| market.traded(&wire::trade(record))),
        rtype::MBP_1 | rtype::TBBO => whole(record).and_then(|record| {
            let (told, [best]) = wire::quote(record);
            market.quoted(&told, wire::pair(best))
        }),
        rtype::MBP_10 => whole(record).and_then(|record| {
            let (told, levels) = wire::depth(record);
            market.depth(&told, levels)
        }),
        _ => return None,
    })
}

/// The bytes that a record of its type has to have; it may have more.
#[inline(always)]
fn whole<const N: usize>(record: &[u8]) -> Result<&[u8; N], Fault> {
    record
        .first_chunk()
        .ok_or_else(|| too_short(record[1], record.len(), N))
}

#[cold]
fn too_short(kind: u8, bytes: usize, least: usize) -> Fault {
    let detail = format!("a record of type {kind:#04x} with {bytes} bytes has to have {least}");
    fault(RejectCode::BadValue, detail)
}

/// Makes messages of one record.
fn one(market: &mut Market, version: u8, record: RecordRef<'_>) -> Result<(), Fault> {
    let kind = record.header().rtype;
    if let Some(done) = often(market, kind, record.as_ref()) {
        return done;
    }
    match kind {
        rtype::CMBP_1 | rtype::TCBBO => market.consolidated(get(record)?),
        rtype::BBO_1S | rtype::BBO_1M => market.sampled(get(record)?),
        rtype::CBBO_1S | rtype::CBBO_1M => market.sampled_consolidated(get(record)?),
        rtype::STATUS => market.status(get(record)?),
        rtype::STATISTICS if version < 3 => market.statistic(&get::<v1::StatMsg>(record)?.into()),
        rtype::STATISTICS => market.statistic(get(record)?),
        rtype::IMBALANCE => market.imbalance(get(record)?),
        rtype::INSTRUMENT_DEF => match version {
            1 => market.define(&get::<v1::InstrumentDefMsg>(record)?.into()),
            2 => market.define(&get::<v2::InstrumentDefMsg>(record)?.into()),
            _ => market.define(get(record)?),
        },
        rtype::SYMBOL_MAPPING => {
            match version {
                1 => market
                    .symbols
                    .map(&get::<v1::SymbolMappingMsg>(record)?.into())?,
                _ => market.symbols.map(get(record)?)?,
            }
            Err(unused("a symbol mapping, which names instruments"))
        }
        rtype::SYSTEM => Err(unused("a heartbeat or note of the gateway")),
        rtype::ERROR => Err(unused("an error of the gateway")),
        _ => match BARS_NS.iter().find(|(bars, _)| *bars == kind) {
            Some((_, length)) => market.bar(get(record)?, *length),
            None => Err(fault(
                RejectCode::UnknownFrame,
                format!("a record of type {kind:#04x}, which is not read"),
            )),
        },
    }
}

#[inline]
fn get<'a, T: HasRType<Header = v3::RecordHeader>>(record: RecordRef<'a>) -> Result<&'a T, Fault> {
    let header = record.header();
    let short = |_| too_short(header.rtype, header.record_size(), size_of::<T>());
    record.try_get::<T>().map_err(short)
}

fn unused(what: &str) -> Fault {
    fault(RejectCode::UnusedFrame, what)
}

/// A time that a record must have.
#[inline]
fn time(field: &str, ns: u64) -> Result<Timestamp, Fault> {
    match i64::try_from(ns) {
        Ok(ts) => Ok(ts),
        Err(_) if ns == UNDEF_TIMESTAMP => Err(fault(
            RejectCode::BadTimestamp,
            format!("{field} is undefined"),
        )),
        Err(_) => Err(fault(
            RejectCode::Overflow,
            format!("{field} {ns} does not fit into 64 bits"),
        )),
    }
}

/// A time that a record may lack.
#[inline]
fn told(ns: u64) -> Timestamp {
    i64::try_from(ns).unwrap_or(NO_TIME)
}

/// A price, if there is one.
#[inline]
fn price(px: i64) -> Option<i64> {
    (px != UNDEF_PRICE).then_some(px)
}

/// The side of an order or of an aggressor.
#[inline]
fn side(code: std::ffi::c_char) -> Side {
    match code as u8 {
        b'B' => Side::Bid,
        b'A' => Side::Ask,
        _ => Side::None,
    }
}

/// What a reject says of a record.
fn of(header: &RecordHeader) -> String {
    format!(
        "instrument {} of publisher {}",
        header.instrument_id, header.publisher_id
    )
}
