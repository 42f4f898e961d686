//! The bytes that a plan says an instrument holds are those that are allocated: never fewer, and not many more.
#![allow(clippy::expect_used, unsafe_code)]

mod random;

use proptest::prelude::*;
use random::{Faults, Kinds, Run, plans, tables};
use signal_market::BookSync;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> isize {
    HELD.with(Cell::get)
}

/// What an order book takes, which is not among a plan's bytes.
fn book() -> isize {
    let before = held();
    let book = Box::new(BookSync::new());
    let bytes = held() - before;
    drop(book);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_plan_says_what_an_instrument_holds(plan in plans(Kinds::All), rows in tables(200..500, Faults::All)) {
        let mut run = Run::new(&plan);
        run.push(&rows, 0, rows.times.len());
        let mut later = rows.clone();
        let whole = rows.times.last().copied().unwrap_or(0) - rows.times.first().copied().unwrap_or(0);
        later.times.iter_mut().for_each(|t| *t += whole + 60_000_000_000);
        // A second instrument of the same engine: what it adds is its own.
        run.out = run.engine.vectors();
        let before = held();
        run.instrument = run.engine.table_instrument("Y").expect("an instrument");
        run.push(&later, 0, later.times.len());
        run.out = run.engine.vectors();
        let allocated = held() - before - book();
        let said = plan.bytes() as isize;
        prop_assert!(allocated <= said, "said {said}, allocated {allocated}");
        prop_assert!(said <= allocated * 3 + 2048, "said {said}, allocated {allocated}");
    }
}
