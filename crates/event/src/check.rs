//! The invariants of a batch.
//!
//! Every tape that is read goes through here, so each pass asks one yes-or-no question of whole columns, which the
//! compiler turns into vector code; only a "no" looks for the row.

use crate::more::at;
use crate::rare::text;
use crate::{
    BarField, Condition, Definition, EventBatch, EventError, Kind, Message, More, NO_CHECKSUM,
    NO_INSTRUMENT, OrderAction, Rare, ReferenceField, Scope, Side, StatusCode, flags,
};

pub(crate) fn batch(batch: &EventBatch) -> Result<(), EventError> {
    let c = batch.columns();
    let rows = batch.len();
    let lengths = [
        c.ts_event.len(),
        c.sequence.len(),
        c.sequence_prev.len(),
        c.instrument.len(),
        c.kind.len(),
        c.side.len(),
        c.flags.len(),
        c.price.len(),
        c.qty.len(),
    ];
    let more = c.more.as_ref().map(|more| more.lengths());
    let mut lengths = lengths.into_iter().chain(more.into_iter().flatten());
    if lengths.any(|len| len != rows) {
        return Err(EventError::BrokenMessage {
            row: 0,
            what: "columns differ in length",
        });
    }
    codes(batch)?;
    if rows > 0 && c.flags[rows - 1] & flags::LAST == 0 {
        return Err(EventError::BrokenMessage {
            row: rows - 1,
            what: "the final message is not closed",
        });
    }
    agree(&c.ts_recv, &c.flags)?;
    agree(&c.ts_event, &c.flags)?;
    agree(&c.sequence, &c.flags)?;
    agree(&c.sequence_prev, &c.flags)?;
    agree(&c.instrument, &c.flags)?;
    agree(&c.kind, &c.flags)?;
    batch.messages().try_for_each(|message| shape(&message))
}

/// Every code names something.
fn codes(batch: &EventBatch) -> Result<(), EventError> {
    let c = batch.columns();
    let known = batch.instruments().len();
    first(
        &c.kind,
        "kind",
        |&kind| kind.wrapping_sub(1) >= Kind::ALL.len() as u8,
        |&kind| kind.into(),
    )?;
    first(
        &c.flags,
        "flags",
        |&flags| flags & !flags::KNOWN != 0,
        |&flags| flags.into(),
    )?;
    first(
        &c.instrument,
        "instrument",
        |&i| i as usize >= known && i != NO_INSTRUMENT.0,
        |&i| i.into(),
    )?;
    first(
        &c.side,
        "side",
        |&side| side >= Side::ALL.len() as u8,
        |&side| side.into(),
    )?;
    match &c.more {
        Some(more) => rare_codes(more),
        None => Ok(()),
    }
}

/// Every code in the rare columns names something, whatever the kind; 0 is none.
fn rare_codes(more: &More) -> Result<(), EventError> {
    let codes = |column: &Rare<u8>, name: &'static str, greatest: usize| match column {
        Some(codes) => first(
            codes,
            name,
            |&code| usize::from(code) > greatest,
            |&code| code.into(),
        ),
        None => Ok(()),
    };
    codes(&more.action, "action", OrderAction::ALL.len())?;
    codes(&more.condition, "condition", Condition::ALL.len() - 1)?;
    codes(&more.field, "field", ReferenceField::ALL.len())?;
    codes(&more.code, "code", StatusCode::ALL.len())?;
    codes(&more.stream, "stream", Kind::ALL.len())?;
    codes(&more.scope, "scope", Scope::ALL.len())?;
    let number = |value: &&f64| value.is_nan();
    if let Some(row) = more
        .value
        .as_ref()
        .and_then(|all| all.iter().position(|v| number(&v)))
    {
        return Err(EventError::BrokenMessage {
            row,
            what: "its value is not a number",
        });
    }
    match &more.checksum {
        Some(sums) => first(
            sums,
            "checksum",
            |&sum| sum != NO_CHECKSUM && sum as u64 > u64::from(u32::MAX),
            |&sum| sum as u64,
        ),
        None => Ok(()),
    }
}

