//! The columns that a batch has only if its messages need them.

use std::ops::Range;

use arrow_array::StringArray;
use arrow_buffer::{ArrowNativeType, ScalarBuffer};

/// "The message tells no checksum": in memory only; in Arrow the value is null.
pub const NO_CHECKSUM: i64 = -1;

/// A column that may be absent: then each row has the column's default.
pub type Rare<T> = Option<ScalarBuffer<T>>;

/// Lists the rare columns of numbers: `name: type = default`. A new one is a line here, its meaning in [`More`], and a
/// rule in `check.rs`.
macro_rules! rare_columns {
    ($use:ident $(, $argument:tt)*) => {
        $use! { ($($argument),*)
            order_id: u64 = 0,
            action: u8 = 0,
            condition: u8 = 0,
            field: u8 = 0,
            count: i64 = 0,
            value: f64 = 0.0,
            checksum: i64 = $crate::more::NO_CHECKSUM,
            code: u8 = 0,
            stream: u8 = 0,
            scope: u8 = 0,
        }
    };
}
pub(crate) use rare_columns;

/// The rare columns of a batch. Each is absent, or as long as the others of the batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct More {
    /// Id of the order; 0 if the row tells of none.
    pub order_id: Rare<u64>,
    /// Code of the [`crate::OrderAction`]; 0 if the row tells of no order.
    pub action: Rare<u8>,
    /// Code of the [`crate::Condition`] of a trade.
    pub condition: Rare<u8>,
    /// Code of the [`crate::BarField`] or [`crate::ReferenceField`]; 0 in other kinds.
    pub field: Rare<u8>,
    /// A whole number without scale.
    pub count: Rare<i64>,
    /// A number without unit.
    pub value: Rare<f64>,
    /// The venue's 32-bit checksum of the book after this message, in its last row; [`NO_CHECKSUM`] where it tells none.
    pub checksum: Rare<i64>,
    /// Code of the [`crate::StatusCode`]; 0 in other kinds.
    pub code: Rare<u8>,
    /// Code of the [`crate::Kind`] that a status concerns; 0: all.
    pub stream: Rare<u8>,
    /// Code of the [`crate::Scope`] of a status; 0 in other kinds.
    pub scope: Rare<u8>,
    /// JSON of a [`crate::Definition`]; null in other kinds.
    pub definition: Option<StringArray>,
}

impl More {
    /// Whether every column is absent.
    pub fn is_empty(&self) -> bool {
        macro_rules! absent {
            (() $($name:ident: $type:ty = $default:expr,)+) => { $(self.$name.is_none() &&)+ self.definition.is_none() };
        }
        rare_columns!(absent)
    }

    /// The columns that are there; `None` if none is.
    pub(crate) fn if_any(self) -> Option<Box<More>> {
        (!self.is_empty()).then(|| Box::new(self))
    }

    /// These rows, without a copy.
    pub(crate) fn slice(&self, rows: Range<usize>) -> More {
        let (at, len) = (rows.start, rows.len());
        macro_rules! sliced {
            (() $($name:ident: $type:ty = $default:expr,)+) => {
                More {
                    $($name: self.$name.as_ref().map(|column| column.slice(at, len)),)+
                    definition: self.definition.as_ref().map(|column| column.slice(at, len)),
                }
            };
        }
        rare_columns!(sliced)
    }

    /// Lengths of the columns that are there.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        use arrow_array::Array;
        let mut lengths = Vec::new();
        macro_rules! each {
            (() $($name:ident: $type:ty = $default:expr,)+) => { $(lengths.extend(self.$name.as_ref().map(|c| c.len()));)+ };
        }
        rare_columns!(each);
        lengths.extend(self.definition.as_ref().map(|column| column.len()));
        lengths
    }
}

/// A row's number in a rare column.
#[inline]
pub(crate) fn at<T: ArrowNativeType>(column: &Rare<T>, row: usize, default: T) -> T {
    match column {
        Some(values) => values[row],
        None => default,
    }
}
