//! Functions of the normal distribution and what belongs to them, from one portable source: additions, multiplications,
//! divisions and square roots of IEEE 754, and `exp` and `log` of our own or of the `libm` crate. No result depends on
//! the processor or on its platform's library.

#![allow(clippy::excessive_precision)] // the constants are printed as their source has them

use signal_kernels::log;

/// 1 / sqrt(2 pi)
pub const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_677_94;
/// 1 / sqrt(2), and what rounding took from it.
const SQRT_HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;
const SQRT_HALF_LOST: f64 = -4.833_646_656_726_456_518_6e-17;
/// 2 / sqrt(pi)
const TWO_OVER_SQRT_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI;

/// `x * y` and what rounding took from it (Dekker 1971), for factors below 1e150.
#[inline(always)]
fn product(x: f64, y: f64) -> (f64, f64) {
    let halves = |x: f64| {
        let c = 134_217_729.0 * x; // 2^27 + 1
        let high = c - (c - x);
        (high, x - high)
    };
    let ((a, b), (c, d), p) = (halves(x), halves(y), x * y);
    (p, ((a * c - p) + a * d + b * c) + b * d)
}

/// e^(-x^2 / 2), also where x is large: what rounding takes from the square is put back.
#[inline(always)]
pub fn bell(x: f64) -> f64 {
    if x.abs() > 40.0 {
        return if x.is_nan() { x } else { 0.0 };
    }
    let (square, lost) = product(x, x);
    libm::exp(-0.5 * square) * (1.0 - 0.5 * lost)
}

/// Density of the standard normal distribution.
#[inline(never)]
pub fn normal_pdf(x: f64) -> f64 {
    INV_SQRT_2PI * bell(x)
}

/// Distribution function of the standard normal distribution, accurate in the lower tail.
#[inline(never)]
pub fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 40.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    // erfc at -x / sqrt(2): in the tail it falls so fast that what rounding takes from its argument matters.
    let (z, lost) = product(-x, SQRT_HALF);
    let lost = lost - x * SQRT_HALF_LOST;
    let value = libm::erfc(z);
    0.5 * (value - lost * TWO_OVER_SQRT_PI * libm::exp(-z * z))
}

#[inline(always)]
fn polynomial<const N: usize>(of: [f64; N], x: f64) -> f64 {
    of.iter().rev().fold(0.0, |sum, &a| sum * x + a)
}

/// The `x` at which the standard normal distribution function is `p`, for `p` in (0, 1): M. J. Wichura's AS 241 (1988).
#[inline(never)]
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * polynomial(
            [
                3.387_132_872_796_366_608_0e0,
                1.331_416_678_917_843_774_5e2,
                1.971_590_950_306_551_442_7e3,
                1.373_169_376_550_946_112_5e4,
                4.592_195_393_154_987_145_7e4,
                6.726_577_092_700_870_085_3e4,
                3.343_057_558_358_812_810_5e4,
                2.509_080_928_730_122_672_7e3,
            ],
            r,
        ) / polynomial(
            [
                1.0,
                4.231_333_070_160_091_125_2e1,
                6.871_870_074_920_579_083_0e2,
                5.394_196_021_424_751_107_7e3,
                2.121_379_430_158_659_586_7e4,
                3.930_789_580_009_271_061_0e4,
                2.872_908_573_572_194_267_4e4,
                5.226_495_278_852_854_561_0e3,
            ],
            r,
        );
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail.is_nan() || tail <= 0.0 {
        return f64::NAN;
    }
    let r = (-log::log(tail)).sqrt();
    let far = if r <= 5.0 {
        let r = r - 1.6;
        polynomial(
            [
                1.423_437_110_749_683_577_34e0,
                4.630_337_846_156_545_295_90e0,
                5.769_497_221_460_691_405_50e0,
                3.647_848_324_763_204_605_04e0,
                1.270_458_252_452_368_382_58e0,
                2.417_807_251_774_506_117_70e-1,
                2.272_384_498_926_918_458_33e-2,
                7.745_450_142_783_414_076_40e-4,
            ],
            r,
        ) / polynomial(
            [
                1.0,
                2.053_191_626_637_758_821_87e0,
                1.676_384_830_183_803_849_40e0,
                6.897_673_349_851_000_045_50e-1,
                1.481_039_764_274_800_745_90e-1,
                1.519_866_656_361_645_719_66e-2,
                5.475_938_084_995_344_946_00e-4,
                1.050_750_071_644_416_843_24e-9,
            ],
            r,
        )
    } else {
        let r = r - 5.0;
        polynomial(
            [
                6.657_904_643_501_103_777_20e0,
                5.463_784_911_164_114_369_90e0,
                1.784_826_539_917_291_335_80e0,
                2.965_605_718_285_048_912_30e-1,
                2.653_218_952_657_612_309_30e-2,
                1.242_660_947_388_078_438_60e-3,
                2.711_555_568_743_487_578_15e-5,
                2.010_334_399_292_288_132_65e-7,
            ],
            r,
        ) / polynomial(
            [
                1.0,
                5.998_322_065_558_879_376_90e-1,
                1.369_298_809_227_358_053_10e-1,
                1.487_536_129_085_061_485_25e-2,
                7.868_691_311_456_132_591_00e-4,
                1.846_318_317_510_054_681_80e-5,
                1.421_511_758_316_445_888_70e-7,
                2.044_263_103_389_939_785_64e-15,
            ],
            r,
        )
    };
    if q < 0.0 { -far } else { far }
}

