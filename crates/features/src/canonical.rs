//! One text for each meaning: what the digest is taken over, and how equal nodes are recognised.

use crate::graph::{Axis, FORMAT, Graph};
use crate::operator::{BookFn, Operator, Window};
use sha2::{Digest, Sha256};
use signal_runtime::{Kind, WindowStat};
use std::fmt::Write;

fn window(window: Window) -> String {
    match window {
        Window::Count(n) => format!("count={n}"),
        Window::Time { ns, cap } => format!("ns={ns} cap={cap}"),
    }
}

/// A statistic with its parameter, where that is not the usual one.
fn statistic(stat: WindowStat) -> String {
    let row = stat.f.row();
    let x = stat.parameter();
    match row.parameter {
        Some(parameter) if stat != stat.f.usual() => match parameter.kind {
            Kind::Whole(..) => format!("{}({}={x})", row.name, parameter.name),
            _ => format!("{}({}={:016x})", row.name, parameter.name, x.to_bits()),
        },
        _ => row.name.into(),
    }
}

/// A line, and the operands behind it.
fn with_operands(line: String, op: &Operator) -> String {
    op.operands().iter().fold(line, |mut line, x| {
        let _ = write!(line, " %{x}");
        line
    })
}

/// The operator as one line; numbers by their bits.
pub fn operator(op: &Operator) -> String {
    match op {
        Operator::Const(x) => format!("const {:016x}", x.to_bits()),
        Operator::Field(stream, field) => format!("field {stream} {field}"),
        Operator::Book(stream, function) => match function {
            BookFn::Formula(formula) => format!("{} {stream}", formula.row().name),
            BookFn::Imbalance(levels) => format!("imbalance {stream} levels={levels}"),
            BookFn::Ofi => format!("ofi {stream} levels=1"),
        },
        Operator::Formula(formula, _) => with_operands(formula.row().name.into(), op),
        Operator::Lag(op, n, x) => format!("{} n={n} %{x}", op.row().name),
        Operator::Rolling(stat, over, _) => {
            let line = format!("rolling {} {}", statistic(*stat), window(*over));
            with_operands(line, op)
        }
        Operator::Ewm {
            f,
            alpha,
            min_periods,
            ..
        } => {
            let (name, bits) = (f.row().name, alpha.to_bits());
            let line = format!("ewm_{name} alpha={bits:016x} min_periods={min_periods}");
            with_operands(line, op)
        }
        Operator::Scan {
            f,
            parameters,
            min_periods,
            x,
        } => {
            let row = f.row();
            let mut line = format!("scan {}{}", row.family.prefix(), row.name);
            for (parameter, given) in row.parameters.iter().zip(parameters) {
                let _ = write!(line, " {}={:016x}", parameter.name, given.to_bits());
            }
            let _ = write!(line, " min_periods={min_periods} %{x}");
            line
        }
        Operator::Age(x) => format!("age %{x}"),
        Operator::MaxAge(ns, x) => format!("max_age ns={ns} %{x}"),
        Operator::Time(f) => format!("time {f}"),
        Operator::At(stream, x) => format!("at {stream} %{x}"),
        Operator::Cross(cross, x) => {
            let (row, mut line) = (cross.f.row(), String::from("cross"));
            let _ = write!(line, " {}", row.name);
            if row.parameter.is_some() {
                let _ = write!(line, " {:016x}", cross.parameter.to_bits());
            }
            let _ = write!(
                line,
                " over={:?} least={} carry={} %{x}",
                cross.universe, cross.least, cross.carry_ns
            );
            line
        }
    }
}

/// The graph as text: one line a node, then one a column.
pub fn graph(graph: &Graph) -> String {
    let axis = match graph.axis {
        Axis::Recv => "recv",
        Axis::Event => "event",
    };
    let mut text = format!(
        "signal_stream graph {FORMAT}\naxis {axis}\non {}\n",
        graph.on
    );
    for calendar in &graph.calendars {
        let _ = writeln!(text, "{calendar}");
    }
    for universe in &graph.universes {
        let _ = writeln!(text, "{universe}");
    }
    for (id, op) in graph.nodes.iter().enumerate() {
        let _ = writeln!(text, "%{id} = {}", operator(op));
    }
    for (name, id) in &graph.features {
        let _ = writeln!(text, "column {name:?} %{id}");
    }
    text
}

impl Graph {
    /// sha256, in hex, of everything that decides the values: axis, clock, operators with their parameters, columns.
    pub fn digest(&self) -> String {
        digest(self)
    }
}

/// Lower-case hex of the sha256 of [`graph`].
fn digest(value: &Graph) -> String {
    Sha256::digest(graph(value).as_bytes())
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
