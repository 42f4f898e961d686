//! From a graph to its plan: homes of the nodes, a draft for each program, registers in the order in which they come.

use crate::graph::{Graph, GraphError, refuse};
use crate::operator::{BookFn, NodeId, Operator, Stat, Window};
use crate::order::{Levels, circles, evaluation_order};
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
pub(crate) struct Draft {
    /// Number of the stream, and which part of its work this program does.
    pub(crate) stream: usize,
    pub(crate) level: usize,
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
    /// The streams at whose events something is evaluated, each once; the graph's own is among them.
    streams: Vec<Stream>,
    on: usize,
    levels: Levels,
    /// Number of each stream.
    numbers: HashMap<Stream, usize>,
    /// The program of each stream's levels.
    places: HashMap<(usize, usize), usize>,
    drafts: Vec<Draft>,
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
            cubes: cubes(graph),
            on: numbers.get(&own).copied().unwrap_or(0),
            streams,
            levels: Levels::default(),
            numbers,
            places: HashMap::new(),
            drafts: Vec::new(),
        })
    }

    pub(crate) fn compile(mut self) -> Result<Plan, GraphError> {
        let mut columns = self.draft_all()?;
        // Where two streams sample each other, each is cut into programs that do not.
        let circles = circles(self.streams.len(), &self.drafts);
        if circles.iter().any(Option::is_some) {
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
        })
    }

    /// Writes every program; gives the features' registers in the one that makes the vector.
    fn draft_all(&mut self) -> Result<Vec<Reg>, GraphError> {
        self.drafts.clear();
        self.places.clear();
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
            Operator::Age(_) => return Vec::new(),
            op @ Operator::MaxAge(..) => (op.operands(), at),
            op @ (Operator::Rolling(..) | Operator::RollingPair(..)) => (op.operands(), source),
            _ if home != here => (vec![node], source),
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
            Operator::Const(_) => true,
            Operator::Field(..) => self.home(node, here) == here,
            _ => false,
        };
        (level < self.drafts[at].level && !loaded).then(|| self.place(here, level))
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
        let loaded =
            matches!(op, Operator::Const(_)) || matches!(op, Operator::Field(..) if home == here);
        let level = self.levels.of(node, here);
        if level < self.drafts[at].level && !loaded {
            let earlier = self.place(here, level);
            let reg = self.last(node, earlier, at)?;
            self.drafts[at].known.insert(node, reg);
            return Ok(reg);
        }
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
                let age = self.age(node, x, at)?;
                let second = self.drafts[at].constant(1e9);
                self.drafts[at].emit(node, |out| Op::Binary {
                    f: Binary::Div,
                    x: age,
                    y: second,
                    out,
                })
            }
            Operator::MaxAge(ns, x) if home != here => {
                let age = self.age(node, x, at)?;
                let x = self.value(x, at)?;
                self.drafts[at].emit(node, |out| Op::Fresh { x, age, ns, out })
            }
            Operator::MaxAge(_, x) => self.value(x, at)?,
            Operator::Rolling(stat, window, x) if home != here => self.outside(
                node,
                home,
                at,
                WindowStat::One(stat),
                window,
                [Some(x), None],
            )?,
            Operator::RollingPair(stat, window, x, y) if home != here => self.outside(
                node,
                home,
                at,
                WindowStat::Two(stat),
                window,
                [Some(x), Some(y)],
            )?,
            _ if home != here => {
                let source = self.place(home, self.levels.of(node, home));
                self.last(node, source, at)?
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
        let source = self.place(home, self.levels.of(node, home));
        let x = self.value(x, source)?;
        let y = y.map(|y| self.value(y, source)).transpose()?;
        let content = self.content(stat, window, of[0]);
        let (op, read) = self.drafts[source].window(node, content, stat, window, x, y);
        Ok(self.drafts[at].input(Input::Window {
            program: source,
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
    fn new(stream: usize, level: usize) -> Self {
        Self {
            stream,
            level,
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

    /// Programs that are read, by number.
    pub(crate) fn reads(&self) -> impl Iterator<Item = usize> {
        self.inputs
            .all
            .iter()
            .filter_map(|(input, _)| input.program())
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
    fn finish(mut self, stream: Stream) -> (Program, Vec<Reg>) {
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
            stream,
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
