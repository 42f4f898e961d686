//! Exponentially weighted mean and second moments as a dyadic tree: of one series, or of two with their product.
//!
//! A node holds means *relative to its newest value* and weighted sums of squared deviations (and of their products), the
//! newest value weighing 1. Two nodes merge as those of [`crate::moments`], by Chan, Golub & LeVeque (1983), with weights for
//! counts: nothing large is subtracted from something large, as in `mean(x^2) - mean(x)^2`. The tree ends where that of
//! [`crate::ewm::Ewm`] ends, so that it forgets too.

use crate::ewm::Ewm;
use crate::history::History;
use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::{LANES_MAX, Simd, Vector};
use crate::state::{Exhausted, State, put_u64, take_u64};
use std::sync::Arc;

/// Weighted moments of the newest `2^levels` values of `S` series with factor `alpha`. A node is `F` numbers: of one series mean
/// and sum of squares; of two, both means, both sums of squares, and the sum of products.
#[derive(Clone, Debug)]
pub struct WeightedMoments<const S: usize, const F: usize> {
    past: History<S>,
    /// Level `k` holds the nodes of `2^k` values; the last one needs no past and is not kept.
    pyramid: Pyramid<F, 0>,
    /// Shared by copies: they depend on `alpha` alone.
    weights: Arc<Weights>,
    count: usize,
}

#[derive(Debug)]
struct Weights {
    /// `lambda^(2^k)` of each level.
    decay: Vec<f64>,
    /// Sum of the weights of the newest `c` values, at `c`, up to a full tree.
    sums: Vec<f64>,
    /// What makes an unbiased variance of a weighted sum of squares of the newest `c` values, at `c`.
    unbiased: Vec<f64>,
    /// What full nodes of each level merge by.
    full: Vec<Merge>,
}

/// What an older and a newer node merge by.
#[derive(Clone, Copy, Debug, Default)]
struct Merge {
    /// Share of the older part in the whole.
    share: f64,
    /// Harmonic weight of the product of the distances of the means.
    product: f64,
    /// 1 where there is an older part, else 0.
    present: f64,
}

impl Weights {
    fn new(alpha: f64) -> Self {
        let (levels, lambda) = (Ewm::levels(alpha), 1.0 - alpha);
        let mut decay = vec![lambda];
        for k in 1..levels {
            decay.push(decay[k - 1] * decay[k - 1]);
        }
        let (mut sums, mut unbiased) = (vec![0.0], vec![f64::NAN]);
        // W^2 less the sum of squared weights is twice the sum of the products of two weights: summed, it loses nothing.
        let (mut sum, mut products, mut weight) = (0.0, 0.0, 1.0);
        for _ in 0..1usize << levels {
            products += 2.0 * weight * sum;
            sum += weight;
            weight *= lambda;
            sums.push(sum);
            unbiased.push(sum / products);
        }
        let mut weights = Self {
            decay,
            sums,
            unbiased,
            full: Vec::new(),
        };
        weights.full = (0..levels).map(|k| weights.merge(k, 2 << k)).collect();
        weights
    }

    /// What two nodes of level `k` merge by where `count` values are there.
    fn merge(&self, k: usize, count: usize) -> Merge {
        let size = 1 << k;
        let newer = self.sums[count.min(size)];
        let older = self.decay[k] * self.sums[count.saturating_sub(size).min(size)];
        if older == 0.0 {
            return Merge::default();
        }
        let total = newer + older;
        Merge {
            share: older / total,
            product: newer * (older / total),
            present: 1.0,
        }
    }

    /// The same for rows of which the first has `count` values less those `behind`: share, product and presence.
    #[inline(always)]
    fn merges<I: Simd>(&self, isa: I, k: usize, count: usize, behind: usize) -> [I::V; 3] {
        if count >= (2 << k) + behind {
            let Merge { share, product, .. } = self.full[k];
            return [isa.splat(share), isa.splat(product), isa.splat(1.0)];
        }
        let mut rows = [[0.0; LANES_MAX]; 3];
        for lane in 0..I::LANES {
            let Merge {
                share,
                product,
                present,
            } = self.merge(k, (count + lane).saturating_sub(behind));
            (rows[0][lane], rows[1][lane], rows[2][lane]) = (share, product, present);
        }
        [isa.load(&rows[0]), isa.load(&rows[1]), isa.load(&rows[2])]
    }
}

