//! What a calendar's sessions say about a time.

/// The sessions of a calendar. Invariants: `opens[i] < closes[i] <= opens[i + 1]`; `open_before[i]` is how long sessions
/// before `i` last together.
#[derive(Clone, Debug, Default)]
pub struct SessionClock {
    opens: Vec<i64>,
    closes: Vec<i64>,
    open_before: Vec<i64>,
    half_days: Vec<bool>,
}

/// Where a time lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a session.
    In(usize),
    /// Between sessions, before this one.
    Before(usize),
    /// Before the first or after the last session that is known.
    Outside,
}

const MINUTE_NS: f64 = 60e9;
const DAY_NS: i64 = 86_400_000_000_000;
/// Sessions on each side that tell whether one is a half day.
const AROUND: usize = 10;

impl SessionClock {
    /// Of openings and closes in nanoseconds since 1970 UTC, in order.
    pub fn new(sessions: impl Iterator<Item = (i64, i64)>) -> Self {
        let (opens, closes): (Vec<i64>, Vec<i64>) = sessions.unzip();
        let lengths: Vec<i64> = closes.iter().zip(&opens).map(|(c, o)| c - o).collect();
        let open_before = lengths.iter().scan(0, |sum, length| {
            let before = *sum;
            *sum += length;
            Some(before)
        });
        let half_day = |i: usize| {
            let around = &lengths[i.saturating_sub(AROUND)..lengths.len().min(i + AROUND + 1)];
            let longer = around.iter().filter(|length| **length > lengths[i]).count();
            2 * longer > around.len()
        };
        Self {
            open_before: open_before.collect(),
            half_days: (0..lengths.len()).map(half_day).collect(),
            opens,
            closes,
        }
    }

    fn place(&self, t: i64) -> Place {
        match self.opens.partition_point(|open| *open <= t) {
            0 => Place::Outside,
            next if t <= self.closes[next - 1] => Place::In(next - 1),
            next if next < self.opens.len() => Place::Before(next),
            _ => Place::Outside,
        }
    }

    /// The session, or the next one.
    fn coming(&self, t: i64) -> Option<usize> {
        match self.place(t) {
            Place::In(i) | Place::Before(i) => Some(i),
            Place::Outside => None,
        }
    }

    fn within(&self, t: i64) -> Option<usize> {
        match self.place(t) {
            Place::In(i) => Some(i),
            _ => None,
        }
    }

    /// Whether the time is in a session, opening and close included.
    pub fn is_open(&self, t: i64) -> Option<bool> {
        match self.place(t) {
            Place::In(_) => Some(true),
            Place::Before(_) => Some(false),
            Place::Outside => None,
        }
    }

    /// Whether the session, or the next one, is shorter than most of those around it.
    pub fn is_half_day(&self, t: i64) -> Option<bool> {
        self.coming(t).map(|i| self.half_days[i])
    }

    /// Minutes since the opening, in a session.
    pub fn minutes_since_open(&self, t: i64) -> Option<f64> {
        self.within(t).map(|i| minutes(t - self.opens[i]))
    }

    /// Minutes to the close, in a session.
    pub fn minutes_to_close(&self, t: i64) -> Option<f64> {
        self.within(t).map(|i| minutes(self.closes[i] - t))
    }

    /// Minutes to the next opening.
    pub fn minutes_to_open(&self, t: i64) -> Option<f64> {
        let next = match self.place(t) {
            Place::In(i) => i + 1,
            Place::Before(i) => i,
            Place::Outside => return None,
        };
        self.opens.get(next).map(|open| minutes(open - t))
    }

    /// Share of the session that has passed, 0 to 1.
    pub fn phase(&self, t: i64) -> Option<f64> {
        let passed =
            |i: usize| (t - self.opens[i]) as f64 / (self.closes[i] - self.opens[i]) as f64;
        self.within(t).map(passed)
    }

