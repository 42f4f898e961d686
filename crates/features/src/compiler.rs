//! From a graph to its plan: homes of the nodes, one draft a stream, registers in the order in which they come.

use crate::graph::{Graph, GraphError, refuse};
use crate::operator::{BookFn, NodeId, Operator, Stat, Window};
use crate::plan::{Content, Input, Op, Plan, Program, Read, Reg, WindowStat};
use crate::stream::{Field, Scope, Stream};
use signal_kernels::elementwise::Binary;
use std::collections::{HashMap, HashSet};

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
            Operator::Age(_) => Home::At(on.clone()),
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

/// A program while it is being written: registers are numbered as they come.
struct Draft {
    stream: Stream,
    inputs: Listed<Input>,
    /// By their bits.
    consts: Listed<u64>,
    ops: Vec<(Op, NodeId)>,
    registers: usize,
    exports: Vec<Reg>,
    /// Place in `exports` of each register there.
    exported: HashMap<Reg, usize>,
    /// Registers by node; windows read only from outside are absent.
    known: HashMap<NodeId, Reg>,
    /// Place of each window node: (op, read).
    windows: HashMap<NodeId, (usize, usize)>,
    /// The op that keeps the state of windows over the same series: timed, content, x, y.
    states: HashMap<(bool, Content, Reg, Option<Reg>), usize>,
}

/// Things that each have a register, in the order in which they came.
struct Listed<T> {
    all: Vec<(T, Reg)>,
    known: HashMap<T, Reg>,
}

