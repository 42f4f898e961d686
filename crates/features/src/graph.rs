//! What the user wrote, as plain data: nodes in topological order and named features.
//!
//! The JSON form is the contract with Python and with files. Every refusal names the place, the value seen, and the
//! nearest thing that would have been right.

use crate::canonical;
use crate::operator::{BookFn, LagFn, NodeId, Operator, PairStat, Stat, Window};
use crate::stream::{Field, LEVELS_MAX, Scope, Source, Stream};
use serde_json::{Map, Value};
use signal_kernels::elementwise::{Binary, Unary};
use std::collections::HashMap;
use std::fmt;

/// The version of the JSON form and of the operators' meaning; part of every digest.
pub const FORMAT: u64 = 1;
/// Nodes that a graph may hold.
pub const NODES_MAX: usize = 10_000;
/// Shortest bars and clocks: what a silence of days brings due at once stays bounded.
pub const SHORTEST_NS: i64 = 1_000_000;
/// Values that a window may hold.
pub const WINDOW_MAX: usize = 1 << 20;

/// Which clock windows and bars run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Receive time: what we knew when.
    Recv,
    /// Venue time, in watermark order.
    Event,
}

/// A feature graph. Invariants: operands have smaller numbers than their readers; equal nodes are one node; every node
/// serves a feature; feature names are unique.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Name for people; not part of the digest.
    pub name: String,
    /// Time axis.
    pub axis: Axis,
    /// When a vector is made.
    pub on: Source,
    /// Operators in topological order.
    pub nodes: Vec<Operator>,
    /// Name and node of each feature, in column order.
    pub features: Vec<(String, NodeId)>,
}

/// Why a graph was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// Stable code.
    pub code: &'static str,
    /// The node concerned, in the numbering of the JSON given.
    pub node: Option<usize>,
    /// What is wrong, with the value seen and what to do next.
    pub message: String,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "node {node}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for GraphError {}

pub(crate) fn refuse<T>(
    code: &'static str,
    node: Option<usize>,
    message: String,
) -> Result<T, GraphError> {
    Err(GraphError {
        code,
        node,
        message,
    })
}

/// The known name nearest to `seen`, for "Did you mean".
pub fn nearest<'a>(seen: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(seen, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(seen.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

const UNARY: [(&str, Unary); 7] = [
    ("neg", Unary::Neg),
    ("abs", Unary::Abs),
    ("sign", Unary::Sign),
    ("log", Unary::Log),
    ("log1p", Unary::Log1p),
    ("exp", Unary::Exp),
    ("sqrt", Unary::Sqrt),
];
const BINARY: [(&str, Binary); 10] = [
    ("add", Binary::Add),
    ("sub", Binary::Sub),
    ("mul", Binary::Mul),
    ("div", Binary::Div),
    ("minimum", Binary::Min),
    ("maximum", Binary::Max),
    ("lt", Binary::Lt),
    ("le", Binary::Le),
    ("eq", Binary::Eq),
    ("ne", Binary::Ne),
];
const LAG: [(&str, LagFn); 4] = [
    ("shift", LagFn::Shift),
    ("diff", LagFn::Diff),
    ("pct_change", LagFn::PctChange),
    ("log_return", LagFn::LogReturn),
];
const PAIR: [(&str, PairStat); 3] = [
    ("cov", PairStat::Cov),
    ("corr", PairStat::Corr),
    ("beta", PairStat::Beta),
];
const STATS: [&str; 9] = [
    "sum", "mean", "var", "std", "zscore", "skew", "min", "max", "rank",
];
const OTHER: [&str; 9] = [
    "const", "field", "book", "where", "rolling", "ewm", "age", "max_age", "at",
];
const BOOK: [&str; 5] = ["mid", "spread", "microprice", "imbalance", "ofi"];

/// Names of a family, as the JSON writes them.
pub fn names<T: PartialEq>(table: &'static [(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map_or("?", |(name, _)| name)
}

pub(crate) fn unary_name(op: Unary) -> &'static str {
    names(&UNARY, &op)
}