/// `ln(p / (1 - p))` for `p` in (0, 1), accurate near 1/2 too.
#[inline(never)]
pub fn logit(p: f64) -> f64 {
    if (0.3..=0.65).contains(&p) {
        let s = 2.0 * (p - 0.5);
        log::log1p(s) - log::log1p(-s)
    } else if p > 0.0 && p < 1.0 {
        log::log(p / (1.0 - p))
    } else {
        f64::NAN
    }
}

/// e^(y^2) erfc(y) for `y >= 0`: W. J. Cody's rational approximations (1969).
#[inline(never)]
pub fn erfcx(y: f64) -> f64 {
    if y <= 0.468_75 {
        let z = y * y;
        let erf = y * polynomial(
            [
                3.209_377_589_138_469_472_56e3,
                3.774_852_376_853_020_208_14e2,
                1.138_641_541_510_501_556_50e2,
                3.161_123_743_870_565_596_95e0,
                1.857_777_061_846_031_526_73e-1,
            ],
            z,
        ) / polynomial(
            [
                2.844_236_833_439_170_622_27e3,
                1.282_616_526_077_372_275_65e3,
                2.440_246_379_344_441_733_06e2,
                2.360_129_095_234_412_093_50e1,
                1.0,
            ],
            z,
        );
        libm::exp(z) * (1.0 - erf)
    } else if y <= 4.0 {
        polynomial(
            [
                1.230_339_354_797_997_253_74e3,
                2.051_078_377_826_071_465_32e3,
                1.712_047_612_634_070_583_14e3,
                8.819_522_212_417_690_904_11e2,
                2.986_351_381_974_001_311_32e2,
                6.611_919_063_714_162_948_16e1,
                8.883_149_794_388_375_941_18e0,
                5.641_884_969_886_700_891_80e-1,
                2.153_115_354_744_038_463_43e-8,
            ],
            y,
        ) / polynomial(
            [
                1.230_339_354_803_749_420_43e3,
                3.439_367_674_143_721_636_96e3,
                4.362_619_090_143_247_157_94e3,
                3.290_799_235_733_459_627_03e3,
                1.621_389_574_566_690_189_06e3,
                5.371_811_018_620_098_575_09e2,
                1.176_939_508_913_124_993_05e2,
                1.574_492_611_070_983_473_13e1,
                1.0,
            ],
            y,
        )
    } else {
        let z = 1.0 / (y * y);
        let rest = z * polynomial(
            [
                6.587_491_615_298_378_031_57e-4,
                1.608_378_514_874_227_662_78e-2,
                1.257_817_261_112_292_462_04e-1,
                3.603_448_999_498_044_394_29e-1,
                3.053_266_349_612_323_442_67e-1,
                1.631_538_713_730_209_785_36e-2,
            ],
            z,
        ) / polynomial(
            [
                2.335_204_976_268_691_854_43e-3,
                6.051_834_131_244_131_912_17e-2,
                5.279_051_029_514_284_122_48e-1,
                1.872_952_849_923_467_256_43e0,
                2.568_520_192_289_822_421_57e0,
                1.0,
            ],
            z,
        );
        (0.564_189_583_547_756_286_95 - rest) / y
    }
}
