//! Exponentially weighted mean over valid values.

use super::at;
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, all_finite};
use signal_kernels::ewm::Ewm;
use signal_kernels::simd::Simd;
use signal_kernels::state::{Exhausted, State};

#[derive(Clone, Debug)]
pub struct Exponential {
    ewm: Ewm,
    min_periods: usize,
    x: Slot,
    out: Slot,
    cold: Code,
}

impl Exponential {
    pub fn new(alpha: f64, min_periods: usize, x: Slot, out: Slot) -> Self {
        Self {
            ewm: Ewm::new(alpha),
            min_periods,
            x,
            out,
            cold: Reason::Warmup.code(),
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.ewm.places(touch);
    }

    pub fn set_cold(&mut self, code: Code) {
        self.cold = code;
    }

    /// Takes one event whose operand is valid, once the mean is.
    #[inline(always)]
    pub fn take(&mut self, values: &mut [f64; SPAN]) -> bool {
        if self.ewm.count() + 1 < self.min_periods {
            return false;
        }
        values[usize::from(self.out)] = self.ewm.push(values[usize::from(self.x)]);
        true
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let (x, out) = (
            at::<STRIDE>(regs, self.x, i),
            at::<STRIDE>(regs, self.out, i),
        );
        match regs.reasons[x] {
            VALID => {
                let mean = self.ewm.push(regs.values[x]);
                if self.ewm.count() >= self.min_periods {
                    regs.set_computed(out, mean);
                } else {
                    regs.set(out, 0.0, self.cold);
                }
            }
            code => regs.set(out, 0.0, code),
        }
    }

    #[inline(always)]
    pub fn block<I: Simd>(&mut self, isa: I, regs: &mut Registers, n: usize) -> bool {
        let (x, out) = (usize::from(self.x), usize::from(self.out));
        if !regs.clean[x] || self.ewm.count() + 1 < self.min_periods {
            return false;
        }
        let ([xs], room) = regs.below_and([x], out, n);
        self.ewm.push_block(isa, xs, room);
        let faults = u64::from(!all_finite(room));
        regs.settle(out, n, faults);
        true
    }
}

impl State for Exponential {
    fn save(&self, out: &mut Vec<u8>) {
        self.ewm.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.ewm.load(bytes)
    }
}
