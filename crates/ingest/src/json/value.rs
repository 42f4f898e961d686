//! Values whose meaning is asked for later, by key.

use std::borrow::Cow;

use signal_event::decimal::parse_quantity;
use signal_event::{DecimalError, Timestamp};

use super::cursor::Cursor;
use super::fault::{Fault, Text, fault};
use super::time::ns_of_ms;
use super::{Keys, Shapes};
use crate::RejectCode;

/// A JSON value as it stands in the frame: well-formed, no key twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    text: &'a [u8],
}

impl<'a> Value<'a> {
    /// The whole of a frame.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Value<'a>, Fault> {
        let mut cursor = Cursor::new(text, Shapes::default());
        let value = cursor.value()?;
        cursor.end()?;
        Ok(value)
    }

    /// A value that has been looked at.
    pub(super) fn of(text: &'a [u8]) -> Value<'a> {
        Value { text }
    }

    /// A cursor that takes it.
    pub(crate) fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.text, Shapes::default())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.text == b"null"
    }

    pub(crate) fn is_list(&self) -> bool {
        self.text.first() == Some(&b'[')
    }

    pub(crate) fn unsigned(&self) -> Option<u64> {
        let digits = self.text.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(self.text).ok().filter(|_| digits)?;
        text.parse().ok()
    }

    pub(crate) fn truth(&self) -> Option<bool> {
        match self.text {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<Text<'a>> {
        match self.text.first() {
            Some(b'"') => self.cursor().text().ok(),
            _ => None,
        }
    }

    /// The characters of a number.
    pub(crate) fn number(&self) -> Option<&'a [u8]> {
        match self.text.first() {
            Some(b'-' | b'0'..=b'9') => Some(self.text),
            _ => None,
        }
    }

    /// A number without unit.
    pub(crate) fn float(&self) -> Option<f64> {
        let value: f64 = std::str::from_utf8(self.number()?).ok()?.parse().ok()?;
        value.is_finite().then_some(value)
    }

    /// A number that is a price or quantity, exactly.
    pub(crate) fn decimal(&self, scale: u8) -> Result<i64, (RejectCode, String)> {
        let Some(text) = self.number() else {
            return Err((RejectCode::BadValue, "no number".into()));
        };
        number_of(text, scale)
    }

    pub(crate) fn list(&self) -> Option<Vec<Value<'a>>> {
        if !self.is_list() {
            return None;
        }
        let mut items = Vec::new();
        let taken = self.cursor().list(|cursor| {
            items.push(cursor.value()?);
            Ok(())
        });
        taken.ok().map(|()| items)
    }

    pub(crate) fn object(&self) -> Option<Object<'a>> {
        Object::of(self.cursor()).ok()
    }
}

/// The characters of a number as a price or quantity, exactly.
pub(crate) fn number_of(text: &[u8], scale: u8) -> Result<i64, (RejectCode, String)> {
    let plain = without_exponent(text)
        .ok_or_else(|| (RejectCode::Overflow, "an exponent out of range".to_string()))?;
    parse_quantity(&plain, scale).map_err(|error| {
        let what = format!("{error} (scale {scale})");
        (RejectCode::of_decimal(error), what)
    })
}

/// Exponents beyond this have no exact place in 64 bits, and would make long texts.
const EXPONENT_MAX: usize = 40;

/// The same number written out: JSON numbers may be `1.0e-5`.
fn without_exponent(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(at) = text.iter().position(|b| matches!(b, b'e' | b'E')) else {
        return Some(Cow::Borrowed(text));
    };
    let exponent: i32 = std::str::from_utf8(&text[at + 1..]).ok()?.parse().ok()?;
    let (sign, digits) = match &text[..at] {
        [b'-', digits @ ..] => (&b"-"[..], digits),
        digits => (&b""[..], digits),
    };
    let point = digits.iter().position(|&b| b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &b""[..]),
    };
    let shift = exponent.unsigned_abs() as usize;
    if shift > EXPONENT_MAX {
        let zero = whole.iter().chain(fraction).all(|&b| b == b'0');
        return zero.then_some(Cow::Borrowed(&b"0"[..]));
    }
    let zeros = vec![b'0'; shift];
    let (all, place) = if exponent < 0 {
        ([&zeros[..], whole, fraction].concat(), whole.len())
    } else {
        ([whole, fraction, &zeros[..]].concat(), whole.len() + shift)
    };
    let plain = [sign, b"0", &all[..place], b".", &all[place..], b"0"].concat();
    Some(Cow::Owned(plain))
}

