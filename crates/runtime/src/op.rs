//! The steps of a compiled program, by the registers that they read and write.

use crate::formula::OPERANDS_MAX;
use crate::memory::{Content, LagFn, SCAN_PARAMETERS, Scan, Weighted, Window, WindowStat};
use crate::table::Formula;
use signal_kernels::comoments::ComomentTree;
use signal_kernels::ewm::Ewm;
use signal_kernels::extremes::Extremes;
use signal_kernels::history::History;
use signal_kernels::moments::MomentTree;
use signal_kernels::rank::Ranks;
use signal_kernels::sums::Sums;
use signal_kernels::trend::TrendTree;
use signal_kernels::weighted_moments::WeightedMoments;

/// A register: one number with its reason, at one event.
pub type Reg = usize;

/// One statistic over one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The window.
    pub window: Window,
    /// The statistic.
    pub stat: WindowStat,
    /// Where the value goes at each event of the program; none if it is only read from outside.
    pub out: Option<Reg>,
    /// The graph's node.
    pub node: usize,
}

/// Bytes of a step beside its state: its place in the fast path, and where its registers are listed.
const STEP: usize = 160;
/// Bytes of a state's own numbers, beside what it keeps of the series.
const KEPT: usize = 256;
/// Bytes of one statistic of a window.
const READ: usize = 112;
/// Places of a queue that doubles as it grows, once it has held `n`.
fn queue(n: usize) -> usize {
    n.next_power_of_two().max(4)
}

/// Bytes of the parts of a window of fixed length, one for each binary digit of it.
fn length_bytes(window: Window) -> usize {
    match window {
        Window::Count(n) => 256 + 128 * n.count_ones() as usize,
        Window::Time { .. } => 64,
    }
}

/// One step of a program. Output registers are larger than every operand, and contiguous within an op.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A function of registers. Those that it does not have repeat the first.
    Formula {
        /// The function.
        f: Formula,
        /// Operands.
        of: [Reg; OPERANDS_MAX],
        /// Result.
        out: Reg,
    },
    /// A function of a register and its value `n` events before.
    Lag {
        /// The function.
        f: LagFn,
        /// Events back.
        n: usize,
        /// Operand.
        x: Reg,
        /// Result.
        out: Reg,
    },
    /// Bid quantity minus ask quantity over their sum, over the best levels.
    Imbalance {
        /// Bid quantities, then as many ask quantities.
        of: Vec<Reg>,
        /// Result.
        out: Reg,
    },
    /// Order-flow imbalance of the best level.
    Ofi {
        /// Bid price, bid quantity, ask price, ask quantity.
        of: [Reg; 4],
        /// Result.
        out: Reg,
    },
    /// Windows over one register (or two) that share their state.
    Windows {
        /// Counted or timed.
        timed: bool,
        /// What is kept.
        content: Content,
        /// The series.
        x: Reg,
        /// The second series.
        y: Option<Reg>,
        /// Most values in a window.
        cap: usize,
        /// The statistics.
        reads: Vec<Read>,
    },
    /// A statistic with exponential weights.
    Ewm {
        /// The statistic.
        f: Weighted,
        /// Weight of the newest value.
        alpha: f64,
        /// Values before the first result.
        min_periods: usize,
        /// The series.
        x: Reg,
        /// The second series.
        y: Option<Reg>,
        /// Result.
        out: Reg,
    },
    /// A recursion over valid values.
    Scan {
        /// The scan.
        f: Scan,
        /// Its parameters; those that it does not have are 0.
        parameters: [f64; SCAN_PARAMETERS],
        /// Values before the first result.
        min_periods: usize,
        /// Operand.
        x: Reg,
        /// Result.
        out: Reg,
    },
    /// The operand, invalid where the age exceeds a limit.
    Fresh {
        /// Operand.
        x: Reg,
        /// Age in nanoseconds.
        age: Reg,
        /// Limit in nanoseconds.
        ns: i64,
        /// Result.
        out: Reg,
    },
}

impl Op {
    /// Bytes that an instrument holds for the op at most: its state, and the step that keeps it.
    pub fn bytes(&self) -> usize {
        let registers = 8 * (self.operands().len() + self.outputs().len());
        STEP + 2 * registers + self.state_bytes()
    }

