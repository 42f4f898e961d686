//! When a recorded message is due.

use std::time::{Duration, Instant};

use signal_event::Timestamp;

use crate::FeedError;

/// How fast recorded time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As it was recorded, or a multiple of it; above 0.
    Times(f64),
    /// As fast as the reader of the queue can.
    Max,
}

impl Pace {
    /// `recorded`, `max`, or a multiple such as `8x` or `0.5x`.
    pub fn parse(text: &str) -> Result<Pace, FeedError> {
        let times = match text {
            "max" => return Ok(Pace::Max),
            "recorded" => Some(1.0),
            _ => text
                .strip_suffix('x')
                .and_then(|number| number.parse::<f64>().ok()),
        };
        match times.filter(|times| times.is_finite() && *times > 0.0) {
            Some(times) => Ok(Pace::Times(times)),
            None => Err(FeedError::BadOption {
                option: "pace",
                what: format!(
                    "{text:?} is none of \"recorded\", \"max\", or a multiple such as \"8x\""
                ),
            }),
        }
    }
}

/// A clock that shows recorded time. It starts with the first message it is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedClock {
    times: f64,
    origin: Option<(Instant, Timestamp)>,
}

impl RecordedClock {
    pub(crate) fn new(times: f64) -> RecordedClock {
        RecordedClock {
            times,
            origin: None,
        }
    }

    /// The recorded time that it is `now`; at the first call that of `first`.
    pub(crate) fn at(&mut self, now: Instant, first: Timestamp) -> Timestamp {
        let (start, origin) = *self.origin.get_or_insert((now, first));
        let passed = now.saturating_duration_since(start).as_nanos() as f64 * self.times;
        origin.saturating_add(passed as i64)
    }

    /// How long after `now` recorded time reaches `ts`.
    pub(crate) fn until(&mut self, ts: Timestamp, now: Instant) -> Duration {
        let ahead = ts.saturating_sub(self.at(now, ts)).max(0);
        Duration::try_from_secs_f64(ahead as f64 / self.times / 1e9).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_parsed() {
        assert_eq!(Pace::parse("recorded").unwrap(), Pace::Times(1.0));
        assert_eq!(Pace::parse("max").unwrap(), Pace::Max);
        assert_eq!(Pace::parse("0.5x").unwrap(), Pace::Times(0.5));
        for bad in ["", "x", "0x", "-1x", "8", "NaNx", "infx"] {
            assert!(Pace::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn recorded_time_passes_in_proportion() {
        let start = Instant::now();
        let mut clock = RecordedClock::new(8.0);
        assert_eq!(clock.at(start, 1_000), 1_000);
        assert_eq!(clock.at(start + Duration::from_micros(1), 5), 9_000);
        assert_eq!(clock.until(17_000, start), Duration::from_micros(2));
        assert_eq!(clock.until(500, start), Duration::ZERO);
        assert!(clock.until(i64::MAX, start) > Duration::from_secs(1_000_000_000));
    }
}
