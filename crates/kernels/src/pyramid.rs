//! The nodes of a dyadic pyramid: level by level in one allocation, with one position for all levels.

use crate::BLOCK;
use crate::history::{LINE, lines};
use crate::simd::{Columns, Scalar, Simd, Vector};
use crate::state::{Exhausted, State, put_f64, take_f64};

/// The lowest level that is kept: smaller nodes are made of the values themselves when they are needed. Its nodes hold
/// as many values as rows go side by side, so that no row looks back on one beside it.
pub const FIRST: usize = 2;

/// Pyramid whose room is one block. They move to the front together, so that their places are known when compiling.
const LOW: usize = 10;

/// Nodes of `F` numbers on the levels `FIRST`, `FIRST + 1`, …: each level keeps its newest `2^k` nodes and has room for
/// a block behind them. In front of them stand `R` series of values of which the newest few are kept, for the nodes that
/// are not.
///
/// Invariants: `origin <= pos <= origin + BLOCK`; number `f` of the coming node of level `k` belongs at
/// `place + f * stride(k) + pos`, and the `2^k` places before it hold the nodes before, oldest first. The past reads as
/// zero. A level without room moves its nodes to its front; the room is a quarter of them or more, so that a node is
/// moved four times at most.
#[derive(Clone, Debug)]
pub struct Pyramid<const F: usize, const R: usize> {
    data: Vec<f64>,
    levels: Vec<Level>,
    origin: usize,
    pos: usize,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// Where the level begins, less `origin`.
    front: usize,
    /// Where the first number of its coming node belongs, less `pos`; for low levels `PLACE` says it too.
    place: usize,
}

/// What the nodes of a pyramid are, for row `i` of those being taken.
pub trait Nodes<const F: usize, const R: usize> {
    /// The node of level `FIRST`. Of each kept series `four` gives the values three, two, one and no places behind.
    fn bottom<I: Simd>(&self, isa: I, i: usize, four: [[I::V; 4]; R]) -> [I::V; F];

    /// The node of level `k + 1` over two of level `k`.
    fn above<I: Simd>(
        &self,
        isa: I,
        i: usize,
        k: usize,
        older: [I::V; F],
        newer: [I::V; F],
    ) -> [I::V; F];

    /// Takes the node above the last level, if one is wanted.
    fn beyond<I: Simd>(&mut self, _isa: I, _i: usize, _node: [I::V; F]) {}

    /// Whether one is wanted.
    const BEYOND: bool = false;
}

/// Nodes that level `k` keeps.
const fn history(k: usize) -> usize {
    1 << k
}

/// Coming nodes that level `k` has room for.
const fn room(k: usize) -> usize {
    let quarter = history(k) / 4;
    if quarter > BLOCK { quarter } else { BLOCK }
}

/// Places before the room of level `k`: its history, in whole cache lines.
const fn lead(k: usize) -> usize {
    if history(k) < LINE { LINE } else { history(k) }
}

/// Places from one number of a node of level `k` to the next.
const fn stride(k: usize) -> usize {
    lead(k) + room(k)
}

/// Where level `k` of nodes with `f` numbers begins, behind `r` series.
const fn front(f: usize, r: usize, k: usize) -> usize {
    let (mut numbers, mut level) = (r * SERIES, FIRST);
    while level < k {
        numbers += f * stride(level);
        level += 1;
    }
    numbers
}

/// Places of a series: its newest values, and room for a block.
const SERIES: usize = LINE + BLOCK;

const fn low_places(f: usize, r: usize) -> [usize; LOW + 1] {
    let mut places = [0; LOW + 1];
    let mut k = FIRST;
    while k <= LOW {
        places[k] = front(f, r, k) + lead(k);
        k += 1;
    }
    places
}

const fn low_strides() -> [usize; LOW] {
    let mut strides = [0; LOW];
    let mut k = FIRST;
    while k < LOW {
        strides[k] = stride(k);
        k += 1;
    }
    strides
}

const STRIDE: [usize; LOW] = low_strides();

impl<const F: usize, const R: usize> Pyramid<F, R> {
    const PLACE: [usize; LOW + 1] = low_places(F, R);

