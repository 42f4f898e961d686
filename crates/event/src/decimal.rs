//! Exact decimals: an `i64` mantissa in a scale that is known from elsewhere (`mantissa / 10^scale`).
//!
//! Text becomes a mantissa without loss or not at all. A mantissa becomes `f64` correctly rounded: the `f64` nearest to
//! the exact decimal, ties to even, which is also what a correct parser makes of the text.

use std::fmt;

/// The greatest scale; `10^18` is the last power of ten in an `i64`.
pub const MAX_SCALE: u8 = 18;

/// Powers of ten that an `i64` holds.
pub const POW10: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut i = 1;
    while i < 19 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// The same powers as `f64`; all of them are exact.
const POW10_F64: [f64; 19] = {
    let mut table = [1f64; 19];
    let mut i = 1;
    while i < 19 {
        table[i] = POW10[i] as f64;
        i += 1;
    }
    table
};

/// Why a text is not a decimal in the given scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `-?digits[.digits]`.
    Malformed,
    /// Non-zero digits beyond the scale.
    Precision,
    /// The mantissa does not fit into an `i64`.
    Overflow,
    /// Below zero where that has no meaning.
    Negative,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecimalError::Malformed => "is not a plain decimal number",
            DecimalError::Precision => "has more decimal places than the instrument's scale",
            DecimalError::Overflow => "does not fit into 64 bits at the instrument's scale",
            DecimalError::Negative => "is negative",
        })
    }
}

impl std::error::Error for DecimalError {}

/// The mantissa of `text` (`-?digits[.digits]`, at least one digit on each side of a point) at `scale`.
/// Trailing zeros beyond the scale are fine, any other digit there is an error.
///
/// ```
/// use signal_event::decimal::{parse, DecimalError};
/// assert_eq!(parse(b"61837.63000000", 2), Ok(6_183_763));
/// assert_eq!(parse(b"0.123", 2), Err(DecimalError::Precision));
/// ```
pub fn parse(text: &[u8], scale: u8) -> Result<i64, DecimalError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|&b| b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, &digits[digits.len()..]),
    };
    if whole.is_empty() || (point.is_some() && fraction.is_empty()) || scale > MAX_SCALE {
        return Err(DecimalError::Malformed);
    }
    let kept = fraction.len().min(scale as usize);
    let (fraction, beyond) = fraction.split_at(kept);
    let mut mantissa = 0i64;
    let mut overflow = false;
    for &byte in whole.iter().chain(fraction) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::Malformed);
        }
        // Below zero from the start, because i64 reaches one further there.
        match mantissa
            .checked_mul(10)
            .and_then(|m| m.checked_sub(i64::from(digit)))
        {
            Some(m) => mantissa = m,
            None => overflow = true,
        }
    }
    let mut excess = false;
    for &byte in beyond {
        if !byte.is_ascii_digit() {
            return Err(DecimalError::Malformed);
        }
        excess |= byte != b'0';
    }
    if excess {
        return Err(DecimalError::Precision);
    }
    let missing = scale as usize - fraction.len();
    let mantissa = if overflow {
        None
    } else {
        mantissa.checked_mul(POW10[missing])
    };
    let mantissa = if negative {
        mantissa
    } else {
        mantissa.and_then(i64::checked_neg)
    };
    mantissa.ok_or(DecimalError::Overflow)
}

/// As [`parse`], for what cannot be below zero: any minus sign is an error.
pub fn parse_quantity(text: &[u8], scale: u8) -> Result<i64, DecimalError> {
    match (text.first(), parse(text, scale)) {
        (Some(b'-'), Ok(_) | Err(DecimalError::Overflow | DecimalError::Precision)) => {
            Err(DecimalError::Negative)
        }
        (_, parsed) => parsed,
    }
}

/// The `f64` nearest to `mantissa / 10^scale`, ties to even. `scale` is at most [`MAX_SCALE`]; a greater one is a
/// programmer's mistake.
///
/// ```
/// assert_eq!(signal_event::decimal::to_f64(61_837_630_000_000, 9), 61837.63);
/// ```
#[inline]
pub fn to_f64(mantissa: i64, scale: u8) -> f64 {
    const EXACT: u64 = 1 << 53;
    if mantissa.unsigned_abs() <= EXACT {
        // Both operands are exact, so one division rounds once.
        mantissa as f64 / POW10_F64[scale as usize]
    } else {
        to_f64_wide(mantissa, scale)
    }
}

