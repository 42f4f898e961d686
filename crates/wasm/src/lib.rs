//! The runtime and a compiled plan behind a C ABI: what `graph.wasm` exports. Nothing is imported.
//!
//! `signal-stream compile --wasm` puts a plan's bytes behind the module's memory and writes their place into [`SS_PLAN`]. A host
//! calls `ss_open`, writes a row to the place that `ss_row` names, calls `ss_push`, and reads the vector at `ss_values` and the
//! reason codes at `ss_reasons`. Places stay where they are until `ss_close`; a view of the memory that a host holds must be made
//! anew when the memory has grown. Every number is little-endian; times are nanoseconds; several handles are independent.
#![allow(unsafe_code)]

use signal_runtime::{RowFault, RowPlan, Rows, StateFault};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Where the plan's bytes begin, and how many there are.
#[unsafe(no_mangle)]
pub static SS_PLAN: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];

/// What [`ss_push`] gives for a row that comes after a later one.
pub const LATE: i32 = -1;
/// For one before which a bar is missing.
pub const MISSING_BAR: i32 = -2;
/// For a handle without a graph.
pub const NO_GRAPH: i32 = -3;
/// What [`ss_restore`] gives for a state of another graph.
pub const OTHER_GRAPH: i32 = -4;
/// For one that is damaged, or of another version.
pub const DAMAGED: i32 = -5;

/// One instrument's graph, with what a host writes and reads.
#[derive(Debug)]
pub struct Graph {
    rows: Rows,
    row: Box<[f64]>,
    values: Box<[f64]>,
    reasons: Box<[u8]>,
    /// Texts by number: digest, columns, features; names stand in lines.
    texts: [String; 3],
    /// A state that is saved, or to be restored.
    state: Vec<u8>,
}

impl Graph {
    /// A graph that has seen nothing; `None` if the bytes are no plan.
    pub fn open(plan: &[u8]) -> Option<Self> {
        let plan = RowPlan::from_bytes(plan).ok()?;
        let texts = [
            plan.digest.clone(),
            plan.fields.join("\n"),
            plan.features.join("\n"),
        ];
        Some(Self {
            row: vec![f64::NAN; plan.fields.len()].into(),
            values: vec![f64::NAN; plan.features.len()].into(),
            reasons: vec![0; plan.features.len()].into(),
            rows: Rows::new(plan),
            texts,
            state: Vec::new(),
        })
    }

    fn push(&mut self, t: i64) -> i32 {
        let Self {
            rows,
            row,
            values,
            reasons,
            ..
        } = self;
        match rows.push(t, row, values, reasons) {
            Ok(invalid) => invalid as i32,
            Err(RowFault::Late(_)) => LATE,
            Err(RowFault::Missing(_)) => MISSING_BAR,
            Err(RowFault::Length) => NO_GRAPH,
        }
    }

    fn restore(&mut self) -> i32 {
        match self.rows.load(&self.state) {
            Ok(()) => 0,
            Err(StateFault::Graph) => OTHER_GRAPH,
            Err(StateFault::Damaged) => DAMAGED,
        }
    }
}

/// A graph from the plan that stands in the module; null if there is none. [`ss_close`] gives its memory back.
#[unsafe(no_mangle)]
pub extern "C" fn ss_open() -> *mut Graph {
    let [at, length] = [0, 1].map(|i| SS_PLAN[i].load(Relaxed) as usize);
    if at == 0 {
        return std::ptr::null_mut();
    }
    // SAFETY: the compiler placed `length` bytes at `at`, in memory that the module declares and nothing else uses.
    let plan = unsafe { std::slice::from_raw_parts(at as *const u8, length) };
    Graph::open(plan).map_or(std::ptr::null_mut(), |graph| Box::into_raw(Box::new(graph)))
}

/// Takes a graph's memory back.
///
/// # Safety
/// `graph` is null, or of [`ss_open`] and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_close(graph: *mut Graph) {
    if !graph.is_null() {
        // SAFETY: as the caller promises.
        drop(unsafe { Box::from_raw(graph) });
    }
}

/// Where a row's numbers are to be written, one f64 a column, NaN where there is none.
///
/// # Safety
/// As for [`ss_close`]; so for all that follow.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_row(graph: *mut Graph) -> *mut f64 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_mut() }.map_or(std::ptr::null_mut(), |graph| graph.row.as_mut_ptr())
}

/// Where the vector stands, one f64 a feature, NaN where it is invalid.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_values(graph: *mut Graph) -> *const f64 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_ref() }.map_or(std::ptr::null(), |graph| graph.values.as_ptr())
}

/// Where the reasons stand, one byte a feature, 0 where it is valid.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_reasons(graph: *mut Graph) -> *const u8 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_ref() }.map_or(std::ptr::null(), |graph| graph.reasons.as_ptr())
}

/// Takes the row that is known at `t`: gives the number of invalid features, or [`LATE`], [`MISSING_BAR`] or [`NO_GRAPH`], where
/// nothing was taken.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_push(graph: *mut Graph, t: i64) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_mut() }.map_or(NO_GRAPH, |graph| graph.push(t))
}

/// Where a text begins: 0 the graph's digest, 1 the columns, 2 the features, a name a line.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_text(graph: *const Graph, which: u32) -> *const u8 {
    // SAFETY: as the caller promises.
    let text = unsafe { graph.as_ref() }.and_then(|graph| graph.texts.get(which as usize));
    text.map_or(std::ptr::null(), |text| text.as_ptr())
}

/// Bytes of that text.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_text_length(graph: *const Graph, which: u32) -> usize {
    // SAFETY: as the caller promises.
    let text = unsafe { graph.as_ref() }.and_then(|graph| graph.texts.get(which as usize));
    text.map_or(0, String::len)
}

/// Saves the state; gives how many bytes it has. They stand at [`ss_state`].
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_snapshot(graph: *mut Graph) -> usize {
    // SAFETY: as the caller promises.
    unsafe { graph.as_mut() }.map_or(0, |graph| {
        graph.state = graph.rows.save();
        graph.state.len()
    })
}

/// Where the state stands that was saved.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_state(graph: *const Graph) -> *const u8 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_ref() }.map_or(std::ptr::null(), |graph| graph.state.as_ptr())
}

/// Where `length` bytes of a state are to be written, before [`ss_restore`].
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_state_room(graph: *mut Graph, length: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_mut() }.map_or(std::ptr::null_mut(), |graph| {
        graph.state = vec![0; length];
        graph.state.as_mut_ptr()
    })
}

/// Goes on where that state was saved, here or in a native engine: 0, or [`OTHER_GRAPH`] or [`DAMAGED`], where nothing changed.
///
/// # Safety
/// See [`ss_row`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ss_restore(graph: *mut Graph) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { graph.as_mut() }.map_or(NO_GRAPH, Graph::restore)
}
