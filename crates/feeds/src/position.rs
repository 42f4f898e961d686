//! Where a feed stands, as text that only the feed itself reads.

use std::fmt;

use serde_json::Value;

use crate::FeedError;

/// Where a feed stands. The text is the feed's own, by convention a JSON object; empty: nothing can be resumed.
///
/// A reader that has taken only some messages of a batch stands at [`Position::after`]: the feed's position before the batch,
/// and the number of messages behind it. In text that is `+17 {"messages":400}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position(String);

impl Position {
    /// The position with this text.
    pub fn new(text: impl Into<String>) -> Position {
        Position(text.into())
    }

    /// A position that was kept as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Position, FeedError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Position::new(text)),
            Err(error) => Err(FeedError::position(&String::from_utf8_lossy(bytes), error)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing can be resumed from here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text as a JSON object, for feeds whose positions are such.
    pub fn json(&self) -> Result<Value, FeedError> {
        match serde_json::from_str(&self.0) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(FeedError::position(&self.0, "it is no JSON object")),
            Err(error) => Err(FeedError::position(&self.0, error)),
        }
    }

    /// A number in the text, where that is a JSON object.
    pub fn number(&self, name: &str) -> Result<u64, FeedError> {
        let found = self.json()?[name].as_u64();
        found.ok_or_else(|| FeedError::position(&self.0, format!("it has no number \"{name}\"")))
    }

    /// Behind so many messages that follow this position.
    pub fn after(&self, messages: u64) -> Position {
        match messages {
            0 => self.clone(),
            _ => Position(format!("+{messages} {}", self.0)),
        }
    }

    /// Whether what lies before it is history, all of it: of merged feeds, of any of them.
    pub fn is_in_history(&self) -> bool {
        if !self.0.contains("history") {
            return false;
        }
        let Ok(text) = self.split().and_then(|(own, _)| own.json()) else {
            return false;
        };
        let is_in = |own: &Value| {
            own.as_str()
                .is_some_and(|own| Position::new(own).is_in_history())
        };
        match (&text["history_messages"], &text["feeds"]) {
            (Value::Null, Value::Array(feeds)) => feeds.iter().any(is_in),
            (Value::Null, _) => text["history"].as_bool().unwrap_or(false),
            _ => text["live"].is_null() || is_in(&text["live"]),
        }
    }

    /// The feed's own position, and the number of messages that were taken behind it.
    pub fn split(&self) -> Result<(Position, u64), FeedError> {
        let Some(rest) = self.0.strip_prefix('+') else {
            return Ok((self.clone(), 0));
        };
        let parts = rest.split_once(' ');
        let parsed = parts.and_then(|(n, own)| Some((Position::new(own), n.parse().ok()?)));
        parsed.ok_or_else(|| FeedError::position(&self.0, "\"+MESSAGES POSITION\" was expected"))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_within_a_batch_is_the_one_before_and_a_number() {
        let own = Position::new(r#"{"messages":400}"#);
        let within = own.after(17);
        assert_eq!(within.as_str(), r#"+17 {"messages":400}"#);
        assert_eq!(within.split().unwrap(), (own.clone(), 17));
        assert_eq!(own.after(0), own);
        assert_eq!(own.split().unwrap(), (own.clone(), 0));
        // At the beginning a feed may have no words for where it stands.
        assert_eq!(
            Position::default().after(3).split().unwrap(),
            (Position::default(), 3)
        );
    }

    #[test]
    fn a_position_says_whether_it_lies_in_a_history() {
        let live = r#"{"history_messages":5,"bridged":true,"live":"{\"messages\":3}"}"#;
        let within = r#"{"history_messages":5}"#;
        let merged = |own: [&str; 2]| serde_json::json!({"feeds": own}).to_string();
        for (text, is_in) in [
            ("", false),
            (r#"{"messages":5}"#, false),
            (within, true),
            (live, false),
            (r#"{"offsets":{},"history":true}"#, true),
            (
                r#"{"history_messages":5,"live":"{\"history\":true}"}"#,
                true,
            ),
            (merged([live, r#"{"messages":1}"#]).as_str(), false),
            (merged([live, within]).as_str(), true),
        ] {
            assert_eq!(Position::new(text).is_in_history(), is_in, "{text}");
            assert_eq!(
                Position::new(text).after(3).is_in_history(),
                is_in,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_position_is_refused_with_its_text() {
        for bad in ["+", "+x {}", "+17", "+-1 {}"] {
            let error = Position::new(bad).split().unwrap_err();
            assert_eq!(error.code(), "DAMAGED");
            assert!(error.to_string().contains(bad), "{error}");
        }
        assert!(Position::from_bytes(&[0xff]).is_err());
        assert!(Position::new("[1]").json().is_err());
        let own = Position::new(r#"{"a":1}"#);
        assert_eq!(own.number("a").unwrap(), 1);
        let error = own.number("messages").unwrap_err().to_string();
        assert!(
            error.contains(r#"{"a":1}"#) && error.contains("messages"),
            "{error}"
        );
    }
}
