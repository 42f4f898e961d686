//! The invariants of a batch.
//!
//! Every tape that is read goes through here, so each pass asks one yes-or-no question of whole columns, which the
//! compiler turns into vector code; only a "no" looks for the row.

use crate::{
    BarField, EventBatch, EventError, Kind, Message, NO_INSTRUMENT, Side, StatusCode, flags,
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
    if lengths.iter().any(|&len| len != rows) {
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
        |&i| usize::from(i) >= known && i != NO_INSTRUMENT,
        |&i| i.into(),
    )?;
    let bad_side = |(&side, &kind): (&u8, &u8)| {
        if kind == Kind::Bar.code() {
            side.wrapping_sub(1) >= BarField::ALL.len() as u8
        } else {
            side >= Side::ALL.len() as u8
        }
    };
    let sides = || c.side.iter().zip(c.kind.iter());
    if sides().fold(false, |bad, row| bad | bad_side(row)) {
        let row = sides().position(bad_side).unwrap_or(0);
        return Err(EventError::UnknownCode {
            column: "side",
            row,
            code: c.side[row].into(),
        });
    }
    Ok(())
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

/// The rows are those that the kind calls for.
fn shape(message: &Message<'_>) -> Result<(), EventError> {
    let refuse = |what: &'static str| {
        Err(EventError::BrokenMessage {
            row: message.rows.start,
            what,
        })
    };
    let one_row = message.rows.len() == 1;
    match message.kind {
        Kind::Mark if message.instrument == NO_INSTRUMENT && one_row => Ok(()),
        Kind::Mark => refuse("a mark has one row and no instrument"),
        Kind::Status => {
            let code = |value: i64| u8::try_from(value).ok();
            let state = code(message.prices()[0]).and_then(StatusCode::from_code);
            let stream =
                code(message.qtys()[0]).filter(|&c| c == 0 || Kind::from_code(c).is_some());
            if one_row && state.is_some() && stream.is_some() {
                Ok(())
            } else {
                refuse("a status has one row with a known state and stream")
            }
        }
        _ if message.instrument == NO_INSTRUMENT => refuse("market data names no instrument"),
        Kind::Trade if !one_row => refuse("a trade has one row"),
        Kind::Quote if message.sides() != [Side::Bid.code(), Side::Ask.code()] => {
            refuse("a quote has two rows, bid then ask")
        }
        _ => Ok(()),
    }
}
