//! Runs of ASCII digits, eight or sixteen at a time.

use signal_event::decimal::POW10;

/// The values of eight digits; what is no digit gets a value above nine.
#[inline(always)]
fn values(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes) ^ 0x3030_3030_3030_3030
}

/// The high bit of each value above nine; right up to the first, behind which a carry may have reached.
#[inline(always)]
fn others(values: u64) -> u64 {
    (values.wrapping_add(0x7676_7676_7676_7676) | values) & 0x8080_8080_8080_8080
}

/// How many of these bytes, from the first on, are digits.
#[inline(always)]
pub(crate) fn count(bytes: &[u8; 8]) -> usize {
    others(values(bytes)).trailing_zeros() as usize / 8
}

/// How many of these bytes, from the first on, are digits, and their number.
#[inline(always)]
pub(crate) fn leading(bytes: &[u8; 8]) -> (usize, u64) {
    match count(bytes) {
        0 => (0, 0),
        count => (count, number(values(bytes) << (64 - 8 * count))),
    }
}

/// The number of the first `count` (1 to 8) of these bytes; `None` if one is no digit.
#[inline(always)]
pub(crate) fn exactly(bytes: &[u8; 8], count: usize) -> Option<u64> {
    let values = values(bytes) << (64 - 8 * count);
    (others(values) == 0).then(|| number(values))
}

/// The number whose decimal digits these bytes hold, the first digit in the lowest byte: neighbours are joined to
/// pairs, pairs to fours, fours to the whole.
#[inline(always)]
fn number(digits: u64) -> u64 {
    const LOW_OF_FOUR: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let odd = (pairs & LOW_OF_FOUR).wrapping_mul(100 + (1_000_000 << 32));
    let even = ((pairs >> 16) & LOW_OF_FOUR).wrapping_mul(1 + (10_000 << 32));
    odd.wrapping_add(even) >> 32
}

/// A decimal as it stands in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Its digits as a whole number, without the point.
    pub digits: u64,
    /// How many of them stand before the point, at least one, and behind it.
    pub shape: Shape,
}

/// How many digits a number has before and behind its point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub whole: u8,
    pub places: u8,
}

impl Written {
    /// Its mantissa at a scale; `None` if it has more places, or may not fit.
    #[inline(always)]
    pub(crate) fn scaled(self, scale: u8) -> Option<i64> {
        let Shape { whole, places } = self.shape;
        // Nineteen digits fit into 64 bits without a sign, and mostly into those with one.
        if places > scale || whole + scale > 19 {
            return None;
        }
        let unit = POW10[usize::from(scale - places)] as u64;
        i64::try_from(self.digits * unit).ok()
    }
}

/// The decimal with which these bytes begin, and its length; `None` if it has no end in them, or is none. Whatever its digits
/// are, it takes the same steps.
#[inline(always)]
pub(crate) fn decimal(bytes: &[u8; 16]) -> Option<(usize, Written)> {
    const POINT: u8 = b'.' ^ b'0';
    const NINES: u128 = u128::from_ne_bytes([0x76; 16]);
    const HIGHS: u128 = u128::from_ne_bytes([0x80; 16]);
    let values = u128::from_le_bytes(*bytes) ^ u128::from_ne_bytes([b'0'; 16]);
    // The high bit of each value above nine.
    let others = (((values & !HIGHS) + NINES) | values) & HIGHS;
    let first = others.trailing_zeros() / 8;
    let second = (others & others.wrapping_sub(1)).trailing_zeros() / 8;
    if first == 0 || first == 16 {
        return None;
    }
    let point = (values >> (8 * first)) as u8 == POINT;
    let end = if point { second } else { first };
    let count = end - u32::from(point);
    if end == 16 || (point && count == first) {
        return None;
    }
    // The point falls out, and the digits go to the end: zeros come before them.
    let whole = (1u128 << (8 * first)) - 1;
    let behind = if point { values >> 8 } else { values };
    let digits = ((values & whole) | (behind & !whole)) << (8 * (16 - count));
    let digits = number(digits as u64) * 100_000_000 + number((digits >> 64) as u64);
    let (whole, places) = (first as u8, (count - first) as u8);
    let shape = Shape { whole, places };
    Some((end as usize, Written { digits, shape }))
}