impl<T: Clone + Eq + std::hash::Hash> Listed<T> {
    fn new() -> Self {
        Self {
            all: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// The register of `one`; `registers` are counted on where it is new.
    fn register(&mut self, one: T, registers: &mut usize) -> Reg {
        let (all, known) = (&mut self.all, &mut self.known);
        *known.entry(one).or_insert_with_key(|one| {
            all.push((one.clone(), *registers));
            *registers += 1;
            *registers - 1
        })
    }
}

pub(crate) struct Compiler<'a> {
    graph: &'a Graph,
    homes: Vec<Home>,
    /// Whether a node mixes values of several streams.
    mixes: Vec<bool>,
    /// Series whose skewness is asked for, and whether over windows of time.
    cubes: HashSet<(NodeId, bool)>,
    on: Stream,
    drafts: Vec<Draft>,
    /// Number of each stream's draft.
    numbers: HashMap<Stream, usize>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Result<Self, GraphError> {
        let on = Stream {
            scope: Scope::Own,
            source: graph.on,
        };
        let homes = homes(graph)?;
        Ok(Self {
            graph,
            mixes: mixes(graph, &homes),
            homes,
            cubes: cubes(graph),
            on,
            drafts: Vec::new(),
            numbers: HashMap::new(),
        })
    }

    pub(crate) fn compile(mut self) -> Result<Plan, GraphError> {
        // The streams in order of evaluation, so that program numbers are that order too.
        let mut streams: Vec<Stream> = vec![self.on.clone()];
        for home in &self.homes {
            if let Home::At(stream) = home {
                streams.push(stream.clone());
            }
        }
        streams.sort_by(|a, b| (a.source, &a.scope).cmp(&(b.source, &b.scope)));
        streams.dedup();
        self.drafts = streams.into_iter().map(Draft::new).collect();
        let streams = self.drafts.iter().map(|draft| draft.stream.clone());
        self.numbers = streams.enumerate().map(|(i, s)| (s, i)).collect();
        let on = self.draft(&self.on.clone());
        let columns = self
            .graph
            .features
            .iter()
            .map(|&(_, node)| self.evaluate(node, on))
            .collect::<Result<Vec<_>, _>>()?;
        let digest = self.graph.digest();
        let mut columns = columns;
        let places: Vec<Vec<usize>> = self.drafts.iter_mut().map(Draft::schedule).collect();
        for (input, _) in self
            .drafts
            .iter_mut()
            .flat_map(|draft| &mut draft.inputs.all)
        {
            if let Input::Window { program, op, .. } = input {
                *op = places[*program][*op];
            }
        }
        let programs = self
            .drafts
            .into_iter()
            .enumerate()
            .map(|(i, draft)| {
                let (program, new) = draft.finish();
                if i == on {
                    columns.iter_mut().for_each(|reg| *reg = new[*reg]);
                }
                program
            })
            .collect();
        Ok(Plan {
            graph: self.graph.clone(),
            digest,
            programs,
            on,
            columns,
        })
    }

    fn draft(&self, stream: &Stream) -> usize {
        self.numbers.get(stream).copied().unwrap_or(0)
    }

    fn home(&self, node: NodeId, otherwise: usize) -> usize {
        match &self.homes[node] {
            Home::Anywhere => otherwise,
            Home::At(stream) => self.draft(stream),
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
    fn needs(&self, node: NodeId, at: usize) -> Vec<(NodeId, usize)> {
        let home = self.home(node, at);
        let (of, at) = match &self.graph.nodes[node] {
            op if op.is_elementwise() => (op.operands(), at),
            Operator::Age(_) => return Vec::new(),
            op @ Operator::MaxAge(..) => (op.operands(), at),
            op @ (Operator::Rolling(..) | Operator::RollingPair(..)) => (op.operands(), home),
            _ if home != at => (vec![node], home),
            op => (op.operands(), at),
        };
        of.into_iter().map(|x| (x, at)).collect()
    }

    /// The register that holds `node` at the events of program `at`. What it `needs` is known.
    fn value(&mut self, node: NodeId, at: usize) -> Result<Reg, GraphError> {
        if let Some(&reg) = self.drafts[at].known.get(&node) {
            return Ok(reg);
        }
        let home = self.home(node, at);
        let op = self.graph.nodes[node].clone();
        let reg = match op {
            Operator::Const(x) => self.drafts[at].constant(x),
            Operator::Unary(f, x) => {
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Unary { f, x, out })
            }
            Operator::Binary(f, x, y) => {
                let (x, y) = (self.value(x, at)?, self.value(y, at)?);
                self.drafts[at].emit(node, |out| Op::Binary { f, x, y, out })
            }
            Operator::Where([c, x, y]) => {
                let of = [self.value(c, at)?, self.value(x, at)?, self.value(y, at)?];
                self.drafts[at].emit(node, |out| Op::Where { of, out })
            }
            Operator::Age(x) => {
                let program = self.single_home(node, x)?;
                let age = self.drafts[at].input(Input::Age { program });
                let second = self.drafts[at].constant(1e9);
                self.drafts[at].emit(node, |out| Op::Binary {
                    f: Binary::Div,
                    x: age,
                    y: second,
                    out,
                })
            }
            Operator::MaxAge(ns, x) if home != at => {
                let program = self.single_home(node, x)?;
                let x = self.value(x, at)?;
                let age = self.drafts[at].input(Input::Age { program });
                self.drafts[at].emit(node, |out| Op::Fresh { x, age, ns, out })
            }
            Operator::MaxAge(_, x) => self.value(x, at)?,
            Operator::Rolling(stat, window, x) if home != at => self.outside(
                node,
                home,
                at,
                WindowStat::One(stat),
                window,
                [Some(x), None],
            )?,
            Operator::RollingPair(stat, window, x, y) if home != at => self.outside(
                node,
                home,
                at,
                WindowStat::Two(stat),
                window,
                [Some(x), Some(y)],
            )?,
            _ if home != at => {
                let reg = self.value(node, home)?;
                let export = self.drafts[home].export(reg);
                self.drafts[at].input(Input::Last {
                    program: home,
                    export,
                })
            }
            Operator::At(_, x) => self.value(x, at)?,
            Operator::Field(_, field) => self.drafts[at].input(Input::Field(field)),
            Operator::Book(_, f) => {
                let levels = if let BookFn::Imbalance(levels) = f {
                    levels
                } else {
                    1
                };
                let fields: Vec<Field> = match f {
                    BookFn::Mid | BookFn::Spread => vec![Field::BidPrice(1), Field::AskPrice(1)],
                    BookFn::Microprice | BookFn::Ofi => {
                        vec![
                            Field::BidPrice(1),
                            Field::BidQty(1),
                            Field::AskPrice(1),
                            Field::AskQty(1),
                        ]
                    }
                    BookFn::Imbalance(_) => (1..=levels)
                        .map(Field::BidQty)
                        .chain((1..=levels).map(Field::AskQty))
                        .collect(),
                };
                let of = fields
                    .into_iter()
                    .map(|field| self.drafts[at].input(Input::Field(field)))
                    .collect();
                self.drafts[at].emit(node, |out| Op::Book { f, of, out })
            }
            Operator::Lag(f, n, x) => {
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Lag { f, n, x, out })
            }
            Operator::EwmMean {
                alpha,
                min_periods,
                x,
            } => {
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Ewm {
                    alpha,
                    min_periods,
                    x,
                    out,
                })
            }
            Operator::Rolling(stat, window, x) => {
                let (stat, content) = (
                    WindowStat::One(stat),
                    self.content(WindowStat::One(stat), window, Some(x)),
                );
                let x = self.value(x, at)?;
                let (op, read) = self.drafts[at].window(node, content, stat, window, x, None);
                self.drafts[at].read_inside(op, read)
            }
            Operator::RollingPair(stat, window, x, y) => {
                let (x, y) = (self.value(x, at)?, self.value(y, at)?);
                let stat = WindowStat::Two(stat);
                let (op, read) =
                    self.drafts[at].window(node, Content::Pairs, stat, window, x, Some(y));
                self.drafts[at].read_inside(op, read)
            }
        };
        self.drafts[at].known.insert(node, reg);
        Ok(reg)
    }

