//! Windows over the last `n` valid values. An invalid value does not enter; at its event the window is invalid for the
//! same reason, because the newest value is part of it.

use super::trees::{Part, Tree};
use crate::registers::{Code, Registers, VALID};
use crate::step::first_fault;
use signal_event::Reason;
use signal_features::operator::Window;
use signal_features::plan::{Content, Read, Reg, WindowStat};
use signal_kernels::state::{Exhausted, State, put_u64, take, take_u64};

/// Statistics over one window.
#[derive(Clone, Debug)]
struct Group {
    n: usize,
    /// Statistic, register (if read inside the program), number of the read.
    stats: Vec<(WindowStat, Option<Reg>, usize)>,
}

#[derive(Clone, Debug)]
pub struct CountedWindows {
    tree: Tree,
    x: Reg,
    y: Reg,
    groups: Vec<Group>,
    count: u64,
    /// Why the newest value is invalid, if it is.
    newest: Code,
    part: Box<Part>,
}

impl CountedWindows {
    pub fn new(content: Content, x: Reg, y: Option<Reg>, cap: usize, reads: &[Read]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (number, read) in reads.iter().enumerate() {
            let n = match read.window {
                Window::Count(n) => n,
                Window::Time { cap, .. } => cap,
            };
            let stat = (read.stat, read.out, number);
            match groups.iter_mut().find(|group| group.n == n) {
                Some(group) => group.stats.push(stat),
                None => groups.push(Group { n, stats: vec![stat] }),
            }
        }
        Self {
            tree: Tree::new(content, cap),
            x,
            y: y.unwrap_or(x),
            groups,
            count: 0,
            newest: Reason::Warmup.code(),
            part: Box::default(),
        }
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize) {
        let (x, y) = (self.x * STRIDE + i, self.y * STRIDE + i);
        self.newest = first_fault(regs.reasons[x], regs.reasons[y]);
        if self.newest == VALID {
            self.tree.push(regs.values[x], regs.values[y]);
            self.count += 1;
        }
        for group in &self.groups {
            let code = match self.newest {
                VALID if self.count < group.n as u64 => Reason::Warmup.code(),
                code => code,
            };
            let mut outs = group.stats.iter();
            if code == VALID {
                self.tree.read(group.n, group.stats.iter().map(|&(stat, ..)| stat), |value| {
                    if let Some(&(_, Some(out), _)) = outs.next() {
                        regs.set_computed(out * STRIDE + i, value);
                    }
                });
            } else {
                for out in outs.filter_map(|&(_, out, _)| out) {
                    regs.set(out * STRIDE + i, 0.0, code);
                }
            }
        }
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        if !(regs.clean[self.x] && regs.clean[self.y]) {
            return false;
        }
        self.tree.push_block(regs.rows(self.x, n), regs.rows(self.y, n));
        let before = self.count;
        self.count += n as u64;
        self.newest = VALID;
        let stride = regs.stride();
        for group in &self.groups {
            // Rows that come before the window is full.
            let cold = (group.n as u64 - 1).saturating_sub(before).min(n as u64) as usize;
            if cold < n {
                self.tree.part_block(group.n, n, &mut self.part);
            }
            for &(stat, out, _) in &group.stats {
                let Some(out) = out else { continue };
                let at = out * stride;
                if cold < n {
                    self.tree.stat_block(stat, group.n, &self.part, &mut regs.values[at..at + n]);
                    regs.settle(out, n);
                }
                if cold > 0 {
                    regs.spell_out(out, n);
                    regs.clean[out] = false;
                    for slot in at..at + cold {
                        regs.set(slot, 0.0, Reason::Warmup.code());
                    }
                }
            }
        }
        true
    }

    /// The newest value of one statistic.
    pub fn outside(&self, read: usize) -> (f64, Code) {
        if self.newest != VALID {
            return (f64::NAN, self.newest);
        }
        let found = self.groups.iter().find_map(|group| {
            let (stat, ..) = group.stats.iter().find(|(.., number)| *number == read)?;
            Some((group.n, *stat))
        });
        match found {
            Some((n, _)) if self.count < n as u64 => (f64::NAN, Reason::Warmup.code()),
            Some((n, stat)) => {
                let mut value = f64::NAN;
                self.tree.read(n, std::iter::once(stat), |x| value = x);
                if value.is_finite() { (value, VALID) } else { (f64::NAN, Reason::Domain.code()) }
            }
            None => (f64::NAN, Reason::Missing.code()),
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
