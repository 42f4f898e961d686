//! The table of scans: recursions over a series' valid values, from the first one on.

use crate::parameter::{Parameter, parameter};
use signal_kernels::elementwise::sqrt;

/// Parameters that a scan has at most.
pub const SCAN_PARAMETERS: usize = 3;
/// Numbers that a scan keeps at most.
pub const SCAN_KEPT: usize = 4;

/// How a scan is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScanFamily {
    /// Exponential weights over time: `x.ewm(half_life="5m")`.
    OverTime,
    /// All values so far: `x.expanding()`.
    Expanding,
    /// By its own name.
    Named,
}

/// A scan, declared.
#[derive(Clone, Copy, Debug)]
pub struct ScanRow {
    /// As the graph's JSON writes it.
    pub name: &'static str,
    /// How it is asked for.
    pub family: ScanFamily,
    /// The numbers that it is given.
    pub parameters: &'static [Parameter],
    /// Fewest values that define it.
    pub least: usize,
    /// Whether it reads how much time has passed since the value before.
    pub reads_time: bool,
    /// Unit of the result.
    pub unit: &'static str,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Who says so.
    pub citation: &'static str,
}

/// Makes the enum of scans: `Variant = "name"(parameter: Kind(bounds), …) "unit" [kept = at first, …] from least, "citation" =>
/// expression;`. The expression changes what is kept and gives the value. It reads the newest value, the nanoseconds since the
/// one before (0 at the first; `timed` where it does), and the number of values before. `unless` says when parameters do not fit
/// each other. What is kept is finite: the caller begins anew where it is not.
macro_rules! scans {
    ($x:ident, $ns:ident, $before:ident; $($family:ident {
        $($(#[doc = $meaning:literal])+ $variant:ident = $name:literal
            ($($p:ident : $kind:ident ($($bound:expr),+)),*) $unit:literal [$($kept:ident = $start:expr),*] from $least:literal
            $(, $timed:ident)? $(; unless $unless:expr, $wanted:literal)?, $citation:literal => $value:expr;)+
    })+) => {
        /// A recursion over valid values.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Scan {
            $($($(#[doc = $meaning])+ $variant,)+)+
        }

        impl Scan {
            /// All, in the table's order.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// Its declaration.
            pub const fn row(self) -> ScanRow {
                match self {
                    $($(Self::$variant => ScanRow {
                        name: $name,
                        family: ScanFamily::$family,
                        parameters: &[$(parameter!(@one $p : $kind($($bound),+))),*],
                        least: $least,
                        reads_time: scans!(@given $($timed)?),
                        unit: $unit,
                        meaning: concat!($($meaning),+),
                        citation: $citation,
                    },)+)+
                }
            }

            /// What these parameters must be together, where they are not.
            pub fn refusal(self, parameters: [f64; SCAN_PARAMETERS]) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => {
                        scans!(@bind parameters, $($p),*);
                        $(if $unless {
                            return Some($wanted);
                        })?
                        None
                    })+)+
                }
            }

            /// What is kept before the first value.
            #[inline(always)]
            pub fn start(self, parameters: [f64; SCAN_PARAMETERS]) -> [f64; SCAN_KEPT] {
                match self {
                    $($(Self::$variant => {
                        scans!(@bind parameters, $($p),*);
                        let start: &[f64] = &[$($start),*];
                        let mut kept = [0.0; SCAN_KEPT];
                        kept[..start.len()].copy_from_slice(start);
                        kept
                    })+)+
                }
            }

            /// Takes a value and gives the result; not finite outside of the domain.
            #[inline(always)]
            pub fn next(
                self, parameters: [f64; SCAN_PARAMETERS], of: &mut [f64; SCAN_KEPT], $x: f64, $ns: f64, $before: f64,
            ) -> f64 {
                let _ = ($x, $ns, $before);
                match self {
                    $($(Self::$variant => {
                        scans!(@bind parameters, $($p),*);
                        let [$($kept,)* ..] = of;
                        $value
                    })+)+
                }
            }
        }
    };
    (@given) => { false };
    (@given $timed:ident) => { true };
    (@bind $of:ident, $($p:ident),*) => {
        let [$($p,)* ..] = $of;
        let _ = ($($p,)*);
    };
}

