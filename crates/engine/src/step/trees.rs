//! What windows keep of their values, and the statistics read from it.

use signal_features::operator::{PairStat, Stat};
use signal_features::plan::{Content, WindowStat};
use signal_kernels::comoments::{ComomentBlock, ComomentTree, ComomentWindow};
use signal_kernels::elementwise::sqrt;
use signal_kernels::extremes::Extremes;
use signal_kernels::moments::{MomentBlock, MomentTree, MomentWindow};
use signal_kernels::rank::Ranks;
use signal_kernels::state::{Exhausted, State};
use signal_kernels::sums::Sums;

/// The kept part of a series (or two), by what is asked of it.
#[derive(Clone, Debug)]
pub enum Tree {
    Sums(Sums),
    Moments(MomentTree<false>),
    Cubes(MomentTree<true>),
    Extremes(Extremes),
    Values(Ranks),
    Pairs(ComomentTree),
}

/// Variance from a sum of squared deviations.
#[inline(always)]
fn variance(m2: f64, divisor: f64) -> f64 {
    m2 / divisor
}

/// (newest - mean) / standard deviation, where `mean` is relative to the newest.
#[inline(always)]
fn zscore(mean: f64, m2: f64, n: f64) -> f64 {
    -mean / sqrt(variance(m2, n - 1.0))
}

/// G1 of Joanes & Gill (1998).
#[inline(always)]
fn skewness(m2: f64, m3: f64, n: f64) -> f64 {
    let var = variance(m2, n - 1.0);
    (n / ((n - 1.0) * (n - 2.0))) * (m3 / (var * sqrt(var)))
}

#[inline(always)]
fn covariance(xy: f64, n: f64) -> f64 {
    xy / (n - 1.0)
}

#[inline(always)]
fn correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    xy / sqrt(xx * yy)
}

/// Slope of the first series on the second.
#[inline(always)]
fn beta(yy: f64, xy: f64) -> f64 {
    xy / yy
}

#[inline(always)]
fn moment(stat: Stat, m: usize, x: f64, mean: f64, m2: f64, m3: f64) -> f64 {
    let n = m as f64;
    match stat {
        Stat::Mean => x + mean,
        Stat::Var(ddof) => variance(m2, n - f64::from(ddof)),
        Stat::Std(ddof) => sqrt(variance(m2, n - f64::from(ddof))),
        Stat::Zscore => zscore(mean, m2, n),
        Stat::Skew => skewness(m2, m3, n),
        // Kept by other trees; the plan never asks it of this one.
        Stat::Sum | Stat::Min | Stat::Max | Stat::Rank => f64::NAN,
    }
}

#[inline(always)]
fn moment_block(stat: Stat, m: usize, xs: &[f64], part: &MomentBlock, out: &mut [f64]) {
    let n = m as f64;
    let rows = out.len();
    let (mean, m2, m3) = (&part.mean[..rows], &part.m2[..rows], &part.m3[..rows]);
    match stat {
        Stat::Mean => (0..rows).for_each(|i| out[i] = xs[i] + mean[i]),
        Stat::Var(ddof) => {
            let divisor = n - f64::from(ddof);
            (0..rows).for_each(|i| out[i] = variance(m2[i], divisor));
        }
        Stat::Std(ddof) => {
            let divisor = n - f64::from(ddof);
            (0..rows).for_each(|i| out[i] = sqrt(variance(m2[i], divisor)));
        }
        Stat::Zscore => (0..rows).for_each(|i| out[i] = zscore(mean[i], m2[i], n)),
        Stat::Skew => (0..rows).for_each(|i| out[i] = skewness(m2[i], m3[i], n)),
        Stat::Sum | Stat::Min | Stat::Max | Stat::Rank => out.fill(f64::NAN),
    }
}

/// A window of fixed length.
#[derive(Clone, Debug)]
pub struct FixedWindow {
    pub m: usize,
    moments: MomentWindow,
    pairs: ComomentWindow,
}

