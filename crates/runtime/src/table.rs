//! The table of formulas. A new one is a row here, a page in `specs/`, a method in Python and an oracle.

use crate::black::{Terms, log_ratio};
use crate::formula::{Missing, OPERANDS_MAX, Row, Values, formulas};
use crate::implied::implied_vol;
use crate::special::{logit, normal_cdf, normal_pdf, normal_quantile};
use signal_kernels::elementwise::{fault, sqrt};
use signal_kernels::log;

formulas! {
    /// `-x`
    Neg = "neg"(x) Propagate, "IEEE 754-2019" => -x;
    /// `|x|`
    Abs = "abs"(x) Propagate, "IEEE 754-2019" => x.abs();
    /// -1, 0 or 1
    Sign = "sign"(x) Propagate, "numpy.sign" => truth(x > 0.0) - truth(x < 0.0);
    /// Natural logarithm; domain `x > 0`.
    Log = "log"(x) Propagate, "IEEE 754-2019" => log::log(x);
    /// `ln(1 + x)`; domain `x > -1`.
    Log1p = "log1p"(x) Propagate, "IEEE 754-2019" => log::log1p(x);
    /// `e^x`
    Exp = "exp"(x) Propagate, "IEEE 754-2019" => libm::exp(x);
    /// Square root; domain `x >= 0`.
    Sqrt = "sqrt"(x) Propagate, "IEEE 754-2019" => sqrt(x);
    /// `x + y`
    Add = "add"(x, y)["+"] Propagate, "IEEE 754-2019" => x + y;
    /// `x - y`
    Sub = "sub"(x, y)["-"] Propagate, "IEEE 754-2019" => x - y;
    /// `x * y`
    Mul = "mul"(x, y)["*"] Propagate, "IEEE 754-2019" => x * y;
    /// `x / y`; domain `y != 0`.
    Div = "div"(x, y)["/"] Propagate, "IEEE 754-2019" => x / y;
    /// The smaller.
    Min = "minimum"(x, y) Propagate, "numpy.minimum" => if x < y { x } else { y };
    /// The larger.
    Max = "maximum"(x, y) Propagate, "numpy.maximum" => if x > y { x } else { y };
    /// 1 where `x < y`.
    Lt = "lt"(x, y)["<"] Propagate, "IEEE 754-2019" => truth(x < y);
    /// 1 where `x <= y`.
    Le = "le"(x, y)["<="] Propagate, "IEEE 754-2019" => truth(x <= y);
    /// 1 where `x == y`.
    Eq = "eq"(x, y)["=="] Propagate, "IEEE 754-2019" => truth(x == y);
    /// 1 where `x != y`.
    Ne = "ne"(x, y)["!="] Propagate, "IEEE 754-2019" => truth(x != y);
    /// `x` where the condition is not 0, else `y`; only the chosen branch must be valid.
    Where = "where"(condition, x, y) Chosen, "numpy.where" => if condition != 0.0 { x } else { y };
    /// Hyperbolic tangent.
    Tanh = "tanh"(x) Propagate, "numpy.tanh" => libm::tanh(x);
    /// `1 / (1 + e^-x)`, in (0, 1).
    Sigmoid = "sigmoid"(x) Propagate, "scipy.special.expit" => 1.0 / (1.0 + libm::exp(-x));
    /// The nearest whole number; of two as near, the even one.
    Round = "round"(x) Propagate, "IEEE 754-2019 roundToIntegralTiesToEven" => x.round_ties_even();
    /// What is left of `x` after whole `y`, with the sign of `y`; domain `y != 0`.
    Mod = "mod"(x, y)["%"] Propagate, "Python, numpy.mod" => remainder(x, y);
    /// `x` to the power of `y`; domain as IEEE's pow, so a negative `x` needs a whole `y`.
    Pow = "pow"(x, y)["**"] Propagate, "IEEE 754-2019" => libm::pow(x, y);
    /// `|x|` to the power of `y`, with the sign of `x`.
    SignedPower = "signed_power"(x, y) Propagate, "Kakushadze 2016"
        => (truth(x > 0.0) - truth(x < 0.0)) * libm::pow(x.abs(), y);
    /// `x` where it is valid, else `y`.
    Coalesce = "coalesce"(x, y) FirstValid, "SQL:1999 COALESCE" => x;
    /// 1 where `x` is valid, else 0.
    IsValid = "is_valid"(x) Told, "polars is_not_null" => 1.0;
    /// 1 where neither is 0; a valid 0 decides alone.
    And = "and"(x, y)["&"] ZeroDecides, "SQL:1999 three-valued logic" => truth(x != 0.0 && y != 0.0);
    /// 1 where one is not 0; a valid one that is not 0 decides alone.
    Or = "or"(x, y)["|"] NonZeroDecides, "SQL:1999 three-valued logic" => truth(x != 0.0 || y != 0.0);
    /// 1 where `x` is 0, else 0.
    Not = "not"(x) Propagate, "SQL:1999 three-valued logic" => truth(x == 0.0);
    /// 1 where `low <= x <= high`.
    Between = "between"(x, low, high) Propagate, "SQL BETWEEN" => truth(low <= x && x <= high);
    /// The largest whole number not above `x`.
    Floor = "floor"(x) Propagate, "IEEE 754-2019 roundToIntegralTowardNegative" => x.floor();
    /// The smallest whole number not below `x`.
    Ceil = "ceil"(x) Propagate, "IEEE 754-2019 roundToIntegralTowardPositive" => x.ceil();
    /// `e^x - 1`, accurate for small `x`.
    Expm1 = "expm1"(x) Propagate, "IEEE 754-2019" => libm::expm1(x);
    /// Sine of an angle in radians.
    Sin = "sin"(x) Propagate, "IEEE 754-2019" => libm::sin(x);
    /// Cosine of an angle in radians.
    Cos = "cos"(x) Propagate, "IEEE 754-2019" => libm::cos(x);
    /// Error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to `x`.
    Erf = "erf"(x) Propagate, "Abramowitz & Stegun 7.1.1" => libm::erf(x);
    /// `1 - erf(x)`, accurate for large `x`.
    Erfc = "erfc"(x) Propagate, "Abramowitz & Stegun 7.1.2" => libm::erfc(x);
    /// `ln(x / (1 - x))`; domain (0, 1).
    Logit = "logit"(x) Propagate, "scipy.special.logit" => logit(x);
    /// Density of the standard normal distribution.
    NormalPdf = "normal_pdf"(x) Propagate, "Abramowitz & Stegun 26.2.1" => normal_pdf(x);
    /// Distribution function of the standard normal distribution.
    NormalCdf = "normal_cdf"(x) Propagate, "Abramowitz & Stegun 26.2.2" => normal_cdf(x);
    /// The `z` at which the standard normal distribution function is `x`; domain (0, 1).
    NormalQuantile = "normal_quantile"(x) Propagate, "Wichura 1988, AS 241" => normal_quantile(x);
    /// `ln(strike / forward)`
    LogMoneyness = "log_moneyness"(forward, strike) Propagate, "Gatheral 2006" => log_ratio(strike, forward);
    /// `ln(strike / forward) / (vol sqrt(years))`
    StdMoneyness = "std_moneyness"(forward, strike, years, vol) Propagate, "Gatheral 2006"
        => log_ratio(strike, forward) / (vol * sqrt(years));
    /// What a straddle at the money costs, as a part of the forward.
    StraddleMove = "straddle_move"(call, put, forward) Propagate, "Brenner & Subrahmanyam 1988" => (call + put) / forward;
    /// Discounted price of an option on a forward; `right` above 0 is a call, below 0 a put.
    BlackPrice = "black_price"(forward, strike, years, vol, discount, right) Propagate, "Black 1976"
        => Terms { forward, strike, years, vol, discount, right }.price();
    /// Volatility a year that a price implies; outside its domain below intrinsic value and from the bound on.
    ImpliedVol = "implied_vol"(price, forward, strike, years, discount, right) Propagate, "Jackel 2015"
        => implied_vol(price, forward, strike, years, discount, right);
    /// Change of the price with the forward.
    BlackDelta = "black_delta"(forward, strike, years, vol, discount, right) Propagate, "Black 1976, Hull 2018"
        => Terms { forward, strike, years, vol, discount, right }.delta();
    /// Change of delta with the forward.
    BlackGamma = "black_gamma"(forward, strike, years, vol, discount, right) Propagate, "Black 1976, Hull 2018"
        => Terms { forward, strike, years, vol, discount, right }.gamma();
    /// Change of the price with the volatility, for a change of 1.
    BlackVega = "black_vega"(forward, strike, years, vol, discount, right) Propagate, "Black 1976, Hull 2018"
        => Terms { forward, strike, years, vol, discount, right }.vega();
    /// Change of the price as time passes, a year, the forward unchanged.
    BlackTheta = "black_theta"(forward, strike, years, vol, discount, right) Propagate, "Black 1976, Hull 2018"
        => Terms { forward, strike, years, vol, discount, right }.theta();
    /// Change of delta with the volatility.
    BlackVanna = "black_vanna"(forward, strike, years, vol, discount, right) Propagate, "Taleb 1997, Haug 2007"
        => Terms { forward, strike, years, vol, discount, right }.vanna();
    /// Change of delta as time passes, a year, the forward unchanged.
    BlackCharm = "black_charm"(forward, strike, years, vol, discount, right) Propagate, "Taleb 1997, Haug 2007"
        => Terms { forward, strike, years, vol, discount, right }.charm();

    book:
    /// (best ask + best bid) / 2
    Mid = "mid"(bid, ask) Propagate, "Hasbrouck 2007" => (ask + bid) / 2.0;
    /// best ask - best bid
    Spread = "spread"(bid, ask) Propagate, "Hasbrouck 2007" => ask - bid;
    /// (ask price x bid quantity + bid price x ask quantity) / (bid quantity + ask quantity)
    Microprice = "microprice"(bid, bid_qty, ask, ask_qty) Propagate, "Gatheral & Oomen 2010"
        => (ask * bid_qty + bid * ask_qty) / (bid_qty + ask_qty);
}

