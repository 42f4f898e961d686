//! Lists of levels as most venues write them: `[["price","quantity",…],…]`.

use super::{Cursor, Fault};
use crate::listing::Listing;

/// Takes levels that begin with a price and a quantity, each within a string; `rest` takes what follows in each of them, its
/// end included.
#[inline(always)]
pub(crate) fn pairs<'a>(
    c: &mut Cursor<'a>,
    listing: Listing,
    mut rest: impl FnMut(&mut Cursor<'a>) -> Result<(), Fault>,
    mut take: impl FnMut(i64, i64),
) -> Result<(), Fault> {
    c.lend(|c| {
        c.list(|c| {
            c.mark(b'[')?;
            let price = c.price(listing.price_scale)?;
            c.comma()?;
            let qty = c.qty(listing.qty_scale)?;
            rest(c)?;
            take(price, qty);
            Ok(())
        })
    })
}
