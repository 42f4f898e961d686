//! One side of a book: a window of price steps near the best level, and a map for the levels beyond it.

use std::collections::BTreeMap;

use crate::Level;

/// Most levels a side keeps. A new level beyond it sheds the one farthest from the top.
pub const LEVELS_MAX: usize = 1 << 17;

/// Fewest price steps in a window: 2 KiB of quantities.
const STEPS_MIN: usize = 1 << 8;
/// Most price steps in a window: 512 KiB of quantities, of which only the pages in use become resident.
const STEPS_MAX: usize = 1 << 16;
const GROUPS_MAX: usize = STEPS_MAX / 4096;

/// Steps that a window may have for each level that it could hold.
const STEPS_PER_LEVEL: usize = 64;

/// The coarsest price step tried. Decimal ticks (1, 2, 2.5, 5, 1/32 ... times a power of ten) divide it.
const TICK_MAX: u64 = 1_000_000_000_000;

/// What setting one level did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelChange {
    /// The level now has the quantity given.
    Set,
    /// The level was removed.
    Removed,
    /// A removal of a level that the side does not hold: nothing changed.
    Unknown,
    /// The level is new and the side was full: the level farthest from the top was shed, perhaps this one.
    Shed,
}

/// Price levels of one side.
///
/// A level's key grows towards the best price: the price itself for bids and its bitwise complement for asks, which
/// reverses the order of i64 without overflow. The window begins at `base` and has a step for each `tick`; a bitmap of
/// two ranks says which steps hold a level. Keys below the window are in `far`. When a level comes that the window
/// cannot hold, or many come that lie below it, the window is laid anew around the best level, with the tick that the
/// levels show, and grows with their number and reach. A side whose levels are too scattered for any window lives in
/// `far` and tries again later.
///
/// What a side answers depends on its levels only, never on where the window lies. A side without a level has no window
/// yet: an instrument whose book nobody sends costs no memory.
///
/// Invariants: each key in `far` is below `base`; the window is empty only if the side is, or `base` is `i64::MAX`;
/// a bit of `groups` is set exactly if its word is not zero; quantities are above zero; `len` counts window and `far`
/// and is at most [`LEVELS_MAX`].
#[derive(Clone, Debug)]
pub(crate) struct Ladder {
    mask: i64,
    base: i64,
    tick: Tick,
    qtys: Box<[i64]>,
    words: Box<[u64]>,
    groups: [u64; GROUPS_MAX],
    far: BTreeMap<i64, i64>,
    len: usize,
    /// Levels set below the window since it was laid.
    missed: usize,
    /// Levels that the side had when the window was laid.
    laid: usize,
}

impl Ladder {
    /// An empty side whose best price is the highest.
    pub(crate) fn bids() -> Self {
        Self::new(0)
    }

    /// An empty side whose best price is the lowest.
    pub(crate) fn asks() -> Self {
        Self::new(-1)
    }