    /// A window of another program, evaluated at the moments of this one.
    fn outside(
        &mut self,
        node: NodeId,
        home: usize,
        at: usize,
        stat: WindowStat,
        window: Window,
        of: [Option<NodeId>; 2],
    ) -> Result<Reg, GraphError> {
        let [Some(x), y] = of else {
            return refuse("GRAPH_FORM", Some(node), "a window needs a series".into());
        };
        let x = self.value(x, home)?;
        let y = y.map(|y| self.value(y, home)).transpose()?;
        let content = self.content(stat, window, of[0]);
        let (op, read) = self.drafts[home].window(node, content, stat, window, x, y);
        Ok(self.drafts[at].input(Input::Window {
            program: home,
            op,
            read,
        }))
    }

    /// What the state of a window keeps: means and variances ride in a tree of cubes where the graph asks for the same
    /// series' skewness too; its first two moments have the same bits.
    fn content(&self, stat: WindowStat, window: Window, x: Option<NodeId>) -> Content {
        let timed = matches!(window, Window::Time { .. });
        match stat.content() {
            Content::Moments if x.is_some_and(|x| self.cubes.contains(&(x, timed))) => {
                Content::Cubes
            }
            content => content,
        }
    }

    /// The one program at whose events `x` is evaluated, for its age.
    fn single_home(&self, node: NodeId, x: NodeId) -> Result<usize, GraphError> {
        match &self.homes[x] {
            Home::At(stream) if !self.mixes[x] => Ok(self.draft(stream)),
            _ => refuse(
                "MIXED_AGE",
                Some(node),
                "the operand mixes streams and has no age of its own: take the age of each part"
                    .into(),
            ),
        }
    }
}

