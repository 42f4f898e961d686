//! The newest part of a series, contiguous in memory: history first, room for a block behind it.

use crate::BLOCK;
use crate::state::{Exhausted, State, put_f64, take_f64};

/// Numbers in a cache line.
pub const LINE: usize = 8;

/// Zeros, and where among them a cache line begins from which on there are `len`.
pub fn lines(len: usize) -> (Vec<f64>, usize) {
    let data = vec![0.0; len + LINE];
    let origin = data
        .as_ptr()
        .align_offset(LINE * size_of::<f64>())
        .min(LINE);
    (data, origin)
}

/// `F` parallel columns of one series, each keeping at least `history` past values and room for a block.
///
/// Invariants: `history` is whole cache lines; column `f` begins at `origin + f * len`; the newest value of the first
/// column stands at `end - 1`, and `origin + history <= end <= origin + len`. When the room is used up the newest
/// `history` values move to the front, so the cost of moving is bounded by a constant number of values an update.
#[derive(Clone, Debug)]
pub struct History<const F: usize> {
    data: Vec<f64>,
    history: usize,
    len: usize,
    origin: usize,
    end: usize,
}

impl<const F: usize> History<F> {
    /// A history that remembers `history` values; the past reads as zero.
    pub fn new(history: usize) -> Self {
        let history = history.next_multiple_of(LINE);
        let len = history + history.max(BLOCK);
        let (data, origin) = lines(F * len);
        Self {
            data,
            history,
            len,
            origin,
            end: origin + history,
        }
    }

    /// Bytes held for a history of this history, known before it exists.
    pub const fn bytes(history: usize) -> usize {
        let history = history.next_multiple_of(LINE);
        let room = if history > BLOCK { history } else { BLOCK };
        8 * (F * (history + room) + LINE)
    }

    /// Makes room for `n <= BLOCK` values.
    #[inline(always)]
    pub fn reserve(&mut self, n: usize) {
        if self.end + n > self.origin + self.len {
            self.shift();
        }
    }

    #[cold]
    #[inline(never)]
    fn shift(&mut self) {
        let front = self.origin + self.history;
        for f in 0..F {
            let (from, to) = (self.end + f * self.len, front + f * self.len);
            self.data
                .copy_within(from - self.history..from, to - self.history);
        }
        self.end = front;
    }

    /// Appends one value to each column; `reserve` came first.
    #[inline(always)]
    pub fn push(&mut self, values: [f64; F]) {
        let rest = &mut self.data[self.end..];
        for (f, value) in values.into_iter().enumerate() {
            rest[f * self.len] = value;
        }
        self.end += 1;
    }

    /// The values `back` places behind the newest.
    #[inline(always)]
    pub fn back(&self, back: usize) -> [f64; F] {
        let rest = &self.data[self.end - 1 - back..];
        let mut values = [0.0; F];
        for f in 0..F {
            values[f] = rest[f * self.len];
        }
        values
    }

    /// Each column up to its newest value, which stands last.
    #[inline(always)]
    pub fn pasts(&self) -> [&[f64]; F] {
        let mut columns = [&self.data[..0]; F];
        for f in 0..F {
            columns[f] = &self.data[f * self.len..f * self.len + self.end];
        }
        columns
    }

    /// Column `f` of the newest `n` values, `back` places behind.
    #[inline(always)]
    pub fn block(&self, f: usize, n: usize, back: usize) -> &[f64] {
        let end = f * self.len + self.end - back;
        &self.data[end - n..end]
    }

    /// Appends `n` values and gives the room to write them, one slice a column; `reserve` came first.
    #[inline(always)]
    pub fn extend(&mut self, n: usize) -> [&mut [f64]; F] {
        let (at, len) = (self.end, self.len);
        self.end = at + n;
        let mut rest = &mut self.data[at..];
        core::array::from_fn(|_| {
            let split = len.min(rest.len());
            let (column, tail) = core::mem::take(&mut rest).split_at_mut(split);
            rest = tail;
            &mut column[..n]
        })
    }

