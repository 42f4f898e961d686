//! The cursor's fast way: takes what comes next if it is laid out as venues lay it out, byte for byte.
//!
//! One pass, no backtracking. `None` and `false` may leave the cursor anywhere: who goes on keeps a copy.

use signal_event::decimal::POW10;

use super::digits::{Shape, Written};
use super::{Cursor, digits};

/// Seconds that certainly fit into 64 bits of nanoseconds.
const SECONDS_MAX: u64 = 9_000_000_000;

/// The shapes of the latest price and quantity: guesses of the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shapes {
    price: Guess,
    qty: Guess,
}

#[derive(Clone, Copy, Debug, Default)]
struct Guess {
    shape: Shape,
    /// How many of the latest were alike. Where instruments take turns, or a venue leaves out zeros, few are, and a wrong guess
    /// costs more than none.
    alike: u8,
}

/// So many have to be alike before the next is guessed.
const SURE: u8 = 3;

impl Guess {
    #[inline(always)]
    fn is_sure(self) -> bool {
        self.alike >= SURE
    }

    /// Learns the shape of one that was not guessed, or wrongly.
    #[inline(always)]
    fn learn(&mut self, shape: Shape, alike: bool) {
        let alike = if alike {
            self.alike.saturating_add(1)
        } else {
            0
        };
        *self = Guess { shape, alike };
    }
}

