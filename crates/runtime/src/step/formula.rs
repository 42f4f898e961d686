//! A step without state: a formula and its registers in a few bytes.

use super::{at, first_fault};
use crate::formula::{Missing, OPERANDS_MAX};
use crate::op::Reg;
use crate::registers::{Registers, SPAN, Slot, VALID, slot};
use crate::table::Formula;

/// A formula of a few registers. Those that it does not have repeat the first.
#[derive(Clone, Copy, Debug)]
pub struct FormulaStep {
    formula: Formula,
    of: [Slot; OPERANDS_MAX],
    out: Slot,
}

impl FormulaStep {
    pub fn new(formula: Formula, of: [Reg; OPERANDS_MAX], out: Reg) -> Self {
        Self {
            formula,
            of: of.map(slot),
            out: slot(out),
        }
    }

    /// Writes the result of valid operands, which may not be finite.
    #[inline(always)]
    pub fn take(&self, values: &mut [f64; SPAN]) {
        let result = {
            let values = &*values;
            let read = |reg: Slot| values[usize::from(reg)];
            self.formula.value_of(self.of, read)
        };
        values[usize::from(self.out)] = result;
    }

    /// Takes row `i`, with the reasons of its operands.
    #[inline(always)]
    pub fn row<const STRIDE: usize>(&self, regs: &mut Registers, i: usize) {
        let of = self.of.map(|reg| at::<STRIDE>(regs, reg, i));
        let out = at::<STRIDE>(regs, self.out, i);
        let code = |k: usize| regs.reasons[of[k]];
        // The operand that is the result, or why there is none.
        let chosen = match self.formula.missing() {
            Missing::Propagate => return self.propagate(regs, of, out),
            rule @ (Missing::ZeroDecides | Missing::NonZeroDecides) => {
                let decides = rule == Missing::NonZeroDecides;
                let decided = |k: usize| code(k) == VALID && (regs.values[of[k]] != 0.0) == decides;
                if decided(0) || decided(1) {
                    return regs.set(out, if decides { 1.0 } else { 0.0 }, VALID);
                }
                return self.propagate(regs, of, out);
            }
            Missing::Chosen if code(0) != VALID => of[0],
            Missing::Chosen if regs.values[of[0]] != 0.0 => of[1],
            Missing::Chosen => of[2],
            Missing::FirstValid if code(0) == VALID => of[0],
            Missing::FirstValid => of[1],
            Missing::Told => {
                let valid = if code(0) == VALID { 1.0 } else { 0.0 };
                return regs.set(out, valid, VALID);
            }
        };
        regs.set(out, regs.values[chosen], regs.reasons[chosen]);
    }

    /// The value of valid operands, or the reason of the first that is not.
    #[inline(always)]
    fn propagate(&self, regs: &mut Registers, of: [usize; OPERANDS_MAX], out: usize) {
        match of
            .iter()
            .map(|&of| regs.reasons[of])
            .fold(VALID, first_fault)
        {
            VALID => {
                let value = self.formula.value(of.map(|of| regs.values[of]));
                regs.set_computed(out, value);
            }
            code => regs.set(out, 0.0, code),
        }
    }

    /// Takes rows `0..n` of clean operands; `false` if some are not clean.
    #[inline(always)]
    pub fn block(&self, regs: &mut Registers, n: usize) -> bool {
        let (of, out) = (self.of.map(usize::from), usize::from(self.out));
        if !of.iter().all(|&reg| regs.clean[reg]) {
            return false;
        }
        let (of, room) = regs.below_and(of, out, n);
        let faults = self.formula.values(of, room);
        regs.settle(out, n, faults);
        true
    }
}
