//! From a graph to its plan: homes of the nodes, a draft for each program, registers in the order in which they come.

use crate::bar_spec::Rule;
use crate::graph::Graph;
use crate::graph_error::{GraphError, refuse};
use crate::operator::{BookFn, NodeId, Operator, Window};
use crate::plan::{Input, Op, Plan, Reg, Section};
use crate::stream::{Field, Scope, Stream};
use signal_runtime::{Content, Formula, OPERANDS_MAX, WindowStat};
use std::collections::HashMap;

mod draft;
mod homes;
mod order;

use draft::Draft;
use homes::mixes;
pub(crate) use homes::{Home, homes};
use order::{Levels, circles, evaluation_order};

pub(crate) struct Compiler<'a> {
    graph: &'a Graph,
    homes: Vec<Home>,
    /// Whether a node mixes values of several streams.
    mixes: Vec<bool>,
    /// The highest moments that are asked for of a series, over windows of time or not.
    moments: HashMap<(NodeId, bool), Content>,
    /// The streams at whose events something is evaluated, each once; the graph's own is among them.
    streams: Vec<Stream>,
    on: usize,
    levels: Levels,
    /// Number of each stream.
    numbers: HashMap<Stream, usize>,
    /// The program of each stream's levels.
    places: HashMap<(usize, usize), usize>,
    drafts: Vec<Draft>,
    sections: Vec<Section>,
}

impl Plan {
    /// Compiles a graph.
    pub fn new(graph: Graph) -> Result<Self, GraphError> {
        let compiled = Compiler::new(&graph).and_then(Compiler::compile);
        compiled.map_err(|error| GraphError {
            // In the numbering of the JSON given, where the graph is from one.
            node: error
                .node
                .map(|id| graph.origins.get(id).map_or(id, |origin| origin.node)),
            ..error
        })
    }
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Result<Self, GraphError> {
        let own = Stream {
            scope: Scope::Own,
            source: graph.on,
        };
        let homes = homes(graph)?;
        let at = homes.iter().filter_map(|home| match home {
            Home::At(stream) => Some(stream.clone()),
            Home::Anywhere => None,
        });
        let mut streams: Vec<Stream> = at.chain([own.clone()]).collect();
        streams.sort_by(|a, b| (a.source, &a.scope).cmp(&(b.source, &b.scope)));
        streams.dedup();
        let numbers: HashMap<Stream, usize> = streams.iter().cloned().zip(0..).collect();
        Ok(Self {
            graph,
            mixes: mixes(graph, &homes),
            homes,
            moments: moments(graph),
            on: numbers.get(&own).copied().unwrap_or(0),
            streams,
            levels: Levels::default(),
            numbers,
            places: HashMap::new(),
            drafts: Vec::new(),
            sections: Vec::new(),
        })
    }

    pub(crate) fn compile(mut self) -> Result<Plan, GraphError> {
        let crosses = self
            .graph
            .nodes
            .iter()
            .any(|op| matches!(op, Operator::Cross(..)));
        let mut alone = vec![None; self.streams.len()];
        if crosses {
            alone[self.on] = Some(self.on);
            self.levels = Levels::new(self.graph, &self.homes, &self.streams, &alone);
        }
        let mut columns = self.draft_all()?;
        // Where two streams sample each other, each is cut into programs that do not.
        let mut circles = circles(self.streams.len(), &self.drafts);
        if circles.iter().any(Option::is_some) {
            self.refuse_divided(&circles)?;
            circles[self.on] = circles[self.on].or(alone[self.on]);
            self.levels = Levels::new(self.graph, &self.homes, &self.streams, &circles);
            columns = self.draft_all()?;
        }
        let on = self.place(self.on, self.top());
        let ops: Vec<Vec<usize>> = self.drafts.iter_mut().map(Draft::schedule).collect();
        let order = evaluation_order(&self.drafts);
        let mut numbers = vec![0; order.len()];
        for (number, &draft) in order.iter().enumerate() {
            numbers[draft] = number;
        }
        for (input, _) in self
            .drafts
            .iter_mut()
            .flat_map(|draft| &mut draft.inputs.all)
        {
            if let Input::Window { program, op, .. } = input {
                *op = ops[*program][*op];
            }
            if let Some(program) = input.program_mut() {
                *program = numbers[*program];
            }
        }
        for section in &mut self.sections {
            section.program = numbers[section.program];
        }
        let mut drafts: Vec<Option<Draft>> = self.drafts.into_iter().map(Some).collect();
        let ordered = order
            .iter()
            .filter_map(|&draft| Some((draft, drafts[draft].take()?)));
        let programs = ordered
            .map(|(i, draft)| {
                let stream = self.streams[draft.stream].clone();
                let (program, new) = draft.finish(stream);
                if i == on {
                    columns.iter_mut().for_each(|reg| *reg = new[*reg]);
                }
                program
            })
            .collect();
        Ok(Plan {
            graph: self.graph.clone(),
            digest: self.graph.digest(),
            programs,
            on: numbers[on],
            columns,
            sections: self.sections,
        })
    }