/// The general case: an integer quotient of at least 68 bits with a sticky last bit, then one rounding.
#[cold]
fn to_f64_wide(mantissa: i64, scale: u8) -> f64 {
    let magnitude = u128::from(mantissa.unsigned_abs());
    let shift = magnitude.leading_zeros();
    let divisor = POW10[scale as usize] as u128;
    let numerator = magnitude << shift;
    let sticky = u128::from(numerator % divisor != 0);
    let quotient = ((numerator / divisor) | sticky) as f64;
    let power = f64::from_bits(u64::from(1023 - shift) << 52);
    let value = quotient * power;
    if mantissa < 0 { -value } else { value }
}

/// The shortest plain text of `mantissa / 10^scale`: no exponent, no trailing zeros after the point.
///
/// ```
/// assert_eq!(signal_event::decimal::format(-1_500_000_000, 9), "-1.5");
/// ```
pub fn format(mantissa: i64, scale: u8) -> String {
    let magnitude = mantissa.unsigned_abs();
    let unit = POW10[scale as usize] as u64;
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    let sign = if mantissa < 0 { "-" } else { "" };
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let fraction = format!("{fraction:0width$}", width = scale as usize);
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

/// An exact decimal with its own scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i64,
    /// Decimal places, at most [`MAX_SCALE`].
    pub scale: u8,
}

impl Decimal {
    /// The decimal of a text, with the fewest places.
    ///
    /// ```
    /// use signal_event::decimal::Decimal;
    /// assert_eq!(Decimal::parse(b"0.050"), Ok(Decimal { mantissa: 5, scale: 2 }));
    /// ```
    pub fn parse(text: &[u8]) -> Result<Decimal, DecimalError> {
        let point = text.iter().position(|&b| b == b'.');
        let places = point.map_or(0, |at| {
            let fraction = &text[at + 1..];
            let kept = fraction.iter().rposition(|&b| b != b'0');
            kept.map_or(0, |at| at + 1)
        });
        let scale = u8::try_from(places).map_err(|_| DecimalError::Precision)?;
        if scale > MAX_SCALE {
            return Err(DecimalError::Precision);
        }
        let mantissa = parse(text, scale)?;
        Ok(Decimal { mantissa, scale })
    }

    /// The nearest `f64`.
    pub fn to_f64(self) -> f64 {
        to_f64(self.mantissa, self.scale)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format(self.mantissa, self.scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_exact() {
        use DecimalError::*;
        let cases: [(&[u8], u8, Result<i64, DecimalError>); 18] = [
            (b"0", 9, Ok(0)),
            (b"-0", 9, Ok(0)),
            (b"007.50", 1, Ok(75)),
            (b"1.10000000000000000000000000", 1, Ok(11)),
            (b"9223372036.854775807", 9, Ok(i64::MAX)),
            (b"-9223372036.854775808", 9, Ok(i64::MIN)),
            (b"9223372036.854775808", 9, Err(Overflow)),
            (b"99999999999999999999", 0, Err(Overflow)),
            (b"10000000000", 9, Err(Overflow)),
            (b"0.0000000001", 9, Err(Precision)),
            (b"", 9, Err(Malformed)),
            (b".5", 9, Err(Malformed)),
            (b"5.", 9, Err(Malformed)),
            (b"1e5", 9, Err(Malformed)),
            (b"+1", 9, Err(Malformed)),
            (b"1.2.3", 9, Err(Malformed)),
            (b"--1", 9, Err(Malformed)),
            (b"1.0000000000x", 9, Err(Malformed)),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(
                parse(text, scale),
                expected,
                "{}",
                String::from_utf8_lossy(text)
            );
        }
        assert_eq!(parse_quantity(b"-1", 9), Err(Negative));
        assert_eq!(parse_quantity(b"-0", 9), Err(Negative));
        assert_eq!(parse_quantity(b"-x", 9), Err(Malformed));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn text_round_trips(mantissa: i64, scale in 0u8..=MAX_SCALE) {
            prop_assert_eq!(parse(format(mantissa, scale).as_bytes(), scale), Ok(mantissa));
            let own = Decimal::parse(format(mantissa, scale).as_bytes()).unwrap();
            prop_assert_eq!(own.to_string(), format(mantissa, scale));
            prop_assert!(own.scale == 0 || own.mantissa % 10 != 0);
        }

        /// The oracle is the standard library's parser, which is correctly rounded.
        #[test]
        fn f64_is_correctly_rounded(mantissa: i64, shift in 0u32..63, scale in 0u8..=MAX_SCALE) {
            let mantissa = mantissa >> shift;
            let expected: f64 = format!("{mantissa}e-{scale}").parse().unwrap();
            prop_assert_eq!(to_f64(mantissa, scale).to_bits(), (expected + 0.0).to_bits());
        }
    }
}