/// As [`decimal`], of a shorter text.
#[inline(always)]
pub(crate) fn short_decimal(bytes: &[u8; 8]) -> Option<(usize, Written)> {
    const POINT: u8 = b'.' ^ b'0';
    const NINES: u64 = u64::from_ne_bytes([0x76; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let values = values(bytes);
    let others = (((values & !HIGHS) + NINES) | values) & HIGHS;
    let first = others.trailing_zeros() / 8;
    let second = (others & others.wrapping_sub(1)).trailing_zeros() / 8;
    if first == 0 || first == 8 {
        return None;
    }
    let point = (values >> (8 * first)) as u8 == POINT;
    let end = if point { second } else { first };
    let count = end - u32::from(point);
    if end == 8 || (point && count == first) {
        return None;
    }
    let whole = (1u64 << (8 * first)) - 1;
    let behind = if point { values >> 8 } else { values };
    let digits = number(((values & whole) | (behind & !whole)) << (8 * (8 - count)));
    let (whole, places) = (first as u8, (count - first) as u8);
    let shape = Shape { whole, places };
    Some((end as usize, Written { digits, shape }))
}

/// The number that eight hexadecimal digits write.
#[inline(always)]
pub(crate) fn hexadecimal(bytes: &[u8; 8]) -> Option<u32> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES * 0x80;
    let text = u64::from_le_bytes(*bytes);
    // The high bit of each byte that is at least so much.
    let least =
        |bytes: u64, limit: u64| (((bytes & !HIGHS) + ONES * (0x80 - limit)) | bytes) & HIGHS;
    let (decimal, letter) = (text ^ (ONES * 0x30), (text | (ONES * 0x20)) ^ (ONES * 0x60));
    let is_letter = least(letter, 1) & !least(letter, 7);
    if (!least(decimal, 10) | is_letter) & HIGHS != HIGHS {
        return None;
    }
    let nibbles = (text & (ONES * 0x0f)) + 9 * (is_letter >> 7);
    let pairs = ((nibbles << 4) | (nibbles >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    Some(((fours | (fours >> 16)) as u32).swap_bytes())
}

/// How many of these bytes, from the first on, may stand unescaped in a JSON string of ASCII.
#[inline(always)]
pub(crate) fn leading_plain(bytes: &[u8; 8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*bytes);
    // The high bit of each byte that is zero; right up to the first, which is all that counts.
    let zeros = |w: u64| w.wrapping_sub(ONES) & !w;
    let quotes = zeros(word ^ (ONES * b'"' as u64));
    let backslashes = zeros(word ^ (ONES * b'\\' as u64));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    let stops = (quotes | backslashes | controls | word) & HIGHS;
    stops.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn digits_are_counted_and_read(bytes: [u8; 8], digits in "[0-9]{0,8}") {
            let mut bytes = bytes;
            bytes[..digits.len()].copy_from_slice(digits.as_bytes());
            let count = bytes.iter().position(|b| !b.is_ascii_digit()).unwrap_or(8);
            let text = std::str::from_utf8(&bytes[..count]).unwrap();
            prop_assert_eq!(leading(&bytes), (count, text.parse().unwrap_or(0)));
            for exact in 1..=8 {
                let expected = (exact <= count).then(|| text[..exact].parse().unwrap());
                prop_assert_eq!(exactly(&bytes, exact), expected);
            }
        }

        #[test]
        fn a_decimal_is_read_with_its_shape(bytes: [u8; 16], text in "[0-9]{0,9}(\\.[0-9]{0,9})?[^0-9]?") {
            let mut bytes = bytes;
            let text: Vec<u8> = text.bytes().take(16).collect();
            bytes[..text.len()].copy_from_slice(&text);
            let whole = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            let behind = bytes.get(whole + 1..).filter(|_| bytes[whole] == b'.');
            let places = behind.map_or(0, |b| b.iter().take_while(|b| b.is_ascii_digit()).count());
            let end = whole + if behind.is_some() { 1 + places } else { 0 };
            let good = whole > 0 && end < 16 && (behind.is_none() || places > 0);
            let digits: String = bytes[..end].iter().filter(|&&b| b != b'.').map(|&b| b as char).collect();
            let expected = good.then(|| {
                let shape = Shape { whole: whole as u8, places: places as u8 };
                (end, Written { digits: digits.parse().unwrap(), shape })
            });
            prop_assert_eq!(decimal(&bytes), expected);
            let short = expected.filter(|(end, _)| *end < 8);
            prop_assert_eq!(short_decimal(bytes.first_chunk().unwrap()), short);
        }

        #[test]
        fn hexadecimal_digits_are_read(bytes: [u8; 8], digits in "[0-9a-fA-F]{0,8}") {
            let mut bytes = bytes;
            bytes[..digits.len()].copy_from_slice(digits.as_bytes());
            let good = bytes.iter().all(u8::is_ascii_hexdigit);
            let text = String::from_utf8_lossy(&bytes);
            let expected = good.then(|| u32::from_str_radix(&text, 16).unwrap());
            prop_assert_eq!(hexadecimal(&bytes), expected);
        }

        #[test]
        fn plain_bytes_are_counted(bytes: [u8; 8], plain in "[ !#-\\[\\]-\x7f]{0,8}") {
            let mut bytes = bytes;
            bytes[..plain.len()].copy_from_slice(plain.as_bytes());
            let special = |b: &u8| *b < b' ' || *b >= 0x80 || *b == b'"' || *b == b'\\';
            prop_assert_eq!(leading_plain(&bytes), bytes.iter().position(special).unwrap_or(8));
        }
    }
}