/// The nodes of values of which the newest `n` end `pasts`, and where those of a full tree go.
struct Fades<'a, const S: usize, const F: usize> {
    pasts: [&'a [f64]; S],
    n: usize,
    weights: &'a Weights,
    /// Values before the first of them.
    count: usize,
    out: [&'a mut [f64]; F],
}

impl<const S: usize, const F: usize> Fades<'_, S, F> {
    /// An older node of level `k` and a newer one, `by` their newest values' distance, `behind` values before row `i`.
    #[inline(always)]
    fn merged<I: Simd>(
        &self,
        isa: I,
        i: usize,
        (k, behind): (usize, usize),
        [older, newer]: [[I::V; F]; 2],
        by: [I::V; S],
    ) -> [I::V; F] {
        let [share, product, present] = self.weights.merges(isa, k, self.count + i + 1, behind);
        let decay = isa.splat(self.weights.decay[k]);
        let mut node = newer;
        let mut d = by;
        for s in 0..S {
            // What is not there yet reads as zero, at any distance.
            d[s] = ((older[s] + by[s]) - newer[s]) * present;
            node[s] = newer[s] + d[s] * share;
            node[S + s] = (newer[S + s] + decay * older[S + s]) + d[s] * d[s] * product;
        }
        if S == 2 {
            node[F - 1] = (newer[F - 1] + decay * older[F - 1]) + d[0] * d[S - 1] * product;
        }
        node
    }
}

impl<const S: usize, const F: usize> Nodes<F, 0> for Fades<'_, S, F> {
    #[inline(always)]
    fn bottom<I: Simd>(&self, isa: I, i: usize, _: [[I::V; 4]; 0]) -> [I::V; F] {
        let mut by = [[isa.splat(0.0); S]; 3];
        for s in 0..S {
            let past = self.pasts[s];
            let x = isa.load_four(&past[past.len() - (self.n - i) - 3..]);
            (by[0][s], by[1][s], by[2][s]) = (x[0] - x[1], x[2] - x[3], x[1] - x[3]);
        }
        let one = [isa.splat(0.0); F];
        let older = self.merged(isa, i, (0, 2), [one; 2], by[0]);
        let newer = self.merged(isa, i, (0, 0), [one; 2], by[1]);
        self.merged(isa, i, (1, 0), [older, newer], by[2])
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
        let mut by = [isa.splat(0.0); S];
        for s in 0..S {
            let past = self.pasts[s];
            let at = past.len() - self.n + i;
            by[s] = isa.load(&past[at - (1 << k)..]) - isa.load(&past[at..]);
        }
        self.merged(isa, i, (k, 0), [older, newer], by)
    }

    const BEYOND: bool = true;

    #[inline(always)]
    fn beyond<I: Simd>(&mut self, _: I, i: usize, node: [I::V; F]) {
        for f in 0..F {
            node[f].store(&mut self.out[f][i..]);
        }
    }
}

/// The weighted moments of one value's row, with what makes an unbiased variance of its sums of squares.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<const F: usize> {
    /// Means less newest values, sums of squares, sum of products.
    pub node: [f64; F],
    /// Of the sums, a variance without bias; not finite where there is one value.
    pub unbiased: f64,
}

impl<const S: usize, const F: usize> WeightedMoments<S, F> {
    /// State for `0 < alpha <= 1`.
    pub fn new(alpha: f64) -> Self {
        const { assert!(F == S + S * (S + 1) / 2 && S <= 2) };
        Self {
            past: History::new(Self::past(alpha)),
            pyramid: Pyramid::new(Ewm::levels(alpha)),
            weights: Arc::new(Weights::new(alpha)),
            count: 0,
        }
    }

    /// Bytes that a copy of [`WeightedMoments::new`] takes. The weights are not among them: copies share them.
    pub fn bytes(alpha: f64) -> usize {
        History::<S>::bytes(Self::past(alpha)) + Pyramid::<F, 0>::bytes(Ewm::levels(alpha))
    }

    /// Values that merges look back on.
    fn past(alpha: f64) -> usize {
        (1 << (Ewm::levels(alpha) - 1)).max(1 << FIRST)
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.past.places(1 << FIRST, touch);
        self.pyramid.places(touch);
    }

    /// Values taken so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the next value of each series and gives their moments.
    #[inline(always)]
    pub fn push(&mut self, values: [f64; S]) -> Weighted<F> {
        let mut node = [[0.0]; F];
        self.past.reserve(1);
        self.past.push(values);
        let mut fades = Fades {
            pasts: self.past.pasts(),
            n: 1,
            weights: &self.weights,
            count: self.count,
            out: node.each_mut().map(|number| &mut number[..]),
        };
        self.pyramid.take([], &mut fades);
        self.count += 1;
        Weighted {
            node: node.map(|[number]| number),
            unbiased: self.unbiased(0),
        }
    }

