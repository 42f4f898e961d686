//! All tests of the engine in one program, but those that count bytes: linking one costs as long as compiling it.

#![allow(clippy::expect_used, clippy::panic)]

mod composites;
mod crowd;
mod parity;
mod portable;
#[path = "../random/mod.rs"]
mod random;
mod specs;
mod tables;
