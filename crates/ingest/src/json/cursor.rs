//! The cursor's general way: whatever JSON may look like, with the fast way tried first.

use std::borrow::Cow;

use signal_event::Timestamp;
use signal_event::decimal::parse_quantity;

use super::digits::Written;
use super::fault::{Fault, Text, fault};
use super::keys::Keys;
use super::time::{ns_of_ms, rfc3339};
use super::{DEPTH_MAX, Shapes, Value, digits};
use crate::RejectCode;

/// A place in a frame. A copy goes its own way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) shapes: Shapes,
    /// Bytes of the whole frame.
    len: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    pub(crate) fn new(text: &'a [u8], shapes: Shapes) -> Cursor<'a> {
        Cursor {
            rest: text,
            shapes,
            len: text.len(),
        }
    }

    /// A cursor on what is left of a frame of so many bytes.
    pub(crate) fn within(frame_bytes: u32, rest: &'a [u8]) -> Cursor<'a> {
        Cursor {
            len: frame_bytes as usize,
            ..Cursor::new(rest, Shapes::default())
        }
    }

    /// Bytes of the whole frame, which has less than 4 GB.
    #[inline(always)]
    pub(crate) fn frame_bytes(&self) -> u32 {
        self.len as u32
    }

    /// Lets a function that is not inlined take what comes next. It gets a copy: a cursor whose address nobody else has
    /// stays in registers.
    #[inline(always)]
    pub(crate) fn lend<T>(
        &mut self,
        take: impl FnOnce(&mut Cursor<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut copy = *self;
        let taken = take(&mut copy)?;
        (self.rest, self.shapes) = (copy.rest, copy.shapes);
        Ok(taken)
    }

    /// Nothing but whitespace follows.
    #[inline(always)]
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.space();
        match self.rest.first() {
            None => Ok(()),
            Some(_) => Err(self.bad("something follows the frame")),
        }
    }

    /// A refusal of what stands here.
    #[inline(always)]
    pub(crate) fn bad(&self, what: &str) -> Fault {
        refusal(self.rest, self.len, RejectCode::BadJson, what)
    }

    /// A refusal of what stands here, for this reason.
    #[inline(always)]
    pub(crate) fn refuse(&self, code: RejectCode, what: &str) -> Fault {
        refusal(self.rest, self.len, code, what)
    }

    /// Takes whitespace.
    #[inline(always)]
    pub(crate) fn space(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    /// Takes this bracket, colon or comma.
    #[inline(always)]
    pub(crate) fn mark(&mut self, mark: u8) -> Result<(), Fault> {
        if let Some((&first, rest)) = self.rest.split_first()
            && first == mark
        {
            self.rest = rest;
            return Ok(());
        }
        self.lend(|c| c.late_mark(mark))
    }

    #[cold]
    #[inline(never)]
    fn late_mark(&mut self, mark: u8) -> Result<(), Fault> {
        self.space();
        match self.rest.split_first() {
            Some((&first, rest)) if first == mark => {
                self.rest = rest;
                Ok(())
            }
            _ => Err(self.bad(&format!("{:?} is missing", mark as char))),
        }
    }

    /// After a member or an item: whether another follows (its comma is taken), or the container is closed.
    #[inline(always)]
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Fault> {
        if let Some((&first, rest)) = self.rest.split_first()
            && (first == b',' || first == close)
        {
            self.rest = rest;
            return Ok(first == b',');
        }
        self.lend(|c| c.late_more(close))
    }

    #[cold]
    #[inline(never)]
    fn late_more(&mut self, close: u8) -> Result<bool, Fault> {
        self.space();
        match self.rest.split_first() {
            Some((b',', rest)) => {
                self.rest = rest;
                Ok(true)
            }
            Some((&first, rest)) if first == close => {
                self.rest = rest;
                Ok(false)
            }
            _ => Err(self.bad("neither a comma nor the end of a list or object")),
        }
    }

    /// After an opening bracket: whether the container is empty, in which case it is closed.
    #[inline(always)]
    pub(crate) fn empty(&mut self, close: u8) -> bool {
        if let Some((&first, rest)) = self.rest.split_first() {
            if first == close {
                self.rest = rest;
                return true;
            }
            if first <= b' ' {
                self.space();
                if self.rest.first() == Some(&close) {
                    self.rest = &self.rest[1..];
                    return true;
                }
            }
        }
        false
    }

    /// Takes a list; `each` takes an item.
    #[inline(always)]
    pub(crate) fn list(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.begins(b'[') {
            return Err(self.refuse(RejectCode::BadValue, "no list"));
        }
        self.mark(b'[')?;
        if self.empty(b']') {
            return Ok(());
        }
        loop {
            self.lend(&mut each)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// Takes levels; where one is beyond the range of a tape, the whole value is passed over and `unheld` says why.
    #[inline(always)]
    pub(crate) fn levels(
        &mut self,
        unheld: &mut Option<Fault>,
        take: impl FnOnce(&mut Cursor<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let here = *self;
        match take(self) {
            Err(fault) if fault.code == RejectCode::Overflow => {
                *self = here;
                self.skip()?;
                unheld.get_or_insert(fault);
                Ok(())
            }
            taken => taken,
        }
    }

    /// Takes an item's comma and says so, or the end of its list.
    #[inline(always)]
    pub(crate) fn comma(&mut self) -> Result<(), Fault> {
        match self.more(b']')? {
            true => Ok(()),
            false => Err(self.refuse(RejectCode::BadValue, "a list is too short")),
        }
    }

    /// Takes what is left of a list whose latest item has been taken.
    #[inline(always)]
    pub(crate) fn rest_of_list(&mut self) -> Result<(), Fault> {
        while self.more(b']')? {
            self.skip()?;
        }
        Ok(())
    }

    /// Whether the next value begins so.
    #[inline(always)]
    pub(crate) fn begins(&mut self, byte: u8) -> bool {
        if self.rest.first() == Some(&byte) {
            return true;
        }
        self.space();
        self.rest.first() == Some(&byte)
    }

    /// Takes a key and its colon.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Fault> {
        if !self.begins(b'"') {
            return Err(self.bad("no key"));
        }
        let key = self.text()?;
        self.mark(b':')?;
        Ok(key)
    }

    /// Takes an unsigned integer.
    #[inline(always)]
    pub(crate) fn unsigned(&mut self) -> Result<u64, Fault> {
        let before = self.rest;
        if let Some(value) = self.integer()
            && let Some(b',' | b'}' | b']') = self.rest.first()
        {
            return Ok(value);
        }
        self.rest = before;
        self.lend(Cursor::late_unsigned)
    }

    #[cold]
    #[inline(never)]
    fn late_unsigned(&mut self) -> Result<u64, Fault> {
        let here = *self;
        self.value()?
            .unsigned()
            .ok_or_else(|| here.refuse(RejectCode::BadValue, "no unsigned 64-bit integer"))
    }

    /// Takes an integer.
    #[inline(always)]
    pub(crate) fn signed(&mut self) -> Result<i64, Fault> {
        let here = *self;
        let refuse = || here.refuse(RejectCode::BadValue, "no 64-bit integer");
        if self.begins(b'-') && self.eat(b"-") && self.rest.first().is_some_and(u8::is_ascii_digit)
        {
            let magnitude = self.unsigned()?;
            return 0i64.checked_sub_unsigned(magnitude).ok_or_else(refuse);
        }
        *self = here;
        i64::try_from(self.unsigned()?).map_err(|_| refuse())
    }

    /// Takes an unsigned integer within a string.
    #[inline(always)]
    pub(crate) fn quoted_unsigned(&mut self) -> Result<u64, Fault> {
        let here = *self;
        if self.eat(b"\"")
            && let Some(value) = self.integer()
            && self.eat(b"\"")
        {
            return Ok(value);
        }
        *self = here;
        self.lend(Cursor::late_quoted_unsigned)
    }

    #[cold]
    #[inline(never)]
    fn late_quoted_unsigned(&mut self) -> Result<u64, Fault> {
        let here = *self;
        let text = self.text()?;
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let value = std::str::from_utf8(&text).ok().filter(|_| digits);
        value
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| here.refuse(RejectCode::BadValue, "no unsigned 64-bit integer"))
    }

    #[inline(always)]
    pub(crate) fn truth(&mut self) -> Result<bool, Fault> {
        let here = *self;
        if let Some(truth) = self.bool() {
            return Ok(truth);
        }
        *self = here;
        self.lend(Cursor::late_truth)
    }

    #[cold]
    #[inline(never)]
    fn late_truth(&mut self) -> Result<bool, Fault> {
        let here = *self;
        let value = self.value()?;
        value
            .truth()
            .ok_or_else(|| here.refuse(RejectCode::BadValue, "neither true nor false"))
    }

    /// Takes a string.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<Text<'a>, Fault> {
        let here = self.rest;
        if self.eat(b"\"") {
            let start = self.rest;
            if self.word().is_some() {
                let len = start.len() - self.rest.len() - 1;
                return Ok(Cow::Borrowed(&start[..len]));
            }
        }
        self.rest = here;
        self.lend(Cursor::late_text)
    }

    /// A string with whitespace before it, escapes in it, other than ASCII, or near the end of the frame.
    #[inline(never)]
    fn late_text(&mut self) -> Result<Text<'a>, Fault> {
        self.space();
        if self.rest.first() != Some(&b'"') {
            return Err(self.refuse(RejectCode::BadValue, "no string"));
        }
        let inside = &self.rest[1..];
        let Some(len) = end_of_string(inside) else {
            return Err(self.bad("a string without its end"));
        };
        let raw = &inside[..len];
        if memchr::memchr(b'\\', raw).is_none() {
            if raw.iter().any(|&byte| byte < b' ') || std::str::from_utf8(raw).is_err() {
                return Err(self.bad("a string with a control character or broken UTF-8"));
            }
            self.rest = &inside[len + 1..];
            return Ok(Cow::Borrowed(raw));
        }
        let quoted = &self.rest[..len + 2];
        // Escapes are rare, and the meaning of a broken one is another's to decide.
        match serde_json::from_slice::<String>(quoted) {
            Ok(text) => {
                self.rest = &inside[len + 1..];
                Ok(Cow::Owned(text.into_bytes()))
            }
            Err(_) => Err(self.bad("a string with a broken escape")),
        }
    }

    /// Takes a price in a string.
    #[inline(always)]
    pub(crate) fn price(&mut self, scale: u8) -> Result<i64, Fault> {
        let here = *self;
        if self.eat(b"\"")
            && let Some(mantissa) = self.price_digits(scale)
            && self.eat(b"\"")
        {
            return Ok(mantissa);
        }
        *self = here;
        self.lend(|c| c.late_decimal(scale))
    }

    /// Takes a quantity in a string.
    #[inline(always)]
    pub(crate) fn qty(&mut self, scale: u8) -> Result<i64, Fault> {
        let here = *self;
        if self.eat(b"\"")
            && let Some(mantissa) = self.qty_digits(scale)
            && self.eat(b"\"")
        {
            return Ok(mantissa);
        }
        *self = here;
        self.lend(|c| c.late_decimal(scale))
    }

    /// Takes a time in seconds within a string, as nanoseconds.
    #[inline(always)]
    pub(crate) fn quoted_seconds(&mut self) -> Result<Timestamp, Fault> {
        let here = *self;
        if self.eat(b"\"") {
            if let Some(ns) = self.micros_digits() {
                return Ok(ns);
            }
            if let Some((ns, _)) = self.decimal_digits(9)
                && self.eat(b"\"")
            {
                return Ok(ns);
            }
        }
        *self = here;
        self.lend(|c| c.late_decimal(9))
    }

    #[cold]
    #[inline(never)]
    fn late_decimal(&mut self, scale: u8) -> Result<i64, Fault> {
        let here = *self;
        let text = self.text()?;
        parse_quantity(&text, scale).map_err(|error| {
            let what = format!("{error} (scale {scale})");
            here.refuse(RejectCode::of_decimal(error), &what)
        })
    }

    /// Takes a price or quantity that is a JSON number.
    #[inline(always)]
    pub(crate) fn number(&mut self, scale: u8) -> Result<i64, Fault> {
        let here = *self;
        if let Some(written) = self.written_number()
            && let Some(mantissa) = written.scaled(scale)
        {
            return Ok(mantissa);
        }
        *self = here;
        self.lend(|c| c.late_number(scale))
    }

    /// Takes a number without unit; `None` if it is null.
    #[inline(always)]
    pub(crate) fn float(&mut self) -> Result<Option<f64>, Fault> {
        let here = *self;
        let negative = self.eat(b"-");
        // Both are numbers that a float holds, so their quotient is rounded once.
        if let Some(Written { digits, shape }) = self.written_number()
            && digits < 1 << f64::MANTISSA_DIGITS
            && let Some(parts) = FLOATS.get(usize::from(shape.places))
        {
            let value = digits as f64 / parts;
            return Ok(Some(if negative { -value } else { value }));
        }
        *self = here;
        self.lend(Cursor::late_float)
    }

    #[cold]
    #[inline(never)]
    fn late_float(&mut self) -> Result<Option<f64>, Fault> {
        let here = *self;
        let value = self.value()?;
        match value.float() {
            Some(number) => Ok(Some(number)),
            None if value.is_null() => Ok(None),
            None => Err(here.refuse(RejectCode::BadValue, "no number")),
        }
    }

    #[cold]
    #[inline(never)]
    fn late_number(&mut self, scale: u8) -> Result<i64, Fault> {
        let here = *self;
        self.value()?
            .decimal(scale)
            .map_err(|(code, what)| here.refuse(code, &what))
    }

    /// Takes a time in milliseconds.
    #[inline(always)]
    pub(crate) fn ms(&mut self) -> Result<Timestamp, Fault> {
        let here = *self;
        let ms = self.unsigned()?;
        ns_of_ms(ms).ok_or_else(|| here.refuse(RejectCode::Overflow, "no time in ms"))
    }

    /// Takes a time in milliseconds within a string.
    #[inline(always)]
    pub(crate) fn quoted_ms(&mut self) -> Result<Timestamp, Fault> {
        let here = *self;
        let ms = self.quoted_unsigned()?;
        ns_of_ms(ms).ok_or_else(|| here.refuse(RejectCode::Overflow, "no time in ms"))
    }

    /// Takes a time as `2026-08-09T21:05:48.483587501Z`.
    #[inline(always)]
    pub(crate) fn rfc3339(&mut self) -> Result<Timestamp, Fault> {
        let here = *self;
        let text = self.text()?;
        rfc3339(&text).ok_or_else(|| here.refuse(RejectCode::BadValue, "no time in UTC"))
    }

    /// Takes any value.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Fault> {
        self.space();
        let start = self.rest;
        self.skip()?;
        Ok(Value::of(&start[..start.len() - self.rest.len()]))
    }

    /// Takes any value and looks no further than whether it is one.
    #[inline(always)]
    pub(crate) fn skip(&mut self) -> Result<(), Fault> {
        let here = self.rest;
        if self.eat(b"\"") {
            if self.word().is_some() {
                return Ok(());
            }
        } else {
            self.eat(b"-");
            if self.written_number().is_some() {
                return Ok(());
            }
        }
        self.rest = here;
        self.lend(|c| c.skip_any(DEPTH_MAX))
    }

    #[inline(never)]
    fn skip_any(&mut self, depth: usize) -> Result<(), Fault> {
        self.space();
        let Some(&first) = self.rest.first() else {
            return Err(self.bad("the frame ends within a value"));
        };
        match first {
            b'"' => self.text().map(drop),
            b'{' if depth > 0 => {
                self.mark(b'{')?;
                let mut keys = Keys::of(self.rest);
                if self.empty(b'}') {
                    return Ok(());
                }
                loop {
                    keys.unknown(self.key()?, self.rest)?;
                    self.skip_any(depth - 1)?;
                    if !self.more(b'}')? {
                        return Ok(());
                    }
                }
            }
            b'[' if depth > 0 => {
                self.mark(b'[')?;
                if self.empty(b']') {
                    return Ok(());
                }
                loop {
                    self.skip_any(depth - 1)?;
                    if !self.more(b']')? {
                        return Ok(());
                    }
                }
            }
            b'{' | b'[' => Err(self.bad("values are nested too deep")),
            b'-' | b'0'..=b'9' => self.skip_number(),
            _ if self.eat(b"true") || self.eat(b"false") || self.eat(b"null") => Ok(()),
            _ => Err(self.bad("no JSON value")),
        }
    }

    /// Takes a value that has been looked at before: its end is found by its brackets and quotes.
    pub(crate) fn pass(&mut self) -> Result<(), Fault> {
        let mut depth = 0usize;
        loop {
            self.space();
            match self.rest.first() {
                Some(b'"') => drop(self.text()?),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.rest = &self.rest[1..];
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.rest = &self.rest[1..];
                }
                Some(b',' | b':') => self.rest = &self.rest[1..],
                Some(_) => {
                    let ends = |b: &u8| matches!(b, b',' | b']' | b'}') || *b <= b' ';
                    let end = self.rest.iter().position(ends);
                    self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
                }
                None => return Err(self.bad("the frame ends within a value")),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        let here = *self;
        self.eat(b"-");
        let whole = self.skip_digits();
        let zero = whole > 1 && here.rest.iter().find(|b| b.is_ascii_digit()) == Some(&b'0');
        let mut good = whole > 0 && !zero;
        if self.eat(b".") {
            good &= self.skip_digits() > 0;
        }
        if let Some((b'e' | b'E', rest)) = self.rest.split_first() {
            self.rest = rest;
            if !self.eat(b"-") {
                self.eat(b"+");
            }
            good &= self.skip_digits() > 0;
        }
        if good {
            Ok(())
        } else {
            Err(here.bad("no JSON number"))
        }
    }

    fn skip_digits(&mut self) -> usize {
        let mut taken = 0;
        while let Some(chunk) = self.rest.first_chunk() {
            let count = digits::count(chunk);
            taken += count;
            self.rest = &self.rest[count..];
            if count < chunk.len() {
                return taken;
            }
        }
        let count = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.rest = &self.rest[count..];
        taken + count
    }
}

/// Powers of ten that a float holds.
const FLOATS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

#[cold]
#[inline(never)]
fn refusal(rest: &[u8], len: usize, code: RejectCode, what: &str) -> Fault {
    let at = len.saturating_sub(rest.len());
    let here = String::from_utf8_lossy(&rest[..rest.len().min(24)]);
    fault(code, format!("byte {at}: {what}: {here:?}"))
}

/// Where the quote stands that ends a string whose opening quote has been taken.
fn end_of_string(inside: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', inside.get(from..)?)?;
        if inside[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}
