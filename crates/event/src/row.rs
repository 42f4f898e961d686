//! One row of a message that tells more than side, price and quantity.

use crate::{BarField, Condition, Order, OrderAction, ReferenceField, Side, Unit};

/// The cells of one row; what a message does not tell stays at its default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Side of a level or an order, or the aggressor's.
    pub side: Side,
    /// Mantissa at the instrument's price scale.
    pub price: i64,
    /// Mantissa at the instrument's quantity scale.
    pub qty: i64,
    /// Id of the order; 0 for none.
    pub order_id: u64,
    /// What became of the order.
    pub action: Option<OrderAction>,
    /// What kind of print a trade is.
    pub condition: Condition,
    /// Code of a [`BarField`] or [`ReferenceField`]; 0 for none.
    pub field: u8,
    /// A whole number without scale.
    pub count: i64,
    /// A number without unit.
    pub value: f64,
}

impl Default for Row {
    fn default() -> Row {
        Row {
            side: Side::None,
            price: 0,
            qty: 0,
            order_id: 0,
            action: None,
            condition: Condition::Ordinary,
            field: 0,
            count: 0,
            value: 0.0,
        }
    }
}

impl Row {
    /// A field of a bar with its mantissa or whole number.
    pub fn bar(field: BarField, number: i64) -> Row {
        Row::number(field.code(), field.unit(), number)
    }

    /// A field of reference data with its mantissa or whole number. A field without unit takes [`Row::pure`].
    pub fn reference(field: ReferenceField, number: i64) -> Row {
        Row::number(field.code(), field.unit(), number)
    }

    /// A field of reference data whose number has no unit. What is not a number has no row.
    pub fn pure(field: ReferenceField, value: f64) -> Row {
        debug_assert_eq!(field.unit(), Unit::Pure, "{field}");
        Row {
            field: field.code(),
            value,
            ..Row::default()
        }
    }

    /// What became of an order.
    pub fn order(order: Order) -> Row {
        let Order {
            id,
            action,
            side,
            price,
            qty,
        } = order;
        Row {
            side,
            price,
            qty,
            order_id: id,
            action: Some(action),
            ..Row::default()
        }
    }

    fn number(field: u8, unit: Unit, number: i64) -> Row {
        let row = Row {
            field,
            ..Row::default()
        };
        match unit {
            Unit::Price => Row {
                price: number,
                ..row
            },
            Unit::Qty => Row { qty: number, ..row },
            Unit::Count => Row {
                count: number,
                ..row
            },
            Unit::Pure => Row {
                value: number as f64,
                ..row
            },
        }
    }
}
