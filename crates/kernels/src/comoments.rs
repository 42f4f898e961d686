//! Rolling covariance of two series as dyadic nodes.

use crate::BLOCK;
use crate::history::{History, digits, levels};
use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::{Columns, Scalar, Simd, Vector};
use crate::state::{Exhausted, State};

/// A summary of consecutive pairs, the newest of which is `(x, y)`; means relative to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Comoments {
    /// Newest value of the first series.
    pub x: f64,
    /// Newest value of the second series.
    pub y: f64,
    /// Mean of the first series minus its newest value.
    pub mean_x: f64,
    /// Mean of the second series minus its newest value.
    pub mean_y: f64,
    /// Sum of squared deviations of the first series.
    pub xx: f64,
    /// Sum of squared deviations of the second series.
    pub yy: f64,
    /// Sum of products of deviations.
    pub xy: f64,
}

/// What a merge of `older` pairs before `newer` pairs multiplies by.
#[derive(Clone, Copy, Debug)]
struct Weights {
    /// Share of the older part in the whole.
    share: f64,
    /// Harmonic weight of the product of the distances of the means.
    product: f64,
}

impl Weights {
    fn new(older: usize, newer: usize) -> Self {
        let (a, b) = (older as f64, newer as f64);
        let share = a / (a + b);
        Self {
            share,
            product: b * share,
        }
    }
}

const MEAN_X: usize = 0;
const MEAN_Y: usize = 1;
const XX: usize = 2;
const YY: usize = 3;
const XY: usize = 4;
const F: usize = 5;

/// `older` and then `newer`, seen from the newer part's newest pair; `by` is the older part's newest pair minus it.
#[inline(always)]
fn merge<I: Simd>(
    isa: I,
    older: [I::V; F],
    newer: [I::V; F],
    by: [I::V; 2],
    w: &Weights,
) -> [I::V; F] {
    let (share, product) = (isa.splat(w.share), isa.splat(w.product));
    let dx = (older[MEAN_X] + by[0]) - newer[MEAN_X];
    let dy = (older[MEAN_Y] + by[1]) - newer[MEAN_Y];
    [
        newer[MEAN_X] + dx * share,
        newer[MEAN_Y] + dy * share,
        (older[XX] + newer[XX]) + dx * dx * product,
        (older[YY] + newer[YY]) + dy * dy * product,
        (older[XY] + newer[XY]) + dx * dy * product,
    ]
}

/// What joining two nodes of level `k` multiplies by.
#[inline(always)]
fn equal(k: usize) -> Weights {
    Weights {
        share: 0.5,
        product: (1u64 << k) as f64 * 0.5,
    }
}

/// Co-moments of the newest pairs over any window of up to `cap` pairs.
#[derive(Clone, Debug)]
pub struct ComomentTree {
    pairs: History<2>,
    /// Level `k` holds the nodes of `2^k` pairs.
    pyramid: Pyramid<F, 0>,
}

/// A window of fixed length, with its parts worked out.
#[derive(Clone, Debug)]
pub struct ComomentWindow {
    /// Its newest pairs that make no node of the first level.
    loose: usize,
    /// Level, pairs behind it, and weights of each node that comes before those.
    parts: Vec<(usize, usize, Weights)>,
}

impl ComomentWindow {
    /// The newest `m` values, `m >= 1`.
    pub fn new(m: usize) -> Self {
        Self {
            loose: m % (1 << FIRST),
            parts: parts(m).collect(),
        }
    }
}

#[inline(always)]
fn parts(m: usize) -> impl Iterator<Item = (usize, usize, Weights)> {
    digits(m)
        .filter(|&(k, _)| k >= FIRST)
        .map(|(k, back)| (k, back, Weights::new(1 << k, back)))
}

/// Second moments of a block of windows, one entry a row.
#[derive(Clone, Debug)]
pub struct ComomentBlock {
    nodes: [[f64; BLOCK]; F],
}

