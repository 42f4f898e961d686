//! Recursions over valid values.

use super::{EvalTime, at};
use crate::memory::{SCAN_KEPT, SCAN_PARAMETERS, Scan};
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, all_finite, fault};
use signal_kernels::state::{
    Exhausted, State, put_f64, put_i64, put_u64, take_f64, take_i64, take_u64,
};

/// Invariant: what is kept is finite.
#[derive(Clone, Debug)]
pub struct Scanned {
    f: Scan,
    parameters: [f64; SCAN_PARAMETERS],
    min_periods: u64,
    x: Slot,
    out: Slot,
    cold: Code,
    kept: [f64; SCAN_KEPT],
    /// Values taken.
    count: u64,
    /// Time of the newest value, where the scan reads it.
    newest: i64,
}

impl Scanned {
    pub fn new(
        f: Scan,
        parameters: [f64; SCAN_PARAMETERS],
        min_periods: usize,
        x: Slot,
        out: Slot,
    ) -> Self {
        Self {
            f,
            parameters,
            min_periods: min_periods as u64,
            x,
            out,
            cold: Reason::Warmup.code(),
            kept: f.start(parameters),
            count: 0,
            newest: 0,
        }
    }

    pub fn set_cold(&mut self, code: Code) {
        self.cold = code;
    }

    pub fn reads_time(&self) -> bool {
        self.f.row().reads_time
    }

    /// Takes a value; gives what the scan makes of it. Where a number that is kept is more than a double holds there is none, and
    /// the scan begins anew.
    #[inline(always)]
    fn push(&mut self, x: f64, ns: f64) -> Option<f64> {
        let before = self.count as f64;
        let value = self.f.next(self.parameters, &mut self.kept, x, ns, before);
        if all_finite(&self.kept) {
            self.count += 1;
            Some(value)
        } else {
            (self.kept, self.count) = (self.f.start(self.parameters), 0);
            None
        }
    }

    /// Takes one event whose operand is valid, once the result is; of a scan that reads no time.
    #[inline(always)]
    pub fn take(&mut self, values: &mut [f64; SPAN]) -> bool {
        if self.count + 1 < self.min_periods {
            return false;
        }
        let value = self.push(values[usize::from(self.x)], 0.0);
        values[usize::from(self.out)] = value.unwrap_or(f64::NAN);
        true
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize, time: EvalTime) {
        let [x, out] = [self.x, self.out].map(|slot| at::<STRIDE>(regs, slot, i));
        match regs.reasons[x] {
            VALID => {
                let ns = match self.count {
                    0 => 0.0,
                    _ => time.t.saturating_sub(self.newest) as f64,
                };
                // Other ways lead through a scan that reads no time, and leave the same state.
                if self.reads_time() {
                    self.newest = time.t;
                }
                match self.push(regs.values[x], ns) {
                    Some(_) if self.count < self.min_periods => regs.set(out, 0.0, self.cold),
                    value => regs.set_computed(out, value.unwrap_or(f64::NAN)),
                }
            }
            code => regs.set(out, 0.0, code),
        }
    }

    /// Takes a block; of a scan that reads no time. `false` where rows are taken one by one.
    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        let [x, out] = [self.x, self.out].map(usize::from);
        if self.reads_time() || !regs.clean[x] || self.count + 1 < self.min_periods {
            return false;
        }
        let ([xs], room) = regs.below_and([x], out, n);
        let first = self.clone();
        let mut faults = 0;
        for (value, &x) in room.iter_mut().zip(xs) {
            let Some(made) = self.push(x, 0.0) else {
                *self = first;
                return false;
            };
            *value = made;
            faults |= fault(made);
        }
        regs.settle(out, n, faults);
        true
    }
}

impl State for Scanned {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.count);
        put_i64(out, self.newest);
        self.kept.iter().for_each(|&x| put_f64(out, x));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.count = take_u64(bytes)?;
        self.newest = take_i64(bytes)?;
        for x in &mut self.kept {
            *x = take_f64(bytes)?;
        }
        if !all_finite(&self.kept) || self.count == u64::MAX {
            return Err(Exhausted);
        }
        Ok(())
    }
}
