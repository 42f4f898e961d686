//! What a topic and its group know of each other.

use std::collections::BTreeMap;
use std::time::Instant;

use super::position::Place;

/// What we and our group know of each other.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Behind what was given and is written; where nothing was given, where we began.
    pub(super) written: BTreeMap<i32, Place>,
    /// What the group has of partitions that we read.
    pub(super) committed: BTreeMap<i32, Place>,
    pub(super) committed_at: Option<Instant>,
    pub(super) giving: Option<Giving>,
    pub(super) rebalances: u64,
}

/// Partitions that the group wants back, and where we stand in them: it has to wait until that is written and committed.
#[derive(Debug)]
pub(super) struct Giving {
    pub(super) numbers: Vec<i32>,
    pub(super) places: BTreeMap<i32, Place>,
}

impl Giving {
    pub(super) fn is_in(&self, known: &BTreeMap<i32, Place>) -> bool {
        let mut places = self.places.iter();
        places.all(|(number, place)| known.get(number) >= Some(place))
    }
}
