//! Functions of a value and the one `n` events before it. Position counts, not validity: null next to a null.

use super::{at, first_fault};
use crate::memory::LagFn;
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID};
use signal_kernels::history::History;
use signal_kernels::state::{Exhausted, State, put_u64, take, take_u64};
use std::collections::VecDeque;

/// Invariants: `past` holds NaN where an event was invalid; `faults` lists those of the newest `n + 1` events, oldest first.
#[derive(Clone, Debug)]
pub struct Lag {
    f: LagFn,
    n: usize,
    x: Slot,
    out: Slot,
    past: History<1>,
    events: u64,
    faults: VecDeque<(u64, Code)>,
    cold: Code,
}

impl Lag {
    pub fn new(f: LagFn, n: usize, x: Slot, out: Slot) -> Self {
        Self {
            f,
            n,
            x,
            out,
            past: History::new(n),
            events: 0,
            faults: VecDeque::new(),
            cold: Reason::Warmup.code(),
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.past.places(self.n, touch);
    }

    pub fn set_cold(&mut self, code: Code) {
        self.cold = code;
    }

    /// Why the value `n` events before the coming one is invalid.
    #[inline(always)]
    fn older(&mut self) -> Code {
        if self.events < self.n as u64 {
            return self.cold;
        }
        let wanted = self.events - self.n as u64;
        while self
            .faults
            .front()
            .is_some_and(|&(event, _)| event < wanted)
        {
            self.faults.pop_front();
        }
        match self.faults.front() {
            Some(&(event, code)) if event == wanted => code,
            _ => VALID,
        }
    }

    /// Whether none of the events that the coming ones look back on is missing or invalid.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.events >= self.n as u64 && self.faults.is_empty()
    }

    /// Takes one event whose operand is valid, if the past is whole.
    #[inline(always)]
    pub fn take(&mut self, values: &mut [f64; SPAN]) -> bool {
        if !self.is_whole() {
            return false;
        }
        let value = values[usize::from(self.x)];
        let [older] = self.past.back(self.n - 1);
        self.past.reserve(1);
        self.past.push([value]);
        self.events += 1;
        let result = self.f.value(value, older);
        values[usize::from(self.out)] = result;
        true
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let (x, out) = (
            at::<STRIDE>(regs, self.x, i),
            at::<STRIDE>(regs, self.out, i),
        );
        let (value, code) = (regs.values[x], regs.reasons[x]);
        let older_code = self.older();
        let [older] = self.past.back(self.n - 1);
        if code != VALID {
            self.faults.push_back((self.events, code));
        }
        self.past.reserve(1);
        self.past.push([value]);
        self.events += 1;
        let code = if self.f.row().reads_newest {
            first_fault(code, older_code)
        } else {
            older_code
        };
        match code {
            VALID => regs.set_computed(out, self.f.value(value, older)),
            _ => regs.set(out, 0.0, code),
        }
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        let (x, out) = (usize::from(self.x), usize::from(self.out));
        if !regs.clean[x] || self.older() != VALID || !self.is_whole() {
            return false;
        }
        let ([xs], room) = regs.below_and([x], out, n);
        self.past.push_block([xs]);
        let older = self.past.block(0, n, self.n);
        let faults = self.f.values(xs, older, room);
        self.events += n as u64;
        regs.settle(out, n, faults);
        true
    }
}

impl State for Lag {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.events);
        self.past.save(out);
        put_u64(out, self.faults.len() as u64);
        for &(event, code) in &self.faults {
            put_u64(out, event);
            out.push(code);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.events = take_u64(bytes)?;
        self.past.load(bytes)?;
        let faults = take_u64(bytes)?;
        self.faults.clear();
        if faults > self.n as u64 + 1 {
            return Err(Exhausted);
        }
        for _ in 0..faults {
            let event = take_u64(bytes)?;
            let [code] = take(bytes)?;
            self.faults.push_back((event, code));
        }
        Ok(())
    }
}
