//! Moments that the axis itself brings: ends of bars and ticks of the graph's clock.

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Bars of this program end.
    Bars(usize),
    /// The graph's clock ticks.
    Tick,
}

/// The next moment of each kind. A bar is due once its end has come; a tick once its moment has passed, because it sees
/// everything at its moment. Bars come before the tick of the same moment.
///
/// Invariant: `next` is the earliest deadline: the first axis time at which something is due.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// (program, length, next end) of each kind of bars.
    bars: Vec<(usize, i64, i64)>,
    /// (length, next tick).
    clock: Option<(i64, i64)>,
    next: i64,
}

impl Schedule {
    /// Nothing is due before [`Schedule::start`].
    pub fn new(bars: Vec<(usize, i64)>, clock: Option<i64>) -> Self {
        Self {
            bars: bars
                .into_iter()
                .map(|(program, ns)| (program, ns, i64::MAX))
                .collect(),
            clock: clock.map(|ns| (ns, i64::MAX)),
            next: i64::MAX,
        }
    }

    /// The first event is at `t`.
    pub fn start(&mut self, t: i64) {
        for (_, ns, next) in &mut self.bars {
            *next = (t - t.rem_euclid(*ns)).saturating_add(*ns);
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
        let bars = self
            .bars
            .iter()
            .map(|(_, _, next)| *next)
            .min()
            .unwrap_or(i64::MAX);
        let tick = self
            .clock
            .map_or(i64::MAX, |(_, next)| next.saturating_add(1));
        self.next = bars.min(tick);
    }

    /// Whether something is due at axis time `t`.
    #[inline(always)]
    pub fn is_due(&self, t: i64) -> bool {
        t >= self.next
    }

    /// Takes the earliest due thing with its moment, in order of moments; bars before the tick.
    pub fn pop(&mut self, t: i64) -> Option<(i64, Due)> {
        if t < self.next {
            return None;
        }
        let bar = self
            .bars
            .iter_mut()
            .filter(|(_, _, next)| *next <= t)
            .min_by_key(|(program, _, next)| (*next, *program));
        let tick = self.clock.as_mut().filter(|(_, next)| *next < t);
        let due = match (bar, tick) {
            (Some((program, ns, end)), tick)
                if tick.as_ref().is_none_or(|(_, moment)| *end <= *moment) =>
            {
                let moment = *end;
                *end = end.saturating_add(*ns);
                (moment, Due::Bars(*program))
            }
            (_, Some((ns, next))) => {
                let moment = *next;
                *next = next.saturating_add(*ns);
                (moment, Due::Tick)
            }
            _ => return None,
        };
        self.settle();
        Some(due)
    }

    /// The next moments, for a snapshot.
    pub fn moments(&self) -> Vec<i64> {
        self.bars
            .iter()
            .map(|(_, _, next)| *next)
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
            .map(|(_, _, next)| next)
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

    #[test]
    fn bars_end_before_the_tick_and_ticks_wait_for_their_moment_to_pass() {
        let mut schedule = Schedule::new(vec![(0, 10)], Some(5));
        schedule.start(3);
        assert_eq!(schedule.pop(5), None);
        assert_eq!(schedule.pop(6), Some((5, Due::Tick)));
        assert_eq!(schedule.pop(10), Some((10, Due::Bars(0))));
        assert_eq!(schedule.pop(10), None);
        assert_eq!(schedule.pop(21), Some((10, Due::Tick)));
        assert_eq!(schedule.pop(21), Some((15, Due::Tick)));
        assert_eq!(schedule.pop(21), Some((20, Due::Bars(0))));
        assert_eq!(schedule.pop(21), Some((20, Due::Tick)));
        assert_eq!(schedule.pop(21), None);
    }

    #[test]
    fn the_first_event_on_a_multiple_belongs_to_that_tick_and_to_the_bar_that_starts_there() {
        let mut schedule = Schedule::new(vec![(0, 10)], Some(5));
        schedule.start(20);
        assert_eq!(schedule.pop(21), Some((20, Due::Tick)));
        assert_eq!(schedule.pop(29), Some((25, Due::Tick)));
        assert_eq!(schedule.pop(30), Some((30, Due::Bars(0))));
    }
}
