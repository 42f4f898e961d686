//! Where each byte of a frame lies: an Arrow IPC record-batch message with the six columns, laid by hand.
//!
//! The flatbuffer that describes a record batch has one size for every frame (424 bytes: six columns, fifteen
//! buffers), so only numbers change from frame to frame and no builder is needed. The tests read it with
//! arrow-ipc, whose verifier checks every offset; the Python tests read it with pyarrow.
use crate::fault::Fault;
use crate::record::{BODY_BYTES_MAX, ROWS_MAX};

/// Bytes before the flatbuffer: the continuation marker and the flatbuffer's length.
pub(crate) const PREFIX: usize = 8;
/// Bytes of the flatbuffer.
pub(crate) const METADATA: usize = 424;
/// Bytes from the start of a frame to its body.
pub(crate) const BODY: usize = PREFIX + METADATA;

const COLUMNS: usize = 6;
const BUFFERS: usize = 15;
const NODES_AT: usize = 80;
const BUFFERS_AT: usize = 184;
const BODY_LENGTH_AT: usize = 24;
const ROWS_AT: usize = 64;

/// The tables of the flatbuffer, all numbers zero. Offsets within `METADATA`:
/// 0 root, 4 vtable of Message, 16 Message, 40 vtable of RecordBatch, 56 RecordBatch, 76 count of nodes,
/// 80 nodes (row count, null count), 180 count of buffers, 184 buffers (offset, length).
const TEMPLATE: [u8; METADATA] = {
    let mut t = [0u8; METADATA];
    t[0] = 16; // root: Message at 16
    t[4] = 12; // vtable of Message: its own size, the table's size, where the four fields lie
    t[6] = 20;
    t[8] = 16; // version
    t[10] = 18; // header type
    t[12] = 4; // header
    t[14] = 8; // body length
    t[16] = 12; // Message: back to its vtable
    t[20] = 36; // header: RecordBatch at 56
    t[32] = 4; // version: V5
    t[34] = 3; // header type: RecordBatch
    t[40] = 10; // vtable of RecordBatch
    t[42] = 20;
    t[44] = 8; // length
    t[46] = 4; // nodes
    t[48] = 16; // buffers
    t[56] = 16; // RecordBatch: back to its vtable
    t[60] = 16; // nodes: vector at 76
    t[72] = 108; // buffers: vector at 180
    t[76] = COLUMNS as u8;
    t[180] = BUFFERS as u8;
    t
};

/// Sizes of the four row-counted parts and the three texts, and where each buffer begins in the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub rows: usize,
    /// Bytes of kind, key and body text over all rows.
    pub text: [usize; 3],
    pub seq: usize,
    pub ts: usize,
    /// Where the offsets of kind, key and body begin.
    pub offsets: [usize; 3],
    /// Where the text of kind, key and body begins.
    pub data: [usize; 3],
    pub crc: usize,
    pub body_len: usize,
}

fn padded(n: usize) -> usize {
    n.next_multiple_of(8)
}

impl Layout {
    /// The one layout for this many rows with this much text. Fails if either is beyond its bound.
    pub fn new(rows: usize, text: [usize; 3]) -> Result<Self, Fault> {
        if rows == 0 || rows > ROWS_MAX {
            return Err(Fault::TooLarge("an append holds 1 to 65,536 records"));
        }
        if text.iter().any(|&n| n > BODY_BYTES_MAX) || text.iter().sum::<usize>() > BODY_BYTES_MAX {
            return Err(Fault::TooLarge("an append holds at most 16 MiB of text"));
        }
        let mut at = 0;
        let mut take = |n: usize| {
            let start = at;
            at += padded(n);
            start
        };
        let seq = take(8 * rows);
        let ts = take(8 * rows);
        let mut offsets = [0; 3];
        let mut data = [0; 3];
        for column in 0..3 {
            offsets[column] = take(4 * (rows + 1));
            data[column] = take(text[column]);
        }
        let crc = take(4 * rows);
        Ok(Layout {
            rows,
            text,
            seq,
            ts,
            offsets,
            data,
            crc,
            body_len: at,
        })
    }

    /// Bytes of the whole frame.
    pub fn frame_len(&self) -> usize {
        BODY + self.body_len
    }

    /// Writes prefix and flatbuffer into the first [`BODY`] bytes of a frame.
    pub fn write_metadata(&self, frame: &mut [u8]) {
        frame[..4].copy_from_slice(&[0xff; 4]);
        frame[4..8].copy_from_slice(&(METADATA as u32).to_le_bytes());
        let metadata = &mut frame[PREFIX..BODY];
        metadata.copy_from_slice(&TEMPLATE);
        let mut put = |at: usize, n: usize| {
            metadata[at..at + 8].copy_from_slice(&(n as u64).to_le_bytes());
        };
        put(BODY_LENGTH_AT, self.body_len);
        put(ROWS_AT, self.rows);
        for column in 0..COLUMNS {
            put(NODES_AT + 16 * column, self.rows);
        }
        let n = self.rows;
        let mut at = BUFFERS_AT;
        let mut buffer = |start: usize, len: usize| {
            put(at, start);
            put(at + 8, len);
            at += 16;
        };
        for start in [self.seq, self.ts] {
            buffer(start, 0);
            buffer(start, 8 * n);
        }
        for column in 0..3 {
            buffer(self.offsets[column], 0);
            buffer(self.offsets[column], 4 * (n + 1));
            buffer(self.data[column], self.text[column]);
        }
        buffer(self.crc, 0);
        buffer(self.crc, 4 * n);
    }

    /// Reads the layout that the first [`BODY`] bytes claim. The claim is not yet checked against the bytes.
    pub fn read(frame: &[u8]) -> Result<Self, Fault> {
        if frame.len() < BODY {
            return Err(Fault::Short);
        }
        let number = |at: usize| -> Result<usize, Fault> {
            let mut bytes = [0u8; 8];
            bytes.copy_from_slice(&frame[PREFIX + at..PREFIX + at + 8]);
            usize::try_from(u64::from_le_bytes(bytes))
                .map_err(|_| Fault::Damaged("a size in the frame's head is impossible"))
        };
        let rows = number(ROWS_AT)?;
        let mut text = [0; 3];
        for (column, n) in text.iter_mut().enumerate() {
            // buffers: seq 2, ts 2, then three a text column; the third of them is the text
            *n = number(BUFFERS_AT + 16 * (4 + 3 * column + 2) + 8)?;
        }
        Layout::new(rows, text)
            .map_err(|_| Fault::Damaged("a size in the frame's head is impossible"))
    }
}
