//! Many frames in a row, as a reader meets them.
use crate::fault::Fault;
use crate::frame::decode;
use crate::record::Record;

/// The good frames at the start of some bytes.
#[derive(Debug)]
pub struct Scan<'a> {
    /// The wanted records of the good frames.
    pub records: Vec<Record<'a>>,
    /// Bytes of the good frames.
    pub consumed: usize,
    /// The sequence number that the next frame must begin with.
    pub next_seq: u64,
    /// Why the scan ended before the bytes did.
    pub fault: Option<Fault>,
}

/// Reads frame after frame until the bytes end or a frame is bad. The first record must have `next_seq`, and each
/// later one the number after its predecessor's: a frame that is good but in the wrong place is damage too.
pub fn scan<'a>(
    bytes: &'a [u8],
    mut next_seq: u64,
    wanted: impl Fn(&Record<'a>) -> bool,
) -> Scan<'a> {
    let mut records = Vec::new();
    let mut consumed = 0;
    let mut fault = None;
    while consumed < bytes.len() {
        match decode(&bytes[consumed..]) {
            Ok(frame) if frame.starts_at(next_seq) => {
                consumed += frame.len;
                next_seq += frame.records.len() as u64;
                records.extend(frame.records.into_iter().filter(&wanted));
            }
            Ok(_) => fault = Some(Fault::Damaged("the sequence number is not the next one")),
            Err(found) => fault = Some(found),
        }
        if fault.is_some() {
            break;
        }
    }
    Scan {
        records,
        consumed,
        next_seq,
        fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{encode, frame_len};
    use crate::record::Row;

    fn frames(seqs: &[u64]) -> Vec<u8> {
        let rows = [Row {
            ts: 0,
            kind: "signal",
            key: "id",
            body: "{}",
        }];
        let mut bytes = Vec::new();
        for &seq in seqs {
            let mut frame = vec![0; frame_len(&rows).unwrap()];
            encode(seq, &rows, &mut frame).unwrap();
            bytes.extend(frame);
        }
        bytes
    }

    #[test]
    fn reads_to_the_end_and_counts_on() {
        let bytes = frames(&[3, 4, 5]);
        let all = scan(&bytes, 3, |_| true);
        assert_eq!(
            (all.consumed, all.next_seq, all.fault),
            (bytes.len(), 6, None)
        );
        let seqs: Vec<u64> = all.records.iter().map(|r| r.seq).collect();
        assert_eq!(seqs, [3, 4, 5]);
        let one = scan(&bytes, 3, |r| r.seq == 4);
        assert_eq!((one.records.len(), one.next_seq), (1, 6));
        assert_eq!(scan(&[], 7, |_| true).next_seq, 7);
    }

    #[test]
    fn stops_before_the_first_bad_frame() {
        let bytes = frames(&[0, 1]);
        let half = bytes.len() / 2;
        let cut = scan(&bytes[..bytes.len() - 1], 0, |_| true);
        assert_eq!(
            (cut.consumed, cut.next_seq, cut.fault),
            (half, 1, Some(Fault::Short))
        );
        for wrong in [[0, 2], [0, 0]] {
            let bytes = frames(&wrong);
            let found = scan(&bytes, 0, |_| true);
            assert_eq!((found.consumed, found.next_seq), (half, 1));
            assert!(matches!(found.fault, Some(Fault::Damaged(_))));
        }
        assert!(matches!(
            scan(&bytes, 1, |_| true).fault,
            Some(Fault::Damaged(_))
        ));
    }
}
