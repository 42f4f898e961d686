//! What the user wrote, as plain data: nodes in topological order and named features.
//!
//! The JSON form is the contract with Python and with files. Every refusal names the place, the value seen, and the
//! nearest thing that would have been right.

use crate::calendar::{Calendar, CalendarName};
use crate::canonical;
use crate::operator::{LagFn, NodeId, Operator, PairStat, Stat};
use crate::reader::{Reader, operator};
use crate::stream::Source;
use serde_json::Value;
use signal_kernels::elementwise::{Binary, Unary};
use std::collections::{BTreeSet, HashMap, HashSet};
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
    /// Calendars of its bars, in order of their names; each is used.
    pub calendars: Vec<Calendar>,
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

pub(crate) const UNARY: [(&str, Unary); 7] = [
    ("neg", Unary::Neg),
    ("abs", Unary::Abs),
    ("sign", Unary::Sign),
    ("log", Unary::Log),
    ("log1p", Unary::Log1p),
    ("exp", Unary::Exp),
    ("sqrt", Unary::Sqrt),
];
pub(crate) const BINARY: [(&str, Binary); 10] = [
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
pub(crate) const LAG: [(&str, LagFn); 4] = [
    ("shift", LagFn::Shift),
    ("diff", LagFn::Diff),
    ("pct_change", LagFn::PctChange),
    ("log_return", LagFn::LogReturn),
];
pub(crate) const PAIR: [(&str, PairStat); 3] = [
    ("cov", PairStat::Cov),
    ("corr", PairStat::Corr),
    ("beta", PairStat::Beta),
];
pub(crate) const STATS: [&str; 9] = [
    "sum", "mean", "var", "std", "zscore", "skew", "min", "max", "rank",
];
pub(crate) const OTHER: [&str; 9] = [
    "const", "field", "book", "where", "rolling", "ewm", "age", "max_age", "at",
];
pub(crate) const BOOK: [&str; 5] = ["mid", "spread", "microprice", "imbalance", "ofi"];

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
            &[
                "signal_stream",
                "name",
                "axis",
                "on",
                "calendars",
                "nodes",
                "features",
            ],
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
        Self {
            name: reader.text("name")?.to_string(),
            axis,
            on,
            calendars: reader.calendars()?,
            nodes,
            features,
        }
        .shared()
        .with_its_calendars()
    }

    /// The calendar of this name.
    pub fn calendar(&self, name: CalendarName) -> Option<&Calendar> {
        self.calendars.iter().find(|calendar| calendar.name == name)
    }

    /// The graph without calendars that none of its bars has; refused if one is missing.
    fn with_its_calendars(mut self) -> Result<Self, GraphError> {
        let streams = self.nodes.iter().filter_map(|op| match op {
            Operator::Field(stream, _) | Operator::Book(stream, _) | Operator::At(stream, _) => {
                Some(stream.source)
            }
            _ => None,
        });
        let used = streams.chain([self.on]).filter_map(|source| match source {
            Source::Bars(spec) => spec.session,
            _ => None,
        });
        let used: BTreeSet<CalendarName> = used.collect();
        if let Some(missing) = used.iter().find(|name| self.calendar(**name).is_none()) {
            return refuse(
                "GRAPH_FORM",
                None,
                format!("bars have session=\"{missing}\", but \"calendars\" has no such calendar"),
            );
        }
        self.calendars
            .retain(|calendar| used.contains(&calendar.name));
        self.calendars.sort_by_key(|calendar| calendar.name);
        Ok(self)
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
        let mut known: HashSet<&str> = HashSet::with_capacity(list.len());
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
            if !known.insert(name) {
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
