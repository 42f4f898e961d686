//! Timing and the line that reports it.

use std::time::Instant;

/// The least seconds that `work` took in `rounds` rounds.
pub fn best_of(rounds: usize, mut work: impl FnMut()) -> f64 {
    (0..rounds)
        .map(|_| seconds(&mut |()| work(), ()))
        .fold(f64::INFINITY, f64::min)
}

/// The least seconds that `work` took in `rounds` rounds, and the same of `peer`, in turns. What the `prepare`
/// functions do is not timed.
pub fn best_of_both<W, P>(
    rounds: usize,
    mut prepare_work: impl FnMut() -> W,
    mut work: impl FnMut(W),
    mut prepare_peer: impl FnMut() -> P,
    mut peer: impl FnMut(P),
) -> (f64, f64) {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..rounds {
        best.0 = best.0.min(seconds(&mut work, prepare_work()));
        best.1 = best.1.min(seconds(&mut peer, prepare_peer()));
    }
    best
}

fn seconds<T>(work: &mut impl FnMut(T), input: T) -> f64 {
    let start = Instant::now();
    work(input);
    start.elapsed().as_secs_f64()
}

/// One figure.
pub struct Figure<'a> {
    pub work: &'a str,
    pub unit: &'a str,
    pub value: f64,
    pub peer: Option<(&'a str, f64)>,
}

impl Figure<'_> {
    /// Prints the figure as one JSON object.
    pub fn print(&self) {
        let Figure {
            work,
            unit,
            value,
            peer,
        } = self;
        let peer = peer
            .map(|(name, value)| format!(",\"peer\":\"{name}\",\"peer_value\":{value:.0}"))
            .unwrap_or_default();
        println!("{{\"work\":\"{work}\",\"unit\":\"{unit}\",\"value\":{value:.0}{peer}}}");
    }
}
