//! Natural logarithm without branches, so that a block vectorises and every target computes the same bits.
//!
//! The reduction and the polynomial are those of W. Kahan and K. C. Ng's `log` (Sun Microsystems, 1993):
//! `x = 2^k (1 + f)`, `s = f / (2 + f)`, `log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2)))`, error below one unit in the
//! last place. Subnormals are scaled by a multiplication instead of a branch.

#![allow(clippy::excessive_precision)] // the constants are printed as their source has them

const LN2_HI: f64 = 6.931_471_803_691_238_164_90e-1;
const LN2_LO: f64 = 1.908_214_929_270_587_700_02e-10;
const LG: [f64; 7] = [
    6.666_666_666_666_735_130e-1,
    3.999_999_999_940_941_908e-1,
    2.857_142_874_366_239_149e-1,
    2.222_219_843_214_978_396e-1,
    1.818_357_216_161_805_012e-1,
    1.531_383_769_920_937_332e-1,
    1.479_819_860_511_658_591e-1,
];
/// 2^52 as an integer's place in the mantissa: adding it turns a small integer into a float by its bits.
const MAGIC: u64 = 0x4330_0000_0000_0000;

/// Natural logarithm of a positive finite number; NaN at zero and below.
#[inline(always)]
pub fn log(x: f64) -> f64 {
    let tiny = x < f64::MIN_POSITIVE;
    let scaled = if tiny {
        x * 18_014_398_509_481_984.0
    } else {
        x
    };
    let exponent_shift = if tiny { 54.0 } else { 0.0 };
    // The mantissa is brought into [sqrt(1/2), sqrt(2)) by adding the bits that carry into the exponent above sqrt(2).
    let bits = scaled.to_bits();
    let carried = bits.wrapping_add(0x3ff0_0000_0000_0000 - 0x3fe6_a09e_0000_0000);
    let biased = carried >> 52;
    let k = (f64::from_bits(MAGIC | biased) - f64::from_bits(MAGIC)) - 1023.0 - exponent_shift;
    let mantissa = (carried & 0x000f_ffff_ffff_ffff).wrapping_add(0x3fe6_a09e_0000_0000);
    let f = f64::from_bits(mantissa) - 1.0;
    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let odd = w * (LG[1] + w * (LG[3] + w * LG[5]));
    let even = z * (LG[0] + w * (LG[2] + w * (LG[4] + w * LG[6])));
    let r = even + odd;
    let value = k * LN2_HI - ((half - (s * (half + r) + k * LN2_LO)) - f);
    if x > 0.0 { value } else { f64::NAN }
}

/// Natural logarithm of `1 + x` for `x > -1`, accurate where `x` is small.
#[inline(always)]
pub fn log1p(x: f64) -> f64 {
    let u = 1.0 + x;
    // What rounding took from 1 + x, as a first-order correction (Kahan's trick, with the sign of the lost part).
    let lost = if x < 1.0 {
        x - (u - 1.0)
    } else {
        1.0 - (u - x)
    };
    log(u) + lost / u
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn log_is_within_one_unit_of_libm(bits in 1u64..0x7ff0_0000_0000_0000) {
            let x = f64::from_bits(bits);
            prop_assert!(ulps(log(x), libm::log(x)) <= 1, "{} {} {}", x, log(x), libm::log(x));
        }

        #[test]
        fn log_near_one(x in 0.5f64..2.0) {
            prop_assert!(ulps(log(x), libm::log(x)) <= 1);
        }

        #[test]
        fn log1p_is_close_to_libm(x in -0.9f64..10.0, scale in 0i32..60) {
            let x = libm::scalbn(x, -scale);
            prop_assert!(ulps(log1p(x), libm::log1p(x)) <= 2, "{} {} {}", x, log1p(x), libm::log1p(x));
        }
    }

    #[test]
    fn edges() {
        assert_eq!(log(1.0), 0.0);
        assert!(!log(0.0).is_finite() && log(-1.0).is_nan() && log(f64::NAN).is_nan());
        assert!(log1p(-1.0).is_nan() || log1p(-1.0).is_infinite());
        assert_eq!(log1p(0.0), 0.0);
    }
}