impl ComomentBlock {
    /// Room for one block.
    pub const fn new() -> Self {
        Self {
            nodes: [[0.0; BLOCK]; F],
        }
    }

    /// Means of the first series less its newest values.
    #[inline(always)]
    pub fn means(&self) -> &[f64; BLOCK] {
        &self.nodes[MEAN_X]
    }

    /// Sums of squared deviations of the first series, of the second, and of products of deviations.
    #[inline(always)]
    pub fn columns(&self) -> [&[f64; BLOCK]; 3] {
        [&self.nodes[XX], &self.nodes[YY], &self.nodes[XY]]
    }
}

#[doc(hidden)]
impl ComomentBlock {
    /// The same, to be written: for tests of what is made of them.
    pub fn columns_mut(&mut self) -> [&mut [f64; BLOCK]; 3] {
        let [_, _, xx, yy, xy] = &mut self.nodes;
        [xx, yy, xy]
    }
}

impl Default for ComomentBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// The node of two pairs, `by` the older minus the newer.
#[inline(always)]
fn couple<I: Simd>(isa: I, [dx, dy]: [I::V; 2]) -> [I::V; F] {
    let half = isa.splat(0.5);
    [
        dx * half,
        dy * half,
        dx * dx * half,
        dy * dy * half,
        dx * dy * half,
    ]
}

/// The node of the newest `m < 4` pairs, the oldest first.
#[inline(always)]
fn loose<I: Simd>(isa: I, m: usize, [x, y]: [[I::V; 4]; 2]) -> [I::V; F] {
    let by = [x[2] - x[3], y[2] - y[3]];
    match m {
        2 => couple(isa, by),
        3 => merge(
            isa,
            couple(isa, [x[1] - x[2], y[1] - y[2]]),
            [isa.splat(0.0); F],
            by,
            &Weights::new(2, 1),
        ),
        _ => [isa.splat(0.0); F],
    }
}

/// The values of each series three, two, one and no places before that which stands `n` places before the end.
#[inline(always)]
fn four<I: Simd>(isa: I, [xs, ys]: [&[f64]; 2], n: usize) -> [[I::V; 4]; 2] {
    [
        isa.load_four(&xs[xs.len() - n - 3..]),
        isa.load_four(&ys[ys.len() - n - 3..]),
    ]
}

/// The co-moments of pairs of which the newest `n` end `pasts`.
struct Joins<'a> {
    pasts: [&'a [f64]; 2],
    n: usize,
}

impl Nodes<F, 0> for Joins<'_> {
    #[inline(always)]
    fn bottom<I: Simd>(&self, isa: I, i: usize, _: [[I::V; 4]; 0]) -> [I::V; F] {
        let [x, y] = four(isa, self.pasts, self.n - i);
        let older = couple(isa, [x[0] - x[1], y[0] - y[1]]);
        let newer = couple(isa, [x[2] - x[3], y[2] - y[3]]);
        merge(isa, older, newer, [x[1] - x[3], y[1] - y[3]], &equal(1))
    }

    #[inline(always)]
    fn above<I: Simd>(
        &self,
        isa: I,
        i: usize,
        k: usize,
        older: [I::V; F],
        newer: [I::V; F],
    ) -> [I::V; F] {
        let [xs, ys] = self.pasts;
        let at = xs.len() - self.n + i;
        let dx = isa.load(&xs[at - (1 << k)..]) - isa.load(&xs[at..]);
        let at = ys.len() - self.n + i;
        let dy = isa.load(&ys[at - (1 << k)..]) - isa.load(&ys[at..]);
        merge(isa, older, newer, [dx, dy], &equal(k))
    }
}

impl ComomentTree {
    /// State for windows of 1 to `cap` pairs.
    pub fn new(cap: usize) -> Self {
        Self {
            pairs: History::new(Self::past(cap)),
            pyramid: Pyramid::new(levels(cap) + 1),
        }
    }