    fn new(mask: i64) -> Self {
        Self {
            mask,
            base: i64::MAX,
            tick: Tick::of(TICK_MAX),
            qtys: Box::default(),
            words: Box::default(),
            groups: [0; GROUPS_MAX],
            far: BTreeMap::new(),
            len: 0,
            missed: 0,
            laid: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn clear(&mut self) {
        self.empty_window();
        self.far.clear();
        self.base = i64::MAX;
        self.len = 0;
        self.missed = 0;
    }

    fn empty_window(&mut self) {
        self.words.fill(0);
        self.groups.fill(0);
    }

    /// Sets the quantity at `price`; zero (or less) removes the level.
    #[inline]
    pub(crate) fn set(&mut self, price: i64, qty: i64) -> LevelChange {
        let key = price ^ self.mask;
        let Some(step) = self.step(key) else {
            return self.set_outside(key, qty);
        };
        let holds = qty > 0;
        let (at, bit) = (step / 64, 1 << (step % 64));
        let word = self.words[at];
        let held = word & bit != 0;
        let word = if holds { word | bit } else { word & !bit };
        self.words[at] = word;
        self.qtys[step] = qty;
        let (group, bit) = (&mut self.groups[at / 64], 1 << (at % 64));
        *group = if word != 0 {
            *group | bit
        } else {
            *group & !bit
        };
        self.len = self.len + usize::from(holds) - usize::from(held);
        if self.len == self.far.len() && self.len > 0 {
            self.lay_window();
        }
        self.shed_or(match (holds, held) {
            (true, _) => LevelChange::Set,
            (false, true) => LevelChange::Removed,
            (false, false) => LevelChange::Unknown,
        })
    }

    /// The step of the window at a key; `None` if the window has none there.
    #[inline]
    fn step(&self, key: i64) -> Option<usize> {
        let step = self.tick.steps(key.wrapping_sub(self.base) as u64);
        (key >= self.base && step < self.qtys.len() as u64).then_some(step as usize)
    }

    /// The quantity at a price; zero if no level stands there.
    pub(crate) fn qty(&self, price: i64) -> i64 {
        let key = price ^ self.mask;
        match self.step(key) {
            Some(step) if self.words[step / 64] >> (step % 64) & 1 == 1 => self.qtys[step],
            Some(_) => 0,
            None => self.far.get(&key).copied().unwrap_or(0),
        }
    }

    /// Names the places that lead to the levels.
    #[inline]
    pub(crate) fn places(&self, touch: &mut impl FnMut(*const u8)) {
        let words = self.groups[0].checked_ilog2().unwrap_or(0) as usize;
        touch(self.words.as_ptr().wrapping_add(words).cast());
    }

    /// Names the place of a level.
    #[inline]
    pub(crate) fn level_place(&self, price: i64, touch: &mut impl FnMut(*const u8)) {
        if let Some(step) = self.step(price ^ self.mask) {
            touch(self.qtys.as_ptr().wrapping_add(step).cast());
        }
    }

    /// Names the places of the best levels.
    #[inline]
    pub(crate) fn best_places(&self, touch: &mut impl FnMut(*const u8)) {
        if let Some(step) = self.window().next() {
            let best = self.qtys.as_ptr().wrapping_add(step);
            touch(best.cast());
            touch(best.wrapping_sub(8).cast());
        }
    }

    /// The level farthest from the other side.
    pub(crate) fn worst(&self) -> Option<Level> {
        if let Some((key, qty)) = self.far.first_key_value() {
            return Some(Level {
                price: key ^ self.mask,
                qty: *qty,
            });
        }
        let group = self.groups.iter().position(|group| *group != 0)?;
        let at = group * 64 + self.groups[group].trailing_zeros() as usize;
        Some(self.level(at * 64 + self.words[at].trailing_zeros() as usize))
    }

    /// Removes levels from the worst one on until no more than `most` are left; gives how many it removed.
    pub(crate) fn truncate(&mut self, most: usize) -> usize {
        let mut removed = 0;
        while self.len > most
            && let Some(worst) = self.worst()
        {
            self.set(worst.price, 0);
            removed += 1;
        }
        removed
    }

    #[inline(never)]
    fn set_outside(&mut self, key: i64, qty: i64) -> LevelChange {
        if qty <= 0 {
            if self.far.remove(&key).is_none() {
                return LevelChange::Unknown;
            }
            self.len -= 1;
            return LevelChange::Removed;
        }
        if self.far.insert(key, qty).is_none() {
            self.len += 1;
        }
        self.missed += 1;
        // Where levels have become twice as many, so may the steps: that costs each level a few moves at most.
        let patience = match (self.qtys.len() < STEPS_MAX, self.len > 2 * self.laid) {
            (true, true) => 16,
            (true, false) => 64 + self.len,
            (false, _) => 64 + 8 * self.len,
        };
        if key >= self.base || self.missed > patience || self.len == 1 {
            self.lay_window();
        }
        self.shed_or(LevelChange::Set)
    }

    #[inline]
    fn shed_or(&mut self, change: LevelChange) -> LevelChange {
        if self.len <= LEVELS_MAX {
            return change;
        }
        // The window cannot hold so many: the farthest level is in the map.
        self.far.pop_first();
        self.len -= 1;
        LevelChange::Shed
    }

    /// Lays the window around the best level, with the coarsest tick that fits all levels. O(levels).
    #[inline(never)]
    fn lay_window(&mut self) {
        let mut levels: Vec<(i64, i64)> = std::mem::take(&mut self.far).into_iter().collect();
        levels.extend(self.window().map(|step| (self.key(step), self.qtys[step])));
        levels.sort_unstable();
        self.tick = Tick::of(levels.iter().fold(TICK_MAX, |tick, (key, _)| {
            common_divisor(tick, key ^ self.mask)
        }));
        self.empty_window();
        (self.missed, self.laid) = (0, self.len);
        let steps = self.window_steps(&levels).max(self.qtys.len());
        if steps > self.qtys.len() {
            self.qtys = vec![0; steps].into_boxed_slice();
            self.words = vec![0; steps / 64].into_boxed_slice();
        }
        self.base = self.window_base(&levels);
        let beyond = levels.partition_point(|(key, _)| *key < self.base);
        for (key, qty) in levels.drain(beyond..) {
            let step = self.tick.steps(key.wrapping_sub(self.base) as u64) as usize;
            self.qtys[step] = qty;
            self.words[step / 64] |= 1 << (step % 64);
            self.groups[step / 4096] |= 1 << (step / 64 % 64);
        }
        self.far = levels.into_iter().collect();
    }

    /// How many steps a window needs to reach down to the farthest of these levels that any window could hold beside the
    /// best, and twice as many as now, since the market has left it; as far as the number of levels allows.
    fn window_steps(&self, levels: &[(i64, i64)]) -> usize {
        let steps_down = |key: i64| {
            let best = levels.last().map_or(key, |(best, _)| *best);
            best.wrapping_sub(key) as u64 / self.tick.size
        };
        let reach = best_step(STEPS_MAX);
        let far = levels.partition_point(|(key, _)| steps_down(*key) > reach);
        let down = levels.get(far).map_or(0, |(key, _)| steps_down(*key)) as usize;
        // Room for as much again, and a quarter of the window lies above the best level.
        let needed = (3 * down).next_power_of_two();
        let allowed = (levels.len() * STEPS_PER_LEVEL).next_power_of_two();
        let steps = needed.max(2 * self.qtys.len()).min(allowed);
        steps.clamp(STEPS_MIN, STEPS_MAX)
    }

    /// Where the window should begin for these levels; `i64::MAX`, which no more than one key reaches, if it would hold
    /// too few of them.
    fn window_base(&self, levels: &[(i64, i64)]) -> i64 {
        let Some((best, _)) = levels.last() else {
            return i64::MAX;
        };
        let most = best_step(self.qtys.len());
        let steps = (best.wrapping_sub(i64::MIN) as u64 / self.tick.size).min(most);
        let base = best.wrapping_sub_unsigned(steps * self.tick.size);
        let beyond = levels.partition_point(|(key, _)| *key < base);
        if (levels.len() - beyond) * 8 >= levels.len() {
            base
        } else {
            i64::MAX
        }
    }

    /// The level nearest to the other side.
    #[inline]
    pub(crate) fn best(&self) -> Option<Level> {
        match self.window().next() {
            Some(step) => Some(self.level(step)),
            None => self.far.last_key_value().map(|(key, qty)| Level {
                price: key ^ self.mask,
                qty: *qty,
            }),
        }
    }

    /// Fills `out` with levels from the best outwards; gives how many there were.
    pub(crate) fn top(&self, out: &mut [Level]) -> usize {
        let mut places = out.iter_mut();
        for (at, group) in self.groups().iter().enumerate().rev() {
            for at in Ones(*group).map(|bit| at * 64 + bit) {
                for step in Ones(self.words[at]).map(|bit| at * 64 + bit) {
                    let Some(place) = places.next() else {
                        return out.len();
                    };
                    *place = self.level(step);
                }
            }
        }
        let mut far = self.far.iter().rev();
        while let Some(((key, qty), place)) = far.next().zip(places.next()) {
            *place = Level {
                price: key ^ self.mask,
                qty: *qty,
            };
        }
        out.len().min(self.len)
    }

    /// Levels from the best outwards.
    #[inline]
    pub(crate) fn levels(&self) -> impl Iterator<Item = Level> + '_ {
        let near = self.window().map(|step| self.level(step));
        let far = self.far.iter().rev().map(|(key, qty)| Level {
            price: key ^ self.mask,
            qty: *qty,
        });
        near.chain(far)
    }

    /// Steps of the window that hold a level, from the best down.
    #[inline]
    fn window(&self) -> impl Iterator<Item = usize> + '_ {
        let groups = self.groups().iter().enumerate().rev();
        let words = groups.flat_map(|(at, group)| Ones(*group).map(move |bit| at * 64 + bit));
        words.flat_map(|at| Ones(self.words[at]).map(move |bit| at * 64 + bit))
    }

