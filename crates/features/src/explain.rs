//! What a graph will do, known before it runs: each node's stream, window, warm-up, state and users.

use crate::catalogue::statistic;
use crate::compiler::{Home, homes};
use crate::duration::duration;
use crate::graph::Graph;
use crate::graph_error::GraphError;
use crate::operator::{BookFn, NodeId, Operator, Window};
use crate::plan::{Op, Plan};
use crate::stream::{Scope, Source, Stream};
use serde_json::{Value, json};
use signal_kernels::ewm::Ewm;
use signal_runtime::{Scan, ScanFamily};
use std::collections::BTreeMap;

/// Features named as users of a node: more say nothing to a reader, and a graph may have ten thousand.
const USERS_SHOWN: usize = 100;

/// History that a node needs before it is valid: time, and events of streams that have no fixed pace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmUp {
    /// Nanoseconds.
    pub ns: i64,
    /// Events by stream.
    pub events: BTreeMap<Stream, usize>,
}

impl WarmUp {
    fn at(stream: &Stream, events: usize) -> Self {
        Self {
            ns: 0,
            events: BTreeMap::from([(stream.clone(), events)]),
        }
    }

    /// Both at once.
    fn and(mut self, other: &Self) -> Self {
        self.ns = self.ns.max(other.ns);
        for (stream, &events) in &other.events {
            let known = self.events.entry(stream.clone()).or_default();
            *known = (*known).max(events);
        }
        self
    }

    fn more(mut self, stream: &Stream, events: usize, ns: i64) -> Self {
        self.ns += ns;
        *self.events.entry(stream.clone()).or_insert(1) += events;
        self
    }

    /// Time that is certain: bars and clocks have a pace, other streams do not.
    pub fn paced_ns(&self) -> i64 {
        let paced = self
            .events
            .iter()
            .map(|(stream, &events)| match stream.source {
                Source::Clock(ns) => ns.saturating_mul(events as i64),
                source => source.bars_ns().unwrap_or(0).saturating_mul(events as i64),
            });
        paced.max().unwrap_or(0).saturating_add(self.ns)
    }

    fn text(&self) -> String {
        let paced = self.paced_ns();
        let unpaced = self.events.iter().filter(|(stream, events)| {
            let paced = stream.source.bars_ns().is_some();
            **events > 1 && !paced && !matches!(stream.source, Source::Clock(_))
        });
        let mut parts: Vec<String> = unpaced
            .map(|(stream, events)| format!("{events} {stream} events"))
            .collect();
        if paced > 0 {
            parts.push(spell(paced));
        }
        if parts.is_empty() {
            "1 event".into()
        } else {
            parts.join(" + ")
        }
    }
}

/// A length of time for people: minutes where that is shorter than seconds, and so on.
fn spell(ns: i64) -> String {
    let text = duration(ns);
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let unit = match &text[split..] {
        "m" => "min",
        other => other,
    };
    format!("{} {unit}", &text[..split])
}

