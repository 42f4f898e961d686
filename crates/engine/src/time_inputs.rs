//! Functions of the time of an event: of a calendar's sessions, or of a moment to come.

use signal_features::{CalendarName, Plan, SessionFn, TimeFn};
use signal_market::SessionClock;
use signal_runtime::Reason;
use signal_runtime::registers::{Code, Registers, VALID};

const MINUTE_NS: f64 = 60e9;

/// The clocks of a plan's calendars.
#[derive(Clone, Debug, Default)]
pub struct TimeInputs {
    clocks: Vec<(CalendarName, SessionClock)>,
}

impl TimeInputs {
    /// Those that functions of the plan need.
    pub fn of(plan: &Plan) -> Self {
        let calendars = plan.graph.calendars.iter();
        let clocks =
            calendars.map(|calendar| (calendar.name, SessionClock::new(calendar.sessions())));
        Self {
            clocks: clocks.collect(),
        }
    }

    /// The value at a time, and why there is none.
    pub fn value(&self, f: TimeFn, t: i64) -> (f64, Code) {
        let found = match f {
            TimeFn::MinutesUntil(at) => (t <= at).then(|| (at - t) as f64 / MINUTE_NS),
            TimeFn::Session(calendar, f) => {
                let mut clocks = self.clocks.iter();
                let clock = clocks.find(|(name, _)| *name == calendar);
                clock.and_then(|(_, clock)| of_session(clock, f, t))
            }
        };
        found.map_or((f64::NAN, Reason::Domain.code()), |value| (value, VALID))
    }

    /// Loads a register for rows at these times.
    pub fn load(&self, regs: &mut Registers, reg: usize, f: TimeFn, times: &[i64]) {
        let at = regs.at(reg);
        regs.clean[reg] = true;
        for (k, &t) in times.iter().enumerate() {
            let (value, code) = self.value(f, t);
            regs.set(at + k, value, code);
            regs.clean[reg] &= code == VALID;
        }
    }
}

fn of_session(clock: &SessionClock, f: SessionFn, t: i64) -> Option<f64> {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match f {
        SessionFn::IsOpen => clock.is_open(t).map(truth),
        SessionFn::IsHalfDay => clock.is_half_day(t).map(truth),
        SessionFn::MinutesSinceOpen => clock.minutes_since_open(t),
        SessionFn::MinutesToClose => clock.minutes_to_close(t),
        SessionFn::MinutesToOpen => clock.minutes_to_open(t),
        SessionFn::Phase => clock.phase(t),
        SessionFn::Weekday => clock.weekday(t).map(|day| day as f64),
        SessionFn::OpenMinutesUntil(end) => clock.open_minutes_until(t, end),
    }
}