impl FixedWindow {
    pub fn new(m: usize) -> Self {
        Self {
            m,
            moments: MomentWindow::new(m),
            pairs: ComomentWindow::new(m),
        }
    }
}

/// A window's moments for a block of rows, shared by the statistics over it.
#[derive(Clone, Debug, Default)]
pub struct Part {
    moments: MomentBlock,
    pairs: ComomentBlock,
}

impl Tree {
    pub fn new(content: Content, cap: usize) -> Self {
        match content {
            Content::Sums => Self::Sums(Sums::new(cap)),
            Content::Moments => Self::Moments(MomentTree::new(cap)),
            Content::Cubes => Self::Cubes(MomentTree::new(cap)),
            Content::Extremes => Self::Extremes(Extremes::new(cap)),
            Content::Values => Self::Values(Ranks::new(cap)),
            Content::Pairs => Self::Pairs(ComomentTree::new(cap)),
        }
    }

    /// Takes the next value; `y` counts only where pairs are kept.
    #[inline(always)]
    pub fn push(&mut self, x: f64, y: f64) {
        match self {
            Self::Sums(tree) => tree.push(x),
            Self::Moments(tree) => tree.push(x),
            Self::Cubes(tree) => tree.push(x),
            Self::Extremes(tree) => tree.push(x),
            Self::Values(tree) => tree.push(x),
            Self::Pairs(tree) => tree.push(x, y),
        }
    }

    /// Takes a block of values.
    #[inline(always)]
    pub fn push_block(&mut self, xs: &[f64], ys: &[f64]) {
        match self {
            Self::Sums(tree) => tree.push_block(xs),
            Self::Moments(tree) => tree.push_block(xs),
            Self::Cubes(tree) => tree.push_block(xs),
            Self::Extremes(tree) => tree.push_block(xs),
            Self::Values(tree) => tree.push_block(xs),
            Self::Pairs(tree) => tree.push_block(xs, ys),
        }
    }

    /// Each of `stats` over a fixed window, given to `out` with its place.
    #[inline(always)]
    pub fn read_fixed<T: Copy>(
        &self,
        window: &FixedWindow,
        stats: &[(WindowStat, T)],
        mut out: impl FnMut(T, f64),
    ) {
        let m = window.m;
        match self {
            Self::Sums(tree) => stats
                .iter()
                .for_each(|&(_, place)| out(place, tree.read(m))),
            Self::Values(tree) => stats
                .iter()
                .for_each(|&(_, place)| out(place, tree.read(m))),
            Self::Extremes(tree) => {
                let [min, max] = tree.read(m);
                for &(stat, place) in stats {
                    out(
                        place,
                        if stat == WindowStat::One(Stat::Min) {
                            min
                        } else {
                            max
                        },
                    );
                }
            }
            Self::Moments(tree) => {
                let part = tree.read_window(&window.moments);
                for &(stat, place) in stats {
                    out(place, single(stat, m, part.x, part.mean, part.m2, part.m3));
                }
            }
            Self::Cubes(tree) => {
                let part = tree.read_window(&window.moments);
                for &(stat, place) in stats {
                    out(place, single(stat, m, part.x, part.mean, part.m2, part.m3));
                }
            }
            Self::Pairs(tree) => {
                let part = tree.read_window(&window.pairs);
                for &(stat, place) in stats {
                    out(place, pair(stat, m, part.xx, part.yy, part.xy));
                }
            }
        }
    }

    /// One statistic over the newest `m` values, any `m` up to the cap.
    #[inline(always)]
    pub fn read(&self, m: usize, stat: WindowStat) -> f64 {
        match self {
            Self::Sums(tree) => tree.read(m),
            Self::Values(tree) => tree.read(m),
            Self::Extremes(tree) => tree.read(m)[usize::from(stat != WindowStat::One(Stat::Min))],
            Self::Moments(tree) => {
                let part = tree.read(m);
                single(stat, m, part.x, part.mean, part.m2, part.m3)
            }
            Self::Cubes(tree) => {
                let part = tree.read(m);
                single(stat, m, part.x, part.mean, part.m2, part.m3)
            }
            Self::Pairs(tree) => {
                let part = tree.read(m);
                pair(stat, m, part.xx, part.yy, part.xy)
            }
        }
    }

