//! All operators in one list: the formulas of [`Formula`]'s table, and here a row for each that is more.
//!
//! Names for the reader, for "Did you mean", for the canonical text and for `explain` come from the rows, and so does what
//! `signal-stream operators` prints.

use crate::composites::{self, Composite, Kind as Bounds, Parameter};
use crate::graph::WINDOW_MAX;
use crate::stream::LEVELS_MAX;
use serde_json::{Value, json};
use signal_runtime::{
    Formula, LagFn, Missing, Scan, ScanFamily, SectionFn, Statistic, Weighted, WindowStat, section,
};

/// What an operator is to the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A function of a book that is no formula.
    Book,
    /// A value at other events than its own.
    Crossing,
    /// A function of the time.
    Time,
    /// What a graph begins with.
    Source,
    /// A name that a family has in common.
    Family,
}

/// An operator that is no formula.
struct Row {
    name: &'static str,
    kind: Kind,
    parameters: &'static [&'static str],
    /// Values, or time, before the first result.
    warm_up: &'static str,
    meaning: &'static str,
    citation: &'static str,
}

const fn row(
    name: &'static str,
    kind: Kind,
    parameters: &'static [&'static str],
    warm_up: &'static str,
    meaning: &'static str,
    citation: &'static str,
) -> Row {
    Row {
        name,
        kind,
        parameters,
        warm_up,
        meaning,
        citation,
    }
}

const SESSION: &[&str] = &["session"];
const LEVELS: &[&str] = &["levels"];

#[rustfmt::skip] // A row a line.
const ROWS: &[Row] = &[
    row("imbalance", Kind::Book, LEVELS, "1 event", "Bid quantity minus ask quantity over their sum, over the best levels.", "Cao, Hansch & Wang 2009"),
    row("ofi", Kind::Book, LEVELS, "2 events", "Order-flow imbalance of the best level.", "Cont, Kukanov & Stoikov 2014"),
    row("ewm", Kind::Family, &["stat", "alpha", "min_periods"], "-", "A statistic with exponential weights.", "-"),
    row("expanding", Kind::Family, &["stat", "min_periods"], "-", "A statistic of all values so far.", "-"),
    row("age", Kind::Crossing, &[], "1 event", "Seconds since the newest event of the operand's stream.", "-"),
    row("max_age", Kind::Crossing, &["ns"], "1 event", "x, invalid where its stream's newest event is older.", "-"),
    row("at", Kind::Crossing, &["stream"], "1 event", "x as known at the events of another stream.", "-"),
    row("minutes_until", Kind::Time, &["at_ns"], "-", "Minutes until a time; invalid after it.", "-"),
    row("is_open", Kind::Time, SESSION, "-", "1 from opening to close, else 0.", "exchange_calendars"),
    row("is_half_day", Kind::Time, SESSION, "-", "1 where the session, or the next one, is shorter than most around it.", "exchange_calendars"),
    row("minutes_since_open", Kind::Time, SESSION, "-", "Minutes since the opening; invalid outside of sessions.", "Andersen & Bollerslev 1997"),
    row("minutes_to_close", Kind::Time, SESSION, "-", "Minutes to the close; invalid outside of sessions.", "Andersen & Bollerslev 1997"),
    row("minutes_to_open", Kind::Time, SESSION, "-", "Minutes to the next opening.", "exchange_calendars"),
    row("phase", Kind::Time, SESSION, "-", "Share of the session that has passed, 0 to 1; invalid outside of sessions.", "Andersen & Bollerslev 1997"),
    row("weekday", Kind::Time, SESSION, "-", "Day of the week of the session, or of the next one: 0 is Monday.", "exchange_calendars"),
    row("open_minutes_until", Kind::Time, &["session", "at_ns"], "-", "Minutes within sessions until a time; invalid after it.", "exchange_calendars"),
    row("time", Kind::Family, &["name", "session"], "-", "A function of the time.", "-"),
    row("const", Kind::Source, &["value"], "-", "A number.", "-"),
    row("field", Kind::Source, &["of", "name"], "1 event", "A number of a stream's event.", "-"),
    row("book", Kind::Family, &["of", "name"], "-", "A function of a stream's book.", "-"),
    row("rolling", Kind::Family, &["stat", "window"], "-", "A statistic of a window.", "-"),
    row("cross", Kind::Family, &["stat", "universe", "least", "carry_ns"], "-", "A function across instruments.", "-"),
];

impl Kind {
    fn family(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Crossing => "crossing",
            Self::Time => "time",
            Self::Source | Self::Family => "source",
        }
    }

    fn operands(self) -> &'static [&'static str] {
        match self {
            Self::Book | Self::Time | Self::Source | Self::Family => &[],
            _ => &["x"],
        }
    }

    fn missing(self) -> &'static str {
        match self {
            Self::Book => "invalid while the book is",
            Self::Crossing => "the last value known, valid or not",
            Self::Time => "invalid beyond the sessions that are known",
            Self::Source | Self::Family => "-",
        }
    }

    /// Whether a graph names it as an operator, and not as a statistic or a function of a book.
    fn is_operator(self) -> bool {
        !matches!(self, Self::Book | Self::Time)
    }
}

