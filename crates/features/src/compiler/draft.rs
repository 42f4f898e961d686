//! A program while it is being written: registers, windows and operations in the order in which they come.

use std::collections::HashMap;

use crate::operator::{NodeId, Window};
use crate::plan::{Input, Op, Program, Read, Reg};
use crate::stream::Stream;
use signal_runtime::{Content, WindowStat};

/// A program while it is being written: registers are numbered as they come.
pub(crate) struct Draft {
    /// Number of the stream, and which part of its work this program does.
    pub(crate) stream: usize,
    pub(crate) level: usize,
    pub(super) inputs: Listed<Input>,
    /// By their bits.
    pub(super) consts: Listed<u64>,
    pub(super) ops: Vec<(Op, NodeId)>,
    pub(super) registers: usize,
    pub(super) exports: Vec<Reg>,
    /// Place in `exports` of each register there.
    pub(super) exported: HashMap<Reg, usize>,
    /// Registers by node; windows read only from outside are absent.
    pub(super) known: HashMap<NodeId, Reg>,
    /// Place of each window node: (op, read).
    pub(super) windows: HashMap<NodeId, (usize, usize)>,
    /// The op that keeps the state of windows over the same series: timed, content, x, y.
    pub(super) states: HashMap<(bool, Content, Reg, Option<Reg>), usize>,
}

/// Things that each have a register, in the order in which they came.
pub(super) struct Listed<T> {
    pub(super) all: Vec<(T, Reg)>,
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

impl Draft {
    pub(super) fn new(stream: usize, level: usize) -> Self {
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

    pub(super) fn register(&mut self) -> Reg {
        self.registers += 1;
        self.registers - 1
    }

    pub(super) fn input(&mut self, input: Input) -> Reg {
        self.inputs.register(input, &mut self.registers)
    }

    pub(super) fn constant(&mut self, x: f64) -> Reg {
        self.consts.register(x.to_bits(), &mut self.registers)
    }

    pub(super) fn emit(&mut self, node: NodeId, make: impl FnOnce(Reg) -> Op) -> Reg {
        let out = self.register();
        self.ops.push((make(out), node));
        out
    }

    pub(super) fn export(&mut self, reg: Reg) -> usize {
        let exports = &mut self.exports;
        *self.exported.entry(reg).or_insert_with(|| {
            exports.push(reg);
            exports.len() - 1
        })
    }

    /// The place of a statistic: the op that keeps its state, shared with the other windows over the same series.
    pub(super) fn window(
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

    pub(super) fn read_inside(&mut self, op: usize, read: usize) -> Reg {
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
    pub(super) fn schedule(&mut self) -> Vec<usize> {
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
    pub(super) fn finish(mut self, stream: Stream) -> (Program, Vec<Reg>) {
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
        let code = signal_runtime::Program {
            inputs: self.inputs.all.len(),
            consts: (self.consts.all.iter())
                .map(|&(x, _)| f64::from_bits(x))
                .collect(),
            ops: self.ops.iter().map(|(op, _)| op.clone()).collect(),
            registers: next,
            exports: self.exports.into_iter().map(|reg| new[reg]).collect(),
        };
        let program = Program {
            stream,
            inputs: self
                .inputs
                .all
                .into_iter()
                .map(|(input, _)| input)
                .collect(),
            nodes: self.ops.iter().map(|(_, node)| *node).collect(),
            code,
        };
        (program, new)
    }
}
