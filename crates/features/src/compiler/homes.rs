//! At which stream's events each node is evaluated.

use crate::graph::Graph;
use crate::graph_error::{GraphError, refuse};
use crate::operator::{NodeId, Operator};
use crate::stream::{Scope, Stream};

/// Where a node is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// Everywhere the same.
    Anywhere,
    /// At the events of a stream.
    At(Stream),
}

/// The home of each node. Where several meet, the graph's own clock decides.
pub(crate) fn homes(graph: &Graph) -> Result<Vec<Home>, GraphError> {
    let on = Stream {
        scope: Scope::Own,
        source: graph.on,
    };
    let mut homes: Vec<Home> = Vec::with_capacity(graph.nodes.len());
    for (id, op) in graph.nodes.iter().enumerate() {
        let operands = op.operands();
        let met = operands
            .iter()
            .fold(Home::Anywhere, |met, &x| match (&met, &homes[x]) {
                (_, Home::Anywhere) => met,
                (Home::Anywhere, home) => home.clone(),
                (one, home) if one == home => met,
                _ => Home::At(on.clone()),
            });
        let home = match op {
            Operator::Const(_) => Home::Anywhere,
            Operator::Field(stream, _) | Operator::Book(stream, _) | Operator::At(stream, _) => {
                Home::At(stream.clone())
            }
            // Across instruments there is one moment: the graph's own.
            Operator::Age(_) | Operator::Cross(..) | Operator::Time(_) => Home::At(on.clone()),
            _ => met.clone(),
        };
        let needs_events = !op.is_elementwise() && !operands.is_empty();
        if needs_events && met == Home::Anywhere {
            return refuse(
                "CONSTANT",
                Some(id),
                "a constant has no events to look back on".into(),
            );
        }
        homes.push(home);
    }
    Ok(homes)
}

/// Whether each node's present value mixes values that come at the events of several streams.
pub(super) fn mixes(graph: &Graph, homes: &[Home]) -> Vec<bool> {
    let mut mixes: Vec<bool> = Vec::with_capacity(homes.len());
    for (op, home) in graph.nodes.iter().zip(homes) {
        let foreign = |y: NodeId| homes[y] != Home::Anywhere && homes[y] != *home;
        let mixed = op.is_elementwise() && {
            let mut operands = op.operands().into_iter();
            operands.any(|y| foreign(y) || mixes[y])
        };
        mixes.push(mixed);
    }
    mixes
}
