//! What a message says, in the words of its kind.

use crate::more::at;
use crate::rare::text;
use crate::{
    BarField, Condition, Definition, EventError, Kind, Message, More, NO_CHECKSUM, Order,
    OrderAction, ReferenceField, Scope, Side, StatusCode, Unit,
};

/// The content of a message. Prices and quantities are mantissas in the instrument's scales.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A trade, or a print of the venue that its condition tells apart.
    Trade {
        /// The venue's id; [`crate::NO_SEQUENCE`] where there is none.
        id: u64,
        /// Price.
        price: i64,
        /// Quantity.
        qty: i64,
        /// Who took liquidity.
        aggressor: Side,
        /// What kind of print it is.
        condition: Condition,
    },
    /// The best bid and ask; a side on which nobody stands has quantity 0.
    Quote {
        /// Best bid.
        bid_price: i64,
        /// Quantity there.
        bid_qty: i64,
        /// Best ask.
        ask_price: i64,
        /// Quantity there.
        ask_qty: i64,
    },
    /// Levels of the book.
    Depth {
        /// Whether they replace the book, or change it.
        snapshot: bool,
        /// The levels.
        levels: Levels<'a>,
        /// The venue's checksum of the book after this message.
        checksum: Option<u32>,
    },
    /// Changes of single orders, in this sequence.
    Orders(Orders<'a>),
    /// A bar.
    Bar(Bar<'a>),
    /// The state of an instrument, a venue or all feeds.
    Status {
        /// Whom it concerns.
        scope: Scope,
        /// The kind of messages that it concerns; `None`: all.
        stream: Option<Kind>,
        /// The state.
        code: StatusCode,
    },
    /// What the instrument is from now on.
    Definition(DefinitionText<'a>),
    /// Numbers about the instrument.
    Reference(Reference<'a>),
    /// The clock has reached the message's receive time.
    Mark,
}

impl<'a> Message<'a> {
    /// What the message says. The rows have been checked, so nothing here can fail.
    #[inline]
    pub fn event(&self) -> Event<'a> {
        let row = self.rows.start;
        let c = &self.batch.columns;
        match self.kind {
            Kind::Trade => Event::Trade {
                id: self.sequence,
                price: c.price[row],
                qty: c.qty[row],
                aggressor: side(c.side[row]),
                condition: self.condition(),
            },
            Kind::Quote => Event::Quote {
                bid_price: c.price[row],
                bid_qty: c.qty[row],
                ask_price: c.price[row + 1],
                ask_qty: c.qty[row + 1],
            },
            Kind::BookDiff | Kind::BookSnapshot => Event::Depth {
                snapshot: self.kind == Kind::BookSnapshot,
                levels: Levels {
                    sides: self.sides(),
                    prices: self.prices(),
                    qtys: self.qtys(),
                },
                checksum: self.checksum(),
            },
            Kind::Order => Event::Orders(Orders {
                message: self.clone(),
                next: row,
            }),
            Kind::Bar => Event::Bar(Bar(self.clone())),
            Kind::Status => self.status(),
            Kind::Definition => Event::Definition(DefinitionText(self.definition())),
            Kind::Reference => Event::Reference(Reference(self.clone())),
            Kind::Mark => Event::Mark,
        }
    }

    /// The venue's checksum of the book after this message.
    #[inline]
    pub fn checksum(&self) -> Option<u32> {
        let more = self.batch.columns.more.as_ref()?;
        u32::try_from(at(&more.checksum, self.rows.end - 1, NO_CHECKSUM)).ok()
    }

    /// Of a status `conflated`: the kind of messages that were left out, and how many; `None` of every other message.
    #[inline]
    pub fn conflated(&self) -> Option<(Kind, u64)> {
        if self.kind != Kind::Status {
            return None;
        }
        match self.status() {
            Event::Status {
                stream: Some(kind),
                code: StatusCode::Conflated,
                ..
            } => {
                let more = self.batch.columns.more.as_deref()?;
                let count = at(&more.count, self.rows.start, 0);
                Some((kind, u64::try_from(count).unwrap_or(0)))
            }
            _ => None,
        }
    }

    /// A field of a bar: its mantissa, the count of trades or the length; `None` where the bar has none.
    pub fn bar_field(&self, field: BarField) -> Option<i64> {
        match self.kind {
            Kind::Bar => Bar(self.clone()).get(field),
            _ => None,
        }
    }

    fn status(&self) -> Event<'a> {
        let cell = |column: fn(&More) -> &crate::Rare<u8>| {
            let more = self.batch.columns.more.as_deref();
            more.map_or(0, |more| at(column(more), self.rows.start, 0))
        };
        let scope = Scope::from_code(cell(|more| &more.scope));
        let code = StatusCode::from_code(cell(|more| &more.code));
        Event::Status {
            scope: scope.unwrap_or(Scope::All),
            stream: Kind::from_code(cell(|more| &more.stream)),
            code: code.unwrap_or(StatusCode::Disconnected),
        }
    }

    fn definition(&self) -> &'a str {
        let more = self.batch.columns.more.as_ref();
        let column = more.and_then(|more| more.definition.as_ref());
        column
            .and_then(|column| text(column, self.rows.start))
            .unwrap_or_default()
    }

    /// The row with a field, and its number.
    fn field(&self, code: u8, unit: Unit) -> Option<Number> {
        let row = self.rows.clone().find(|&row| self.field_at(row) == code)?;
        Some(self.number(row, unit))
    }

    fn field_at(&self, row: usize) -> u8 {
        let more = self.batch.columns.more.as_ref();
        more.map_or(0, |more| at(&more.field, row, 0))
    }

    fn number(&self, row: usize, unit: Unit) -> Number {
        let c = &self.batch.columns;
        let more = c.more.as_ref();
        match unit {
            Unit::Price => Number::Price(c.price[row]),
            Unit::Qty => Number::Qty(c.qty[row]),
            Unit::Count => Number::Count(more.map_or(0, |more| at(&more.count, row, 0))),
            Unit::Pure => Number::Pure(more.map_or(0.0, |more| at(&more.value, row, 0.0))),
        }
    }
}

