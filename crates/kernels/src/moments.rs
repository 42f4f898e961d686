//! Rolling mean and central moments as dyadic nodes.
//!
//! A node of `n` values holds the mean *relative to its newest value* and the sums of squared and cubed deviations
//! from the mean, up to the fourth power. Relative means keep the digits that matter: a constant window has variance exactly 0, and the z-score
//! of the newest value is `-mean / std` without a subtraction of large numbers. Nodes merge by Chan, Golub & LeVeque
//! (1983), higher moments by Pébay (2008).

use crate::BLOCK;
use crate::history::{History, digits, levels};
use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::{Columns, Scalar, Simd, Vector};
use crate::state::{Exhausted, State};

/// A summary of some consecutive values, the newest of which is `x`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// The newest value.
    pub x: f64,
    /// Mean minus newest value.
    pub mean: f64,
    /// Sum of squared deviations from the mean.
    pub m2: f64,
    /// Sum of cubed deviations from the mean; 0 where the state keeps two moments.
    pub m3: f64,
    /// Sum of fourth powers of deviations from the mean; 0 where the state keeps three moments.
    pub m4: f64,
}

/// What a merge of `older` values before `newer` values multiplies by.
#[derive(Clone, Copy, Debug)]
struct Weights {
    /// Share of the older part in the whole.
    share: f64,
    /// Harmonic weight of the squared distance of the means.
    square: f64,
    /// Weight of the cubed distance of the means.
    cube: f64,
    /// Three times the newer part's share, times the older part's m2.
    older: f64,
    /// Three times the older part's share, times the newer part's m2.
    newer: f64,
    /// Weight of the fourth power of the distance of the means.
    fourth: f64,
    /// Six times the squared share of the newer part, times the older part's m2; and the other way round.
    squares: [f64; 2],
    /// Four times the newer part's share, times the older part's m3; and the other way round.
    cubes: [f64; 2],
}

impl Weights {
    fn new(older: usize, newer: usize) -> Self {
        let (a, b) = (older as f64, newer as f64);
        let n = a + b;
        let share = a / n;
        Self {
            share,
            square: b * share,
            cube: b * share * ((b - a) / n),
            newer: 3.0 * share,
            older: 3.0 * (b / n),
            fourth: b * share * ((a * a - a * b + b * b) / (n * n)),
            squares: [6.0 * (b / n) * (b / n), 6.0 * share * share],
            cubes: [4.0 * (b / n), 4.0 * share],
        }
    }
}

/// `older` and then `newer`, seen from the newer part's newest value; `dx` is the older part's newest value minus it.
#[inline(always)]
fn merge<I: Simd, const F: usize>(
    isa: I,
    older: [I::V; F],
    newer: [I::V; F],
    dx: I::V,
    w: &Weights,
) -> [I::V; F] {
    let d = (older[MEAN] + dx) - newer[MEAN];
    let dd = d * d;
    let mut node = newer;
    node[MEAN] = newer[MEAN] + d * isa.splat(w.share);
    node[M2] = (older[M2] + newer[M2]) + dd * isa.splat(w.square);
    if F > M3 {
        let skewed = older[M2] * isa.splat(w.older) - newer[M2] * isa.splat(w.newer);
        node[M3] = (older[M3] + newer[M3]) + d * (dd * isa.splat(w.cube) + skewed);
    }
    if F > M4 {
        let [of_older, of_newer] = w.squares.map(|x| isa.splat(x));
        let squares = older[M2] * of_older + newer[M2] * of_newer;
        let [of_older, of_newer] = w.cubes.map(|x| isa.splat(x));
        let cubes = older[M3] * of_older - newer[M3] * of_newer;
        let even = dd * (dd * isa.splat(w.fourth) + squares);
        node[M4] = (older[M4] + newer[M4]) + (even + d * cubes);
    }
    node
}

