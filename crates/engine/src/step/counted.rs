//! Windows over the last `n` valid values. An invalid value does not enter; at its event the window is invalid for the
//! same reason, because the newest value is part of it.

use super::trees::{FixedWindow, Part, Tree};
use crate::registers::{Code, Registers, VALID};
use crate::step::first_fault;
use signal_event::Reason;
use signal_features::operator::Window;
use signal_features::plan::{Content, Read, Reg, WindowStat};
use signal_kernels::state::{Exhausted, State, put_u64, take, take_u64};

/// Statistics over one window.
#[derive(Clone, Debug)]
struct Group {
    window: FixedWindow,
    /// Statistic and register of those read inside the program.
    inside: Vec<(WindowStat, Reg)>,
}

#[derive(Clone, Debug)]
pub struct CountedWindows {
    tree: Tree,
    x: Reg,
    y: Reg,
    groups: Vec<Group>,
    /// Statistic and length of every read, by its number.
    reads: Vec<(WindowStat, usize)>,
    count: u64,
    /// Why the newest value is invalid, if it is.
    newest: Code,
    part: Box<Part>,
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
                Some(group) => group.inside.push((read.stat, out)),
                None => groups.push(Group {
                    window: FixedWindow::new(n),
                    inside: vec![(read.stat, out)],
                }),
            }
        }
        Self {
            tree: Tree::new(content, cap),
            x,
            y: y.unwrap_or(x),
            groups,
            reads: reads.iter().map(|read| (read.stat, length(read))).collect(),
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
                VALID if self.count < group.window.m as u64 => Reason::Warmup.code(),
                code => code,
            };
            if code == VALID {
                self.tree
                    .read_fixed(&group.window, &group.inside, |out, value| {
                        regs.set_computed(out * STRIDE + i, value)
                    });
            } else {
                group
                    .inside
                    .iter()
                    .for_each(|&(_, out)| regs.set(out * STRIDE + i, 0.0, code));
            }
        }
    }

    #[inline(always)]
    pub fn block(&mut self, regs: &mut Registers, n: usize) -> bool {
        if !(regs.clean[self.x] && regs.clean[self.y]) {
            return false;
        }
        self.tree
            .push_block(regs.rows(self.x, n), regs.rows(self.y, n));
        let before = self.count;
        self.count += n as u64;
        self.newest = VALID;
        let stride = regs.stride();
        for group in &self.groups {
            // Rows that come before the window is full.
            let m = group.window.m;
            let cold = (m as u64 - 1).saturating_sub(before).min(n as u64) as usize;
            if cold < n {
                self.tree.part_block(&group.window, n, &mut self.part);
            }
            for &(stat, out) in &group.inside {
                let at = out * stride;
                if cold < n {
                    self.tree
                        .stat_block(stat, m, &self.part, &mut regs.values[at..at + n]);
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

    /// The newest value of one statistic, asked for from outside the program.
    pub fn outside(&self, read: usize) -> (f64, Code) {
        let (stat, n) = self.reads[read];
        if self.newest != VALID {
            return (f64::NAN, self.newest);
        }
        if self.count < n as u64 {
            return (f64::NAN, Reason::Warmup.code());
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
