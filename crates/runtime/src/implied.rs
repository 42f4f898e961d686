//! The volatility that a price implies under Black's formula, to the accuracy of the numbers themselves.
//!
//! The method is P. Jäckel's ("Let's Be Rational", 2015): the price of the option out of the money, normalised, is one of
//! four regions of `b(x, s)` around its point of inflection `s = sqrt(2 |x|)`. In each, a rational cubic (Delbourgo &
//! Gregory 1985) through two points gives a first guess, and Householder's method of fourth order, on an objective that
//! is nearly linear there, the rest: two steps, as a rule. A bracket guards the steps, so that the search always ends.

use crate::black::{difference, intrinsic, log_ratio, normalised};
use crate::special::{INV_SQRT_2PI, normal_cdf, normal_quantile};
use signal_kernels::log;
use std::f64::consts::PI;

/// Steps at most: a search by halves alone ends within so many.
const STEPS_MAX: usize = 120;
/// A step so small beside `s` leaves an error far below the last place.
const SETTLED: f64 = 1e-5;
const SQRT_3: f64 = 1.732_050_807_568_877_2;

/// Volatility a year. NaN (outside the domain) where the price lies below what the option is worth at once, or not below
/// the forward of a call or the strike of a put, discounted; 0 where nothing is left above what it is worth at once.
#[inline(never)]
pub fn implied_vol(
    price: f64,
    forward: f64,
    strike: f64,
    years: f64,
    discount: f64,
    right: f64,
) -> f64 {
    if !(years > 0.0 && discount > 0.0) {
        return f64::NAN;
    }
    // As the price itself is discounted, so that what is worth nothing above that stays so.
    let above = price - discount * intrinsic(forward, strike, right);
    let scale = discount * (forward.sqrt() * strike.sqrt());
    deviation(above / scale, -log_ratio(forward, strike).abs()) / years.sqrt()
}

/// The `s` at which `b(x, s)` is `price`, for `x <= 0`.
fn deviation(price: f64, x: f64) -> f64 {
    let most = libm::exp(0.5 * x);
    if !(price >= 0.0 && price < most) {
        return f64::NAN;
    }
    if price == 0.0 {
        return 0.0;
    }
    let (goal, mut s) = guess(price, x, most);
    let (mut low, mut high) = (0.0, f64::INFINITY);
    if !(s > 0.0 && s < f64::INFINITY) {
        s = 1.0;
    }
    for _ in 0..STEPS_MAX {
        let Step { below, step } = goal.step(price, x, most, s);
        if below {
            low = s;
        } else {
            high = s;
        }
        let next = s + step;
        if step.abs() <= SETTLED * s {
            return next;
        }
        s = if low < next && next < high {
            next
        } else if high < f64::INFINITY {
            0.5 * (low + high)
        } else {
            2.0 * s
        };
        if s <= low || s >= high {
            break;
        }
    }
    s
}

/// Which function of the price the search makes equal.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// `1 / ln b`, for prices far below the point of inflection.
    InverseLog,
    /// `b` itself.
    Price,
    /// `ln(most - b)`, for prices near their bound.
    LogToBound,
}

/// A step of the search.
struct Step {
    /// Whether the price at `s` is below the one that is sought.
    below: bool,
    step: f64,
}

impl Goal {
    fn step(self, price: f64, x: f64, most: f64, s: f64) -> Step {
        let (h, t) = (x / s, 0.5 * s);
        let square = h * h / (s * s);
        // Second and third derivative of b over its first.
        let second = h * h / s - 0.25 * s;
        let third = second * second - 3.0 * square - 0.25;
        let slope = || INV_SQRT_2PI * libm::exp(-0.5 * (h * h + t * t));
        let (below, newton, second, third) = match self {
            Self::InverseLog => {
                let shape = difference(x, h, t);
                let log_b = log::log(INV_SQRT_2PI * shape) - 0.5 * (h * h + t * t);
                let sought = log::log(price);
                let (rate, inverse) = (1.0 / shape, 1.0 / log_b);
                let bend = 1.0 + 2.0 * inverse;
                (
                    log_b < sought,
                    (sought - log_b) * (log_b / sought) * shape,
                    second - rate * bend,
                    third + 2.0 * rate * rate * (1.0 + 3.0 * inverse * (1.0 + inverse))
                        - 3.0 * second * rate * bend,
                )
            }
            Self::Price => {
                let b = normalised(x, s);
                (b < price, (price - b) / slope(), second, third)
            }
            Self::LogToBound => {
                let left = most - normalised(x, s);
                let rate = slope() / left;
                (
                    left > most - price,
                    log_ratio(left, most - price) / rate,
                    second + rate,
                    third + rate * (2.0 * rate + 3.0 * second),
                )
            }
        };
        let step = newton * (1.0 + 0.5 * second * newton)
            / (1.0 + newton * (second + third * newton / 6.0));
        // A step back of more than half of the way, or none at all, is left to the bracket.
        Step {
            below,
            step: if step > -0.5 * s { step } else { -0.5 * s },
        }
    }
}

