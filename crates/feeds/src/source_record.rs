//! What went into a tape, as its metadata keeps it.

use std::path::Path;

use serde_json::{Value, json};
use signal_ingest::{RejectCode, Rejects};

/// The key of a tape's metadata that holds a list of [`SourceRecord`].
pub(crate) const SOURCES_KEY: &str = "signal_stream.sources";

/// What went into a tape: one raw file and what became of its lines. `inputs == messages + rejects`, where frames that
/// are not used stand among the rejects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// The file's name, without its folder.
    pub name: String,
    /// [`Format::name`].
    pub format: String,
    /// Frames, or messages of a tape.
    pub inputs: u64,
    /// Those that became messages, one or several each.
    pub messages: u64,
    /// Refusals by the name of their code.
    pub rejects: Vec<(String, u64)>,
}

impl SourceRecord {
    /// `{"name":…,"format":…,"inputs":…,"messages":…,"rejects":{…}}`
    pub fn to_json(&self) -> Value {
        let rejects: serde_json::Map<String, Value> = self
            .rejects
            .iter()
            .map(|(code, n)| (code.clone(), json!(n)))
            .collect();
        json!({"name": self.name, "format": self.format, "inputs": self.inputs, "messages": self.messages, "rejects": rejects})
    }

    fn from_json(value: &Value) -> Option<SourceRecord> {
        let rejects = value["rejects"].as_object()?.iter();
        Some(SourceRecord {
            name: value["name"].as_str()?.into(),
            format: value["format"].as_str()?.into(),
            inputs: value["inputs"].as_u64()?,
            messages: value["messages"].as_u64()?,
            rejects: rejects
                .map(|(code, n)| Some((code.clone(), n.as_u64()?)))
                .collect::<Option<_>>()?,
        })
    }

    /// The records in a tape's metadata; none where there are none.
    pub(crate) fn list_of(text: Option<&str>) -> Vec<SourceRecord> {
        let list = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let list = list.as_ref().and_then(Value::as_array);
        list.map_or_else(Vec::new, |list| {
            list.iter().filter_map(SourceRecord::from_json).collect()
        })
    }
}

/// Refusals by name of code, as a [`SourceRecord`] holds them.
pub(crate) fn named_counts(rejects: &Rejects) -> Vec<(String, u64)> {
    rejects
        .counts
        .iter()
        .map(|(code, n): (&RejectCode, &u64)| (code.name().to_string(), *n))
        .collect()
}

/// The name of a file, for people.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
