//! The only crate that reads files and pipes: sources, tapes, bounded queues.
