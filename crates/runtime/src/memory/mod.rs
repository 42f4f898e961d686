//! The tables of operators that remember: of each family one memory, and a row for each formula of what it keeps.

mod lag;
mod scan;
mod statistic;
mod weighted;

pub use lag::{LagFn, LagRow};
pub use scan::{SCAN_KEPT, SCAN_PARAMETERS, Scan, ScanFamily, ScanRow};
use statistic::correlation;
pub use statistic::{Content, Scale, Statistic, StatisticRow, WindowStat, deviation};
pub use weighted::{Weighted, WeightedRow};

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
