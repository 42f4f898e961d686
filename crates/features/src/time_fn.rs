//! Functions of the time itself: what a calendar's sessions, or a moment to come, make of it.

use crate::calendar::CalendarName;
use std::fmt;

/// A function of the time at which it is evaluated, on the graph's axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeFn {
    /// Minutes until a time, in nanoseconds since 1970 UTC; invalid after it.
    MinutesUntil(i64),
    /// Of the sessions of a calendar.
    Session(CalendarName, SessionFn),
}

/// What sessions make of a time. A session lasts from its opening to its close, both within it; where one opens as another
/// closes, it is the one that opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionFn {
    /// 1 within a session, else 0.
    IsOpen,
    /// 1 if the session, or the next one, is shorter than most around it.
    IsHalfDay,
    /// Minutes since the opening; invalid outside of sessions.
    MinutesSinceOpen,
    /// Minutes to the close; invalid outside of sessions.
    MinutesToClose,
    /// Minutes to the next opening.
    MinutesToOpen,
    /// Share of the session that has passed, 0 to 1; invalid outside of sessions.
    Phase,
    /// Day of the week of the session, or the next one: 0 is Monday.
    Weekday,
    /// Minutes within sessions until a time, in nanoseconds since 1970 UTC; invalid after it.
    OpenMinutesUntil(i64),
}

impl SessionFn {
    /// Functions without parameters, by their names.
    pub const PLAIN: [(&'static str, Self); 7] = [
        ("is_open", Self::IsOpen),
        ("is_half_day", Self::IsHalfDay),
        ("minutes_since_open", Self::MinutesSinceOpen),
        ("minutes_to_close", Self::MinutesToClose),
        ("minutes_to_open", Self::MinutesToOpen),
        ("phase", Self::Phase),
        ("weekday", Self::Weekday),
    ];
}

impl TimeFn {
    /// The calendar whose sessions it needs.
    pub fn calendar(self) -> Option<CalendarName> {
        match self {
            Self::MinutesUntil(_) => None,
            Self::Session(calendar, _) => Some(calendar),
        }
    }

    /// Its name, as the graph's JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinutesUntil(_) => "minutes_until",
            Self::Session(_, SessionFn::OpenMinutesUntil(_)) => "open_minutes_until",
            Self::Session(_, f) => {
                let mut plain = SessionFn::PLAIN.iter();
                plain.find(|(_, g)| *g == f).map_or("?", |(name, _)| name)
            }
        }
    }
}

impl fmt::Display for TimeFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::MinutesUntil(at) | Self::Session(_, SessionFn::OpenMinutesUntil(at)) = self {
            write!(f, " at_ns={at}")?;
        }
        self.calendar()
            .map_or(Ok(()), |calendar| write!(f, " session={calendar}"))
    }
}
