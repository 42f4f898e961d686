//! Composites: the graph of their expression, and refusals by name.
#![allow(clippy::expect_used)]

use super::all;
use crate::Graph;
use crate::composites::Kind;
use crate::graph_error::GraphError;
use std::collections::HashSet;

const FIELD: &str = r#"{"op": "field", "of": {"bars_ns": 60000000000}, "name": "close"}"#;

/// A graph of these nodes behind the close, of which the last is its feature.
fn graph(nodes: &[&str]) -> Result<Graph, GraphError> {
    let all: Vec<&str> = [FIELD].into_iter().chain(nodes.iter().copied()).collect();
    Graph::from_json(&format!(
        r#"{{"signal_stream": 1, "name": "g", "axis": "recv", "on": "trades", "nodes": [{}], "features": [["x", {}]]}}"#,
        all.join(","),
        nodes.len()
    ))
}

fn refused(node: &str) -> String {
    graph(&[node]).expect_err(node).to_string()
}

#[test]
fn a_composite_is_the_graph_of_its_expression() {
    let written = [
        r#"{"op": "diff", "n": 1, "x": 0}"#,
        r#"{"op": "const", "value": 0.0}"#,
        r#"{"op": "maximum", "x": 1, "y": 2}"#,
        r#"{"op": "ewm", "alpha": 0.2, "min_periods": 9, "x": 3}"#,
        r#"{"op": "neg", "x": 1}"#,
        r#"{"op": "maximum", "x": 5, "y": 2}"#,
        r#"{"op": "ewm", "alpha": 0.2, "min_periods": 9, "x": 6}"#,
        r#"{"op": "const", "value": 100.0}"#,
        r#"{"op": "mul", "x": 8, "y": 4}"#,
        r#"{"op": "add", "x": 4, "y": 7}"#,
        r#"{"op": "div", "x": 9, "y": 10}"#,
    ];
    let written = graph(&written).expect("a graph");
    let named = graph(&[r#"{"op": "rsi", "n": 5, "x": 0}"#]).expect("a graph");
    assert_eq!(named.digest(), written.digest());
    assert_eq!(named.nodes, written.nodes);
    let of_close = named.origins.iter().filter(|origin| origin.node == 0);
    assert_eq!(of_close.count(), 1);
    let composites: Vec<_> = named.origins.iter().map(|o| o.composite).collect();
    assert_eq!(composites.iter().flatten().collect::<Vec<_>>(), [&"rsi"]);
    assert_eq!(composites.last(), Some(&Some("rsi")));
}

#[test]
fn what_two_composites_share_is_there_once() {
    let both = graph(&[
        r#"{"op": "macd", "x": 0}"#,
        r#"{"op": "macd_signal", "x": 0}"#,
        r#"{"op": "sub", "x": 1, "y": 2}"#,
    ]);
    let histogram = graph(&[r#"{"op": "macd_histogram", "x": 0}"#]).expect("a graph");
    let both = both.expect("a graph");
    assert_eq!(both.digest(), histogram.digest());
    assert_eq!(both.nodes.len(), 6);
}

#[test]
fn a_wrong_parameter_is_refused_by_name() {
    for (node, said) in [
        (r#"{"op": "rsy", "x": 0}"#, r#"Did you mean "rsi"?"#),
        (
            r#"{"op": "rsi", "x": 0, "nn": 3}"#,
            r#"unknown key "nn". Did you mean "n"?"#,
        ),
        (
            r#"{"op": "rsi", "x": 0, "n": 1}"#,
            r#""n" must be a whole number from 2"#,
        ),
        (r#"{"op": "rsi", "n": 14}"#, r#"key "x" is missing"#),
        (
            r#"{"op": "rsi", "x": 1}"#,
            "must be the number of an earlier node",
        ),
        (
            r#"{"op": "percent_b", "x": 0, "window": {"count": 1}}"#,
            "a window of 2 values or more, found 1",
        ),
        (
            r#"{"op": "percent_b", "x": 0, "window": {"count": 9}, "k": 0}"#,
            r#""k" must be above 0 and at most 100, found 0"#,
        ),
        (
            r#"{"op": "stochastic", "x": 0}"#,
            r#"key "window" is missing"#,
        ),
        (
            r#"{"op": "variance_ratio", "x": 0, "q": 5, "n": 5}"#,
            "variance_ratio: q must be below n",
        ),
        (
            r#"{"op": "atr", "of": "trades"}"#,
            "atr is of bars, found trades",
        ),
        (
            r#"{"op": "slope", "of": "quotes"}"#,
            "slope is of book, found quotes",
        ),
    ] {
        let found = refused(node);
        assert!(found.contains(said), "{node}: {found}");
    }
}

#[test]
fn nodes_that_composites_need_are_bounded() {
    let nodes: Vec<String> = (0..600)
        .map(|i| {
            format!(
                r#"{{"op": "slope", "of": "book", "levels": {}}}"#,
                1 + i % 50
            )
        })
        .collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let error = graph(&nodes).expect_err("too many");
    assert_eq!(error.code, "UNBOUNDED");
}

#[test]
fn rows_say_what_they_are() {
    let names: HashSet<&str> = all().map(|row| row.name).collect();
    assert_eq!(names.len(), all().count());
    for row in all() {
        assert!(super::named(row.name).is_some_and(|found| std::ptr::eq(found, row)));
        assert!(
            row.meaning.trim().ends_with('.') || row.meaning.contains('/'),
            "{}",
            row.name
        );
        for parameter in row.parameters {
            // The reader looks for a window under this key.
            assert_eq!(
                matches!(parameter.kind, Kind::Window(_)),
                parameter.name == "window"
            );
        }
    }
    let others = crate::operators();
    // A book has a slope, and so has a window.
    let listed: Vec<(&str, Option<&str>)> = others
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| Some((row["name"].as_str()?, row["of"].as_str())))
        .collect();
    assert_eq!(
        listed.len(),
        listed.iter().collect::<HashSet<_>>().len(),
        "a name stands twice"
    );
}
