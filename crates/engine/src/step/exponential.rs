//! Exponentially weighted mean over valid values.

use crate::registers::{Registers, VALID};
use signal_event::Reason;
use signal_features::plan::Reg;
use signal_kernels::ewm::Ewm;
use signal_kernels::state::{Exhausted, State};

#[derive(Clone, Debug)]
pub struct Exponential {
    ewm: Ewm,
    min_periods: usize,
    x: Reg,
    out: Reg,
}

impl Exponential {
    pub fn new(alpha: f64, min_periods: usize, x: Reg, out: Reg) -> Self {
        Self {
            ewm: Ewm::new(alpha),
            min_periods,
            x,
            out,
        }
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let (at, out) = (self.x * STRIDE + i, self.out * STRIDE + i);
        match regs.reasons[at] {
            VALID => {
                let mean = self.ewm.push(regs.values[at]);
                if self.ewm.count() >= self.min_periods {
                    regs.set_computed(out, mean);
                } else {
                    regs.set(out, 0.0, Reason::Warmup.code());
                }
            }
            code => regs.set(out, 0.0, code),
        }
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        if !regs.clean[self.x] || self.ewm.count() + 1 < self.min_periods {
            return false;
        }
        let ([xs, _], room) = regs.below_and([self.x, self.x], self.out, n);
        self.ewm.push_block(xs, room);
        regs.settle(self.out, n);
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
