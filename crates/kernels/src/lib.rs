//! Streaming mathematics on f64: the same bits on every target.
#![no_std]
