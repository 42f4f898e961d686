//! DBN in memory to typed rows, against the loop of Databento's own library over the same bytes, which types records and keeps none.

use std::hint::black_box;
use std::sync::Arc;

use dbn::decode::{DbnDecoder, DecodeRecord};
use dbn::encode::dbn::MetadataEncoder;
use dbn::{
    BidAskPair, FlagSet, HasRType, MboMsg, Mbp1Msg, Mbp10Msg, MetadataBuilder, RecordHeader, SType,
    TradeMsg, flags, rtype,
};
use signal_ingest::Dbn;

use crate::measure::{Figure, Laps};

const ROUNDS: usize = 15;
const RECORDS: u64 = 200_000;

/// Bytes decoded at a time, as from a file: a lap.
const PIECE: usize = 64 << 10;

/// Rows of a batch, about.
const BATCH_ROWS: usize = 1 << 14;

/// Instruments that take turns, in runs of a few records as an exchange's packets have them.
const INSTRUMENTS: u64 = 20;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub fn run() -> Result<()> {
    measure("mbo", |at| MboMsg {
        hd: header::<MboMsg>(rtype::MBO, at),
        order_id: at,
        price: price(at),
        size: 3,
        action: (if at % 2 == 0 { b'A' } else { b'C' }) as _,
        side: b'B' as _,
        flags: FlagSet::new(flags::LAST),
        ts_recv: at,
        ..MboMsg::default()
    })?;
    measure("trades", |at| TradeMsg {
        hd: header::<TradeMsg>(rtype::MBP_0, at),
        price: price(at),
        size: 3,
        action: b'T' as _,
        side: b'A' as _,
        flags: FlagSet::new(flags::LAST),
        ts_recv: at,
        ..TradeMsg::default()
    })?;
    measure("mbp-1", |at| Mbp1Msg {
        hd: header::<Mbp1Msg>(rtype::MBP_1, at),
        action: b'A' as _,
        flags: FlagSet::new(flags::LAST),
        ts_recv: at,
        levels: [level(at, 0)],
        ..Mbp1Msg::default()
    })?;
    // As in a real book, most records change the quantity of one level, some the best price.
    measure("mbp-10", |at| {
        let mut levels: [BidAskPair; 10] = std::array::from_fn(|n| level(at / 640, n as i64));
        levels[(at / 8 % 10) as usize].bid_sz += (at % 97) as u32;
        Mbp10Msg {
            hd: header::<Mbp10Msg>(rtype::MBP_10, at),
            action: b'A' as _,
            flags: FlagSet::new(flags::LAST),
            ts_recv: at,
            levels,
            ..Mbp10Msg::default()
        }
    })
}

fn header<T: HasRType<Header = RecordHeader>>(kind: u8, at: u64) -> RecordHeader {
    RecordHeader::new::<T>(kind, 1, (at / 8 % INSTRUMENTS) as u32, at)
}

fn price(at: u64) -> i64 {
    3_700_000_000_000 + (at % 16) as i64 * 250_000_000
}

fn level(at: u64, n: i64) -> BidAskPair {
    let best = price(at);
    BidAskPair {
        bid_px: best - n * 250_000_000,
        ask_px: best + (n + 1) * 250_000_000,
        bid_sz: 10 + n as u32,
        ask_sz: 11 + n as u32,
        bid_ct: 3,
        ask_ct: 4,
    }
}

fn measure<T>(schema: &str, record: impl Fn(u64) -> T) -> Result<()>
where
    T: HasRType<Header = RecordHeader> + AsRef<[u8]>,
{
    let mut bytes = Vec::new();
    let metadata = MetadataBuilder::new()
        .dataset("GLBX.MDP3")
        .schema(None)
        .start(0)
        .stype_in(Some(SType::RawSymbol))
        .stype_out(SType::InstrumentId)
        .build();
    MetadataEncoder::new(&mut bytes).encode(&metadata)?;
    (0..RECORDS).for_each(|at| bytes.extend_from_slice(record(at).as_ref()));
    let (mut ours, mut bare) = (Laps::new(), Laps::new());
    for _ in 0..ROUNDS {
        ours.begin();
        read(&bytes, &mut ours);
        bare.begin();
        loop_over::<T>(&bytes, &mut bare)?;
    }
    let per_second = |laps: &Laps| RECORDS as f64 / laps.seconds();
    Figure {
        work: &format!("DBN {schema} in memory to typed rows"),
        unit: "records/s",
        value: per_second(&ours),
        peer: Some(("bare dbn loop", per_second(&bare))),
    }
    .print();
    Ok(())
}

fn read(bytes: &[u8], laps: &mut Laps) {
    let mut dbn = Dbn::new(Arc::default());
    laps.resume();
    for piece in bytes.chunks(PIECE) {
        dbn.push(piece);
        if dbn.rows() >= BATCH_ROWS {
            black_box(dbn.take());
        }
        laps.lap();
    }
    dbn.end();
    black_box(dbn.take());
    laps.lap();
    assert_eq!((dbn.inputs(), dbn.rejects().total()), (RECORDS, 0));
}

fn loop_over<T: HasRType<Header = RecordHeader>>(bytes: &[u8], laps: &mut Laps) -> Result<()> {
    let mut decoder = DbnDecoder::new(bytes)?;
    laps.resume();
    let per_lap = (RECORDS as usize * PIECE / bytes.len()).max(1);
    let mut records = 0;
    while let Some(record) = decoder.decode_record::<T>()? {
        black_box(record);
        records += 1;
        if records % per_lap == 0 {
            laps.lap();
        }
    }
    laps.lap();
    assert_eq!(records as u64, RECORDS);
    Ok(())
}
