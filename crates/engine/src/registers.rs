//! Numbers with their reasons, for one event or for a block of events.

use signal_event::Reason;
use signal_kernels::BLOCK;

/// Reason codes as registers hold them: 0 is valid.
pub type Code = u8;

/// The code of a valid value.
pub const VALID: Code = Reason::Valid.code();

/// Codes that mean that nothing happened yet or nothing was there, as against a fault of the feed or the data. A window
/// over time goes on over an absence; a fault of its newest value makes it invalid.
pub fn is_absence(code: Code) -> bool {
    [Reason::Warmup, Reason::Missing, Reason::Empty]
        .iter()
        .any(|reason| reason.code() == code)
}

/// Whether every number is finite. Integer arithmetic, so that it vectorises: an exponent of all ones carries into the
/// sign bit when one is added to it.
#[inline(always)]
pub fn all_finite(xs: &[f64]) -> bool {
    let carried = xs.iter().fold(0u64, |seen, x| {
        seen | ((x.to_bits() & (u64::MAX >> 1)) + (1 << 52))
    });
    carried >> 63 == 0
}

/// The registers of a program. `ONE` event needs one slot a register; a block needs [`BLOCK`].
///
/// Invariants: an invalid slot holds NaN; in a block, `clean[r]` means that all of the current rows of `r` are valid
/// (its reasons may then be old).
#[derive(Clone, Debug)]
pub struct Registers {
    /// Values: register `r`, row `i` at `r * stride + i`.
    pub values: Vec<f64>,
    /// Reasons, placed alike.
    pub reasons: Vec<Code>,
    /// Registers without an invalid row in the current block.
    pub clean: Vec<bool>,
    stride: usize,
}

impl Registers {
    /// Registers for one event (`rows = 1`) or for blocks.
    pub fn new(registers: usize, consts: &[f64], first_const: usize, block: bool) -> Self {
        let stride = if block { BLOCK } else { 1 };
        let mut this = Self {
            values: vec![0.0; registers * stride],
            reasons: vec![VALID; registers * stride],
            clean: vec![true; registers],
            stride,
        };
        for (i, x) in consts.iter().enumerate() {
            let at = (first_const + i) * stride;
            this.values[at..at + stride].fill(*x);
        }
        this
    }

    /// Slots between neighbouring registers.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Rows `0..n` of a register.
    #[inline(always)]
    pub fn rows(&self, reg: usize, n: usize) -> &[f64] {
        &self.values[reg * self.stride..reg * self.stride + n]
    }

    /// Sets one slot: a value, or NaN where the code says why there is none.
    #[inline(always)]
    pub fn set(&mut self, at: usize, value: f64, code: Code) {
        self.values[at] = if code == VALID { value } else { f64::NAN };
        self.reasons[at] = code;
    }

    /// Sets one slot to a computed value; one that is not finite lies outside the operator's domain.
    #[inline(always)]
    pub fn set_computed(&mut self, at: usize, value: f64) {
        if value.is_finite() {
            self.values[at] = value;
            self.reasons[at] = VALID;
        } else {
            self.values[at] = f64::NAN;
            self.reasons[at] = Reason::Domain.code();
        }
    }

    /// Rows `0..n` of `below` and of `out`, where `out` is the larger register.
    #[inline(always)]
    pub fn below_and(
        &mut self,
        below: [usize; 2],
        out: usize,
        n: usize,
    ) -> ([&[f64]; 2], &mut [f64]) {
        let (front, back) = self.values.split_at_mut(out * self.stride);
        let stride = self.stride;
        (
            below.map(|r| &front[r * stride..r * stride + n]),
            &mut back[..n],
        )
    }

    /// Marks rows `0..n` of `reg`, just computed from clean operands: all valid, or `DOMAIN` where not finite.
    #[inline(always)]
    pub fn settle(&mut self, reg: usize, n: usize) {
        let at = reg * self.stride;
        if all_finite(&self.values[at..at + n]) {
            self.clean[reg] = true;
        } else {
            self.mark_domain(reg, n);
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_domain(&mut self, reg: usize, n: usize) {
        self.clean[reg] = false;
        let at = reg * self.stride;
        for i in at..at + n {
            let value = self.values[i];
            self.set_computed(i, value);
        }
    }

    /// Fills the reasons of a clean register, before rows are looked at one by one.
    pub fn spell_out(&mut self, reg: usize, n: usize) {
        if self.clean[reg] {
            let at = reg * self.stride;
            self.reasons[at..at + n].fill(VALID);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_means_finite() {
        assert!(all_finite(&[
            0.0,
            -0.0,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324
        ]));
        for bad in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!all_finite(&[1.0, bad, 2.0]));
        }
    }
}