    /// Takes the next values of each series, at most [`crate::BLOCK`], and writes the numbers of their nodes.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, columns: [&[f64]; S], out: [&mut [f64]; F]) {
        let n = columns[0].len();
        self.past.push_block(columns);
        let mut fades = Fades {
            pasts: self.past.pasts(),
            n,
            weights: &self.weights,
            count: self.count,
            out,
        };
        self.pyramid.take_block(isa, n, [], &mut fades);
        self.count += n;
    }

    /// What makes an unbiased variance of the sums of squares `back` values before the newest.
    #[inline(always)]
    pub fn unbiased(&self, back: usize) -> f64 {
        let unbiased = &self.weights.unbiased;
        unbiased[(self.count - back).min(unbiased.len() - 1)]
    }
}

impl<const S: usize, const F: usize> State for WeightedMoments<S, F> {
    fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.count as u64);
        self.past.save(out);
        self.pyramid.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.count = take_u64(bytes)? as usize;
        self.past.load(bytes)?;
        self.pyramid.load(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;
    use crate::simd::BASELINE;
    use proptest::prelude::*;

    /// The definition, over all values that there are.
    fn direct(alpha: f64, xs: &[f64], ys: &[f64]) -> [f64; 5] {
        let weight = |i: usize| (1.0 - alpha).powi((xs.len() - 1 - i) as i32);
        let total: f64 = (0..xs.len()).map(weight).sum();
        let sum =
            |of: &dyn Fn(usize) -> f64| -> f64 { (0..xs.len()).map(|i| weight(i) * of(i)).sum() };
        let (mx, my) = (sum(&|i| xs[i]) / total, sum(&|i| ys[i]) / total);
        [
            mx,
            my,
            sum(&|i| (xs[i] - mx) * (xs[i] - mx)),
            sum(&|i| (ys[i] - my) * (ys[i] - my)),
            sum(&|i| (xs[i] - mx) * (ys[i] - my)),
        ]
    }

    proptest! {
        #[test]
        fn block_and_single_agree_and_follow_the_definition(
            pairs in prop::collection::vec((-10f64..10.0, -10f64..10.0), 1..500), span in 1u32..40, cut in 1usize..=BLOCK
        ) {
            let alpha = 2.0 / (f64::from(span) + 1.0);
            let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let mut one = WeightedMoments::<2, 5>::new(alpha);
            let (mut many, mut single) = (WeightedMoments::<2, 5>::new(alpha), WeightedMoments::<1, 2>::new(alpha));
            let mut i = 0;
            for (left, right) in xs.chunks(cut).zip(ys.chunks(cut)) {
                let mut block = [[0.0; BLOCK]; 5];
                many.push_block(BASELINE, [left, right], block.each_mut().map(|column| &mut column[..left.len()]));
                for row in 0..left.len() {
                    let got = one.push([xs[i], ys[i]]);
                    for f in 0..5 {
                        prop_assert_eq!(got.node[f].to_bits(), block[f][row].to_bits(), "{} {}", f, i);
                    }
                    let alone = single.push([xs[i]]);
                    prop_assert_eq!(alone.node, [got.node[0], got.node[2]]);
                    prop_assert_eq!(got.unbiased.to_bits(), many.unbiased(left.len() - 1 - row).to_bits());
                    let wanted = direct(alpha, &xs[..=i], &ys[..=i]);
                    let seen = [xs[i] + got.node[0], ys[i] + got.node[1], got.node[2], got.node[3], got.node[4]];
                    for f in 0..5 {
                        prop_assert!((seen[f] - wanted[f]).abs() < 1e-10, "{} {} {}", f, seen[f], wanted[f]);
                    }
                    i += 1;
                }
            }
        }
    }

    #[test]
    fn a_full_tree_forgets_where_it_began_and_a_constant_has_no_variance() {
        let alpha = 2.0 / 27.0;
        let (mut fresh, mut long) = (
            WeightedMoments::<1, 2>::new(alpha),
            WeightedMoments::<1, 2>::new(alpha),
        );
        (0..5000).for_each(|i| _ = long.push([1e9 * f64::from(i % 7)]));
        for i in 0..Ewm::settled_after(alpha) + 50 {
            let x = [1e8 + f64::from((i % 13) as u32) / 7.0];
            let (a, b) = (fresh.push(x), long.push(x));
            if i + 1 >= Ewm::settled_after(alpha) {
                assert_eq!(a.node.map(f64::to_bits), b.node.map(f64::to_bits), "{i}");
            }
        }
        let mut constant = WeightedMoments::<1, 2>::new(alpha);
        (0..3000).for_each(|_| assert_eq!(constant.push([0.1]).node, [0.0, 0.0]));
    }
}
