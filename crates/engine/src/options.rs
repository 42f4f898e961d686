//! Engine options that are not part of the plan.

use crate::layout::Layout;
use signal_ingest::JUMP_MAX_NS;
use std::collections::HashSet;
use std::sync::Arc;

/// Engine options that are not part of the plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instruments that vectors are made for; none given means every instrument that has an event.
    pub instruments: Option<HashSet<String>>,
    /// How far ahead of everything before it a message may claim to be, in nanoseconds.
    pub jump_max_ns: i64,
    /// How long after newer ones an event may come, in nanoseconds, for a graph on venue time.
    pub lateness_ns: i64,
    /// Whether a late message stops the engine instead of being kept aside.
    pub refuse_late: bool,
    /// How far before the watermark a late event still takes its place, in nanoseconds, for a graph on venue time that reads
    /// messages: what it changes is given as an amendment. 0 for not at all.
    pub amend_ns: i64,
    /// How rows of a table are read, where they are the input.
    pub table: Option<Arc<Layout>>,
    /// Whether a bar that is missing between rows is one without trades, as it would be live; else rows are all the bars
    /// there are.
    pub empty_bars: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            instruments: None,
            jump_max_ns: JUMP_MAX_NS,
            lateness_ns: 0,
            refuse_late: false,
            amend_ns: 0,
            table: None,
            empty_bars: false,
        }
    }
}
