//! What can be wrong with a table that claims to hold events.

use std::fmt;

/// The closed set of refusals of this crate. `Display` says what, where, the value, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventError {
    /// A column of the schema is not there.
    MissingColumn {
        /// Its name.
        column: String,
    },
    /// A column that the schema does not know.
    UnknownColumn {
        /// Its name.
        column: String,
    },
    /// A column of another type.
    WrongType {
        /// Its name.
        column: String,
        /// The type of the schema.
        expected: String,
        /// The type that was found.
        found: String,
    },
    /// A null where the schema allows none.
    UnexpectedNull {
        /// The column.
        column: String,
    },
    /// A code that names nothing.
    UnknownCode {
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
        /// The code.
        code: u64,
    },
    /// Rows of one message disagree, or the final message is not closed.
    BrokenMessage {
        /// The row, from 0.
        row: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// The instrument table is absent or unreadable.
    Instruments {
        /// What is wrong.
        what: String,
    },
    /// A definition of an instrument that says too little or something impossible.
    Definition {
        /// What is wrong.
        what: String,
    },
    /// The tape's format version is not ours.
    Version {
        /// The version that was found.
        found: String,
    },
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventError::MissingColumn { column } => {
                write!(
                    f,
                    "MissingColumn: no column \"{column}\"; a tape has all columns of tape_schema()"
                )
            }
            EventError::UnknownColumn { column } => {
                write!(
                    f,
                    "UnknownColumn: \"{column}\" is no column of a tape; drop it"
                )
            }
            EventError::WrongType {
                column,
                expected,
                found,
            } => {
                write!(
                    f,
                    "WrongType: column \"{column}\" is {found}; cast it to {expected}"
                )
            }
            EventError::UnexpectedNull { column } => {
                write!(
                    f,
                    "UnexpectedNull: column \"{column}\" holds nulls; it must have a value in every row"
                )
            }
            EventError::UnknownCode { column, row, code } => {
                write!(
                    f,
                    "UnknownCode: row {row} has {column} {code}, which names nothing; the tape is corrupt or newer"
                )
            }
            EventError::BrokenMessage { row, what } => {
                write!(
                    f,
                    "BrokenMessage: row {row}: {what}; a batch holds whole messages"
                )
            }
            EventError::Instruments { what } => {
                write!(
                    f,
                    "Instruments: {what}; the schema's metadata must carry \"{}\"",
                    crate::INSTRUMENTS_KEY
                )
            }
            EventError::Definition { what } => {
                write!(f, "Definition: {what}; say what the instrument is")
            }
            EventError::Version { found } => {
                write!(
                    f,
                    "Version: tape format \"{found}\", this program reads \"1\" and \"2\"; read it with a newer version"
                )
            }
        }
    }
}

impl std::error::Error for EventError {}