/// The longest half-life, in nanoseconds.
const YEAR_NS: f64 = 366.0 * 86_400e9;

scans! {
    x, ns, before;
    OverTime {
        /// Mean in which a value weighs half as much after each half-life: sum of 2^(-age / half-life) x over the sum of the
        /// weights, as pandas with `times`.
        WeightedMean = "mean"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x" [weight = 0.0, mean = 0.0]
            from 1, timed, "pandas" => {
            *weight = *weight * fade(ns / half_life_ns) + 1.0;
            *mean += (x - *mean) / *weight;
            *mean
        };
        /// Variance without bias with these weights.
        WeightedVar = "var"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x, squared"
            [weight = 0.0, mean = 0.0, squares = 0.0, free = 0.0] from 2, timed, "Finch 2009"
            => weighted_variance([weight, mean, squares, free], x, fade(ns / half_life_ns));
        /// Root of the variance without bias with these weights.
        WeightedStd = "std"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x"
            [weight = 0.0, mean = 0.0, squares = 0.0, free = 0.0] from 2, timed, "Finch 2009"
            => sqrt(weighted_variance([weight, mean, squares, free], x, fade(ns / half_life_ns)));
        /// Mean over time, each value standing until the next one: the newest has no weight yet.
        PreviousMean = "mean_previous"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x" [mean = 0.0, last = 0.0]
            from 1, timed, "Mueller 1991" => {
            let weight = passed(ns / half_life_ns);
            *mean = if before == 0.0 { x } else { *mean + weight * (*last - *mean) };
            *last = x;
            *mean
        };
        /// Mean over time along straight lines from each value to the next.
        LinearMean = "mean_linear"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x" [mean = 0.0, last = 0.0]
            from 1, timed, "Mueller 1991" => {
            let weight = passed(ns / half_life_ns);
            let lives = std::f64::consts::LN_2 * (ns / half_life_ns);
            let newest = if lives == 0.0 { 0.0 } else { 1.0 - weight / lives };
            *mean = if before == 0.0 { x } else { *mean + weight * (*last - *mean) + newest * (x - *last) };
            *last = x;
            *mean
        };
        /// Mean over time, each value standing since the one before, as polars' `ewm_mean_by`.
        NextMean = "mean_next"(half_life_ns: Number(0.0, YEAR_NS)) "the unit of x" [mean = 0.0]
            from 1, timed, "Mueller 1991, polars" => {
            *mean = if before == 0.0 { x } else { *mean + passed(ns / half_life_ns) * (x - *mean) };
            *mean
        };
    }
    Expanding {
        /// Number of values.
        ExpandingCount = "count"() "values" [] from 1, "pandas" => before + 1.0;
        /// Sum, with what its additions rounded off.
        ExpandingSum = "sum"() "the unit of x" [sum = 0.0, lost = 0.0] from 1, "Neumaier 1974" => {
            let with = *sum + x;
            *lost += if sum.abs() >= x.abs() { (*sum - with) + x } else { (x - with) + *sum };
            *sum = with;
            *sum + *lost
        };
        /// Arithmetic mean.
        ExpandingMean = "mean"() "the unit of x" [mean = 0.0] from 1, "Welford 1962" => {
            *mean += (x - *mean) / (before + 1.0);
            *mean
        };
        /// Variance with divisor n - 1.
        ExpandingVar = "var"() "the unit of x, squared" [mean = 0.0, squares = 0.0] from 2, "Welford 1962"
            => variance([mean, squares], x, before);
        /// Standard deviation with divisor n - 1.
        ExpandingStd = "std"() "the unit of x" [mean = 0.0, squares = 0.0] from 2, "Welford 1962"
            => sqrt(variance([mean, squares], x, before));
        /// Smallest value.
        ExpandingMin = "min"() "the unit of x" [min = 0.0] from 1, "pandas" => {
            *min = if before == 0.0 || x < *min { x } else { *min };
            *min
        };
        /// Largest value.
        ExpandingMax = "max"() "the unit of x" [max = 0.0] from 1, "pandas" => {
            *max = if before == 0.0 || x > *max { x } else { *max };
            *max
        };
    }
    Named {
        /// Events of the symmetric CUSUM filter: 1 where the sum of changes above 0 passes h, -1 where the one below 0 passes -h,
        /// else 0. The sum that passed begins anew at 0.
        CusumEvents = "cusum_events"(h: Number(0.0, 1e300)) "-1, 0 or 1" [last = 0.0, up = 0.0, down = 0.0]
            from 2, "Page 1954, Lopez de Prado 2018" => {
            let change = if before == 0.0 { 0.0 } else { x - *last };
            *last = x;
            (*up, *down) = ((*up + change).max(0.0), (*down + change).min(0.0));
            if *down < -h {
                *down = 0.0;
                -1.0
            } else if *up > h {
                *up = 0.0;
                1.0
            } else {
                0.0
            }
        };
        /// Variance of the next return by GARCH(1,1): omega + alpha x^2 + beta times the variance before, which at first is
        /// omega / (1 - alpha - beta). x is a return less its mean.
        GarchVariance = "garch_variance"(omega: Number(0.0, 1e300), alpha: Real(0.0, 1.0), beta: Real(0.0, 1.0))
            "the unit of x, squared" [variance = omega / (1.0 - alpha - beta)] from 1; unless alpha + beta >= 1.0, "alpha + beta must be below 1", "Bollerslev 1986" => {
            *variance = omega + alpha * (x * x) + beta * *variance;
            *variance
        };
        /// Intensity of a Hawkes process with an exponential kernel, just before the event: mu + alpha times the sum of
        /// x e^(-beta age) over the values before it, ages in seconds. x is 1 an event, or its mark.
        HawkesIntensity = "hawkes_intensity"(mu: Real(0.0, 1e300), alpha: Real(0.0, 1e300), beta: Number(0.0, 1e300))
            "events a second" [excited = 0.0] from 1, timed, "Hawkes 1971, Ogata 1981" => {
            *excited *= libm::exp(-beta * (ns / 1e9));
            let intensity = mu + alpha * *excited;
            *excited += x;
            intensity
        };
    }
}

