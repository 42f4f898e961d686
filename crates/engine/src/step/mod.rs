//! The state of each operator and one step of it. One formula an operator; a block is rows in order, and where all
//! rows are valid the same kernel runs over whole columns.

mod counted;
mod exponential;
mod lag;
mod ofi;
mod timed;
mod trees;

use crate::registers::{Code, Registers, VALID};
use counted::CountedWindows;
use exponential::Exponential;
use lag::Lag;
use ofi::Ofi;
use signal_event::Reason;
use signal_features::operator::BookFn;
use signal_features::plan::{Op, Reg};
use signal_kernels::elementwise::{Binary, Unary};
use signal_kernels::state::{Exhausted, State};
use timed::TimedWindows;

/// The moment of an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Axis time in nanoseconds.
    pub t: i64,
    /// Axis time of the stream's first valid event; `i64::MAX` before it.
    pub stream_since: i64,
}

/// An operator with its state.
#[derive(Clone, Debug)]
pub enum Step {
    /// See [`Op::Unary`].
    Unary(Unary, Reg, Reg),
    /// See [`Op::Binary`].
    Binary(Binary, Reg, Reg, Reg),
    /// See [`Op::Where`].
    Where([Reg; 3], Reg),
    /// See [`Op::Lag`].
    Lag(Box<Lag>),
    /// Mean of the best prices: bid, ask, out.
    Mid(Reg, Reg, Reg),
    /// Difference of the best prices: bid, ask, out.
    Spread(Reg, Reg, Reg),
    /// Bid price, bid quantity, ask price, ask quantity; out.
    Microprice([Reg; 4], Reg),
    /// Bid quantities, ask quantities; out.
    Imbalance(Box<[Reg]>, Box<[Reg]>, Reg),
    /// See [`BookFn::Ofi`].
    Ofi(Box<Ofi>),
    /// Windows that count.
    Counted(Box<CountedWindows>),
    /// Windows over time.
    Timed(Box<TimedWindows>),
    /// See [`Op::Ewm`].
    Exponential(Box<Exponential>),
    /// See [`Op::Fresh`]: operand, age, limit, out.
    Fresh(Reg, Reg, f64, Reg),
}

