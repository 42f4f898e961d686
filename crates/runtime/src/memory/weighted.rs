//! The table of statistics with exponential weights.

use super::correlation;
use signal_kernels::elementwise::sqrt;

/// A statistic with exponential weights, declared.
#[derive(Clone, Copy, Debug)]
pub struct WeightedRow {
    /// As the graph's JSON writes it.
    pub name: &'static str,
    /// Names of its series: the keys of the JSON.
    pub operands: &'static [&'static str],
    /// Fewest values that define it.
    pub least: usize,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Who says so.
    pub citation: &'static str,
}

/// Makes the enum of statistics: `Variant = "name"(series)[what is kept; unbiased] from least, "citation" => expression;`. What is
/// kept is the mean; or of one series its mean less the newest value and the sum of squares; or of two both means less the newest
/// values, both sums of squares and the sum of products. `unbiased` times a sum is a variance without bias.
macro_rules! weighted {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal ($($x:ident),+)[$($kept:ident),+; $unbiased:ident]
        from $least:literal, $citation:literal => $value:expr;)+) => {
        /// A statistic with exponential weights.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Weighted {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Weighted {
            /// All, in the table's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its declaration.
            pub const fn row(self) -> WeightedRow {
                match self {
                    $(Self::$variant => WeightedRow {
                        name: $name,
                        operands: &[$(stringify!($x)),+],
                        least: $least,
                        meaning: concat!($($meaning),+),
                        citation: $citation,
                    },)+
                }
            }

            /// The value of what is kept; NaN of what is kept for others.
            #[inline(always)]
            pub fn value(self, kept: &[f64], unbiased: f64) -> f64 {
                match self {
                    $(Self::$variant => match *kept {
                        [$($kept),+] => {
                            let $unbiased = unbiased;
                            $(let _ = $kept;)+
                            let _ = $unbiased;
                            $value
                        }
                        _ => f64::NAN,
                    })+
                }
            }
        }
    };
}

weighted! {
    /// Weighted mean: sum of (1 - alpha)^i x[t-i] over the sum of the weights, as pandas with adjust=True.
    Mean = "mean"(x)[mean; _unbiased] from 1, "Roberts 1959" => mean;
    /// Weighted variance without bias, as pandas with adjust=True and bias=False.
    Var = "var"(x)[mean, squares; unbiased] from 2, "Finch 2009, pandas" => squares * unbiased;
    /// Root of the weighted variance without bias.
    Std = "std"(x)[mean, squares; unbiased] from 2, "Finch 2009, pandas" => sqrt(squares * unbiased);
    /// (newest - weighted mean) / weighted standard deviation.
    Zscore = "zscore"(x)[mean, squares; unbiased] from 2, "Finch 2009" => -mean / sqrt(squares * unbiased);
    /// Weighted covariance without bias.
    Cov = "cov"(x, y)[mean_x, mean_y, xx, yy, xy; unbiased] from 2, "Finch 2009, pandas" => xy * unbiased;
    /// Weighted correlation.
    Corr = "corr"(x, y)[mean_x, mean_y, xx, yy, xy; unbiased] from 2, "Finch 2009, pandas" => correlation(xx, yy, xy);
    /// Slope of x on y with these weights: cov(x, y) / var(y).
    Beta = "beta"(x, y)[mean_x, mean_y, xx, yy, xy; unbiased] from 2, "weighted least squares" => xy / yy;
}

impl Weighted {
    /// The statistic of this name, of so many series.
    pub fn named(name: &str, series: usize) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|f| f.row().name == name && f.row().operands.len() == series)
            .copied()
    }

    /// Number of its series.
    pub fn arity(self) -> usize {
        self.row().operands.len()
    }
}