    /// Bytes that [`ComomentTree::new`] takes.
    pub const fn bytes(cap: usize) -> usize {
        History::<2>::bytes(Self::past(cap)) + Pyramid::<F, 0>::bytes(levels(cap) + 1)
    }

    /// Pairs that merges look back on.
    const fn past(cap: usize) -> usize {
        if cap < 1 << FIRST {
            1 << FIRST
        } else {
            cap.next_power_of_two()
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.pairs.places(1 << FIRST, touch);
        self.pyramid.places(touch);
    }

    /// Takes the next pair.
    #[inline(always)]
    pub fn push(&mut self, x: f64, y: f64) {
        self.pairs.reserve(1);
        self.pairs.push([x, y]);
        self.pyramid.take(
            [],
            &mut Joins {
                pasts: self.pairs.pasts(),
                n: 1,
            },
        );
    }

    /// Takes the next pairs, at most [`BLOCK`]; both slices have one length.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64], ys: &[f64]) {
        self.pairs.push_block([xs, ys]);
        self.pyramid.take_block(
            isa,
            xs.len(),
            [],
            &mut Joins {
                pasts: self.pairs.pasts(),
                n: xs.len(),
            },
        );
    }

    /// The newest `n` values of the first series.
    #[inline(always)]
    pub fn first(&self, n: usize) -> &[f64] {
        self.pairs.block(0, n, 0)
    }

    /// The newest pair; zeros before the first.
    #[inline(always)]
    pub fn newest(&self) -> [f64; 2] {
        self.pairs.back(0)
    }

    /// The co-moments of the newest `m` pairs, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> Comoments {
        self.read_parts(m % (1 << FIRST), parts(m))
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_window(&self, window: &ComomentWindow) -> Comoments {
        self.read_parts(window.loose, window.parts.iter().copied())
    }

    #[inline(always)]
    fn read_parts(
        &self,
        few: usize,
        mut parts: impl Iterator<Item = (usize, usize, Weights)>,
    ) -> Comoments {
        let [xs, ys] = self.pairs.pasts();
        let (x, y) = (xs[xs.len() - 1], ys[ys.len() - 1]);
        let mut window = match few {
            0 => parts
                .next()
                .map_or([0.0; F], |(k, back, _)| self.pyramid.node(k, back)),
            few => loose(Scalar, few, four(Scalar, [xs, ys], 1)),
        };
        for (k, back, w) in parts {
            let by = [xs[xs.len() - 1 - back] - x, ys[ys.len() - 1 - back] - y];
            window = merge(Scalar, self.pyramid.node(k, back), window, by, &w);
        }
        let [mean_x, mean_y, xx, yy, xy] = window;
        Comoments {
            x,
            y,
            mean_x,
            mean_y,
            xx,
            yy,
            xy,
        }
    }

    /// The co-moments of the window that ends at each of the newest `n` pairs, into `out`'s first `n` rows.
    #[inline(always)]
    pub fn read_block<I: Simd>(
        &self,
        isa: I,
        window: &ComomentWindow,
        n: usize,
        out: &mut ComomentBlock,
    ) {
        let mut rest = window.parts.as_slice();
        match (window.loose, rest) {
            (0, [(k, back, _), after @ ..]) => {
                rest = after;
                for (f, column) in out.nodes.iter_mut().enumerate() {
                    column[..n].copy_from_slice(self.pyramid.rows(*k, f, n, *back));
                }
            }
            (few, _) => {
                for i in 0..n {
                    let four = four(Scalar, self.pairs.pasts(), n - i);
                    for (column, number) in out.nodes.iter_mut().zip(loose(Scalar, few, four)) {
                        column[i] = number;
                    }
                }
            }
        }
        loop {
            rest = match rest {
                [a, b, c, rest @ ..] => {
                    self.fold(isa, [a, b, c], n, out);
                    rest
                }
                [a, b] => return self.fold(isa, [a, b], n, out),
                [a] => return self.fold(isa, [a], n, out),
                [] => return,
            };
        }
    }

