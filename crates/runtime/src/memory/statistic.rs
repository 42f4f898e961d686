//! The table of statistics of windows: formulas of what a window keeps of its values.

use crate::parameter::{Parameter, parameter};
use signal_kernels::elementwise::{fault, sqrt};
use signal_kernels::extremes::Extremes;
use signal_kernels::rank::Ranks;
use signal_kernels::simd::{BASELINE, Simd};
use signal_kernels::sums::Sums;

/// What a window keeps of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// Sums.
    Sums,
    /// Means and second moments.
    Moments,
    /// Means, second and third moments.
    Cubes,
    /// Means, second, third and fourth moments.
    Quartics,
    /// Minima and maxima.
    Extremes,
    /// The values themselves.
    Values,
    /// Two series' means, second moments and products.
    Pairs,
    /// The same of a series and its places in the window.
    Trend,
}

impl Content {
    /// Whether it is a mean with moments, of which a higher one is kept with the lower ones, in the same bits.
    pub fn is_moments(self) -> bool {
        matches!(self, Self::Moments | Self::Cubes | Self::Quartics)
    }
}

/// A statistic, declared.
#[derive(Clone, Copy, Debug)]
pub struct StatisticRow {
    /// As the graph's JSON writes it.
    pub name: &'static str,
    /// Names of its series: the keys of the JSON.
    pub operands: &'static [&'static str],
    /// The number that it is given, if it takes one.
    pub parameter: Option<Parameter>,
    /// What the window keeps for it.
    pub content: Content,
    /// Whether it places the newest value in its window, rather than describing the window.
    pub of_newest: bool,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Who says so.
    pub citation: &'static str,
}

/// What the statistics over `n` values multiply by.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Number of values.
    pub n: f64,
    /// `1 / (n - 1)`.
    pub sample: f64,
    /// `n / ((n - 1) (n - 2))`.
    pub skew: f64,
    /// `n (n + 1) / ((n - 1) (n - 2) (n - 3))`.
    pub kurt: f64,
    /// `3 (n - 1)^2 / ((n - 2) (n - 3))`: what a normal distribution has.
    pub normal: f64,
}

impl Scale {
    /// Of a window of `m` values.
    #[inline(always)]
    pub fn new(m: usize) -> Self {
        let n = m as f64;
        Self {
            n,
            sample: 1.0 / (n - 1.0),
            skew: n / ((n - 1.0) * (n - 2.0)),
            kurt: n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0)),
            normal: 3.0 * (n - 1.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0)),
        }
    }

    /// `1 / (n - ddof)`.
    #[inline(always)]
    fn inverse(&self, ddof: f64) -> f64 {
        if ddof == 1.0 {
            self.sample
        } else {
            1.0 / (self.n - ddof)
        }
    }
}

/// Standard deviation from a sum of squared deviations; `inverse` is 1 over the divisor.
#[inline(always)]
pub fn deviation(m2: f64, inverse: f64) -> f64 {
    sqrt(m2 * inverse)
}

