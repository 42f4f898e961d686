//! Rolling sums as dyadic nodes.

use crate::history::{Parts, digits, levels};
use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::Simd;
use crate::state::{Exhausted, State};

/// Sums of the newest values over any window of up to `cap` values.
///
/// Level `k` holds the sums of `2^k` values. Pairwise order of addition: the error grows with the logarithm of the
/// window, not with its length.
#[derive(Clone, Debug)]
pub struct Sums {
    pyramid: Pyramid<1, 1>,
}

struct Adds;

impl Nodes<1, 1> for Adds {
    #[inline(always)]
    fn bottom<I: Simd>(&self, _: I, _: usize, [[d, c, b, a]]: [[I::V; 4]; 1]) -> [I::V; 1] {
        [(a + b) + (c + d)]
    }

    #[inline(always)]
    fn above<I: Simd>(
        &self,
        _: I,
        _: usize,
        _: usize,
        [older]: [I::V; 1],
        [newer]: [I::V; 1],
    ) -> [I::V; 1] {
        [newer + older]
    }
}

impl Sums {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            pyramid: Pyramid::new(levels(cap) + 1),
        }
    }

    /// Bytes that [`Sums::new`] takes.
    pub const fn bytes(cap: usize) -> usize {
        Pyramid::<1, 1>::bytes(levels(cap) + 1)
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.pyramid.places(touch);
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        self.pyramid.take([x], &mut Adds);
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64]) {
        self.pyramid.take_block(isa, xs.len(), [xs], &mut Adds);
    }

    /// The sum of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> f64 {
        let nodes = digits(m).filter(|&(k, _)| k >= FIRST);
        self.read_nodes(m % (1 << FIRST), nodes)
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_parts(&self, parts: &Parts) -> f64 {
        self.read_nodes(parts.loose, parts.nodes.iter().copied())
    }

    #[inline(always)]
    fn read_nodes(&self, loose: usize, nodes: impl Iterator<Item = (usize, usize)>) -> f64 {
        let value = |back| self.pyramid.value(0, back);
        let mut nodes = nodes.map(|(k, back)| self.pyramid.node(k, back)[0]);
        let mut sum = match loose {
            1 => value(0),
            2 => value(0) + value(1),
            3 => value(0) + (value(1) + value(2)),
            _ => nodes.next().unwrap_or(0.0),
        };
        for node in nodes {
            sum += node;
        }
        sum
    }

    /// The sums of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn read_block(&self, m: usize, out: &mut [f64]) {
        let n = out.len();
        let [a, b, c] = [0, 1, 2].map(|back| self.pyramid.values(0, n, back));
        let mut parts = digits(m)
            .filter(|&(k, _)| k >= FIRST)
            .map(|(k, back)| self.pyramid.rows(k, 0, n, back));
        match m % (1 << FIRST) {
            1 => out.copy_from_slice(a),
            2 => (0..n).for_each(|i| out[i] = a[i] + b[i]),
            3 => (0..n).for_each(|i| out[i] = a[i] + (b[i] + c[i])),
            _ => {
                let Some(a) = parts.next() else { return };
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(b), Some(c), Some(d)) => {
                        (0..n).for_each(|i| out[i] = a[i] + b[i] + c[i] + d[i])
                    }
                    (Some(b), Some(c), None) => (0..n).for_each(|i| out[i] = a[i] + b[i] + c[i]),
                    (Some(b), None, _) => (0..n).for_each(|i| out[i] = a[i] + b[i]),
                    (None, ..) => out.copy_from_slice(a),
                }
            }
        }
        for part in parts {
            (0..n).for_each(|i| out[i] += part[i]);
        }
    }
}

impl State for Sums {
    fn save(&self, out: &mut Vec<u8>) {
        self.pyramid.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.pyramid.load(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;
    use crate::simd::BASELINE;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_direct_sum(
            xs in prop::collection::vec(-1e6f64..1e6, 1..600), m in 1usize..200, cut in 1usize..BLOCK
        ) {
            let (mut one, mut many) = (Sums::new(200), Sums::new(200));
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(BASELINE, chunk);
                let mut block = [0.0; BLOCK];
                let block = &mut block[..chunk.len()];
                many.read_block(m, block);
                for (&x, &from_block) in chunk.iter().zip(block.iter()) {
                    one.push(x);
                    i += 1;
                    if i >= m {
                        let direct: f64 = xs[i - m..i].iter().sum();
                        prop_assert_eq!(one.read(m).to_bits(), from_block.to_bits());
                        prop_assert_eq!(one.read_parts(&Parts::new(m, FIRST)).to_bits(), from_block.to_bits());
                        prop_assert!((from_block - direct).abs() <= 1e-9 * m as f64);
                    }
                }
            }
        }
    }
}
