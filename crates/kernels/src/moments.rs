//! Rolling mean and central moments as dyadic nodes.
//!
//! A node of `n` values holds the mean *relative to its newest value* and the sums of squared and cubed deviations
//! from the mean. Relative means keep the digits that matter: a constant window has variance exactly 0, and the z-score
//! of the newest value is `-mean / std` without a subtraction of large numbers. Nodes merge by Chan, Golub & LeVeque
//! (1983), third moment by Pébay (2008).

use crate::BLOCK;
use crate::state::{Exhausted, State};
use crate::track::{Track, digits, levels};

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
}

impl Weights {
    #[inline(always)]
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
        }
    }
}

/// The one formula: `older` and then `newer`, seen from the newer part's newest value.
#[inline(always)]
fn merge<const CUBES: bool>(older: Moments, newer: Moments, w: Weights) -> Moments {
    let d = (older.mean + (older.x - newer.x)) - newer.mean;
    let dd = d * d;
    Moments {
        x: newer.x,
        mean: newer.mean + d * w.share,
        m2: (older.m2 + newer.m2) + dd * w.square,
        m3: if CUBES {
            (older.m3 + newer.m3) + d * (dd * w.cube + (older.m2 * w.older - newer.m2 * w.newer))
        } else {
            0.0
        },
    }
}

const MEAN: usize = 0;
const M2: usize = 1;
const M3: usize = 2;

/// Moments of the newest values over any window of up to `cap` values; third moments if `CUBES`.
#[derive(Clone, Debug)]
pub struct MomentTree<const CUBES: bool> {
    xs: Track<1>,
    /// `level[k - 1]` holds the nodes of `2^k` values.
    level: Vec<Track<3>>,
    weights: Vec<Weights>,
}

/// A window of fixed length, with its parts worked out.
#[derive(Clone, Debug)]
pub struct MomentWindow {
    parts: Vec<(usize, usize, Weights)>,
}

impl MomentWindow {
    /// The newest `m` values, `m >= 1`.
    pub fn new(m: usize) -> Self {
        Self {
            parts: digits(m)
                .map(|(k, offset)| (k, offset, Weights::new(1 << k, offset)))
                .collect(),
        }
    }
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
}

impl MomentBlock {
    /// Room for one block.
    pub const fn new() -> Self {
        Self {
            mean: [0.0; BLOCK],
            m2: [0.0; BLOCK],
            m3: [0.0; BLOCK],
        }
    }
}

impl Default for MomentBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CUBES: bool> MomentTree<CUBES> {
    /// State for windows of 1 to `cap` values.
    pub fn new(cap: usize) -> Self {
        let top = levels(cap);
        Self {
            xs: Track::new(cap.next_power_of_two().max(1)),
            level: (1..=top).map(|k| Track::new(1 << k)).collect(),
            weights: (0..top).map(|k| Weights::new(1 << k, 1 << k)).collect(),
        }
    }