    /// The groups that the window has.
    #[inline]
    fn groups(&self) -> &[u64] {
        &self.groups[..self.words.len().div_ceil(64)]
    }

    #[inline]
    fn level(&self, step: usize) -> Level {
        Level {
            price: self.key(step) ^ self.mask,
            qty: self.qtys[step],
        }
    }

    #[inline]
    fn key(&self, step: usize) -> i64 {
        self.base
            .wrapping_add_unsigned(step as u64 * self.tick.size)
    }

    /// Panics with the broken invariant; for tests.
    pub(crate) fn check_invariants(&self) {
        assert!(
            self.far.keys().all(|key| *key < self.base),
            "a far level inside the window"
        );
        assert!(
            self.far.values().all(|qty| *qty > 0),
            "a far level without quantity"
        );
        assert!(
            self.window().all(|step| self.qtys[step] > 0),
            "a level without quantity"
        );
        for (at, word) in self.words.iter().enumerate() {
            let bit = self.groups[at / 64] >> (at % 64) & 1 == 1;
            assert_eq!(bit, *word != 0, "group bit of word {at}");
        }
        let window = self.window().count();
        assert!(
            window > 0 || self.len == 0 || self.base == i64::MAX,
            "an empty window before far levels"
        );
        assert_eq!(self.len, window + self.far.len(), "len counts all levels");
        assert!(self.len <= LEVELS_MAX, "more levels than allowed");
    }
}

