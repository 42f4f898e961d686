//! Rows of one instrument, one at a time and at the lowest cost: numbers in, a vector out.

use crate::engine::Engine;
use crate::error::{EngineError, refuse};
use crate::layout::Layout;
use signal_features::Source;
#[cfg(target_arch = "x86_64")]
use signal_kernels::simd::Avx2;
use signal_kernels::simd::{BASELINE, Simd};
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::{Code, Slot, VALID};
use signal_runtime::{load_rows, save_rows};

impl Engine {
    /// Whether rows can be taken one by one, for the layout and an instrument: what they do not bring about is refused, not
    /// left out.
    pub fn check_rows(&self, i: usize) -> Result<(), EngineError> {
        let Some(layout) = &self.options.table else {
            return refuse(
                "ROW",
                "the engine was made for messages, not for rows".into(),
            );
        };
        let what = if let Source::Clock(_) = self.plan.graph.on {
            format!(
                "bound rows do not move the clock of a graph on {}: push tables",
                self.plan.graph.on
            )
        } else if layout.trades.is_some() {
            "bound rows are the bars themselves, none are built from trades: push tables, or bind bars".into()
        } else if layout.fills || layout.bars_ns().is_some_and(|ns| layout.joins(ns)) {
            "the graph reads bars that are made of several rows: push tables".into()
        } else if layout.crosses {
            "the graph reads instruments that it names, and bound rows are of one: push tables"
                .into()
        } else if !self.instruments[i].runs[self.plan.on] {
            format!("the engine makes no vectors for {}", self.instruments[i].id)
        } else {
            return Ok(());
        };
        refuse("ROW", what)
    }