/// The same for two parts of `2^k` values each, where some weights are equal.
#[inline(always)]
fn join<I: Simd, const F: usize>(
    isa: I,
    k: usize,
    older: [I::V; F],
    newer: [I::V; F],
    dx: I::V,
) -> [I::V; F] {
    let d = (older[MEAN] + dx) - newer[MEAN];
    let mut node = newer;
    node[MEAN] = newer[MEAN] + d * isa.splat(0.5);
    node[M2] = (older[M2] + newer[M2]) + d * d * isa.splat((1u64 << k) as f64 * 0.5);
    if F > M3 {
        node[M3] = (older[M3] + newer[M3]) + d * ((older[M2] - newer[M2]) * isa.splat(1.5));
    }
    if F > M4 {
        let squares = (older[M2] + newer[M2]) * isa.splat(1.5);
        let even = d * d * (d * d * isa.splat((1u64 << k) as f64 * 0.125) + squares);
        let odd = d * ((older[M3] - newer[M3]) * isa.splat(2.0));
        node[M4] = (older[M4] + newer[M4]) + (even + odd);
    }
    node
}

const MEAN: usize = 0;
const M2: usize = 1;
const M3: usize = 2;
const M4: usize = 3;

/// Moments of the newest values over any window of up to `cap` values: the first `F` of mean, second, third and fourth.
#[derive(Clone, Debug)]
pub struct MomentTree<const F: usize> {
    xs: History<1>,
    /// Level `k` holds the nodes of `2^k` values.
    pyramid: Pyramid<F, 0>,
}

/// A window of fixed length, with its parts worked out.
#[derive(Clone, Debug)]
pub struct MomentWindow {
    /// Its newest values that make no node of the first level.
    loose: usize,
    /// Level, values behind it, and weights of each node that comes before those.
    parts: Vec<(usize, usize, Weights)>,
}

impl MomentWindow {
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

/// Moments of a block of windows, one entry a row.
#[derive(Clone, Debug)]
pub struct MomentBlock {
    /// Mean minus newest value.
    pub mean: [f64; BLOCK],
    /// Sums of squared deviations.
    pub m2: [f64; BLOCK],
    /// Sums of cubed deviations.
    pub m3: [f64; BLOCK],
    /// Sums of fourth powers of deviations.
    pub m4: [f64; BLOCK],
}

impl MomentBlock {
    /// Room for one block.
    pub const fn new() -> Self {
        Self {
            mean: [0.0; BLOCK],
            m2: [0.0; BLOCK],
            m3: [0.0; BLOCK],
            m4: [0.0; BLOCK],
        }
    }

    #[inline(always)]
    fn put<I: Simd, const F: usize>(&mut self, _: I, i: usize, node: [I::V; F]) {
        node[MEAN].store(&mut self.mean[i..]);
        node[M2].store(&mut self.m2[i..]);
        if F > M3 {
            node[M3].store(&mut self.m3[i..]);
        }
        if F > M4 {
            node[M4].store(&mut self.m4[i..]);
        }
    }
}

impl Default for MomentBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// The node of two values, `dx` the older minus the newer.
#[inline(always)]
fn couple<I: Simd, const F: usize>(isa: I, dx: I::V) -> [I::V; F] {
    let mut node = [isa.splat(0.0); F];
    node[MEAN] = dx * isa.splat(0.5);
    node[M2] = dx * dx * isa.splat(0.5);
    if F > M4 {
        node[M4] = dx * dx * (dx * dx) * isa.splat(0.125);
    }
    node
}

/// The node of the newest `m < 4` values, the oldest first in `xs`.
#[inline(always)]
fn loose<I: Simd, const F: usize>(isa: I, m: usize, [_, c, b, a]: [I::V; 4]) -> [I::V; F] {
    match m {
        2 => couple(isa, b - a),
        3 => merge(
            isa,
            couple(isa, c - b),
            [isa.splat(0.0); F],
            b - a,
            &Weights::new(2, 1),
        ),
        _ => [isa.splat(0.0); F],
    }
}

/// The values from three places before that which stands `n` places before the end.
#[inline(always)]
fn four(past: &[f64], n: usize) -> &[f64] {
    &past[past.len() - n - 3..]
}

/// The moments of values of which the newest `n` end `past`.
struct Joins<'a> {
    past: &'a [f64],
    n: usize,
}

impl<const F: usize> Nodes<F, 0> for Joins<'_> {
    #[inline(always)]
    fn bottom<I: Simd>(&self, isa: I, i: usize, _: [[I::V; 4]; 0]) -> [I::V; F] {
        let [d, c, b, a] = isa.load_four(four(self.past, self.n - i));
        join(isa, 1, couple(isa, d - c), couple(isa, b - a), c - a)
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
        let at = self.past.len() - self.n + i;
        let dx = isa.load(&self.past[at - (1 << k)..]) - isa.load(&self.past[at..]);
        join(isa, k, older, newer, dx)
    }
}

