//! What windows keep of their values, and the statistics read from it.

use crate::memory::{PairStat, Stat};
use crate::op::{Content, WindowStat};
use crate::registers::{Slot, all_finite, fault};
use signal_kernels::BLOCK;
use signal_kernels::comoments::{ComomentBlock, ComomentTree, ComomentWindow, Comoments};
use signal_kernels::elementwise::{map, sqrt, zip};
use signal_kernels::extremes::Extremes;
use signal_kernels::history::Parts;
use signal_kernels::moments::{MomentBlock, MomentTree, MomentWindow, Moments};
use signal_kernels::pyramid::FIRST;
use signal_kernels::rank::Ranks;
use signal_kernels::simd::{BASELINE, Simd};
use signal_kernels::state::{Exhausted, State};
use signal_kernels::sums::Sums;

/// The kept part of a series (or two), by what is asked of it.
#[derive(Clone, Debug)]
pub enum Tree {
    Sums(Sums),
    Moments(MomentTree<2>),
    Cubes(MomentTree<3>),
    Extremes(Extremes),
    Values(Ranks),
    Pairs(ComomentTree),
}

/// What the statistics over `n` values multiply by.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    n: f64,
    /// `1 / (n - 1)`.
    sample: f64,
    /// `n / ((n - 1) (n - 2))`.
    skew: f64,
}

impl Scale {
    #[inline(always)]
    pub fn new(m: usize) -> Self {
        let n = m as f64;
        Self {
            n,
            sample: 1.0 / (n - 1.0),
            skew: n / ((n - 1.0) * (n - 2.0)),
        }
    }

    /// `1 / (n - ddof)`.
    #[inline(always)]
    fn inverse(&self, ddof: u8) -> f64 {
        if ddof == 1 {
            self.sample
        } else {
            1.0 / (self.n - f64::from(ddof))
        }
    }
}

/// Standard deviation from a sum of squared deviations; `inverse` is 1 over the divisor.
#[inline(always)]
fn deviation(m2: f64, inverse: f64) -> f64 {
    sqrt(m2 * inverse)
}

/// (newest - mean) / standard deviation, where `mean` is relative to the newest.
#[inline(always)]
fn zscore(mean: f64, sd: f64) -> f64 {
    -mean / sd
}

/// G1 of Joanes & Gill (1998).
#[inline(always)]
fn skewness(m2: f64, m3: f64, sd: f64, scale: &Scale) -> f64 {
    scale.skew * (m3 / (m2 * scale.sample * sd))
}

/// Pearson correlation, in [-1, 1] whatever was rounded on the way; not finite where a series does not vary.
#[inline(always)]
fn correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    let product = xx * yy;
    if (f64::MIN_POSITIVE..=f64::MAX).contains(&product) {
        within_one(xy / sqrt(product))
    } else {
        distant_correlation(xx, yy, xy)
    }
}

/// The same where the product of the sums of squares is beyond what a double holds, although the correlation is not.
#[cold]
fn distant_correlation(xx: f64, yy: f64, xy: f64) -> f64 {
    if xx.is_finite() && yy.is_finite() {
        within_one(xy / sqrt(xx) / sqrt(yy))
    } else {
        f64::NAN
    }
}

/// A finite number kept between -1 and 1.
#[inline(always)]
fn within_one(x: f64) -> f64 {
    if x.abs() > 1.0 && x.is_finite() {
        1.0f64.copysign(x)
    } else {
        x
    }
}

/// Slope of the first series on the second.
#[inline(always)]
fn beta(yy: f64, xy: f64) -> f64 {
    xy / yy
}

/// A statistic of one series from its moments; `sd` is the sample standard deviation, which several share.
#[inline(always)]
fn moment(stat: WindowStat, scale: &Scale, part: &Moments, sd: f64) -> f64 {
    match stat {
        WindowStat::One(Stat::Mean) => part.x + part.mean,
        WindowStat::One(Stat::Var(ddof)) => part.m2 * scale.inverse(ddof),
        WindowStat::One(Stat::Std(1)) => sd,
        WindowStat::One(Stat::Std(ddof)) => deviation(part.m2, scale.inverse(ddof)),
        WindowStat::One(Stat::Zscore) => zscore(part.mean, sd),
        WindowStat::One(Stat::Skew) => skewness(part.m2, part.m3, sd, scale),
        // Kept by other trees; the plan never asks it of this one.
        WindowStat::One(Stat::Sum | Stat::Min | Stat::Max | Stat::Rank) | WindowStat::Two(_) => {
            f64::NAN
        }
    }
}