#[inline]
fn side(code: u8) -> Side {
    Side::from_code(code).unwrap_or(Side::None)
}

/// Levels of one side or both, in the venue's sequence. A diff's level of quantity 0 is gone; a message without levels has
/// one of side none.
#[derive(Clone, Copy, Debug)]
pub struct Levels<'a> {
    /// Codes of the sides.
    pub sides: &'a [u8],
    /// Price mantissas.
    pub prices: &'a [i64],
    /// Quantity mantissas.
    pub qtys: &'a [i64],
}

impl<'a> Levels<'a> {
    /// Side, price and quantity of each.
    pub fn iter(&self) -> impl Iterator<Item = (Side, i64, i64)> + 'a {
        let numbers = self.prices.iter().zip(self.qtys);
        let cells = self.sides.iter().zip(numbers);
        cells.map(|(&code, (&price, &qty))| (side(code), price, qty))
    }
}

/// Changes of single orders, one a row.
#[derive(Clone, Debug)]
pub struct Orders<'a> {
    message: Message<'a>,
    next: usize,
}

impl Iterator for Orders<'_> {
    type Item = Order;

    #[inline]
    fn next(&mut self) -> Option<Order> {
        let row = self.next;
        if row >= self.message.rows.end {
            return None;
        }
        self.next += 1;
        let c = &self.message.batch.columns;
        let more = c.more.as_ref()?;
        Some(Order {
            id: at(&more.order_id, row, 0),
            action: OrderAction::from_code(at(&more.action, row, 0))?,
            side: side(c.side[row]),
            price: c.price[row],
            qty: c.qty[row],
        })
    }
}

/// The number of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A mantissa in the instrument's price scale.
    Price(i64),
    /// A mantissa in the instrument's quantity scale.
    Qty(i64),
    /// A whole number.
    Count(i64),
    /// A number without unit.
    Pure(f64),
}

/// A bar: the fields that it has.
#[derive(Clone, Debug)]
pub struct Bar<'a>(Message<'a>);

impl Bar<'_> {
    /// A field's mantissa or whole number; `None` where the bar has none.
    pub fn get(&self, field: BarField) -> Option<i64> {
        match self.0.field(field.code(), field.unit())? {
            Number::Price(number) | Number::Qty(number) | Number::Count(number) => Some(number),
            Number::Pure(_) => None,
        }
    }
}

/// Numbers about an instrument.
#[derive(Clone, Debug)]
pub struct Reference<'a>(Message<'a>);

impl Reference<'_> {
    /// A field's number; `None` where the message does not tell it.
    pub fn get(&self, field: ReferenceField) -> Option<Number> {
        self.0.field(field.code(), field.unit())
    }

    /// Every field that is told, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (ReferenceField, Number)> + '_ {
        self.0.rows.clone().filter_map(|row| {
            let field = ReferenceField::from_code(self.0.field_at(row))?;
            Some((field, self.0.number(row, field.unit())))
        })
    }
}

/// A definition as it stands on the tape.
#[derive(Clone, Copy, Debug)]
pub struct DefinitionText<'a>(&'a str);

impl<'a> DefinitionText<'a> {
    /// Its JSON.
    pub fn text(&self) -> &'a str {
        self.0
    }

    /// The definition. The text has been checked: an error is damage in memory.
    pub fn read(&self) -> Result<Definition, EventError> {
        Definition::from_json(self.0)
    }
}
