//! Steps without state, for one event of valid operands: a formula's name and its registers in a few bytes.

use super::{Step, microprice, mid, spread};
use crate::registers::{SPAN, Slot};
use signal_kernels::elementwise::{Binary, Unary};

/// A formula of up to four registers. Those that it does not have repeat the first.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    formula: Formula,
    of: [Slot; 4],
    out: Slot,
}

/// All formulas in one list, so that one jump leads to each.
#[derive(Clone, Copy, Debug)]
enum Formula {
    Neg,
    Abs,
    Sign,
    Log,
    Log1p,
    Exp,
    Sqrt,
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
    Lt,
    Le,
    Eq,
    Ne,
    Where,
    Mid,
    Spread,
    Microprice,
}

impl From<Unary> for Formula {
    fn from(f: Unary) -> Self {
        match f {
            Unary::Neg => Self::Neg,
            Unary::Abs => Self::Abs,
            Unary::Sign => Self::Sign,
            Unary::Log => Self::Log,
            Unary::Log1p => Self::Log1p,
            Unary::Exp => Self::Exp,
            Unary::Sqrt => Self::Sqrt,
        }
    }
}

impl From<Binary> for Formula {
    fn from(f: Binary) -> Self {
        match f {
            Binary::Add => Self::Add,
            Binary::Sub => Self::Sub,
            Binary::Mul => Self::Mul,
            Binary::Div => Self::Div,
            Binary::Min => Self::Min,
            Binary::Max => Self::Max,
            Binary::Lt => Self::Lt,
            Binary::Le => Self::Le,
            Binary::Eq => Self::Eq,
            Binary::Ne => Self::Ne,
        }
    }
}

impl Plain {
    /// The step's formula, if it is one.
    pub fn of(step: &Step) -> Option<Self> {
        let (formula, of, out) = match *step {
            Step::Unary(f, x, out) => (f.into(), [x; 4], out),
            Step::Binary(f, x, y, out) => (f.into(), [x, y, x, x], out),
            Step::Where([c, x, y], out) => (Formula::Where, [c, x, y, c], out),
            Step::Mid(bid, ask, out) => (Formula::Mid, [bid, ask, bid, bid], out),
            Step::Spread(bid, ask, out) => (Formula::Spread, [bid, ask, bid, bid], out),
            Step::Microprice(of, out) => (Formula::Microprice, of, out),
            _ => return None,
        };
        Some(Self { formula, of, out })
    }

    /// Writes the result of valid operands, which may not be finite.
    #[inline(always)]
    pub fn take(&self, values: &mut [f64; SPAN]) {
        let of = |i: usize| values[usize::from(self.of[i])];
        let one = |f: Unary| f.apply(of(0));
        let two = |f: Binary| f.apply(of(0), of(1));
        values[usize::from(self.out)] = match self.formula {
            Formula::Neg => one(Unary::Neg),
            Formula::Abs => one(Unary::Abs),
            Formula::Sign => one(Unary::Sign),
            Formula::Log => one(Unary::Log),
            Formula::Log1p => one(Unary::Log1p),
            Formula::Exp => one(Unary::Exp),
            Formula::Sqrt => one(Unary::Sqrt),
            Formula::Add => two(Binary::Add),
            Formula::Sub => two(Binary::Sub),
            Formula::Mul => two(Binary::Mul),
            Formula::Div => two(Binary::Div),
            Formula::Min => two(Binary::Min),
            Formula::Max => two(Binary::Max),
            Formula::Lt => two(Binary::Lt),
            Formula::Le => two(Binary::Le),
            Formula::Eq => two(Binary::Eq),
            Formula::Ne => two(Binary::Ne),
            Formula::Where => of(if of(0) != 0.0 { 1 } else { 2 }),
            Formula::Mid => mid(of(0), of(1)),
            Formula::Spread => spread(of(0), of(1)),
            Formula::Microprice => microprice(of(0), of(1), of(2), of(3)),
        };
    }
}
