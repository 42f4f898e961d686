//! Functions of what is remembered: of an earlier value, and of windows of values.

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
