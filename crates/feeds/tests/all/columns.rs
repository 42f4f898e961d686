//! Which columns a tape has: those that its events need, and no more; and tapes of the format before.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_event::{
    BarField, Condition, Definition, Event, EventBatch, EventBatchBuilder, Header, Instrument,
    InstrumentId, InstrumentKind, Instruments, Kind, NO_INSTRUMENT, OrderAction, ReferenceField,
    Row, Scope, Side, StatusCode, TapeColumns, TapeFormat,
};
use signal_feeds::{Reader, ReaderOptions, TapeInfo, TapeWriter};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tape-columns-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn header(kind: Kind, t: i64) -> Header {
    Header {
        kind,
        instrument: InstrumentId(0),
        ..Header::mark(t)
    }
}

fn table() -> Arc<Instruments> {
    Arc::new(Instruments::of([Instrument::new("A.X"), Instrument::new("B.X")]).unwrap())
}

/// Trades, `rows` of them.
fn trades(rows: i64) -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    for t in 0..rows {
        builder.push(header(Kind::Trade, t), Side::Buy.code(), 100 + t, 1);
    }
    builder.finish(&table())
}

/// An order, a print off the book, a definition and reference data.
fn more() -> EventBatch {
    let mut builder = EventBatchBuilder::new();
    builder.push_more(Row {
        side: Side::Ask,
        price: 101,
        qty: 3,
        order_id: u64::MAX,
        action: Some(OrderAction::Add),
        ..Row::default()
    });
    builder.checksum(7);
    builder.close(header(Kind::Order, 1));
    builder.push_more(Row {
        price: 101,
        qty: 3,
        condition: Condition::Settlement,
        ..Row::default()
    });
    builder.close(header(Kind::Trade, 2));
    let definition = Definition::new("X", "A", InstrumentKind::Perpetual);
    builder.define(header(Kind::Definition, 3), &definition);
    builder.push_more(Row::reference(ReferenceField::NextFunding, 9));
    builder.push_more(Row::pure(ReferenceField::FundingRate, -1e-4));
    builder.close(header(Kind::Reference, 4));
    builder.finish(&table())
}

fn write(path: &Path, batches: &[EventBatch]) -> u64 {
    let mut writer = TapeWriter::create(path).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.finish(&[]).unwrap().bytes
}

fn read(path: &Path) -> (EventBatch, Arc<Instruments>) {
    let mut reader = Reader::open(&[path.to_path_buf()], &ReaderOptions::default()).unwrap();
    let instruments = reader.instruments().clone();
    let mut builder = EventBatchBuilder::new();
    while let Some(batch) = reader.next().unwrap() {
        builder.extend(&batch, 0..batch.len(), &[]);
    }
    (builder.finish(&instruments), instruments)
}

/// Everything that the messages say.
fn told(batch: &EventBatch) -> Vec<String> {
    let said = |event: Event<'_>| match event {
        Event::Orders(orders) => format!("{:?}", orders.collect::<Vec<_>>()),
        Event::Definition(text) => format!("{:?}", text.read()),
        Event::Depth {
            levels, snapshot, ..
        } => format!("{snapshot} {:?}", levels.iter().collect::<Vec<_>>()),
        Event::Reference(all) => format!("{:?}", all.iter().collect::<Vec<_>>()),
        Event::Bar(bar) => format!(
            "{:?}",
            BarField::ALL
                .iter()
                .map(|f| bar.get(*f))
                .collect::<Vec<_>>()
        ),
        other => format!("{other:?}"),
    };
    let all = batch.messages();
    all.map(|m| format!("{:?} {} {:?}", m.header(), said(m.event()), m.checksum()))
        .collect()
}