#[inline(always)]
fn pair(stat: WindowStat, scale: &Scale, part: &Comoments) -> f64 {
    match stat {
        WindowStat::Two(PairStat::Cov) => part.xy * scale.sample,
        WindowStat::Two(PairStat::Corr) => correlation(part.xx, part.yy, part.xy),
        WindowStat::Two(PairStat::Beta) => beta(part.yy, part.xy),
        WindowStat::One(_) => f64::NAN,
    }
}

/// A window of fixed length.
#[derive(Clone, Debug)]
pub struct FixedWindow {
    pub m: usize,
    scale: Scale,
    parts: Parts,
    moments: MomentWindow,
    pairs: ComomentWindow,
}

impl FixedWindow {
    pub fn new(m: usize) -> Self {
        Self {
            m,
            scale: Scale::new(m),
            parts: Parts::new(m, FIRST),
            moments: MomentWindow::new(m),
            pairs: ComomentWindow::new(m),
        }
    }
}

/// Statistics over one window.
#[derive(Clone, Debug)]
pub struct Group {
    pub window: FixedWindow,
    /// Statistic and register of those read inside the program.
    pub inside: Vec<(WindowStat, Slot)>,
}

impl Group {
    /// Gives every statistic, of which there is one kind, to `out`. Mostly it is asked for once.
    #[inline(always)]
    fn alike(&self, value: f64, mut out: impl FnMut(Slot, f64)) {
        if let Some((&(_, slot), more)) = self.inside.split_first() {
            out(slot, value);
            if !more.is_empty() {
                more.iter().for_each(|&(_, slot)| out(slot, value));
            }
        }
    }

    /// Gives every statistic of a tree to `out`.
    #[inline(always)]
    pub fn sums<I: Simd>(&self, _: I, tree: &Sums, out: impl FnMut(Slot, f64)) {
        self.alike(tree.read_parts(&self.window.parts), out);
    }

    #[inline(always)]
    pub fn ranks<I: Simd>(&self, isa: I, tree: &Ranks, out: impl FnMut(Slot, f64)) {
        self.alike(tree.read(isa, self.window.m), out);
    }

    #[inline(always)]
    pub fn extremes<I: Simd>(&self, _: I, tree: &Extremes, mut out: impl FnMut(Slot, f64)) {
        let [min, max] = tree.read_parts(&self.window.parts);
        for &(stat, slot) in &self.inside {
            let least = stat == WindowStat::One(Stat::Min);
            out(slot, if least { min } else { max });
        }
    }

    #[inline(always)]
    pub fn moments<I: Simd, const F: usize>(
        &self,
        _: I,
        tree: &MomentTree<F>,
        mut out: impl FnMut(Slot, f64),
    ) {
        let (part, scale) = (tree.read_window(&self.window.moments), &self.window.scale);
        let sd = deviation(part.m2, scale.sample);
        for &(stat, slot) in &self.inside {
            out(slot, moment(stat, scale, &part, sd));
        }
    }

    #[inline(always)]
    pub fn pairs<I: Simd>(&self, _: I, tree: &ComomentTree, mut out: impl FnMut(Slot, f64)) {
        let part = tree.read_window(&self.window.pairs);
        for &(stat, slot) in &self.inside {
            out(slot, pair(stat, &self.window.scale, &part));
        }
    }
}