/// What a weight becomes after so many half-lives.
#[inline(always)]
fn fade(lives: f64) -> f64 {
    libm::exp2(-lives)
}

/// The weight of what passed in so many half-lives: 1 less what the rest becomes.
#[inline(always)]
fn passed(lives: f64) -> f64 {
    -libm::expm1(-std::f64::consts::LN_2 * lives)
}

/// Takes a value into the sum of weights, the mean, the sum of squared deviations, and the square of the sum of weights less the
/// sum of their squares.
#[inline(always)]
fn weighted_variance([weight, mean, squares, free]: [&mut f64; 4], x: f64, fade: f64) -> f64 {
    let older = *weight * fade;
    *weight = older + 1.0;
    let distance = x - *mean;
    *mean += distance / *weight;
    *squares = *squares * fade + distance * distance * (older / *weight);
    *free = *free * (fade * fade) + 2.0 * older;
    *squares * (*weight / *free)
}

/// Takes a value into the mean and the sum of squared deviations of as many as came before.
#[inline(always)]
fn variance([mean, squares]: [&mut f64; 2], x: f64, before: f64) -> f64 {
    let distance = x - *mean;
    *mean += distance / (before + 1.0);
    *squares += distance * distance * (before / (before + 1.0));
    *squares / before
}

impl ScanFamily {
    /// The word of the graph's JSON before the name; none where the name is all.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::OverTime => Some("ewm"),
            Self::Expanding => Some("expanding"),
            Self::Named => None,
        }
    }

    /// What tells its rows from others of that name.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::OverTime => "ewm_over_time.",
            Self::Expanding => "expanding.",
            Self::Named => "",
        }
    }
}

impl Scan {
    /// The scan of this name.
    pub fn named(family: ScanFamily, name: &str) -> Option<Self> {
        let mut all = Self::of(family);
        all.find(|f| f.row().name == name)
    }

    /// All of a family.
    pub fn of(family: ScanFamily) -> impl Iterator<Item = Self> + Clone {
        let all = Self::ALL.iter().copied();
        all.filter(move |f| f.row().family == family)
    }

    /// The scan of this name with its family's prefix.
    pub fn qualified(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|f| {
            let row = f.row();
            name.strip_prefix(row.family.prefix()) == Some(row.name)
        })
    }
}