    /// The levels from `FIRST` to before `end`.
    pub fn new(end: usize) -> Self {
        let level = |k| Level {
            front: front(F, R, k),
            place: front(F, R, k) + lead(k),
        };
        let (data, origin) = lines(front(F, R, end));
        Self {
            data,
            levels: (FIRST..end).map(level).collect(),
            origin,
            pos: origin,
        }
    }

    /// Bytes that [`Pyramid::new`] takes.
    pub const fn bytes(end: usize) -> usize {
        8 * (front(F, R, end) + LINE) + 16 * end.saturating_sub(FIRST)
    }

    #[inline(always)]
    fn reserve(&mut self, n: usize) {
        if self.pos + n > self.origin + BLOCK {
            self.shift();
        }
    }

    #[cold]
    #[inline(never)]
    fn shift(&mut self) {
        let taken = self.pos - self.origin;
        for r in 0..R {
            move_lines(
                &mut self.data,
                self.pos + r * SERIES,
                self.origin + r * SERIES,
                LINE,
            );
        }
        for (k, level) in (FIRST..).zip(&mut self.levels) {
            if level.place + taken + BLOCK <= level.front + stride(k) {
                level.place += taken;
                continue;
            }
            let first = level.front + lead(k);
            for f in 0..F {
                let end = level.place + f * stride(k) + self.pos;
                move_lines(
                    &mut self.data,
                    end - lead(k),
                    self.origin + first + f * stride(k) - lead(k),
                    lead(k),
                );
            }
            level.place = first;
        }
        self.pos = self.origin;
    }

    /// Takes one row: a value of each kept series, and its nodes.
    #[inline(always)]
    pub fn take(&mut self, values: [f64; R], nodes: &mut impl Nodes<F, R>) {
        self.reserve(1);
        let rest = self.data.get_mut(self.pos..).unwrap_or_default();
        self.pos += 1;
        for r in 0..R {
            rest[r * SERIES + LINE] = values[r];
        }
        Self::climb(Scalar, 0, rest, &self.levels, nodes);
    }

    /// Takes `n <= BLOCK` rows: values of each kept series, and their nodes.
    #[inline(always)]
    pub fn take_block<I: Simd>(
        &mut self,
        isa: I,
        n: usize,
        values: [&[f64]; R],
        nodes: &mut impl Nodes<F, R>,
    ) {
        const { assert!(I::LANES <= 1 << FIRST) };
        self.reserve(n);
        let rest = self.data.get_mut(self.pos..).unwrap_or_default();
        self.pos += n;
        for r in 0..R {
            rest[r * SERIES + LINE..][..n].copy_from_slice(values[r]);
        }
        let side_by_side = n - n % I::LANES;
        for i in (0..side_by_side).step_by(I::LANES) {
            // Where no level is kept there may be no room.
            let rest = rest.get_mut(i..).unwrap_or_default();
            Self::climb(isa, i, rest, &self.levels, nodes);
        }
        for i in side_by_side..n {
            let rest = rest.get_mut(i..).unwrap_or_default();
            Self::climb(Scalar, i, rest, &self.levels, nodes);
        }
    }

    /// Makes the nodes of the rows from `i` on, as many as go side by side, on all levels; `rest` is the room from their
    /// position on.
    #[inline(always)]
    fn climb<I: Simd, N: Nodes<F, R>>(
        isa: I,
        i: usize,
        rest: &mut [f64],
        levels: &[Level],
        nodes: &mut N,
    ) {
        let mut four = [[isa.splat(0.0); 4]; R];
        for r in 0..R {
            four[r] = isa.load_four(&rest[r * SERIES + LINE - 3..][..I::LANES + 3]);
        }
        let mut newer = nodes.bottom(isa, i, four);
        // One level after the other with its number known when compiling: a loop of ten is too long to be unrolled.
        macro_rules! low {
            ($($k:literal)*) => {$(
                let place = Self::PLACE[$k];
                // A level that is not kept has its place beyond the end; one check serves all that the level touches.
                if place + (F - 1) * stride($k) + I::LANES > rest.len() {
                    if N::BEYOND {
                        nodes.beyond(isa, i, newer);
                    }
                    return;
                }
                for f in 0..F {
                    newer[f].store(&mut rest[place + f * stride($k)..][..I::LANES]);
                }
                // Above the last level nothing is made that nobody wants.
                if !N::BEYOND && Self::PLACE[$k + 1] >= rest.len() {
                    return;
                }
                let mut older = newer;
                for f in 0..F {
                    older[f] = isa.load(&rest[place + f * stride($k) - history($k)..][..I::LANES]);
                }
                newer = nodes.above(isa, i, $k, older, newer);
            )*};
        }
        low!(2 3 4 5 6 7 8 9);
        let high = &levels[LOW - FIRST..];
        for (h, level) in high.iter().enumerate() {
            let k = LOW + h;
            for f in 0..F {
                newer[f].store(&mut rest[level.place + f * stride(k)..]);
            }
            if N::BEYOND || h + 1 < high.len() {
                let mut older = newer;
                for f in 0..F {
                    older[f] = isa.load(&rest[level.place + f * stride(k) - history(k)..]);
                }
                newer = nodes.above(isa, i, k, older, newer);
            }
        }
        if N::BEYOND {
            nodes.beyond(isa, i, newer);
        }
    }