    /// One trade may end several divided bars. A stream that samples each of them, and is itself sampled by them at their
    /// ends, would have no order of evaluation.
    fn refuse_divided(&self, circles: &[Option<usize>]) -> Result<(), GraphError> {
        let in_circle = self.streams.iter().zip(circles);
        let divided = |stream: &&Stream| {
            let filled = stream.source.filled();
            filled.is_some_and(|spec| spec.rule == Rule::Divided)
        };
        let mut found = in_circle.filter(|(_, circle)| circle.is_some());
        match found.find(|(stream, _)| divided(stream)) {
            None => Ok(()),
            Some((stream, _)) => refuse(
                "MIXED_BARS",
                None,
                format!(
                    "{stream} is read at another stream's events, and reads that stream at its own; one trade may end several \
                     of its bars, so neither would be first: use split=\"whole\", or read one at the other only"
                ),
            ),
        }
    }

    /// Writes every program; gives the features' registers in the one that makes the vector.
    fn draft_all(&mut self) -> Result<Vec<Reg>, GraphError> {
        self.drafts.clear();
        self.places.clear();
        self.sections.clear();
        for stream in 0..self.streams.len() {
            self.place(stream, 0);
        }
        let on = self.place(self.on, self.top());
        let features = self.graph.features.iter();
        features.map(|&(_, node)| self.evaluate(node, on)).collect()
    }

    /// Level at which every feature is known at the graph's own events.
    fn top(&self) -> usize {
        let features = self.graph.features.iter();
        features
            .map(|&(_, node)| self.levels.of(node, self.on))
            .max()
            .unwrap_or(0)
    }

    /// The program of a stream that does the work of a level.
    fn place(&mut self, stream: usize, level: usize) -> usize {
        *self.places.entry((stream, level)).or_insert_with(|| {
            self.drafts.push(Draft::new(stream, level));
            self.drafts.len() - 1
        })
    }

    fn stream(&self, stream: &Stream) -> usize {
        self.numbers.get(stream).copied().unwrap_or(self.on)
    }

    fn home(&self, node: NodeId, otherwise: usize) -> usize {
        match &self.homes[node] {
            Home::Anywhere => otherwise,
            Home::At(stream) => self.stream(stream),
        }
    }

    /// As `value`, operands first and without recursion: a graph may be as deep as it is large.
    fn evaluate(&mut self, node: NodeId, at: usize) -> Result<Reg, GraphError> {
        let mut stack = vec![(node, at)];
        while let Some(&(node, at)) = stack.last() {
            let needed = self.needs(node, at);
            let missing = |&(x, at): &(NodeId, usize)| !self.drafts[at].known.contains_key(&x);
            match needed.into_iter().find(missing) {
                Some(next) => stack.push(next),
                None => {
                    self.value(node, at)?;
                    stack.pop();
                }
            }
        }
        self.value(node, at)
    }

    /// What `value` asks for, in its order: each node with the program at whose events it is read.
    fn needs(&mut self, node: NodeId, at: usize) -> Vec<(NodeId, usize)> {
        if let Some(earlier) = self.earlier(node, at) {
            return vec![(node, earlier)];
        }
        let here = self.drafts[at].stream;
        let home = self.home(node, here);
        let source = if home == here {
            at
        } else {
            self.place(home, self.levels.of(node, home))
        };
        let (of, at) = match &self.graph.nodes[node] {
            op if op.is_elementwise() => (op.operands(), at),
            Operator::Age(_) | Operator::Time(_) => return Vec::new(),
            op @ Operator::MaxAge(..) => (op.operands(), at),
            op @ Operator::Rolling(..) => (op.operands(), source),
            _ if home != here => (vec![node], source),
            op @ Operator::Cross(..) => (op.operands(), self.before(node, here)),
            op => (op.operands(), at),
        };
        of.into_iter().map(|x| (x, at)).collect()
    }

