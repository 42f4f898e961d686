//! Why a graph was refused, with the nearest name that would have been right.

use std::fmt;

/// Why a graph was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphError {
    /// Stable code.
    pub code: &'static str,
    /// The node concerned, in the numbering of the JSON given.
    pub node: Option<usize>,
    /// What is wrong, with the value seen and what to do next.
    pub message: String,
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "node {node}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for GraphError {}

pub(crate) fn refuse<T>(
    code: &'static str,
    node: Option<usize>,
    message: String,
) -> Result<T, GraphError> {
    Err(GraphError {
        code,
        node,
        message,
    })
}

/// The known name nearest to `seen`, for "Did you mean".
pub fn nearest<'a>(seen: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(seen, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(seen.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
