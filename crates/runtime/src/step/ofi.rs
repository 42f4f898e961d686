//! Order-flow imbalance of the best level: Cont, Kukanov & Stoikov (2014), equation 1.

use super::{at, first_fault};
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, fault};
use signal_kernels::state::{Exhausted, State, put_f64, take, take_f64};

/// Remembers the best level of the event before, or why there is none.
#[derive(Clone, Debug)]
pub struct Ofi {
    /// Bid price, bid quantity, ask price, ask quantity.
    of: [Slot; 4],
    out: Slot,
    before: [f64; 4],
    before_code: Code,
}

/// Bid queue gained minus ask queue gained, by how the best prices moved.
#[inline(always)]
fn flow([pb, qb, pa, qa]: [f64; 4], [pb0, qb0, pa0, qa0]: [f64; 4]) -> f64 {
    let bid = (if pb >= pb0 { qb } else { 0.0 }) - (if pb <= pb0 { qb0 } else { 0.0 });
    let ask = (if pa <= pa0 { qa } else { 0.0 }) - (if pa >= pa0 { qa0 } else { 0.0 });
    bid - ask
}

impl Ofi {
    pub fn new(of: [Slot; 4], out: Slot) -> Self {
        Self {
            of,
            out,
            before: [0.0; 4],
            before_code: Reason::Warmup.code(),
        }
    }

    pub fn set_cold(&mut self, code: Code) {
        self.before_code = code;
    }

    /// Takes one event whose operands are valid, after one whose were.
    #[inline(always)]
    pub fn take(&mut self, values: &mut [f64; SPAN]) -> bool {
        if self.before_code != VALID {
            return false;
        }
        let now = self.of.map(|reg| values[usize::from(reg)]);
        let result = flow(now, self.before);
        self.before = now;
        values[usize::from(self.out)] = result;
        true
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let of = self.of.map(|reg| at::<STRIDE>(regs, reg, i));
        let out = at::<STRIDE>(regs, self.out, i);
        let now = of.map(|of| regs.values[of]);
        let code = of
            .iter()
            .map(|&of| regs.reasons[of])
            .fold(VALID, first_fault);
        match first_fault(code, self.before_code) {
            VALID => regs.set_computed(out, flow(now, self.before)),
            fault => regs.set(out, 0.0, fault),
        }
        (self.before, self.before_code) = (now, code);
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        let (of, out) = (self.of.map(usize::from), usize::from(self.out));
        if self.before_code != VALID || !of.iter().all(|&reg| regs.clean[reg]) {
            return false;
        }
        let ([pb, qb, pa, qa], room) = regs.below_and(of, out, n);
        room[0] = flow([pb[0], qb[0], pa[0], qa[0]], self.before);
        let mut faults = fault(room[0]);
        for i in 1..n {
            room[i] = flow(
                [pb[i], qb[i], pa[i], qa[i]],
                [pb[i - 1], qb[i - 1], pa[i - 1], qa[i - 1]],
            );
            faults |= fault(room[i]);
        }
        self.before = [pb[n - 1], qb[n - 1], pa[n - 1], qa[n - 1]];
        regs.settle(out, n, faults);
        true
    }
}

impl State for Ofi {
    fn save(&self, out: &mut Vec<u8>) {
        self.before.iter().for_each(|&x| put_f64(out, x));
        out.push(self.before_code);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        for slot in &mut self.before {
            *slot = take_f64(bytes)?;
        }
        [self.before_code] = take(bytes)?;
        Ok(())
    }
}
