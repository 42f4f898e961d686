//! Rolling covariance of two series as dyadic nodes.

use crate::BLOCK;
use crate::state::{Exhausted, State};
use crate::track::{Track, digits, levels};

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

#[derive(Clone, Copy, Debug)]
struct Weights {
    share: f64,
    product: f64,
}

impl Weights {
    #[inline(always)]
    fn new(older: usize, newer: usize) -> Self {
        let (a, b) = (older as f64, newer as f64);
        let share = a / (a + b);
        Self {
            share,
            product: b * share,
        }
    }
}

#[inline(always)]
fn merge(older: Comoments, newer: Comoments, w: Weights) -> Comoments {
    let dx = (older.mean_x + (older.x - newer.x)) - newer.mean_x;
    let dy = (older.mean_y + (older.y - newer.y)) - newer.mean_y;
    Comoments {
        x: newer.x,
        y: newer.y,
        mean_x: newer.mean_x + dx * w.share,
        mean_y: newer.mean_y + dy * w.share,
        xx: (older.xx + newer.xx) + dx * dx * w.product,
        yy: (older.yy + newer.yy) + dy * dy * w.product,
        xy: (older.xy + newer.xy) + dx * dy * w.product,
    }
}

/// Co-moments of the newest pairs over any window of up to `cap` pairs.
#[derive(Clone, Debug)]
pub struct ComomentTree {
    pairs: Track<2>,
    level: Vec<Track<5>>,
    weights: Vec<Weights>,
}

/// A window of fixed length, with its parts worked out.
#[derive(Clone, Debug)]
pub struct ComomentWindow {
    parts: Vec<(usize, usize, Weights)>,
}

impl ComomentWindow {
    /// The newest `m` values, `m >= 1`.
    pub fn new(m: usize) -> Self {
        Self {
            parts: digits(m)
                .map(|(k, offset)| (k, offset, Weights::new(1 << k, offset)))
                .collect(),
        }
    }
}

/// Second moments of a block of windows, one entry a row.
#[derive(Clone, Debug)]
pub struct ComomentBlock {
    mean: [[f64; BLOCK]; 2],
    /// Sums of squared deviations of the first series.
    pub xx: [f64; BLOCK],
    /// Sums of squared deviations of the second series.
    pub yy: [f64; BLOCK],
    /// Sums of products of deviations.
    pub xy: [f64; BLOCK],
}

impl ComomentBlock {
    /// Room for one block.
    pub const fn new() -> Self {
        Self {
            mean: [[0.0; BLOCK]; 2],
            xx: [0.0; BLOCK],
            yy: [0.0; BLOCK],
            xy: [0.0; BLOCK],
        }
    }
}

impl Default for ComomentBlock {
    fn default() -> Self {
        Self::new()
    }
}

impl ComomentTree {
    /// State for windows of 1 to `cap` pairs.
    pub fn new(cap: usize) -> Self {
        let top = levels(cap);
        Self {
            pairs: Track::new(cap.next_power_of_two().max(1)),
            level: (1..=top).map(|k| Track::new(1 << k)).collect(),
            weights: (0..top).map(|k| Weights::new(1 << k, 1 << k)).collect(),
        }
    }

    /// Bytes that [`ComomentTree::new`] takes.
    pub fn bytes(cap: usize) -> usize {
        let nodes: usize = (1..=levels(cap)).map(|k| Track::<5>::bytes(1 << k)).sum();
        Track::<2>::bytes(cap.next_power_of_two().max(1)) + nodes
    }

    #[inline(always)]
    fn node(&self, k: usize, offset: usize) -> Comoments {
        let [x, y] = self.pairs.back(offset);
        match k {
            0 => Comoments {
                x,
                y,
                ..Comoments::default()
            },
            _ => {
                let [mean_x, mean_y, xx, yy, xy] = self.level[k - 1].back(offset);
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
        }
    }

    /// Takes the next pair.
    #[inline(always)]
    pub fn push(&mut self, x: f64, y: f64) {
        self.pairs.reserve(1);
        self.pairs.push([x, y]);
        let mut newer = Comoments {
            x,
            y,
            ..Comoments::default()
        };
        for k in 0..self.level.len() {
            newer = merge(self.node(k, 1 << k), newer, self.weights[k]);
            let track = &mut self.level[k];
            track.reserve(1);
            track.push([newer.mean_x, newer.mean_y, newer.xx, newer.yy, newer.xy]);
        }
    }

    /// Takes the next pairs, at most [`BLOCK`]; both slices have one length.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64], ys: &[f64]) {
        let n = xs.len();
        self.pairs.reserve(n);
        let [room_x, room_y] = self.pairs.extend(n);
        room_x.copy_from_slice(xs);
        room_y.copy_from_slice(ys);
        for k in 0..self.level.len() {
            let w = self.weights[k];
            let back = 1 << k;
            let [xa, ya] = [0, 1].map(|f| self.pairs.block(f, n, back));
            let [xb, yb] = [0, 1].map(|f| self.pairs.block(f, n, 0));
            let (below, above) = self.level.split_at_mut(k);
            above[0].reserve(n);
            let [mx, my, xx, yy, xy] = above[0].extend(n);
            if k == 0 {
                for i in 0..n {
                    let older = Comoments {
                        x: xa[i],
                        y: ya[i],
                        ..Comoments::default()
                    };
                    let newer = Comoments {
                        x: xb[i],
                        y: yb[i],
                        ..Comoments::default()
                    };
                    let node = merge(older, newer, w);
                    (mx[i], my[i], xx[i], yy[i], xy[i]) =
                        (node.mean_x, node.mean_y, node.xx, node.yy, node.xy);
                }
                continue;
            }
            let source = &below[k - 1];
            let a: [&[f64]; 5] = core::array::from_fn(|f| source.block(f, n, back));
            let b: [&[f64]; 5] = core::array::from_fn(|f| source.block(f, n, 0));
            for i in 0..n {
                let older = Comoments {
                    x: xa[i],
                    y: ya[i],
                    mean_x: a[0][i],
                    mean_y: a[1][i],
                    xx: a[2][i],
                    yy: a[3][i],
                    xy: a[4][i],
                };
                let newer = Comoments {
                    x: xb[i],
                    y: yb[i],
                    mean_x: b[0][i],
                    mean_y: b[1][i],
                    xx: b[2][i],
                    yy: b[3][i],
                    xy: b[4][i],
                };
                let node = merge(older, newer, w);
                (mx[i], my[i], xx[i], yy[i], xy[i]) =
                    (node.mean_x, node.mean_y, node.xx, node.yy, node.xy);
            }
        }
    }

