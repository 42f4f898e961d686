//! A graph from its JSON form: read, equal nodes shared, nodes that serve no feature dropped.

use crate::calendar::CalendarName;
use crate::canonical;
use crate::composites::Nodes;
use crate::graph::{Axis, FORMAT, Graph, NODES_MAX, Origin};
use crate::graph_error::{GraphError, refuse};
use crate::lowering::lower;
use crate::operator::{NodeId, Operator};
use crate::reader::Reader;
use crate::stream::Source;
use crate::time_fn::{SessionFn, TimeFn};
use crate::universe_json::universes;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};

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
                "universes",
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
        let (nodes, origins, places) = lowered(nodes)?;
        let features = Self::read_features(reader.get("features")?, &places)?;
        Self {
            name: reader.text("name")?.to_string(),
            axis,
            on,
            calendars: reader.calendars()?,
            universes: universes(value.get("universes"))?,
            nodes,
            origins,
            features,
        }
        .shared()
        .within_bounds()?
        .with_its_universes()?
        .with_its_calendars()
    }

    /// The graph without universes that nothing in it takes; refused if one is missing, or if there is no moment for a value
    /// across instruments.
    fn with_its_universes(mut self) -> Result<Self, GraphError> {
        let mut used: BTreeSet<String> = BTreeSet::new();
        for (id, op) in self.nodes.iter().enumerate() {
            let Operator::Cross(cross, _) = op else {
                continue;
            };
            let shared = matches!(self.on, Source::Clock(_)) || self.on.bars_ns().is_some();
            if !shared {
                let what = format!(
                    "a value across instruments is taken at moments that all of them share, and {} are each instrument's own: \
                     let the graph run on every(...) or on bars of time",
                    self.on
                );
                return refuse("NO_SHARED_MOMENT", Some(self.origins[id].node), what);
            }
            let Some(name) = &cross.universe else {
                continue;
            };
            if self.universe(name).is_none() {
                let what = format!("no universe \"{name}\" stands in \"universes\"");
                return refuse("UNKNOWN_NAME", Some(self.origins[id].node), what);
            }
            used.insert(name.clone());
        }
        self.universes
            .retain(|universe| used.contains(&universe.name));
        Ok(self)
    }

    fn within_bounds(self) -> Result<Self, GraphError> {
        if self.nodes.len() <= NODES_MAX {
            return Ok(self);
        }
        let message = format!(
            "{} nodes with those of composites; a graph holds at most {NODES_MAX}",
            self.nodes.len()
        );
        refuse("UNBOUNDED", None, message)
    }

    /// The graph without calendars that nothing in it names; refused if one is missing.
    fn with_its_calendars(mut self) -> Result<Self, GraphError> {
        let streams = self.nodes.iter().filter_map(|op| match op {
            Operator::Field(stream, _) | Operator::Book(stream, _) | Operator::At(stream, _) => {
                Some(stream.source)
            }
            _ => None,
        });
        let of_bars = streams.chain([self.on]).filter_map(|source| match source {
            Source::Bars(spec) => spec.session,
            _ => None,
        });
        let of_times = self.nodes.iter().filter_map(|op| match op {
            Operator::Time(f) => f.calendar(),
            _ => None,
        });
        let used: BTreeSet<CalendarName> = of_bars.chain(of_times).collect();
        if let Some(missing) = used.iter().find(|name| self.calendar(**name).is_none()) {
            return refuse(
                "GRAPH_FORM",
                None,
                format!(
                    "the graph names session=\"{missing}\", but \"calendars\" has no such calendar"
                ),
            );
        }
        self.calendars
            .retain(|calendar| used.contains(&calendar.name));
        self.calendars.sort_by_key(|calendar| calendar.name);
        for (node, op) in self.nodes.iter().enumerate() {
            let Operator::Time(TimeFn::Session(name, SessionFn::OpenMinutesUntil(at))) = *op else {
                continue;
            };
            let last = self
                .calendar(name)
                .and_then(|found| found.sessions().last());
            if last.is_none_or(|(_, close)| at > close) {
                let message =
                    format!("at_ns {at} lies behind the last session of {name} that is known");
                return refuse("OUT_OF_RANGE", Some(node), message);
            }
        }
        Ok(self)
    }

    fn read_features(
        value: &Value,
        places: &[NodeId],
    ) -> Result<Vec<(String, NodeId)>, GraphError> {
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
                .and_then(|n| places.get(n as usize).copied());
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
        let mut origins: Vec<Origin> = Vec::new();
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
                let place = *known.entry(text).or_insert_with(|| {
                    nodes.push(renumbered);
                    origins.push(self.origins[id]);
                    nodes.len() - 1
                });
                origins[place].composite = origins[place].composite.or(self.origins[id].composite);
                new[id] = Some(place);
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
            origins,
            features,
            ..self
        }
    }
}

/// The nodes of the JSON's list, where each is from, and the place of each of the list.
type Lowered = (Vec<Operator>, Vec<Origin>, Vec<NodeId>);

fn lowered(list: &[Value]) -> Result<Lowered, GraphError> {
    let nodes = Nodes::default();
    let (mut origins, mut places) = (Vec::new(), Vec::with_capacity(list.len()));
    for (node, value) in list.iter().enumerate() {
        let (place, composite) = lower(node, value, &places, &nodes)?;
        let one = Origin {
            node,
            composite: None,
        };
        origins.resize(nodes.len(), one);
        if let Some(origin) = origins.get_mut(place) {
            origin.composite = origin.composite.or(composite);
        }
        places.push(place);
    }
    Ok((nodes.into_operators(), origins, places))
}
