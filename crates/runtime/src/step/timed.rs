//! Windows over the values at axis times in `(t - length, t]`.
//!
//! A window is full once it reaches back no further than the first moment from which the series was observed: the event
//! before its first valid value, or the stream's first valid event if that is later. Absent values (`EMPTY`, `WARMUP`)
//! do not enter; a fault of the newest value (`GAP`, `CROSSED`, …) makes the window invalid until a valid value comes. A
//! window that holds a value which is unknown because messages were lost is invalid (`GAP`) until it has left.

use super::trees::Tree;
use super::{EvalTime, at, first_fault};
use crate::memory::{Content, Window, WindowStat};
use crate::op::{Read, Reg};
use crate::reason::Reason;
use crate::registers::{Code, Registers, Slot, VALID, is_absence, is_loss, slot};
use signal_kernels::state::{
    Exhausted, State, put_f64, put_i64, put_u64, take, take_f64, take_i64, take_u64,
};
use std::collections::VecDeque;

/// Values that the tree has room for at first; it grows by doubling up to the cap.
const FIRST_ROOM: usize = 64;
const NEVER: i64 = i64::MIN;

#[derive(Clone, Copy, Debug)]
struct Entry {
    t: i64,
    x: f64,
    y: f64,
}

/// Windows of one length.
#[derive(Clone, Debug)]
struct Group {
    ns: i64,
    cap: usize,
    /// Number of the first entry inside, counted from the beginning of the series.
    start: u64,
    /// EvalTime until which an entry is missing because the cap was exceeded.
    overflow_until: i64,
    /// Statistic, register (if read inside the program), number of the read.
    stats: Vec<(WindowStat, Option<Slot>, usize)>,
}

#[derive(Clone, Debug)]
pub struct TimedWindows {
    content: Content,
    tree: Tree,
    room: usize,
    cap: usize,
    x: Slot,
    y: Slot,
    groups: Vec<Group>,
    entries: VecDeque<Entry>,
    /// Entries taken since the beginning; the newest has number `taken - 1`.
    taken: u64,
    /// EvalTime from which the series was observed; `NEVER` before the first valid value.
    since: i64,
    /// Time of the newest event, valid or not.
    newest_t: i64,
    newest: Code,
    /// Why a window is invalid that is not full.
    cold: Code,
    /// Time of the newest event whose value is unknown because messages were lost.
    lost_t: i64,
}

