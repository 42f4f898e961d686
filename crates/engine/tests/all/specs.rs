//! The pages in `specs/`, run: every worked table through plan and engine, whole and cut into single events.
//!
//! `tests/contract/test_specs.py` reads the same pages. `specs/README.md` says how an example is written.

use signal_engine::{Column, Engine, Instruments, Layout, Options, Reason, Table, VALID, Vectors};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, Instrument, Kind, NO_INSTRUMENT, NO_RULE, NO_SEQUENCE,
    NO_TIME, OrderAction, Row, Side, StatusCode, decimal,
};
use signal_features::{Field, Graph, Plan};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// 2023-11-14T22:14:00Z.
const EPOCH: i64 = 1_700_000_040_000_000_000;
/// Units in the last place within which a number after `~` holds.
const ROUNDING: i64 = 4;
const SCALE: u8 = signal_event::DEFAULT_SCALE;

type Lines = Vec<Vec<String>>;

struct Example {
    json: String,
    kind: String,
    input: Lines,
    vectors: Lines,
}

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs");
    let found = std::fs::read_dir(folder)
        .expect("specs/ is there")
        .map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<PathBuf> = found
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"))
        .collect();
    pages.retain(|path| path.file_name().is_some_and(|name| name != "README.md"));
    pages.sort();
    pages
}

/// Fenced blocks with their names.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(name) => {
                inside = !inside;
                if inside {
                    found.push((name.to_string(), String::new()));
                }
            }
            None if inside => found
                .iter_mut()
                .next_back()
                .expect("a block is open")
                .1
                .extend([line, "\n"]),
            None => {}
        }
    }
    found
}

fn table(text: &str) -> Lines {
    let cells = |line: &str| {
        line.split(';').next().map_or(vec![], |row| {
            row.split_whitespace().map(String::from).collect()
        })
    };
    text.lines().map(cells).collect()
}

fn examples(page: &Path) -> Vec<Example> {
    let text = std::fs::read_to_string(page).expect("the page can be read");
    // Guards live in Python.
    let blocks: Vec<_> = blocks(&text)
        .into_iter()
        .filter(|(name, _)| name != "guards")
        .collect();
    assert_eq!(
        blocks.len() % 4,
        0,
        "{}: an example has four blocks",
        page.display()
    );
    let example = |four: &[(String, String)]| {
        assert_eq!(
            [&*four[0].0, &*four[1].0, &*four[3].0],
            ["python", "json", "vectors"],
            "{}",
            page.display()
        );
        Example {
            json: four[1].1.clone(),
            kind: four[2].0.clone(),
            input: table(&four[2].1),
            vectors: table(&four[3].1),
        }
    };
    blocks.chunks(4).map(example).collect()
}

fn mantissa(text: &str) -> i64 {
    decimal::parse(text.as_bytes(), SCALE).expect("a decimal")
}

fn time(seconds: &str) -> i64 {
    EPOCH + mantissa(seconds)
}

