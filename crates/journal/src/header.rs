//! The schema message that begins every segment.
use crate::fault::Fault;

/// The bytes that begin every segment: an Arrow IPC schema message, a multiple of 8 long.
///
/// They are kept as a file (made once by `pyarrow.Schema.serialize`, named version 1 in the schema's metadata), so
/// that no release of an Arrow library can change what a journal begins with. The tests read them with arrow-ipc.
pub const HEADER: &[u8] = include_bytes!("header.arrow");

/// Length of the header at the start of `bytes`, which is always that of [`HEADER`].
pub fn decode_header(bytes: &[u8]) -> Result<usize, Fault> {
    let shown = bytes.len().min(HEADER.len());
    if bytes[..shown] != HEADER[..shown] {
        return Err(Fault::Damaged(
            "the file does not begin as a journal of version 1",
        ));
    }
    if shown < HEADER.len() {
        return Err(Fault::Short);
    }
    Ok(HEADER.len())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow_ipc::reader::StreamReader;
    use arrow_schema::DataType;

    use super::*;

    #[test]
    fn is_the_schema_that_the_crate_documents() {
        let reader = StreamReader::try_new(Cursor::new(HEADER), None).unwrap();
        let schema = reader.schema();
        let columns: Vec<_> = schema
            .fields()
            .iter()
            .map(|f| (f.name().as_str(), f.data_type().clone(), f.is_nullable()))
            .collect();
        let expected = [
            ("seq", DataType::UInt64, false),
            ("ts", DataType::Int64, false),
            ("kind", DataType::Utf8, false),
            ("key", DataType::Utf8, false),
            ("body", DataType::Utf8, false),
            ("crc32", DataType::UInt32, false),
        ];
        assert_eq!(columns, expected);
        assert_eq!(
            schema
                .metadata()
                .get("signal_stream.journal")
                .map(String::as_str),
            Some("1")
        );
    }

    #[test]
    fn is_read_back_whole_and_nothing_less() {
        assert_eq!(HEADER.len() % 8, 0);
        assert_eq!(decode_header(HEADER), Ok(HEADER.len()));
        for cut in 0..HEADER.len() {
            assert_eq!(decode_header(&HEADER[..cut]), Err(Fault::Short), "{cut}");
        }
    }

    #[test]
    fn every_changed_bit_is_seen() {
        for at in 0..HEADER.len() {
            for bit in 0..8 {
                let mut changed = HEADER.to_vec();
                changed[at] ^= 1 << bit;
                assert!(matches!(decode_header(&changed), Err(Fault::Damaged(_))));
            }
        }
    }
}
