//! Order-flow imbalance of the best level: Cont, Kukanov & Stoikov (2014), equation 1.

use crate::registers::{Code, Registers, VALID};
use crate::step::first_fault;
use signal_event::Reason;
use signal_features::plan::Reg;
use signal_kernels::state::{Exhausted, State, put_f64, take, take_f64};

/// Remembers the best level of the event before, or why there is none.
#[derive(Clone, Debug)]
pub struct Ofi {
    /// Bid price, bid quantity, ask price, ask quantity.
    of: [Reg; 4],
    out: Reg,
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
    pub fn new(of: [Reg; 4], out: Reg) -> Self {
        Self {
            of,
            out,
            before: [0.0; 4],
            before_code: Reason::Warmup.code(),
        }
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let now = self.of.map(|reg| regs.values[reg * STRIDE + i]);
        let code = self
            .of
            .iter()
            .map(|&reg| regs.reasons[reg * STRIDE + i])
            .fold(VALID, first_fault);
        match first_fault(code, self.before_code) {
            VALID => regs.set_computed(self.out * STRIDE + i, flow(now, self.before)),
            fault => regs.set(self.out * STRIDE + i, 0.0, fault),
        }
        (self.before, self.before_code) = (now, code);
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        if self.before_code != VALID || !self.of.iter().all(|&reg| regs.clean[reg]) {
            return false;
        }
        let stride = regs.stride();
        let (front, room) = regs.values.split_at_mut(self.out * stride);
        let [pb, qb, pa, qa] = self.of.map(|reg| &front[reg * stride..reg * stride + n]);
        let room = &mut room[..n];
        room[0] = flow([pb[0], qb[0], pa[0], qa[0]], self.before);
        for i in 1..n {
            room[i] = flow(
                [pb[i], qb[i], pa[i], qa[i]],
                [pb[i - 1], qb[i - 1], pa[i - 1], qa[i - 1]],
            );
        }
        self.before = [pb[n - 1], qb[n - 1], pa[n - 1], qa[n - 1]];
        regs.settle(self.out, n);
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