pub(crate) fn binary_name(op: Binary) -> &'static str {
    names(&BINARY, &op)
}

pub(crate) fn lag_name(op: LagFn) -> &'static str {
    names(&LAG, &op)
}

pub(crate) fn pair_name(op: PairStat) -> &'static str {
    names(&PAIR, &op)
}

pub(crate) fn stat_name(stat: Stat) -> String {
    match stat {
        Stat::Sum => "sum".into(),
        Stat::Mean => "mean".into(),
        Stat::Var(1) => "var".into(),
        Stat::Var(ddof) => format!("var(ddof={ddof})"),
        Stat::Std(1) => "std".into(),
        Stat::Std(ddof) => format!("std(ddof={ddof})"),
        Stat::Zscore => "zscore".into(),
        Stat::Skew => "skew".into(),
        Stat::Min => "min".into(),
        Stat::Max => "max".into(),
        Stat::Rank => "rank".into(),
    }
}

/// One JSON object being read: knows its node number and which keys were asked for.
struct Reader<'a> {
    node: Option<usize>,
    object: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    fn new(node: Option<usize>, value: &'a Value, keys: &[&str]) -> Result<Self, GraphError> {
        let Some(object) = value.as_object() else {
            return refuse(
                "GRAPH_FORM",
                node,
                format!("expected an object, found {value}"),
            );
        };
        for key in object.keys() {
            if !keys.contains(&key.as_str()) {
                let hint = nearest(key, keys.iter().copied())
                    .map_or(String::new(), |name| format!(" Did you mean \"{name}\"?"));
                return refuse("UNKNOWN_KEY", node, format!("unknown key \"{key}\".{hint}"));
            }
        }
        Ok(Self { node, object })
    }

    fn get(&self, key: &str) -> Result<&'a Value, GraphError> {
        match self.object.get(key) {
            Some(value) => Ok(value),
            None => refuse(
                "MISSING_KEY",
                self.node,
                format!("key \"{key}\" is missing"),
            ),
        }
    }

    fn text(&self, key: &str) -> Result<&'a str, GraphError> {
        let value = self.get(key)?;
        match value.as_str() {
            Some(text) => Ok(text),
            None => refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must be text, found {value}"),
            ),
        }
    }

    fn integer(&self, key: &str, least: i64, most: i64) -> Result<i64, GraphError> {
        let value = self.get(key)?;
        match value.as_i64().filter(|n| (least..=most).contains(n)) {
            Some(n) => Ok(n),
            None => refuse(
                "OUT_OF_RANGE",
                self.node,
                format!("\"{key}\" must be a whole number from {least} to {most}, found {value}"),
            ),
        }
    }

    fn number(&self, key: &str) -> Result<f64, GraphError> {
        let value = self.get(key)?;
        match value.as_f64().filter(|x| x.is_finite()) {
            Some(x) => Ok(x),
            None => refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must be a finite number, found {value}"),
            ),
        }
    }

    fn operand(&self, key: &str) -> Result<NodeId, GraphError> {
        let node = self.node.unwrap_or(0);
        let value = self.get(key)?;
        match value.as_u64().map(|n| n as usize).filter(|&n| n < node) {
            Some(n) => Ok(n),
            None => refuse(
                "OPERAND",
                self.node,
                format!("\"{key}\" must be the number of an earlier node, found {value}"),
            ),
        }
    }

    fn named<T: Copy>(&self, key: &str, table: &[(&'static str, T)]) -> Result<T, GraphError> {
        let name = self.text(key)?;
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(*value),
            None => self.unknown(key, name, table.iter().map(|(known, _)| *known)),
        }
    }

    fn unknown<T>(
        &self,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<T, GraphError> {
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("Known: {}.", known.collect::<Vec<_>>().join(", ")),
        };
        refuse(
            "UNKNOWN_NAME",
            self.node,
            format!("no {what} \"{name}\". {hint}"),
        )
    }

    fn source(&self, key: &str) -> Result<Source, GraphError> {
        let value = self.get(key)?;
        match value.as_str() {
            Some("book") => return Ok(Source::Book),
            Some("quotes") => return Ok(Source::Quotes),
            Some("trades") => return Ok(Source::Trades),
            Some(other) => {
                return self.unknown("stream", other, ["book", "quotes", "trades"].into_iter());
            }
            None => {}
        }
        let inner = Reader::new(self.node, value, &["bars_ns", "every_ns"])?;
        if inner.object.len() != 1 {
            return refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must name one stream, found {value}"),
            );
        }
        let longest = 366 * 86_400_000_000_000;
        if inner.object.contains_key("bars_ns") {
            Ok(Source::Bars(inner.integer(
                "bars_ns",
                SHORTEST_NS,
                longest,
            )?))
        } else {
            Ok(Source::Clock(inner.integer(
                "every_ns",
                SHORTEST_NS,
                longest,
            )?))
        }
    }

    fn stream(&self) -> Result<Stream, GraphError> {
        let source = self.source("of")?;
        if let Source::Clock(_) = source {
            return refuse("CLOCK_FIELD", self.node, "a clock has no fields".into());
        }
        let scope = match self.object.get("instrument") {
            None => Scope::Own,
            Some(_) => Scope::Named(self.text("instrument")?.to_string()),
        };
        Ok(Stream { scope, source })
    }

    fn window(&self) -> Result<Window, GraphError> {
        let inner = Reader::new(self.node, self.get("window")?, &["count", "ns", "cap"])?;
        if inner.object.contains_key("count") {
            return Ok(Window::Count(
                inner.integer("count", 1, WINDOW_MAX as i64)? as usize
            ));
        }
        if !inner.object.contains_key("cap") {
            return refuse(
                "UNBOUNDED",
                self.node,
                "a time window without a cap has no bound: give the most values it may hold".into(),
            );
        }
        Ok(Window::Time {
            ns: inner.integer("ns", 1, i64::MAX / 4)?,
            cap: inner.integer("cap", 2, WINDOW_MAX as i64)? as usize,
        })
    }

    fn stat(&self) -> Result<Stat, GraphError> {
        let ddof = match self.object.get("ddof") {
            None => 1,
            Some(_) => self.integer("ddof", 0, 1)? as u8,
        };
        Ok(match self.text("stat")? {
            "sum" => Stat::Sum,
            "mean" => Stat::Mean,
            "var" => Stat::Var(ddof),
            "std" => Stat::Std(ddof),
            "zscore" => Stat::Zscore,
            "skew" => Stat::Skew,
            "min" => Stat::Min,
            "max" => Stat::Max,
            "rank" => Stat::Rank,
            other => {
                return self.unknown("statistic of a rolling window", other, STATS.into_iter());
            }
        })
    }
}

