//! What windows keep of their values, and the statistics read from it.

use crate::memory::{Content, Scale, WindowStat, deviation};
use crate::registers::Slot;
use signal_kernels::BLOCK;
use signal_kernels::comoments::{ComomentBlock, ComomentTree, ComomentWindow, Comoments};
use signal_kernels::extremes::Extremes;
use signal_kernels::history::Parts;
use signal_kernels::moments::{MomentBlock, MomentTree, MomentWindow, Moments};
use signal_kernels::pyramid::FIRST;
use signal_kernels::rank::Ranks;
use signal_kernels::simd::{BASELINE, Simd, Work};
use signal_kernels::state::{Exhausted, State};
use signal_kernels::sums::Sums;
use signal_kernels::trend::TrendTree;

/// The kept part of a series (or two), by what is asked of it.
#[derive(Clone, Debug)]
pub enum Tree {
    Sums(Sums),
    Moments(MomentTree<2>),
    Cubes(MomentTree<3>),
    Quartics(MomentTree<4>),
    Extremes(Extremes),
    Values(Ranks),
    Pairs(ComomentTree),
    Trend(TrendTree),
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
    /// Gives every statistic to `out`, each what `value` makes of it.
    #[inline(always)]
    fn each(&self, mut out: impl FnMut(Slot, f64), value: impl Fn(WindowStat) -> f64) {
        for &(stat, slot) in &self.inside {
            out(slot, value(stat));
        }
    }

    #[inline(always)]
    pub fn sums<I: Simd>(&self, _: I, tree: &Sums, out: impl FnMut(Slot, f64)) {
        let sum = tree.read_parts(&self.window.parts);
        self.each(out, |stat| stat.sums(&self.window.scale, [sum]));
    }

    #[inline(always)]
    pub fn values<I: Simd>(&self, isa: I, tree: &Ranks, out: impl FnMut(Slot, f64)) {
        self.each(out, |stat| stat.values(isa, tree, self.window.m));
    }

    #[inline(always)]
    pub fn extremes<I: Simd>(&self, _: I, tree: &Extremes, out: impl FnMut(Slot, f64)) {
        let both = tree.read_parts(&self.window.parts);
        self.each(out, |stat| stat.extremes(&self.window.scale, both));
    }

    #[inline(always)]
    pub fn moments<I: Simd, const F: usize>(
        &self,
        _: I,
        tree: &MomentTree<F>,
        out: impl FnMut(Slot, f64),
    ) {
        let scale = &self.window.scale;
        let registers = moments(&tree.read_window(&self.window.moments), scale);
        self.each(out, |stat| stat.moments(scale, registers));
    }

    #[inline(always)]
    pub fn trend<I: Simd>(&self, _: I, tree: &TrendTree, out: impl FnMut(Slot, f64)) {
        let registers = trend(&tree.read_window(&self.window.pairs));
        self.each(out, |stat| stat.trend(&self.window.scale, registers));
    }

    #[inline(always)]
    pub fn pairs<I: Simd>(&self, _: I, tree: &ComomentTree, out: impl FnMut(Slot, f64)) {
        let registers = pairs(&tree.read_window(&self.window.pairs));
        self.each(out, |stat| stat.pairs(&self.window.scale, registers));
    }
}

/// The registers of moments; the sample standard deviation is one that several statistics share.
#[inline(always)]
fn moments(part: &Moments, scale: &Scale) -> [f64; 6] {
    let sd = deviation(part.m2, scale.sample);
    [part.x, part.mean, part.m2, part.m3, part.m4, sd]
}

#[inline(always)]
fn trend(part: &Comoments) -> [f64; 5] {
    [part.x, part.mean_x, part.xx, part.yy, part.xy]
}

#[inline(always)]
fn pairs(part: &Comoments) -> [f64; 3] {
    [part.xx, part.yy, part.xy]
}

/// Working memory of a block of rows: a window's moments, which the statistics over it share. Nothing in it outlasts the
/// window, so one serves all windows of all instruments.
#[derive(Clone, Debug)]
pub struct Scratch {
    moments: MomentBlock,
    /// Sample standard deviations.
    sd: [f64; BLOCK],
    pairs: ComomentBlock,
}

