//! The cursor's fast way: takes what comes next if it is laid out as venues lay it out, byte for byte.
//!
//! One pass, no backtracking. `None` and `false` may leave the cursor anywhere: who goes on keeps a copy.

use signal_event::decimal::POW10;

use super::{Cursor, digits};

/// How many digits a number had before and behind its point.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    whole: usize,
    places: usize,
}

impl Shape {
    /// Whether there is one digit before the point, which may be zero.
    pub(crate) fn is_one_whole_digit(self) -> bool {
        self.whole == 1
    }
}

/// The shapes of the latest price and quantity: guesses of the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shapes {
    price: Shape,
    qty: Shape,
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
        None
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
        if let Some(mantissa) = self.shaped(self.shapes.price, scale) {
            return Some(mantissa);
        }
        let (mantissa, shape) = self.decimal_digits(scale)?;
        self.shapes.price = shape;
        Some(mantissa)
    }

    /// Takes a quantity within a string, up to its closing quote. Its digits before the point vary and are counted;
    /// those behind it are guessed as those of a price are.
    #[inline(always)]
    pub(crate) fn qty_digits(&mut self, scale: u8) -> Option<i64> {
        let whole = self.rest.first_chunk::<8>().map_or(0, digits::count);
        let guess = Shape {
            whole,
            ..self.shapes.qty
        };
        if let Some(mantissa) = self.shaped(guess, scale) {
            return Some(mantissa);
        }
        let (mantissa, shape) = self.decimal_digits(scale)?;
        self.shapes.qty = shape;
        Some(mantissa)
    }

    /// Takes a decimal of this shape, if that is what comes up to the closing quote. Long ones are left.
    #[inline(always)]
    fn shaped(&mut self, shape: Shape, scale: u8) -> Option<i64> {
        let (Shape { whole, places }, scale) = (shape, scale as usize);
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
    #[inline(never)]
    pub(crate) fn decimal_digits(&mut self, scale: u8) -> Option<(i64, Shape)> {
        let scale = scale as usize;
        let (whole, mut mantissa) = self.up_to_sixteen()?;
        let mut places = 0;
        if self.eat(b".") {
            let fraction;
            (places, fraction) = self.up_to_sixteen()?;
            if places == 0 || places > scale || whole + places > 19 {
                return None;
            }
            mantissa = mantissa * POW10[places] as u64 + fraction;
        }
        // Nineteen digits fit into 64 bits without a sign, and mostly into those with one.
        if whole == 0 || whole + scale > 19 {
            return None;
        }
        let mantissa = i64::try_from(mantissa * POW10[scale - places] as u64).ok()?;
        Some((mantissa, Shape { whole, places }))
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