/// The expression as the path a reader follows: `book.mid.log.diff(1).std`.
fn path(op: &Operator, known: &[String]) -> String {
    let operand = |x: NodeId| &known[x];
    let owned = |stream: &Stream| match &stream.scope {
        Scope::Own => stream.source.to_string(),
        Scope::Named(_) => stream.to_string(),
    };
    let text = match op {
        Operator::Const(x) => format!("{x}"),
        Operator::Field(stream, field) => format!("{}.{field}", owned(stream)),
        Operator::Book(stream, f) => {
            let stream = owned(stream);
            match f {
                BookFn::Formula(f) => format!("{stream}.{}", f.row().name),
                BookFn::Imbalance(levels) => format!("{stream}.imbalance({levels})"),
                BookFn::Ofi => format!("{stream}.ofi(1)"),
            }
        }
        Operator::Formula(f, _) => {
            let (row, of) = (f.row(), op.operands());
            let of: Vec<&str> = of.iter().map(|&x| operand(x).as_str()).collect();
            match (of.as_slice(), row.sign) {
                ([x], _) => format!("{x}.{}", row.name),
                ([x, y], Some(sign)) => format!("({x} {sign} {y})"),
                _ => format!("{}({})", row.name, of.join(", ")),
            }
        }
        Operator::Lag(f, 1, x) if f.row().reads_newest => {
            format!("{}.{}", operand(*x), f.row().name)
        }
        Operator::Lag(f, n, x) => format!("{}.{}({n})", operand(*x), f.row().name),
        Operator::Rolling(stat, _, [x, y]) if stat.arity() == 2 => {
            format!("{}.{}({})", operand(*x), statistic(*stat), operand(*y))
        }
        Operator::Rolling(stat, _, [x, _]) => format!("{}.{}", operand(*x), statistic(*stat)),
        Operator::Ewm { f, of: [x, y], .. } if f.arity() == 2 => {
            format!("{}.ewm.{}({})", operand(*x), f.row().name, operand(*y))
        }
        Operator::Ewm { f, of: [x, _], .. } => format!("{}.ewm.{}", operand(*x), f.row().name),
        Operator::Scan {
            f, parameters, x, ..
        } => {
            let (row, of) = (f.row(), operand(*x));
            let given = row.parameters.iter().zip(parameters);
            let given: Vec<String> = given
                .map(|(parameter, x)| format!("{}={x}", parameter.name))
                .collect();
            match row.family {
                ScanFamily::Named => format!("{of}.{}({})", row.name, given.join(", ")),
                family => format!("{of}.{}.{}", family.word().unwrap_or(""), row.name),
            }
        }
        Operator::Age(x) => format!("{}.age", operand(*x)),
        Operator::MaxAge(ns, x) => format!("{}.max_age({})", operand(*x), duration(*ns)),
        Operator::Time(f) => match f.calendar() {
            Some(calendar) => format!("session({calendar}).{}", f.name()),
            None => f.name().to_string(),
        },
        Operator::At(stream, x) => format!("{}.at({stream})", operand(*x)),
        Operator::Cross(cross, x) => {
            let over = cross
                .universe
                .as_ref()
                .map_or(String::new(), |name| format!(", {name}"));
            format!("cross({}{over}).{}", operand(*x), cross.f.row().name)
        }
    };
    if text.chars().count() > 120 {
        format!("{}…", text.chars().take(119).collect::<String>())
    } else {
        text
    }
}

fn warm_up(op: &Operator, home: Option<&Stream>, of: &[&WarmUp]) -> WarmUp {
    let operands = of.iter().fold(WarmUp::default(), |all, one| all.and(one));
    match (op, home) {
        (Operator::Field(stream, _), _) => WarmUp::at(stream, 1),
        (Operator::Book(stream, f), _) => WarmUp::at(stream, if *f == BookFn::Ofi { 2 } else { 1 }),
        (Operator::Lag(_, n, _), Some(home)) => operands.more(home, *n, 0),
        (Operator::Rolling(_, Window::Count(n), _), Some(home)) => operands.more(home, n - 1, 0),
        (Operator::Rolling(_, Window::Time { ns, .. }, _), _) => WarmUp {
            ns: operands.ns + ns,
            ..operands
        },
        (Operator::Ewm { min_periods, .. } | Operator::Scan { min_periods, .. }, Some(home)) => {
            operands.more(home, min_periods - 1, 0)
        }
        _ => operands,
    }
}

/// What a scan looks back on.
fn reach(f: Scan, first: f64) -> String {
    match f.row().family {
        ScanFamily::OverTime => format!("{} (half-life)", spell(first as i64)),
        ScanFamily::Expanding | ScanFamily::Named => "all so far".into(),
    }
}

/// Bytes of state by node: at the node that an op was made for.
fn state_bytes(plan: &Plan) -> Vec<usize> {
    let mut bytes = vec![0; plan.graph.nodes.len()];
    for program in &plan.programs {
        for (op, &node) in program.code.ops.iter().zip(&program.nodes) {
            bytes[node] += op.bytes();
        }
    }
    bytes
}

/// For each node whose state another node's op keeps: that node.
fn rides_with(plan: &Plan) -> Vec<Option<NodeId>> {
    let mut rides = vec![None; plan.graph.nodes.len()];
    for program in &plan.programs {
        for (op, &owner) in program.code.ops.iter().zip(&program.nodes) {
            if let Op::Windows { reads, .. } = op {
                for read in reads.iter().filter(|read| read.node != owner) {
                    rides[read.node].get_or_insert(owner);
                }
            }
        }
    }
    rides
}

