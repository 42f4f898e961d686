//! How long to wait before the next attempt.

use std::time::Duration;

/// Pauses that double from `least` up to `most`, each cut to a part between a half and the whole of it, so that many
/// clients that lost one venue do not return at once. The draws rest on the seed alone.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    failures: u32,
    state: u64,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration, seed: u64) -> Backoff {
        Backoff {
            least,
            most: most.max(least),
            failures: 0,
            state: seed,
        }
    }

    /// The pause after one more failure; not below what the venue asked for, within an hour.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = self.least.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let jittered = doubled.min(self.most).mul_f64(0.5 + 0.5 * self.draw());
        jittered.max(asked.unwrap_or_default().min(ASKED_MAX))
    }

    /// An attempt succeeded: the next pause is the least again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// A number in [0, 1): SplitMix64.
    fn draw(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The longest pause that a venue may ask for.
const ASKED_MAX: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_bounds_and_repeat_with_the_seed() {
        let ms = Duration::from_millis;
        let pauses = |seed| {
            let mut backoff = Backoff::new(ms(100), ms(1_000), seed);
            (0..8).map(|_| backoff.next(None)).collect::<Vec<_>>()
        };
        let (one, two) = (pauses(1), pauses(2));
        assert_eq!(one, pauses(1));
        assert_ne!(one, two);
        for (n, pause) in one.iter().enumerate() {
            let whole = ms(100 << n.min(4)).min(ms(1_000));
            assert!(whole / 2 <= *pause && *pause <= whole, "{n}: {pause:?}");
        }
        let mut backoff = Backoff::new(ms(100), ms(1_000), 1);
        assert!(backoff.next(Some(ms(7_000))) == ms(7_000));
        assert!(backoff.next(Some(Duration::MAX)) == ASKED_MAX);
        backoff.reset();
        assert!(backoff.next(None) <= ms(100));
    }
}