fn events(lines: &Lines) -> EventBatch {
    let mut instruments = signal_event::Instruments::new();
    let mut intern = |name: &str| {
        instruments
            .intern(&Instrument::new(name))
            .expect("room for an instrument")
    };
    intern("X");
    let mut builder = EventBatchBuilder::new();
    for line in lines {
        let mut words = line.iter().map(String::as_str).skip(1).peekable();
        let name = words
            .next_if(|word| word.starts_with('@'))
            .map_or("X", |word| &word[1..]);
        let kind = match words.next() {
            Some("trade") => Kind::Trade,
            Some("quote") => Kind::Quote,
            Some("diff") => Kind::BookDiff,
            Some("snapshot") => Kind::BookSnapshot,
            Some("orders") => Kind::Order,
            Some("mark") => Kind::Mark,
            Some("status") => Kind::Status,
            other => panic!("no kind {other:?}"),
        };
        let mut header = Header {
            kind,
            instrument: if kind == Kind::Mark {
                NO_INSTRUMENT
            } else {
                intern(name)
            },
            ts_recv: time(&line[0]),
            ts_event: NO_TIME,
            sequence: NO_SEQUENCE,
            sequence_prev: NO_RULE,
        };
        let number = |text: &str| text.parse::<u64>().expect("an id");
        match kind {
            Kind::Order if words.next_if_eq(&"-").is_some() => {}
            Kind::BookDiff | Kind::Order => {
                let ids = words.next().expect("ids");
                let (first, last) = ids.split_once('-').unwrap_or((ids, ids));
                (header.sequence_prev, header.sequence) = (number(first) - 1, number(last));
            }
            Kind::BookSnapshot => header.sequence = number(words.next().expect("an id")),
            Kind::Trade => {
                if let Some(id) = words.next_if(|word| word.starts_with('#')) {
                    header.sequence = number(&id[1..]);
                    header.sequence_prev = header.sequence - 1;
                }
            }
            Kind::Status => {
                let word = words.next().expect("a state");
                let state = StatusCode::ALL
                    .iter()
                    .find(|state| state.name() == word)
                    .expect("a known state");
                builder.status(header, *state, None);
                continue;
            }
            _ => {}
        }
        let (mut side, mut order) = (Side::None, (None, 0));
        for word in words {
            match word {
                "none" => side = Side::None,
                "buy" | "bid" => side = Side::Bid,
                "sell" | "ask" => side = Side::Ask,
                action if kind == Kind::Order && !action.contains('x') => {
                    let (name, id) = action.split_once('#').unwrap_or((action, "0"));
                    let mut known = OrderAction::ALL.iter();
                    let action = known.find(|action| action.name() == name);
                    order = (Some(*action.expect("a known action")), number(id));
                }
                level => {
                    let (price, qty) = level.split_once('x').expect("price x quantity");
                    builder.push_more(Row {
                        side,
                        price: mantissa(price),
                        qty: mantissa(qty),
                        action: order.0,
                        order_id: order.1,
                        ..Row::default()
                    });
                }
            }
        }
        builder.close(header);
    }
    builder.finish(&Arc::new(instruments))
}

fn run_events(plan: &Arc<Plan>, batch: &EventBatch, cut: bool) -> Vectors {
    let options = Options {
        instruments: Some(["X".into()].into()),
        ..Options::default()
    };
    let mut engine = Engine::new(Arc::clone(plan), options).expect("an engine");
    let mut out = engine.vectors();
    if cut {
        for message in batch.messages() {
            engine
                .push(&batch.slice_rows(message.rows.clone()), &mut out)
                .expect("a message is taken");
        }
    } else {
        engine.push(batch, &mut out).expect("the batch is taken");
    }
    assert!(engine.total().balances());
    out
}

fn run_rows(plan: &Arc<Plan>, rows: &Lines, cut: bool) -> Vectors {
    let fields: Vec<Field> = rows[0][1..]
        .iter()
        .map(|name| Field::parse(name).expect("a field"))
        .collect();
    let times: Vec<i64> = rows[1..].iter().map(|row| time(&row[0])).collect();
    let cells = |i: usize| rows[1..].iter().map(move |row| &*row[i + 1]);
    let values: Vec<Vec<f64>> = (0..fields.len())
        .map(|i| {
            cells(i)
                .map(|cell| {
                    if cell == "null" {
                        0.0
                    } else {
                        cell.parse().expect("a number")
                    }
                })
                .collect()
        })
        .collect();
    let code = |cell: &str| match cell {
        "null" => Reason::Missing.code(),
        _ => VALID,
    };
    let codes: Vec<Vec<u8>> = (0..fields.len())
        .map(|i| cells(i).map(code).collect())
        .collect();
    let layout = Layout::new(plan, &fields, None).expect("the fields fit");
    let options = Options {
        table: Some(Arc::new(layout)),
        ..Options::default()
    };
    let mut engine = Engine::new(Arc::clone(plan), options).expect("an engine");
    let instrument = engine
        .table_instrument("X")
        .expect("room for an instrument");
    let mut out = engine.vectors();
    let step = if cut { 1 } else { times.len() };
    for from in (0..times.len()).step_by(step) {
        let at = from..from + step;
        let columns: Vec<Column<'_>> = values
            .iter()
            .zip(&codes)
            .map(|(values, codes)| Column {
                values: &values[at.clone()],
                codes: Some(&codes[at.clone()]),
            })
            .collect();
        let table = Table {
            instruments: Instruments::One(instrument),
            received: None,
            times: &times[at],
            columns: &columns,
            amounts: &[],
        };
        assert_eq!(engine.push_table(&table, &mut out), Ok(()));
    }
    out
}