/// A window's moments for a block of rows, shared by the statistics over it.
#[derive(Clone, Debug)]
pub struct Part {
    moments: MomentBlock,
    /// Sample standard deviations.
    sd: [f64; BLOCK],
    pairs: ComomentBlock,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            moments: MomentBlock::new(),
            sd: [0.0; BLOCK],
            pairs: ComomentBlock::new(),
        }
    }
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

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        match self {
            Self::Sums(tree) => tree.places(touch),
            Self::Moments(tree) => tree.places(touch),
            Self::Cubes(tree) => tree.places(touch),
            Self::Extremes(tree) => tree.places(touch),
            Self::Values(tree) => tree.places(touch),
            Self::Pairs(tree) => tree.places(touch),
        }
    }

    /// Takes a block of values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64], ys: &[f64]) {
        match self {
            Self::Sums(tree) => tree.push_block(isa, xs),
            Self::Moments(tree) => tree.push_block(isa, xs),
            Self::Cubes(tree) => tree.push_block(isa, xs),
            Self::Extremes(tree) => tree.push_block(isa, xs),
            Self::Values(tree) => tree.push_block(xs),
            Self::Pairs(tree) => tree.push_block(isa, xs, ys),
        }
    }

    /// Gives the statistics of a window that is full to `out`.
    #[inline(always)]
    pub fn read_group(&self, group: &Group, out: impl FnMut(Slot, f64)) {
        match self {
            Self::Sums(tree) => group.sums(BASELINE, tree, out),
            Self::Moments(tree) => group.moments(BASELINE, tree, out),
            Self::Cubes(tree) => group.moments(BASELINE, tree, out),
            Self::Extremes(tree) => group.extremes(BASELINE, tree, out),
            Self::Values(tree) => group.ranks(BASELINE, tree, out),
            Self::Pairs(tree) => group.pairs(BASELINE, tree, out),
        }
    }

    /// One statistic over the newest `m` values, any `m` up to the cap.
    #[inline(always)]
    pub fn read(&self, m: usize, stat: WindowStat) -> f64 {
        let scale = Scale::new(m);
        let single = |part: Moments| moment(stat, &scale, &part, deviation(part.m2, scale.sample));
        match self {
            Self::Sums(tree) => tree.read(m),
            Self::Values(tree) => tree.read(BASELINE, m),
            Self::Extremes(tree) => tree.read(m)[usize::from(stat != WindowStat::One(Stat::Min))],
            Self::Moments(tree) => single(tree.read(m)),
            Self::Cubes(tree) => single(tree.read(m)),
            Self::Pairs(tree) => pair(stat, &scale, &tree.read(m)),
        }
    }

    /// Reads what `stats` over a window share, for each of the newest `n` rows.
    #[inline(always)]
    pub fn part_block<I: Simd, T>(
        &self,
        isa: I,
        window: &FixedWindow,
        n: usize,
        stats: &[(WindowStat, T)],
        part: &mut Part,
    ) {
        match self {
            Self::Moments(tree) => tree.read_block(isa, &window.moments, n, &mut part.moments),
            Self::Cubes(tree) => tree.read_block(isa, &window.moments, n, &mut part.moments),
            Self::Pairs(tree) => tree.read_block(isa, &window.pairs, n, &mut part.pairs),
            Self::Sums(_) | Self::Extremes(_) | Self::Values(_) => return,
        }
        if stats.iter().any(|(stat, _)| {
            matches!(
                stat,
                WindowStat::One(Stat::Std(1) | Stat::Zscore | Stat::Skew)
            )
        }) {
            let (sd, m2) = (&mut part.sd[..n], &part.moments.m2[..n]);
            (0..n).for_each(|i| sd[i] = deviation(m2[i], window.scale.sample));
        }
    }

    /// One statistic over a window at each of the newest `out.len()` rows. Gives 0 if all are finite.
    #[inline(always)]
    pub fn stat_block(
        &self,
        stat: WindowStat,
        window: &FixedWindow,
        part: &Part,
        out: &mut [f64],
    ) -> u64 {
        let (m, scale) = (window.m, &window.scale);
        match (self, stat) {
            (Self::Sums(tree), _) => {
                tree.read_block(m, out);
                u64::from(!all_finite(out))
            }
            // Extremes of finite values, and ranks, are finite.
            (Self::Values(tree), _) => {
                tree.read_block(m, out);
                0
            }
            (Self::Extremes(tree), _) => {
                match stat {
                    WindowStat::One(Stat::Min) => tree.min_block(m, out),
                    _ => tree.max_block(m, out),
                }
                0
            }
            (Self::Moments(tree), _) => {
                moment_block(stat, scale, tree.newest(out.len()), part, out)
            }
            (Self::Cubes(tree), _) => moment_block(stat, scale, tree.newest(out.len()), part, out),
            (Self::Pairs(_), _) => pair_block(stat, scale, &part.pairs, out),
        }
    }
}

