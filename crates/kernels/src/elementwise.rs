//! Loops over numbers: what an elementwise formula does to a block. A result that is not finite means that the operands lie
//! outside the function's domain; the engine marks it so.

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
