//! How many messages met which verdict.

/// How many messages of a stream met which verdict: `input == accepted + duplicate + late + rejected +
/// conflated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// What came: judged, or left out before.
    pub input: u64,
    /// Accepted, those after a gap included.
    pub accepted: u64,
    /// Seen before.
    pub duplicate: u64,
    /// Behind what was accepted.
    pub late: u64,
    /// Refused.
    pub rejected: u64,
    /// Left out where the reader of the feed was behind: a later message replaced them.
    pub conflated: u64,
    /// Accepted after a gap.
    pub gaps: u64,
    /// Ids missing in the gaps.
    pub missing: u64,
    /// Accepted by their ids and no event: prints that are no trades of the order book.
    pub off_book: u64,
    /// Accepted, but not at the time that they were read at: the receive clock stood wrong.
    pub clock_steps: u64,
    /// How often time or ids began anew.
    pub restarts: u64,
}

impl Counts {
    /// Adds the counts of another stream.
    pub fn add(&mut self, other: &Counts) {
        self.input += other.input;
        self.accepted += other.accepted;
        self.duplicate += other.duplicate;
        self.late += other.late;
        self.rejected += other.rejected;
        self.conflated += other.conflated;
        self.gaps += other.gaps;
        self.missing = self.missing.saturating_add(other.missing);
        self.off_book += other.off_book;
        self.clock_steps += other.clock_steps;
        self.restarts += other.restarts;
    }

    /// Whether every input met exactly one verdict.
    pub fn balances(&self) -> bool {
        let judged = self.accepted + self.duplicate + self.late + self.rejected;
        self.input == judged + self.conflated
    }
}
