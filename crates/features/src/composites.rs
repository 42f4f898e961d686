//! Operators that are combinations of others: a row each, with the expression that makes it.
//!
//! A graph names them as any operator. When it is read, each becomes the nodes of its expression, and equal nodes become one:
//! its canonical text, digest, plan, state and warm-up are those of the nodes.

mod depth;
mod flow;
mod indicators;
mod row;
mod series;
mod volatility;

pub(crate) use row::{Composite, Given, Kind, Parameter, Value};
pub(crate) use series::{Nodes, Series};

/// All rows, by family.
pub(crate) fn all() -> impl Iterator<Item = &'static Composite> + Clone {
    let families = [
        indicators::INDICATORS,
        volatility::VOLATILITY,
        flow::FLOW,
        depth::DEPTH,
    ];
    families.into_iter().flatten()
}

/// The row of this name.
pub(crate) fn named(name: &str) -> Option<&'static Composite> {
    all().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