    /// Takes one row of numbers, in the layout's order, and writes the vector: NaN where a feature is invalid. Gives the
    /// number of invalid features; `None` if the row brought no vector about. `reasons` takes the codes if given.
    #[inline]
    pub fn push_row(
        &mut self,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Result<Option<usize>, EngineError> {
        // Taken and put back, because to share it would cost more.
        let Some(layout) = self.options.table.take() else {
            return refuse(
                "ROW",
                "the engine was made for messages, not for rows".into(),
            );
        };
        let made = self.row_of(&layout, i, t, row, out, reasons);
        self.options.table = Some(layout);
        made
    }

    /// What the graph remembers of an instrument's rows, as bytes that [`Engine::set_row_state`] takes, and a compiled module.
    pub fn row_state(&self, i: usize) -> Result<Vec<u8>, EngineError> {
        self.check_rows(i)?;
        let instrument = &self.instruments[i];
        let times = [self.rows.newest, instrument.bar_due];
        let states = instrument.program_states.iter().zip(self.blanks.iter());
        let states = states.map(|(state, blank)| state.as_deref().unwrap_or(blank));
        Ok(save_rows(&self.plan.digest, times, states))
    }

    /// Goes on where [`Engine::row_state`] was asked, or a compiled module. For an engine of one instrument; refused if the bytes
    /// are of another graph, or damaged.
    pub fn set_row_state(&mut self, i: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.check_rows(i)?;
        let mut states = self.blanks.to_vec();
        let [newest, due] = match load_rows(bytes, &self.plan.digest, &mut states) {
            Ok(times) => times,
            Err(fault) => {
                let message = format!("{fault}: give one of this graph, as it was saved");
                return refuse("SNAPSHOT", message);
            }
        };
        let instrument = &mut self.instruments[i];
        instrument.seen = newest != NEVER;
        instrument.bar_due = due;
        instrument.venue.fill(newest);
        instrument.recv_ts_max.fill(newest);
        instrument.program_states = states
            .into_iter()
            .map(|state| Some(Box::new(state)))
            .collect();
        (self.rows.newest, self.recv_ts_max) = (newest, newest);
        if due != NEVER {
            self.schedule.expect_rows(due);
        }
        Ok(())
    }

    #[inline]
    fn row_of(
        &mut self,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Result<Option<usize>, EngineError> {
        if t < self.rows.newest {
            return refuse(
                "LATE",
                format!(
                    "row at {t} comes after one at {}: rows must be in order",
                    self.rows.newest
                ),
            );
        }
        if row.len() != layout.columns()
            || out.len() != self.plan.columns.len()
            || layout.trades.is_some()
            || layout.crosses
            || layout.fills
            || layout.bars_ns().is_some_and(|ns| layout.joins(ns))
        {
            return refuse(
                "ROW",
                format!(
                    "a row has {} numbers and a vector {}; found {} and {}",
                    layout.columns(),
                    self.plan.columns.len(),
                    row.len(),
                    out.len()
                ),
            );
        }
        let due = self.instruments[i].bar_due;
        if due != NEVER && due < t {
            return refuse(
                "MISSING_BAR",
                format!(
                    "the bar that ends at {due} is missing before the row at {t}: push rows with holes as a table"
                ),
            );
        }
        #[cfg(target_arch = "x86_64")]
        if self.simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return Ok(self.bound_row_avx2(Avx2::new(), layout, i, t, row, out, reasons));
            }
        }
        Ok(self.bound_row(BASELINE, layout, i, t, row, out, reasons))
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    #[allow(clippy::too_many_arguments)]
    fn bound_row_avx2(
        &mut self,
        isa: Avx2,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Option<usize> {
        self.bound_row(isa, layout, i, t, row, out, reasons)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn bound_row<I: Simd>(
        &mut self,
        isa: I,
        layout: &Layout,
        i: usize,
        t: i64,
        row: &[f64],
        out: &mut [f64],
        reasons: Option<&mut [Code]>,
    ) -> Option<usize> {
        self.messages += 1;
        self.rows.take(t);
        self.recv_ts_max = t;
        self.await_bar(layout, i, t);
        self.instruments[i].seen = true;
        let mut made = None;
        for fed in &layout.fed {
            let p = fed.program;
            isa.outlined(|| fed.inputs.load(&mut self.scalar_regs[p], row));
            let valid = fed.inputs.check(&mut self.scalar_regs[p], row);
            if fed.samples {
                self.run_row(i, p, t, valid);
            } else {
                let instrument = &mut self.instruments[i];
                let regs = &mut self.scalar_regs[p];
                for &(reg, program, export) in &fed.lasts {
                    match instrument.program_states[program]
                        .as_ref()
                        .map(|state| state.slot(export))
                    {
                        // Until a reason is told, all of them are VALID.
                        Some((value, VALID)) if !regs.has_invalid => {
                            regs.span()[usize::from(reg)] = value
                        }
                        Some((value, code)) => regs.set(usize::from(reg), value, code),
                        None => {}
                    }
                }
                for &(reg, f) in &fed.times {
                    let (value, code) = self.time.value(f, t);
                    regs.set(usize::from(reg), value, code);
                }
                instrument.venue[p] = t;
                instrument.recv_ts_max[p] = t;
                if let Some(state) = &mut instrument.program_states[p] {
                    state.note(t, valid, &self.plan.programs[p].code);
                    state.steps_one(isa, &mut self.scalar_regs[p], t);
                }
            }
            if p == self.plan.on {
                let regs = &mut self.scalar_regs[p];
                isa.outlined(|| regs.gather(&self.columns, out));
                let invalid = |&&reg: &&Slot| regs.reasons[usize::from(reg)] != VALID;
                made = Some(if regs.has_invalid {
                    self.columns.iter().filter(invalid).count()
                } else {
                    0
                });
            }
        }
        if let (Some(reasons), Some(_)) = (reasons, made) {
            let regs = &self.scalar_regs[self.plan.on];
            reasons
                .iter_mut()
                .zip(&self.plan.columns)
                .for_each(|(slot, &reg)| *slot = regs.reasons[reg]);
        }
        made
    }
}