/// The first value that is bad is an error.
fn first<T>(
    values: &[T],
    column: &'static str,
    bad: impl Fn(&T) -> bool,
    code: impl Fn(&T) -> u64,
) -> Result<(), EventError> {
    if !values.iter().fold(false, |any, value| any | bad(value)) {
        return Ok(());
    }
    let row = values.iter().position(bad).unwrap_or(0);
    Err(EventError::UnknownCode {
        column,
        row,
        code: code(&values[row]),
    })
}

/// The rows of a message have one value.
fn agree<T: Copy + PartialEq>(values: &[T], row_flags: &[u8]) -> Result<(), EventError> {
    let pairs = || values.iter().zip(values.iter().skip(1)).zip(row_flags);
    let differs =
        |((before, after), flags): ((&T, &T), &u8)| (before != after) & (flags & flags::LAST == 0);
    if !pairs().fold(false, |any, pair| any | differs(pair)) {
        return Ok(());
    }
    let row = pairs().position(differs).unwrap_or(0) + 1;
    Err(EventError::BrokenMessage {
        row,
        what: "it differs from the row before in its message",
    })
}

/// More messages than anybody ever leaves out.
const LEFT_OUT_MAX: u64 = 1 << 40;

/// Whether a status says all that one of messages left out has to say.
fn is_conflation(message: &Message<'_>) -> bool {
    let count = message.conflated().map_or(0, |(_, count)| count);
    message.instrument != NO_INSTRUMENT && (1..=LEFT_OUT_MAX).contains(&count)
}

/// The rows are those that the kind calls for.
fn shape(message: &Message<'_>) -> Result<(), EventError> {
    let refuse = |what: &'static str| {
        Err(EventError::BrokenMessage {
            row: message.rows.start,
            what,
        })
    };
    let one_row = message.rows.len() == 1;
    let more = message.batch.columns.more.as_deref();
    let cell = |column: fn(&More) -> &Rare<u8>, row: usize| {
        more.map_or(0, |more| at(column(more), row, 0))
    };
    let each = |column: fn(&More) -> &Rare<u8>, good: &dyn Fn(u8) -> bool| {
        message.rows.clone().all(|row| good(cell(column, row)))
    };
    let row = message.rows.start;
    match message.kind {
        Kind::Mark if message.instrument == NO_INSTRUMENT && one_row => Ok(()),
        Kind::Mark => refuse("a mark has one row and no instrument"),
        Kind::Status => {
            let scope = Scope::from_code(cell(|more| &more.scope, row));
            let state = StatusCode::from_code(cell(|more| &more.code, row));
            let names_none = message.instrument == NO_INSTRUMENT;
            if !one_row || state.is_none() || scope.is_none() {
                refuse("a status has one row with a state and a scope")
            } else if (scope == Some(Scope::All)) != names_none {
                refuse("a status names an instrument unless it concerns all")
            } else if state == Some(StatusCode::Conflated) && !is_conflation(message) {
                refuse(
                    "a status conflated says of which stream of its instrument how many were left out",
                )
            } else {
                Ok(())
            }
        }
        _ if message.instrument == NO_INSTRUMENT => refuse("market data names no instrument"),
        Kind::Trade if !one_row => refuse("a trade has one row"),
        Kind::Quote if message.sides() != [Side::Bid.code(), Side::Ask.code()] => {
            refuse("a quote has two rows, bid then ask")
        }
        Kind::Order if !each(|more| &more.action, &|code| code != 0) => {
            refuse("a row of an order says what became of it")
        }
        Kind::Bar
            if !each(|more| &more.field, &|code| {
                BarField::from_code(code).is_some()
            }) =>
        {
            refuse("a row of a bar holds one of its fields")
        }
        Kind::Reference if !each(|more| &more.field, &|code| code != 0) => {
            refuse("a row of reference data holds one of its fields")
        }
        Kind::Definition => {
            let column = more.and_then(|more| more.definition.as_ref());
            match column.and_then(|column| text(column, row)) {
                Some(text) if one_row => Definition::from_json(text).map(|_| ()),
                _ => refuse("a definition has one row with its text"),
            }
        }
        _ => Ok(()),
    }
}
