//! Streaming mathematics on `f64`: the same bits live, in batch and on every target.
//!
//! A rolling value here is a pure function of the window's contents (DESIGN promise 2). The structure that keeps the
//! promise is the *dyadic pyramid*: node `(k, i)` summarises the `2^k` values that end at value `i`, and
//! `node(k + 1, i) = merge(node(k, i - 2^k), node(k, i))`. A window of `m` values merges one node for each binary digit
//! of `m`, the newest part from the smallest node. Nothing is ever removed, so nothing drifts, and no value depends on
//! when the stream began.
//!
//! Each kernel offers one calculation in two orders of work: one value at a time walks the levels once; a block of
//! values runs level by level, one elementwise loop each, which the compiler vectorises. Both orders evaluate the same
//! merges with the same operands, so their bits agree. No fast-math, no fused multiply-add, no platform libm.
//!
//! The crate touches nothing outside and depends on the portable `libm` crate only. Of the standard library it uses
//! `Vec` and `f64::sqrt`, which is one exact IEEE instruction on every target, wasm32 too (`no_std` would cost a call
//! that cannot be vectorised). Functions are `inline(always)` so that the engine can compile them once for each
//! instruction set.
#![deny(unsafe_code)]
// One index often runs over several arrays, of which clippy sees the first.
#![allow(clippy::needless_range_loop)]

pub mod comoments;
pub mod elementwise;
pub mod ewm;
pub mod extremes;
pub mod history;
pub mod log;
pub mod moments;
pub mod pyramid;
pub mod rank;
pub mod simd;
pub mod state;
pub mod sums;
pub mod trend;
pub mod weighted_moments;

/// Values that a kernel takes in one call at most: the unit of batch work. Small enough that a whole plan's registers
/// stay in the first two caches.
pub const BLOCK: usize = 128;
