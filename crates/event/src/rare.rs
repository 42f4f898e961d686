//! Rare columns in the making.

use std::ops::Range;

use arrow_array::StringArray;
use arrow_buffer::{ArrowNativeType, ScalarBuffer};

use crate::More;
use crate::more::rare_columns;

macro_rules! more_builder {
    (() $($name:ident: $type:ty = $default:expr,)+) => {
        /// Rare columns that grow: each ends with the last row that is not at the default.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct MoreBuilder {
            $(pub(crate) $name: Vec<$type>,)+
            pub(crate) definition: Vec<(usize, String)>,
        }

        impl MoreBuilder {
            #[inline]
            pub(crate) fn truncate(&mut self, rows: usize) {
                $(self.$name.truncate(rows);)+
                while self.definition.pop_if(|(row, _)| *row >= rows).is_some() {}
            }

            /// Appends these rows of another batch, the first of which is row `first` here.
            pub(crate) fn extend(&mut self, first: usize, more: &More, rows: Range<usize>) {
                $(if let Some(column) = &more.$name {
                    let cells = &column[rows.clone()];
                    if cells.iter().any(|cell| *cell != $default) {
                        self.$name.resize(first, $default);
                        self.$name.extend_from_slice(cells);
                    }
                })+
                if let Some(column) = &more.definition {
                    let texts = rows.clone().filter_map(|row| Some((row, text(column, row)?)));
                    self.definition
                        .extend(texts.map(|(row, text)| (first + row - rows.start, text.to_string())));
                }
            }

            /// One that writes into the memory of columns that nobody else has.
            pub(crate) fn within(spent: More) -> MoreBuilder {
                MoreBuilder {
                    $($name: spent.$name.map(emptied).unwrap_or_default(),)+
                    definition: Vec::new(),
                }
            }

            pub(crate) fn finish(mut self, rows: usize) -> More {
                More {
                    $($name: (!self.$name.is_empty()).then(|| {
                        self.$name.resize(rows, $default);
                        self.$name.into()
                    }),)+
                    definition: (!self.definition.is_empty()).then(|| {
                        let mut texts = vec![None; rows];
                        self.definition.into_iter().for_each(|(row, text)| texts[row] = Some(text));
                        StringArray::from(texts)
                    }),
                }
            }
        }
    };
}
rare_columns!(more_builder);

/// Gives a row its number; rows before it that have none yet get the default.
#[inline(always)]
pub(crate) fn set<T: Copy + PartialEq>(
    column: &mut Vec<T>,
    row: usize,
    value: T,
    default: T,
    room: usize,
) {
    if value != default {
        if column.len() != row || column.capacity() == row {
            widen(column, row, default, room);
        }
        column.push(value);
    }
}

/// Makes a column as long as it should be; one that begins gets room for as many rows as the others have.
#[cold]
#[inline(never)]
fn widen<T: Copy>(column: &mut Vec<T>, row: usize, default: T, room: usize) {
    if column.capacity() == 0 {
        column.reserve(room.max(row));
    }
    column.resize(row, default);
}

/// The column's memory without its rows; none if somebody else has the column.
pub(crate) fn emptied<T: ArrowNativeType>(column: ScalarBuffer<T>) -> Vec<T> {
    let mut cells: Vec<T> = column.into_inner().into_vec().unwrap_or_default();
    cells.clear();
    cells
}

/// A row's text.
pub(crate) fn text(column: &StringArray, row: usize) -> Option<&str> {
    use arrow_array::Array;
    (row < column.len() && column.is_valid(row)).then(|| column.value(row))
}
