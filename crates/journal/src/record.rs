//! One journal entry, before it has a place ([`Row`]) and after ([`Record`]), and its checksum.

/// Most rows in one frame. An append is atomic, so this bounds what a cut-off write can take with it.
pub const ROWS_MAX: usize = 65_536;

/// Most bytes of text (kind, key and body of all rows together) in one frame.
pub const BODY_BYTES_MAX: usize = 16 << 20;

/// What a writer appends: everything but the sequence number, which is the journal's to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Nanoseconds UTC on the receive axis.
    pub ts: i64,
    /// What the body is: `signal`, `latch`, ….
    pub kind: &'a str,
    /// What the record is found by; empty where nothing asks.
    pub key: &'a str,
    /// Canonical JSON.
    pub body: &'a str,
}

/// A row with its place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Position in the journal, without holes, over all segments.
    pub seq: u64,
    /// The row as it was appended.
    pub row: Row<'a>,
}

/// CRC-32 (IEEE, as zlib's) over `seq` and `ts` (little-endian, 8 bytes each), then for kind, key and body the
/// length (little-endian, 4 bytes) and the text. Lengths are in it so that text cannot move between columns.
pub fn checksum(record: &Record<'_>) -> u32 {
    let Row {
        ts,
        kind,
        key,
        body,
    } = record.row;
    let mut hasher = crc32fast::Hasher::new();
    let mut fixed = [0u8; 16];
    fixed[..8].copy_from_slice(&record.seq.to_le_bytes());
    fixed[8..].copy_from_slice(&ts.to_le_bytes());
    hasher.update(&fixed);
    for text in [kind, key, body] {
        hasher.update(&(text.len() as u32).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_move_between_columns() {
        let of = |kind, key, body| {
            checksum(&Record {
                seq: 1,
                row: Row {
                    ts: 2,
                    kind,
                    key,
                    body,
                },
            })
        };
        assert_ne!(of("ab", "c", ""), of("a", "bc", ""));
        assert_ne!(of("ab", "c", ""), of("ab", "", "c"));
    }

    #[test]
    fn is_the_published_crc32() {
        // zlib.crc32(struct.pack("<Qq", 7, -1) + b"\x01\x00\x00\x00k" + b"\x00\x00\x00\x00" + b"\x02\x00\x00\x00{}")
        let row = Row {
            ts: -1,
            kind: "k",
            key: "",
            body: "{}",
        };
        assert_eq!(checksum(&Record { seq: 7, row }), 0x8caf_1d8f);
    }
}