#[test]
fn a_tape_widens_where_an_event_needs_more() {
    let folder = Folder::new("widens");
    let (plain, more) = (trades(200_000), more());
    for name in ["tape.parquet", "tape.arrow"] {
        let path = folder.0.join(name);
        let batches = [plain.clone(), more.clone(), plain.clone()];
        write(&path, &batches);
        let (read, instruments) = read(&path);
        let expected: Vec<String> = batches.iter().flat_map(told).collect();
        assert!(
            told(&read) == expected,
            "{name}: other messages than were written"
        );
        let learned = instruments.definition(InstrumentId(0), 3).unwrap();
        assert_eq!(learned.kind, InstrumentKind::Perpetual, "{name}");
        assert_eq!(instruments.definition(InstrumentId(0), 2), None, "{name}");
        let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().flatten().collect();
        assert!(
            left.iter().all(|file| !file.path().ends_with("partial")),
            "{left:?}"
        );
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_tape_has_the_columns_that_its_events_need() {
    let folder = Folder::new("narrow");
    let columns = |batches: &[EventBatch]| {
        let path = folder.0.join("tape.arrow");
        write(&path, batches);
        let file = std::fs::File::open(&path).unwrap();
        let reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
        TapeColumns::of_schema(&reader.schema())
    };
    assert_eq!(columns(&[trades(10)]), TapeColumns::default());
    let widened = columns(&[trades(10), more(), trades(10)]);
    assert_eq!(widened, TapeColumns::of(&more()));
    assert_ne!(widened, TapeColumns::all());
}

#[test]
fn more_instruments_than_16_bits_number_are_held_and_found() {
    const MANY: usize = 100_000;
    let folder = Folder::new("many");
    let all: Vec<_> = (0..MANY)
        .map(|n| Instrument::new(format!("S{n}.X")))
        .collect();
    let (few, many) = (&all[..10], &all[10..]);
    let last_of = |instruments: &[Instrument]| {
        let table = Arc::new(Instruments::of(instruments.iter().cloned()).unwrap());
        let mut builder = EventBatchBuilder::new();
        for place in [0, table.len() - 1] {
            let instrument = InstrumentId::at(place);
            let header = header(Kind::Trade, 1);
            builder.push(
                Header {
                    instrument,
                    ..header
                },
                1,
                100,
                1,
            );
        }
        builder.push(Header::mark(2), 0, 0, 0);
        builder.finish(&table)
    };
    for name in ["tape.parquet", "tape.arrow"] {
        let path = folder.0.join(name);
        // Each is a batch of its own on the tape, and the second makes the numbers wide.
        let batches = [last_of(few), trades(70_000), last_of(many)];
        write(&path, &batches);
        let (read, instruments) = read(&path);
        assert_eq!(instruments.len(), MANY + 2);
        let names = |batch: &EventBatch| -> Vec<_> {
            let all = batch.messages();
            all.map(|m| m.instrument().map(|i| i.id.clone())).collect()
        };
        let expected: Vec<_> = batches.iter().flat_map(names).collect();
        assert!(
            names(&read) == expected,
            "{name}: other instruments than were written"
        );
        assert_eq!(
            instruments
                .id("S99999.X")
                .map(|id| instruments.get(id).unwrap().id.clone()),
            Some("S99999.X".into())
        );
    }
}

/// What `tests/data/formats/tape/format-1` was written of, as events of today.
#[test]
fn a_tape_of_format_1_says_what_it_said() {
    const T: i64 = 1_700_000_000_000_000_000;
    const SECOND: i64 = 1_000_000_000;
    let scales = |id: &str| Instrument {
        id: id.into(),
        price_scale: 2,
        qty_scale: 3,
    };
    let table = Arc::new(Instruments::of([scales("A.X"), scales("B.X")]).unwrap());
    let mut builder = EventBatchBuilder::new();
    let (bid, ask) = (Side::Bid.code(), Side::Ask.code());
    let numbered = |kind, t: i64, event: i64, sequence, sequence_prev| Header {
        ts_event: event,
        sequence,
        sequence_prev,
        ..header(kind, T + t)
    };
    let none = signal_event::NO_TIME;
    let free = signal_event::NO_RULE;
    builder.push_row(bid, 9_900, 2_000);
    builder.mark_row(signal_event::flags::CUT);
    builder.push_row(ask, 10_100, 3_000);
    builder.close(numbered(Kind::BookSnapshot, 0, none, 100, free));
    builder.push_row(bid, 10_000, 1_000);
    builder.push_row(ask, 10_100, 0);
    builder.close(numbered(Kind::BookDiff, 1, T, 101, 100));
    builder.push(numbered(Kind::Trade, 2, T + 1, 7, 6), bid, 10_050, 250);
    builder.push_more(Row {
        price: 10_050,
        qty: 9_000,
        condition: Condition::OffBook,
        ..Row::default()
    });
    builder.close(numbered(Kind::Trade, 3, T + 2, 8, 7));
    builder.push_row(bid, 10_000, 1_000);
    builder.push_row(ask, 10_200, 4_000);
    builder.close(numbered(Kind::Quote, 4, none, 55, free));
    let second = |t| Header {
        instrument: InstrumentId(1),
        ..header(Kind::Status, T + t)
    };
    let all = |t| Header {
        instrument: NO_INSTRUMENT,
        ..second(t)
    };
    builder.status(second(5), StatusCode::Halted, Some(Kind::Trade));
    builder.status(second(6), StatusCode::Resumed, None);
    builder.status_of(all(7), StatusCode::Disconnected, None, Scope::All);
    builder.status_of(all(8), StatusCode::Connected, None, Scope::All);
    for (field, number) in [
        (BarField::Open, 1_000),
        (BarField::High, 1_200),
        (BarField::Low, 900),
        (BarField::Close, 1_100),
        (BarField::Volume, 5_000),
        (BarField::BuyVolume, 2_000),
        (BarField::Trades, 17),
        (BarField::Vwap, 1_050),
        (BarField::Length, 60 * SECOND),
    ] {
        builder.push_more(Row::bar(field, number));
    }
    builder.close(Header {
        kind: Kind::Bar,
        ..second(60 * SECOND)
    });
    builder.push(Header::mark(T + 61 * SECOND), 0, 0, 0);
    let expected = builder.finish(&table);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/formats/tape");
    let folder = Folder::new("first");
    for name in ["format-1.parquet", "format-1.arrow"] {
        let path = corpus.join(name);
        assert_eq!(read(&path).0, expected, "{name}");
        let format = |path: &Path| {
            let info = TapeInfo::read(&[path.to_path_buf()], &ReaderOptions::default()).unwrap();
            info.files[0].tape_format
        };
        assert_eq!(format(&path), Some(TapeFormat::One));
        let again = folder.0.join(name);
        write(&again, &[read(&path).0]);
        assert_eq!(read(&again).0, expected, "{name}");
        assert_eq!(format(&again), Some(TapeFormat::Two));
    }
}
