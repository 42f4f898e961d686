//! The way of one event through a machine's steps as long as everything is valid.
//!
//! Formulas follow each other without a look at their results; the results are looked at together, once, before the
//! first step that remembers one of them.

use crate::registers::{Registers, SPAN, each_finite};
use crate::step::{Moment, Plain, Step};
use signal_features::Program;
use signal_features::plan::Reg;
use signal_kernels::lanes::Isa;
use std::ops::Range;

/// Invariants: the legs lead through all steps in order; where a leg looks at no results, its step has none of those
/// that nobody has looked at among its operands.
#[derive(Clone, Debug)]
pub struct Course {
    legs: Box<[Leg]>,
}

/// Formulas, and a step that is more than one.
#[derive(Clone, Debug)]
struct Leg {
    plains: Box<[Plain]>,
    /// Whether results are looked at before the step, and in which registers they stand.
    looks: bool,
    results: Range<Reg>,
    /// The step; the number of all steps at the end.
    at: usize,
}

/// How far an event came.
#[derive(Clone, Debug)]
pub enum Passed {
    /// Through all steps, and all results are valid.
    Whole,
    /// Before step `next`. Those in `unsure` have been taken, and their reasons are to be told from their results.
    Part { unsure: Range<usize>, next: usize },
}

/// Why an event stopped at a leg.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Nothing is left.
    End,
    /// A result before its step is not valid, or the step's will not be.
    Before,
    /// Only the step itself can tell the reasons of its results.
    Spell,
}

impl Course {
    pub fn new(program: &Program, steps: &[Step]) -> Self {
        let (mut plains, mut legs) = (Vec::new(), Vec::new());
        let mut unsure = program.inputs.len() + program.consts.len();
        let mut next = unsure;
        for (at, (step, op)) in steps.iter().zip(&program.ops).enumerate() {
            if let Some(plain) = Plain::of(step) {
                plains.push(plain);
            } else {
                let looks = (!step.is_valued() && unsure < next)
                    || op.operands().iter().any(|reg| (unsure..next).contains(reg));
                legs.push(Leg {
                    plains: std::mem::take(&mut plains).into(),
                    looks,
                    results: unsure..next,
                    at,
                });
                if looks {
                    unsure = next;
                }
            }
            next += op.outputs().len();
            if !step.is_valued() {
                unsure = next;
            }
        }
        legs.push(Leg {
            plains: std::mem::take(&mut plains).into(),
            looks: true,
            results: unsure..next,
            at: steps.len(),
        });
        Self { legs: legs.into() }
    }

    /// Takes one event whose inputs are valid as far as its results are.
    #[inline(always)]
    pub fn pass<I: Isa>(
        &self,
        isa: I,
        steps: &mut [Step],
        regs: &mut Registers,
        moment: Moment,
    ) -> Passed {
        let mut begin = 0;
        loop {
            let values = regs.span();
            let (leg, stop) = isa.apart(|| self.run(isa, begin, steps, values));
            let at = self.legs[leg].at;
            match stop {
                Stop::End => return Passed::Whole,
                Stop::Before => {
                    return Passed::Part {
                        unsure: self.sound(leg)..at,
                        next: at,
                    };
                }
                Stop::Spell => {
                    steps[at].row::<1>(regs, 0, moment);
                    if regs.spoilt {
                        return Passed::Part {
                            unsure: self.sound(leg)..at,
                            next: at + 1,
                        };
                    }
                }
            }
            begin = leg + 1;
        }
    }

    /// Runs legs from `begin` on. Gives the one at which it stopped, and why.
    #[inline(always)]
    fn run<I: Isa>(
        &self,
        isa: I,
        begin: usize,
        steps: &mut [Step],
        values: &mut [f64; SPAN],
    ) -> (usize, Stop) {
        for (l, leg) in (begin..).zip(&self.legs[begin..]) {
            if !leg.plains.is_empty() {
                isa.apart(|| leg.plains.iter().for_each(|plain| plain.take(values)));
            }
            if leg.looks && !each_finite(&values[leg.results.clone()]) {
                return (l, Stop::Before);
            }
            let Some(step) = steps.get_mut(leg.at) else {
                break;
            };
            match step.take(isa, values) {
                Some(true) => {}
                Some(false) => return (l, Stop::Before),
                None => return (l, Stop::Spell),
            }
        }
        (self.legs.len() - 1, Stop::End)
    }

    /// The first step whose results nobody has looked at when a leg's step is reached.
    #[cold]
    fn sound(&self, leg: usize) -> usize {
        let before = self.legs[..leg].iter().rev();
        before
            .filter(|leg| leg.looks)
            .map(|leg| leg.at)
            .next()
            .unwrap_or(0)
    }
}
