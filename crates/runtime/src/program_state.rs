//! A program with the state of one instrument.

use crate::fast_path::{FastPath, Outcome};
use crate::mark::{Mark, Marks, StepMarks};
use crate::op::Reg;
use crate::program::Program;
use crate::reason::Reason;
use crate::registers::{Code, Registers, VALID, is_loss};
pub use crate::step::Scratch;
use crate::step::{EvalTime, Step};
use signal_kernels::BLOCK;
#[cfg(target_arch = "x86_64")]
use signal_kernels::simd::Avx2;
use signal_kernels::simd::{BASELINE, Simd};
use signal_kernels::state::{Exhausted, put_f64, put_i64, take, take_f64, take_i64};
use std::ops::Range;
use std::sync::Arc;

/// The time of what has not happened yet.
pub const NEVER: i64 = i64::MIN;

/// Steps in order, and what other programs may sample.
///
/// Invariants: `slots[e]` is the newest value of export `e`; `since` is the time of the first event at which the
/// stream itself was valid since messages of it were lost, `i64::MAX` before it.
#[derive(Clone, Debug)]
pub struct ProgramState {
    steps: Box<[Step]>,
    shape: Arc<Shape>,
    slots: Box<[(f64, Code)]>,
    newest: i64,
    since: i64,
    /// Why messages may have been lost since the newest valid event, [`VALID`] if none were: the next valid one begins
    /// the stream anew.
    lost: Code,
    /// Reason of values that are not full yet: `WARMUP`, or why messages were lost.
    cold: Code,
}

/// What an event touches of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// What other programs sample.
    Results,
    /// The same, and the steps.
    Steps,
    /// What the steps remember.
    States,
    /// The places, beside that, which the next event changes.
    Places,
}

/// What all program_states of a program share: copies of a state hold it once.
#[derive(Debug)]
struct Shape {
    fast_path: FastPath,
    operands: Vec<Box<[Reg]>>,
    outputs: Vec<Box<[Reg]>>,
    /// Registers loaded before the steps run.
    inputs: usize,
    exports: Box<[Reg]>,
    /// Where steps say that they run, if anybody looks.
    marks: Option<StepMarks>,
}

impl Shape {
    #[inline(always)]
    fn step(&self, at: usize) {
        if let Some(marks) = &self.marks {
            marks.step(at);
        }
    }

    /// No step runs any more.
    #[inline(always)]
    fn leave(&self) {
        if let Some(marks) = &self.marks {
            marks.mark.set(Mark::EVENTS);
        }
    }
}

impl ProgramState {
    /// A state that has seen nothing. A copy of one shares with it what does not change.
    pub fn new(program: &Program) -> Self {
        Self::with_marks(program, None)
    }

    /// The same, whose steps say that they run.
    pub fn with_marks(program: &Program, marks: Option<StepMarks>) -> Self {
        let steps: Box<[Step]> = program.ops.iter().map(Step::new).collect();
        Self {
            shape: Arc::new(Shape {
                fast_path: FastPath::new(program, &steps),
                operands: program.ops.iter().map(|op| op.operands().into()).collect(),
                outputs: program.ops.iter().map(|op| op.outputs().into()).collect(),
                inputs: program.inputs,
                exports: program.exports.clone().into(),
                marks,
            }),
            steps,
            slots: vec![(f64::NAN, Reason::Warmup.code()); program.exports.len()].into(),
            newest: NEVER,
            since: i64::MAX,
            lost: VALID,
            cold: Reason::Warmup.code(),
        }
    }

    /// The newest value of an export.
    #[inline(always)]
    pub fn slot(&self, export: usize) -> (f64, Code) {
        self.slots[export]
    }

    /// Names the first byte and the length of what the next event will touch, each `stage` after the one that says where it
    /// lies: the results, the steps, what the steps remember, and the places of it that change.
    #[inline(always)]
    pub fn places(&self, stage: Touched, touch: &mut impl FnMut(*const u8, usize)) {
        match stage {
            Touched::Results => touch(self.slots.as_ptr().cast(), 1),
            Touched::Steps => {
                touch(self.slots.as_ptr().cast(), 1);
                touch(self.steps.as_ptr().cast(), size_of_val(&*self.steps));
            }
            Touched::States => {
                for step in &self.steps {
                    let (state, bytes) = step.state();
                    touch(state, bytes);
                }
            }
            Touched::Places => {
                for step in &self.steps {
                    step.places(&mut |place| touch(place.cast(), 1));
                }
            }
        }
    }

    /// Time of the newest event, [`NEVER`] before the first.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// A window's statistic at a moment of another program.
    pub fn window(&mut self, op: usize, read: usize, t: i64) -> (f64, Code) {
        if self.lost != VALID {
            return (f64::NAN, self.lost);
        }
        let time = EvalTime {
            t,
            stream_since: self.since,
        };
        self.shape.step(op);
        let found = self.steps[op].outside(read, time);
        self.shape.leave();
        found
    }

