//! Functions of one or two numbers at one moment. A result that is not finite means that the operands lie outside the
//! function's domain; the engine marks it so.

use crate::log;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// -1, 0 or 1
    Sign,
    /// Natural logarithm; domain `x > 0`.
    Log,
    /// `ln(1 + x)`; domain `x > -1`.
    Log1p,
    /// `e^x`
    Exp,
    /// Square root; domain `x >= 0`.
    Sqrt,
}

impl Unary {
    /// The value of the function at `x`.
    #[inline(always)]
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Neg => -x,
            Self::Abs => x.abs(),
            Self::Sign => sign(x),
            Self::Log => log::log(x),
            Self::Log1p => log::log1p(x),
            Self::Exp => libm::exp(x),
            Self::Sqrt => sqrt(x),
        }
    }

    /// The function at each of `xs`, all finite. Gives 0 if the results are.
    #[inline(always)]
    pub fn apply_block(self, xs: &[f64], out: &mut [f64]) -> u64 {
        match self {
            Self::Neg => map(xs, out, |x| -x),
            Self::Abs => map(xs, out, f64::abs),
            Self::Sign => map(xs, out, sign),
            Self::Log => map(xs, out, log::log),
            Self::Log1p => map(xs, out, log::log1p),
            Self::Exp => map(xs, out, libm::exp),
            Self::Sqrt => map(xs, out, sqrt),
        }
    }
}

/// A function of two numbers. Comparisons give 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `x + y`
    Add,
    /// `x - y`
    Sub,
    /// `x * y`
    Mul,
    /// `x / y`; domain `y != 0`.
    Div,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// 1 where `x < y`.
    Lt,
    /// 1 where `x <= y`.
    Le,
    /// 1 where `x == y`.
    Eq,
    /// 1 where `x != y`.
    Ne,
}

impl Binary {
    /// The value of the function at `(x, y)`.
    #[inline(always)]
    pub fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Div => x / y,
            Self::Min => min(x, y),
            Self::Max => max(x, y),
            Self::Lt => truth(x < y),
            Self::Le => truth(x <= y),
            Self::Eq => truth(x == y),
            Self::Ne => truth(x != y),
        }
    }

    /// The function at each pair, all finite. Gives 0 if the results are.
    #[inline(always)]
    pub fn apply_block(self, xs: &[f64], ys: &[f64], out: &mut [f64]) -> u64 {
        match self {
            Self::Add => zip(xs, ys, out, |x, y| x + y),
            Self::Sub => zip(xs, ys, out, |x, y| x - y),
            Self::Mul => zip(xs, ys, out, |x, y| x * y),
            Self::Div => zip(xs, ys, out, |x, y| x / y),
            Self::Min => zip(xs, ys, out, min),
            Self::Max => zip(xs, ys, out, max),
            Self::Lt => zip(xs, ys, out, |x, y| truth(x < y)),
            Self::Le => zip(xs, ys, out, |x, y| truth(x <= y)),
            Self::Eq => zip(xs, ys, out, |x, y| truth(x == y)),
            Self::Ne => zip(xs, ys, out, |x, y| truth(x != y)),
        }
    }
}

/// Not 0 if the number is infinite or NaN: many are collected with `|` and looked at once.
#[inline(always)]
pub fn fault(x: f64) -> u64 {
    #[allow(clippy::eq_op)] // inf - inf is NaN
    let zero = x - x;
    zero.to_bits()
}

/// `f` of each number; gives the faults of all.
#[inline(always)]
pub fn map(xs: &[f64], out: &mut [f64], f: impl Fn(f64) -> f64) -> u64 {
    let n = out.len();
    let xs = &xs[..n];
    let mut faults = 0;
    for i in 0..n {
        out[i] = f(xs[i]);
        faults |= fault(out[i]);
    }
    faults
}

/// `f` of each pair; gives the faults of all.
#[inline(always)]
pub fn zip(xs: &[f64], ys: &[f64], out: &mut [f64], f: impl Fn(f64, f64) -> f64) -> u64 {
    let n = out.len();
    let (xs, ys) = (&xs[..n], &ys[..n]);
    let mut faults = 0;
    for i in 0..n {
        out[i] = f(xs[i], ys[i]);
        faults |= fault(out[i]);
    }
    faults
}

/// IEEE square root: exact on every target.
#[inline(always)]
pub fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

#[inline(always)]
fn sign(x: f64) -> f64 {
    truth(x > 0.0) - truth(x < 0.0)
}

#[inline(always)]
fn min(x: f64, y: f64) -> f64 {
    if x < y { x } else { y }
}

#[inline(always)]
fn max(x: f64, y: f64) -> f64 {
    if x > y { x } else { y }
}

#[inline(always)]
fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}