impl Step {
    /// The operator in its initial state.
    pub fn new(op: &Op) -> Self {
        match op {
            Op::Unary { f, x, out } => Self::Unary(*f, *x, *out),
            Op::Binary { f, x, y, out } => Self::Binary(*f, *x, *y, *out),
            Op::Where { of, out } => Self::Where(*of, *out),
            Op::Lag { f, n, x, out } => Self::Lag(Box::new(Lag::new(*f, *n, *x, *out))),
            Op::Book { f, of, out } => match f {
                BookFn::Mid => Self::Mid(of[0], of[1], *out),
                BookFn::Spread => Self::Spread(of[0], of[1], *out),
                BookFn::Microprice => Self::Microprice([of[0], of[1], of[2], of[3]], *out),
                BookFn::Imbalance(levels) => {
                    let (bids, asks) = of.split_at(usize::from(*levels));
                    Self::Imbalance(bids.into(), asks.into(), *out)
                }
                BookFn::Ofi => Self::Ofi(Box::new(Ofi::new([of[0], of[1], of[2], of[3]], *out))),
            },
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
            } => Self::Exponential(Box::new(Exponential::new(*alpha, *min_periods, *x, *out))),
            Op::Fresh { x, age, ns, out } => Self::Fresh(*x, *age, *ns as f64, *out),
        }
    }

    /// Takes row `i`: reads its operands, writes its results. `STRIDE` is the registers' stride.
    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize, moment: Moment) {
        let at = |reg: Reg| reg * STRIDE + i;
        match self {
            Self::Unary(f, x, out) => {
                let (value, code) = (regs.values[at(*x)], regs.reasons[at(*x)]);
                match code {
                    VALID => regs.set_computed(at(*out), f.apply(value)),
                    _ => regs.set(at(*out), 0.0, code),
                }
            }
            Self::Binary(f, x, y, out) => {
                let code = first_fault(regs.reasons[at(*x)], regs.reasons[at(*y)]);
                match code {
                    VALID => {
                        let value = f.apply(regs.values[at(*x)], regs.values[at(*y)]);
                        regs.set_computed(at(*out), value);
                    }
                    _ => regs.set(at(*out), 0.0, code),
                }
            }
            Self::Where([c, x, y], out) => {
                let (value, code) = match regs.reasons[at(*c)] {
                    VALID => {
                        let chosen = at(if regs.values[at(*c)] != 0.0 { *x } else { *y });
                        (regs.values[chosen], regs.reasons[chosen])
                    }
                    code => (0.0, code),
                };
                regs.set(at(*out), value, code);
            }
            Self::Mid(bid, ask, out) => two(regs, at(*bid), at(*ask), at(*out), mid),
            Self::Spread(bid, ask, out) => two(regs, at(*bid), at(*ask), at(*out), spread),
            Self::Microprice(of, out) => {
                let code = of
                    .iter()
                    .map(|&reg| regs.reasons[at(reg)])
                    .fold(VALID, first_fault);
                let [pb, qb, pa, qa] = of.map(|reg| regs.values[at(reg)]);
                match code {
                    VALID => regs.set_computed(at(*out), microprice(pb, qb, pa, qa)),
                    _ => regs.set(at(*out), 0.0, code),
                }
            }
            Self::Imbalance(bids, asks, out) => {
                let code = first_fault(regs.reasons[at(bids[0])], regs.reasons[at(asks[0])]);
                let sum = |side: &[Reg]| {
                    side.iter().fold((0.0, code), |(sum, code), &reg| {
                        match regs.reasons[at(reg)] {
                            VALID => (sum + regs.values[at(reg)], code),
                            // The book has fewer levels than asked for: what is not there adds nothing.
                            empty if empty == Reason::Empty.code() => (sum, code),
                            fault => (sum, first_fault(code, fault)),
                        }
                    })
                };
                let ((bid, code), (ask, other)) = (sum(bids), sum(asks));
                match first_fault(code, other) {
                    VALID => regs.set_computed(at(*out), imbalance(bid, ask)),
                    code => regs.set(at(*out), 0.0, code),
                }
            }
            Self::Fresh(x, age, limit, out) => {
                let (value, code) = (regs.values[at(*x)], regs.reasons[at(*x)]);
                let stale = regs.reasons[at(*age)] == VALID && regs.values[at(*age)] > *limit;
                let code = if code == VALID && stale {
                    Reason::Stale.code()
                } else {
                    code
                };
                regs.set(at(*out), value, code);
            }
            Self::Lag(lag) => lag.row::<STRIDE>(regs, i),
            Self::Ofi(ofi) => ofi.row::<STRIDE>(regs, i),
            Self::Counted(windows) => windows.row::<STRIDE>(regs, i),
            Self::Timed(windows) => windows.row::<STRIDE>(regs, i, moment),
            Self::Exponential(ewm) => ewm.row::<STRIDE>(regs, i),
        }
    }

    /// Takes rows `0..n` of clean operands in one go, if the operator can; `false` if rows must be taken one by one.
    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        match self {
            Self::Unary(f, x, out) => {
                if !regs.clean[*x] {
                    return false;
                }
                let ([xs, _], room) = regs.below_and([*x, *x], *out, n);
                f.apply_block(xs, room);
                regs.settle(*out, n);
            }
            Self::Binary(f, x, y, out) => {
                if !(regs.clean[*x] && regs.clean[*y]) {
                    return false;
                }
                let ([xs, ys], room) = regs.below_and([*x, *y], *out, n);
                f.apply_block(xs, ys, room);
                regs.settle(*out, n);
            }
            Self::Mid(bid, ask, out) => return two_block(regs, *bid, *ask, *out, n, mid),
            Self::Spread(bid, ask, out) => return two_block(regs, *bid, *ask, *out, n, spread),
            Self::Microprice(of, out) => {
                if !of.iter().all(|&reg| regs.clean[reg]) {
                    return false;
                }
                let [pb, qb, pa, qa] = *of;
                let stride = regs.stride();
                let (front, room) = regs.values.split_at_mut(*out * stride);
                let column = |reg: Reg| &front[reg * stride..reg * stride + n];
                let (pb, qb, pa, qa) = (column(pb), column(qb), column(pa), column(qa));
                let room = &mut room[..n];
                for i in 0..n {
                    room[i] = microprice(pb[i], qb[i], pa[i], qa[i]);
                }
                regs.settle(*out, n);
            }
            Self::Imbalance(bids, asks, out) => {
                if !bids.iter().chain(asks.iter()).all(|&reg| regs.clean[reg]) {
                    return false;
                }
                let mut sums = [[0.0; signal_kernels::BLOCK]; 2];
                for (sum, side) in sums.iter_mut().zip([&*bids, &*asks]) {
                    for &reg in side.iter() {
                        for (total, &qty) in sum[..n].iter_mut().zip(regs.rows(reg, n)) {
                            *total += qty;
                        }
                    }
                }
                let stride = regs.stride();
                let room = &mut regs.values[*out * stride..*out * stride + n];
                let [bid, ask] = [&sums[0][..n], &sums[1][..n]];
                for i in 0..n {
                    room[i] = imbalance(bid[i], ask[i]);
                }
                regs.settle(*out, n);
            }
            Self::Lag(lag) => return lag.block(regs, n),
            Self::Ofi(ofi) => return ofi.block(regs, n),
            Self::Counted(windows) => return windows.block(regs, n),
            Self::Exponential(ewm) => return ewm.block(regs, n),
            Self::Where(..) | Self::Timed(_) | Self::Fresh(..) => return false,
        }
        true
    }

    /// The value of a window's statistic as known at `moment`, asked for from outside the program.
    pub fn outside(&mut self, read: usize, moment: Moment) -> (f64, Code) {
        match self {
            Self::Counted(windows) => windows.outside(read),
            Self::Timed(windows) => windows.outside(read, moment),
            _ => (f64::NAN, Reason::Missing.code()),
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
fn imbalance(bid_qty: f64, ask_qty: f64) -> f64 {
    (bid_qty - ask_qty) / (bid_qty + ask_qty)
}

#[inline(always)]
fn two(regs: &mut Registers, x: usize, y: usize, out: usize, f: impl Fn(f64, f64) -> f64) {
    match first_fault(regs.reasons[x], regs.reasons[y]) {
        VALID => {
            let value = f(regs.values[x], regs.values[y]);
            regs.set_computed(out, value);
        }
        code => regs.set(out, 0.0, code),
    }
}

#[inline(always)]
fn two_block(
    regs: &mut Registers,
    x: Reg,
    y: Reg,
    out: Reg,
    n: usize,
    f: impl Fn(f64, f64) -> f64,
) -> bool {
    if !(regs.clean[x] && regs.clean[y]) {
        return false;
    }
    let ([xs, ys], room) = regs.below_and([x, y], out, n);
    for ((slot, &x), &y) in room.iter_mut().zip(xs).zip(ys) {
        *slot = f(x, y);
    }
    regs.settle(out, n);
    true
}
