//! Numbers with their reasons, for one event or for a block of events.

use crate::op::Reg;
use crate::reason::Reason;
use signal_kernels::BLOCK;
pub use signal_kernels::elementwise::fault;
use signal_kernels::history::lines;

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

/// Reasons that say that messages of a stream were lost.
pub fn is_loss(code: Code) -> bool {
    code == Reason::Gap.code() || code == Reason::Disconnected.code()
}

/// Whether every number is finite.
#[inline(always)]
pub fn all_finite(xs: &[f64]) -> bool {
    xs.iter().fold(0, |seen, &x| seen | fault(x)) == 0
}

/// The same for a few numbers that have just been written one by one: it reads them so too, because a processor waits
/// before it reads many at once that are not in its cache yet.
#[inline(always)]
pub fn each_finite(xs: &[f64]) -> bool {
    xs.iter().all(|x| x.is_finite())
}

/// A register as a step holds it. Two bytes keep steps small.
pub type Slot = u16;

/// Numbers that one event's registers have room for: as many as a [`Slot`] can name, so that none needs a check. What is
/// never touched takes no memory.
pub const SPAN: usize = 1 << Slot::BITS;

/// The register's name in a step. A graph has far fewer nodes than a slot has names.
pub fn slot(reg: Reg) -> Slot {
    debug_assert!(reg < SPAN);
    reg as Slot
}

/// The registers of a program, with one slot each for one event or [`BLOCK`] for a block.
///
/// Invariants: an invalid slot holds NaN; in a block, `clean[r]` means that all of the current rows of `r` are valid
/// (its reasons may then be old); for one event, every reason is `VALID` unless `has_invalid`.
#[derive(Clone, Debug)]
pub struct Registers {
    /// Values: row `i` of register `r` at `at(r) + i`.
    pub values: Vec<f64>,
    /// Reasons, placed alike.
    pub reasons: Vec<Code>,
    /// Registers without an invalid row in the current block.
    pub clean: Vec<bool>,
    /// Whether one event's reasons may not all be `VALID`.
    pub has_invalid: bool,
    /// Where a cache line and the first register begin.
    origin: usize,
    stride: usize,
}

impl Registers {
    /// Registers for one event or for blocks.
    pub fn new(registers: usize, consts: &[f64], first_const: usize, block: bool) -> Self {
        assert!(
            registers <= SPAN,
            "{registers} registers are more than steps can name"
        );
        let (values, origin) = if block {
            lines(registers * BLOCK)
        } else {
            (vec![0.0; SPAN], 0)
        };
        let stride = if block { BLOCK } else { 1 };
        let mut this = Self {
            values,
            reasons: vec![VALID; origin + registers * stride],
            clean: vec![true; registers],
            has_invalid: false,
            origin,
            stride,
        };
        for (i, x) in consts.iter().enumerate() {
            let at = this.at(first_const + i);
            this.values[at..at + stride].fill(*x);
        }
        this
    }

    /// Where a register's rows begin.
    #[inline(always)]
    pub fn at(&self, reg: Reg) -> usize {
        self.origin + reg * self.stride
    }

    /// Rows `0..n` of a register.
    #[inline(always)]
    pub fn rows(&self, reg: Reg, n: usize) -> &[f64] {
        &self.values[self.at(reg)..][..n]
    }

    /// Reasons of rows `0..n` of a register that is not clean.
    #[inline(always)]
    pub fn codes(&self, reg: Reg, n: usize) -> &[Code] {
        &self.reasons[self.at(reg)..][..n]
    }

    /// One event's values.
    #[inline(always)]
    pub fn span(&mut self) -> &mut [f64; SPAN] {
        match self.values.first_chunk_mut() {
            Some(values) => values,
            None => unreachable!("one event's registers have room for every name"),
        }
    }

    /// Writes one event's values of some registers.
    #[inline(always)]
    pub fn gather(&mut self, regs: &[Slot], out: &mut [f64]) {
        let values = self.span();
        for (place, &reg) in out.iter_mut().zip(regs) {
            *place = values[usize::from(reg)];
        }
    }

    /// Sets one slot: a value, or NaN where the code says why there is none.
    #[inline(always)]
    pub fn set(&mut self, at: usize, value: f64, code: Code) {
        self.values[at] = if code == VALID { value } else { f64::NAN };
        self.reasons[at] = code;
        self.has_invalid |= code != VALID;
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
            self.has_invalid = true;
        }
    }

    /// Forgets the reasons of the event before if the first `inputs` registers, just loaded, are valid. Gives whether
    /// they are.
    #[inline(always)]
    pub fn refresh(&mut self, inputs: usize) -> bool {
        if !self.has_invalid {
            return true;
        }
        let sound = self.reasons[..inputs]
            .iter()
            .fold(VALID, |seen, &code| seen | code)
            == VALID;
        if sound {
            self.reasons.fill(VALID);
            self.has_invalid = false;
        }
        sound
    }

    /// Rows `0..n` of `below` and of `out`, where `out` is the larger register.
    #[inline(always)]
    pub fn below_and<const K: usize>(
        &mut self,
        below: [Reg; K],
        out: Reg,
        n: usize,
    ) -> ([&[f64]; K], &mut [f64]) {
        let (origin, stride) = (self.origin, self.stride);
        let (front, back) = self.values.split_at_mut(origin + out * stride);
        (
            below.map(|reg| &front[origin + reg * stride..][..n]),
            &mut back[..n],
        )
    }

    /// Takes rows `0..n` of a register of another program.
    pub fn take_rows(&mut self, reg: Reg, other: &Self, source: Reg, n: usize) {
        let at = self.at(reg);
        self.values[at..at + n].copy_from_slice(other.rows(source, n));
        self.clean[reg] = other.clean[source];
        if !other.clean[source] {
            self.reasons[at..at + n].copy_from_slice(other.codes(source, n));
        }
    }

    /// Marks rows `0..n` of `reg`, just computed from clean operands: all valid if there are no faults, else `DOMAIN`
    /// where a value is not finite.
    #[inline(always)]
    pub fn settle(&mut self, reg: Reg, n: usize, faults: u64) {
        self.clean[reg] = faults == 0;
        if faults != 0 {
            self.mark_domain(reg, n);
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_domain(&mut self, reg: Reg, n: usize) {
        for at in self.at(reg)..self.at(reg) + n {
            let value = self.values[at];
            self.set_computed(at, value);
        }
    }

    /// Fills the reasons of a clean register, before rows are looked at one by one.
    pub fn spell_out(&mut self, reg: Reg, n: usize) {
        if self.clean[reg] {
            let at = self.at(reg);
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
