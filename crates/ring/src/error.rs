use std::{fmt, io};

/// Why a ring could not be made, attached to or used. A full ring or a passed deadline is not an error: see `Outcome`.
#[derive(Debug)]
pub enum RingError {
    /// The operating system refused; `doing` says what was tried.
    Os {
        /// What was tried, as a phrase that continues "cannot".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A size outside its limits, a payload longer than its slot, or an answer nobody asked for: the caller's mistake.
    Usage(String),
    /// The memory behind the descriptor is not a ring of this version, or its other side wrote nonsense.
    Corrupt(String),
}

impl RingError {
    pub(crate) fn os(doing: &'static str) -> Self {
        Self::Os {
            doing,
            source: io::Error::last_os_error(),
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Usage(what) => f.write_str(what),
            Self::Corrupt(what) => write!(f, "the ring is corrupt: {what}"),
        }
    }
}

impl std::error::Error for RingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Os { source, .. } => Some(source),
            _ => None,
        }
    }
}