    /// Merges `P` older parts of a window into what `out` holds of it.
    #[inline(always)]
    fn fold<I: Simd, const P: usize>(
        &self,
        isa: I,
        parts: [&(usize, usize, Weights); P],
        n: usize,
        out: &mut ComomentBlock,
    ) {
        let fold = Fold {
            newest: Columns::new([0, 1].map(|f| self.pairs.block(f, n, 0))),
            older: parts
                .map(|&(_, back, _)| Columns::new([0, 1].map(|f| self.pairs.block(f, n, back)))),
            nodes: parts.map(|&(k, back, _)| self.pyramid.columns(k, n, back)),
            weights: parts.map(|(.., w)| w),
        };
        let side_by_side = n - n % I::LANES;
        for i in (0..side_by_side).step_by(I::LANES) {
            fold.rows(isa, i, out);
        }
        for i in side_by_side..n {
            fold.rows(Scalar, i, out);
        }
    }
}

/// Older parts of a window at some rows: newest pair, nodes, weights; and the window's own newest pairs.
struct Fold<'a, const P: usize> {
    newest: Columns<'a, 2>,
    older: [Columns<'a, 2>; P],
    nodes: [Columns<'a, F>; P],
    weights: [&'a Weights; P],
}

impl<const P: usize> Fold<'_, P> {
    #[inline(always)]
    fn rows<I: Simd>(&self, isa: I, i: usize, out: &mut ComomentBlock) {
        let [x, y] = self.newest.load(isa, i);
        let mut window = [x; F];
        for f in 0..F {
            window[f] = isa.load(&out.nodes[f][i..]);
        }
        for p in 0..P {
            let [older_x, older_y] = self.older[p].load(isa, i);
            let by = [older_x - x, older_y - y];
            window = merge(isa, self.nodes[p].load(isa, i), window, by, self.weights[p]);
        }
        for f in 0..F {
            window[f].store(&mut out.nodes[f][i..]);
        }
    }
}

impl State for ComomentTree {
    fn save(&self, out: &mut Vec<u8>) {
        self.pairs.save(out);
        self.pyramid.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.pairs.load(bytes)?;
        self.pyramid.load(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::BASELINE;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_definition(
            pairs in prop::collection::vec((-1e3f64..1e3, 0.0f64..1e3), 1..400), m in 1usize..100, cut in 1usize..=BLOCK
        ) {
            let (mut one, mut many) = (ComomentTree::new(100), ComomentTree::new(100));
            let mut block = ComomentBlock::new();
            let mut i = 0;
            for chunk in pairs.chunks(cut) {
                let (xs, ys): (Vec<f64>, Vec<f64>) = chunk.iter().copied().unzip();
                many.push_block(BASELINE, &xs, &ys);
                many.read_block(BASELINE, &ComomentWindow::new(m), chunk.len(), &mut block);
                for (row, &(x, y)) in chunk.iter().enumerate() {
                    one.push(x, y);
                    i += 1;
                    if i < m { continue; }
                    let got = one.read(m);
                    prop_assert_eq!(got, one.read_window(&ComomentWindow::new(m)));
                    let [xx, yy, xy] = block.columns();
                    prop_assert_eq!(got.xx.to_bits(), xx[row].to_bits());
                    prop_assert_eq!(got.yy.to_bits(), yy[row].to_bits());
                    prop_assert_eq!(got.xy.to_bits(), xy[row].to_bits());
                    let window = &pairs[i - m..i];
                    let n = m as f64;
                    let (ax, ay) = (window.iter().map(|p| p.0).sum::<f64>() / n, window.iter().map(|p| p.1).sum::<f64>() / n);
                    let direct: f64 = window.iter().map(|p| (p.0 - ax) * (p.1 - ay)).sum();
                    prop_assert!((got.xy - direct).abs() <= 1e-6 * (1.0 + direct.abs()));
                }
            }
        }
    }
}
