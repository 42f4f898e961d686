//! The closed set of operators. Each carries its parameters; operands are node numbers.

use crate::stream::{Field, Stream};
use crate::time_fn::TimeFn;
use signal_runtime::{Formula, OPERANDS_MAX, SectionFn};

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

/// Functions of a value and the one `n` events before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LagFn {
    /// The earlier value.
    Shift,
    /// Newest minus earlier.
    Diff,
    /// Newest minus earlier, over earlier.
    PctChange,
    /// `ln(newest / earlier)`, as `log1p((newest - earlier) / earlier)`.
    LogReturn,
}

/// What a window reaches back over, its newest value included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// The last `n` valid values.
    Count(usize),
    /// The values at axis times in `(t - ns, t]`; beyond `cap` of them the value is invalid (`OVERFLOW`).
    Time {
        /// Length.
        ns: i64,
        /// Most values in the window.
        cap: usize,
    },
}

/// Statistics of one series over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stat {
    /// Sum.
    Sum,
    /// Arithmetic mean.
    Mean,
    /// Variance; divisor `n - ddof`.
    Var(u8),
    /// Standard deviation; divisor `n - ddof`.
    Std(u8),
    /// (newest - mean) / sample standard deviation.
    Zscore,
    /// Adjusted Fisher-Pearson skewness G1, Joanes & Gill (1998).
    Skew,
    /// Minimum.
    Min,
    /// Maximum.
    Max,
    /// Average rank of the newest value, over `n`.
    Rank,
}

impl Stat {
    /// Fewest values that define the statistic.
    pub fn least(self) -> usize {
        match self {
            Self::Sum | Self::Mean | Self::Min | Self::Max | Self::Rank => 1,
            Self::Var(ddof) | Self::Std(ddof) => usize::from(ddof) + 1,
            Self::Zscore => 2,
            Self::Skew => 3,
        }
    }
}

impl Stat {
    /// The same with divisor `n - ddof`, where it has one.
    pub fn with_ddof(self, ddof: u8) -> Self {
        match self {
            Self::Var(_) => Self::Var(ddof),
            Self::Std(_) => Self::Std(ddof),
            other => other,
        }
    }

    /// Whether the statistic places the newest value in its window, rather than describing the window.
    pub fn is_of_newest(self) -> bool {
        matches!(self, Self::Zscore | Self::Rank)
    }
}

/// Statistics of two series over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PairStat {
    /// Sample covariance.
    Cov,
    /// Pearson correlation.
    Corr,
    /// Slope of the first series on the second: cov / var of the second.
    Beta,
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
    /// A statistic of a window of its own stream.
    Rolling(Stat, Window, NodeId),
    /// A statistic of two series over a window of their stream.
    RollingPair(PairStat, Window, NodeId, NodeId),
    /// Exponentially weighted mean with factor `alpha`, valid from `min_periods` values on.
    EwmMean {
        /// Weight of the newest value.
        alpha: f64,
        /// Values before the first mean.
        min_periods: usize,
        /// Operand.
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

    /// Operands, in order.
    pub fn operands(&self) -> Vec<NodeId> {
        match *self {
            Self::Const(_) | Self::Field(..) | Self::Book(..) | Self::Time(_) => vec![],
            Self::Formula(formula, of) => of[..formula.arity()].to_vec(),
            Self::Lag(_, _, x)
            | Self::Rolling(_, _, x)
            | Self::EwmMean { x, .. }
            | Self::Age(x)
            | Self::MaxAge(_, x)
            | Self::At(_, x)
            | Self::Cross(_, x) => vec![x],
            Self::RollingPair(_, _, x, y) => vec![x, y],
        }
    }

    /// The same operator with its operands renumbered.
    pub fn renumbered(&self, new: impl Fn(NodeId) -> NodeId) -> Self {
        let mut copy = self.clone();
        match &mut copy {
            Self::Const(_) | Self::Field(..) | Self::Book(..) | Self::Time(_) => {}
            Self::Formula(_, of) => of.iter_mut().for_each(|x| *x = new(*x)),
            Self::Lag(_, _, x)
            | Self::Rolling(_, _, x)
            | Self::EwmMean { x, .. }
            | Self::Age(x)
            | Self::MaxAge(_, x)
            | Self::At(_, x)
            | Self::Cross(_, x) => *x = new(*x),
            Self::RollingPair(_, _, x, y) => (*x, *y) = (new(*x), new(*y)),
        }
        copy
    }

    /// Whether the operator is a function of its operands' present values alone.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Self::Formula(..))
    }
}
