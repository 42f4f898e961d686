//! Trading sessions, weeks and months, as a graph brings them: computed elsewhere, and part of its digest.

use std::fmt;

/// The calendar of all days.
const UTC: &str = "UTC";

/// A calendar's name, held in place so that streams stay small.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalendarName([u8; 24]);

impl CalendarName {
    /// The name, of 1 to 24 printable ASCII characters.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=24).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic());
        let mut held = [0; 24];
        held.iter_mut()
            .zip(name.bytes())
            .for_each(|(slot, c)| *slot = c);
        fits.then_some(Self(held))
    }

    /// Of weeks and months, which are named `UTC/1mo`: what divides the calendar, here `1mo`.
    pub fn unit(&self) -> Option<&str> {
        self.text()
            .split_once('/')
            .filter(|(of, _)| *of == UTC)
            .map(|(_, unit)| unit)
    }

    /// The name as text.
    pub fn text(&self) -> &str {
        let length = self.0.iter().position(|&c| c == 0).unwrap_or(24);
        std::str::from_utf8(&self.0[..length]).unwrap_or("?")
    }
}

impl fmt::Display for CalendarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Debug for CalendarName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}

/// The sessions of a calendar; weeks and months are long ones, without a night between them. Invariant: none is empty, and each opens when the one before has closed, or later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Its name.
    pub name: CalendarName,
    /// The version of the software that says them.
    pub version: String,
    runs: Vec<Run>,
}

/// Sessions on days that follow each other, at the same time of day and of the same length; where that is more than a day, each
/// on the first day that the one before leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    open_s: i64,
    length_s: i64,
    days: i64,
}

impl Run {
    /// From the opening of one to that of the next.
    fn stride_s(&self) -> i64 {
        (self.length_s + DAY_S - 1) / DAY_S * DAY_S
    }
}

const DAY_S: i64 = 86_400;
/// The longest session.
const LENGTH_MAX_S: i64 = 366 * DAY_S;
const SECOND_NS: i64 = 1_000_000_000;
/// Sessions that a calendar may have.
pub const SESSIONS_MAX: usize = 1 << 16;
/// Seconds since 1970 within which sessions lie: what nanoseconds can hold, and a margin.
const REACH_S: i64 = i64::MAX / SECOND_NS - 366 * DAY_S;

impl Calendar {
    /// Reads runs of sessions, each `open+length*days`: opening of the first in seconds since 1970 UTC, seconds that each
    /// lasts, and how many follow each other a day apart, or as many days as one lasts. The error says what is wrong.
    pub fn read(name: CalendarName, version: &str, runs: &str) -> Result<Self, String> {
        let runs = runs.split_ascii_whitespace().map(|text| {
            let numbers = text.split_once('+').and_then(|(open, rest)| {
                let (length, days) = rest.split_once('*')?;
                Some(Run {
                    open_s: open.parse().ok()?,
                    length_s: length.parse().ok()?,
                    days: days.parse().ok()?,
                })
            });
            numbers.ok_or_else(|| format!("\"{text}\" is no run of sessions, as 946909800+23400*5"))
        });
        let runs: Vec<Run> = runs.collect::<Result<_, _>>()?;
        let mut closed = -REACH_S;
        let mut count = 0;
        for run in &runs {
            let sound = (1..=LENGTH_MAX_S).contains(&run.length_s)
                && (1..=SESSIONS_MAX as i64).contains(&run.days)
                && (closed..=REACH_S).contains(&run.open_s);
            if !sound {
                return Err(format!(
                    "sessions from {} overlap, are not in order, last no time or more than a year",
                    run.open_s
                ));
            }
            closed = run.open_s + (run.days - 1) * run.stride_s() + run.length_s;
            count += run.days as usize;
        }
        if count == 0 || count > SESSIONS_MAX || closed > REACH_S {
            return Err(format!(
                "{count} sessions; a calendar has from 1 to {SESSIONS_MAX}, up to the year 2260"
            ));
        }
        Ok(Self {
            name,
            version: version.to_string(),
            runs,
        })
    }

    /// Opening and close of each session, in nanoseconds since 1970 UTC.
    pub fn sessions(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let days = self.runs.iter().flat_map(|run| {
            (0..run.days).map(move |k| (run.open_s + k * run.stride_s(), run.length_s))
        });
        days.map(|(open_s, length_s)| (open_s * SECOND_NS, (open_s + length_s) * SECOND_NS))
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "calendar {} {:?}", self.name, self.version)?;
        self.runs
            .iter()
            .try_for_each(|run| write!(f, " {}+{}*{}", run.open_s, run.length_s, run.days))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(runs: &str) -> Result<Vec<(i64, i64)>, String> {
        let name = CalendarName::new("XNYS").unwrap();
        let calendar = Calendar::read(name, "4.11", runs)?;
        let second = |ns: i64| ns / SECOND_NS;
        Ok(calendar
            .sessions()
            .map(|(open, close)| (second(open), second(close)))
            .collect())
    }

    #[test]
    fn runs_are_days_that_follow_each_other() {
        let found = read("100+50*2 200000+86400*2").unwrap();
        assert_eq!(
            found,
            [
                (100, 150),
                (86_500, 86_550),
                (200_000, 286_400),
                (286_400, 372_800)
            ]
        );
    }

    #[test]
    fn weeks_and_months_follow_each_other() {
        let week = 7 * DAY_S;
        let found = read(&format!("345600+{week}*2")).unwrap();
        assert_eq!(
            found,
            [
                (345_600, 345_600 + week),
                (345_600 + week, 345_600 + 2 * week)
            ]
        );
        // July and August, then September.
        let month = 31 * DAY_S;
        let found = read(&format!("0+{month}*2 {}+{}*1", 2 * month, 30 * DAY_S)).unwrap();
        assert_eq!(
            found[1..],
            [(month, 2 * month), (2 * month, 2 * month + 30 * DAY_S)]
        );
        // One that lasts a day and a second leaves the rest of the second day.
        assert_eq!(read("0+86401*2").unwrap()[1], (2 * DAY_S, 3 * DAY_S + 1));
    }

    #[test]
    fn runs_that_overlap_or_say_nothing_are_refused() {
        for (runs, why) in [
            ("", "0 sessions"),
            ("5", "no run"),
            ("5+1", "no run"),
            ("5+x*1", "no run"),
            ("100+50*1 120+50*1", "overlap"),
            ("100+0*1", "last no time"),
            ("100+31622401*1", "more than a year"),
            ("100+5*0", "overlap"),
            ("9300000000+5*1", "overlap"),
            ("0+5*65536 6000000000+5*1", "65537 sessions"),
        ] {
            let refused = read(runs).unwrap_err();
            assert!(refused.contains(why), "{runs}: {refused}");
        }
    }

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(
            CalendarName::new("us_futures").unwrap().text(),
            "us_futures"
        );
        for name in ["", "two words", "Zürich", "abcdefghijklmnopqrstuvwxyz"] {
            assert_eq!(CalendarName::new(name), None, "{name}");
        }
    }
}
