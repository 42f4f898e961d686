//! Every composite of the table, in one graph: the same bits row by row, in blocks of any cut, restored, and with any
//! instruction set.

use crate::random::{Faults, Run, difference, plan, table, whole};
use serde_json::{Value, json};

const BARS: &str = r#"{"bars_ns":60000000000}"#;

/// A value inside the bounds of an argument, the `i`th of its row.
fn value(argument: &Value, i: usize) -> Value {
    let name = argument["name"].as_str().expect("a name");
    match argument["kind"].as_str() {
        _ if name.starts_with("level") => json!(2),
        _ if name == "bps" => json!(100.0),
        Some("whole") => json!(argument["least"].as_u64().expect("a bound") + 1 + i as u64),
        Some("number") => {
            let (above, most) = (argument["above"].as_f64(), argument["most"].as_f64());
            let (above, most) = (above.expect("a bound"), most.expect("a bound"));
            json!(above + ((most - above) / 2.0).min(1.0))
        }
        Some("real") => {
            let (least, most) = (argument["least"].as_f64(), argument["most"].as_f64());
            let (least, most) = (least.expect("a bound"), most.expect("a bound"));
            json!(least + ((most - least) / 4.0).min(1.0))
        }
        _ => json!({"count": argument["least"].as_u64().expect("a bound") + 3}),
    }
}

/// The node of a row; with a window of time where it has a window and `timed` is so.
fn node(row: &Value, timed: bool) -> Value {
    let mut node = json!({"op": row["name"]});
    for (i, operand) in row["operands"]
        .as_array()
        .expect("a list")
        .iter()
        .enumerate()
    {
        node[operand.as_str().expect("a name")] = json!(i);
    }
    match row["of"].as_str() {
        None => {}
        Some("bars") => node["of"] = serde_json::from_str(BARS).expect("a stream"),
        Some(stream) => node["of"] = json!(stream),
    }
    for (i, argument) in row["arguments"]
        .as_array()
        .expect("a list")
        .iter()
        .enumerate()
    {
        let name = argument["name"].as_str().expect("a name");
        node[name] = match timed && name == "window" {
            true => json!({"ns": 600_000_000_000i64, "cap": 20}),
            false => value(argument, i),
        };
    }
    node
}

/// A graph of all composites, over the close and the volume of bars.
fn graph() -> String {
    let rows = signal_features::operators();
    let rows = rows.as_array().expect("a list").iter();
    let rows: Vec<&Value> = rows.filter(|row| row.get("unit").is_some()).collect();
    assert!(rows.len() > 40, "{} composites", rows.len());
    let mut nodes: Vec<Value> = ["close", "volume"]
        .iter()
        .map(|name| json!({"op": "field", "of": {"bars_ns": 60_000_000_000i64}, "name": name}))
        .collect();
    let mut features = vec![json!(["close", 0]), json!(["volume", 1])];
    for row in rows {
        for timed in [false, true] {
            let node = node(row, timed);
            if !nodes.contains(&node) {
                let name = row["name"].as_str().expect("a name");
                features.push(json!([format!("{name} {timed}"), nodes.len()]));
                nodes.push(node);
            }
        }
    }
    let on: Value = serde_json::from_str(BARS).expect("a stream");
    json!({"signal_stream": 1, "name": "composites", "axis": "recv", "on": on, "nodes": nodes, "features": features})
        .to_string()
}

#[test]
fn every_composite_has_the_same_bits_however_rows_come() {
    let plan = plan(&graph());
    for (seed, faults) in [(11, Faults::All), (12, Faults::Finite), (13, Faults::None)] {
        let rows = table(400, seed, faults);
        let all = whole(&plan, &rows);
        let mut single = Run::new(&plan);
        (0..400).for_each(|i| single.push(&rows, i, i + 1));
        assert_eq!(difference(&plan, &single.out, &all), None);
        let mut cut = Run::new(&plan);
        cut.engine.use_baseline_instructions();
        for (from, to) in [(0, 1), (1, 130), (130, 133), (133, 399), (399, 400)] {
            cut.push(&rows, from, to);
            cut = cut.restored(&plan);
        }
        assert_eq!(difference(&plan, &cut.out, &all), None);
        if faults == Faults::None {
            for (f, (name, _)) in plan.graph.features.iter().enumerate() {
                let some = all.reasons[f].contains(&signal_engine::VALID);
                assert!(some, "{name} has no value at all");
            }
        }
    }
}