impl Cursor<'_> {
    /// Takes these bytes if they come next; else nothing.
    #[inline(always)]
    pub(crate) fn eat<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.rest.split_first_chunk::<N>() {
            Some((head, tail)) if head == text => {
                self.rest = tail;
                true
            }
            _ => false,
        }
    }

    /// Takes this key, given with its quotes and colon, if it comes next; else nothing.
    #[inline(always)]
    pub(crate) fn eat_key(&mut self, key: &'static str) -> bool {
        match self.rest.strip_prefix(key.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    pub(crate) fn expect<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        self.eat(text).then_some(())
    }

    /// Takes the rest of a string of ASCII without escapes, and its closing quote.
    #[inline(always)]
    pub(crate) fn word(&mut self) -> Option<()> {
        while let Some((chunk, rest)) = self.rest.split_first_chunk::<8>() {
            let plain = digits::leading_plain(chunk);
            if plain < 8 {
                self.rest = self.rest.get(plain..)?;
                return self.expect(b"\"");
            }
            self.rest = rest;
        }
        // The end of the frame: what is not there counts as a control character, which ends the string.
        let mut chunk = [0; 8];
        let end = self.rest;
        chunk.iter_mut().zip(end).for_each(|(to, from)| *to = *from);
        self.rest = end.get(digits::leading_plain(&chunk)..)?;
        self.expect(b"\"")
    }

    /// Takes an unsigned JSON integer of less than 16 digits.
    #[inline(always)]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let first = *self.rest.first()?;
        let (count, mut value) = self.eight_digits();
        if count == 0 || (first == b'0' && count > 1) {
            return None;
        }
        if count == 8 {
            let (count, low) = self.eight_digits();
            if count == 8 {
                return None;
            }
            value = value * POW10[count] as u64 + low;
        }
        Some(value)
    }

    /// Takes the next digits, at most eight.
    #[inline(always)]
    fn eight_digits(&mut self) -> (usize, u64) {
        let (count, value) = match self.rest.first_chunk::<8>() {
            Some(chunk) => digits::leading(chunk),
            None => {
                let digits = self.rest.iter().take_while(|b| b.is_ascii_digit());
                digits.fold((0, 0), |(count, value), digit| {
                    (count + 1, value * 10 + u64::from(digit - b'0'))
                })
            }
        };
        self.rest = &self.rest[count..];
        (count, value)
    }

    /// Takes one to eight digits, and these bytes behind them; `false` may leave the cursor anywhere.
    #[inline(always)]
    pub(crate) fn few_digits_end<const N: usize>(&mut self, end: &[u8; N]) -> bool {
        let count = self.rest.first_chunk().map_or(0, digits::count);
        self.rest = &self.rest[count..];
        count > 0 && self.eat(end)
    }

    #[inline(always)]
    pub(crate) fn bool(&mut self) -> Option<bool> {
        if self.eat(b"true") {
            Some(true)
        } else {
            self.expect(b"false")?;
            Some(false)
        }
    }

    /// Takes a price within a string, up to its closing quote. Prices of an instrument are mostly as long as the one
    /// before, so the processor may go on with the next field before this one is read: a guess of the length costs a
    /// well-predicted branch, finding it out costs a wait.
    #[inline(always)]
    pub(crate) fn price_digits(&mut self, scale: u8) -> Option<i64> {
        let guess = self.shapes.price;
        if guess.is_sure()
            && let Some(mantissa) = self.shaped(guess.shape, scale)
        {
            return Some(mantissa);
        }
        let (mantissa, shape) = self.decimal_digits(scale)?;
        self.shapes.price.learn(shape, shape == guess.shape);
        Some(mantissa)
    }

    /// Takes a quantity within a string, up to its closing quote. Its digits before the point vary and are counted;
    /// those behind it are guessed as those of a price are.
    #[inline(always)]
    pub(crate) fn qty_digits(&mut self, scale: u8) -> Option<i64> {
        let guess = self.shapes.qty;
        if guess.is_sure() {
            let whole = self.rest.first_chunk::<8>().map_or(0, digits::count) as u8;
            let shape = Shape {
                whole,
                ..guess.shape
            };
            if let Some(mantissa) = self.shaped(shape, scale) {
                return Some(mantissa);
            }
        }
        let (mantissa, shape) = self.decimal_digits(scale)?;
        let alike = shape.places == guess.shape.places;
        self.shapes.qty.learn(shape, alike);
        Some(mantissa)
    }

    /// Takes a decimal of this shape, if that is what comes up to the closing quote. Long ones are left.
    #[inline(always)]
    fn shaped(&mut self, shape: Shape, scale: u8) -> Option<i64> {
        let (whole, places) = (usize::from(shape.whole), usize::from(shape.places));
        let scale = usize::from(scale);
        let text = self.rest.first_chunk::<24>()?;
        if whole == 0 || whole > 7 || places > 8 || places > scale || whole + scale > 18 {
            return None;
        }
        let mut mantissa = digits::exactly(text.first_chunk()?, whole)? * POW10[scale] as u64;
        let mut end = whole;
        if places > 0 {
            let fraction = digits::exactly(text[whole + 1..].first_chunk()?, places)?;
            mantissa += fraction * POW10[scale - places] as u64;
            end += 1 + places;
            if text[whole] != b'.' {
                return None;
            }
        }
        if text[end] != b'"' {
            return None;
        }
        self.rest = &self.rest[end..];
        Some(mantissa as i64)
    }

    /// Takes a decimal of any shape: digits, or digits, a point and digits, at most 19 of them at this scale. What is
    /// longer, negative or over-precise is the general way's to judge.
    #[inline(always)]
    pub(crate) fn decimal_digits(&mut self, scale: u8) -> Option<(i64, Shape)> {
        let written = self.written()?;
        Some((written.scaled(scale)?, written.shape))
    }

    /// Takes a decimal as it stands.
    #[inline(always)]
    pub(crate) fn written(&mut self) -> Option<Written> {
        if let Some(chunk) = self.rest.first_chunk()
            && let Some((len, written)) = digits::short_decimal(chunk)
        {
            self.rest = &self.rest[len..];
            return Some(written);
        }
        if let Some(chunk) = self.rest.first_chunk()
            && let Some((len, written)) = digits::decimal(chunk)
        {
            self.rest = &self.rest[len..];
            return Some(written);
        }
        let (written, rest) = Cursor::long(self.rest)?;
        self.rest = rest;
        Some(written)
    }

    /// Takes a decimal that is a JSON number: no zero before other digits, and its end is seen.
    #[inline(always)]
    pub(crate) fn written_number(&mut self) -> Option<Written> {
        let first = *self.rest.first()?;
        let written = self.written()?;
        let ends = matches!(self.rest.first(), Some(b',' | b'}' | b']'));
        (ends && (first != b'0' || written.shape.whole == 1)).then_some(written)
    }

    /// The decimal with which a text begins, if it has more than 15 characters or is near the end, and what follows.
    #[inline(never)]
    fn long(text: &[u8]) -> Option<(Written, &[u8])> {
        let mut c = Cursor::new(text, Shapes::default());
        let (whole, mut digits) = c.up_to_sixteen()?;
        let mut places = 0;
        if c.eat(b".") {
            let fraction;
            (places, fraction) = c.up_to_sixteen()?;
            if places == 0 || whole + places > 19 {
                return None;
            }
            digits = digits * POW10[places] as u64 + fraction;
        }
        let shape = Shape {
            whole: whole as u8,
            places: places as u8,
        };
        (whole > 0).then_some((Written { digits, shape }, c.rest))
    }

    /// Takes `1618678134.156117` and its closing quote, as nanoseconds.
    #[inline(always)]
    pub(crate) fn micros_digits(&mut self) -> Option<i64> {
        let text = self.rest.first_chunk::<19>()?;
        let high = digits::exactly(text.first_chunk()?, 8)?;
        let low = digits::exactly(text[8..].first_chunk()?, 2)?;
        let micros = digits::exactly(text[11..].first_chunk()?, 6)?;
        if text[10] != b'.' || text[17] != b'"' {
            return None;
        }
        let seconds = high * 100 + low;
        if seconds >= SECONDS_MAX {
            return None;
        }
        self.rest = &self.rest[18..];
        Some((seconds * 1_000_000_000 + micros * 1_000) as i64)
    }

    /// Takes the next digits; `None` if there are 16 or more.
    #[inline(always)]
    fn up_to_sixteen(&mut self) -> Option<(usize, u64)> {
        let (count, value) = self.eight_digits();
        if count < 8 {
            return Some((count, value));
        }
        let (more, low) = self.eight_digits();
        (more < 8).then(|| (8 + more, value * POW10[more] as u64 + low))
    }
}
