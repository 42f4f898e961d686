//! Sides of a quote or a book that come as columns of a table.

use crate::columns::Column;
use signal_features::{Field, Input};
use signal_runtime::registers::slot;
use signal_runtime::{Level, LevelInput, Sides};
use std::ops::Range;

/// Side, number of the level from 0, and whether it is a price.
fn place(field: Field) -> Option<(usize, usize, bool)> {
    let (side, level, price) = match field {
        Field::BidPrice(level) => (0, level, true),
        Field::BidQty(level) => (0, level, false),
        Field::AskPrice(level) => (1, level, true),
        Field::AskQty(level) => (1, level, false),
        _ => return None,
    };
    Some((side, usize::from(level) - 1, price))
}

/// The sides among a table's fields, for a program with these inputs.
pub(crate) fn sides(fields: &[Field], inputs: &[Input], book: bool) -> Sides {
    let mut levels: [Vec<Level>; 2] = Default::default();
    for (column, &field) in fields.iter().enumerate() {
        let Some((side, level, price)) = place(field) else {
            continue;
        };
        if levels[side].len() <= level {
            levels[side].resize(level + 1, Level::default());
        }
        let level = &mut levels[side][level];
        *(if price {
            &mut level.price
        } else {
            &mut level.qty
        }) = Some(column);
    }
    let numbered = inputs.iter().enumerate();
    let fed = numbered.filter_map(|(reg, input)| match input {
        Input::Field(field) => place(*field).map(|(side, level, price)| LevelInput {
            reg: slot(reg),
            side,
            level,
            price,
        }),
        _ => None,
    });
    Sides::new(levels, fed.collect(), book)
}

/// Whether nothing of these rows is empty or crossed.
#[inline(always)]
pub(crate) fn are_plain(sides: &Sides, columns: &[Column<'_>], rows: Range<usize>) -> bool {
    let whole = |&column: &usize| columns[column].codes.is_none();
    let values = |column: usize| &columns[column].values[rows.clone()];
    let above_zero = |&qty: &usize| values(qty).iter().fold(true, |all, &qty| all & (qty > 0.0));
    sides.prices().iter().chain(sides.qtys()).all(whole)
        && sides.qtys().iter().all(above_zero)
        && sides.best().is_none_or(|[bid, ask]| {
            let sides = values(bid).iter().zip(values(ask));
            sides.fold(true, |all, (bid, ask)| all & (bid < ask))
        })
}
