//! Where the reading of a topic stands.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::FeedError;

/// A place in a partition: the next message, and how many of its events were given already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The offset of the message that is next.
    pub offset: i64,
    /// Events of it that were given.
    pub given: u32,
}

/// Places by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaPosition(pub BTreeMap<i32, Place>);

impl KafkaPosition {
    /// `{"format":1,"offsets":{"0":[123,0],…}}`
    pub fn to_json(&self) -> String {
        let offsets: serde_json::Map<String, Value> = self
            .0
            .iter()
            .map(|(partition, place)| (partition.to_string(), json!([place.offset, place.given])))
            .collect();
        json!({"format": 1, "offsets": offsets}).to_string()
    }

    /// What `to_json` wrote; keys that are not known are passed over.
    pub fn parse(text: &str) -> Result<KafkaPosition, FeedError> {
        let wrong = || FeedError::BadOption {
            option: "position",
            what: format!("{text:?} is no position in a topic"),
        };
        let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        let offsets = value["offsets"].as_object().ok_or_else(wrong)?;
        let place = |(partition, place): (&String, &Value)| {
            Some((
                partition.parse().ok()?,
                Place {
                    offset: place[0].as_i64()?,
                    given: u32::try_from(place[1].as_u64()?).ok()?,
                },
            ))
        };
        let found: Option<BTreeMap<i32, Place>> = offsets.iter().map(place).collect();
        found.map(KafkaPosition).ok_or_else(wrong)
    }
}
