//! Which column of a table feeds what.

use crate::registers::{Slot, slot};
use crate::sides::Sides;
use signal_features::{Field, Input, Plan, Scope, Source};
use std::fmt;

/// What rows feed to one program.
#[derive(Clone, Debug)]
pub(crate) struct Fed {
    pub program: usize,
    /// Register and column.
    pub columns: Vec<(Slot, usize)>,
    /// Registers that count rows.
    pub ones: Vec<Slot>,
    /// Register, and the program and export whose newest value it takes.
    pub lasts: Vec<(Slot, usize, usize)>,
    /// Whether it samples more than newest values.
    pub samples: bool,
    /// What makes numbers of a quote or a book invalid that are there.
    pub sides: Option<Sides>,
}

/// Which column feeds which register of which program.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Fed programs in order of evaluation.
    pub(crate) fed: Vec<Fed>,
    /// Column numbers of price, quantity and side where trades build bars.
    pub(crate) trades: Option<[Option<usize>; 3]>,
    /// Whether rows can run in blocks.
    pub(crate) blocks: bool,
    /// For each column, whether the plan cannot do without it.
    reads: Vec<bool>,
}

/// Why a table does not fit a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutError {
    /// The fields for which there is no column.
    pub missing: Vec<String>,
    /// What is wrong and what to do next.
    pub message: String,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LayoutError {}

impl Layout {
    /// Whether the table brings bars itself, so that none are built from trades.
    pub fn gives_bars(fields: &[Field]) -> bool {
        fields.iter().any(|field| field.belongs_to(Source::Bars(1)))
    }

    /// Matches a table's columns, by the field that each holds, with what the plan reads.
    pub fn new(plan: &Plan, fields: &[Field]) -> Result<Self, LayoutError> {
        let gives_bars = Self::gives_bars(fields);
        let column = |wanted: Field| fields.iter().position(|field| *field == wanted);
        let (mut fed, mut missing, mut builds) = (Vec::<Fed>::new(), Vec::new(), false);
        // Whether what is sampled of another program is of the same rows, so that blocks can run.
        let mut same_rows = true;
        for (p, program) in plan.programs.iter().enumerate() {
            if let Scope::Named(instrument) = &program.stream.scope {
                return Err(LayoutError {
                    missing: vec![],
                    message: format!(
                        "the graph reads {instrument}, but a table holds one instrument: use a tape"
                    ),
                });
            }
            match program.stream.source {
                Source::Clock(_) => continue,
                Source::Bars(_) if !gives_bars => {
                    builds = true;
                    continue;
                }
                _ => {}
            }
            let mut one = Fed {
                program: p,
                columns: vec![],
                ones: vec![],
                lasts: vec![],
                samples: false,
                sides: match program.stream.source {
                    Source::Quotes => Some(Sides::new(fields, &program.inputs, false)),
                    Source::Book => Some(Sides::new(fields, &program.inputs, true)),
                    _ => None,
                },
            };
            for (reg, input) in program.inputs.iter().enumerate() {
                match input {
                    Input::Field(Field::Count) => one.ones.push(slot(reg)),
                    Input::Field(field) => match column(*field) {
                        Some(column) => one.columns.push((slot(reg), column)),
                        None => missing.push(field.to_string()),
                    },
                    Input::Last { program, export } => {
                        one.lasts.push((slot(reg), *program, *export));
                        same_rows &= fed.iter().any(|earlier| earlier.program == *program);
                    }
                    Input::Window { .. } | Input::Age { .. } => one.samples = true,
                }
            }
            fed.push(one);
        }
        let lengths = plan
            .programs
            .iter()
            .filter(|program| matches!(program.stream.source, Source::Bars(_)))
            .count();
        if gives_bars && lengths > 1 {
            return Err(LayoutError {
                missing: vec![],
                message:
                    "the graph reads bars of several lengths, but the table holds one: use trades"
                        .into(),
            });
        }
        let trades = builds.then(|| {
            [
                column(Field::Price),
                column(Field::Qty),
                column(Field::Side),
            ]
        });
        let mut reads = vec![false; fields.len()];
        for program in &plan.programs {
            let built = !gives_bars && matches!(program.stream.source, Source::Bars(_));
            for input in &program.inputs {
                match input {
                    Input::Field(Field::BuyVolume) if built => {
                        column(Field::Side)
                            .into_iter()
                            .for_each(|i| reads[i] = true);
                    }
                    Input::Field(field) if !built => {
                        column(*field).into_iter().for_each(|i| reads[i] = true);
                    }
                    _ => {}
                }
            }
        }
        let builds_of = trades.iter().flat_map(|[price, qty, _]| [*price, *qty]);
        builds_of.flatten().for_each(|i| reads[i] = true);
        if let Some([price, qty, _]) = trades {
            missing.extend(price.is_none().then(|| "price".to_string()));
            missing.extend(qty.is_none().then(|| "qty".to_string()));
        }
        if !missing.is_empty() {
            missing.sort();
            missing.dedup();
            let list = missing.join(", ");
            return Err(LayoutError {
                message: format!(
                    "the graph reads {list}, for which the table has no column: name it in columns={{…}}"
                ),
                missing,
            });
        }
        let clocked = matches!(plan.graph.on, Source::Clock(_));
        let blocks = !builds && !clocked && same_rows && !fed.iter().any(|one| one.samples);
        Ok(Self {
            fed,
            trades,
            blocks,
            reads,
        })
    }

    /// Whether rows feed bars of the plan.
    pub(crate) fn gives_bars_to(&self, plan: &Plan) -> bool {
        let bars = |fed: &Fed| {
            let source = plan.programs[fed.program].stream.source;
            matches!(source, Source::Bars(_))
        };
        self.fed.iter().any(bars)
    }

    /// Columns that the layout was made for.
    pub fn columns(&self) -> usize {
        self.reads.len()
    }

    /// Whether the plan reads each column; the others only help to tell empty and crossed sides.
    pub fn reads(&self) -> &[bool] {
        &self.reads
    }
}
