//! Bars that come as messages, made by somebody else: each is an event of the stream of bars of its length, and a part of
//! longer ones (`joined.rs`).
//!
//! They run as rows of a table do (`table.rs`): bars that end together are one moment, and where the graph reads
//! instruments that it names they wait until the moment has passed. A bar without trades has its own message; none is
//! made here for one that is missing. Where an instrument's bars are given, none are built from its trades.

use crate::engine::Engine;
use crate::error::{EngineError, refuse};
use crate::layout::{DAY_NS, FIELDS_OF_BARS, Layout, is_long};
use crate::vectors::Vectors;
use signal_event::{BarField, Message, decimal};
use signal_market::{Grid, TimeBars};
use signal_runtime::Reason;
use signal_runtime::program_state::NEVER;
use signal_runtime::registers::{Code, VALID};

impl Engine {
    /// How rows of bars are read: those of a table, or those that come as messages.
    pub(crate) fn bar_layout(&self) -> Option<&std::sync::Arc<Layout>> {
        self.options.table.as_ref().or(self.given.as_ref())
    }

    /// Refuses a bar that would be an event of no stream of a graph that reads bars, or of one that has events already.
    pub(crate) fn check_bar(&self, message: &Message<'_>) -> Result<(), EngineError> {
        if self.built.timed.is_empty() {
            return Ok(());
        }
        let instrument = &self.instruments[message.instrument.place()];
        let length = message.bar_field(BarField::Length).unwrap_or_default();
        let nth = self.messages + 1;
        if let Some((_, other)) = self.built.timed.iter().find(|(p, grid)| {
            match self.plan.programs[*p].stream.source.filled_by() {
                Some(of) => of != length,
                None => !is_made_of(grid, length),
            }
        }) {
            return refuse(
                "BARS",
                format!(
                    "message {nth} is a bar of {} of {}, the graph reads bars of {}: import bars of that length or of a part of it, or trades",
                    seconds(length),
                    instrument.id,
                    match is_long(other) {
                        true => "weeks or months".to_string(),
                        false => seconds(other.length()),
                    }
                ),
            );
        }
        let traded = |p: usize| instrument.recv_ts_max[p] != NEVER;
        if instrument
            .bars
            .iter()
            .any(|(p, bars)| bars.is_observed() && traded(*p))
        {
            return refuse(
                "BARS",
                format!(
                    "message {nth} is a bar of {}, whose bars are being built from its trades: give its bars or its trades, \
                     not both",
                    instrument.id
                ),
            );
        }
        Ok(())
    }

    /// A bar that has ended, at axis time `t`, which has been reached.
    pub(crate) fn bar(&mut self, message: &Message<'_>, t: i64, out: &mut Vectors) {
        let Some(layout) = self.given.clone() else {
            return;
        };
        let i = message.instrument.place();
        self.recv_ts_max = self.recv_ts_max.max(message.ts_recv);
        let instrument = &mut self.instruments[i];
        instrument.seen = true;
        for (_, bars) in &mut instrument.bars {
            if bars.is_observed()
                && let Ok(unobserved) = TimeBars::new(bars.grid().clone())
            {
                *bars = unobserved;
            }
        }
        let scales = instrument.scales;
        let length = message.bar_field(BarField::Length).unwrap_or_default();
        self.note_part(&layout, i, length);
        let cells = FIELDS_OF_BARS.map(|(_, field)| field_of(message, field, scales));
        if layout.crosses {
            let instrument = &mut self.instruments[i];
            instrument.held = Some(cells.into());
            instrument.bar_due = t;
            self.schedule.expect_rows(t);
            return;
        }
        let cells = |column: usize| cells[column];
        self.join_part(&layout, i, t, &cells);
        for f in 0..layout.fed.len() {
            self.run_bar(&layout, f, i, t, message.ts_recv, &cells, out);
        }
    }
}

/// A field's number and why there is none. What no message tells of a bar without trades is not unknown: nothing traded.
fn field_of(message: &Message<'_>, field: BarField, scales: [u8; 2]) -> (f64, Code) {
    let Some(found) = message.bar_field(field) else {
        let traded = [BarField::Volume, BarField::Trades].map(|field| message.bar_field(field));
        return match traded {
            [Some(0), _] | [None, Some(0)] => (0.0, quiet(field)),
            _ => (0.0, Reason::Missing.code()),
        };
    };
    let value = match field {
        BarField::Trades | BarField::Length => found as f64,
        BarField::Volume | BarField::BuyVolume => decimal::to_f64(found, scales[1]),
        _ => decimal::to_f64(found, scales[0]),
    };
    (value, VALID)
}

/// Why a bar in which nothing was traded has no value in a field that it does not tell.
fn quiet(field: BarField) -> Code {
    match field {
        BarField::Open | BarField::High | BarField::Low | BarField::Close | BarField::Vwap => {
            Reason::Empty.code()
        }
        _ => Reason::Missing.code(),
    }
}

/// Whether bars of a grid are those of this length, or a whole number of them.
fn is_made_of(grid: &Grid, length: i64) -> bool {
    match grid {
        _ if is_long(grid) => (1..=DAY_NS).contains(&length) && DAY_NS % length == 0,
        Grid::Even(of) => *of == length || (1..DAY_NS).contains(&length) && of % length == 0,
        // A bar of a day is a session of it; shorter ones are cut at the close.
        Grid::Sessions(of, _) => *of == length || (1..DAY_NS).contains(&length) && of % length == 0,
    }
}

fn seconds(ns: i64) -> String {
    format!("{} s", decimal::format(ns, 9))
}
