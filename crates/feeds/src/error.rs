//! What can be wrong with a file.

use std::fmt;
use std::path::{Path, PathBuf};

use signal_event::EventError;
use signal_ingest::Venue;
use signal_kafka::KafkaError;

/// The closed set of errors of this crate. `Display` says what, where, the value, and what to do next.
#[derive(Debug)]
pub enum FeedError {
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file holds nothing.
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is none of the formats that are read.
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A capture whose frames are of no venue that is known.
    UnknownFrames {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// A Parquet or Arrow file that holds no tape.
    NotATape {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        error: EventError,
    },
    /// The file is damaged.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        place: String,
        /// What the decoder said.
        what: String,
    },
    /// The file ends before it says what is in it.
    Headless {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        found: String,
    },
    /// The files do not go together.
    Instruments {
        /// What is wrong.
        error: EventError,
    },
    /// The extension of an output names no tape format.
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// A followed file has less in it than what was read of it.
    Cut {
        /// The file.
        path: PathBuf,
        /// What was read, and what is there.
        found: String,
    },
    /// A position that is none of this feed's.
    Position {
        /// Its text.
        position: String,
        /// What is wrong with it.
        what: String,
    },
    /// A Kafka broker or client refuses.
    Kafka {
        /// Topic, or topic and partition.
        place: String,
        /// What it says.
        error: KafkaError,
    },
    /// A source that is not ours failed.
    Source {
        /// Its name.
        name: String,
        /// What it says.
        what: String,
    },
    /// The reading thread panicked: a defect of ours.
    Panicked,
    /// A setting without a meaning.
    BadOption {
        /// Its name.
        option: &'static str,
        /// What is wrong.
        what: String,
    },
}

impl FeedError {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            FeedError::Io { error, .. } if error.kind() == std::io::ErrorKind::NotFound => {
                "NOT_FOUND"
            }
            FeedError::Io {
                doing: "open" | "read",
                ..
            }
            | FeedError::Corrupt { .. }
            | FeedError::Source { .. } => "UNREADABLE",
            FeedError::Io { .. } | FeedError::UnknownExtension { .. } => "WRITE",
            FeedError::Empty { .. }
            | FeedError::UnknownFormat { .. }
            | FeedError::UnknownFrames { .. } => "UNKNOWN_FORMAT",
            FeedError::NotATape { .. } | FeedError::Instruments { .. } => "SCHEMA",
            FeedError::Cut { .. } | FeedError::Headless { .. } => "TRUNCATED",
            FeedError::Kafka { error, .. } => match error.name.as_str() {
                "_AUTO_OFFSET_RESET" | "OFFSET_OUT_OF_RANGE" => "TRUNCATED",
                "UNKNOWN_TOPIC_OR_PART" | "_UNKNOWN_TOPIC" | "_UNKNOWN_PARTITION" => "NOT_FOUND",
                _ => "UNREADABLE",
            },
            FeedError::BadOption { .. } => "BAD_OPTION",
            FeedError::Position { .. } => "DAMAGED",
            FeedError::Panicked => "PANIC",
        }
    }

    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> FeedError {
        move |error| FeedError::Io {
            path: path.to_path_buf(),
            doing,
            error,
        }
    }

    pub(crate) fn position(position: &str, what: impl fmt::Display) -> FeedError {
        FeedError::Position {
            position: position.to_string(),
            what: what.to_string(),
        }
    }

    pub(crate) fn kafka(place: &str, error: KafkaError) -> FeedError {
        FeedError::Kafka {
            place: place.into(),
            error,
        }
    }

    pub(crate) fn corrupt(
        path: &Path,
        place: impl Into<String>,
        what: impl fmt::Display,
    ) -> FeedError {
        FeedError::Corrupt {
            path: path.to_path_buf(),
            place: place.into(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeedError::Io { path, doing, error } => {
                write!(f, "{}: cannot {doing}: {error}", path.display())
            }
            FeedError::Empty { path } => {
                write!(
                    f,
                    "{}: the file is empty; give a raw capture or a tape",
                    path.display()
                )
            }
            FeedError::UnknownFormat { path, found } => write!(
                f,
                "{}: {found}; give a raw capture (lines of \"<ns> <json>\" or a recording, plain, gzip or zstd), a file of DBN or a tape (Parquet, Arrow IPC)",
                path.display()
            ),
            FeedError::UnknownFrames { path, found } => {
                let known: Vec<&str> = Venue::ALL.iter().map(|venue| venue.name()).collect();
                write!(
                    f,
                    "{}: {found}; say whose frames they are (--venue NAME, one of {})",
                    path.display(),
                    known.join(", ")
                )
            }
            FeedError::NotATape { path, error } => {
                write!(
                    f,
                    "{}: no tape: {error}; write tapes with `signal-stream tape convert`",
                    path.display()
                )
            }
            FeedError::Corrupt { path, place, what } => write!(
                f,
                "{}: corrupt at {place}: {what}; everything before it was read; convert the capture again",
                path.display()
            ),
            FeedError::Headless { path, found } => write!(
                f,
                "{}: {found}: nothing of it can be read; fetch the file again",
                path.display()
            ),
            FeedError::Instruments { error } => write!(f, "the files do not go together: {error}"),
            FeedError::UnknownExtension { path } => {
                write!(f, "{}: name a tape .parquet or .arrow", path.display())
            }
            FeedError::Cut { path, found } => write!(
                f,
                "{}: {found}: it was cut, or is another file; start with a new state folder to take it as a new one",
                path.display()
            ),
            FeedError::Position { position, what } => write!(
                f,
                "the source cannot continue behind position {position}: {what}; start with a new state folder, or restore the \
                 files that it was written for"
            ),
            FeedError::Kafka { place, error } => {
                write!(f, "{place}: {error}; {}", advice(error))
            }
            FeedError::Source { name, what } => write!(f, "source {name}: {what}"),
            FeedError::Panicked => {
                write!(
                    f,
                    "the reading thread panicked: a defect of signal-stream; please report the message on stderr"
                )
            }
            FeedError::BadOption { option, what } => write!(f, "{option}: {what}"),
        }
    }
}

impl std::error::Error for FeedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FeedError::Io { error, .. } => Some(error),
            FeedError::NotATape { error, .. } | FeedError::Instruments { error } => Some(error),
            _ => None,
        }
    }
}

impl From<EventError> for FeedError {
    fn from(error: EventError) -> FeedError {
        FeedError::Instruments { error }
    }
}

/// What to do about a refusal of Kafka.
fn advice(error: &KafkaError) -> &'static str {
    match error.name.as_str() {
        "_AUTO_OFFSET_RESET" | "OFFSET_OUT_OF_RANGE" => {
            "what comes next was removed from the topic; keep messages longer, or begin anew with another state folder"
        }
        "UNKNOWN_TOPIC_OR_PART" | "_UNKNOWN_TOPIC" | "_UNKNOWN_PARTITION" => {
            "make the topic, or name another"
        }
        _ => "look at the brokers, and at properties",
    }
}
