//! The state of each operator and one step of it, with one formula an operator.
//!
//! Three ways lead through a step. `take` is for one event whose operands are all valid, and thinks of no reasons, as
//! does [`FormulaStep`] for formulas; `row` is for any event; `block` is for a block of events whose operands are all valid.
//! The bits are the same.

mod counted;
mod exponential;
mod formula;
mod lag;
mod ofi;
mod scan;
mod timed;
mod trees;

use crate::op::Op;
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, fault, slot};
use counted::CountedWindows;
use exponential::Exponential;
pub use formula::FormulaStep;
use lag::Lag;
use ofi::Ofi;
use scan::Scanned;
use signal_kernels::simd::{Scalar, Simd, Vector};
use signal_kernels::state::{Exhausted, State};
use timed::TimedWindows;
pub use trees::Scratch;

/// When a step is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct EvalTime {
    /// Axis time in nanoseconds.
    pub t: i64,
    /// Axis time of the stream's first valid event; `i64::MAX` before it.
    pub stream_since: i64,
}

/// An operator with its state.
#[derive(Clone, Debug)]
pub enum Step {
    /// See [`Op::Formula`].
    Formula(FormulaStep),
    /// Bid quantities, ask quantities; out.
    Imbalance(Box<[[Slot; 2]]>, Slot),
    /// See [`Op::Fresh`]: operand, age, limit, out.
    Fresh(Slot, Slot, f64, Slot),
    /// See [`Op::Lag`].
    Lag(Box<Lag>),
    /// See [`Op::Ofi`].
    Ofi(Box<Ofi>),
    /// Windows that count.
    Counted(Box<CountedWindows>),
    /// Windows over time.
    Timed(Box<TimedWindows>),
    /// See [`Op::Ewm`].
    Exponential(Box<Exponential>),
    /// See [`Op::Scan`].
    Scan(Box<Scanned>),
}

/// The place of row `i` of a register: with `STRIDE` 1 one event's, with `BLOCK` a block's.
#[inline(always)]
fn at<const STRIDE: usize>(regs: &Registers, reg: Slot, i: usize) -> usize {
    if STRIDE == 1 {
        usize::from(reg)
    } else {
        regs.at(usize::from(reg)) + i
    }
}

impl Step {
    /// The operator in its initial state.
    pub fn new(op: &Op) -> Self {
        match op {
            Op::Formula { f, of, out } => Self::Formula(FormulaStep::new(*f, *of, *out)),
            Op::Lag { f, n, x, out } => Self::Lag(Box::new(Lag::new(*f, *n, slot(*x), slot(*out)))),
            Op::Imbalance { of, out } => {
                let (bids, asks) = of.split_at(of.len() / 2);
                let levels = bids.iter().zip(asks);
                let levels = levels.map(|(&bid, &ask)| [slot(bid), slot(ask)]);
                Self::Imbalance(levels.collect(), slot(*out))
            }
            Op::Ofi { of, out } => Self::Ofi(Box::new(Ofi::new(of.map(slot), slot(*out)))),
            Op::Windows {
                timed: false,
                content,
                x,
                y,
                cap,
                reads,
            } => Self::Counted(Box::new(CountedWindows::new(*content, *x, *y, *cap, reads))),
            Op::Windows {
                timed: true,
                content,
                x,
                y,
                cap,
                reads,
            } => Self::Timed(Box::new(TimedWindows::new(*content, *x, *y, *cap, reads))),
            Op::Ewm {
                f,
                alpha,
                min_periods,
                x,
                y,
                out,
            } => {
                let of = [*x, y.unwrap_or(*x)].map(slot);
                let ewm = Exponential::new(*f, *alpha, *min_periods, of, slot(*out));
                Self::Exponential(Box::new(ewm))
            }
            Op::Scan {
                f,
                parameters,
                min_periods,
                x,
                out,
            } => {
                let of = (slot(*x), slot(*out));
                let scan = Scanned::new(*f, *parameters, *min_periods, of.0, of.1);
                Self::Scan(Box::new(scan))
            }
            Op::Fresh { x, age, ns, out } => {
                Self::Fresh(slot(*x), slot(*age), *ns as f64, slot(*out))
            }
        }
    }