impl TimedWindows {
    pub fn new(content: Content, x: Reg, y: Option<Reg>, cap: usize, reads: &[Read]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (number, read) in reads.iter().enumerate() {
            let (ns, own) = match read.window {
                Window::Time { ns, cap } => (ns, cap),
                Window::Count(n) => (i64::MAX, n),
            };
            let stat = (read.stat, read.out.map(slot), number);
            match groups
                .iter_mut()
                .find(|group| group.ns == ns && group.cap == own)
            {
                Some(group) => group.stats.push(stat),
                None => groups.push(Group {
                    ns,
                    cap: own,
                    start: 0,
                    overflow_until: NEVER,
                    stats: vec![stat],
                }),
            }
        }
        let room = FIRST_ROOM.min(cap);
        Self {
            content,
            tree: Tree::new(content, room),
            room,
            cap,
            x: slot(x),
            y: slot(y.unwrap_or(x)),
            groups,
            entries: VecDeque::new(),
            taken: 0,
            since: NEVER,
            newest_t: NEVER,
            newest: Reason::Warmup.code(),
            cold: Reason::Warmup.code(),
            lost_t: NEVER,
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.tree.places(touch);
        if let (Some(oldest), Some(newest)) = (self.entries.front(), self.entries.back()) {
            touch(&raw const oldest.x);
            touch((&raw const newest.x).wrapping_add(size_of::<Entry>() / size_of::<f64>()));
        }
    }

    pub fn set_cold(&mut self, code: Code) {
        (self.newest, self.cold) = (code, code);
    }

    fn first(&self) -> u64 {
        self.taken - self.entries.len() as u64
    }

    fn enter(&mut self, entry: Entry) {
        if self.entries.len() == self.cap {
            let gone = self.first();
            if let Some(oldest) = self.entries.pop_front() {
                for group in self.groups.iter_mut().filter(|group| group.start <= gone) {
                    group.start = gone + 1;
                    group.overflow_until = oldest.t.saturating_add(group.ns);
                }
            }
        }
        self.entries.push_back(entry);
        self.taken += 1;
        if self.entries.len() > self.room {
            self.room = (self.room * 2).min(self.cap);
            self.rebuild();
        } else {
            self.tree.push(entry.x, entry.y);
        }
    }

    /// The tree again from the entries: nodes are functions of the values under them, so the bits are the same.
    fn rebuild(&mut self) {
        self.tree = Tree::new(self.content, self.room);
        let known = self.entries.len().saturating_sub(self.room);
        for entry in self.entries.iter().skip(known) {
            self.tree.push(entry.x, entry.y);
        }
    }

    /// Moves a group's start to `t` and says how many values are inside, or why the window is invalid.
    fn inside(&mut self, group: usize, t: i64) -> Result<usize, Code> {
        if self.newest != VALID && (self.since == NEVER || !is_absence(self.newest)) {
            return Err(self.newest);
        }
        let (first, taken) = (self.first(), self.taken);
        let group = &mut self.groups[group];
        let edge = t.saturating_sub(group.ns);
        group.start = group.start.max(first);
        while group.start < taken && self.entries[(group.start - first) as usize].t <= edge {
            group.start += 1;
        }
        if self.lost_t > edge {
            return Err(Reason::Gap.code());
        }
        if self.since > edge {
            return Err(self.cold);
        }
        let m = (taken - group.start) as usize;
        if t < group.overflow_until || m > group.cap {
            return Err(Reason::Overflow.code());
        }
        Ok(m)
    }

    fn forget(&mut self) {
        let kept = self
            .groups
            .iter()
            .map(|group| group.start)
            .min()
            .unwrap_or(self.taken);
        while self.first() < kept && self.entries.pop_front().is_some() {}
    }

    #[inline(always)]
    pub fn row<const STRIDE: usize>(&mut self, regs: &mut Registers, i: usize, time: EvalTime) {
        let (x, y) = (at::<STRIDE>(regs, self.x, i), at::<STRIDE>(regs, self.y, i));
        self.newest = first_fault(regs.reasons[x], regs.reasons[y]);
        if is_loss(self.newest) {
            self.lost_t = time.t;
        }
        if self.newest == VALID {
            if self.since == NEVER {
                self.since = if self.newest_t == NEVER {
                    time.t
                } else {
                    self.newest_t.max(time.stream_since)
                };
            }
            self.enter(Entry {
                t: time.t,
                x: regs.values[x],
                y: regs.values[y],
            });
        }
        self.newest_t = time.t;
        for g in 0..self.groups.len() {
            let inside = self.inside(g, time.t);
            for s in 0..self.groups[g].stats.len() {
                let (stat, out, _) = self.groups[g].stats[s];
                if let Some(out) = out {
                    match self.statistic(stat, inside) {
                        (value, VALID) => regs.set_computed(at::<STRIDE>(regs, out, i), value),
                        (_, code) => regs.set(at::<STRIDE>(regs, out, i), 0.0, code),
                    }
                }
            }
        }
        self.forget();
    }

    fn statistic(&self, stat: WindowStat, inside: Result<usize, Code>) -> (f64, Code) {
        // Such a statistic is of the newest value: it must be there and inside.
        let of_newest = stat.f.row().of_newest;
        match inside {
            Err(code) => (f64::NAN, code),
            Ok(_) if of_newest && self.newest != VALID => (f64::NAN, self.newest),
            Ok(m) if m < stat.least() => (f64::NAN, Reason::Empty.code()),
            Ok(m) => {
                let value = self.tree.read(m, stat);
                if value.is_finite() {
                    (value, VALID)
                } else {
                    (f64::NAN, Reason::Domain.code())
                }
            }
        }
    }

    /// One statistic at a moment that is not an event of the series: old values leave even when nothing new arrives.
    pub fn outside(&mut self, read: usize, time: EvalTime) -> (f64, Code) {
        let found = self.groups.iter().enumerate().find_map(|(g, group)| {
            let (stat, ..) = group.stats.iter().find(|(.., number)| *number == read)?;
            Some((g, *stat))
        });
        let Some((group, stat)) = found else {
            return (f64::NAN, Reason::Missing.code());
        };
        let inside = self.inside(group, time.t);
        let result = self.statistic(stat, inside);
        self.forget();
        result
    }
}

impl State for TimedWindows {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.taken);
        put_i64(out, self.since);
        put_i64(out, self.newest_t);
        put_i64(out, self.lost_t);
        out.push(self.newest);
        for group in &self.groups {
            put_u64(out, group.start);
            put_i64(out, group.overflow_until);
        }
        put_u64(out, self.entries.len() as u64);
        for entry in &self.entries {
            put_i64(out, entry.t);
            put_f64(out, entry.x);
            put_f64(out, entry.y);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.taken = take_u64(bytes)?;
        self.since = take_i64(bytes)?;
        self.newest_t = take_i64(bytes)?;
        self.lost_t = take_i64(bytes)?;
        [self.newest] = take(bytes)?;
        for group in &mut self.groups {
            group.start = take_u64(bytes)?;
            group.overflow_until = take_i64(bytes)?;
        }
        let entries = take_u64(bytes)?;
        if entries > self.cap as u64 || entries > self.taken || entries > bytes.len() as u64 / 24 {
            return Err(Exhausted);
        }
        self.entries.clear();
        for _ in 0..entries {
            let entry = Entry {
                t: take_i64(bytes)?,
                x: take_f64(bytes)?,
                y: take_f64(bytes)?,
            };
            self.entries.push_back(entry);
        }
        if self.groups.iter().any(|group| group.start > self.taken) {
            return Err(Exhausted);
        }
        while self.room < self.entries.len() {
            self.room = (self.room * 2).min(self.cap);
        }
        self.rebuild();
        Ok(())
    }
}