    /// Day of the week of the session, or of the next one, 0 for Monday: the day in UTC on which it ends. So it is the
    /// exchange's day too where a session begins the evening before.
    pub fn weekday(&self, t: i64) -> Option<i64> {
        // 1970 began on a Thursday.
        let day = |i: usize| (self.closes[i] - 1).div_euclid(DAY_NS) + 3;
        self.coming(t).map(|i| day(i).rem_euclid(7))
    }

    /// Minutes in sessions from `t` until `end`, which is not before it.
    pub fn open_minutes_until(&self, t: i64, end: i64) -> Option<f64> {
        let (from, to) = (self.open_until(t)?, self.open_until(end)?);
        (t <= end).then(|| minutes(to - from))
    }

    /// How long sessions last together up to `t`.
    fn open_until(&self, t: i64) -> Option<i64> {
        match self.place(t) {
            Place::In(i) => Some(self.open_before[i] + t - self.opens[i]),
            Place::Before(i) => Some(self.open_before[i]),
            Place::Outside => None,
        }
    }
}

fn minutes(ns: i64) -> f64 {
    ns as f64 / MINUTE_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const HOUR: i64 = 60 * MINUTE;

    /// Thirty days from 1970 on, 10:00 to 16:00; the fifth until 13:00 only.
    fn clock() -> SessionClock {
        let close = |day| if day == 4 { 13 } else { 16 };
        SessionClock::new(
            (0..30).map(|day| (day * DAY_NS + 10 * HOUR, day * DAY_NS + close(day) * HOUR)),
        )
    }

    #[test]
    fn opening_and_close_are_in_the_session() {
        let clock = clock();
        for (at, open) in [(10 * HOUR, true), (16 * HOUR, true), (16 * HOUR + 1, false)] {
            assert_eq!(clock.is_open(at), Some(open));
            assert_eq!(clock.minutes_since_open(at).is_some(), open);
        }
        assert_eq!(clock.minutes_to_close(10 * HOUR), Some(360.0));
        assert_eq!(clock.minutes_to_close(16 * HOUR), Some(0.0));
        assert_eq!(clock.phase(13 * HOUR), Some(0.5));
        assert_eq!(clock.minutes_to_open(16 * HOUR), Some(18.0 * 60.0));
    }

    #[test]
    fn outside_of_what_is_known_nothing_is_said() {
        let clock = clock();
        for t in [0, 30 * DAY_NS] {
            assert_eq!(clock.is_open(t), None);
            assert_eq!(clock.weekday(t), None);
            assert_eq!(clock.minutes_to_open(t), None);
        }
        assert_eq!(clock.minutes_to_open(29 * DAY_NS + 11 * HOUR), None);
    }

    #[test]
    fn a_session_shorter_than_those_around_is_a_half_day() {
        let clock = clock();
        let half = |day: i64| clock.is_half_day(day * DAY_NS + 11 * HOUR);
        assert_eq!(
            [half(3), half(4), half(5)],
            [Some(false), Some(true), Some(false)]
        );
    }

    #[test]
    fn open_time_counts_sessions_only() {
        let clock = clock();
        let t = 15 * HOUR;
        assert_eq!(clock.open_minutes_until(t, DAY_NS + 11 * HOUR), Some(120.0));
        assert_eq!(
            clock.open_minutes_until(t, 4 * DAY_NS + 20 * HOUR),
            Some(60.0 * (1 + 18 + 3) as f64)
        );
        assert_eq!(clock.open_minutes_until(t, t), Some(0.0));
        assert_eq!(clock.open_minutes_until(t, t - 1), None);
    }

    #[test]
    fn a_day_is_the_one_on_which_the_session_ends() {
        // From Sunday evening to Monday, as futures trade; 1970-01-04 was a Sunday.
        let open = 3 * DAY_NS + 23 * HOUR;
        let clock = SessionClock::new(
            [(open, open + 23 * HOUR), (open + DAY_NS, open + 47 * HOUR)].into_iter(),
        );
        assert_eq!(clock.weekday(open), Some(0));
        assert_eq!(clock.weekday(open + DAY_NS), Some(1));
    }
}
