//! Prices and quantities whose instrument is not known yet.

use super::cursor::Cursor;
use super::fault::Fault;
use crate::listing::Listing;

/// A price or quantity whose scale is not known yet, because the instrument is named later: the place where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unscaled<'a> {
    here: Cursor<'a>,
}

impl<'a> Unscaled<'a> {
    /// Takes a value.
    #[inline(always)]
    pub(crate) fn take(c: &mut Cursor<'a>) -> Result<Unscaled<'a>, Fault> {
        let here = *c;
        c.skip()?;
        Ok(Unscaled { here })
    }

    /// Where it stands.
    pub(crate) fn place(self) -> Cursor<'a> {
        self.here
    }

    /// As a price in a string.
    #[inline(always)]
    pub(crate) fn price(mut self, listing: Listing) -> Result<i64, Fault> {
        self.here.price(listing.price_scale)
    }

    /// As a quantity in a string.
    #[inline(always)]
    pub(crate) fn qty(mut self, listing: Listing) -> Result<i64, Fault> {
        self.here.qty(listing.qty_scale)
    }

    /// As a price that is a number.
    #[inline(always)]
    pub(crate) fn price_number(mut self, listing: Listing) -> Result<i64, Fault> {
        self.here.number(listing.price_scale)
    }

    /// As a quantity that is a number.
    #[inline(always)]
    pub(crate) fn qty_number(mut self, listing: Listing) -> Result<i64, Fault> {
        self.here.number(listing.qty_scale)
    }
}