/// Names that a graph may give an operator.
pub(crate) fn operator_names() -> impl Iterator<Item = &'static str> + Clone {
    let formulas = Formula::OPERATORS.iter();
    let others = ROWS.iter().filter(|row| row.kind.is_operator());
    let formulas = formulas.map(|formula| formula.row().name);
    let lags = LagFn::ALL.iter().map(|f| f.row().name);
    let composites = composites::all().map(|row| row.name);
    let others = others.map(|row| row.name);
    let scans = Scan::of(ScanFamily::Named).map(|f| f.row().name);
    formulas
        .chain(lags)
        .chain(others)
        .chain(scans)
        .chain(composites)
}

/// Names of the functions of a book.
pub(crate) fn book_names() -> impl Iterator<Item = &'static str> + Clone {
    let formulas = Formula::OF_BOOK.iter();
    let others = ROWS.iter().filter(|row| row.kind == Kind::Book);
    let formulas = formulas.map(|formula| formula.row().name);
    formulas.chain(others.map(|row| row.name))
}

/// Names of the functions of time.
pub(crate) fn time_names() -> impl Iterator<Item = &'static str> + Clone {
    let rows = ROWS.iter().filter(|row| row.kind == Kind::Time);
    rows.map(|row| row.name)
}

/// A statistic with its parameter, where that is not the usual one, as people write it.
pub(crate) fn statistic(stat: WindowStat) -> String {
    let row = stat.f.row();
    match row.parameter {
        Some(parameter) if stat != stat.f.usual() => {
            format!("{}({}={})", row.name, parameter.name, stat.parameter())
        }
        _ => row.name.into(),
    }
}

/// All that a feature can be made of, a JSON object each: name, family, operands and parameters by their keys, what becomes of
/// missing values, warm-up, meaning, citation.
pub fn operators() -> Value {
    let formulas = Formula::OPERATORS.iter().map(|f| (f, "formula"));
    let formulas = formulas.chain(Formula::OF_BOOK.iter().map(|f| (f, "book")));
    let formulas = formulas.map(|(formula, family)| {
        let row = formula.row();
        let missing = match row.missing {
            Missing::Propagate => "invalid where an operand is",
            Missing::Chosen => "needs the condition and the chosen one",
            Missing::FirstValid => "the first that is valid",
            Missing::Told => "always valid",
            Missing::ZeroDecides => "a valid 0 decides alone, else invalid where an operand is",
            Missing::NonZeroDecides => {
                "a valid one that is not 0 decides alone, else invalid where an operand is"
            }
        };
        json!({
            "name": row.name, "family": family, "operands": row.operands, "parameters": [], "missing": missing,
            "sign": row.sign, "arguments": [],
            "warm_up": if family == "book" { "1 event" } else { "-" }, "meaning": row.meaning.trim(),
            "citation": row.citation,
        })
    });
    let others = ROWS.iter().filter(|row| row.kind != Kind::Family);
    let others = others.map(|row| {
        json!({
            "name": row.name, "family": row.kind.family(), "operands": row.kind.operands(), "parameters": row.parameters,
            "missing": row.kind.missing(), "warm_up": row.warm_up, "meaning": row.meaning, "citation": row.citation,
            "arguments": row.parameters.iter().filter_map(|name| argument(name)).map(|p| described(&p)).collect::<Value>(),
        })
    });
    let sections = SectionFn::all().map(|function| {
        let row = function.row();
        let own = row.parameter.map(|parameter| parameter.name);
        let parameters: Vec<&str> = own.into_iter().chain(["universe", "least", "carry"]).collect();
        json!({
            "name": format!("cross.{}", row.name), "family": "across instruments", "operands": ["x"], "parameters": parameters,
            "missing": "a member without a value is left out, or its last one carried", "warm_up": "least members",
            "meaning": row.meaning, "citation": row.citation,
            "arguments": row.parameter.iter().map(|own| described(&of_section(own))).collect::<Value>(),
        })
    });
    let all = formulas
        .chain(lags())
        .chain(statistics())
        .chain(weighted())
        .chain(scans())
        .chain(others)
        .chain(sections);
    all.chain(composites::all().map(composite)).collect()
}

fn lags() -> impl Iterator<Item = Value> {
    let n = Parameter {
        name: "n",
        kind: Bounds::Whole(1, WINDOW_MAX),
        default: Some(1.0),
    };
    LagFn::ALL.iter().map(move |f| {
        let row = f.row();
        json!({
            "name": row.name, "family": "lag", "operands": ["x"], "parameters": ["n"],
            "missing": "in its place: invalid where x or the earlier value is", "warm_up": "n events",
            "meaning": row.meaning.trim(), "citation": row.citation, "arguments": [described(&n)],
        })
    })
}