/// The first features in column order that each node serves, at most [`USERS_SHOWN`], and how many there are.
fn users(graph: &Graph) -> (Vec<Vec<&str>>, Vec<usize>) {
    let mut shown: Vec<Vec<&str>> = vec![Vec::new(); graph.nodes.len()];
    let mut counts = vec![0; graph.nodes.len()];
    let mut seen_by: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (feature, (name, root)) in graph.features.iter().enumerate() {
        let mut stack = vec![*root];
        while let Some(id) = stack.pop() {
            if seen_by[id].replace(feature) != Some(feature) {
                counts[id] += 1;
                if shown[id].len() < USERS_SHOWN {
                    shown[id].push(name);
                }
                stack.extend(graph.nodes[id].operands());
            }
        }
    }
    (shown, counts)
}

/// The plan as JSON: totals, and one entry a node; a constant that is no feature stands only in the `operator` of its
/// users. `operands` are the numbers of the nodes that a node reads, in order; `operator` is its last step, with `#3` for
/// node 3. `bytes` are those of [`Plan::bytes`]: at most, an instrument, without its
/// order book; a node's are those of its own steps. `shared_by` names the first features that a node serves, `users` counts all.
pub fn explain(plan: &Plan) -> Result<Value, GraphError> {
    let graph = &plan.graph;
    let homes = homes(graph)?;
    let mut warm: Vec<WarmUp> = Vec::with_capacity(graph.nodes.len());
    let mut paths: Vec<String> = Vec::with_capacity(graph.nodes.len());
    let mut short: Vec<String> = Vec::with_capacity(graph.nodes.len());
    for (id, op) in graph.nodes.iter().enumerate() {
        let home = match &homes[id] {
            Home::At(stream) => Some(stream),
            Home::Anywhere => None,
        };
        paths.push(path(op, &paths));
        short.push(match op {
            Operator::Const(_) => paths[id].clone(),
            _ => format!("#{id}"),
        });
        let of: Vec<WarmUp> = op.operands().iter().map(|&x| warm[x].clone()).collect();
        warm.push(warm_up(op, home, &of.iter().collect::<Vec<_>>()));
    }
    let (bytes, rides, (shown, counts)) = (state_bytes(plan), rides_with(plan), users(graph));
    let mut named: Vec<Vec<&str>> = vec![Vec::new(); graph.nodes.len()];
    for (name, root) in &graph.features {
        named[*root].push(name);
    }
    let listed =
        |id: NodeId| !matches!(graph.nodes[id], Operator::Const(_)) || !named[id].is_empty();
    let nodes: Vec<Value> = graph
        .nodes
        .iter()
        .enumerate()
        .filter(|&(id, _)| listed(id))
        .map(|(id, op)| {
            let domain = match &homes[id] {
                Home::At(stream) => stream.to_string(),
                Home::Anywhere => "any".into(),
            };
            let (window, cap) = match op {
                Operator::Rolling(_, Window::Count(n), _) => (Some(n.to_string()), None),
                Operator::Rolling(_, Window::Time { ns, cap }, _) => (Some(spell(*ns)), Some(*cap)),
                Operator::Lag(_, n, _) => (Some(n.to_string()), None),
                Operator::Ewm { alpha, .. } => (Some(format!("{} (settles)", Ewm::settled_after(*alpha))), None),
                Operator::Scan { f, parameters, .. } => (Some(reach(*f, parameters[0])), None),
                _ => (None, None),
            };
            let mut operands = op.operands();
            operands.retain(|&x| listed(x));
            json!({
                "node": id, "expression": paths[id], "operator": path(op, &short), "operands": operands, "domain": domain, "window": window, "cap": cap,
                "warm_up": warm[id].text(), "warm_up_ns": warm[id].paced_ns(), "bytes": bytes[id],
                "state_shared_with": rides[id], "composite": graph.origins.get(id).and_then(|origin| origin.composite), "feature": named[id], "shared_by": shown[id], "users": counts[id],
            })
        })
        .collect();
    let longest = graph.features.iter().max_by_key(|(_, id)| {
        (
            warm[*id].paced_ns(),
            warm[*id].events.values().max().copied().unwrap_or(0),
        )
    });
    let inputs: Vec<String> = plan.inputs().map(Stream::to_string).collect();
    Ok(json!({
        "name": graph.name, "digest": plan.digest, "on": graph.on.to_string(), "features": graph.features.len(),
        "inputs": inputs, "bytes": plan.bytes(),
        "warm_up": longest.map(|(_, id)| warm[*id].text()), "warm_up_feature": longest.map(|(name, _)| name),
        "nodes": nodes,
    }))
}