    /// Names the places that the next row will be written to and merged with, for who wants them in the cache before.
    #[inline]
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        let mut touch = |at: usize| touch(self.data.as_ptr().wrapping_add(at));
        for r in 0..R {
            touch(self.pos + r * SERIES + LINE);
        }
        for (k, level) in (FIRST..).zip(&self.levels) {
            for f in 0..F {
                let at = level.place + f * stride(k) + self.pos;
                touch(at);
                touch(at - history(k));
            }
        }
    }

    /// The node of level `k` that ends `back` values before the newest.
    #[inline(always)]
    pub fn node(&self, k: usize, back: usize) -> [f64; F] {
        let (place, stride) = if k < LOW {
            (Self::PLACE[k], STRIDE[k])
        } else {
            (self.levels[k - FIRST].place, stride(k))
        };
        let at = place + self.pos - 1 - back;
        let mut node = [0.0; F];
        for f in 0..F {
            node[f] = self.data[at + f * stride];
        }
        node
    }

    /// All numbers of the nodes of level `k` that end `back` values before each of the newest `n`.
    #[inline(always)]
    pub fn columns(&self, k: usize, n: usize, back: usize) -> Columns<'_, F> {
        let mut columns = [&self.data[..0]; F];
        for (f, column) in columns.iter_mut().enumerate() {
            *column = self.rows(k, f, n, back);
        }
        Columns::new(columns)
    }

    /// The value of kept series `r` that stands `back` values before the newest.
    #[inline(always)]
    pub fn value(&self, r: usize, back: usize) -> f64 {
        self.data[self.pos + r * SERIES + LINE - 1 - back]
    }

    /// The values of kept series `r` that stand `back` values before each of the newest `n`.
    #[inline(always)]
    pub fn values(&self, r: usize, n: usize, back: usize) -> &[f64] {
        let end = self.pos + r * SERIES + LINE - back;
        &self.data[end - n..end]
    }

    /// Number `f` of the nodes of level `k` that end `back` values before each of the newest `n`.
    #[inline(always)]
    pub fn rows(&self, k: usize, f: usize, n: usize, back: usize) -> &[f64] {
        let end = self.levels[k - FIRST].place + f * stride(k) + self.pos - back;
        &self.data[end - n..end]
    }
}

/// Moves `len` numbers, whole cache lines, towards the front. Few of them are not worth a call.
#[inline(always)]
fn move_lines(data: &mut [f64], from: usize, to: usize, len: usize) {
    if len > 8 * LINE {
        return data.copy_within(from..from + len, to);
    }
    for at in (0..len).step_by(LINE) {
        let mut line = [0.0; LINE];
        line.copy_from_slice(&data[from + at..][..LINE]);
        data[to + at..][..LINE].copy_from_slice(&line);
    }
}

