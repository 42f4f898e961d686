//! The fast path of one event through a program's steps, as long as everything is valid.
//!
//! Formulas follow each other without a look at their results; the results are looked at together, once, before the
//! first step that remembers one of them.

use crate::mark::Marks;
use crate::op::Reg;
use crate::program::Program;
use crate::registers::{Registers, SPAN, each_finite};
use crate::step::{EvalTime, FormulaStep, Step};
use signal_kernels::simd::Simd;
use std::ops::Range;

/// Invariants: the segments lead through all steps in order; where a segment looks at no results, its step has none of those
/// that nobody has looked at among its operands.
#[derive(Clone, Debug)]
pub struct FastPath {
    segments: Box<[Segment]>,
}

/// Formulas, and a step that is more than one.
#[derive(Clone, Debug)]
struct Segment {
    formulas: Box<[FormulaStep]>,
    /// Whether results are looked at before the step, and in which registers they stand.
    looks: bool,
    results: Range<Reg>,
    /// The step; the number of all steps at the end.
    at: usize,
}

/// How far an event came.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All steps are taken, and all results are valid.
    Valid,
    /// Before step `next`. Those in `unchecked` have been taken, and their reasons are to be told from their results.
    Stopped {
        unchecked: Range<usize>,
        next: usize,
    },
}

/// Why an event stopped at a segment.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Nothing is left.
    End,
    /// A result before its step is not valid, or the step's will not be.
    Before,
    /// Only the step itself can tell the reasons of its results.
    Spell,
}

impl FastPath {
    pub fn new(program: &Program, steps: &[Step]) -> Self {
        let (mut formulas, mut segments) = (Vec::new(), Vec::new());
        let mut unchecked = program.inputs + program.consts.len();
        let mut next = unchecked;
        for (at, (step, op)) in steps.iter().zip(&program.ops).enumerate() {
            if let Step::Formula(formula) = step {
                formulas.push(*formula);
            } else {
                let looks = (!step.is_valued() && unchecked < next)
                    || op
                        .operands()
                        .iter()
                        .any(|reg| (unchecked..next).contains(reg));
                segments.push(Segment {
                    formulas: std::mem::take(&mut formulas).into(),
                    looks,
                    results: unchecked..next,
                    at,
                });
                if looks {
                    unchecked = next;
                }
            }
            next += op.outputs().len();
            if !step.is_valued() {
                unchecked = next;
            }
        }
        segments.push(Segment {
            formulas: std::mem::take(&mut formulas).into(),
            looks: true,
            results: unchecked..next,
            at: steps.len(),
        });
        Self {
            segments: segments.into(),
        }
    }

    /// Takes one event whose inputs are valid as far as its results are.
    #[inline(always)]
    pub fn pass<I: Simd, M: Marks>(
        &self,
        isa: I,
        steps: &mut [Step],
        regs: &mut Registers,
        time: EvalTime,
        marks: M,
    ) -> Outcome {
        let mut begin = 0;
        loop {
            let values = regs.span();
            let (segment, stop) = isa.outlined(|| self.run(isa, begin, steps, values, marks));
            let at = self.segments[segment].at;
            match stop {
                Stop::End => return Outcome::Valid,
                Stop::Before => {
                    return Outcome::Stopped {
                        unchecked: self.sound(segment)..at,
                        next: at,
                    };
                }
                Stop::Spell => {
                    steps[at].row::<1>(regs, 0, time);
                    if regs.has_invalid {
                        return Outcome::Stopped {
                            unchecked: self.sound(segment)..at,
                            next: at + 1,
                        };
                    }
                }
            }
            begin = segment + 1;
        }
    }

    /// Runs segments from `begin` on. Gives the one at which it stopped, and why.
    #[inline(always)]
    fn run<I: Simd, M: Marks>(
        &self,
        isa: I,
        begin: usize,
        steps: &mut [Step],
        values: &mut [f64; SPAN],
        marks: M,
    ) -> (usize, Stop) {
        for (s, segment) in (begin..).zip(&self.segments[begin..]) {
            if !segment.formulas.is_empty() {
                let first = segment.at - segment.formulas.len();
                isa.outlined(|| {
                    for (at, formula) in (first..).zip(&segment.formulas) {
                        marks.step(at);
                        formula.take(values);
                    }
                });
            }
            if segment.looks && !each_finite(&values[segment.results.clone()]) {
                return (s, Stop::Before);
            }
            let Some(step) = steps.get_mut(segment.at) else {
                break;
            };
            marks.step(segment.at);
            match step.take(isa, values) {
                Some(true) => {}
                Some(false) => return (s, Stop::Before),
                None => return (s, Stop::Spell),
            }
        }
        (self.segments.len() - 1, Stop::End)
    }

    /// The first step whose results nobody has looked at when a segment's step is reached.
    #[cold]
    fn sound(&self, segment: usize) -> usize {
        let before = self.segments[..segment].iter().rev();
        before
            .filter(|segment| segment.looks)
            .map(|segment| segment.at)
            .next()
            .unwrap_or(0)
    }
}