fn statistics() -> impl Iterator<Item = Value> {
    Statistic::ALL.iter().map(|f| {
        let row = f.row();
        let family = if row.operands.len() == 2 { "rolling of two" } else { "rolling" };
        let own = row.parameter.iter();
        let parameters = ["window"].into_iter().chain(own.clone().map(|parameter| parameter.name));
        json!({
            "name": row.name, "family": family, "operands": row.operands, "parameters": parameters.collect::<Value>(),
            "missing": "do not enter; invalid where the newest is", "warm_up": "the window",
            "meaning": row.meaning.trim(), "citation": row.citation, "arguments": own.map(described).collect::<Value>(),
        })
    })
}

fn weighted() -> impl Iterator<Item = Value> {
    Weighted::ALL.iter().map(|f| {
        let row = f.row();
        json!({
            "name": format!("ewm.{}", row.name), "family": "ewm", "operands": row.operands,
            "parameters": ["alpha", "min_periods"], "missing": "do not enter; invalid where the newest is",
            "warm_up": "min_periods values", "meaning": row.meaning.trim(), "citation": row.citation, "arguments": [],
        })
    })
}

fn scans() -> impl Iterator<Item = Value> {
    Scan::ALL.iter().map(|f| {
        let row = f.row();
        let own = row.parameters.iter();
        let mut parameters: Vec<&str> = own.clone().map(|parameter| parameter.name).collect();
        let (family, arguments) = match row.family {
            ScanFamily::OverTime => ("ewm over time", json!([])),
            ScanFamily::Expanding => ("expanding", json!([])),
            ScanFamily::Named => ("scan", own.map(described).collect()),
        };
        let warm_up = match row.family {
            ScanFamily::Named if row.least == 1 => "1 event".to_string(),
            ScanFamily::Named => format!("{} events", row.least),
            _ => {
                parameters.push("min_periods");
                "min_periods values".into()
            }
        };
        let mut made = json!({
            "name": format!("{}{}", row.family.prefix(), row.name), "family": family, "operands": ["x"], "of": null,
            "parameters": parameters, "missing": "does not enter; invalid where the newest is", "warm_up": warm_up,
            "meaning": row.meaning.trim(), "citation": row.citation, "arguments": arguments,
        });
        if row.family == ScanFamily::Named {
            made["unit"] = row.unit.into();
        }
        made
    })
}

fn composite(row: &Composite) -> Value {
    let parameters = row.parameters.iter();
    let warm_up = match row.warm_up {
        "1" => "1 event".to_string(),
        events => format!("{events} events"),
    };
    json!({
        "name": row.name, "family": row.family, "operands": row.operands, "of": row.subject.stream(),
        "parameters": parameters.clone().map(|parameter| parameter.name).collect::<Vec<_>>(),
        "missing": "invalid where what it is made of is", "warm_up": warm_up, "meaning": row.meaning.trim(),
        "citation": row.citation, "unit": row.unit, "arguments": parameters.map(described).collect::<Value>(),
    })
}

/// What a parameter of the rows above may be, where Python gives it as it is.
fn argument(name: &'static str) -> Option<Parameter> {
    let (kind, default) = match name {
        "levels" => (Bounds::Whole(1, usize::from(LEVELS_MAX)), 1.0),
        _ => return None,
    };
    Some(Parameter {
        name,
        kind,
        default: Some(default),
    })
}

/// The number that a function across instruments is given.
fn of_section(own: &section::Parameter) -> Parameter {
    let [least, most] = own.range;
    Parameter {
        name: own.name,
        kind: if own.whole {
            Bounds::Whole(least as usize, most as usize)
        } else if least == f64::MIN_POSITIVE {
            Bounds::Number(0.0, most)
        } else {
            Bounds::Real(least, most)
        },
        default: Some(own.usual),
    }
}

fn described(parameter: &Parameter) -> Value {
    let (name, default) = (parameter.name, parameter.default);
    match parameter.kind {
        Bounds::Whole(least, most) => {
            let default = default.map(|n| n as i64);
            json!({"name": name, "kind": "whole", "least": least, "most": most, "default": default})
        }
        Bounds::Number(above, most) => {
            json!({"name": name, "kind": "number", "above": above, "most": most, "default": default})
        }
        Bounds::Real(least, most) => {
            json!({"name": name, "kind": "real", "least": least, "most": most, "default": default})
        }
        Bounds::Only(only) => json!({"name": name, "kind": "only", "only": only}),
        Bounds::Window(least) => json!({"name": name, "kind": "window", "least": least}),
    }
}
