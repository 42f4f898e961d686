//! The tape's Arrow schema, and digests of schemas.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sha2::{Digest, Sha256};

use crate::InstrumentTable;

/// Metadata key of the instrument table's JSON.
pub const INSTRUMENTS_KEY: &str = "signal_stream.instruments";

/// Metadata key of the tape's format version.
pub const TAPE_VERSION_KEY: &str = "signal_stream.tape";

/// The format version that this program writes and reads.
pub const TAPE_VERSION: &str = "1";

pub(crate) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// The schema of a tape, without an instrument table: one row a level, side or field of a message.
///
/// `ts_event`, `sequence` and `sequence_prev` are null where the venue gives none; nothing else is null. `price` and
/// `qty` are mantissas in the scales of the instrument table.
pub fn tape_schema() -> SchemaRef {
    let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
    Arc::new(Schema::new(vec![
        field("ts_recv", utc()),
        field("ts_event", utc()).with_nullable(true),
        field("sequence", DataType::UInt64).with_nullable(true),
        field("sequence_prev", DataType::UInt64).with_nullable(true),
        field("instrument", DataType::UInt16),
        field("kind", DataType::UInt8),
        field("side", DataType::UInt8),
        field("flags", DataType::UInt8),
        field("price", DataType::Int64),
        field("qty", DataType::Int64),
    ]))
}

/// The schema of a tape with the metadata that names its version and instruments.
pub fn tape_schema_with(instruments: &InstrumentTable) -> SchemaRef {
    let metadata = HashMap::from([
        (TAPE_VERSION_KEY.to_string(), TAPE_VERSION.to_string()),
        (INSTRUMENTS_KEY.to_string(), instruments.to_json()),
    ]);
    Arc::new(tape_schema().as_ref().clone().with_metadata(metadata))
}

/// sha256 over names, types and nullability of the columns in order; metadata does not count. The text that is hashed
/// has one line a column: `ts_event: timestamp[ns, UTC] null`.
pub fn digest(schema: &Schema) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in schema.fields() {
        let null = if field.is_nullable() { " null" } else { "" };
        hash.update(format!(
            "{}: {}{null}\n",
            field.name(),
            type_name(field.data_type())
        ));
    }
    hash.finalize().into()
}

/// A type's name; ours where we use the type, so that a digest does not depend on how a library prints it.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::UInt8 => "u8".into(),
        DataType::UInt16 => "u16".into(),
        DataType::UInt32 => "u32".into(),
        DataType::UInt64 => "u64".into(),
        DataType::Int64 => "i64".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::Utf8 => "utf8".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "timestamp[ns]".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) => format!("timestamp[ns, {zone}]"),
        DataType::Dictionary(key, value) => {
            format!("dictionary<{}, {}>", type_name(key), type_name(value))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: [u8; 32]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn digest_sees_names_types_and_nullability_only() {
        let base = tape_schema();
        let named = tape_schema_with(&InstrumentTable::new());
        assert_eq!(digest(&base), digest(&named));
        let changed = |name: &str, data_type: DataType, nullable: bool| {
            digest(&Schema::new(vec![Field::new(name, data_type, nullable)]))
        };
        let one = changed("x", DataType::Int64, false);
        assert_ne!(one, changed("y", DataType::Int64, false));
        assert_ne!(one, changed("x", DataType::UInt64, false));
        assert_ne!(one, changed("x", DataType::Int64, true));
    }

    /// A change of this value is a change of the tape format: raise [`TAPE_VERSION`] with it.
    #[test]
    fn tape_digest_is_pinned() {
        assert_eq!(
            hex(digest(&tape_schema())),
            "acb43b974455d822550e0de37879c6643f5e6747140cc2e1a095c9dbc89c14fc"
        );
    }
}