impl Default for Scratch {
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
            Content::Quartics => Self::Quartics(MomentTree::new(cap)),
            Content::Extremes => Self::Extremes(Extremes::new(cap)),
            Content::Values => Self::Values(Ranks::new(cap)),
            Content::Pairs => Self::Pairs(ComomentTree::new(cap)),
            Content::Trend => Self::Trend(TrendTree::new(cap)),
        }
    }

    /// Takes the next value; `y` counts only where pairs are kept.
    #[inline(always)]
    pub fn push(&mut self, x: f64, y: f64) {
        match self {
            Self::Sums(tree) => tree.push(x),
            Self::Moments(tree) => tree.push(x),
            Self::Cubes(tree) => tree.push(x),
            Self::Quartics(tree) => tree.push(x),
            Self::Extremes(tree) => tree.push(x),
            Self::Values(tree) => tree.push(x),
            Self::Pairs(tree) => tree.push(x, y),
            Self::Trend(tree) => tree.push(x),
        }
    }

    /// Names the places that the next value will touch.
    pub fn places(&self, touch: &mut impl FnMut(*const f64)) {
        match self {
            Self::Sums(tree) => tree.places(touch),
            Self::Moments(tree) => tree.places(touch),
            Self::Cubes(tree) => tree.places(touch),
            Self::Quartics(tree) => tree.places(touch),
            Self::Extremes(tree) => tree.places(touch),
            Self::Values(tree) => tree.places(touch),
            Self::Pairs(tree) => tree.places(touch),
            Self::Trend(tree) => tree.places(touch),
        }
    }

    /// Takes a block of values.
    #[inline(always)]
    pub fn push_block<I: Simd>(&mut self, isa: I, xs: &[f64], ys: &[f64]) {
        isa.outlined(PushBlock { tree: self, xs, ys });
    }

    /// Gives the statistics of a window that is full to `out`.
    #[inline(always)]
    pub fn read_group(&self, group: &Group, out: impl FnMut(Slot, f64)) {
        match self {
            Self::Sums(tree) => group.sums(BASELINE, tree, out),
            Self::Moments(tree) => group.moments(BASELINE, tree, out),
            Self::Cubes(tree) => group.moments(BASELINE, tree, out),
            Self::Quartics(tree) => group.moments(BASELINE, tree, out),
            Self::Extremes(tree) => group.extremes(BASELINE, tree, out),
            Self::Values(tree) => group.values(BASELINE, tree, out),
            Self::Pairs(tree) => group.pairs(BASELINE, tree, out),
            Self::Trend(tree) => group.trend(BASELINE, tree, out),
        }
    }

    /// One statistic over the newest `m` values, any `m` up to the cap.
    #[inline(always)]
    pub fn read(&self, m: usize, stat: WindowStat) -> f64 {
        let scale = &Scale::new(m);
        match self {
            Self::Sums(tree) => stat.sums(scale, [tree.read(m)]),
            Self::Values(tree) => stat.values(BASELINE, tree, m),
            Self::Extremes(tree) => stat.extremes(scale, tree.read(m)),
            Self::Moments(tree) => stat.moments(scale, moments(&tree.read(m), scale)),
            Self::Cubes(tree) => stat.moments(scale, moments(&tree.read(m), scale)),
            Self::Quartics(tree) => stat.moments(scale, moments(&tree.read(m), scale)),
            Self::Pairs(tree) => stat.pairs(scale, pairs(&tree.read(m))),
            Self::Trend(tree) => stat.trend(scale, trend(&tree.read(m))),
        }
    }

    /// Reads what `stats` over a window share, for each of the newest `n` rows.
    #[inline(always)]
    pub fn read_block<I: Simd, T>(
        &self,
        isa: I,
        window: &FixedWindow,
        n: usize,
        stats: &[(WindowStat, T)],
        scratch: &mut Scratch,
    ) {
        let is_read = isa.outlined(ReadBlock {
            tree: self,
            window,
            n,
            scratch,
        });
        if is_read && stats.iter().any(|(stat, _)| stat.reads_sd()) {
            let (sd, m2) = (&mut scratch.sd[..n], &scratch.moments.m2[..n]);
            (0..n).for_each(|i| sd[i] = deviation(m2[i], window.scale.sample));
        }
    }
}

/// [`Tree::push_block`].
struct PushBlock<'a> {
    tree: &'a mut Tree,
    xs: &'a [f64],
    ys: &'a [f64],
}

