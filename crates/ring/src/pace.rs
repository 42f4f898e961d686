use crate::sys::{current_cpu, monotonic_ns};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How long one side spins before it parks, learnt from how long it waited of late.
///
/// Spinning pays only while the other side works on another CPU: on the same one it keeps the awaited work from being
/// done. So each side publishes its CPU, and the budget is 0 where they meet or where the ring was made with
/// `spin_ns_max` 0.
pub(crate) struct Pace {
    waited_ns: u64,
    spin_ns_max: u64,
}

impl Pace {
    pub(crate) fn new(spin_ns_max: u32, waited_ns: u64) -> Self {
        Self {
            waited_ns,
            spin_ns_max: u64::from(spin_ns_max),
        }
    }

    /// Notes one wait, smoothed over about eight.
    pub(crate) fn saw(&mut self, waited_ns: u64) {
        self.waited_ns = self.waited_ns - self.waited_ns / 8 + waited_ns / 8;
    }

    /// For a side that knows an answer is on its way: twice the usual wait, at most `spin_ns_max`.
    pub(crate) fn while_expecting(&self, mine: &AtomicU32, other: &AtomicU32) -> u64 {
        if self.spin_ns_max == 0 || meet(mine, other) {
            return 0;
        }
        (2 * self.waited_ns).min(self.spin_ns_max)
    }

    /// For a side that waits for whatever comes next: only if that usually comes within `spin_ns_max`.
    pub(crate) fn while_idle(&self, mine: &AtomicU32, other: &AtomicU32) -> u64 {
        if self.spin_ns_max == 0 || self.waited_ns >= self.spin_ns_max || meet(mine, other) {
            return 0;
        }
        self.spin_ns_max
    }
}

/// Publishes this side's CPU and says whether the other side last ran on the same one.
fn meet(mine: &AtomicU32, other: &AtomicU32) -> bool {
    let cpu = current_cpu();
    mine.store(cpu, Relaxed);
    other.load(Relaxed) == cpu
}

/// Watches `word` until it changes from `seen` or the clock shows `until_ns`.
pub(crate) fn spin(word: &AtomicU32, seen: u32, until_ns: u64) {
    while monotonic_ns() < until_ns {
        for _ in 0..16 {
            if word.load(Relaxed) != seen {
                return;
            }
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(cpu: u32) -> AtomicU32 {
        AtomicU32::new(cpu)
    }

    #[test]
    fn nobody_spins_where_it_cannot_help() {
        let (me, elsewhere) = (side(0), side(u32::MAX - 1));
        assert_eq!(Pace::new(0, 1_000).while_expecting(&me, &elsewhere), 0);
        assert_eq!(Pace::new(50_000, 60_000).while_idle(&me, &elsewhere), 0);
        // This thread may move between the two looks at its CPU; that both fail is next to impossible.
        let together = (0..100)
            .any(|_| Pace::new(50_000, 1_000).while_expecting(&me, &side(current_cpu())) == 0);
        assert!(together);
    }

    #[test]
    fn the_budget_follows_the_waits_and_is_bounded() {
        let (me, elsewhere) = (side(0), side(u32::MAX - 1));
        let mut pace = Pace::new(50_000, 0);
        for _ in 0..100 {
            pace.saw(4_000);
        }
        let budget = pace.while_expecting(&me, &elsewhere);
        assert!((7_000..=8_000).contains(&budget), "{budget}");
        assert_eq!(pace.while_idle(&me, &elsewhere), 50_000);
        for _ in 0..100 {
            pace.saw(10_000_000);
        }
        assert_eq!(pace.while_expecting(&me, &elsewhere), 50_000);
    }
}
