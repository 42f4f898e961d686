//! A row of numbers, and the registers that it feeds.

use crate::reason::Reason;
use crate::registers::{Code, Registers, Slot, VALID, fault};
use crate::sides::Sides;

/// What a row feeds to a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowInputs {
    /// Register and column.
    pub columns: Vec<(Slot, usize)>,
    /// Registers that count rows.
    pub ones: Vec<Slot>,
    /// What makes numbers of a quote or a book invalid that are there.
    pub sides: Option<Sides>,
}

/// A number of a row with its reason: one that is not finite is none.
#[inline]
pub fn number(value: f64) -> (f64, Code) {
    if value.is_finite() {
        (value, VALID)
    } else {
        (0.0, Reason::Nan.code())
    }
}

impl RowInputs {
    /// Loads one row.
    #[inline(always)]
    pub fn load(&self, regs: &mut Registers, row: &[f64]) {
        let has_invalid = regs.has_invalid;
        let values = regs.span();
        let mut faults = 0;
        for &(reg, column) in &self.columns {
            values[usize::from(reg)] = row[column];
            faults |= fault(row[column]);
        }
        for &reg in &self.ones {
            values[usize::from(reg)] = 1.0;
        }
        if has_invalid || faults != 0 {
            self.spell(regs, row);
        }
    }

    /// The same with the reasons.
    #[cold]
    fn spell(&self, regs: &mut Registers, row: &[f64]) {
        for &(reg, column) in &self.columns {
            let (value, code) = number(row[column]);
            regs.set(usize::from(reg), value, code);
        }
        for &reg in &self.ones {
            regs.set(usize::from(reg), 1.0, VALID);
        }
    }

    /// Marks what is invalid in a row of a quote or a book; gives why its stream is invalid, if it is.
    #[inline(always)]
    pub fn check(&self, regs: &mut Registers, row: &[f64]) -> Code {
        let Some(sides) = &self.sides else {
            return VALID;
        };
        if sides.is_plain(row) {
            return VALID;
        }
        sides.check(
            |column| number(row[column]),
            |reg, code| regs.set(usize::from(reg), 0.0, code),
        )
    }
}