fn book_operator(reader: &Reader<'_>) -> Result<Operator, GraphError> {
    let stream = reader.stream()?;
    if !matches!(stream.source, Source::Book | Source::Quotes) {
        return refuse(
            "NOT_A_BOOK",
            reader.node,
            format!("{stream} has no book: use book or quotes"),
        );
    }
    let function = match reader.text("name")? {
        "mid" => BookFn::Mid,
        "spread" => BookFn::Spread,
        "microprice" => BookFn::Microprice,
        "imbalance" => BookFn::Imbalance(reader.integer("levels", 1, i64::from(LEVELS_MAX))? as u8),
        "ofi" => {
            let levels = reader.integer("levels", 1, i64::from(LEVELS_MAX))?;
            if levels != 1 {
                return refuse(
                    "OUT_OF_RANGE",
                    reader.node,
                    format!(
                        "ofi is defined here for the best level, found levels={levels}: use levels=1"
                    ),
                );
            }
            BookFn::Ofi
        }
        other => return reader.unknown("function of a book", other, BOOK.into_iter()),
    };
    if stream.source == Source::Quotes
        && matches!(function, BookFn::Imbalance(levels) if levels > 1)
    {
        return refuse(
            "OUT_OF_RANGE",
            reader.node,
            "quotes carry one level: use levels=1 or book".into(),
        );
    }
    Ok(Operator::Book(stream, function))
}

