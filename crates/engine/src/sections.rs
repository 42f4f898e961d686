//! Values across instruments: at each moment of the graph's own clock, of all that the universe's members have, once the
//! program that gives them has run for each instrument and before one runs that reads the result.
//!
//! Members stand in the order of their ids, so sums do not depend on who came first.

use crate::instrument::Instrument;
use signal_features::plan::Section;
use signal_features::{Membership, Plan};
use signal_kernels::state::{Exhausted, put_f64, put_i64, take_f64, take_i64};
use signal_runtime::Reason;
use signal_runtime::mark::{Mark, Marks, StepMarks};
use signal_runtime::program_state::{NEVER, ProgramState};
use signal_runtime::registers::{Code, VALID};
use signal_runtime::section;

/// All values across instruments of a plan.
#[derive(Debug, Default)]
pub struct Sections {
    each: Vec<Across>,
    /// Those of each program.
    of_program: Vec<Vec<usize>>,
    /// Numbers of the instruments in the order of their ids.
    order: Vec<usize>,
    out: Vec<f64>,
    /// Where they say that they run, if anybody looks.
    pub marks: Option<StepMarks>,
}

/// One of them. `results` and `carried` have an entry an instrument.
#[derive(Debug)]
struct Across {
    section: Section,
    /// Number of the universe; none: every instrument is a member of group 0.
    universe: Option<usize>,
    memberships: Vec<Box<[Membership]>>,
    results: Vec<(f64, Code)>,
    /// The newest valid value, and when it was that.
    carried: Vec<(f64, i64)>,
    /// Members with a value at the moment, their values and groups.
    who: Vec<usize>,
    values: Vec<f64>,
    groups: Vec<u32>,
}

impl Sections {
    /// Those of a plan, before there is an instrument.
    pub fn of(plan: &Plan) -> Self {
        let each = plan.sections.iter().map(|section| Across {
            section: section.clone(),
            universe: section
                .cross
                .universe
                .as_deref()
                .and_then(|name| plan.graph.universe(name)),
            memberships: Vec::new(),
            results: Vec::new(),
            carried: Vec::new(),
            who: Vec::new(),
            values: Vec::new(),
            groups: Vec::new(),
        });
        let mut of_program = vec![Vec::new(); plan.programs.len()];
        for (k, section) in plan.sections.iter().enumerate() {
            of_program[section.program].push(k);
        }
        Self {
            each: each.collect(),
            of_program,
            ..Self::default()
        }
    }

    /// An instrument has come; its number is the next.
    pub fn add(&mut self, plan: &Plan, id: &str, known: &[Instrument]) {
        if self.each.is_empty() {
            return;
        }
        let at = self.order.partition_point(|&i| known[i].id.as_str() < id);
        self.order.insert(at, known.len());
        for across in &mut self.each {
            let universe = across
                .universe
                .map(|universe| &plan.graph.universes[universe]);
            let memberships = universe.map_or(&[][..], |universe| universe.memberships(id));
            across.memberships.push(memberships.into());
            across.results.push((f64::NAN, Reason::Warmup.code()));
            across.carried.push((f64::NAN, NEVER));
        }
    }

    /// The result for an instrument at the moment that is evaluated.
    #[inline]
    pub fn result(&self, section: usize, instrument: usize) -> (f64, Code) {
        self.each[section].results[instrument]
    }

    /// Program `p` has run at `t` for all instruments that have an event then.
    pub fn take(&mut self, p: usize, t: i64, instruments: &[Instrument]) {
        let mine = &self.of_program[p];
        if mine.is_empty() {
            return;
        }
        for &i in &self.order {
            let state = instruments[i].program_states[p].as_deref();
            for &k in mine {
                if let Some(marks) = &self.marks {
                    marks.step(k);
                }
                self.each[k].look(i, t, state);
            }
        }
        for &k in mine {
            if let Some(marks) = &self.marks {
                marks.step(k);
            }
            self.each[k].make(&mut self.out);
        }
        if let Some(marks) = &self.marks {
            marks.mark.set(Mark::EVENTS);
        }
    }

    /// Time begins anew.
    pub fn begin_anew(&mut self) {
        for across in &mut self.each {
            across.results.fill((f64::NAN, Reason::Warmup.code()));
            across.carried.fill((f64::NAN, NEVER));
        }
    }

    /// Appends what is carried.
    pub fn save(&self, out: &mut Vec<u8>) {
        for across in self.each.iter().filter(|across| across.carries()) {
            for &(value, t) in &across.carried {
                put_f64(out, value);
                put_i64(out, t);
            }
        }
    }

    /// Whether anything is carried.
    pub fn carry(&self) -> bool {
        self.each.iter().any(Across::carries)
    }

    /// Replaces what is carried by what was saved.
    pub fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        for across in self.each.iter_mut().filter(|across| across.carries()) {
            for carried in &mut across.carried {
                *carried = (take_f64(bytes)?, take_i64(bytes)?);
            }
        }
        Ok(())
    }
}

impl Across {
    fn carries(&self) -> bool {
        self.section.cross.carry_ns > 0
    }

    /// The group of an instrument at `t`, if it is a member then.
    fn group(&self, i: usize, t: i64) -> Option<u32> {
        if self.universe.is_none() {
            return Some(0);
        }
        let mut times = self.memberships[i].iter();
        times
            .find(|member| (member.since..member.until).contains(&t))
            .map(|member| member.group)
    }

    /// Looks at what an instrument has at `t`: of this moment, or carried from one before.
    #[inline(always)]
    fn look(&mut self, i: usize, t: i64, state: Option<&ProgramState>) {
        let Some(group) = self.group(i, t) else {
            self.results[i] = (f64::NAN, Reason::NotMember.code());
            return;
        };
        let (mut value, mut code) = match state {
            Some(state) if state.newest() == t => state.slot(self.section.export),
            Some(_) => (f64::NAN, Reason::Missing.code()),
            None => (f64::NAN, Reason::Warmup.code()),
        };
        if self.carries() {
            let (last, then) = self.carried[i];
            if code == VALID {
                self.carried[i] = (value, t);
            } else if then != NEVER && t.saturating_sub(then) <= self.section.cross.carry_ns {
                (value, code) = (last, VALID);
            }
        }
        if code == VALID {
            self.who.push(i);
            self.values.push(value);
            self.groups.push(group);
        } else {
            self.results[i] = (f64::NAN, code);
        }
    }

    /// Makes the results of all that were looked at.
    fn make(&mut self, out: &mut Vec<f64>) {
        let cross = &self.section.cross;
        out.clear();
        if self.values.len() < cross.least {
            let why = Reason::TooFew.code();
            self.who
                .iter()
                .for_each(|&i| self.results[i] = (f64::NAN, why));
        } else {
            let section = section::Section {
                values: &self.values,
                groups: &self.groups,
            };
            (cross.f.row().apply)(section, cross.parameter, out);
        }
        for (&i, &value) in self.who.iter().zip(&*out) {
            self.results[i] = match value.is_finite() {
                true => (value, VALID),
                false => (f64::NAN, Reason::Domain.code()),
            };
        }
        self.who.clear();
        self.values.clear();
        self.groups.clear();
    }
}
