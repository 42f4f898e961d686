//! A plan as bytes: what comes back is equal and has the bits of the engine, its state moves to and fro, and damage is refused.

use crate::random::{Faults, Kinds, Run, options, plans, tables};
use proptest::prelude::*;
use signal_engine::{Engine, row_plan};
use signal_features::Plan;
use signal_runtime::op::Op;
use signal_runtime::{RowPlan, Rows};
use std::sync::Arc;

fn compiled(plan: &Arc<Plan>) -> RowPlan {
    let layout = options(plan).table.expect("a layout");
    row_plan(plan, &layout, false).expect("a graph on rows")
}

/// Bytes whose checksum is theirs.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_plan_comes_back_from_its_bytes(plan in plans(Kinds::Bars)) {
        let plan = compiled(&plan);
        let bytes = plan.to_bytes();
        prop_assert_eq!(RowPlan::from_bytes(&bytes), Ok(plan));
        for cut in [0, 1, 8, bytes.len() / 2, bytes.len() - 1] {
            prop_assert!(RowPlan::from_bytes(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_run(
        plan in plans(Kinds::Bars), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..6)
    ) {
        let mut body = compiled(&plan).to_bytes();
        body.truncate(body.len() - 4);
        for (at, byte, how) in damage {
            let at = at.index(body.len());
            match how {
                0 => body[at] = byte,
                1 => { body.remove(at); }
                _ => body.insert(at, byte),
            }
        }
        if let Ok(plan) = RowPlan::from_bytes(&sealed(body)) {
            let state: usize = plan.programs.iter().flat_map(|program| &program.code.ops).map(Op::bytes).sum();
            let (row, features) = (vec![1.5; plan.fields.len()], plan.features.len());
            if state < 1 << 24 {
                let mut rows = Rows::new(plan);
                for t in 0..40 {
                    let _ = rows.push(t * 60_000_000_000, &row, &mut vec![0.0; features], &mut vec![0; features]);
                }
                let saved = rows.save();
                prop_assert_eq!(rows.load(&saved), Ok(()));
            }
        }
    }

    #[test]
    fn rows_have_the_bits_of_the_engine_and_their_state_moves(
        plan in plans(Kinds::Bars), table in tables(1..400, Faults::NoNulls), there in 0usize..400, back in 0usize..400
    ) {
        let bytes = compiled(&plan).to_bytes();
        let open = || Rows::new(RowPlan::from_bytes(&bytes).expect("a plan"));
        let (mut rows, mut run) = (open(), Run::new(&plan));
        let features = plan.columns.len();
        let mut out = [vec![0.0; features], vec![0.0; features]];
        let mut reasons = [vec![0; features], vec![0; features]];
        for (i, &t) in table.times.iter().enumerate() {
            if i == there {
                let state = run.engine.row_state(run.instrument).expect("a state");
                prop_assert_eq!(&state, &rows.save());
                rows = open();
                rows.load(&state).expect("the state of this graph");
            }
            if i == back {
                run = Run::of(Engine::new(Arc::clone(&plan), options(&plan)).expect("an engine"));
                run.engine.set_row_state(run.instrument, &rows.save()).expect("the state of this graph");
            }
            let row: Vec<f64> = table.values.iter().map(|column| column[i]).collect();
            let made = run.engine.push_row(run.instrument, t, &row, &mut out[0], Some(&mut reasons[0]));
            let invalid = rows.push(t, &row, &mut out[1], &mut reasons[1]).expect("a row");
            prop_assert_eq!(made, Ok(Some(invalid)));
            let bits = |of: &[f64]| of.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out[0]), bits(&out[1]), "row {}", i);
            prop_assert_eq!(&reasons[0], &reasons[1], "row {}", i);
        }
    }

    #[test]
    fn a_damaged_state_is_refused(plan in plans(Kinds::Bars), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut rows = Rows::new(compiled(&plan));
        let mut state = rows.save();
        let at = at.index(state.len());
        state[at] ^= 1 << bit;
        prop_assert!(rows.load(&state).is_err());
        let mut run = Run::new(&plan);
        prop_assert!(run.engine.set_row_state(run.instrument, &state).is_err());
    }
}
