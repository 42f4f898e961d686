//! A plan over rows for hosts without a compiler: what runs in WASM is the runtime and these bytes.

use crate::layout::{Layout, LayoutError};
use signal_features::{Field, Input, Plan, Scope, Source};
use signal_runtime::{RowPlan, RowProgram};

/// Fields of a row that a plan reads, in the order in which it does.
pub fn row_fields(plan: &Plan) -> Vec<Field> {
    let inputs = plan.programs.iter().flat_map(|program| &program.inputs);
    let mut fields: Vec<Field> = Vec::new();
    for input in inputs {
        if let Input::Field(field) = input
            && *field != Field::Count
            && !fields.contains(field)
        {
            fields.push(*field);
        }
    }
    fields
}

/// The plan for rows of a layout. `empty_bars`: none of the bars may be missing. Refused by name: whatever a row of one instrument
/// does not bring about.
pub fn row_plan(plan: &Plan, layout: &Layout, empty_bars: bool) -> Result<RowPlan, LayoutError> {
    if let Some(what) = beyond_rows(plan, layout) {
        return Err(LayoutError {
            missing: vec![],
            message: format!(
                "{what}, and what is compiled so takes rows of one instrument, each all that is known at its time: run the \
                 graph with signal-stream serve, or leave this feature out"
            ),
        });
    }
    let names = plan.graph.features.iter().map(|(name, _)| name.clone());
    let programs = layout.fed.iter().map(|fed| RowProgram {
        inputs: fed.inputs.clone(),
        lasts: fed.lasts.clone(),
        code: plan.programs[fed.program].code.clone(),
    });
    Ok(RowPlan {
        digest: plan.digest.clone(),
        fields: layout.fields().iter().map(ToString::to_string).collect(),
        features: names.collect(),
        step_ns: layout.bars_ns().filter(|_| empty_bars).unwrap_or(0),
        programs: programs.collect(),
        on: plan.on,
        columns: plan.columns.clone(),
    })
}

/// The first thing that the graph reads and a row does not bring about, in words. Without one, rows feed every program.
fn beyond_rows(plan: &Plan, layout: &Layout) -> Option<String> {
    if let Some(section) = plan.sections.first() {
        return Some(format!(
            "the graph takes \"{}\" across instruments",
            section.cross.f.row().name
        ));
    }
    let mut streams = plan.programs.iter().map(|program| &program.stream);
    let named = streams.clone().find(|stream| stream.scope != Scope::Own);
    if let Some(named) = named {
        return Some(format!("the graph reads {named}, of another instrument"));
    }
    if let Some(clock) = streams.find(|stream| matches!(stream.source, Source::Clock(_))) {
        return Some(format!("the graph is on a clock, {clock}"));
    }
    let mut inputs = plan.programs.iter().flat_map(|program| &program.inputs);
    let unfit = inputs.find_map(|input| match input {
        Input::Field(_) | Input::Last { .. } => None,
        Input::Time(f) => Some(format!("the graph reads a function of the time, {f}")),
        Input::Age { .. } => Some("the graph reads the age of a stream".to_string()),
        Input::Window { .. } | Input::Section { .. } => {
            Some("the graph reads a window of one stream at events of another".to_string())
        }
    });
    let made = layout.trades.is_some()
        || layout.fills
        || layout.bars_ns().is_some_and(|ns| layout.joins(ns));
    unfit.or_else(|| made.then(|| "the graph reads bars that are made of several rows".to_string()))
}
