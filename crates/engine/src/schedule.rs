//! Moments that the axis itself brings: ends of bars and ticks of the graph's clock.

use signal_market::Grid;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Bars end: those of every length that [`Schedule::ends`] at the moment.
    Bars,
    /// Bars that come as rows of a table end: no more of them come for this moment.
    Rows,
    /// The graph's clock ticks.
    Tick,
}

/// The next moment of each kind. A bar is due once its end has come; a tick once its moment has passed, because it sees
/// everything at its moment, and so are bars that come as rows. Bars come before the tick of the same moment.
///
/// Invariant: `next` is the earliest deadline: the first axis time at which something is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Grid and next end of each kind of bars; of those in sessions also the next opening, at which no bar ends.
    bars: Vec<(Grid, i64)>,
    /// (length, next tick).
    clock: Option<(i64, i64)>,
    /// A moment before which no bars that come as rows end.
    rows: i64,
    next: i64,
}

impl Schedule {
    /// Nothing is due before [`Schedule::start`]. `bars` are where they lie.
    pub fn new(bars: impl IntoIterator<Item = Grid>, clock: Option<i64>) -> Self {
        Self {
            bars: bars.into_iter().map(|grid| (grid, i64::MAX)).collect(),
            clock: clock.map(|ns| (ns, i64::MAX)),
            rows: i64::MAX,
            next: i64::MAX,
        }
    }

    /// The first event is at `t`.
    pub fn start(&mut self, t: i64) {
        for (grid, next) in &mut self.bars {
            *next = grid.next(t);
        }
        if let Some((ns, next)) = &mut self.clock {
            let before = t - t.rem_euclid(*ns);
            *next = if before == t {
                t
            } else {
                before.saturating_add(*ns)
            };
        }
        self.settle();
    }

    fn settle(&mut self) {
        let tick = self
            .clock
            .map_or(i64::MAX, |(_, next)| next.saturating_add(1));
        self.next = self.bar_end().min(tick).min(self.rows.saturating_add(1));
    }

    /// The next end of a bar.
    fn bar_end(&self) -> i64 {
        let ends = self.bars.iter().map(|(_, next)| *next);
        ends.min().unwrap_or(i64::MAX)
    }

    /// Whether something is due at axis time `t`.
    #[inline(always)]
    pub fn is_due(&self, t: i64) -> bool {
        t >= self.next
    }

    /// The earliest due thing with its moment, in order of moments; bars before the tick. A tick is taken by this; bars
    /// by [`Schedule::pass`], rows by [`Schedule::set_rows`].
    pub fn pop(&mut self, t: i64) -> Option<(i64, Due)> {
        if t < self.next {
            return None;
        }
        let end = self.bar_end();
        if self.rows < t && self.rows < end && self.clock.is_none_or(|(_, tick)| self.rows <= tick)
        {
            return Some((self.rows, Due::Rows));
        }
        let tick = self.clock.as_mut().filter(|(_, next)| *next < t);
        match tick {
            Some((ns, next)) if *next < end => {
                let moment = *next;
                *next = next.saturating_add(*ns);
                self.settle();
                Some((moment, Due::Tick))
            }
            _ => (end <= t).then_some((end, Due::Bars)),
        }
    }

    /// Whether the bars of this number end at `moment`.
    pub fn ends(&self, bars: usize, moment: i64) -> bool {
        self.bars[bars].1 == moment
    }

    /// The bars that end at `moment` have ended.
    pub fn pass(&mut self, moment: i64) {
        let ended = self.bars.iter_mut().filter(|(_, next)| *next == moment);
        ended.for_each(|(grid, next)| *next = grid.next(*next));
        self.settle();
    }

    /// The next moment at which bars that come as rows may end.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Sets it; `i64::MAX` for none.
    pub fn set_rows(&mut self, moment: i64) {
        self.rows = moment;
        self.settle();
    }

    /// Bars that come as rows end at `moment`, or later.
    #[inline(always)]
    pub fn expect_rows(&mut self, moment: i64) {
        if moment < self.rows {
            self.set_rows(moment);
        }
    }

    /// The next moments, for a snapshot.
    pub fn moments(&self) -> Vec<i64> {
        self.bars
            .iter()
            .map(|(_, next)| *next)
            .chain(self.clock.map(|(_, next)| next))
            .collect()
    }

    /// Sets the next moments from a snapshot of the same schedule; `false` if their number is another.
    pub fn set_moments(&mut self, moments: &[i64]) -> bool {
        if moments.len() != self.bars.len() + usize::from(self.clock.is_some()) {
            return false;
        }
        let slots = self
            .bars
            .iter_mut()
            .map(|(_, next)| next)
            .chain(self.clock.as_mut().map(|(_, next)| next));
        slots
            .zip(moments)
            .for_each(|(slot, &moment)| *slot = moment);
        self.settle();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(schedule: &mut Schedule, t: i64) -> Option<(i64, Due)> {
        let due = schedule.pop(t);
        if let Some((moment, Due::Bars)) = due {
            schedule.pass(moment);
        }
        due
    }

    #[test]
    fn bars_end_before_the_tick_and_ticks_wait_for_their_moment_to_pass() {
        let mut schedule = Schedule::new([Grid::Even(10)], Some(5));
        schedule.start(3);
        assert_eq!(pop(&mut schedule, 5), None);
        assert_eq!(pop(&mut schedule, 6), Some((5, Due::Tick)));
        assert_eq!(pop(&mut schedule, 10), Some((10, Due::Bars)));
        assert_eq!(pop(&mut schedule, 10), None);
        assert_eq!(pop(&mut schedule, 21), Some((10, Due::Tick)));
        assert_eq!(pop(&mut schedule, 21), Some((15, Due::Tick)));
        assert_eq!(pop(&mut schedule, 21), Some((20, Due::Bars)));
        assert_eq!(pop(&mut schedule, 21), Some((20, Due::Tick)));
        assert_eq!(pop(&mut schedule, 21), None);
    }

    #[test]
    fn bars_of_all_lengths_that_end_together_are_one_moment() {
        let mut schedule = Schedule::new([10, 30, 20].map(Grid::Even), None);
        schedule.start(0);
        let mut ended = Vec::new();
        while let Some((moment, Due::Bars)) = schedule.pop(60) {
            let lengths: Vec<usize> = (0..3).filter(|&k| schedule.ends(k, moment)).collect();
            ended.push((moment, lengths));
            schedule.pass(moment);
        }
        let expected = [
            (10, vec![0]),
            (20, vec![0, 2]),
            (30, vec![0, 1]),
            (40, vec![0, 2]),
            (50, vec![0]),
            (60, vec![0, 1, 2]),
        ];
        assert_eq!(ended, expected);
    }

    #[test]
    fn the_first_event_on_a_multiple_belongs_to_that_tick_and_to_the_bar_that_starts_there() {
        let mut schedule = Schedule::new([Grid::Even(10)], Some(5));
        schedule.start(20);
        assert_eq!(pop(&mut schedule, 21), Some((20, Due::Tick)));
        assert_eq!(pop(&mut schedule, 29), Some((25, Due::Tick)));
        assert_eq!(pop(&mut schedule, 30), Some((30, Due::Bars)));
    }
}
