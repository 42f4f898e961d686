//! Runs of ASCII digits, eight at a time.

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
        fn plain_bytes_are_counted(bytes: [u8; 8], plain in "[ !#-\\[\\]-\x7f]{0,8}") {
            let mut bytes = bytes;
            bytes[..plain.len()].copy_from_slice(plain.as_bytes());
            let special = |b: &u8| *b < b' ' || *b >= 0x80 || *b == b'"' || *b == b'\\';
            prop_assert_eq!(leading_plain(&bytes), bytes.iter().position(special).unwrap_or(8));
        }
    }
}