    fn state_bytes(&self) -> usize {
        match self {
            Self::Formula { .. } | Self::Imbalance { .. } | Self::Fresh { .. } => 0,
            Self::Ofi { .. } | Self::Scan { .. } => KEPT,
            // Beside the values, the events at which there was none: a queue that doubles as it grows.
            Self::Lag { n, .. } => KEPT + History::<1>::bytes(*n) + 16 * queue(n + 2),
            Self::Ewm { f, alpha, .. } => match (f, f.arity()) {
                (Weighted::Mean, _) => KEPT + Ewm::bytes(*alpha),
                (_, 1) => KEPT + WeightedMoments::<1, 2>::bytes(*alpha),
                _ => KEPT + WeightedMoments::<2, 5>::bytes(*alpha),
            },
            Self::Windows {
                timed,
                content,
                cap,
                reads,
                ..
            } => {
                // Over time: time and values of each entry.
                let entries = if *timed { 24 * queue(cap + 1) } else { 0 };
                let tree = match content {
                    Content::Sums => Sums::bytes(*cap),
                    Content::Moments => MomentTree::<2>::bytes(*cap),
                    Content::Cubes => MomentTree::<3>::bytes(*cap),
                    Content::Quartics => MomentTree::<4>::bytes(*cap),
                    Content::Extremes => Extremes::bytes(*cap),
                    Content::Values => Ranks::bytes(*cap),
                    Content::Pairs => ComomentTree::bytes(*cap),
                    Content::Trend => TrendTree::bytes(*cap),
                };
                let lengths = reads.iter().map(|read| READ + length_bytes(read.window));
                2 * KEPT + entries + tree + lengths.sum::<usize>()
            }
        }
    }

    /// Whether the result depends on this event's operands alone.
    pub fn is_formula(&self) -> bool {
        match self {
            Self::Formula { .. } | Self::Imbalance { .. } | Self::Fresh { .. } => true,
            Self::Ofi { .. }
            | Self::Lag { .. }
            | Self::Ewm { .. }
            | Self::Scan { .. }
            | Self::Windows { .. } => false,
        }
    }

    /// Registers read.
    pub fn operands(&self) -> Vec<Reg> {
        match self {
            Self::Formula { f, of, .. } => of[..f.arity()].to_vec(),
            Self::Lag { x, .. } | Self::Scan { x, .. } => vec![*x],
            Self::Imbalance { of, .. } => of.clone(),
            Self::Ofi { of, .. } => of.to_vec(),
            Self::Windows { x, y, .. } | Self::Ewm { x, y, .. } => {
                std::iter::once(*x).chain(*y).collect()
            }
            Self::Fresh { x, age, .. } => vec![*x, *age],
        }
    }

    /// Registers written.
    pub fn outputs(&self) -> Vec<Reg> {
        match self {
            Self::Formula { out, .. }
            | Self::Lag { out, .. }
            | Self::Imbalance { out, .. }
            | Self::Ofi { out, .. }
            | Self::Ewm { out, .. }
            | Self::Scan { out, .. }
            | Self::Fresh { out, .. } => vec![*out],
            Self::Windows { reads, .. } => reads.iter().filter_map(|read| read.out).collect(),
        }
    }

    /// Gives each register its new number, `new[old]`.
    pub fn renumber(&mut self, new: &[Reg]) {
        match self {
            Self::Lag { x, out, .. } | Self::Scan { x, out, .. } => {
                (*x, *out) = (new[*x], new[*out]);
            }
            Self::Ewm { x, y, out, .. } => {
                (*x, *out) = (new[*x], new[*out]);
                *y = y.map(|y| new[y]);
            }
            Self::Fresh { x, age, out, .. } => (*x, *age, *out) = (new[*x], new[*age], new[*out]),
            Self::Formula { of, out, .. } => {
                of.iter_mut().for_each(|x| *x = new[*x]);
                *out = new[*out];
            }
            Self::Ofi { of, out } => {
                of.iter_mut().for_each(|x| *x = new[*x]);
                *out = new[*out];
            }
            Self::Imbalance { of, out } => {
                of.iter_mut().for_each(|x| *x = new[*x]);
                *out = new[*out];
            }
            Self::Windows { x, y, reads, .. } => {
                *x = new[*x];
                if let Some(y) = y {
                    *y = new[*y];
                }
                reads
                    .iter_mut()
                    .filter_map(|read| read.out.as_mut())
                    .for_each(|out| *out = new[*out]);
            }
        }
    }
}
