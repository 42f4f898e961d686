//! The table of formulas. A new one is a row here, a page in `specs/`, a method in Python and an oracle.

use crate::formula::{Missing, OPERANDS_MAX, Row, Values, formulas};
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
            let of = [0, 1, 2, 3].map(|k| &columns[k][..]);
            let mut out = vec![0.0; 225];
            let faults = formula.values(of, &mut out);
            let mut any = false;
            for i in 0..225 {
                let one = formula.value(of.map(|column| column[i]));
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
