//! Bytes to ordered events: decoders, sequence rules, lateness and merge. Pure.
