//! From a graph to its plan: homes of the nodes, one draft a stream, registers in the order in which they come.

use crate::graph::{Graph, GraphError, refuse};
use crate::operator::{BookFn, NodeId, Operator, Stat, Window};
use crate::plan::{Content, Input, Op, Plan, Program, Read, Reg, WindowStat};
use crate::stream::{Field, Scope, Stream};
use signal_kernels::elementwise::Binary;
use std::collections::HashMap;

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
    inputs: Vec<(Input, Reg)>,
    consts: Vec<(f64, Reg)>,
    ops: Vec<(Op, NodeId)>,
    registers: usize,
    exports: Vec<Reg>,
    /// Registers by node; windows read only from outside are absent.
    known: HashMap<NodeId, Reg>,
    /// Place of each window node: (op, read).
    windows: HashMap<NodeId, (usize, usize)>,
}

pub(crate) struct Compiler<'a> {
    graph: &'a Graph,
    homes: Vec<Home>,
    on: Stream,
    drafts: Vec<Draft>,
}

impl<'a> Compiler<'a> {
    pub(crate) fn new(graph: &'a Graph) -> Result<Self, GraphError> {
        let on = Stream {
            scope: Scope::Own,
            source: graph.on,
        };
        Ok(Self {
            graph,
            homes: homes(graph)?,
            on,
            drafts: Vec::new(),
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
        let on = self.draft(&self.on.clone());
        let columns = self
            .graph
            .features
            .iter()
            .map(|&(_, node)| self.value(node, on))
            .collect::<Result<Vec<_>, _>>()?;
        let digest = self.graph.digest();
        let mut columns = columns;
        let places: Vec<Vec<usize>> = self.drafts.iter_mut().map(Draft::schedule).collect();
        for (input, _) in self.drafts.iter_mut().flat_map(|draft| &mut draft.inputs) {
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
        self.drafts
            .iter()
            .position(|draft| draft.stream == *stream)
            .unwrap_or(0)
    }

    fn home(&self, node: NodeId, otherwise: usize) -> usize {
        match &self.homes[node] {
            Home::Anywhere => otherwise,
            Home::At(stream) => self.draft(stream),
        }
    }

    /// The register that holds `node` at the events of program `at`.
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
        let cubes = |op: &Operator| match *op {
            Operator::Rolling(Stat::Skew, other, y) => {
                Some(y) == x && matches!(other, Window::Time { .. }) == timed
            }
            _ => false,
        };
        match stat.content() {
            Content::Moments if self.graph.nodes.iter().any(cubes) => Content::Cubes,
            content => content,
        }
    }

    /// The one program at whose events `x` is evaluated, for its age.
    fn single_home(&self, node: NodeId, x: NodeId) -> Result<usize, GraphError> {
        match &self.homes[x] {
            Home::At(stream) if !self.mixes(x) => Ok(self.draft(stream)),
            _ => refuse(
                "MIXED_AGE",
                Some(node),
                "the operand mixes streams and has no age of its own: take the age of each part"
                    .into(),
            ),
        }
    }

    fn mixes(&self, x: NodeId) -> bool {
        let op = &self.graph.nodes[x];
        op.is_elementwise() && {
            let home = &self.homes[x];
            op.operands().into_iter().any(|y| {
                (self.homes[y] != Home::Anywhere && self.homes[y] != *home) || self.mixes(y)
            })
        }
    }
}

impl Draft {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            inputs: Vec::new(),
            consts: Vec::new(),
            ops: Vec::new(),
            registers: 0,
            exports: Vec::new(),
            known: HashMap::new(),
            windows: HashMap::new(),
        }
    }

    fn register(&mut self) -> Reg {
        self.registers += 1;
        self.registers - 1
    }

    fn input(&mut self, input: Input) -> Reg {
        if let Some((_, reg)) = self.inputs.iter().find(|(known, _)| *known == input) {
            return *reg;
        }
        let reg = self.register();
        self.inputs.push((input, reg));
        reg
    }

    fn constant(&mut self, x: f64) -> Reg {
        if let Some((_, reg)) = self
            .consts
            .iter()
            .find(|(known, _)| known.to_bits() == x.to_bits())
        {
            return *reg;
        }
        let reg = self.register();
        self.consts.push((x, reg));
        reg
    }

    fn emit(&mut self, node: NodeId, make: impl FnOnce(Reg) -> Op) -> Reg {
        let out = self.register();
        self.ops.push((make(out), node));
        out
    }

    fn export(&mut self, reg: Reg) -> usize {
        match self.exports.iter().position(|&known| known == reg) {
            Some(export) => export,
            None => {
                self.exports.push(reg);
                self.exports.len() - 1
            }
        }
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
        let found = self.ops.iter().position(|(op, _)| match op {
            Op::Windows {
                timed,
                content,
                x,
                y,
                ..
            } => (*timed, *content, *x, *y) == wanted,
            _ => false,
        });
        let op = found.unwrap_or_else(|| {
            let (timed, content, x, y) = wanted;
            self.ops.push((
                Op::Windows {
                    timed,
                    content,
                    x,
                    y,
                    cap: 0,
                    reads: Vec::new(),
                },
                node,
            ));
            self.ops.len() - 1
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
        let mut waiting: Vec<(usize, (Op, NodeId))> = self.ops.drain(..).enumerate().collect();
        let mut places = vec![0; waiting.len()];
        let mut formulas = true;
        while !waiting.is_empty() {
            let mut unknown: Vec<bool> = vec![false; self.registers];
            let outputs = waiting.iter().flat_map(|(_, (op, _))| op.outputs());
            outputs.for_each(|reg| unknown[reg] = true);
            let before = waiting.len();
            let mut later = Vec::with_capacity(before);
            for (place, (op, node)) in waiting {
                let known = !op.operands().into_iter().any(|reg| unknown[reg]);
                if known && op.is_formula() == formulas {
                    places[place] = self.ops.len();
                    // The formulas that follow may use it at once; what remembers waits for the next look.
                    op.outputs()
                        .into_iter()
                        .for_each(|reg| unknown[reg] = !formulas);
                    self.ops.push((op, node));
                } else {
                    later.push((place, (op, node)));
                }
            }
            waiting = later;
            if !formulas || waiting.len() == before {
                formulas = !formulas;
            }
        }
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
        self.inputs
            .iter()
            .for_each(|(_, reg)| assign(*reg, &mut new));
        self.consts
            .iter()
            .for_each(|(_, reg)| assign(*reg, &mut new));
        for (op, _) in &self.ops {
            op.outputs()
                .into_iter()
                .for_each(|reg| assign(reg, &mut new));
        }
        self.ops.iter_mut().for_each(|(op, _)| op.renumber(&new));
        let program = Program {
            stream: self.stream,
            inputs: self.inputs.into_iter().map(|(input, _)| input).collect(),
            consts: self.consts.into_iter().map(|(x, _)| x).collect(),
            nodes: self.ops.iter().map(|(_, node)| *node).collect(),
            ops: self.ops.into_iter().map(|(op, _)| op).collect(),
            registers: next,
            exports: self.exports.into_iter().map(|reg| new[reg]).collect(),
        };
        (program, new)
    }
}