/// Doubles as whole numbers in the same order, neighbours one apart; both zeros are 0.
fn ordered(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    if bits >= 0 { bits } else { -(bits & i64::MAX) }
}

fn matches(text: &str, value: f64, code: u8) -> bool {
    if let Some(reason) = text
        .strip_prefix("null(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        return value.is_nan()
            && code != VALID
            && Reason::from_code(code).is_some_and(|found| found.name() == reason);
    }
    let (near, digits) = text
        .strip_prefix('~')
        .map_or((0, text), |digits| (ROUNDING, digits));
    let expected: f64 = digits.parse().expect("a number");
    code == VALID && ordered(value).abs_diff(ordered(expected)) <= near as u64
}

/// Each cell that is not as the page says.
fn differences(example: &Example, plan: &Plan, found: &Vectors) -> Vec<String> {
    let (header, lines) = example.vectors.split_first().expect("a header");
    let names: Vec<&str> = plan
        .graph
        .features
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(header[1..], names, "features and columns");
    let times: Vec<i64> = found.stamps.iter().map(|stamp| stamp.ts_recv).collect();
    let expected: Vec<i64> = lines.iter().map(|line| time(&line[0])).collect();
    if times != expected {
        return vec![format!("vectors at {times:?}, expected {expected:?}")];
    }
    let mut wrong = Vec::new();
    for (row, line) in lines.iter().enumerate() {
        for (f, name) in names.iter().enumerate() {
            let (value, code) = (found.values[f][row], found.reasons[f][row]);
            if !matches(&line[f + 1], value, code) {
                let seen = Reason::from_code(code).map_or("?", Reason::name);
                wrong.push(format!(
                    "{name} at {}: expected {}, found {value:?} {seen}",
                    line[0],
                    line[f + 1]
                ));
            }
        }
    }
    wrong
}

#[test]
fn every_worked_table_holds() {
    let mut run = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        for example in examples(&page) {
            let graph = Graph::from_json(&example.json)
                .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            let plan = Arc::new(
                Plan::new(graph).unwrap_or_else(|error| panic!("{}: {error}", page.display())),
            );
            for cut in [false, true] {
                let found = match example.kind.as_str() {
                    "rows" => run_rows(&plan, &example.input, cut),
                    "events" => run_events(&plan, &events(&example.input), cut),
                    other => panic!("{}: no input is called {other}", page.display()),
                };
                let place = |cell| format!("{} {}: {cell}", page.display(), plan.graph.name);
                wrong.extend(differences(&example, &plan, &found).into_iter().map(place));
            }
            run += 1;
        }
    }
    assert!(run > 0, "no example was found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_comparison_sees_what_is_wrong() {
    assert!(matches("0.1", 0.1, VALID) && !matches("0.1", 0.10000000000000002, VALID));
    assert!(
        matches("~0.1", 0.10000000000000002, VALID) && !matches("~0.1", 0.1000000000000001, VALID)
    );
    assert!(matches("0", -0.0, VALID) && !matches("~0", 1e-300, VALID));
    let gap = Reason::Gap.code();
    assert!(
        matches("null(GAP)", f64::NAN, gap)
            && !matches("null(GAP)", f64::NAN, Reason::Empty.code())
    );
    assert!(!matches("1", 1.0, gap) && !matches("null(GAP)", 1.0, VALID));
}