/// Makes the enum of statistics. A group has what one summary knows: `one block (scale, out) (what else a block is given)
/// (registers) { rows }`, with the names of the functions for one window and for a block of them. A row is `Variant = "name"(series;
/// parameter: Kind(bounds) = default) Content from least, "citation" => expression;`, and its expression is compiled once for one
/// window and once for a block; both have the same bits. `newest`: it places the newest value. `sd where`: when it reads the sample
/// standard deviation, which rows share. `block`: what gives a block's values sooner. Rows of `"the values"` are functions of the
/// values themselves, oldest first.
macro_rules! statistics {
    (
        $($one:ident $block:ident ($scale:ident, $out:ident) ($($more:ident : $of:ty),*) $registers:tt {
            $($(#[doc = $meaning:literal])+ $variant:ident = $name:literal
                ($($x:ident),+ $(; $p:ident : $kind:ident ($($bound:expr),+) $(= $default:literal)?)?)
                $content:ident from $least:expr $(, newest $newest:ident)? $(, sd where $sd:expr)?, $citation:literal
                => $value:expr $(, block $sooner:expr)?;)+
        })+
        "the values" ($isa:ident, $kept:ident, $m:ident, $window:ident, $room:ident) {
            $($(#[doc = $v_meaning:literal])+ $v_variant:ident = $v_name:literal
                ($v_x:ident $(; $v_p:ident : $v_kind:ident ($($v_bound:expr),+) $(= $v_default:literal)?)?)
                Values from $v_least:expr $(, newest $v_newest:ident)?, $v_citation:literal
                => $v_value:expr $(, block $v_sooner:expr)?;)+
        }
    ) => {
        /// A statistic of a window. The order of the variants is the table's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Statistic {
            $($($(#[doc = $meaning])+ $variant,)+)+
            $($(#[doc = $v_meaning])+ $v_variant,)+
        }

        impl Statistic {
            /// All, in the table's order.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+ $(Self::$v_variant,)+];

            /// Its declaration.
            pub const fn row(self) -> StatisticRow {
                match self {
                    $($(Self::$variant => StatisticRow {
                        name: $name,
                        operands: &[$(stringify!($x)),+],
                        parameter: parameter!($($p : $kind($($bound),+) $(= $default)?)?),
                        content: Content::$content,
                        of_newest: statistics!(@given $($newest)?),
                        meaning: concat!($($meaning),+),
                        citation: $citation,
                    },)+)+
                    $(Self::$v_variant => StatisticRow {
                        name: $v_name,
                        operands: &[stringify!($v_x)],
                        parameter: parameter!($($v_p : $v_kind($($v_bound),+) $(= $v_default)?)?),
                        content: Content::Values,
                        of_newest: statistics!(@given $($v_newest)?),
                        meaning: concat!($($v_meaning),+),
                        citation: $v_citation,
                    },)+
                }
            }
        }

        impl WindowStat {
            /// Fewest values that define it.
            pub fn least(self) -> usize {
                match self.f {
                    $($(Statistic::$variant => {
                        $(let $p = self.parameter();)?
                        $(let _ = $p;)?
                        $least
                    })+)+
                    $(Statistic::$v_variant => $v_least,)+
                }
            }

            /// Whether it reads the sample standard deviation.
            pub fn reads_sd(self) -> bool {
                match self.f {
                    $($(Statistic::$variant => {
                        $(let $p = self.parameter();)?
                        $(let _ = $p;)?
                        statistics!(@or_not $($sd)?)
                    })+)+
                    $(Statistic::$v_variant => false,)+
                }
            }

            $(
                /// The value of a window whose summary has these registers; of statistics that another summary is kept for, NaN.
                #[inline(always)]
                pub fn $one(self, $scale: &Scale, of: statistics!(@array f64, $registers)) -> f64 {
                    let _ = $scale;
                    statistics!(@bind $registers, of);
                    match self.f {
                        $(Statistic::$variant => {
                            $(let $p = self.parameter();)?
                            $(let _ = $p;)?
                            $value
                        })+
                        _ => f64::NAN,
                    }
                }

                /// The values of a block of windows. Gives 0 if they are finite.
                #[inline(always)]
                pub fn $block(
                    self, $scale: &Scale, $($more: $of,)* of: statistics!(@array &[f64], $registers), $out: &mut [f64],
                ) -> u64 {
                    let _ = $scale;
                    match self.f {
                        $(Statistic::$variant => {
                            $(let $p = self.parameter();)?
                            $(let _ = $p;)?
                            statistics!(@block $registers, of, $out, $value $(, $sooner)?)
                        })+
                        _ => {
                            $out.fill(f64::NAN);
                            1
                        }
                    }
                }
            )+

            /// The value of the newest `$m` values.
            #[inline(always)]
            pub fn values<I: Simd>(self, $isa: I, $kept: &Ranks, $m: usize) -> f64 {
                let _ = $isa;
                match self.f {
                    $(Statistic::$v_variant => {
                        $(let $v_p = self.parameter();)?
                        statistics!(@window $kept.window($m, 0), $window, $v_value)
                    })+
                    _ => f64::NAN,
                }
            }

            /// The values of the `$m` values that end at each row of a block. Gives 0 if they are finite.
            #[inline(always)]
            pub fn values_block(self, $kept: &Ranks, $m: usize, $room: &mut [f64]) -> u64 {
                let $isa = BASELINE;
                let _ = $isa;
                match self.f {
                    $(Statistic::$v_variant => {
                        $(let $v_p = self.parameter();)?
                        statistics!(@rows $kept, $m, $window, $room, $v_value $(, $v_sooner)?)
                    })+
                    _ => {
                        $room.fill(f64::NAN);
                        1
                    }
                }
            }
        }
    };
    (@or_not) => { false };
    (@or_not $sd:expr) => { $sd };
    (@given) => { false };
    (@given $newest:ident) => { true };
    (@array $type:ty, ($($register:ident),+)) => { [$type; [$(stringify!($register)),+].len()] };
    (@bind ($($register:ident),+), $of:expr) => {
        let [$($register),+] = $of;
        $(let _ = $register;)+
    };
    // A column a name, each of one length, so that the compiler makes vectors of the loop over them.
    (@columns ($($register:ident),+), $n:ident) => { $(let $register = &$register[..$n];)+ };
    (@row ($($register:ident),+), $i:ident) => {
        $(let $register = $register[$i];)+
        $(let _ = $register;)+
    };
    (@block $registers:tt, $of:ident, $out:ident, $value:expr) => {{
        let n = $out.len();
        statistics!(@bind $registers, $of);
        statistics!(@columns $registers, n);
        let mut faults = 0;
        for i in 0..n {
            statistics!(@row $registers, i);
            $out[i] = $value;
            faults |= fault($out[i]);
        }
        faults
    }};
    (@block $registers:tt, $of:ident, $out:ident, $value:expr, $sooner:expr) => {{
        statistics!(@bind $registers, $of);
        $sooner
    }};
    (@window $values:expr, $window:ident, $value:expr) => {{
        let $window: &[f64] = $values;
        let _ = $window;
        $value
    }};
    (@rows $kept:ident, $m:ident, $window:ident, $room:ident, $value:expr) => {{
        let n = $room.len();
        let mut faults = 0;
        for i in 0..n {
            $room[i] = statistics!(@window $kept.window($m, n - 1 - i), $window, $value);
            faults |= fault($room[i]);
        }
        faults
    }};
    (@rows $kept:ident, $m:ident, $window:ident, $room:ident, $value:expr, $sooner:expr) => { $sooner };
}

statistics! {
    sums sums_block (scale, out) (of: &Sums, m: usize) (sum) {
        /// Sum of the window; of a window of time without values `empty`, where that is given.
        Sum = "sum"(x; empty: Only(0.0)) Sums from usize::from(empty.is_nan()), "pandas, TA-Lib" => sum, block {
            of.read_block(m, out);
            out.iter().fold(0, |faults, x| faults | fault(*x))
        };
        /// Number of valid values: n of a window that counts.
        Count = "count"(x) Sums from 0, "pandas" => scale.n, block {
            out.fill(scale.n);
            0
        };
    }
    moments moments_block (scale, out) () (x, mean, m2, m3, m4, sd) {
        /// Arithmetic mean.
        Mean = "mean"(x) Moments from 1, "pandas, TA-Lib" => x + mean;
        /// Variance with divisor n - ddof.
        Var = "var"(x; ddof: Whole(0, 1) = 1) Moments from ddof as usize + 1, "West 1979" => m2 * scale.inverse(ddof);
        /// Standard deviation with divisor n - ddof.
        Std = "std"(x; ddof: Whole(0, 1) = 1) Moments from ddof as usize + 1, sd where ddof == 1.0, "West 1979"
            => if ddof == 1.0 { sd } else { deviation(m2, scale.inverse(ddof)) };
        /// (newest - mean) / sample standard deviation.
        Zscore = "zscore"(x) Moments from 2, newest value, sd where true, "pandas" => -mean / sd;
        /// Adjusted Fisher-Pearson skewness G1.
        Skew = "skew"(x) Cubes from 3, sd where true, "Joanes & Gill 1998" => scale.skew * (m3 / (m2 * scale.sample * sd));
        /// Excess kurtosis without bias, G2: 0 of a normal distribution.
        Kurt = "kurt"(x) Quartics from 4, "Joanes & Gill 1998" => {
            let variance = m2 * scale.sample;
            scale.kurt * (m4 / (variance * variance)) - scale.normal
        };
    }
    trend trend_block (scale, out) () (x, mean, xx, tt, xt) {
        /// Mean with weights 1 to n, the newest heaviest.
        DecayLinear = "decay_linear"(x) Trend from 1, "Kakushadze 2016" => x + (mean + 2.0 * xt / (scale.n * (scale.n + 1.0)));
        /// Slope of the least squares line over the places 0 to n - 1: change a value.
        Slope = "slope"(x) Trend from 2, "ordinary least squares, Qlib Slope" => xt / tt;
        /// Share of the variance that the least squares line over the places explains, 0 to 1.
        Rsquare = "rsquare"(x) Trend from 2, "ordinary least squares, Qlib Rsquare" => {
            let corr = correlation(xx, tt, xt);
            corr * corr
        };
        /// The newest value less the least squares line over the places.
        Resid = "resid"(x) Trend from 2, newest value, "ordinary least squares, Qlib Resi"
            => -mean - xt / tt * ((scale.n - 1.0) / 2.0);
    }
    extremes extremes_block (scale, out) (of: &Extremes, m: usize) (min, max) {
        /// Smallest value.
        Min = "min"(x) Extremes from 1, "pandas" => min, block {
            of.min_block(m, out);
            0 // Extremes of finite values are finite.
        };
        /// Largest value.
        Max = "max"(x) Extremes from 1, "pandas, TA-Lib" => max, block {
            of.max_block(m, out);
            0
        };
    }
    pairs pairs_block (scale, out) () (xx, yy, xy) {
        /// Sample covariance.
        Cov = "cov"(x, y) Pairs from 2, "pandas" => xy * scale.sample;
        /// Pearson correlation.
        Corr = "corr"(x, y) Pairs from 2, "pandas, TA-Lib" => correlation(xx, yy, xy), block correlations(xx, yy, xy, out);
        /// Slope of x on y: cov(x, y) / var(y).
        Beta = "beta"(x, y) Pairs from 2, "ordinary least squares" => xy / yy;
    }
    "the values" (isa, of, m, window, room) {
        /// Average rank of the newest value, over n.
        Rank = "rank"(x) Values from 1, newest value, "Kakushadze 2016" => of.read(isa, m), block {
            of.read_block(m, room);
            0 // In (0, 1].
        };
        /// Median: the middle value, or halfway between the two.
        Median = "median"(x) Values from 1, "pandas" => quantile(window, 0.5);
        /// The q-quantile, linear between neighbours (type 7).
        Quantile = "quantile"(x; q: Real(0.0, 1.0)) Values from 1, "Hyndman & Fan 1996" => quantile(window, q);
        /// Median of the distances from the median.
        Mad = "mad"(x) Values from 1, "Hampel 1974" => {
            let middle = quantile(window, 0.5);
            select(window, |x| (x - middle).abs(), 0.5)
        };
        /// Place of the smallest value, 0 for the oldest; of equal ones the oldest.
        Argmin = "argmin"(x) Values from 1, "numpy.argmin" => place(window, |x, best| x < best);
        /// Place of the largest value, 0 for the oldest; of equal ones the oldest.
        Argmax = "argmax"(x) Values from 1, "numpy.argmax" => place(window, |x, best| x > best);
        /// Product of the window, from the oldest on.
        Prod = "prod"(x) Values from 1, "numpy.prod" => window.iter().product();
    }
}

impl Statistic {
    /// The statistic of this name, of so many series.
    pub fn named(name: &str, series: usize) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|f| f.row().name == name && f.row().operands.len() == series)
            .copied()
    }

    /// With its parameter as it usually is.
    pub fn usual(self) -> WindowStat {
        let default = self.row().parameter.and_then(|parameter| parameter.default);
        WindowStat::new(self, default.unwrap_or(f64::NAN))
    }
}

/// A statistic with its parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowStat {
    /// The statistic.
    pub f: Statistic,
    /// Bits of its parameter; of NaN where it has none, or none was given.
    bits: u64,
}

impl WindowStat {
    /// A statistic with this parameter; NaN where it has none.
    pub fn new(f: Statistic, parameter: f64) -> Self {
        Self {
            f,
            bits: parameter.to_bits(),
        }
    }

    /// Its parameter; NaN where it has none.
    #[inline(always)]
    pub fn parameter(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// What the window keeps for it.
    pub fn content(self) -> Content {
        self.f.row().content
    }

    /// Number of its series.
    pub fn arity(self) -> usize {
        self.f.row().operands.len()
    }
}

/// Values that are selected from without an allocation.
const FEW: usize = 128;

/// Type 7 of Hyndman & Fan (1996): linear between neighbours.
fn quantile(window: &[f64], q: f64) -> f64 {
    select(window, |x| x, q)
}

/// The q-quantile of what `of` makes of each value.
fn select(window: &[f64], of: impl Fn(f64) -> f64, q: f64) -> f64 {
    // Whole numbers in the same order are compared faster.
    let keys = window.iter().map(|&x| ordered(of(x)));
    let (mut few, mut many) = ([0; FEW], Vec::new());
    let keys: &mut [i64] = if window.len() <= FEW {
        few.iter_mut().zip(keys).for_each(|(slot, key)| *slot = key);
        &mut few[..window.len()]
    } else {
        many.extend(keys);
        &mut many
    };
    let at = q * (keys.len() - 1) as f64;
    let below = at.floor();
    let (_, &mut key, above) = keys.select_nth_unstable(below as usize);
    let value = number(key);
    match above.iter().min() {
        Some(&next) if at > below => value + (at - below) * (number(next) - value),
        _ => value,
    }
}

/// A whole number for each number, in the order of `f64::total_cmp`.
fn ordered(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The number of a whole number.
fn number(key: i64) -> f64 {
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

/// The first place whose value is `better` than all before it, and than which none behind it is.
fn place(window: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = 0;
    for i in 1..window.len() {
        if better(window[i], window[best]) {
            best = i;
        }
    }
    best as f64
}

/// Pearson correlation, in [-1, 1] whatever was rounded on the way; not finite where a series does not vary.
#[inline(always)]
pub(super) fn correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    let product = xx * yy;
    if (f64::MIN_POSITIVE..=f64::MAX).contains(&product) {
        within_one(xy / sqrt(product))
    } else {
        distant_correlation(xx, yy, xy)
    }
}

/// The same where the product of the sums of squares is beyond what a double holds, although the correlation is not.
#[cold]
fn distant_correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    if xx.is_finite() && yy.is_finite() {
        within_one(xy / sqrt(xx) / sqrt(yy))
    } else {
        f64::NAN
    }
}

/// A finite number kept between -1 and 1.
#[inline(always)]
fn within_one(x: f64) -> f64 {
    if x.abs() > 1.0 && x.is_finite() {
        1.0f64.copysign(x)
    } else {
        x
    }
}

/// The same for a block, most of whose products are what a double holds.
#[inline(always)]
fn correlations(xx: &[f64], yy: &[f64], xy: &[f64], out: &mut [f64]) -> u64 {
    let n = out.len();
    let (xx, yy, xy) = (&xx[..n], &yy[..n], &xy[..n]);
    let mut faults = 0;
    let mut distant = false;
    for i in 0..n {
        let product = xx[i] * yy[i];
        distant |= !(f64::MIN_POSITIVE..=f64::MAX).contains(&product);
        out[i] = within_one(xy[i] / sqrt(product));
        faults |= fault(out[i]);
    }
    if distant {
        faults = 0;
        for i in 0..n {
            out[i] = correlation(xx[i], yy[i], xy[i]);
            faults |= fault(out[i]);
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any double above zero or at it, of every magnitude.
    fn square() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(f64::INFINITY),
            (any::<f64>()).prop_map(f64::abs),
            (-320.0f64..308.0).prop_map(|e| 10f64.powf(e)),
            0.5f64..2.0,
        ]
    }

    /// A correlation as rounding may leave it: some a little beyond 1.
    fn share() -> impl Strategy<Value = f64> {
        prop_oneof![-1.0f64..1.0, 1.0f64..1.000001, -1.000001f64..-1.0]
    }

    proptest! {
        #[test]
        fn a_correlation_lies_between_minus_one_and_one(
            rows in prop::collection::vec((square(), square(), share()), 1..40)
        ) {
            let xy = rows.iter().map(|&(x, y, share)| {
                let size = x.sqrt() * y.sqrt();
                let size = if size.is_finite() { size } else { 1.0 };
                size * share
            });
            let xy: Vec<f64> = xy.collect();
            let (xx, yy): (Vec<f64>, Vec<f64>) = rows.iter().map(|&(x, y, _)| (x, y)).unzip();
            let (stat, scale) = (Statistic::Corr.usual(), Scale::new(9));
            let mut out = vec![0.0; rows.len()];
            let faults = stat.pairs_block(&scale, [&xx, &yy, &xy], &mut out);
            for (i, value) in out.iter().enumerate() {
                prop_assert!(!value.is_finite() || value.abs() <= 1.0, "{value}");
                let one = stat.pairs(&scale, [xx[i], yy[i], xy[i]]);
                prop_assert_eq!(value.to_bits(), one.to_bits());
                if !(xx[i].is_finite() && yy[i].is_finite()) {
                    prop_assert!(!value.is_finite(), "{} of {} and {}", value, xx[i], yy[i]);
                }
            }
            prop_assert_eq!(faults == 0, out.iter().all(|value| value.is_finite()));
        }
    }
}