    /// Notes an event of the stream and why the stream itself is invalid, if it is.
    #[inline(always)]
    pub fn note(&mut self, t: i64, code: Code, program: &Program) {
        self.newest = t;
        if code != VALID {
            if is_loss(code) {
                self.lost = code;
            }
        } else if self.lost != VALID {
            self.restart(t, program);
        } else if self.since == i64::MAX {
            self.since = t;
        }
    }

    /// Messages of the stream were lost.
    pub fn lose(&mut self) {
        if self.newest != NEVER {
            self.lost = Reason::Gap.code();
        }
    }

    /// The stream begins anew at `t`: what it forgot may have been among the lost messages.
    #[cold]
    fn restart(&mut self, t: i64, program: &Program) {
        self.steps = program.ops.iter().map(Step::new).collect();
        self.set_cold(self.lost);
        (self.lost, self.since) = (VALID, t);
    }

    fn set_cold(&mut self, code: Code) {
        self.cold = code;
        self.steps.iter_mut().for_each(|step| step.set_cold(code));
    }

    /// Runs the steps for one event whose inputs are loaded.
    #[inline(always)]
    pub fn run_one(&mut self, regs: &mut Registers, t: i64, simd: bool) {
        #[cfg(target_arch = "x86_64")]
        if simd {
            #[allow(unsafe_code)]
            // SAFETY: `simd` is only set where the processor has AVX2.
            unsafe {
                return self.run_one_avx2(Avx2::new(), regs, t);
            }
        }
        let _ = simd;
        self.steps_one(BASELINE, regs, t);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn run_one_avx2(&mut self, isa: Avx2, regs: &mut Registers, t: i64) {
        self.steps_one(isa, regs, t);
    }

    /// Runs the steps for one event whose inputs are loaded, with the instructions of the caller.
    #[inline(always)]
    pub fn steps_one<I: Simd>(&mut self, isa: I, regs: &mut Registers, t: i64) {
        let time = EvalTime {
            t,
            stream_since: self.since,
        };
        // As long as everything is valid, no step needs to think of reasons.
        if regs.refresh(self.shape.inputs) {
            let Shape {
                fast_path, marks, ..
            } = &*self.shape;
            let outcome = match marks {
                None => fast_path.pass(isa, &mut self.steps, regs, time, ()),
                Some(marks) => fast_path.pass(isa, &mut self.steps, regs, time, marks),
            };
            match outcome {
                Outcome::Valid => {
                    for (slot, &reg) in self.slots.iter_mut().zip(&self.shape.exports) {
                        *slot = (regs.values[reg], VALID);
                    }
                }
                Outcome::Stopped { unchecked, next } => {
                    self.settle(unchecked, regs, time);
                    self.steps_from(next, regs, time);
                }
            }
        } else {
            self.steps_from(0, regs, time);
        }
        self.shape.leave();
    }

    /// Tells the reasons of results of steps that have been taken.
    #[cold]
    fn settle(&mut self, unchecked: Range<usize>, regs: &mut Registers, time: EvalTime) {
        for (step, outputs) in self.steps[unchecked.clone()]
            .iter_mut()
            .zip(&self.shape.outputs[unchecked])
        {
            if step.remembers() {
                for &reg in outputs {
                    let value = regs.values[reg];
                    regs.set_computed(reg, value);
                }
            } else {
                step.row::<1>(regs, 0, time);
            }
        }
    }

    /// Runs the steps from `next` on with all their reasons.
    #[inline(never)]
    fn steps_from(&mut self, next: usize, regs: &mut Registers, time: EvalTime) {
        for (at, step) in (next..).zip(&mut self.steps[next..]) {
            self.shape.step(at);
            step.row::<1>(regs, 0, time);
        }
        for (slot, &reg) in self.slots.iter_mut().zip(&self.shape.exports) {
            *slot = (regs.values[reg], regs.reasons[reg]);
        }
    }

    /// Runs the steps for a block of events whose inputs are loaded; `times` are theirs.
    #[inline(always)]
    pub fn steps_block<I: Simd>(
        &mut self,
        isa: I,
        regs: &mut Registers,
        times: &[i64],
        scratch: &mut Scratch,
    ) {
        let n = times.len();
        let Shape {
            operands, outputs, ..
        } = &*self.shape;
        let steps = self.steps.iter_mut().zip(operands).zip(outputs);
        for (at, ((step, operands), outputs)) in steps.enumerate() {
            self.shape.step(at);
            if !step.block(isa, regs, n, scratch) {
                rows(step, operands, outputs, regs, times, self.since);
            }
        }
        for (slot, &reg) in self.slots.iter_mut().zip(&self.shape.exports) {
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
        self.shape.leave();
    }

    /// Appends the state.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.newest);
        put_i64(out, self.since);
        out.extend_from_slice(&[self.lost, self.cold]);
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
        let [lost, cold] = take(bytes)?;
        self.lost = lost;
        self.set_cold(cold);
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
            EvalTime {
                t,
                stream_since: since,
            },
        );
    }
    for &reg in outputs {
        regs.clean[reg] = regs.codes(reg, n).iter().all(|&code| code == VALID);
    }
}