/// A string that is a decimal: a price or quantity.
pub(crate) fn decimal_of(value: Value<'_>, key: &str, scale: u8) -> Result<i64, Fault> {
    let Some(text) = value.text() else {
        let detail = format!("{key:?} holds a number that is no decimal string");
        return Err(fault(RejectCode::BadValue, detail));
    };
    parse_quantity(&text, scale).map_err(|error| {
        let text = String::from_utf8_lossy(&text);
        let detail = format!("{key:?} {text:?} {error} (scale {scale})");
        fault(RejectCode::of_decimal(error), detail)
    })
}

impl RejectCode {
    /// The code of what is wrong with a price or quantity.
    pub(crate) const fn of_decimal(error: DecimalError) -> RejectCode {
        match error {
            DecimalError::Malformed => RejectCode::BadValue,
            DecimalError::Precision => RejectCode::Precision,
            DecimalError::Overflow => RejectCode::Overflow,
            DecimalError::Negative => RejectCode::Negative,
        }
    }
}

/// A JSON object whose keys are asked for by name.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    members: Vec<(Text<'a>, Value<'a>)>,
}

impl<'a> Object<'a> {
    /// Takes the object that comes next.
    pub(crate) fn of(mut cursor: Cursor<'a>) -> Result<Object<'a>, Fault> {
        if !cursor.begins(b'{') {
            return Err(cursor.refuse(RejectCode::BadValue, "no object"));
        }
        cursor.mark(b'{')?;
        let (mut members, mut keys) = (Vec::new(), Keys::of(cursor.rest));
        if !cursor.empty(b'}') {
            loop {
                let key = cursor.key()?;
                keys.unknown(key.clone(), cursor.rest)?;
                members.push((key, cursor.value()?));
                if !cursor.more(b'}')? {
                    break;
                }
            }
        }
        Ok(Object { members })
    }

    /// The whole of a frame; what is no object is no frame.
    pub(crate) fn parse(text: &'a [u8], name: &str) -> Result<Object<'a>, Fault> {
        Object::within(Value::parse(text)?, name)
    }

    /// A value that must be an object.
    pub(crate) fn within(value: Value<'a>, name: &str) -> Result<Object<'a>, Fault> {
        let unknown = || {
            fault(
                RejectCode::UnknownFrame,
                format!("the {name} is no JSON object"),
            )
        };
        value.object().ok_or_else(unknown)
    }

    pub(crate) fn find(&self, key: &str) -> Option<Value<'a>> {
        let named = |(name, _): &&(Text<'a>, Value<'a>)| &**name == key.as_bytes();
        self.members.iter().find(named).map(|(_, value)| *value)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    #[cfg(test)]
    pub(crate) fn members(&self) -> impl Iterator<Item = (&Text<'a>, Value<'a>)> {
        self.members.iter().map(|(key, value)| (key, *value))
    }

    pub(crate) fn get(&self, key: &str) -> Result<Value<'a>, Fault> {
        self.find(key)
            .ok_or_else(|| fault(RejectCode::MissingKey, format!("no key {key:?}")))
    }

    pub(crate) fn unsigned(&self, key: &str) -> Result<u64, Fault> {
        self.get(key)?
            .unsigned()
            .ok_or_else(|| bad(key, "is no unsigned 64-bit integer"))
    }

    /// A time in milliseconds.
    pub(crate) fn ms(&self, key: &str) -> Result<Timestamp, Fault> {
        let ms = self.unsigned(key)?;
        ns_of_ms(ms).ok_or_else(|| {
            let detail = format!("{key:?} {ms} ms do not fit into 64-bit ns");
            fault(RejectCode::Overflow, detail)
        })
    }

    pub(crate) fn text(&self, key: &str) -> Result<Text<'a>, Fault> {
        self.get(key)?
            .text()
            .ok_or_else(|| bad(key, "is no string"))
    }

    pub(crate) fn truth(&self, key: &str) -> Result<bool, Fault> {
        self.get(key)?
            .truth()
            .ok_or_else(|| bad(key, "is neither true nor false"))
    }

    /// A price or quantity in a string.
    pub(crate) fn decimal(&self, key: &str, scale: u8) -> Result<i64, Fault> {
        decimal_of(self.get(key)?, key, scale)
    }
}

#[cold]
fn bad(key: &str, what: &str) -> Fault {
    fault(RejectCode::BadValue, format!("{key:?} {what}"))
}