impl<const F: usize> MomentTree<F> {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            xs: History::new(Self::past(cap)),
            pyramid: Pyramid::new(levels(cap) + 1),
        }
    }

    /// Bytes that [`MomentTree::new`] takes.
    pub const fn bytes(cap: usize) -> usize {
        History::<1>::bytes(Self::past(cap)) + Pyramid::<F, 0>::bytes(levels(cap) + 1)
    }

    /// Values that merges look back on.
    const fn past(cap: usize) -> usize {
        if cap < 1 << FIRST {
            1 << FIRST
        } else {
            cap.next_power_of_two()
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.xs.places(1 << FIRST, touch);
        self.pyramid.places(touch);
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        self.xs.reserve(1);
        self.xs.push([x]);
        let [past] = self.xs.pasts();
        self.pyramid.take([], &mut Joins { past, n: 1 });
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64]) {
        self.xs.push_block([xs]);
        let [past] = self.xs.pasts();
        self.pyramid
            .take_block(isa, xs.len(), [], &mut Joins { past, n: xs.len() });
    }

    /// The moments of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> Moments {
        self.read_parts(m % (1 << FIRST), parts(m))
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_window(&self, window: &MomentWindow) -> Moments {
        self.read_parts(window.loose, window.parts.iter().copied())
    }

    #[inline(always)]
    fn read_parts(
        &self,
        few: usize,
        mut parts: impl Iterator<Item = (usize, usize, Weights)>,
    ) -> Moments {
        let [past] = self.xs.pasts();
        let x = past[past.len() - 1];
        let mut window = match few {
            0 => parts
                .next()
                .map_or([0.0; F], |(k, back, _)| self.pyramid.node(k, back)),
            few => loose(Scalar, few, Scalar.load_four(four(past, 1))),
        };
        for (k, back, w) in parts {
            window = merge(
                Scalar,
                self.pyramid.node(k, back),
                window,
                past[past.len() - 1 - back] - x,
                &w,
            );
        }
        Moments {
            x,
            mean: window[MEAN],
            m2: window[M2],
            m3: if F > M3 { window[M3] } else { 0.0 },
            m4: if F > M4 { window[M4] } else { 0.0 },
        }
    }

    /// The moments of the window that ends at each of the newest `n` values, into `out[..n]`.
    #[inline(always)]
    pub fn read_block<I: Simd>(
        &self,
        isa: I,
        window: &MomentWindow,
        n: usize,
        out: &mut MomentBlock,
    ) {
        let mut rest = window.parts.as_slice();
        match (window.loose, rest) {
            (0, [(k, back, _), after @ ..]) => {
                rest = after;
                let columns = [&mut out.mean, &mut out.m2, &mut out.m3, &mut out.m4];
                for (f, column) in columns.into_iter().enumerate().take(F) {
                    column[..n].copy_from_slice(self.pyramid.rows(*k, f, n, *back));
                }
            }
            (few, _) => {
                let [past] = self.xs.pasts();
                for i in 0..n {
                    out.put(
                        Scalar,
                        i,
                        loose::<Scalar, F>(Scalar, few, Scalar.load_four(four(past, n - i))),
                    );
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
        out: &mut MomentBlock,
    ) {
        let fold = Fold {
            x: Columns::new([self.xs.block(0, n, 0)]),
            older: parts.map(|&(_, back, _)| Columns::new([self.xs.block(0, n, back)])),
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

    /// The newest `n` values themselves.
    #[inline(always)]
    pub fn newest(&self, n: usize) -> &[f64] {
        self.xs.block(0, n, 0)
    }
}

/// Older parts of a window at some rows: newest value, nodes, weights; and the window's own newest values.
struct Fold<'a, const F: usize, const P: usize> {
    x: Columns<'a, 1>,
    older: [Columns<'a, 1>; P],
    nodes: [Columns<'a, F>; P],
    weights: [&'a Weights; P],
}

impl<const F: usize, const P: usize> Fold<'_, F, P> {
    #[inline(always)]
    fn rows<I: Simd>(&self, isa: I, i: usize, out: &mut MomentBlock) {
        let [x] = self.x.load(isa, i);
        let mut window = [isa.load(&out.mean[i..]); F];
        window[M2] = isa.load(&out.m2[i..]);
        if F > M3 {
            window[M3] = isa.load(&out.m3[i..]);
        }
        if F > M4 {
            window[M4] = isa.load(&out.m4[i..]);
        }
        for p in 0..P {
            let [older] = self.older[p].load(isa, i);
            window = merge(
                isa,
                self.nodes[p].load(isa, i),
                window,
                older - x,
                self.weights[p],
            );
        }
        out.put(isa, i, window);
    }
}

impl<const F: usize> State for MomentTree<F> {
    fn save(&self, out: &mut Vec<u8>) {
        self.xs.save(out);
        self.pyramid.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.xs.load(bytes)?;
        self.pyramid.load(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::BASELINE;
    use proptest::prelude::*;

    fn direct(xs: &[f64]) -> [f64; 4] {
        let n = xs.len() as f64;
        let mean = xs.iter().sum::<f64>() / n;
        let power = |p: i32| {
            xs.iter()
                .map(|x| libm::pow(x - mean, p.into()))
                .sum::<f64>()
        };
        [mean, power(2), power(3), power(4)]
    }

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_definition(
            xs in prop::collection::vec(-1e3f64..1e3, 1..500), m in 1usize..150, cut in 1usize..=BLOCK
        ) {
            let (mut one, mut many) = (MomentTree::<4>::new(150), MomentTree::<4>::new(150));
            let (mut plain, mut cubes) = (MomentTree::<2>::new(150), MomentTree::<3>::new(150));
            let mut block = MomentBlock::new();
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(BASELINE, chunk);
                many.read_block(BASELINE, &MomentWindow::new(m), chunk.len(), &mut block);
                for (row, &x) in chunk.iter().enumerate() {
                    one.push(x);
                    plain.push(x);
                    cubes.push(x);
                    i += 1;
                    if i < m { continue; }
                    let got = one.read(m);
                    prop_assert_eq!(got, one.read_window(&MomentWindow::new(m)));
                    prop_assert_eq!(got.mean.to_bits(), block.mean[row].to_bits());
                    prop_assert_eq!(got.m2.to_bits(), block.m2[row].to_bits());
                    prop_assert_eq!(got.m3.to_bits(), block.m3[row].to_bits());
                    prop_assert_eq!(got.m4.to_bits(), block.m4[row].to_bits());
                    let two = plain.read(m);
                    prop_assert_eq!((two.mean, two.m2), (got.mean, got.m2));
                    let three = cubes.read(m);
                    prop_assert_eq!((three.mean, three.m2, three.m3), (got.mean, got.m2, got.m3));
                    let [mean, m2, m3, m4] = direct(&xs[i - m..i]);
                    prop_assert!((x + got.mean - mean).abs() < 1e-9);
                    prop_assert!((got.m2 - m2).abs() <= 1e-9 * (1.0 + m2));
                    prop_assert!((got.m3 - m3).abs() <= 1e-6 * (1.0 + m2 * libm::sqrt(m2)));
                    prop_assert!((got.m4 - m4).abs() <= 1e-6 * (1.0 + m2 * m2));
                }
            }
        }

        #[test]
        fn a_window_forgets_what_came_before(
            before in prop::collection::vec(-1e12f64..1e12, 0..300), window in prop::collection::vec(-1.0f64..1.0, 60)
        ) {
            let (mut fresh, mut long) = (MomentTree::<4>::new(60), MomentTree::<4>::new(60));
            before.iter().for_each(|&x| long.push(x));
            window.iter().for_each(|&x| { long.push(x); fresh.push(x) });
            prop_assert_eq!(fresh.read(60), long.read(60));
        }
    }

    #[test]
    fn a_constant_window_has_no_variance() {
        let mut tree = MomentTree::<4>::new(20);
        for _ in 0..50 {
            tree.push(0.1);
        }
        assert_eq!(
            tree.read(20),
            Moments {
                x: 0.1,
                mean: 0.0,
                m2: 0.0,
                m3: 0.0,
                m4: 0.0
            }
        );
    }
}
