//! Statistics with exponential weights, over valid values.

use super::{at, first_fault};
use crate::memory::Weighted;
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, all_finite, fault};
use signal_kernels::BLOCK;
use signal_kernels::ewm::Ewm;
use signal_kernels::simd::{Simd, Work};
use signal_kernels::state::{Exhausted, State};
use signal_kernels::weighted_moments::WeightedMoments;

/// What is kept of the values.
#[derive(Clone, Debug)]
enum Kept {
    Mean(Ewm),
    One(WeightedMoments<1, 2>),
    Two(WeightedMoments<2, 5>),
}

impl Kept {
    fn new(f: Weighted, alpha: f64) -> Self {
        match (f, f.arity()) {
            (Weighted::Mean, _) => Self::Mean(Ewm::new(alpha)),
            (_, 1) => Self::One(WeightedMoments::new(alpha)),
            _ => Self::Two(WeightedMoments::new(alpha)),
        }
    }

    #[inline(always)]
    fn count(&self) -> usize {
        match self {
            Self::Mean(ewm) => ewm.count(),
            Self::One(moments) => moments.count(),
            Self::Two(moments) => moments.count(),
        }
    }

    /// Takes the next value, or pair, and gives the statistic.
    #[inline(always)]
    fn push(&mut self, f: Weighted, x: f64, y: f64) -> f64 {
        match self {
            Self::Mean(ewm) => ewm.push(x),
            Self::One(moments) => {
                let kept = moments.push([x]);
                f.value(&kept.node, kept.unbiased)
            }
            Self::Two(moments) => {
                let kept = moments.push([x, y]);
                f.value(&kept.node, kept.unbiased)
            }
        }
    }
}

/// Takes a block of values, or pairs, and writes the statistic of each. Gives 0 if all are finite.
#[inline(always)]
fn block<I: Simd, const S: usize, const F: usize>(
    isa: I,
    f: Weighted,
    moments: &mut WeightedMoments<S, F>,
    columns: [&[f64]; S],
    out: &mut [f64],
) -> u64 {
    let n = out.len();
    let mut nodes = [[0.0; BLOCK]; F];
    moments.push_block(
        isa,
        columns,
        nodes.each_mut().map(|column| &mut column[..n]),
    );
    let mut faults = 0;
    for i in 0..n {
        let node = nodes.each_ref().map(|column| column[i]);
        out[i] = f.value(&node, moments.unbiased(n - 1 - i));
        faults |= fault(out[i]);
    }
    faults
}

#[derive(Clone, Debug)]
pub struct Exponential {
    f: Weighted,
    kept: Kept,
    min_periods: usize,
    x: Slot,
    y: Slot,
    out: Slot,
    cold: Code,
}

impl Exponential {
    pub fn new(f: Weighted, alpha: f64, min_periods: usize, [x, y]: [Slot; 2], out: Slot) -> Self {
        Self {
            f,
            kept: Kept::new(f, alpha),
            min_periods,
            x,
            y,
            out,
            cold: Reason::Warmup.code(),
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        match &self.kept {
            Kept::Mean(ewm) => ewm.places(touch),
            Kept::One(moments) => moments.places(touch),
            Kept::Two(moments) => moments.places(touch),
        }
    }

    pub fn set_cold(&mut self, code: Code) {
        self.cold = code;
    }

    /// Takes one event whose operands are valid, once the statistic is.
    #[inline(always)]
    pub fn take(&mut self, values: &mut [f64; SPAN]) -> bool {
        if self.kept.count() + 1 < self.min_periods {
            return false;
        }
        let [x, y] = [self.x, self.y].map(|slot| values[usize::from(slot)]);
        values[usize::from(self.out)] = self.kept.push(self.f, x, y);
        true
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let [x, y, out] = [self.x, self.y, self.out].map(|slot| at::<STRIDE>(regs, slot, i));
        match first_fault(regs.reasons[x], regs.reasons[y]) {
            VALID => {
                let value = self.kept.push(self.f, regs.values[x], regs.values[y]);
                if self.kept.count() >= self.min_periods {
                    regs.set_computed(out, value);
                } else {
                    regs.set(out, 0.0, self.cold);
                }
            }
            code => regs.set(out, 0.0, code),
        }
    }

    #[inline(always)]
    pub fn block<I: Simd>(&mut self, isa: I, regs: &mut Registers, n: usize) -> bool {
        let [x, y, out] = [self.x, self.y, self.out].map(usize::from);
        if !(regs.clean[x] && regs.clean[y]) || self.kept.count() + 1 < self.min_periods {
            return false;
        }
        let (columns, room) = regs.below_and([x, y], out, n);
        let faults = isa.outlined(PushBlock {
            kept: &mut self.kept,
            f: self.f,
            columns,
            out: room,
        });
        regs.settle(out, n, faults);
        true
    }
}

/// A block of values, or pairs, and the statistic of each. Gives 0 if all are finite.
struct PushBlock<'a> {
    kept: &'a mut Kept,
    f: Weighted,
    columns: [&'a [f64]; 2],
    out: &'a mut [f64],
}

impl Work for PushBlock<'_> {
    type Out = u64;

    #[inline(always)]
    fn run<I: Simd>(self, isa: I) -> u64 {
        let ([xs, ys], out) = (self.columns, self.out);
        match self.kept {
            Kept::Mean(ewm) => {
                ewm.push_block(isa, xs, out);
                u64::from(!all_finite(out))
            }
            Kept::One(moments) => block(isa, self.f, moments, [xs], out),
            Kept::Two(moments) => block(isa, self.f, moments, [xs, ys], out),
        }
    }
}

impl State for Exponential {
    fn save(&self, out: &mut Vec<u8>) {
        match &self.kept {
            Kept::Mean(ewm) => ewm.save(out),
            Kept::One(moments) => moments.save(out),
            Kept::Two(moments) => moments.save(out),
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        match &mut self.kept {
            Kept::Mean(ewm) => ewm.load(bytes),
            Kept::One(moments) => moments.load(bytes),
            Kept::Two(moments) => moments.load(bytes),
        }
    }
}
