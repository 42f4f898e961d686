//! Rolling minimum and maximum as dyadic nodes.

use crate::history::{Parts, digits, levels};
use crate::pyramid::{FIRST, Nodes, Pyramid};
use crate::simd::{Simd, Vector};
use crate::state::{Exhausted, State};

/// Minimum and maximum of the newest values over any window of up to `cap` values. Values are finite.
#[derive(Clone, Debug)]
pub struct Extremes {
    /// Level `k` holds (minimum, maximum) of `2^k` values.
    pyramid: Pyramid<2, 1>,
}

struct Picks;

impl Nodes<2, 1> for Picks {
    #[inline(always)]
    fn bottom<I: Simd>(&self, _: I, _: usize, [[d, c, b, a]]: [[I::V; 4]; 1]) -> [I::V; 2] {
        [
            I::V::least(I::V::least(d, c), I::V::least(b, a)),
            I::V::most(I::V::most(d, c), I::V::most(b, a)),
        ]
    }

    #[inline(always)]
    fn above<I: Simd>(
        &self,
        _: I,
        _: usize,
        _: usize,
        older: [I::V; 2],
        newer: [I::V; 2],
    ) -> [I::V; 2] {
        [
            I::V::least(older[0], newer[0]),
            I::V::most(older[1], newer[1]),
        ]
    }
}

impl Extremes {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        Self {
            pyramid: Pyramid::new(levels(cap) + 1),
        }
    }

    /// Bytes that [`Extremes::new`] takes.
    pub const fn bytes(cap: usize) -> usize {
        Pyramid::<2, 1>::bytes(levels(cap) + 1)
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        self.pyramid.places(touch);
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        self.pyramid.take([x], &mut Picks);
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64]) {
        self.pyramid.take_block(isa, xs.len(), [xs], &mut Picks);
    }

    /// (minimum, maximum) of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> [f64; 2] {
        let nodes = digits(m).filter(|&(k, _)| k >= FIRST);
        self.read_nodes(m % (1 << FIRST), nodes)
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_parts(&self, parts: &Parts) -> [f64; 2] {
        self.read_nodes(parts.loose, parts.nodes.iter().copied())
    }

    #[inline(always)]
    fn read_nodes(&self, loose: usize, nodes: impl Iterator<Item = (usize, usize)>) -> [f64; 2] {
        let value = |back| [self.pyramid.value(0, back); 2];
        let pick = |newer: [f64; 2], older: [f64; 2]| {
            [
                f64::least(older[0], newer[0]),
                f64::most(older[1], newer[1]),
            ]
        };
        let mut nodes = nodes.map(|(k, back)| self.pyramid.node(k, back));
        let mut picked = match loose {
            1 => value(0),
            2 => pick(value(0), value(1)),
            3 => pick(value(0), pick(value(1), value(2))),
            _ => nodes.next().unwrap_or([0.0; 2]),
        };
        for older in nodes {
            picked = pick(picked, older);
        }
        picked
    }

    /// Minima of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn min_block(&self, m: usize, out: &mut [f64]) {
        self.fold_block(0, m, out, f64::least);
    }

    /// Maxima of the `m` values that end at each of the newest `out.len()` values.
    #[inline(always)]
    pub fn max_block(&self, m: usize, out: &mut [f64]) {
        self.fold_block(1, m, out, f64::most);
    }

    #[inline(always)]
    fn fold_block(&self, column: usize, m: usize, out: &mut [f64], pick: impl Fn(f64, f64) -> f64) {
        let n = out.len();
        let [a, b, c] = [0, 1, 2].map(|back| self.pyramid.values(0, n, back));
        let mut parts = digits(m)
            .filter(|&(k, _)| k >= FIRST)
            .map(|(k, back)| self.pyramid.rows(k, column, n, back));
        match m % (1 << FIRST) {
            1 => out.copy_from_slice(a),
            2 => (0..n).for_each(|i| out[i] = pick(b[i], a[i])),
            3 => (0..n).for_each(|i| out[i] = pick(pick(c[i], b[i]), a[i])),
            _ => {
                let Some(a) = parts.next() else { return };
                match (parts.next(), parts.next(), parts.next()) {
                    (Some(b), Some(c), Some(d)) => {
                        (0..n).for_each(|i| out[i] = pick(d[i], pick(c[i], pick(b[i], a[i]))));
                    }
                    (Some(b), Some(c), None) => {
                        (0..n).for_each(|i| out[i] = pick(c[i], pick(b[i], a[i])))
                    }
                    (Some(b), None, _) => (0..n).for_each(|i| out[i] = pick(b[i], a[i])),
                    (None, ..) => out.copy_from_slice(a),
                }
            }
        }
        for part in parts {
            (0..n).for_each(|i| out[i] = pick(part[i], out[i]));
        }
    }
}

impl State for Extremes {
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
        fn block_and_single_agree_and_equal_the_definition(
            xs in prop::collection::vec(-5i32..5, 1..400), m in 1usize..100, cut in 1usize..=BLOCK
        ) {
            let xs: Vec<f64> = xs.into_iter().map(f64::from).collect();
            let (mut one, mut many) = (Extremes::new(100), Extremes::new(100));
            let (mut mins, mut maxs) = ([0.0; BLOCK], [0.0; BLOCK]);
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(BASELINE, chunk);
                many.min_block(m, &mut mins[..chunk.len()]);
                many.max_block(m, &mut maxs[..chunk.len()]);
                for (row, &x) in chunk.iter().enumerate() {
                    one.push(x);
                    i += 1;
                    if i < m { continue; }
                    let window = &xs[i - m..i];
                    let min = window.iter().copied().fold(f64::INFINITY, f64::min);
                    let max = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    prop_assert_eq!(one.read(m), [min, max]);
                    prop_assert_eq!(one.read_parts(&Parts::new(m, FIRST)), [min, max]);
                    prop_assert_eq!([mins[row], maxs[row]], [min, max]);
                }
            }
        }
    }
}