/// Whether each node's present value mixes values that come at the events of several streams.
fn mixes(graph: &Graph, homes: &[Home]) -> Vec<bool> {
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

fn cubes(graph: &Graph) -> HashSet<(NodeId, bool)> {
    let skews = graph.nodes.iter().filter_map(|op| match *op {
        Operator::Rolling(Stat::Skew, window, x) => {
            Some((x, matches!(window, Window::Time { .. })))
        }
        _ => None,
    });
    skews.collect()
}

impl Draft {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            inputs: Listed::new(),
            consts: Listed::new(),
            ops: Vec::new(),
            registers: 0,
            exports: Vec::new(),
            exported: HashMap::new(),
            known: HashMap::new(),
            windows: HashMap::new(),
            states: HashMap::new(),
        }
    }

    fn register(&mut self) -> Reg {
        self.registers += 1;
        self.registers - 1
    }

    fn input(&mut self, input: Input) -> Reg {
        self.inputs.register(input, &mut self.registers)
    }

    fn constant(&mut self, x: f64) -> Reg {
        self.consts.register(x.to_bits(), &mut self.registers)
    }

    fn emit(&mut self, node: NodeId, make: impl FnOnce(Reg) -> Op) -> Reg {
        let out = self.register();
        self.ops.push((make(out), node));
        out
    }

    fn export(&mut self, reg: Reg) -> usize {
        let exports = &mut self.exports;
        *self.exported.entry(reg).or_insert_with(|| {
            exports.push(reg);
            exports.len() - 1
        })
    }

    /// The place of a statistic: the op that keeps its state, shared with the other windows over the same series.
    fn window(
        &mut self,
        node: NodeId,
        content: Content,
        stat: WindowStat,
        window: Window,
        x: Reg,
        y: Option<Reg>,
    ) -> (usize, usize) {
        if let Some(&place) = self.windows.get(&node) {
            return place;
        }
        let wanted = (matches!(window, Window::Time { .. }), content, x, y);
        let reaches = match window {
            Window::Count(n) => n,
            Window::Time { cap, .. } => cap,
        };
        let ops = &mut self.ops;
        let op = *self.states.entry(wanted).or_insert_with(|| {
            let (timed, content, x, y) = wanted;
            let reads = Vec::new();
            let op = Op::Windows {
                timed,
                content,
                x,
                y,
                cap: 0,
                reads,
            };
            ops.push((op, node));
            ops.len() - 1
        });
        let mut read = 0;
        if let Op::Windows { cap, reads, .. } = &mut self.ops[op].0 {
            *cap = (*cap).max(reaches);
            reads.push(Read {
                window,
                stat,
                out: None,
                node,
            });
            read = reads.len() - 1;
        }
        self.windows.insert(node, (op, read));
        (op, read)
    }

    fn read_inside(&mut self, op: usize, read: usize) -> Reg {
        let fresh = self.registers;
        if let Op::Windows { reads, .. } = &mut self.ops[op].0 {
            if let Some(out) = reads[read].out {
                return out;
            }
            reads[read].out = Some(fresh);
        }
        self.registers += 1;
        fresh
    }

    /// Puts formulas as early as their operands allow, and between them all that remembers and can run: results are
    /// looked at together, before the next step that remembers one of them. Gives the new place of each op.
    fn schedule(&mut self) -> Vec<usize> {
        // Turns alternate: formulas, then what remembers. A formula runs in the turn of the formulas that it reads, and
        // after what remembers; the latter waits a turn where it reads a result of its own kind.
        let mut ready: Vec<usize> = vec![0; self.registers];
        let turns: Vec<(usize, bool)> = (self.ops.iter())
            .map(|(op, _)| {
                let turn = op.operands().into_iter().map(|reg| ready[reg]).max();
                let (turn, remembers) = (turn.unwrap_or(0), !op.is_formula());
                for reg in op.outputs() {
                    ready[reg] = turn + usize::from(remembers);
                }
                (turn, remembers)
            })
            .collect();
        let mut order: Vec<usize> = (0..turns.len()).collect();
        order.sort_by_key(|&i| turns[i]);
        let mut places = vec![0; turns.len()];
        for (place, &i) in order.iter().enumerate() {
            places[i] = place;
        }
        let mut ops: Vec<(usize, (Op, NodeId))> =
            places.iter().copied().zip(self.ops.drain(..)).collect();
        ops.sort_by_key(|&(place, _)| place);
        self.ops = ops.into_iter().map(|(_, op)| op).collect();
        places
    }

    /// Numbers the registers in order: inputs, constants, then outputs as ops come. Gives the renumbering too.
    fn finish(mut self) -> (Program, Vec<Reg>) {
        let mut new = vec![usize::MAX; self.registers];
        let mut next = 0;
        let mut assign = |reg: Reg, new: &mut Vec<Reg>| {
            new[reg] = next;
            next += 1;
        };
        (self.inputs.all.iter()).for_each(|(_, reg)| assign(*reg, &mut new));
        (self.consts.all.iter()).for_each(|(_, reg)| assign(*reg, &mut new));
        for (op, _) in &self.ops {
            op.outputs()
                .into_iter()
                .for_each(|reg| assign(reg, &mut new));
        }
        self.ops.iter_mut().for_each(|(op, _)| op.renumber(&new));
        let program = Program {
            stream: self.stream,
            inputs: self
                .inputs
                .all
                .into_iter()
                .map(|(input, _)| input)
                .collect(),
            consts: self
                .consts
                .all
                .into_iter()
                .map(|(x, _)| f64::from_bits(x))
                .collect(),
            nodes: self.ops.iter().map(|(_, node)| *node).collect(),
            ops: self.ops.into_iter().map(|(op, _)| op).collect(),
            registers: next,
            exports: self.exports.into_iter().map(|reg| new[reg]).collect(),
        };
        (program, new)
    }
}

#[cfg(test)]
mod tests;