    /// Takes one event of valid operands and writes the results, of which those that are not finite are invalid. `false`
    /// if nothing happened, because the state does not let every result be valid; `None` if only [`Step::row`] can tell.
    /// Formulas are taken as [`FormulaStep`].
    #[inline(always)]
    pub fn take<I: Simd>(&mut self, isa: I, values: &mut [f64; SPAN]) -> Option<bool> {
        Some(match self {
            Self::Lag(lag) => isa.outlined(|| lag.take(values)),
            Self::Ofi(ofi) => isa.outlined(|| ofi.take(values)),
            Self::Counted(windows) => windows.take(isa, values),
            Self::Exponential(ewm) => isa.outlined(|| ewm.take(values)),
            Self::Scan(scan) if !scan.reads_time() => isa.outlined(|| scan.take(values)),
            Self::Imbalance(levels, out) => {
                let sums = isa.outlined(|| {
                    let mut sums = [0.0; 2];
                    for level in levels.iter() {
                        for side in 0..2 {
                            sums[side] += values[usize::from(level[side])];
                        }
                    }
                    sums
                });
                values[usize::from(*out)] = imbalance(sums[0], sums[1]);
                true
            }
            _ => return None,
        })
    }

    /// Whether an event of valid operands leaves results that are valid if they are finite. Such a step may be taken
    /// before others' results are looked at, as long as its operands are not among them.
    pub fn is_valued(&self) -> bool {
        match self {
            Self::Timed(_) | Self::Fresh(..) => false,
            Self::Scan(scan) => !scan.reads_time(),
            _ => true,
        }
    }

    /// Why results are invalid that look back on more events than there were.
    pub fn set_cold(&mut self, code: Code) {
        match self {
            Self::Lag(lag) => lag.set_cold(code),
            Self::Ofi(ofi) => ofi.set_cold(code),
            Self::Counted(windows) => windows.set_cold(code),
            Self::Timed(windows) => windows.set_cold(code),
            Self::Exponential(ewm) => ewm.set_cold(code),
            Self::Scan(scan) => scan.set_cold(code),
            _ => {}
        }
    }

    /// Whether the step remembers events, so that it must see each once.
    pub fn remembers(&self) -> bool {
        matches!(
            self,
            Self::Lag(_)
                | Self::Ofi(_)
                | Self::Counted(_)
                | Self::Timed(_)
                | Self::Exponential(_)
                | Self::Scan(_)
        )
    }

