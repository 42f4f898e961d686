//! Where the reading of a topic stands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{FeedError, Position};

/// A place in a partition: the next message, and how many of its events were given already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The offset of the message that is next.
    pub(super) offset: i64,
    /// Events of it that were given.
    pub(super) given: u32,
}

/// Places by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KafkaPosition {
    pub(super) places: BTreeMap<i32, Place>,
    /// Whether what was given so far is history.
    pub(super) in_history: bool,
}

impl KafkaPosition {
    /// `{"format":1,"offsets":{"0":[123,0],…}}`
    pub(super) fn to_position(&self) -> Position {
        let places = self.places.iter();
        let offsets: serde_json::Map<String, Value> = places
            .map(|(partition, place)| (partition.to_string(), json!([place.offset, place.given])))
            .collect();
        let mut text = json!({"format": 1, "offsets": offsets});
        if self.in_history {
            text["history"] = json!(true);
        }
        Position::new(text.to_string())
    }

    /// What `to_position` wrote; keys that are not known are passed over.
    pub(super) fn parse(position: &Position) -> Result<KafkaPosition, FeedError> {
        let wrong = || FeedError::position(position.as_str(), "it is no position in a topic");
        let text = position.json()?;
        let offsets = text["offsets"].as_object().ok_or_else(wrong)?;
        let place = |(partition, place): (&String, &Value)| {
            Some((
                partition.parse().ok()?,
                Place {
                    offset: place[0].as_i64()?,
                    given: u32::try_from(place[1].as_u64()?).ok()?,
                },
            ))
        };
        let places: Option<BTreeMap<i32, Place>> = offsets.iter().map(place).collect();
        Ok(KafkaPosition {
            places: places.ok_or_else(wrong)?,
            in_history: text["history"].as_bool().unwrap_or(false),
        })
    }
}
