//! Times as venues write them.

use signal_event::{NO_TIME, Timestamp};

use super::digits;

/// Milliseconds to nanoseconds; `None` if they do not fit, or mean "absent".
#[inline]
pub(crate) fn ns_of_ms(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms)
        .ok()?
        .checked_mul(1_000_000)
        .filter(|ns| *ns != NO_TIME)
}

/// Nanoseconds of `2026-08-09T21:05:48.483587501Z`: UTC, up to nine digits behind the point or none.
pub(crate) fn rfc3339(text: &[u8]) -> Option<Timestamp> {
    let number = |from: usize, count: usize| -> Option<i64> {
        let text = text.get(from..from + count)?;
        text.iter().try_fold(0, |value, &byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| value * 10 + i64::from(digit))
        })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if text.last() != Some(&b'Z') || marks.iter().any(|&(at, mark)| text.get(at) != Some(&mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let good = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && (hour <= 23 && minute <= 59 && second <= 60);
    let fraction = &text[19..text.len() - 1];
    let ns = match fraction {
        [] => 0,
        [b'.', places @ ..] if (1..=9).contains(&places.len()) => fraction_ns(places)?,
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    good.then(|| seconds.checked_mul(1_000_000_000)?.checked_add(ns))?
}

/// Digits behind the point of a second.
fn fraction_ns(places: &[u8]) -> Option<i64> {
    let mut padded = [b'0'; 9];
    padded.get_mut(..places.len())?.copy_from_slice(places);
    let high = digits::exactly(padded.first_chunk()?, 8)?;
    let low = padded[8].wrapping_sub(b'0');
    (low <= 9).then(|| (high * 10 + u64::from(low)) as i64)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
