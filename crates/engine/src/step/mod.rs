//! The state of each operator and one step of it, with one formula an operator.
//!
//! Three ways lead through a step. `take` is for one event whose operands are all valid, and thinks of no reasons, as
//! does [`Plain`] for formulas; `row` is for any event; `block` is for a block of events whose operands are all valid.
//! The bits are the same.

mod counted;
mod exponential;
mod lag;
mod ofi;
mod plain;
mod timed;
mod trees;

use crate::registers::{Code, Registers, SPAN, Slot, VALID, fault, slot};
use counted::CountedWindows;
use exponential::Exponential;
use lag::Lag;
use ofi::Ofi;
pub use plain::Plain;
use signal_event::Reason;
use signal_features::operator::BookFn;
use signal_features::plan::Op;
use signal_kernels::elementwise::{Binary, Unary, zip};
use signal_kernels::simd::{Scalar, Simd, Vector};
use signal_kernels::state::{Exhausted, State};
use timed::TimedWindows;

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
    /// See [`Op::Unary`].
    Unary(Unary, Slot, Slot),
    /// See [`Op::Binary`].
    Binary(Binary, Slot, Slot, Slot),
    /// See [`Op::Where`].
    Where([Slot; 3], Slot),
    /// Mean of the best prices: bid, ask, out.
    Mid(Slot, Slot, Slot),
    /// Difference of the best prices: bid, ask, out.
    Spread(Slot, Slot, Slot),
    /// Bid price, bid quantity, ask price, ask quantity; out.
    Microprice([Slot; 4], Slot),
    /// Bid quantities, ask quantities; out.
    Imbalance(Box<[[Slot; 2]]>, Slot),
    /// See [`Op::Fresh`]: operand, age, limit, out.
    Fresh(Slot, Slot, f64, Slot),
    /// See [`Op::Lag`].
    Lag(Box<Lag>),
    /// See [`BookFn::Ofi`].
    Ofi(Box<Ofi>),
    /// Windows that count.
    Counted(Box<CountedWindows>),
    /// Windows over time.
    Timed(Box<TimedWindows>),
    /// See [`Op::Ewm`].
    Exponential(Box<Exponential>),
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
            Op::Unary { f, x, out } => Self::Unary(*f, slot(*x), slot(*out)),
            Op::Binary { f, x, y, out } => Self::Binary(*f, slot(*x), slot(*y), slot(*out)),
            Op::Where { of, out } => Self::Where(of.map(slot), slot(*out)),
            Op::Lag { f, n, x, out } => Self::Lag(Box::new(Lag::new(*f, *n, slot(*x), slot(*out)))),
            Op::Book { f, of, out } => {
                let four = || [slot(of[0]), slot(of[1]), slot(of[2]), slot(of[3])];
                match f {
                    BookFn::Mid => Self::Mid(slot(of[0]), slot(of[1]), slot(*out)),
                    BookFn::Spread => Self::Spread(slot(of[0]), slot(of[1]), slot(*out)),
                    BookFn::Microprice => Self::Microprice(four(), slot(*out)),
                    BookFn::Imbalance(levels) => {
                        let (bids, asks) = of.split_at(usize::from(*levels));
                        let levels = bids
                            .iter()
                            .zip(asks)
                            .map(|(&bid, &ask)| [slot(bid), slot(ask)]);
                        Self::Imbalance(levels.collect(), slot(*out))
                    }
                    BookFn::Ofi => Self::Ofi(Box::new(Ofi::new(four(), slot(*out)))),
                }
            }
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
                alpha,
                min_periods,
                x,
                out,
            } => Self::Exponential(Box::new(Exponential::new(
                *alpha,
                *min_periods,
                slot(*x),
                slot(*out),
            ))),
            Op::Fresh { x, age, ns, out } => {
                Self::Fresh(slot(*x), slot(*age), *ns as f64, slot(*out))
            }
        }
    }

    /// Takes one event of valid operands and writes the results, of which those that are not finite are invalid. `false`
    /// if nothing happened, because the state does not let every result be valid; `None` if only [`Step::row`] can tell.
    /// Formulas are taken as [`Plain`].
    #[inline(always)]
    pub fn take<I: Simd>(&mut self, isa: I, values: &mut [f64; SPAN]) -> Option<bool> {
        Some(match self {
            Self::Lag(lag) => isa.outlined(|| lag.take(values)),
            Self::Ofi(ofi) => isa.outlined(|| ofi.take(values)),
            Self::Counted(windows) => windows.take(isa, values),
            Self::Exponential(ewm) => isa.outlined(|| ewm.take(values)),
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
        !matches!(self, Self::Timed(_) | Self::Fresh(..))
    }

    /// Why results are invalid that look back on more events than there were.
    pub fn set_cold(&mut self, code: Code) {
        match self {
            Self::Lag(lag) => lag.set_cold(code),
            Self::Ofi(ofi) => ofi.set_cold(code),
            Self::Counted(windows) => windows.set_cold(code),
            Self::Timed(windows) => windows.set_cold(code),
            Self::Exponential(ewm) => ewm.set_cold(code),
            _ => {}
        }
    }

    /// Whether the step remembers events, so that it must see each once.
    pub fn remembers(&self) -> bool {
        matches!(
            self,
            Self::Lag(_) | Self::Ofi(_) | Self::Counted(_) | Self::Timed(_) | Self::Exponential(_)
        )
    }

    /// Takes row `i`: reads its operands, writes its results. `STRIDE` is 1 for one event's registers, `BLOCK` for a
    /// block's.
    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize, time: EvalTime) {
        match self {
            Self::Unary(f, x, out) => {
                let (x, out) = (at::<STRIDE>(regs, *x, i), at::<STRIDE>(regs, *out, i));
                match regs.reasons[x] {
                    VALID => regs.set_computed(out, f.apply(regs.values[x])),
                    code => regs.set(out, 0.0, code),
                }
            }
            Self::Binary(f, x, y, out) => {
                two::<STRIDE>(regs, [*x, *y, *out], i, |x, y| f.apply(x, y))
            }
            Self::Mid(bid, ask, out) => two::<STRIDE>(regs, [*bid, *ask, *out], i, mid),
            Self::Spread(bid, ask, out) => two::<STRIDE>(regs, [*bid, *ask, *out], i, spread),
            Self::Where([c, x, y], out) => {
                let (c, out) = (at::<STRIDE>(regs, *c, i), at::<STRIDE>(regs, *out, i));
                let (value, code) = match regs.reasons[c] {
                    VALID => {
                        let chosen =
                            at::<STRIDE>(regs, if regs.values[c] != 0.0 { *x } else { *y }, i);
                        (regs.values[chosen], regs.reasons[chosen])
                    }
                    code => (0.0, code),
                };
                regs.set(out, value, code);
            }
            Self::Microprice(of, out) => {
                let (of, out) = (
                    of.map(|reg| at::<STRIDE>(regs, reg, i)),
                    at::<STRIDE>(regs, *out, i),
                );
                let code = of
                    .iter()
                    .map(|&of| regs.reasons[of])
                    .fold(VALID, first_fault);
                let [pb, qb, pa, qa] = of.map(|of| regs.values[of]);
                match code {
                    VALID => regs.set_computed(out, microprice(pb, qb, pa, qa)),
                    _ => regs.set(out, 0.0, code),
                }
            }
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
        }
    }

    /// Takes rows `0..n` of clean operands in one go, if the operator can; `false` if rows must be taken one by one.
    #[inline(always)]
    pub fn block<I: Simd>(&mut self, isa: I, regs: &mut Registers, n: usize) -> bool {
        match self {
            Self::Unary(f, x, out) => {
                let (x, out) = (usize::from(*x), usize::from(*out));
                if !regs.clean[x] {
                    return false;
                }
                let ([xs], room) = regs.below_and([x], out, n);
                let faults = f.apply_block(xs, room);
                regs.settle(out, n, faults);
                true
            }
            Self::Binary(f, x, y, out) => {
                let Some([x, y, out]) = clean_pair(regs, [*x, *y, *out]) else {
                    return false;
                };
                let ([xs, ys], room) = regs.below_and([x, y], out, n);
                let faults = f.apply_block(xs, ys, room);
                regs.settle(out, n, faults);
                true
            }
            Self::Mid(x, y, out) => {
                let Some([x, y, out]) = clean_pair(regs, [*x, *y, *out]) else {
                    return false;
                };
                let ([xs, ys], room) = regs.below_and([x, y], out, n);
                let faults = zip(xs, ys, room, mid);
                regs.settle(out, n, faults);
                true
            }
            Self::Spread(x, y, out) => {
                let Some([x, y, out]) = clean_pair(regs, [*x, *y, *out]) else {
                    return false;
                };
                let ([xs, ys], room) = regs.below_and([x, y], out, n);
                let faults = zip(xs, ys, room, spread);
                regs.settle(out, n, faults);
                true
            }
            Self::Microprice(of, out) => {
                let (of, out) = (of.map(usize::from), usize::from(*out));
                if !of.iter().all(|&reg| regs.clean[reg]) {
                    return false;
                }
                let ([pb, qb, pa, qa], room) = regs.below_and(of, out, n);
                let mut faults = 0;
                for i in 0..n {
                    room[i] = microprice(pb[i], qb[i], pa[i], qa[i]);
                    faults |= fault(room[i]);
                }
                regs.settle(out, n, faults);
                true
            }
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
            Self::Counted(windows) => windows.block(isa, regs, n),
            Self::Exponential(ewm) => ewm.block(isa, regs, n),
            Self::Where(..) | Self::Timed(_) | Self::Fresh(..) => false,
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
fn mid(bid: f64, ask: f64) -> f64 {
    (ask + bid) / 2.0
}

#[inline(always)]
fn spread(bid: f64, ask: f64) -> f64 {
    ask - bid
}

#[inline(always)]
fn microprice(bid: f64, bid_qty: f64, ask: f64, ask_qty: f64) -> f64 {
    (ask * bid_qty + bid * ask_qty) / (bid_qty + ask_qty)
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

#[inline(always)]
fn two<const STRIDE: usize>(
    regs: &mut Registers,
    of: [Slot; 3],
    i: usize,
    f: impl Fn(f64, f64) -> f64,
) {
    let [x, y, out] = of.map(|reg| at::<STRIDE>(regs, reg, i));
    match first_fault(regs.reasons[x], regs.reasons[y]) {
        VALID => regs.set_computed(out, f(regs.values[x], regs.values[y])),
        code => regs.set(out, 0.0, code),
    }
}

/// Registers of two operands and the result, if the operands are clean. The work stands where it is called, not in a closure:
/// a closure that is not inlined is compiled for the build's processor, not for the one that runs.
#[inline(always)]
fn clean_pair(regs: &Registers, of: [Slot; 3]) -> Option<[usize; 3]> {
    let of = of.map(usize::from);
    (regs.clean[of[0]] && regs.clean[of[1]]).then_some(of)
}