    /// Appends as many values to each column, at most [`BLOCK`].
    #[inline(always)]
    pub fn push_block(&mut self, columns: [&[f64]; F]) {
        let n = columns[0].len();
        self.reserve(n);
        for (room, column) in self.extend(n).into_iter().zip(columns) {
            room.copy_from_slice(column);
        }
    }

    /// Names the places that the next value will be written to and compared with, for who wants them in the cache before.
    #[inline]
    pub fn places(&self, back: usize, touch: &mut impl FnMut(*const f64)) {
        for f in 0..F {
            let at = self.end + f * self.len;
            for at in [at, at - back.min(self.history)] {
                touch(self.data.as_ptr().wrapping_add(at));
            }
        }
    }

    /// Values that can be read back.
    pub fn history(&self) -> usize {
        self.history
    }
}

impl<const F: usize> State for History<F> {
    fn save(&self, out: &mut Vec<u8>) {
        for f in 0..F {
            self.block(f, self.history, 0)
                .iter()
                .for_each(|&value| put_f64(out, value));
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.end = self.origin + self.history;
        for f in 0..F {
            let end = self.end + f * self.len;
            for slot in &mut self.data[end - self.history..end] {
                *slot = take_f64(bytes)?;
            }
        }
        Ok(())
    }
}

/// The binary digits of a window of `m` values, smallest first: `(level, offset)` says that the node of that level,
/// `offset` values behind the newest, is the next part of the window.
#[inline(always)]
pub fn digits(m: usize) -> Digits {
    Digits { rest: m, taken: 0 }
}

/// See [`digits`].
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    rest: usize,
    taken: usize,
}

impl Iterator for Digits {
    type Item = (usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.rest == 0 {
            return None;
        }
        let level = self.rest.trailing_zeros() as usize;
        let offset = self.taken;
        self.rest &= self.rest - 1;
        self.taken += 1 << level;
        Some((level, offset))
    }
}

/// A window of fixed length, with its nodes worked out.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Its newest values that make no node of the first kept level.
    pub loose: usize,
    /// Level and offset of each node that comes before those.
    pub nodes: Box<[(usize, usize)]>,
}

impl Parts {
    /// The newest `m` values, where nodes are kept from level `first` on.
    pub fn new(m: usize, first: usize) -> Self {
        Self {
            loose: m % (1 << first),
            nodes: digits(m).filter(|&(k, _)| k >= first).collect(),
        }
    }
}

/// Pyramid above the values themselves that windows of up to `m` values read.
pub const fn levels(m: usize) -> usize {
    (usize::BITS - 1 - m.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_cover_the_window_once() {
        for m in 1..200 {
            let mut next = 0;
            for (k, offset) in digits(m) {
                assert_eq!(offset, next);
                next += 1 << k;
            }
            assert_eq!(next, m);
        }
    }

    #[test]
    fn history_survives_the_move_to_the_front() {
        let mut series = History::<2>::new(5);
        for i in 0..1000 {
            series.reserve(1);
            series.push([i as f64, -(i as f64)]);
            for back in 0..5.min(i + 1) {
                assert_eq!(series.back(back), [(i - back) as f64, -((i - back) as f64)]);
            }
        }
    }

    #[test]
    fn blocks_and_single_values_leave_the_same_track() {
        let (mut one, mut many) = (History::<1>::new(300), History::<1>::new(300));
        let mut i = 0;
        for n in [1, 7, BLOCK, 3, BLOCK, BLOCK, 50] {
            many.reserve(n);
            let [room] = many.extend(n);
            for slot in room {
                *slot = i as f64;
                one.reserve(1);
                one.push([i as f64]);
                i += 1;
            }
            for back in 0..300 {
                assert_eq!(one.back(back), many.back(back));
            }
        }
    }
}
