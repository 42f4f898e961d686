//! All tests of the market in one program: linking one costs as long as compiling it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bars;
mod book;
mod captures;
mod faults;
mod filled;
mod frames;
mod orders;
mod recordings;
mod rules;
mod sync;
