//! Checksums of books as venues compute them: the ground truth that they send with their messages.

use std::io::Write;

use signal_event::decimal::{MAX_SCALE, POW10};
use signal_event::{ChecksumKind, Side, decimal};

use crate::load::take_u8;
use crate::{Level, LoadError, OrderBook};

/// Levels a side that Kraken's checksum covers.
const KRAKEN_LEVELS: usize = 10;
/// Levels a side that OKX's checksum covers.
const OKX_LEVELS: usize = 25;

/// Most decimal places with which Kraken is believed to write a number.
const PLACES_MAX: u8 = 12;

/// Computes the checksums of one instrument's book.
///
/// Kraken's is over the numbers as they were written, with their trailing zeros, which a mantissa does not hold; and the
/// decimals that Kraken publishes for a pair are not those that it writes. They are therefore *found*: the first checksum
/// that the book meets with some number of decimals fixes it for prices and quantities. A wrong book meets one of the
/// hundred or so possible ones by chance once in 40 million times. Where a checksum fails with the decimals found, the
/// others are tried before the book is called wrong, for a venue may change them.
#[derive(Clone, Debug)]
pub(crate) struct Checksum {
    kind: ChecksumKind,
    /// Scales of the instrument's mantissas, of price and quantity.
    scales: [u8; 2],
    /// Kraken: with how many decimals the venue writes prices and quantities, once that is known.
    places: Option<[u8; 2]>,
    text: Vec<u8>,
}

impl Checksum {
    pub(crate) fn new(kind: ChecksumKind, scales: [u8; 2]) -> Checksum {
        Checksum {
            kind,
            scales: scales.map(|scale| scale.min(MAX_SCALE)),
            places: None,
            text: Vec::new(),
        }
    }

    /// Compares the book with a venue's checksum; gives what the book's own is where they differ.
    pub(crate) fn check(&mut self, book: &OrderBook, expected: u32) -> Result<(), u32> {
        let computed = match self.kind {
            ChecksumKind::Okx => self.okx(book),
            ChecksumKind::Kraken => return self.kraken(book, expected),
        };
        match computed == expected {
            true => Ok(()),
            false => Err(computed),
        }
    }

    fn okx(&mut self, book: &OrderBook) -> u32 {
        let (mut bids, mut asks) = (
            [Level::default(); OKX_LEVELS],
            [Level::default(); OKX_LEVELS],
        );
        let counts = [
            book.top(Side::Bid, &mut bids),
            book.top(Side::Ask, &mut asks),
        ];
        self.text.clear();
        for rank in 0..OKX_LEVELS {
            for (levels, count) in [(&bids, counts[0]), (&asks, counts[1])] {
                if let Some(level) = levels[..count].get(rank) {
                    for (mantissa, scale) in [level.price, level.qty].into_iter().zip(self.scales) {
                        if !self.text.is_empty() {
                            self.text.push(b':');
                        }
                        let text = decimal::format(mantissa, scale);
                        self.text.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
        crc32fast::hash(&self.text)
    }

    fn kraken(&mut self, book: &OrderBook, expected: u32) -> Result<(), u32> {
        let (mut asks, mut bids) = (
            [Level::default(); KRAKEN_LEVELS],
            [Level::default(); KRAKEN_LEVELS],
        );
        let counts = [
            book.top(Side::Ask, &mut asks),
            book.top(Side::Bid, &mut bids),
        ];
        let sides = [&asks[..counts[0]], &bids[..counts[1]]];
        let known = self
            .places
            .and_then(|places| self.kraken_with(sides, places));
        if known == Some(expected) {
            return Ok(());
        }
        let fewest = self.fewest_places(sides);
        for price in fewest[0]..=PLACES_MAX {
            for qty in fewest[1]..=PLACES_MAX {
                if self.kraken_with(sides, [price, qty]) == Some(expected) {
                    self.places = Some([price, qty]);
                    return Ok(());
                }
            }
        }
        Err(known
            .or_else(|| self.kraken_with(sides, fewest))
            .unwrap_or_default())
    }

    /// The checksum if numbers are written with so many decimals; `None` if the numbers cannot be.
    fn kraken_with(&mut self, sides: [&[Level]; 2], places: [u8; 2]) -> Option<u32> {
        self.text.clear();
        for level in sides.into_iter().flatten() {
            for (at, mantissa) in [level.price, level.qty].into_iter().enumerate() {
                self.digits(mantissa, self.scales[at], places[at])?;
            }
        }
        Some(crc32fast::hash(&self.text))
    }

    /// Appends the digits of a number with so many decimals, without point and leading zeros.
    fn digits(&mut self, mantissa: i64, scale: u8, places: u8) -> Option<()> {
        if let Some(fewer) = scale.checked_sub(places) {
            let unit = POW10[usize::from(fewer)];
            if mantissa % unit != 0 {
                return None;
            }
            // A Vec takes all bytes.
            let _ = write!(self.text, "{}", mantissa / unit);
        } else {
            let more = usize::from(places - scale);
            let _ = write!(self.text, "{mantissa}{:0<more$}", "");
        }
        Some(())
    }

    /// The fewest decimals with which all prices and all quantities can be written.
    fn fewest_places(&self, sides: [&[Level]; 2]) -> [u8; 2] {
        let mut fewest = [0; 2];
        for level in sides.into_iter().flatten() {
            for (at, mut mantissa) in [level.price, level.qty].into_iter().enumerate() {
                let mut places = self.scales[at];
                while places > fewest[at] && mantissa % 10 == 0 {
                    (mantissa, places) = (mantissa / 10, places - 1);
                }
                fewest[at] = fewest[at].max(places);
            }
        }
        fewest
    }

    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let [price, qty] = self.places.unwrap_or([u8::MAX; 2]);
        out.extend_from_slice(&[price, qty]);
    }

    pub(crate) fn load(&mut self, bytes: &mut &[u8]) -> Result<(), LoadError> {
        self.places = match [take_u8(bytes)?, take_u8(bytes)?] {
            [u8::MAX, u8::MAX] => None,
            places if places.iter().all(|places| *places <= PLACES_MAX) => Some(places),
            _ => return Err(LoadError::Invalid("a venue writes too many decimals")),
        };
        Ok(())
    }
}
