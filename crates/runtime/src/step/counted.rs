//! Windows over the last `n` valid values. An invalid value does not enter; at its event the window is invalid for the
//! same reason, because the newest value is part of it.

use super::trees::{FixedWindow, Group, Scratch, StatBlock, Tree};
use super::{at, first_fault};
use crate::memory::{Content, Window, WindowStat};
use crate::op::{Read, Reg};
use crate::reason::Reason;
use crate::registers::{Code, Registers, SPAN, Slot, VALID, slot};
use signal_kernels::simd::Simd;
use signal_kernels::state::{Exhausted, State, put_u64, take, take_u64};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct CountedWindows {
    tree: Tree,
    x: Slot,
    y: Slot,
    /// Shared by copies, as `reads` are.
    groups: Arc<[Group]>,
    /// Statistic and length of every read, by its number.
    reads: Arc<[(WindowStat, usize)]>,
    /// Values before the longest window read inside the program is full.
    full: u64,
    count: u64,
    /// Why the newest value is invalid, if it is.
    newest: Code,
    /// Why a window is invalid that is not full.
    cold: Code,
}

impl CountedWindows {
    pub fn new(content: Content, x: Reg, y: Option<Reg>, cap: usize, reads: &[Read]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let length = |read: &Read| match read.window {
            Window::Count(n) => n,
            Window::Time { cap, .. } => cap,
        };
        for read in reads {
            let (n, Some(out)) = (length(read), read.out) else {
                continue;
            };
            match groups.iter_mut().find(|group| group.window.m == n) {
                Some(group) => group.inside.push((read.stat, slot(out))),
                None => groups.push(Group {
                    window: FixedWindow::new(n),
                    inside: vec![(read.stat, slot(out))],
                }),
            }
        }
        Self {
            full: groups
                .iter()
                .map(|group| group.window.m as u64)
                .max()
                .unwrap_or(0),
            tree: Tree::new(content, cap),
            x: slot(x),
            y: slot(y.unwrap_or(x)),
            groups: groups.into(),
            reads: reads.iter().map(|read| (read.stat, length(read))).collect(),
            count: 0,
            newest: Reason::Warmup.code(),
            cold: Reason::Warmup.code(),
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.tree.places(touch);
    }

    pub fn set_cold(&mut self, code: Code) {
        (self.newest, self.cold) = (code, code);
    }

    /// Takes one event whose operands are valid, once every window is full.
    #[inline(always)]
    pub fn take<I: Simd>(&mut self, isa: I, values: &mut [f64; SPAN]) -> bool {
        macro_rules! take {
            ($content:ident, $read:ident, $($operand:ident),*) => {
                isa.outlined(move || {
                    let this: &mut Self = self;
                    let Tree::$content(tree) = &mut this.tree else { return false };
                    if this.count + 1 < this.full {
                        return false;
                    }
                    this.count += 1;
                    this.newest = VALID;
                    tree.push($(values[usize::from(this.$operand)]),*);
                    for group in this.groups.iter() {
                        group.$read(isa, tree, |slot, value| values[usize::from(slot)] = value);
                    }
                    true
                })
            };
        }
        match self.tree {
            Tree::Sums(_) => take!(Sums, sums, x),
            Tree::Moments(_) => take!(Moments, moments, x),
            Tree::Cubes(_) => take!(Cubes, moments, x),
            Tree::Quartics(_) => take!(Quartics, moments, x),
            Tree::Extremes(_) => take!(Extremes, extremes, x),
            Tree::Values(_) => take!(Values, values, x),
            Tree::Pairs(_) => take!(Pairs, pairs, x, y),
            Tree::Trend(_) => take!(Trend, trend, x),
        }
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let (x, y) = (at::<STRIDE>(regs, self.x, i), at::<STRIDE>(regs, self.y, i));
        self.newest = first_fault(regs.reasons[x], regs.reasons[y]);
        if self.newest == VALID {
            self.tree.push(regs.values[x], regs.values[y]);
            self.count += 1;
        }
        for group in self.groups.iter() {
            let code = match self.newest {
                VALID if self.count < group.window.m as u64 => self.cold,
                code => code,
            };
            if code == VALID {
                self.tree.read_group(group, |out, value| {
                    regs.set_computed(at::<STRIDE>(regs, out, i), value);
                });
            } else {
                group
                    .inside
                    .iter()
                    .for_each(|&(_, out)| regs.set(at::<STRIDE>(regs, out, i), 0.0, code));
            }
        }
    }

    #[inline(always)]
    pub fn block<I: Simd>(
        &mut self,
        isa: I,
        regs: &mut Registers,
        n: usize,
        scratch: &mut Scratch,
    ) -> bool {
        let (x, y) = (usize::from(self.x), usize::from(self.y));
        if !(regs.clean[x] && regs.clean[y]) {
            return false;
        }
        self.tree.push_block(isa, regs.rows(x, n), regs.rows(y, n));
        let before = self.count;
        self.count += n as u64;
        self.newest = VALID;
        for group in self.groups.iter() {
            // Rows that come before the window is full.
            let cold = (group.window.m as u64 - 1)
                .saturating_sub(before)
                .min(n as u64) as usize;
            if cold < n {
                self.tree
                    .read_block(isa, &group.window, n, &group.inside, scratch);
            }
            for &(stat, out) in &group.inside {
                let out = usize::from(out);
                let at = regs.at(out);
                if cold < n {
                    let faults = isa.outlined(StatBlock {
                        tree: &self.tree,
                        stat,
                        window: &group.window,
                        scratch,
                        out: &mut regs.values[at..at + n],
                    });
                    regs.settle(out, n, faults);
                }
                if cold > 0 {
                    regs.spell_out(out, n);
                    regs.clean[out] = false;
                    for slot in at..at + cold {
                        regs.set(slot, 0.0, self.cold);
                    }
                }
            }
        }
        true
    }

    /// The newest value of one statistic, asked for from outside the program.
    pub fn outside(&self, read: usize) -> (f64, Code) {
        let (stat, n) = self.reads[read];
        if self.newest != VALID {
            return (f64::NAN, self.newest);
        }
        if self.count < n as u64 {
            return (f64::NAN, self.cold);
        }
        let value = self.tree.read(n, stat);
        if value.is_finite() {
            (value, VALID)
        } else {
            (f64::NAN, Reason::Domain.code())
        }
    }
}

impl State for CountedWindows {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.count);
        out.push(self.newest);
        self.tree.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.count = take_u64(bytes)?;
        [self.newest] = take(bytes)?;
        self.tree.load(bytes)
    }
}