/// Where the best level is put when a window of so many steps is laid anew: most of a side lies behind its best level.
fn best_step(steps: usize) -> u64 {
    (steps as u64 / 4) * 3
}

/// The price step of a window, and what it takes to divide by it without a division.
///
/// Invariants: `size` is above zero and at most [`TICK_MAX`]; `inverse` times the odd part of `size` is 1 modulo 2⁶⁴;
/// `size` is its odd part shifted by `shift`.
#[derive(Clone, Copy, Debug)]
struct Tick {
    size: u64,
    inverse: u64,
    shift: u32,
}

impl Tick {
    fn of(size: u64) -> Tick {
        let shift = size.trailing_zeros();
        let odd = size >> shift;
        // Newton: each round doubles the bits that are right; an odd number is its own inverse modulo 8.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Tick {
            size,
            inverse,
            shift,
        }
    }

    /// How many ticks a distance is; where it is no whole number of them, more than any window has.
    ///
    /// A multiple of the odd part times its inverse is the quotient; anything else gives a number above 2⁶⁴ / `size`
    /// (Granlund and Montgomery 1994), and so does, rotated to the top, a rest of the power of two.
    #[inline]
    fn steps(self, distance: u64) -> u64 {
        distance.wrapping_mul(self.inverse).rotate_right(self.shift)
    }
}

/// Set bits of a word, from the highest down.
struct Ones(u64);

impl Iterator for Ones {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let at = self.0.checked_ilog2()?;
        self.0 ^= 1 << at;
        Some(at as usize)
    }
}