    /// Bytes that [`MomentTree::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        let nodes: usize = (1..=levels(cap)).map(|k| Track::<3>::bytes(1 << k)).sum();
        Track::<1>::bytes(cap.next_power_of_two().max(1)) + nodes
    }

    #[inline(always)]
    fn node(&self, k: usize, offset: usize) -> Moments {
        let [x] = self.xs.back(offset);
        match k {
            0 => Moments {
                x,
                ..Moments::default()
            },
            _ => {
                let [mean, m2, m3] = self.level[k - 1].back(offset);
                Moments { x, mean, m2, m3 }
            }
        }
    }

    /// Takes the next value.
    #[inline(always)]
    pub fn push(&mut self, x: f64) {
        self.xs.reserve(1);
        self.xs.push([x]);
        let mut newer = Moments {
            x,
            ..Moments::default()
        };
        for k in 0..self.level.len() {
            newer = merge::<CUBES>(self.node(k, 1 << k), newer, self.weights[k]);
            let track = &mut self.level[k];
            track.reserve(1);
            track.push([newer.mean, newer.m2, newer.m3]);
        }
    }

    /// Takes the next `xs.len() <= BLOCK` values.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64]) {
        let n = xs.len();
        self.xs.reserve(n);
        let [room] = self.xs.extend(n);
        room.copy_from_slice(xs);
        for k in 0..self.level.len() {
            let w = self.weights[k];
            let back = 1 << k;
            let (xb, xa) = (self.xs.block(0, n, 0), self.xs.block(0, n, back));
            let (below, above) = self.level.split_at_mut(k);
            above[0].reserve(n);
            let [mean, m2, m3] = above[0].extend(n);
            if k == 0 {
                for i in 0..n {
                    let older = Moments {
                        x: xa[i],
                        ..Moments::default()
                    };
                    let newer = Moments {
                        x: xb[i],
                        ..Moments::default()
                    };
                    let node = merge::<CUBES>(older, newer, w);
                    (mean[i], m2[i]) = (node.mean, node.m2);
                    if CUBES {
                        m3[i] = node.m3;
                    }
                }
                continue;
            }
            let source = &below[k - 1];
            let [am, a2, a3] = [MEAN, M2, M3].map(|f| source.block(f, n, back));
            let [bm, b2, b3] = [MEAN, M2, M3].map(|f| source.block(f, n, 0));
            for i in 0..n {
                let older = Moments {
                    x: xa[i],
                    mean: am[i],
                    m2: a2[i],
                    m3: a3[i],
                };
                let newer = Moments {
                    x: xb[i],
                    mean: bm[i],
                    m2: b2[i],
                    m3: b3[i],
                };
                let node = merge::<CUBES>(older, newer, w);
                (mean[i], m2[i]) = (node.mean, node.m2);
                if CUBES {
                    m3[i] = node.m3;
                }
            }
        }
    }

    /// The moments of the newest `m` values, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> Moments {
        self.read_parts(digits(m).map(|(k, offset)| (k, offset, Weights::new(1 << k, offset))))
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_window(&self, window: &MomentWindow) -> Moments {
        self.read_parts(window.parts.iter().copied())
    }

    #[inline(always)]
    fn read_parts(&self, mut parts: impl Iterator<Item = (usize, usize, Weights)>) -> Moments {
        let (k, offset, _) = parts.next().unwrap_or((0, 0, Weights::new(1, 0)));
        let mut window = self.node(k, offset);
        for (k, offset, w) in parts {
            window = merge::<CUBES>(self.node(k, offset), window, w);
        }
        window
    }

    /// The moments of the window that ends at each of the newest `n` values, into `out[..n]`.
    #[inline(always)]
    pub fn read_block(&self, window: &MomentWindow, n: usize, out: &mut MomentBlock) {
        let (mean, m2, m3) = (&mut out.mean[..n], &mut out.m2[..n], &mut out.m3[..n]);
        let newest = self.xs.block(0, n, 0);
        let mut parts = window.parts.iter().copied();
        match parts.next() {
            None | Some((0, ..)) => {
                mean.fill(0.0);
                m2.fill(0.0);
                m3.fill(0.0);
            }
            Some((k, offset, _)) => {
                let source = &self.level[k - 1];
                mean.copy_from_slice(source.block(MEAN, n, offset));
                m2.copy_from_slice(source.block(M2, n, offset));
                if CUBES {
                    m3.copy_from_slice(source.block(M3, n, offset));
                }
            }
        }
        for (k, offset, w) in parts {
            let source = &self.level[k - 1];
            let xa = self.xs.block(0, n, offset);
            let [am, a2, a3] = [MEAN, M2, M3].map(|f| source.block(f, n, offset));
            for i in 0..n {
                let older = Moments {
                    x: xa[i],
                    mean: am[i],
                    m2: a2[i],
                    m3: a3[i],
                };
                let newer = Moments {
                    x: newest[i],
                    mean: mean[i],
                    m2: m2[i],
                    m3: m3[i],
                };
                let node = merge::<CUBES>(older, newer, w);
                (mean[i], m2[i]) = (node.mean, node.m2);
                if CUBES {
                    m3[i] = node.m3;
                }
            }
        }
    }

    /// The newest `n` values themselves.
    #[inline(always)]
    pub fn newest(&self, n: usize) -> &[f64] {
        self.xs.block(0, n, 0)
    }

    /// The value `back` places behind the newest.
    #[inline(always)]
    pub fn value(&self, back: usize) -> f64 {
        self.xs.back(back)[0]
    }
}