fn operator(node: usize, value: &Value) -> Result<Operator, GraphError> {
    const KEYS: [&str; 18] = [
        "op",
        "x",
        "y",
        "condition",
        "value",
        "of",
        "instrument",
        "name",
        "levels",
        "n",
        "stat",
        "ddof",
        "window",
        "alpha",
        "min_periods",
        "ns",
        "stream",
        "cap",
    ];
    let reader = Reader::new(Some(node), value, &KEYS)?;
    let name = reader.text("op")?;
    if let Some((_, op)) = UNARY.iter().find(|(known, _)| *known == name) {
        return Ok(Operator::Unary(*op, reader.operand("x")?));
    }
    if let Some((_, op)) = BINARY.iter().find(|(known, _)| *known == name) {
        return Ok(Operator::Binary(
            *op,
            reader.operand("x")?,
            reader.operand("y")?,
        ));
    }
    if let Some((_, op)) = LAG.iter().find(|(known, _)| *known == name) {
        let n = reader.integer("n", 1, WINDOW_MAX as i64)? as usize;
        return Ok(Operator::Lag(*op, n, reader.operand("x")?));
    }
    match name {
        "const" => Ok(Operator::Const(reader.number("value")?)),
        "field" => {
            let stream = reader.stream()?;
            let text = reader.text("name")?;
            match Field::parse(text).filter(|field| field.belongs_to(stream.source)) {
                Some(field) => Ok(Operator::Field(stream, field)),
                None => refuse(
                    "UNKNOWN_NAME",
                    Some(node),
                    format!("{stream} has no field \"{text}\""),
                ),
            }
        }
        "book" => book_operator(&reader),
        "where" => Ok(Operator::Where([
            reader.operand("condition")?,
            reader.operand("x")?,
            reader.operand("y")?,
        ])),
        "rolling" => {
            let (window, x) = (reader.window()?, reader.operand("x")?);
            if reader.object.contains_key("y") {
                return Ok(Operator::RollingPair(
                    reader.named("stat", &PAIR)?,
                    window,
                    x,
                    reader.operand("y")?,
                ));
            }
            let stat = reader.stat()?;
            if let Window::Count(n) = window
                && n < stat.least()
            {
                let least = stat.least();
                return refuse(
                    "OUT_OF_RANGE",
                    Some(node),
                    format!(
                        "{} needs a window of {least} values or more, found {n}",
                        stat_name(stat)
                    ),
                );
            }
            Ok(Operator::Rolling(stat, window, x))
        }
        "ewm" => {
            let alpha = reader.number("alpha")?;
            if !(alpha > 0.0 && alpha <= 1.0) {
                return refuse(
                    "OUT_OF_RANGE",
                    Some(node),
                    format!("alpha must be in (0, 1], found {alpha}"),
                );
            }
            let levels = signal_kernels::ewm::Ewm::levels(alpha);
            if 1usize << levels > WINDOW_MAX {
                let message = format!(
                    "alpha {alpha} remembers more than {WINDOW_MAX} values: use a shorter span"
                );
                return refuse("OUT_OF_RANGE", Some(node), message);
            }
            let min_periods = reader.integer("min_periods", 1, WINDOW_MAX as i64)? as usize;
            Ok(Operator::EwmMean {
                alpha,
                min_periods,
                x: reader.operand("x")?,
            })
        }
        "age" => Ok(Operator::Age(reader.operand("x")?)),
        "max_age" => Ok(Operator::MaxAge(
            reader.integer("ns", 1, i64::MAX / 4)?,
            reader.operand("x")?,
        )),
        "at" => Ok(Operator::At(
            Stream {
                scope: Scope::Own,
                source: reader.source("stream")?,
            },
            reader.operand("x")?,
        )),
        other => {
            let families = UNARY
                .iter()
                .map(|(name, _)| *name)
                .chain(BINARY.iter().map(|(name, _)| *name));
            let families = families
                .chain(LAG.iter().map(|(name, _)| *name))
                .chain(OTHER);
            reader.unknown("operator", other, families)
        }
    }
}

