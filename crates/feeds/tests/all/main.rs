//! All tests of the feeds' public interface in one program: linking one costs as long as compiling it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod columns;
mod hostile;