impl Work for PushBlock<'_> {
    type Out = ();

    #[inline(always)]
    fn run<I: Simd>(self, isa: I) {
        let Self { tree, xs, ys } = self;
        match tree {
            Tree::Sums(tree) => tree.push_block(isa, xs),
            Tree::Moments(tree) => tree.push_block(isa, xs),
            Tree::Cubes(tree) => tree.push_block(isa, xs),
            Tree::Quartics(tree) => tree.push_block(isa, xs),
            Tree::Extremes(tree) => tree.push_block(isa, xs),
            Tree::Values(tree) => tree.push_block(xs),
            Tree::Pairs(tree) => tree.push_block(isa, xs, ys),
            Tree::Trend(tree) => tree.push_block(isa, xs),
        }
    }
}

/// [`Tree::read_block`]; whether there was something to read.
struct ReadBlock<'a> {
    tree: &'a Tree,
    window: &'a FixedWindow,
    n: usize,
    scratch: &'a mut Scratch,
}

impl Work for ReadBlock<'_> {
    type Out = bool;

    #[inline(always)]
    fn run<I: Simd>(self, isa: I) -> bool {
        let (n, scratch) = (self.n, self.scratch);
        let (moments, pairs) = (&self.window.moments, &self.window.pairs);
        match self.tree {
            Tree::Moments(tree) => tree.read_block(isa, moments, n, &mut scratch.moments),
            Tree::Cubes(tree) => tree.read_block(isa, moments, n, &mut scratch.moments),
            Tree::Quartics(tree) => tree.read_block(isa, moments, n, &mut scratch.moments),
            Tree::Trend(tree) => tree.read_block(isa, pairs, n, &mut scratch.pairs),
            Tree::Pairs(tree) => tree.read_block(isa, pairs, n, &mut scratch.pairs),
            Tree::Sums(_) | Tree::Extremes(_) | Tree::Values(_) => return false,
        }
        true
    }
}

/// One statistic over a window at each of the newest `out.len()` rows. Gives 0 if all are finite.
pub struct StatBlock<'a> {
    pub tree: &'a Tree,
    pub stat: WindowStat,
    pub window: &'a FixedWindow,
    pub scratch: &'a Scratch,
    pub out: &'a mut [f64],
}

impl Work for StatBlock<'_> {
    type Out = u64;

    #[inline(always)]
    fn run<I: Simd>(self, _: I) -> u64 {
        let Self {
            tree,
            stat,
            window,
            scratch,
            out,
        } = self;
        let (m, scale) = (window.m, &window.scale);
        let MomentBlock { mean, m2, m3, m4 } = &scratch.moments;
        let moments = |xs| [xs, &mean[..], m2, m3, m4, &scratch.sd];
        match tree {
            Tree::Sums(tree) => stat.sums_block(scale, tree, m, [&[]], out),
            Tree::Values(tree) => stat.values_block(tree, m, out),
            Tree::Extremes(tree) => stat.extremes_block(scale, tree, m, [&[]; 2], out),
            Tree::Moments(tree) => stat.moments_block(scale, moments(tree.newest(out.len())), out),
            Tree::Cubes(tree) => stat.moments_block(scale, moments(tree.newest(out.len())), out),
            Tree::Quartics(tree) => stat.moments_block(scale, moments(tree.newest(out.len())), out),
            Tree::Trend(tree) => {
                let [xx, tt, xt] = scratch.pairs.columns();
                let registers = [tree.values(out.len()), scratch.pairs.means(), xx, tt, xt];
                stat.trend_block(scale, registers, out)
            }
            Tree::Pairs(_) => {
                let columns = scratch.pairs.columns().map(|column| &column[..]);
                stat.pairs_block(scale, columns, out)
            }
        }
    }
}

impl State for Tree {
    fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Sums(tree) => tree.save(out),
            Self::Moments(tree) => tree.save(out),
            Self::Cubes(tree) => tree.save(out),
            Self::Quartics(tree) => tree.save(out),
            Self::Extremes(tree) => tree.save(out),
            Self::Values(tree) => tree.save(out),
            Self::Pairs(tree) => tree.save(out),
            Self::Trend(tree) => tree.save(out),
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        match self {
            Self::Sums(tree) => tree.load(bytes),
            Self::Moments(tree) => tree.load(bytes),
            Self::Cubes(tree) => tree.load(bytes),
            Self::Quartics(tree) => tree.load(bytes),
            Self::Extremes(tree) => tree.load(bytes),
            Self::Values(tree) => tree.load(bytes),
            Self::Pairs(tree) => tree.load(bytes),
            Self::Trend(tree) => tree.load(bytes),
        }
    }
}