    /// Takes row `i`: reads its operands, writes its results. `STRIDE` is 1 for one event's registers, `BLOCK` for a
    /// block's.
    #[inline(never)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize, time: EvalTime) {
        match self {
            Self::Formula(formula) => formula.row::<STRIDE>(regs, i),
            Self::Imbalance(levels, out) => {
                let out = at::<STRIDE>(regs, *out, i);
                // The best levels must be there; where the book has fewer than asked for, what is not there adds nothing.
                let best = levels[0].map(|reg| regs.reasons[at::<STRIDE>(regs, reg, i)]);
                let best = first_fault(best[0], best[1]);
                let side = |side: usize| {
                    levels.iter().fold((0.0, best), |(sum, code), level| {
                        let of = at::<STRIDE>(regs, level[side], i);
                        match regs.reasons[of] {
                            VALID => (sum + regs.values[of], code),
                            empty if empty == Reason::Empty.code() => (sum, code),
                            fault => (sum, first_fault(code, fault)),
                        }
                    })
                };
                let ((bid, code), (ask, other)) = (side(0), side(1));
                match first_fault(code, other) {
                    VALID => regs.set_computed(out, imbalance(bid, ask)),
                    code => regs.set(out, 0.0, code),
                }
            }
            Self::Fresh(x, age, limit, out) => {
                let [x, age, out] = [*x, *age, *out].map(|reg| at::<STRIDE>(regs, reg, i));
                let (value, code) = (regs.values[x], regs.reasons[x]);
                let stale = regs.reasons[age] == VALID && regs.values[age] > *limit;
                regs.set(
                    out,
                    value,
                    if code == VALID && stale {
                        Reason::Stale.code()
                    } else {
                        code
                    },
                );
            }
            Self::Lag(lag) => lag.row::<STRIDE>(regs, i),
            Self::Ofi(ofi) => ofi.row::<STRIDE>(regs, i),
            Self::Counted(windows) => windows.row::<STRIDE>(regs, i),
            Self::Timed(windows) => windows.row::<STRIDE>(regs, i, time),
            Self::Exponential(ewm) => ewm.row::<STRIDE>(regs, i),
            Self::Scan(scan) => scan.row::<STRIDE>(regs, i, time),
        }
    }

    /// Takes rows `0..n` of clean operands in one go, if the operator can; `false` if rows must be taken one by one.
    #[inline(always)]
    pub fn block<I: Simd>(
        &mut self,
        isa: I,
        regs: &mut Registers,
        n: usize,
        scratch: &mut Scratch,
    ) -> bool {
        match self {
            Self::Formula(formula) => formula.block(regs, n),
            Self::Imbalance(levels, out) => {
                let out = usize::from(*out);
                if !levels
                    .iter()
                    .flatten()
                    .all(|&reg| regs.clean[usize::from(reg)])
                {
                    return false;
                }
                let (side_by_side, to) = (n - n % I::LANES, regs.at(out));
                for i in (0..side_by_side).step_by(I::LANES) {
                    let values = imbalances(isa, regs, levels, i);
                    values.store(&mut regs.values[to + i..]);
                }
                for i in side_by_side..n {
                    regs.values[to + i] = imbalances(Scalar, regs, levels, i);
                }
                let faults = regs
                    .rows(out, n)
                    .iter()
                    .fold(0, |faults, &value| faults | fault(value));
                regs.settle(out, n, faults);
                true
            }
            Self::Lag(lag) => lag.block(regs, n),
            Self::Ofi(ofi) => ofi.block(regs, n),
            Self::Counted(windows) => windows.block(isa, regs, n, scratch),
            Self::Exponential(ewm) => ewm.block(isa, regs, n),
            Self::Scan(scan) => isa.outlined(|| scan.block(regs, n)),
            Self::Timed(_) | Self::Fresh(..) => false,
        }
    }

    /// The value of a window's statistic as known at `moment`, asked for from outside the program.
    pub fn outside(&mut self, read: usize, time: EvalTime) -> (f64, Code) {
        match self {
            Self::Counted(windows) => windows.outside(read),
            Self::Timed(windows) => windows.outside(read, time),
            _ => (f64::NAN, Reason::Missing.code()),
        }
    }

    /// Names the first byte and the length of what the step remembers.
    pub fn state(&self) -> (*const u8, usize) {
        fn whole<T>(state: &T) -> (*const u8, usize) {
            (std::ptr::from_ref(state).cast(), size_of::<T>())
        }
        match self {
            Self::Lag(lag) => whole(&**lag),
            Self::Ofi(ofi) => whole(&**ofi),
            Self::Counted(windows) => whole(&**windows),
            Self::Timed(windows) => whole(&**windows),
            Self::Exponential(ewm) => whole(&**ewm),
            Self::Scan(scan) => whole(&**scan),
            _ => (std::ptr::null(), 0),
        }
    }

    /// Names the places, beside its state, that the next event will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        match self {
            Self::Lag(lag) => lag.places(touch),
            Self::Counted(windows) => windows.places(touch),
            Self::Timed(windows) => windows.places(touch),
            Self::Exponential(ewm) => ewm.places(touch),
            _ => {}
        }
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Lag(lag) => lag.save(out),
            Self::Ofi(ofi) => ofi.save(out),
            Self::Counted(windows) => windows.save(out),
            Self::Timed(windows) => windows.save(out),
            Self::Exponential(ewm) => ewm.save(out),
            Self::Scan(scan) => scan.save(out),
            _ => {}
        }
    }

    /// Replaces the state by a saved one.
    pub fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        match self {
            Self::Lag(lag) => lag.load(bytes),
            Self::Ofi(ofi) => ofi.load(bytes),
            Self::Counted(windows) => windows.load(bytes),
            Self::Timed(windows) => windows.load(bytes),
            Self::Exponential(ewm) => ewm.load(bytes),
            Self::Scan(scan) => scan.load(bytes),
            _ => Ok(()),
        }
    }
}

/// The code of a result of two operands: the first one that is not valid.
#[inline(always)]
pub(crate) fn first_fault(a: Code, b: Code) -> Code {
    if a == VALID { b } else { a }
}

#[inline(always)]
fn imbalance<V: Vector>(bid_qty: V, ask_qty: V) -> V {
    (bid_qty - ask_qty) / (bid_qty + ask_qty)
}

/// Imbalances of a block's rows from `i` on.
#[inline(always)]
fn imbalances<I: Simd>(isa: I, regs: &Registers, levels: &[[Slot; 2]], i: usize) -> I::V {
    let mut sums = [isa.splat(0.0); 2];
    for level in levels {
        for side in 0..2 {
            let of = at::<0>(regs, level[side], i);
            sums[side] = sums[side] + isa.load(&regs.values[of..]);
        }
    }
    imbalance(sums[0], sums[1])
}