/// A point of a curve: place, value and slope.
#[derive(Clone, Copy, Debug)]
struct Point {
    at: f64,
    value: f64,
    slope: f64,
}

/// The rational cubic through two points, at `x` between them; `bend` above -1 shapes it.
fn rational_cubic(left: Point, right: Point, bend: f64, x: f64) -> f64 {
    let width = right.at - left.at;
    let (t, u) = ((x - left.at) / width, (right.at - x) / width);
    let value = right.value * t * t * t
        + (bend * right.value - width * right.slope) * t * t * u
        + (bend * left.value + width * left.slope) * t * u * u
        + left.value * u * u * u;
    value / (1.0 + (bend - 3.0) * t * u)
}

/// The bend with this second derivative at the left point (`Side::Left`) or the right one, no less than a monotone curve has.
fn bend_of(left: Point, right: Point, second: f64, at_right: bool) -> f64 {
    let width = right.at - left.at;
    let chord = (right.value - left.value) / width;
    let turn = 0.5 * width * second + right.slope - left.slope;
    let wanted = turn
        / if at_right {
            right.slope - chord
        } else {
            chord - left.slope
        };
    let least = (left.slope + right.slope) / chord;
    // What is no number takes the least; what is large is a straight line.
    let wanted = if wanted > least { wanted } else { least };
    wanted.min(1e9)
}

/// A first guess, and on which objective it is made better.
fn guess(price: f64, x: f64, most: f64) -> (Goal, f64) {
    let point = |s: f64| {
        let (h, t) = (if s > 0.0 { x / s } else { 0.0 }, 0.5 * s);
        let slope = INV_SQRT_2PI * libm::exp(-0.5 * (h * h + t * t));
        Point {
            at: normalised(x, s),
            value: s,
            slope: 1.0 / slope,
        }
    };
    let centre = point((-2.0 * x).sqrt());
    if price < centre.at {
        let left = point(centre.value - centre.at * centre.slope);
        if price >= left.at {
            let bend = bend_of(left, centre, 0.0, true);
            return (Goal::Price, rational_cubic(left, centre, bend, price));
        }
        return (Goal::InverseLog, lower(price, x, left));
    }
    let right = point(centre.value + (most - centre.at) * centre.slope);
    if price <= right.at {
        let bend = bend_of(centre, right, 0.0, false);
        let goal = if price > 0.5 * most {
            Goal::LogToBound
        } else {
            Goal::Price
        };
        return (goal, rational_cubic(centre, right, bend, price));
    }
    (Goal::LogToBound, upper(price, x, most, right))
}

/// Where the price is far below: `2 pi |x| / (3 sqrt 3) N(-|x| / (sqrt 3 s))^3` is nearly linear in it.
fn lower(price: f64, x: f64, left: Point) -> f64 {
    let s = left.value;
    let y = x * x / (3.0 * s * s);
    let z = x / (SQRT_3 * s);
    let n = normal_cdf(z);
    let density = INV_SQRT_2PI * libm::exp(-0.5 * y);
    let scale = 2.0 * PI * -x / (3.0 * SQRT_3);
    let curve = Point {
        at: left.at,
        value: scale * n * n * n,
        slope: 2.0 * PI * y * n * n * libm::exp(y + 0.125 * s * s),
    };
    let second = PI / 6.0 * y / (s * s * s)
        * n
        * (8.0 * SQRT_3 * s * -x + (3.0 * s * s * (s * s - 8.0) - 8.0 * x * x) * n / density)
        * libm::exp(2.0 * y + 0.25 * s * s);
    let zero = Point {
        at: 0.0,
        value: 0.0,
        slope: 1.0,
    };
    let bend = bend_of(zero, curve, second, true);
    let value = rational_cubic(zero, curve, bend, price);
    x / (SQRT_3 * normal_quantile(libm::cbrt(value / scale)))
}

/// Where the price is near its bound: `N(-s / 2)` is nearly linear in it.
fn upper(price: f64, x: f64, most: f64, right: Point) -> f64 {
    let s = right.value;
    let w = (x / s) * (x / s);
    let curve = Point {
        at: right.at,
        value: normal_cdf(-0.5 * s),
        slope: -0.5 * libm::exp(0.5 * w),
    };
    let second = (0.5 * PI).sqrt() * libm::exp(w + 0.125 * s * s) * w / s;
    let bound = Point {
        at: most,
        value: 0.0,
        slope: -0.5,
    };
    let bend = bend_of(curve, bound, second, false);
    -2.0 * normal_quantile(rational_cubic(curve, bound, bend, price))
}
