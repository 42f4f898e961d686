//! A program with the state of one instrument.

use crate::registers::{Code, Registers, VALID, fault};
use crate::step::{Moment, Step, Taken};
use signal_event::Reason;
use signal_features::Program;
use signal_features::plan::Reg;
use signal_kernels::BLOCK;
use signal_kernels::lanes::Isa;
use signal_kernels::state::{Exhausted, put_f64, put_i64, take, take_f64, take_i64};

/// The time of what has not happened yet.
pub const NEVER: i64 = i64::MIN;

/// Steps in order, and what other programs may sample.
///
/// Invariants: `slots[e]` is the newest value of export `e`; `since` is the time of the first event at which the
/// stream itself was valid, `i64::MAX` before it.
#[derive(Clone, Debug)]
pub struct Machine {
    steps: Vec<Step>,
    operands: Vec<Box<[Reg]>>,
    outputs: Vec<Box<[Reg]>>,
    /// Registers loaded before the steps run.
    inputs: usize,
    exports: Box<[Reg]>,
    slots: Box<[(f64, Code)]>,
    newest: i64,
    since: i64,
}

impl Machine {
    /// A machine that has seen nothing.
    pub fn new(program: &Program) -> Self {
        Self {
            steps: program.ops.iter().map(Step::new).collect(),
            operands: program.ops.iter().map(|op| op.operands().into()).collect(),
            outputs: program.ops.iter().map(|op| op.outputs().into()).collect(),
            inputs: program.inputs.len(),
            exports: program.exports.clone().into(),
            slots: vec![(f64::NAN, Reason::Warmup.code()); program.exports.len()].into(),
            newest: NEVER,
            since: i64::MAX,
        }
    }

    /// The newest value of an export.
    #[inline(always)]
    pub fn slot(&self, export: usize) -> (f64, Code) {
        self.slots[export]
    }

    /// Time of the newest event, [`NEVER`] before the first.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// A window's statistic at a moment of another program.
    pub fn window(&mut self, op: usize, read: usize, t: i64) -> (f64, Code) {
        self.steps[op].outside(
            read,
            Moment {
                t,
                stream_since: self.since,
            },
        )
    }

    /// Notes an event of the stream and whether the stream itself was valid.
    #[inline(always)]
    pub fn note(&mut self, t: i64, stream_valid: bool) {
        self.newest = t;
        if stream_valid && self.since == i64::MAX {
            self.since = t;
        }
    }

    /// Runs the steps for one event whose inputs are loaded.
    #[inline(always)]
    pub fn run_one(&mut self, regs: &mut Registers, t: i64, simd: bool) {
        #[cfg(target_arch = "x86_64")]
        if simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return self.run_one_avx2(regs, t);
            }
        }
        let _ = simd;
        self.steps_one(regs, t);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn run_one_avx2(&mut self, regs: &mut Registers, t: i64) {
        self.steps_one(regs, t);
    }

    /// Runs the steps for one event whose inputs are loaded, with the instructions of the caller.
    #[inline(always)]
    pub fn steps_one(&mut self, regs: &mut Registers, t: i64) {
        let moment = Moment {
            t,
            stream_since: self.since,
        };
        // As long as everything is valid, no step needs to think of reasons.
        let from = if regs.refresh(self.inputs) {
            self.take(regs, moment)
        } else {
            0
        };
        for step in &mut self.steps[from..] {
            step.row::<1>(regs, 0, moment);
        }
        for (slot, &reg) in self.slots.iter_mut().zip(&self.exports) {
            *slot = (regs.values[reg], regs.reasons[reg]);
        }
    }

    /// Runs steps while every result is valid. Gives the first step that is still to be run, with the reasons of those
    /// before.
    #[inline(always)]
    fn take(&mut self, regs: &mut Registers, moment: Moment) -> usize {
        // Steps before `sound` have valid results; so have those behind it, as far as `faults` says nothing else.
        let (mut sound, mut faults) = (0, 0);
        for i in 0..self.steps.len() {
            let step = &mut self.steps[i];
            let Some(values) = regs.span() else { return 0 };
            if let Some((value, out)) = step.value(values) {
                values[usize::from(out)] = value;
                faults |= fault(value);
                continue;
            }
            // A step with state must not see an invalid operand, and sees each event once.
            if faults != 0 {
                return self.settle(sound, regs);
            }
            sound = i;
            match step.take(regs, moment) {
                Taken::Valid(found) => faults = found,
                Taken::Spelled => return i + 1,
                Taken::Refused => return i,
            }
        }
        if faults == 0 {
            self.steps.len()
        } else {
            self.settle(sound, regs)
        }
    }

    /// Some result of step `at`, or of those without state behind it, is not finite. Gives the first step to run again.
    #[cold]
    #[inline(never)]
    fn settle(&self, at: usize, regs: &mut Registers) -> usize {
        match self.steps[at] {
            Step::Lag(_)
            | Step::Ofi(_)
            | Step::Counted(_)
            | Step::Timed(_)
            | Step::Exponential(_) => {
                for &reg in &self.outputs[at] {
                    let value = regs.values[reg];
                    regs.set_computed(reg, value);
                }
                at + 1
            }
            _ => at,
        }
    }

    /// Runs the steps for a block of events whose inputs are loaded; `times` are theirs.
    #[inline(always)]
    pub fn steps_block<I: Isa>(&mut self, isa: I, regs: &mut Registers, times: &[i64]) {
        let n = times.len();
        for ((step, operands), outputs) in
            self.steps.iter_mut().zip(&self.operands).zip(&self.outputs)
        {
            if !step.block(isa, regs, n) {
                rows(step, operands, outputs, regs, times, self.since);
            }
        }
        for (slot, &reg) in self.slots.iter_mut().zip(&self.exports) {
            let at = regs.at(reg) + n - 1;
            *slot = (
                regs.values[at],
                if regs.clean[reg] {
                    VALID
                } else {
                    regs.reasons[at]
                },
            );
        }
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.newest);
        put_i64(out, self.since);
        for &(value, code) in &self.slots {
            put_f64(out, value);
            out.push(code);
        }
        self.steps.iter().for_each(|step| step.save(out));
    }

    /// Replaces the state by a saved one of the same program.
    pub fn load(&mut self, bytes: &mut &[u8]) -> Result<(), Exhausted> {
        self.newest = take_i64(bytes)?;
        self.since = take_i64(bytes)?;
        for slot in &mut self.slots {
            let value = take_f64(bytes)?;
            let [code] = take(bytes)?;
            *slot = (value, code);
        }
        self.steps.iter_mut().try_for_each(|step| step.load(bytes))
    }
}

/// A block whose rows must be looked at one by one.
#[inline(never)]
fn rows(
    step: &mut Step,
    operands: &[Reg],
    outputs: &[Reg],
    regs: &mut Registers,
    times: &[i64],
    since: i64,
) {
    let n = times.len();
    operands.iter().for_each(|&reg| regs.spell_out(reg, n));
    for (i, &t) in times.iter().enumerate() {
        step.row::<BLOCK>(
            regs,
            i,
            Moment {
                t,
                stream_since: since,
            },
        );
    }
    for &reg in outputs {
        regs.clean[reg] = regs.codes(reg, n).iter().all(|&code| code == VALID);
    }
}
