//! A compiled graph over rows, with the state of one instrument: numbers in, a vector out.

use crate::program_state::{NEVER, ProgramState};
use crate::registers::{Code, Registers, Slot, VALID, slot};
use crate::row_plan::{RowPlan, RowProgram};
use signal_kernels::state::{Exhausted, put_i64, take, take_i64};
use std::fmt;

const MAGIC: &[u8; 8] = b"SSROWS\x00\x01";

/// Runs a [`RowPlan`].
///
/// Invariants: `newest` is the time of the newest row, [`NEVER`] before the first; `due` that at which the next bar ends,
/// [`NEVER`] if none is awaited.
#[derive(Clone, Debug)]
pub struct Rows {
    plan: RowPlan,
    columns: Box<[Slot]>,
    /// Registers and state of each program.
    programs: Box<[(Registers, ProgramState)]>,
    newest: i64,
    due: i64,
}

/// Why a row is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    /// It comes after a row at this time.
    Late(i64),
    /// The bar that ends at this time is missing before it.
    Missing(i64),
    /// The row, the vector or the reasons have another length.
    Length,
}

/// Why a saved state is not that of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFault {
    /// It is of another graph.
    Graph,
    /// It is damaged, or of another version.
    Damaged,
}

impl fmt::Display for StateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Graph => "the state is of another graph",
            Self::Damaged => "the state is damaged, or of another version",
        })
    }
}

impl std::error::Error for StateFault {}

impl From<Exhausted> for StateFault {
    fn from(_: Exhausted) -> Self {
        Self::Damaged
    }
}

impl Rows {
    /// A graph that has seen nothing.
    pub fn new(plan: RowPlan) -> Self {
        let programs = plan.programs.iter().map(|RowProgram { code, .. }| {
            let regs = Registers::new(code.registers, &code.consts, code.inputs, false);
            (regs, ProgramState::new(code))
        });
        Self {
            columns: plan.columns.iter().map(|&reg| slot(reg)).collect(),
            programs: programs.collect(),
            plan,
            newest: NEVER,
            due: NEVER,
        }
    }

    /// The plan that runs.
    pub fn plan(&self) -> &RowPlan {
        &self.plan
    }

    /// Takes the row that is known at `t` and writes the vector, NaN where a feature is invalid, and the reasons. Gives the
    /// number of invalid features.
    pub fn push(
        &mut self,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: &mut [Code],
    ) -> Result<usize, RowFault> {
        let features = self.columns.len();
        if row.len() != self.plan.fields.len() || out.len() != features || reasons.len() != features
        {
            return Err(RowFault::Length);
        }
        if t < self.newest {
            return Err(RowFault::Late(self.newest));
        }
        if self.due != NEVER && self.due < t {
            return Err(RowFault::Missing(self.due));
        }
        self.newest = t;
        if self.plan.step_ns > 0 {
            self.due = t.saturating_add(self.plan.step_ns);
        }
        for (p, program) in self.plan.programs.iter().enumerate() {
            let (before, rest) = self.programs.split_at_mut(p);
            let (regs, state) = &mut rest[0];
            program.inputs.load(regs, row);
            let code = program.inputs.check(regs, row);
            for &(reg, of, export) in &program.lasts {
                let (value, code) = before[of].1.slot(export);
                regs.set(usize::from(reg), value, code);
            }
            state.note(t, code, &program.code);
            state.run_one(regs, t, false);
        }
        let regs = &mut self.programs[self.plan.on].0;
        regs.gather(&self.columns, out);
        let mut invalid = 0;
        for (reason, &reg) in reasons.iter_mut().zip(&self.columns) {
            *reason = regs.reasons[usize::from(reg)];
            invalid += usize::from(*reason != VALID);
        }
        Ok(invalid)
    }

    /// The state as bytes, with the graph's digest and a checksum.
    pub fn save(&self) -> Vec<u8> {
        let states = self.programs.iter().map(|(_, state)| state);
        save_rows(&self.plan.digest, [self.newest, self.due], states)
    }

    /// Goes on where the bytes were saved, here or in an engine.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), StateFault> {
        let programs = self.plan.programs.iter();
        let mut states: Vec<_> = programs
            .map(|program| ProgramState::new(&program.code))
            .collect();
        [self.newest, self.due] = load_rows(bytes, &self.plan.digest, &mut states)?;
        for ((_, state), loaded) in self.programs.iter_mut().zip(states) {
            *state = loaded;
        }
        Ok(())
    }
}

/// The state of a graph of this digest over rows: times of the newest row and of the next bar, and what each
/// program remembers.
pub fn save_rows<'a>(
    digest: &str,
    times: [i64; 2],
    states: impl IntoIterator<Item = &'a ProgramState>,
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(digest.as_bytes());
    times.iter().for_each(|&t| put_i64(&mut out, t));
    states.into_iter().for_each(|state| state.save(&mut out));
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// Reads what [`save_rows`] wrote: the states, and gives the times.
pub fn load_rows(
    bytes: &[u8],
    digest: &str,
    states: &mut [ProgramState],
) -> Result<[i64; 2], StateFault> {
    let (body, checksum) = bytes.split_last_chunk::<4>().ok_or(StateFault::Damaged)?;
    let mut rest = body.strip_prefix(MAGIC).ok_or(StateFault::Damaged)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(StateFault::Damaged);
    }
    if take::<64>(&mut rest)? != digest.as_bytes() {
        return Err(StateFault::Graph);
    }
    let times = [take_i64(&mut rest)?, take_i64(&mut rest)?];
    states
        .iter_mut()
        .try_for_each(|state| state.load(&mut rest))?;
    if rest.is_empty() {
        Ok(times)
    } else {
        Err(StateFault::Damaged)
    }
}
