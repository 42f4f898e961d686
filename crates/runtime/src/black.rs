//! Options on a forward by F. Black's formula (1976): price and greeks.
//!
//! All is in terms of the option out of the money, whose value has no cancellation: with `x = -|ln(forward / strike)|` and
//! `s = vol sqrt(years)` it is worth `b(x, s) = e^(x/2) N(x/s + s/2) - e^(-x/2) N(x/s - s/2)` times `sqrt(forward strike)`.
//! Results that are not defined are NaN.

use crate::special::{INV_SQRT_2PI, bell, erfcx, normal_cdf};
use signal_kernels::log;

const SQRT_HALF_PI: f64 = 1.253_314_137_315_500_3;

/// The terms of a contract and the market: forward, strike, years to expiry, volatility a year, discount factor, and right,
/// above zero a call and below zero a put.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub forward: f64,
    pub strike: f64,
    pub years: f64,
    pub vol: f64,
    pub discount: f64,
    pub right: f64,
}

/// What an option is worth at once, undiscounted; NaN where the terms make no option.
pub fn intrinsic(forward: f64, strike: f64, right: f64) -> f64 {
    let sound = forward > 0.0 && strike > 0.0 && right != 0.0;
    let gain = if right > 0.0 {
        forward - strike
    } else {
        strike - forward
    };
    if !sound {
        f64::NAN
    } else if gain > 0.0 {
        gain
    } else {
        0.0
    }
}

/// `ln(a / b)`, accurate where they are near each other.
pub fn log_ratio(a: f64, b: f64) -> f64 {
    let ratio = a / b;
    if (0.5..=2.0).contains(&ratio) {
        log::log1p((a - b) / b)
    } else if ratio > 0.0 && ratio < f64::INFINITY {
        log::log(ratio)
    } else {
        f64::NAN
    }
}

/// The normal distribution function over its density, for `z <= 0`.
fn mills(z: f64) -> f64 {
    SQRT_HALF_PI * erfcx(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// `mills(h + t) - mills(h - t)` for `h t = x / 2 <= 0`: where both are alike, by the series of odd derivatives
/// `Y' = 1 + h Y`, `Y^(n+1) = h Y^(n) + n Y^(n-1)`; NaN where the first lies above 0 and they are not alike.
pub fn difference(x: f64, h: f64, t: f64) -> f64 {
    if x < -1.0 || t > 0.5 {
        return if h + t <= 0.0 {
            mills(h + t) - mills(h - t)
        } else {
            f64::NAN
        };
    }
    let mut before = mills(h);
    let (mut now, mut weight, mut sum) = (1.0 + h * before, t, 0.0);
    for n in [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0] {
        let term: f64 = weight * now;
        sum += term;
        if term.abs() <= 1e-17 * sum {
            break;
        }
        let next = h * now + n * before;
        (before, now) = (next, h * next + (n + 1.0) * now);
        weight *= t * t / ((n + 1.0) * (n + 2.0));
    }
    2.0 * sum
}

/// `b(x, s)` for `x <= 0` and `s >= 0`.
pub fn normalised(x: f64, s: f64) -> f64 {
    if s == 0.0 {
        return 0.0;
    }
    let (h, t) = (x / s, 0.5 * s);
    let difference = difference(x, h, t);
    if difference.is_nan() {
        libm::exp(0.5 * x) * normal_cdf(h + t) - libm::exp(-0.5 * x) * normal_cdf(h - t)
    } else {
        INV_SQRT_2PI * libm::exp(-0.5 * (h * h + t * t)) * difference
    }
}

impl Terms {
    /// Standard deviation of the logarithm at expiry; NaN where the terms make no option.
    fn deviation(&self) -> f64 {
        let sound = self.years >= 0.0 && self.vol >= 0.0 && self.discount > 0.0;
        let worth = intrinsic(self.forward, self.strike, self.right);
        if sound && !worth.is_nan() {
            self.vol * self.years.sqrt()
        } else {
            f64::NAN
        }
    }

    /// `(d1, d2)`; NaN where nothing is left to happen.
    fn distances(&self) -> (f64, f64) {
        let s = self.deviation();
        let h = log_ratio(self.forward, self.strike) / s;
        if s > 0.0 {
            (h + 0.5 * s, h - 0.5 * s)
        } else {
            (f64::NAN, f64::NAN)
        }
    }

    /// Continuous rate a year at which the discount factor discounts.
    fn rate(&self) -> f64 {
        -log_ratio(self.discount, 1.0) / self.years
    }

    /// Discounted value; without time or volatility what the option is worth at once.
    #[inline(never)]
    pub fn price(&self) -> f64 {
        let s = self.deviation();
        if s.is_nan() {
            return s;
        }
        let x = -log_ratio(self.forward, self.strike).abs();
        let least = intrinsic(self.forward, self.strike, self.right);
        let scale = self.forward.sqrt() * self.strike.sqrt();
        self.discount * (least + scale * normalised(x, s))
    }

    /// Change of the price with the forward.
    #[inline(never)]
    pub fn delta(&self) -> f64 {
        let (d1, _) = self.distances();
        if self.right > 0.0 {
            self.discount * normal_cdf(d1)
        } else {
            -self.discount * normal_cdf(-d1)
        }
    }

    /// Change of delta with the forward.
    #[inline(never)]
    pub fn gamma(&self) -> f64 {
        let (d1, _) = self.distances();
        self.discount * INV_SQRT_2PI * bell(d1) / (self.forward * self.deviation())
    }

    /// Change of the price with the volatility, for a volatility that changes by 1.
    #[inline(never)]
    pub fn vega(&self) -> f64 {
        let (d1, _) = self.distances();
        self.discount * self.forward * INV_SQRT_2PI * bell(d1) * self.years.sqrt()
    }

    /// Change of the price as a year passes at this pace, the forward unchanged.
    #[inline(never)]
    pub fn theta(&self) -> f64 {
        self.rate() * self.price() - 0.5 * self.vega() * self.vol / self.years
    }

    /// Change of delta with the volatility.
    #[inline(never)]
    pub fn vanna(&self) -> f64 {
        let (d1, d2) = self.distances();
        -self.discount * INV_SQRT_2PI * bell(d1) * d2 / self.vol
    }

    /// Change of delta as a year passes at this pace, the forward unchanged.
    #[inline(never)]
    pub fn charm(&self) -> f64 {
        let (d1, d2) = self.distances();
        let drift = self.discount * INV_SQRT_2PI * bell(d1) * d2 / (2.0 * self.years);
        self.rate() * self.delta() + drift
    }
}