    /// The co-moments of the newest `m` pairs, `1 <= m <= cap`.
    #[inline(always)]
    pub fn read(&self, m: usize) -> Comoments {
        self.read_parts(digits(m).map(|(k, offset)| (k, offset, Weights::new(1 << k, offset))))
    }

    /// The same for a window whose parts are known beforehand.
    #[inline(always)]
    pub fn read_window(&self, window: &ComomentWindow) -> Comoments {
        self.read_parts(window.parts.iter().copied())
    }

    #[inline(always)]
    fn read_parts(&self, mut parts: impl Iterator<Item = (usize, usize, Weights)>) -> Comoments {
        let (k, offset, _) = parts.next().unwrap_or((0, 0, Weights::new(1, 0)));
        let mut window = self.node(k, offset);
        for (k, offset, w) in parts {
            window = merge(self.node(k, offset), window, w);
        }
        window
    }

    /// The co-moments of the window that ends at each of the newest `n` pairs, into `out`'s first `n` rows.
    #[inline(always)]
    pub fn read_block(&self, window: &ComomentWindow, n: usize, out: &mut ComomentBlock) {
        let [mean_x, mean_y] = &mut out.mean;
        let (mx, my) = (&mut mean_x[..n], &mut mean_y[..n]);
        let (xx, yy, xy) = (&mut out.xx[..n], &mut out.yy[..n], &mut out.xy[..n]);
        let [xb, yb] = [0, 1].map(|f| self.pairs.block(f, n, 0));
        let mut parts = window.parts.iter().copied();
        match parts.next() {
            None | Some((0, ..)) => [
                mx.as_mut(),
                my.as_mut(),
                xx.as_mut(),
                yy.as_mut(),
                xy.as_mut(),
            ]
            .into_iter()
            .for_each(|column: &mut [f64]| column.fill(0.0)),
            Some((k, offset, _)) => {
                let source = &self.level[k - 1];
                mx.copy_from_slice(source.block(0, n, offset));
                my.copy_from_slice(source.block(1, n, offset));
                xx.copy_from_slice(source.block(2, n, offset));
                yy.copy_from_slice(source.block(3, n, offset));
                xy.copy_from_slice(source.block(4, n, offset));
            }
        }
        for (k, offset, w) in parts {
            let [xa, ya] = [0, 1].map(|f| self.pairs.block(f, n, offset));
            let a: [&[f64]; 5] = core::array::from_fn(|f| self.level[k - 1].block(f, n, offset));
            for i in 0..n {
                let older = Comoments {
                    x: xa[i],
                    y: ya[i],
                    mean_x: a[0][i],
                    mean_y: a[1][i],
                    xx: a[2][i],
                    yy: a[3][i],
                    xy: a[4][i],
                };
                let newer = Comoments {
                    x: xb[i],
                    y: yb[i],
                    mean_x: mx[i],
                    mean_y: my[i],
                    xx: xx[i],
                    yy: yy[i],
                    xy: xy[i],
                };
                let node = merge(older, newer, w);
                (mx[i], my[i], xx[i], yy[i], xy[i]) =
                    (node.mean_x, node.mean_y, node.xx, node.yy, node.xy);
            }
        }
    }

    /// The pair `back` places behind the newest.
    #[inline(always)]
    pub fn pair(&self, back: usize) -> [f64; 2] {
        self.pairs.back(back)
    }
}

impl State for ComomentTree {
    fn save(&self, out: &mut Vec<u8>) {
        self.pairs.save(out);
        self.level.iter().for_each(|track| track.save(out));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.pairs.load(bytes)?;
        self.level
            .iter_mut()
            .try_for_each(|track| track.load(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
                many.push_block(&xs, &ys);
                many.read_block(&ComomentWindow::new(m), chunk.len(), &mut block);
                for (row, &(x, y)) in chunk.iter().enumerate() {
                    one.push(x, y);
                    i += 1;
                    if i < m { continue; }
                    let got = one.read(m);
                    prop_assert_eq!(got, one.read_window(&ComomentWindow::new(m)));
                    prop_assert_eq!(got.xx.to_bits(), block.xx[row].to_bits());
                    prop_assert_eq!(got.yy.to_bits(), block.yy[row].to_bits());
                    prop_assert_eq!(got.xy.to_bits(), block.xy[row].to_bits());
                    let window = &pairs[i - m..i];
                    let n = m as f64;
                    let (ax, ay) = (window.iter().map(|p| p.0).sum::<f64>() / n, window.iter().map(|p| p.1).sum::<f64>() / n);
                    let xy: f64 = window.iter().map(|p| (p.0 - ax) * (p.1 - ay)).sum();
                    prop_assert!((got.xy - xy).abs() <= 1e-6 * (1.0 + xy.abs()));
                }
            }
        }
    }
}
