//! Rows to one frame of bytes, and back with every byte checked.
use crate::fault::Fault;
use crate::layout::{BODY, Layout, PREFIX};
use crate::record::{Record, Row, checksum};

/// Bytes that [`encode`] will need for these rows.
pub fn frame_len(rows: &[Row<'_>]) -> Result<usize, Fault> {
    Ok(layout(rows)?.frame_len())
}

fn layout(rows: &[Row<'_>]) -> Result<Layout, Fault> {
    let mut text = [0usize; 3];
    for row in rows {
        for (sum, part) in text.iter_mut().zip([row.kind, row.key, row.body]) {
            *sum = sum.saturating_add(part.len());
        }
    }
    Layout::new(rows.len(), text)
}

/// Writes one frame with the rows at `first_seq`, `first_seq + 1`, … into `out`, which must be [`frame_len`] long.
pub fn encode(first_seq: u64, rows: &[Row<'_>], out: &mut [u8]) -> Result<(), Fault> {
    let layout = layout(rows)?;
    if first_seq.checked_add(rows.len() as u64).is_none() {
        return Err(Fault::TooLarge("the journal is out of sequence numbers"));
    }
    if out.len() != layout.frame_len() {
        return Err(Fault::TooLarge(
            "the buffer has another size than the frame",
        ));
    }
    layout.write_metadata(out);
    let body = &mut out[BODY..];
    body.fill(0);
    let put = |body: &mut [u8], at: usize, bytes: &[u8]| {
        body[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let mut ends = [0usize; 3];
    for (i, row) in rows.iter().enumerate() {
        let record = Record {
            seq: first_seq + i as u64,
            row: *row,
        };
        put(body, layout.seq + 8 * i, &record.seq.to_le_bytes());
        put(body, layout.ts + 8 * i, &row.ts.to_le_bytes());
        for (column, text) in [row.kind, row.key, row.body].into_iter().enumerate() {
            put(body, layout.data[column] + ends[column], text.as_bytes());
            ends[column] += text.len();
            let end = (ends[column] as u32).to_le_bytes();
            put(body, layout.offsets[column] + 4 * (i + 1), &end);
        }
        put(body, layout.crc + 4 * i, &checksum(&record).to_le_bytes());
    }
    Ok(())
}

/// A frame read back. Its texts lie in the bytes that it was read from.
#[derive(Debug)]
pub struct Frame<'a> {
    /// Bytes of the frame: the next one begins here.
    pub len: usize,
    /// At least one, with consecutive `seq`.
    pub records: Vec<Record<'a>>,
}

impl Frame<'_> {
    /// Whether the first record has this sequence number.
    pub fn starts_at(&self, seq: u64) -> bool {
        self.records.first().is_some_and(|record| record.seq == seq)
    }
}

/// Reads the frame at the start of `bytes`. Exactly what [`encode`] makes is accepted.
///
/// [`Fault::Short`] if the bytes so far are the beginning of a frame, [`Fault::Damaged`] if they are none.
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, Fault> {
    let shown = &bytes[..bytes.len().min(4)];
    if shown.iter().any(|&b| b != 0xff) {
        return Err(Fault::Damaged("no frame begins here"));
    }
    let layout = Layout::read(bytes)?;
    let mut head = [0u8; BODY];
    layout.write_metadata(&mut head);
    if head[..] != bytes[..BODY] {
        return Err(Fault::Damaged("the head of the frame is not as written"));
    }
    let len = layout.frame_len();
    if bytes.len() < len {
        return Err(Fault::Short);
    }
    let records = read_records(&layout, &bytes[BODY..len])?;
    let rows: Vec<Row<'_>> = records.iter().map(|record| record.row).collect();
    let mut again = vec![0u8; len];
    encode(records[0].seq, &rows, &mut again)
        .map_err(|_| Fault::Damaged("a row of the frame is impossible"))?;
    if again[PREFIX..] != bytes[PREFIX..len] {
        return Err(Fault::Damaged("checksum differs"));
    }
    Ok(Frame { len, records })
}

/// The rows that the body claims, with texts in bounds and valid UTF-8. Checksums are the caller's to compare.
fn read_records<'a>(layout: &Layout, body: &'a [u8]) -> Result<Vec<Record<'a>>, Fault> {
    let u32_at = |at: usize| {
        u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]) as usize
    };
    let u64_at = |at: usize| u64::from(u32_at(at) as u32) | (u32_at(at + 4) as u64) << 32;
    let text_at = |column: usize, i: usize| -> Result<&'a str, Fault> {
        let offsets = layout.offsets[column] + 4 * i;
        let (start, end) = (u32_at(offsets), u32_at(offsets + 4));
        let text = &body[layout.data[column]..layout.data[column] + layout.text[column]];
        let bytes = text
            .get(start..end)
            .ok_or(Fault::Damaged("a text of the frame lies outside it"))?;
        std::str::from_utf8(bytes).map_err(|_| Fault::Damaged("a text of the frame is not UTF-8"))
    };
    (0..layout.rows)
        .map(|i| {
            Ok(Record {
                seq: u64_at(layout.seq + 8 * i),
                row: Row {
                    ts: u64_at(layout.ts + 8 * i) as i64,
                    kind: text_at(0, i)?,
                    key: text_at(1, i)?,
                    body: text_at(2, i)?,
                },
            })
        })
        .collect()
}

/// Where the first whole good frame begins at or after byte `from`, if there is one.
///
/// A writer that finds a bad place asks this: frames after it mean that the journal was damaged there, none that
/// its last write was cut off. Frames keep the alignment of the stream, so `bytes` must begin at a frame.
pub fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    (from.next_multiple_of(8)..bytes.len())
        .step_by(8)
        .find(|&at| bytes[at..].starts_with(&[0xff; 4]) && decode(&bytes[at..]).is_ok())
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
