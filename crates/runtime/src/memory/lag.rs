//! The table of lags: functions of a value and the one `n` events before it.

use signal_kernels::elementwise::fault;
use signal_kernels::log::log1p;

/// A lag, declared.
#[derive(Clone, Copy, Debug)]
pub struct LagRow {
    /// As the graph's JSON writes it.
    pub name: &'static str,
    /// Whether the newest value must be valid: the earlier one must.
    pub reads_newest: bool,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Who says so.
    pub citation: &'static str,
}

/// Makes the enum of lags: `Variant = "name"(newest, earlier), "citation" => expression;`. A lag that does not name the newest
/// value writes `_`. The expression is compiled once for one event and once for a block; both have the same bits.
macro_rules! lags {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal ($x:tt, $earlier:ident), $citation:literal => $value:expr;)+) => {
        /// A function of a value and an earlier one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum LagFn {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl LagFn {
            /// All, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its declaration.
            pub const fn row(self) -> LagRow {
                match self {
                    $(Self::$variant => LagRow {
                        name: $name,
                        reads_newest: lags!(@reads $x),
                        meaning: concat!($($meaning),+),
                        citation: $citation,
                    },)+
                }
            }

            /// The value at valid ones; not finite outside of the domain.
            #[inline(always)]
            pub fn value(self, newest: f64, earlier: f64) -> f64 {
                match self {
                    $(Self::$variant => {
                        let ($x, $earlier) = (newest, earlier);
                        $value
                    })+
                }
            }

            /// The values of a block. Gives 0 if they are finite.
            #[inline(always)]
            pub fn values(self, newest: &[f64], earlier: &[f64], out: &mut [f64]) -> u64 {
                let n = out.len();
                let (newest, earlier) = (&newest[..n], &earlier[..n]);
                let mut faults = 0;
                match self {
                    $(Self::$variant => for i in 0..n {
                        let ($x, $earlier) = (newest[i], earlier[i]);
                        out[i] = $value;
                        faults |= fault(out[i]);
                    })+
                }
                faults
            }
        }
    };
    (@reads _) => { false };
    (@reads $x:ident) => { true };
}

lags! {
    /// The value n events earlier.
    Shift = "shift"(_, earlier), "pandas" => earlier;
    /// x minus its value n events earlier.
    Diff = "diff"(x, earlier), "pandas" => x - earlier;
    /// x over its value n events earlier, minus 1.
    PctChange = "pct_change"(x, earlier), "pandas" => (x - earlier) / earlier;
    /// ln(x / its value n events earlier).
    LogReturn = "log_return"(x, earlier), "Campbell, Lo & MacKinlay 1997" => log1p((x - earlier) / earlier);
}

impl LagFn {
    /// The lag of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|f| f.row().name == name).copied()
    }
}