impl Graph {
    /// Reads the JSON form, shares equal nodes and drops those that serve no feature.
    pub fn from_json(text: &str) -> Result<Self, GraphError> {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return refuse("GRAPH_FORM", None, format!("not JSON: {error}")),
        };
        let reader = Reader::new(
            None,
            &value,
            &["signal_stream", "name", "axis", "on", "nodes", "features"],
        )?;
        let format = reader.integer("signal_stream", 0, i64::MAX)? as u64;
        if format != FORMAT {
            return refuse(
                "GRAPH_FORMAT",
                None,
                format!("graph format {format}; this version reads {FORMAT}"),
            );
        }
        let axis = reader.named("axis", &[("recv", Axis::Recv), ("event", Axis::Event)])?;
        let on = reader.source("on")?;
        let Some(nodes) = reader.get("nodes")?.as_array() else {
            return refuse("GRAPH_FORM", None, "\"nodes\" must be a list".into());
        };
        if nodes.len() > NODES_MAX {
            return refuse(
                "UNBOUNDED",
                None,
                format!("{} nodes; a graph holds at most {NODES_MAX}", nodes.len()),
            );
        }
        let nodes = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| operator(i, node))
            .collect::<Result<Vec<_>, _>>()?;
        let features = Self::read_features(reader.get("features")?, nodes.len())?;
        Ok(Self {
            name: reader.text("name")?.to_string(),
            axis,
            on,
            nodes,
            features,
        }
        .shared())
    }

    fn read_features(value: &Value, nodes: usize) -> Result<Vec<(String, NodeId)>, GraphError> {
        let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
            return refuse(
                "NO_FEATURES",
                None,
                "a graph needs at least one feature".into(),
            );
        };
        let mut features: Vec<(String, NodeId)> = Vec::with_capacity(list.len());
        for entry in list {
            let pair = entry.as_array().filter(|pair| pair.len() == 2);
            let name = pair
                .and_then(|pair| pair[0].as_str())
                .filter(|name| !name.is_empty());
            let node = pair
                .and_then(|pair| pair[1].as_u64())
                .map(|n| n as usize)
                .filter(|&n| n < nodes);
            let (Some(name), Some(node)) = (name, node) else {
                return refuse(
                    "GRAPH_FORM",
                    None,
                    format!("a feature is [name, node number], found {entry}"),
                );
            };
            if features.iter().any(|(known, _)| known == name) {
                return refuse(
                    "DUPLICATE_FEATURE",
                    None,
                    format!("two features are named \"{name}\""),
                );
            }
            features.push((name.to_string(), node));
        }
        Ok(features)
    }

    /// The same graph with equal nodes made one, unused nodes left out, in canonical order: depth first from the
    /// features, operands before readers. Two texts that mean the same graph give the same nodes.
    fn shared(self) -> Self {
        let mut known: HashMap<String, NodeId> = HashMap::new();
        let mut new: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        let mut nodes: Vec<Operator> = Vec::new();
        for &(_, root) in &self.features {
            let mut stack = vec![root];
            while let Some(&id) = stack.last() {
                if new[id].is_some() {
                    stack.pop();
                    continue;
                }
                let waiting: Vec<NodeId> = self.nodes[id]
                    .operands()
                    .into_iter()
                    .filter(|&x| new[x].is_none())
                    .rev()
                    .collect();
                if !waiting.is_empty() {
                    stack.extend(waiting);
                    continue;
                }
                let renumbered = self.nodes[id].renumbered(|x| new[x].unwrap_or(x));
                let text = canonical::operator(&renumbered);
                new[id] = Some(*known.entry(text).or_insert_with(|| {
                    nodes.push(renumbered);
                    nodes.len() - 1
                }));
                stack.pop();
            }
        }
        let features = self
            .features
            .into_iter()
            .map(|(name, id)| (name, new[id].unwrap_or(id)))
            .collect();
        Self {
            nodes,
            features,
            ..self
        }
    }

    /// sha256, in hex, of everything that decides the values: axis, clock, operators with their parameters, columns.
    pub fn digest(&self) -> String {
        canonical::digest(self)
    }
}
