//! A program: steps over numbered registers, at each event of one stream.

use crate::op::{Op, Reg};

/// What runs at each event of one stream. Registers: inputs first, then constants, then outputs in order of ops.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Registers `0 .. inputs` are loaded before it runs.
    pub inputs: usize,
    /// Constants, in the registers that follow.
    pub consts: Vec<f64>,
    /// The steps.
    pub ops: Vec<Op>,
    /// Number of registers.
    pub registers: usize,
    /// Registers that other programs sample.
    pub exports: Vec<Reg>,
}
