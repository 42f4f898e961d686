//! The closed set of operators. Each carries its parameters; operands are node numbers.

use crate::stream::{Field, Stream};
use crate::time_fn::TimeFn;
use signal_runtime::{Formula, OPERANDS_MAX, SCAN_PARAMETERS, Scan, SectionFn};

pub use signal_runtime::memory::{LagFn, Weighted, Window, WindowStat};

/// Number of a node in its graph; operands come before the nodes that read them.
pub type NodeId = usize;

/// Functions of the newest book of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookFn {
    /// One of [`Formula::OF_BOOK`], of the best level.
    Formula(Formula),
    /// Bid quantity minus ask quantity over their sum, over the best levels.
    Imbalance(u8),
    /// Order-flow imbalance of the best level, Cont, Kukanov & Stoikov (2014).
    Ofi,
}

/// A function across instruments, at one moment of the graph's own clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Cross {
    /// The function.
    pub f: SectionFn,
    /// Its number, where it takes one.
    pub parameter: f64,
    /// Name of the universe; none: every instrument that is known.
    pub universe: Option<String>,
    /// Fewest members with a value; below that there is no result.
    pub least: usize,
    /// How long a member's last valid value stands for one that is missing or invalid; 0: it is left out.
    pub carry_ns: i64,
}

/// One operator with its parameters and operands.
#[derive(Clone, Debug, PartialEq)]
pub enum Operator {
    /// A number.
    Const(f64),
    /// A number of a stream's event.
    Field(Stream, Field),
    /// A function of a stream's book (or best quotes).
    Book(Stream, BookFn),
    /// A function of its operands' present values. Operands that it does not have repeat the first.
    Formula(Formula, [NodeId; OPERANDS_MAX]),
    /// A function of a value and an earlier one of its own stream.
    Lag(LagFn, usize, NodeId),
    /// A statistic of one series, or two, over a window of their stream. A second one that it does not have repeats the first.
    Rolling(WindowStat, Window, [NodeId; 2]),
    /// A statistic with exponential weights, valid from `min_periods` values on.
    Ewm {
        /// The statistic.
        f: Weighted,
        /// Weight of the newest value.
        alpha: f64,
        /// Values before the first result.
        min_periods: usize,
        /// Series. A second one that it does not have repeats the first.
        of: [NodeId; 2],
    },
    /// A recursion over valid values, valid from `min_periods` of them on.
    Scan {
        /// The scan.
        f: Scan,
        /// Its parameters; those that it does not have are 0.
        parameters: [f64; SCAN_PARAMETERS],
        /// Values before the first result.
        min_periods: usize,
        /// Series.
        x: NodeId,
    },
    /// Seconds since the newest event of the operand's stream.
    Age(NodeId),
    /// The operand, invalid (`STALE`) once its stream's newest event is older than this many nanoseconds.
    MaxAge(i64, NodeId),
    /// The operand as known at the events of another stream.
    At(Stream, NodeId),
    /// What a function across instruments makes of the operand.
    Cross(Cross, NodeId),
    /// A function of the time at which it is read.
    Time(TimeFn),
}

impl Operator {
    /// A formula of these operands, as many as it has.
    pub fn formula(formula: Formula, operands: &[NodeId]) -> Self {
        let first = operands.first().copied().unwrap_or(0);
        let of = std::array::from_fn(|k| operands.get(k).copied().unwrap_or(first));
        Self::Formula(formula, of)
    }

    /// A statistic of a window of these series.
    pub fn rolling(stat: WindowStat, window: Window, x: NodeId, y: Option<NodeId>) -> Self {
        Self::Rolling(stat, window, [x, y.unwrap_or(x)])
    }

    /// Operands, in order.
    pub fn operands(&self) -> Vec<NodeId> {
        match *self {
            Self::Const(_) | Self::Field(..) | Self::Book(..) | Self::Time(_) => vec![],
            Self::Formula(formula, of) => of[..formula.arity()].to_vec(),
            Self::Lag(_, _, x)
            | Self::Scan { x, .. }
            | Self::Age(x)
            | Self::MaxAge(_, x)
            | Self::At(_, x)
            | Self::Cross(_, x) => vec![x],
            Self::Rolling(stat, _, of) => of[..stat.arity()].to_vec(),
            Self::Ewm { f, of, .. } => of[..f.arity()].to_vec(),
        }
    }

    /// The same operator with its operands renumbered.
    pub fn renumbered(&self, new: impl Fn(NodeId) -> NodeId) -> Self {
        let mut copy = self.clone();
        match &mut copy {
            Self::Const(_) | Self::Field(..) | Self::Book(..) | Self::Time(_) => {}
            Self::Formula(_, of) => of.iter_mut().for_each(|x| *x = new(*x)),
            Self::Lag(_, _, x)
            | Self::Scan { x, .. }
            | Self::Age(x)
            | Self::MaxAge(_, x)
            | Self::At(_, x)
            | Self::Cross(_, x) => *x = new(*x),
            Self::Rolling(_, _, of) | Self::Ewm { of, .. } => {
                of.iter_mut().for_each(|x| *x = new(*x))
            }
        }
        copy
    }

    /// Whether the operator is a function of its operands' present values alone.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Self::Formula(..))
    }
}
