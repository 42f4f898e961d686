//! Timing in laps, and the line that reports it.

use std::time::{Duration, Instant};

/// Times a work that is repeated in rounds of the same laps. Each lap counts with the least time it took in any round, so
/// that a neighbour on the machine has to disturb the same lap in every round to be seen.
pub struct Laps {
    best: Vec<Duration>,
    at: usize,
    start: Instant,
}

impl Laps {
    pub fn new() -> Laps {
        Laps {
            best: Vec::new(),
            at: 0,
            start: Instant::now(),
        }
    }

    /// A round begins, and its first lap.
    pub fn begin(&mut self) {
        self.at = 0;
        self.start = Instant::now();
    }

    /// A lap ends and the next begins.
    pub fn lap(&mut self) {
        let took = self.start.elapsed();
        match self.best.get_mut(self.at) {
            Some(best) => *best = took.min(*best),
            None => self.best.push(took),
        }
        self.at += 1;
        self.start = Instant::now();
    }

    /// What follows up to the next lap's end is not timed until now.
    pub fn resume(&mut self) {
        self.start = Instant::now();
    }

    /// Seconds of a round at its best.
    pub fn seconds(&self) -> f64 {
        self.best.iter().sum::<Duration>().as_secs_f64()
    }
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