    /// The program of the same stream that knows `node` before program `at` runs, if one does. Numbers of the event
    /// itself are loaded anywhere.
    fn earlier(&mut self, node: NodeId, at: usize) -> Option<usize> {
        let (here, level) = (
            self.drafts[at].stream,
            self.levels.of(node, self.drafts[at].stream),
        );
        let loaded = match self.graph.nodes[node] {
            Operator::Const(_) | Operator::Time(_) => true,
            Operator::Field(..) => self.home(node, here) == here,
            _ => false,
        };
        (level < self.drafts[at].level && !loaded).then(|| self.place(here, level))
    }

    /// The program of a stream that knows the operand of a value across instruments.
    fn before(&mut self, node: NodeId, here: usize) -> usize {
        let level = self.levels.of(node, here);
        self.place(here, level.saturating_sub(1))
    }

    /// The newest value of `node` at another program, known in program `at`.
    fn last(&mut self, node: NodeId, source: usize, at: usize) -> Result<Reg, GraphError> {
        let reg = self.value(node, source)?;
        let export = self.drafts[source].export(reg);
        Ok(self.drafts[at].input(Input::Last {
            program: source,
            export,
        }))
    }

    /// The register that holds `node` at the events of program `at`. What it `needs` is known.
    fn value(&mut self, node: NodeId, at: usize) -> Result<Reg, GraphError> {
        if let Some(&reg) = self.drafts[at].known.get(&node) {
            return Ok(reg);
        }
        let here = self.drafts[at].stream;
        let home = self.home(node, here);
        let op = self.graph.nodes[node].clone();
        let loaded = matches!(op, Operator::Const(_) | Operator::Time(_))
            || matches!(op, Operator::Field(..) if home == here);
        let level = self.levels.of(node, here);
        if level < self.drafts[at].level && !loaded {
            let earlier = self.place(here, level);
            let reg = self.last(node, earlier, at)?;
            self.drafts[at].known.insert(node, reg);
            return Ok(reg);
        }
        let reg = match op {
            Operator::Const(x) => self.drafts[at].constant(x),
            Operator::Time(f) => self.drafts[at].input(Input::Time(f)),
            Operator::Formula(f, of) => {
                let mut regs = [0; OPERANDS_MAX];
                for (reg, x) in regs.iter_mut().zip(of) {
                    *reg = self.value(x, at)?;
                }
                self.drafts[at].emit(node, |out| Op::Formula { f, of: regs, out })
            }
            Operator::Age(x) => {
                let age = self.age(node, x, at)?;
                let second = self.drafts[at].constant(1e9);
                self.drafts[at].emit(node, |out| Op::Formula {
                    f: Formula::Div,
                    of: std::array::from_fn(|k| if k == 1 { second } else { age }),
                    out,
                })
            }
            Operator::MaxAge(ns, x) if home != here => {
                let age = self.age(node, x, at)?;
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Fresh { x, age, ns, out })
            }
            Operator::MaxAge(_, x) => self.value(x, at)?,
            Operator::Rolling(stat, window, of) if home != here => {
                self.outside(node, home, at, stat, window, of)?
            }
            _ if home != here => {
                let source = self.place(home, self.levels.of(node, home));
                self.last(node, source, at)?
            }
            Operator::Cross(cross, x) => {
                let program = self.before(node, here);
                let reg = self.value(x, program)?;
                let export = self.drafts[program].export(reg);
                self.sections.push(Section {
                    program,
                    export,
                    cross,
                    node,
                });
                let section = self.sections.len() - 1;
                self.drafts[at].input(Input::Section { program, section })
            }
            Operator::At(_, x) => self.value(x, at)?,
            Operator::Field(_, field) => self.drafts[at].input(Input::Field(field)),
            Operator::Book(_, BookFn::Formula(f)) => {
                let (row, best) = (f.row(), |name: &&str| best_level(name));
                let fields: Vec<Field> = row.operands.iter().filter_map(best).collect();
                let regs = self.inputs(fields, at);
                let of = std::array::from_fn(|k| regs[if k < regs.len() { k } else { 0 }]);
                self.drafts[at].emit(node, |out| Op::Formula { f, of, out })
            }
            Operator::Book(_, BookFn::Imbalance(levels)) => {
                let bids = (1..=levels).map(Field::BidQty);
                let of = self.inputs(bids.chain((1..=levels).map(Field::AskQty)), at);
                self.drafts[at].emit(node, |out| Op::Imbalance { of, out })
            }
            Operator::Book(_, BookFn::Ofi) => {
                let best = [
                    Field::BidPrice(1),
                    Field::BidQty(1),
                    Field::AskPrice(1),
                    Field::AskQty(1),
                ];
                let of = best.map(|field| self.drafts[at].input(Input::Field(field)));
                self.drafts[at].emit(node, |out| Op::Ofi { of, out })
            }
            Operator::Lag(f, n, x) => {
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Lag { f, n, x, out })
            }
            Operator::Ewm {
                f,
                alpha,
                min_periods,
                of: [x, y],
            } => {
                let x = self.value(x, at)?;
                let y = self.second(f.arity(), y, at)?;
                self.drafts[at].emit(node, |out| Op::Ewm {
                    f,
                    alpha,
                    min_periods,
                    x,
                    y,
                    out,
                })
            }
            Operator::Scan {
                f,
                parameters,
                min_periods,
                x,
            } => {
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Scan {
                    f,
                    parameters,
                    min_periods,
                    x,
                    out,
                })
            }
            Operator::Rolling(stat, window, [x, y]) => {
                let content = self.content(stat, window, x);
                let x = self.value(x, at)?;
                let y = self.second(stat.arity(), y, at)?;
                let (op, read) = self.drafts[at].window(node, content, stat, window, x, y);
                self.drafts[at].read_inside(op, read)
            }
        };
        self.drafts[at].known.insert(node, reg);
        Ok(reg)
    }

    /// The register of a second series, of what has so many.
    fn second(&mut self, series: usize, y: NodeId, at: usize) -> Result<Option<Reg>, GraphError> {
        match series {
            1 => Ok(None),
            _ => self.value(y, at).map(Some),
        }
    }

    /// Registers of a stream's own numbers, in program `at`.
    fn inputs(&mut self, fields: impl IntoIterator<Item = Field>, at: usize) -> Vec<Reg> {
        let fields = fields.into_iter();
        fields
            .map(|field| self.drafts[at].input(Input::Field(field)))
            .collect()
    }

    /// A window of another program, evaluated at the moments of this one.
    fn outside(
        &mut self,
        node: NodeId,
        home: usize,
        at: usize,
        stat: WindowStat,
        window: Window,
        [x, y]: [NodeId; 2],
    ) -> Result<Reg, GraphError> {
        let content = self.content(stat, window, x);
        let source = self.place(home, self.levels.of(node, home));
        let x = self.value(x, source)?;
        let y = self.second(stat.arity(), y, source)?;
        let (op, read) = self.drafts[source].window(node, content, stat, window, x, y);
        Ok(self.drafts[at].input(Input::Window {
            program: source,
            op,
            read,
        }))
    }

    /// What the state of a window keeps: lower moments ride in a tree of higher ones where the graph asks for those of the same
    /// series too; they have the same bits.
    fn content(&self, stat: WindowStat, window: Window, x: NodeId) -> Content {
        let content = stat.content();
        if !content.is_moments() {
            return content;
        }
        let timed = matches!(window, Window::Time { .. });
        self.moments.get(&(x, timed)).copied().unwrap_or(content)
    }

    /// Nanoseconds since the newest event of the stream of `x`, in program `at`.
    fn age(&mut self, node: NodeId, x: NodeId, at: usize) -> Result<Reg, GraphError> {
        let home = self.single_home(node, x)?;
        let program = if home == self.drafts[at].stream {
            at
        } else {
            self.place(home, 0)
        };
        Ok(self.drafts[at].input(Input::Age { program }))
    }

    /// The one stream at whose events `x` is evaluated, for its age.
    fn single_home(&self, node: NodeId, x: NodeId) -> Result<usize, GraphError> {
        match &self.homes[x] {
            Home::At(stream) if !self.mixes[x] => Ok(self.stream(stream)),
            _ => refuse(
                "MIXED_AGE",
                Some(node),
                "the operand mixes streams and has no age of its own: take the age of each part"
                    .into(),
            ),
        }
    }
}

/// The field of the best level that a formula of a book has as an operand.
fn best_level(operand: &str) -> Option<Field> {
    match operand {
        "bid" => Some(Field::BidPrice(1)),
        "bid_qty" => Some(Field::BidQty(1)),
        "ask" => Some(Field::AskPrice(1)),
        "ask_qty" => Some(Field::AskQty(1)),
        _ => None,
    }
}

/// The highest moments that are asked for of each series, over windows of time or not.
fn moments(graph: &Graph) -> HashMap<(NodeId, bool), Content> {
    let mut highest = HashMap::new();
    for op in &graph.nodes {
        if let Operator::Rolling(stat, window, [x, _]) = *op
            && stat.content().is_moments()
        {
            let timed = matches!(window, Window::Time { .. });
            let known = highest.entry((x, timed)).or_insert(stat.content());
            *known = stat.content().max(*known);
        }
    }
    highest
}

#[cfg(test)]
mod tests;
