//! From a node of the JSON to nodes of the graph: one for most, those of its expression for a composite.

use crate::composites::{self, Composite, Given, Kind, Nodes, Parameter, Series, Value as Parsed};
use crate::graph::NODES_MAX;
use crate::graph_error::{GraphError, refuse};
use crate::operator::{NodeId, Window};
use crate::reader::{Reader, operator};
use serde_json::Value;

/// Nodes that composites may be written with, before equal ones are one.
const LOWERED_MAX: usize = 10 * NODES_MAX;

/// Adds node `number` of the JSON. Gives its place in the graph, and the name of the composite that it is. `places` are
/// those of the nodes before it.
pub(crate) fn lower(
    number: usize,
    value: &Value,
    places: &[NodeId],
    nodes: &Nodes,
) -> Result<(NodeId, Option<&'static str>), GraphError> {
    let name = value.get("op").and_then(Value::as_str);
    let Some(row) = name.and_then(composites::named) else {
        let op = operator(number, value)?;
        return Ok((nodes.push(op.renumbered(|x| places[x])), None));
    };
    let place = composite(row, number, value, places, nodes)?;
    if nodes.len() > LOWERED_MAX {
        let message = format!(
            "more than {LOWERED_MAX} nodes are needed for what the graph names: make several of it"
        );
        return refuse("UNBOUNDED", Some(number), message);
    }
    Ok((place, Some(row.name)))
}

fn composite(
    row: &'static Composite,
    number: usize,
    value: &Value,
    places: &[NodeId],
    nodes: &Nodes,
) -> Result<NodeId, GraphError> {
    let parameters = row.parameters.iter().map(|parameter| parameter.name);
    let mut keys = vec!["op"];
    keys.extend(row.operands);
    keys.extend(
        row.subject
            .stream()
            .map_or(&[][..], |_| &["of", "instrument"]),
    );
    keys.extend(parameters);
    let reader = Reader::new(Some(number), value, &keys)?;
    let series = row.operands.iter();
    let series = series.map(|key| reader.operand(key).map(|x| nodes.series(places[x])));
    let series: Vec<Series<'_>> = series.collect::<Result<_, _>>()?;
    let stream = match row.subject.stream() {
        None => None,
        Some(wanted) => {
            let stream = reader.stream()?;
            if !row.subject.takes(stream.source) {
                let message = format!("{} is of {wanted}, found {stream}", row.name);
                return refuse("GRAPH_FORM", Some(number), message);
            }
            Some(stream)
        }
    };
    let values = row.parameters.iter();
    let values = values.map(|parameter| parsed(&reader, number, row.name, parameter));
    let values: Vec<Parsed> = values.collect::<Result<_, _>>()?;
    match (row.make)(Given::new(nodes, stream.as_ref(), &series, &values)) {
        Ok(made) => Ok(made.id),
        Err(wrong) => refuse(
            "OUT_OF_RANGE",
            Some(number),
            format!("{}: {wrong}", row.name),
        ),
    }
}

fn parsed(
    reader: &Reader<'_>,
    number: usize,
    name: &str,
    parameter: &Parameter,
) -> Result<Parsed, GraphError> {
    let key = parameter.name;
    match (parameter.kind, parameter.default) {
        (Kind::Whole(..), Some(default)) if !reader.has(key) => Ok(Parsed::Whole(default as usize)),
        (Kind::Number(..), Some(default)) if !reader.has(key) => Ok(Parsed::Number(default)),
        (Kind::Whole(least, most), _) => {
            let n = reader.integer(key, least as i64, most as i64)?;
            Ok(Parsed::Whole(n as usize))
        }
        (Kind::Number(..) | Kind::Real(..) | Kind::Only(_), _) => {
            let x = reader.number(key)?;
            match parameter.refusal(x) {
                None => Ok(Parsed::Number(x)),
                Some(wanted) => refuse(
                    "OUT_OF_RANGE",
                    Some(number),
                    format!("\"{key}\" must be {wanted}, found {x}"),
                ),
            }
        }
        (Kind::Window(least), _) => match reader.window()? {
            Window::Count(n) if n < least => refuse(
                "OUT_OF_RANGE",
                Some(number),
                format!("{name} needs a window of {least} values or more, found {n}"),
            ),
            window => Ok(Parsed::Window(window)),
        },
    }
}