    /// Reads what the statistics over a window share, for each of the newest `n` rows.
    #[inline(always)]
    pub fn part_block(&self, window: &FixedWindow, n: usize, part: &mut Part) {
        match self {
            Self::Moments(tree) => tree.read_block(&window.moments, n, &mut part.moments),
            Self::Cubes(tree) => tree.read_block(&window.moments, n, &mut part.moments),
            Self::Pairs(tree) => tree.read_block(&window.pairs, n, &mut part.pairs),
            Self::Sums(_) | Self::Extremes(_) | Self::Values(_) => {}
        }
    }

    /// One statistic over the newest `m` values at each of the newest `out.len()` rows.
    #[inline(always)]
    pub fn stat_block(&self, stat: WindowStat, m: usize, part: &Part, out: &mut [f64]) {
        let rows = out.len();
        match (self, stat) {
            (Self::Sums(tree), _) => tree.read_block(m, out),
            (Self::Values(tree), _) => tree.read_block(m, out),
            (Self::Extremes(tree), WindowStat::One(Stat::Min)) => tree.min_block(m, out),
            (Self::Extremes(tree), _) => tree.max_block(m, out),
            (Self::Moments(tree), WindowStat::One(stat)) => {
                moment_block(stat, m, tree.newest(rows), &part.moments, out)
            }
            (Self::Cubes(tree), WindowStat::One(stat)) => {
                moment_block(stat, m, tree.newest(rows), &part.moments, out)
            }
            (Self::Pairs(_), WindowStat::Two(stat)) => {
                let (xx, yy, xy) = (
                    &part.pairs.xx[..rows],
                    &part.pairs.yy[..rows],
                    &part.pairs.xy[..rows],
                );
                match stat {
                    PairStat::Cov => (0..rows).for_each(|i| out[i] = covariance(xy[i], m as f64)),
                    PairStat::Corr => {
                        (0..rows).for_each(|i| out[i] = correlation(xx[i], yy[i], xy[i]))
                    }
                    PairStat::Beta => (0..rows).for_each(|i| out[i] = beta(yy[i], xy[i])),
                }
            }
            (Self::Moments(_) | Self::Cubes(_), WindowStat::Two(_))
            | (Self::Pairs(_), WindowStat::One(_)) => {
                out.fill(f64::NAN);
            }
        }
    }
}

#[inline(always)]
fn single(stat: WindowStat, m: usize, x: f64, mean: f64, m2: f64, m3: f64) -> f64 {
    match stat {
        WindowStat::One(stat) => moment(stat, m, x, mean, m2, m3),
        WindowStat::Two(_) => f64::NAN,
    }
}

#[inline(always)]
fn pair(stat: WindowStat, m: usize, xx: f64, yy: f64, xy: f64) -> f64 {
    match stat {
        WindowStat::Two(PairStat::Cov) => covariance(xy, m as f64),
        WindowStat::Two(PairStat::Corr) => correlation(xx, yy, xy),
        WindowStat::Two(PairStat::Beta) => beta(yy, xy),
        WindowStat::One(_) => f64::NAN,
    }
}

impl State for Tree {
    fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sums(tree) => tree.save(out),
            Self::Moments(tree) => tree.save(out),
            Self::Cubes(tree) => tree.save(out),
            Self::Extremes(tree) => tree.save(out),
            Self::Values(tree) => tree.save(out),
            Self::Pairs(tree) => tree.save(out),
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        match self {
            Self::Sums(tree) => tree.load(bytes),
            Self::Moments(tree) => tree.load(bytes),
            Self::Cubes(tree) => tree.load(bytes),
            Self::Extremes(tree) => tree.load(bytes),
            Self::Values(tree) => tree.load(bytes),
            Self::Pairs(tree) => tree.load(bytes),
        }
    }
}