/// The greatest common divisor of `tick` and a price.
fn common_divisor(tick: u64, price: i64) -> u64 {
    let (mut a, mut b) = (tick, price.unsigned_abs() % tick);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENT: i64 = 10_000_000;

    fn fill(bids: &mut Ladder, best: i64, qty: i64) {
        for ticks in 0..1_000 {
            bids.set(best - ticks * CENT, qty);
        }
        bids.check_invariants();
    }

    #[test]
    fn the_window_holds_the_levels_near_the_best() {
        let mut bids = Ladder::bids();
        fill(&mut bids, 61_837 * 100 * CENT, 1);
        assert_eq!((bids.tick.size, bids.far.len()), (CENT as u64, 0));
        bids.set(5_000 * 100 * CENT, 1);
        assert_eq!(bids.far.len(), 1);
    }

    #[test]
    fn the_window_follows_the_market_both_ways() {
        let mut bids = Ladder::bids();
        let start = 61_837 * 100 * CENT;
        let mut missed = 0;
        for step in (0..400).chain((0..400).rev()) {
            let best = start + step * 700 * CENT;
            fill(&mut bids, best, 1);
            let reach = best - 1_000 * CENT + 1..=best;
            let gone: Vec<Level> = bids
                .levels()
                .filter(|level| !reach.contains(&level.price))
                .collect();
            for level in gone {
                bids.set(level.price, 0);
            }
            assert_eq!(
                bids.best(),
                Some(Level {
                    price: best,
                    qty: 1
                })
            );
            bids.check_invariants();
            missed += bids.far.len();
        }
        assert!(
            missed < 20_000,
            "{missed} of 800,000 levels lay outside the window"
        );
    }

    #[test]
    fn a_finer_price_makes_the_tick_finer() {
        let mut asks = Ladder::asks();
        for price in [100, 200, 400, 225] {
            asks.set(price * CENT, 1);
            asks.check_invariants();
        }
        assert_eq!(asks.tick.size, 25 * CENT as u64);
        assert_eq!(
            asks.levels()
                .map(|level| level.price / CENT)
                .collect::<Vec<_>>(),
            [100, 200, 225, 400]
        );
    }

    #[test]
    fn steps_are_quotients_or_beyond_any_window() {
        for size in [
            1,
            2,
            3,
            25,
            1 << 20,
            10_000_000,
            2_500_000_000,
            TICK_MAX - 1,
            TICK_MAX,
        ] {
            let tick = Tick::of(size);
            for count in [0, 1, 2, 63, 64, 65_535, 65_536] {
                assert_eq!(tick.steps(count * size), count, "{count} of {size}");
                for off in [1, size / 2, size - 1] {
                    if off % size != 0 {
                        let steps = tick.steps(count * size + off);
                        assert!(steps >= STEPS_MAX as u64, "{count} of {size} and {off}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_window_grows_with_its_side() {
        let mut bids = Ladder::bids();
        let best = 61_837 * 100 * CENT;
        let mut steps = Vec::new();
        for levels in [1, 20, 200, 2_000, 20_000, 40_000] {
            for ticks in 0..levels {
                bids.set(best - ticks * CENT, 1);
            }
            bids.check_invariants();
            steps.push(bids.qtys.len());
            let near = levels as usize - bids.far.len();
            assert!(
                near * 3 >= levels as usize * 2,
                "{near} of {levels} in the window"
            );
        }
        assert_eq!(steps, [256, 256, 256, 4_096, 65_536, 65_536]);
        assert_eq!(bids.words.len() * 64, bids.qtys.len());
    }

    #[test]
    fn the_worst_levels_go_first() {
        let mut bids = Ladder::bids();
        for ticks in [0, 3, 1, 70, 60_000, 900_000] {
            bids.set((1_000_000 - ticks) * CENT, 1 + ticks);
        }
        let left = |bids: &Ladder| {
            let levels = bids.levels();
            levels.map(|level| level.qty - 1).collect::<Vec<_>>()
        };
        assert_eq!((bids.truncate(9), left(&bids).len()), (0, 6));
        assert_eq!(bids.worst().map(|level| level.qty), Some(900_001));
        assert_eq!((bids.truncate(3), left(&bids)), (3, vec![0, 1, 3]));
        assert_eq!(bids.worst().map(|level| level.qty), Some(4));
        assert_eq!((bids.truncate(0), bids.worst()), (3, None));
        bids.check_invariants();
    }

    #[test]
    fn one_absurd_price_costs_the_window_only_for_a_while() {
        let mut bids = Ladder::bids();
        let best = 61_837 * 100 * CENT;
        fill(&mut bids, best, 1);
        bids.set(best * 1_000, 1);
        assert_eq!(bids.best().map(|best| best.price), Some(best * 1_000));
        bids.check_invariants();
        assert_eq!(
            bids.far.len(),
            1_001,
            "the window would hold one level of a thousand"
        );
        bids.set(best * 1_000, 0);
        (0..10).for_each(|qty| fill(&mut bids, best, 2 + qty));
        assert_eq!(
            (bids.far.len(), bids.best()),
            (
                0,
                Some(Level {
                    price: best,
                    qty: 11
                })
            )
        );
    }
}