impl<const CUBES: bool> State for MomentTree<CUBES> {
    fn save(&self, out: &mut Vec<u8>) {
        self.xs.save(out);
        self.level.iter().for_each(|track| track.save(out));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.xs.load(bytes)?;
        self.level
            .iter_mut()
            .try_for_each(|track| track.load(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn direct(xs: &[f64]) -> (f64, f64, f64) {
        let n = xs.len() as f64;
        let mean = xs.iter().sum::<f64>() / n;
        let power = |p: i32| {
            xs.iter()
                .map(|x| libm::pow(x - mean, p.into()))
                .sum::<f64>()
        };
        (mean, power(2), power(3))
    }

    proptest! {
        #[test]
        fn block_and_single_agree_and_equal_the_definition(
            xs in prop::collection::vec(-1e3f64..1e3, 1..500), m in 1usize..150, cut in 1usize..=BLOCK
        ) {
            let (mut one, mut many) = (MomentTree::<true>::new(150), MomentTree::<true>::new(150));
            let mut plain = MomentTree::<false>::new(150);
            let mut block = MomentBlock::new();
            let mut i = 0;
            for chunk in xs.chunks(cut) {
                many.push_block(chunk);
                many.read_block(&MomentWindow::new(m), chunk.len(), &mut block);
                for (row, &x) in chunk.iter().enumerate() {
                    one.push(x);
                    plain.push(x);
                    i += 1;
                    if i < m { continue; }
                    let got = one.read(m);
                    prop_assert_eq!(got, one.read_window(&MomentWindow::new(m)));
                    prop_assert_eq!(got.mean.to_bits(), block.mean[row].to_bits());
                    prop_assert_eq!(got.m2.to_bits(), block.m2[row].to_bits());
                    prop_assert_eq!(got.m3.to_bits(), block.m3[row].to_bits());
                    let two = plain.read(m);
                    prop_assert_eq!((two.mean, two.m2), (got.mean, got.m2));
                    let (mean, m2, m3) = direct(&xs[i - m..i]);
                    prop_assert!((x + got.mean - mean).abs() < 1e-9);
                    prop_assert!((got.m2 - m2).abs() <= 1e-9 * (1.0 + m2));
                    prop_assert!((got.m3 - m3).abs() <= 1e-6 * (1.0 + m2 * libm::sqrt(m2)));
                }
            }
        }

        #[test]
        fn a_window_forgets_what_came_before(
            before in prop::collection::vec(-1e12f64..1e12, 0..300), window in prop::collection::vec(-1.0f64..1.0, 60)
        ) {
            let (mut fresh, mut long) = (MomentTree::<true>::new(60), MomentTree::<true>::new(60));
            before.iter().for_each(|&x| long.push(x));
            window.iter().for_each(|&x| { long.push(x); fresh.push(x) });
            prop_assert_eq!(fresh.read(60), long.read(60));
        }
    }

    #[test]
    fn a_constant_window_has_no_variance() {
        let mut tree = MomentTree::<true>::new(20);
        for _ in 0..50 {
            tree.push(0.1);
        }
        assert_eq!(
            tree.read(20),
            Moments {
                x: 0.1,
                mean: 0.0,
                m2: 0.0,
                m3: 0.0
            }
        );
    }
}
