//! Prices and quantities whose instrument is not known yet.

use super::cursor::Cursor;
use super::digits::Written;
use super::fault::Fault;
use crate::listing::Listing;

/// A price or quantity whose scale is not known yet, because the instrument is named later: its digits, and the place where it
/// stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unscaled<'a> {
    text: &'a [u8],
    /// Its digits; of one that is long or unusual there are none before the point, and it is read again.
    written: Written,
    quoted: bool,
    /// Bytes of the whole frame.
    frame: u32,
}

impl<'a> Unscaled<'a> {
    /// Takes a value.
    #[inline(always)]
    pub(crate) fn take(c: &mut Cursor<'a>) -> Result<Unscaled<'a>, Fault> {
        let text = c.rest;
        let quoted = c.eat(b"\"");
        let written = match quoted {
            true => c.written().filter(|_| c.eat(b"\"")),
            false => c.written_number(),
        };
        if written.is_none() {
            c.rest = text;
            c.skip()?;
        }
        Ok(Unscaled {
            text,
            written: written.unwrap_or_default(),
            quoted,
            frame: c.frame_bytes(),
        })
    }

    /// A cursor that takes it.
    pub(crate) fn place(self) -> Cursor<'a> {
        Cursor::within(self.frame, self.text)
    }

    /// As a price in a string.
    #[inline(always)]
    pub(crate) fn price(self, listing: Listing) -> Result<i64, Fault> {
        self.quoted(listing.price_scale)
    }

    /// As a quantity in a string.
    #[inline(always)]
    pub(crate) fn qty(self, listing: Listing) -> Result<i64, Fault> {
        self.quoted(listing.qty_scale)
    }

    /// As a price that is a number.
    #[inline(always)]
    pub(crate) fn price_number(self, listing: Listing) -> Result<i64, Fault> {
        self.number(listing.price_scale)
    }

    /// As a quantity that is a number.
    #[inline(always)]
    pub(crate) fn qty_number(self, listing: Listing) -> Result<i64, Fault> {
        self.number(listing.qty_scale)
    }

    #[inline(always)]
    fn quoted(self, scale: u8) -> Result<i64, Fault> {
        match self.mantissa(true, scale) {
            Some(mantissa) => Ok(mantissa),
            None => self.place().qty(scale),
        }
    }

    #[inline(always)]
    fn number(self, scale: u8) -> Result<i64, Fault> {
        match self.mantissa(false, scale) {
            Some(mantissa) => Ok(mantissa),
            None => self.place().number(scale),
        }
    }

    #[inline(always)]
    fn mantissa(self, quoted: bool, scale: u8) -> Option<i64> {
        let read = self.quoted == quoted && self.written.shape.whole > 0;
        self.written.scaled(scale).filter(|_| read)
    }
}