#[inline(always)]
fn moment_block(stat: WindowStat, scale: &Scale, xs: &[f64], part: &Part, out: &mut [f64]) -> u64 {
    let n = out.len();
    let (mean, m2, m3) = (
        &part.moments.mean[..n],
        &part.moments.m2[..n],
        &part.moments.m3[..n],
    );
    let sd = &part.sd[..n];
    match stat {
        WindowStat::One(Stat::Mean) => zip(xs, mean, out, |x, mean| x + mean),
        WindowStat::One(Stat::Var(ddof)) => {
            let inverse = scale.inverse(ddof);
            map(m2, out, |m2| m2 * inverse)
        }
        WindowStat::One(Stat::Std(1)) => map(sd, out, |sd| sd),
        WindowStat::One(Stat::Std(ddof)) => {
            let inverse = scale.inverse(ddof);
            map(m2, out, |m2| deviation(m2, inverse))
        }
        WindowStat::One(Stat::Zscore) => zip(mean, sd, out, zscore),
        WindowStat::One(Stat::Skew) => {
            let mut faults = 0;
            for i in 0..n {
                out[i] = skewness(m2[i], m3[i], sd[i], scale);
                faults |= fault(out[i]);
            }
            faults
        }
        WindowStat::One(Stat::Sum | Stat::Min | Stat::Max | Stat::Rank) | WindowStat::Two(_) => {
            missing(out)
        }
    }
}

#[inline(always)]
fn pair_block(stat: WindowStat, scale: &Scale, part: &ComomentBlock, out: &mut [f64]) -> u64 {
    let n = out.len();
    let [xx, yy, xy] = part.columns().map(|column| &column[..n]);
    match stat {
        WindowStat::Two(PairStat::Cov) => map(xy, out, |xy| xy * scale.sample),
        WindowStat::Two(PairStat::Corr) => {
            let mut faults = 0;
            let mut distant = false;
            for i in 0..n {
                let product = xx[i] * yy[i];
                distant |= !(f64::MIN_POSITIVE..=f64::MAX).contains(&product);
                out[i] = within_one(xy[i] / sqrt(product));
                faults |= fault(out[i]);
            }
            if distant {
                faults = 0;
                for i in 0..n {
                    out[i] = correlation(xx[i], yy[i], xy[i]);
                    faults |= fault(out[i]);
                }
            }
            faults
        }
        WindowStat::Two(PairStat::Beta) => zip(yy, xy, out, beta),
        WindowStat::One(_) => missing(out),
    }
}

/// Kept by other trees; the plan never asks it of this one.
#[cold]
fn missing(out: &mut [f64]) -> u64 {
    out.fill(f64::NAN);
    1
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any double above zero or at it, of every magnitude.
    fn square() -> impl Strategy<Value = f64> {
        prop_oneof![
            Just(0.0),
            Just(f64::INFINITY),
            (any::<f64>()).prop_map(f64::abs),
            (-320.0f64..308.0).prop_map(|e| 10f64.powf(e)),
            0.5f64..2.0,
        ]
    }

    /// A correlation as rounding may leave it: some a little beyond 1.
    fn share() -> impl Strategy<Value = f64> {
        prop_oneof![-1.0f64..1.0, 1.0f64..1.000001, -1.000001f64..-1.0]
    }

    proptest! {
        #[test]
        fn a_correlation_lies_between_minus_one_and_one(
            rows in prop::collection::vec((square(), square(), share()), 1..40)
        ) {
            let mut block = ComomentBlock::new();
            let [xx, yy, xy] = block.columns_mut();
            for (i, &(x, y, share)) in rows.iter().enumerate() {
                let size = x.sqrt() * y.sqrt();
                let size = if size.is_finite() { size } else { 1.0 };
                (xx[i], yy[i], xy[i]) = (x, y, size * share);
            }
            let stat = WindowStat::Two(PairStat::Corr);
            let mut out = vec![0.0; rows.len()];
            let faults = pair_block(stat, &Scale::new(9), &block, &mut out);
            let [xx, yy, xy] = block.columns();
            for (i, value) in out.iter().enumerate() {
                prop_assert!(!value.is_finite() || value.abs() <= 1.0, "{value}");
                let part = Comoments { xx: xx[i], yy: yy[i], xy: xy[i], ..Comoments::default() };
                prop_assert_eq!(value.to_bits(), pair(stat, &Scale::new(9), &part).to_bits());
                if !(xx[i].is_finite() && yy[i].is_finite()) {
                    prop_assert!(!value.is_finite(), "{} of {} and {}", value, xx[i], yy[i]);
                }
            }
            prop_assert_eq!(faults == 0, out.iter().all(|value| value.is_finite()));
        }
    }
}