impl Formula {
    /// The operator of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::OPERATORS.iter();
        all.find(|formula| formula.row().name == name).copied()
    }

    /// The value at valid operands; not finite where they lie outside its domain.
    #[inline(always)]
    pub fn value(self, of: Values) -> f64 {
        self.value_of(of, |x| x)
    }

    /// Number of its operands.
    #[inline]
    pub fn arity(self) -> usize {
        self.row().operands.len()
    }
}

/// As Python and numpy define it.
#[inline(always)]
fn remainder(x: f64, y: f64) -> f64 {
    let left = libm::fmod(x, y);
    if left == 0.0 {
        left.abs().copysign(y)
    } else if (left < 0.0) != (y < 0.0) {
        left + y
    } else {
        left
    }
}

#[inline(always)]
fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event and a block have the same bits, at ordinary numbers and at those that are not.
    #[test]
    fn one_value_and_a_block_are_the_same() {
        let numbers = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            -2.5,
            3.0,
            1e-300,
            -1e300,
            1e15,
            f64::MIN_POSITIVE,
            709.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        for &formula in Formula::OPERATORS.iter().chain(Formula::OF_BOOK) {
            let columns: Vec<Vec<f64>> = (0..OPERANDS_MAX)
                .map(|k| {
                    let at = |i: usize| numbers[(i * (k + 1) + i / 15 * k) % numbers.len()];
                    (0..225).map(at).collect()
                })
                .collect();
            let of = std::array::from_fn(|k| &columns[k][..]);
            let mut out = vec![0.0; 225];
            let faults = formula.values(of, &mut out);
            let mut any = false;
            for i in 0..225 {
                let one = formula.value(of.map(|column: &[f64]| column[i]));
                assert!(
                    one.to_bits() == out[i].to_bits() || one.is_nan() && out[i].is_nan(),
                    "{formula:?} at {:?}",
                    of.map(|column| column[i])
                );
                any |= !one.is_finite();
            }
            assert_eq!(faults != 0, any, "{formula:?}");
        }
    }

    #[test]
    fn names_are_distinct() {
        let all = Formula::OPERATORS.iter().chain(Formula::OF_BOOK);
        let mut names: Vec<&str> = all.map(|formula| formula.row().name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(Formula::named("log1p") == Some(Formula::Log1p) && Formula::named("mid").is_none());
    }
}