impl<const F: usize, const R: usize> State for Pyramid<F, R> {
    fn save(&self, out: &mut Vec<u8>) {
        for r in 0..R {
            self.values(r, 1 << FIRST, 0)
                .iter()
                .for_each(|&value| put_f64(out, value));
        }
        for k in (FIRST..).take(self.levels.len()) {
            for f in 0..F {
                self.rows(k, f, history(k), 0)
                    .iter()
                    .for_each(|&value| put_f64(out, value));
            }
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.pos = self.origin;
        for r in 0..R {
            let end = self.pos + r * SERIES + LINE;
            for slot in &mut self.data[end - (1 << FIRST)..end] {
                *slot = take_f64(bytes)?;
            }
        }
        for (k, level) in (FIRST..).zip(&mut self.levels) {
            level.place = level.front + lead(k);
            for f in 0..F {
                let end = self.origin + level.place + f * stride(k);
                for slot in &mut self.data[end - history(k)..end] {
                    *slot = take_f64(bytes)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::BASELINE;

    const END: usize = LOW + 3;

    fn value(k: usize, i: usize) -> [f64; 2] {
        let x = (k * 1_000_000 + i) as f64;
        [x, -x]
    }

    /// Numbered nodes, from value `.0` on.
    struct Numbered(usize);

    impl Numbered {
        fn rows<I: Simd>(&self, isa: I, i: usize, k: usize) -> [I::V; 2] {
            [0, 1].map(|f| {
                isa.load(
                    &(0..I::LANES)
                        .map(|lane| value(k, self.0 + i + lane)[f])
                        .collect::<Vec<_>>(),
                )
            })
        }
    }

    fn unpacked<I: Simd>(v: I::V) -> Vec<f64> {
        let mut rows = vec![0.0; I::LANES];
        v.store(&mut rows);
        rows
    }

    impl Nodes<2, 1> for Numbered {
        fn bottom<I: Simd>(&self, isa: I, i: usize, [four]: [[I::V; 4]; 1]) -> [I::V; 2] {
            for (back, v) in four
                .into_iter()
                .rev()
                .enumerate()
                .filter(|(back, _)| self.0 + i >= *back)
            {
                assert_eq!(unpacked::<I>(v)[0], (self.0 + i - back) as f64);
            }
            self.rows(isa, i, FIRST)
        }

        fn above<I: Simd>(
            &self,
            isa: I,
            i: usize,
            k: usize,
            older: [I::V; 2],
            newer: [I::V; 2],
        ) -> [I::V; 2] {
            let [older, newer] = [older, newer].map(|node| node.map(|v| unpacked::<I>(v)));
            for lane in 0..I::LANES {
                let at = self.0 + i + lane;
                assert_eq!([newer[0][lane], newer[1][lane]], value(k, at));
                if at >= history(k) {
                    assert_eq!([older[0][lane], older[1][lane]], value(k, at - history(k)));
                }
            }
            self.rows(isa, i, k + 1)
        }

        const BEYOND: bool = true;

        fn beyond<I: Simd>(&mut self, _: I, i: usize, node: [I::V; 2]) {
            assert_eq!(unpacked::<I>(node[1])[0], value(END, self.0 + i)[1]);
        }
    }

    /// Every node is found where the positions say, on low and high levels, however the values came.
    #[test]
    fn nodes_are_kept_over_moves_of_any_rhythm() {
        let mut levels = Pyramid::<2, 1>::new(END);
        let mut i = 0;
        for n in [1usize, 7, BLOCK, 3, 1, BLOCK, 50, 1, 1]
            .into_iter()
            .cycle()
            .take(400)
        {
            let xs: Vec<f64> = (i..i + n).map(|i| i as f64).collect();
            match n {
                1 => levels.take([xs[0]], &mut Numbered(i)),
                3 => levels.take_block(Scalar, n, [&xs], &mut Numbered(i)),
                _ => levels.take_block(BASELINE, n, [&xs], &mut Numbered(i)),
            }
            i += n;
            assert_eq!(levels.value(0, 0), (i - 1) as f64);
            assert_eq!(levels.values(0, n, 0), xs);
            for k in FIRST..END {
                for back in [0, 1, history(k) / 2, history(k) - 1] {
                    if back < i {
                        assert_eq!(
                            levels.node(k, back),
                            value(k, i - 1 - back),
                            "level {k} back {back} of {i}"
                        );
                        assert_eq!(levels.rows(k, 1, 1, back), [value(k, i - 1 - back)[1]]);
                    }
                }
            }
        }
    }

    #[test]
    fn the_size_is_known_beforehand() {
        for end in FIRST..14 {
            let levels = Pyramid::<3, 1>::new(end);
            assert_eq!(
                levels.data.capacity() * 8 + levels.levels.capacity() * 16,
                Pyramid::<3, 1>::bytes(end)
            );
        }
    }
}
