//! The tape's Arrow schema, and digests of schemas.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sha2::{Digest, Sha256};

use crate::more::rare_columns;
use crate::{EventBatch, Instruments, TapeFormat};

/// Metadata key of the instruments' JSON.
pub const INSTRUMENTS_KEY: &str = "signal_stream.instruments";

/// Metadata key of the tape's format.
pub const TAPE_VERSION_KEY: &str = "signal_stream.tape";

/// Instruments from which on a tape numbers them with 32 bits.
const NARROW_MAX: usize = u16::MAX as usize;

pub(crate) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

macro_rules! named {
    (() $($name:ident: $type:ident = $default:expr,)+) => {
        [$((stringify!($name), named!($type), named!(null $name)),)+ ("definition", DataType::Utf8, true)]
    };
    (u64) => { DataType::UInt64 };
    (u8) => { DataType::UInt8 };
    (i64) => { DataType::Int64 };
    (f64) => { DataType::Float64 };
    (null checksum) => { true };
    (null $other:ident) => { false };
}

/// Number of the columns that only some tapes have.
const RARE: usize = 11;

/// Names, types and nullability of the columns that only some tapes have, in their order.
fn rare() -> [(&'static str, DataType, bool); RARE] {
    rare_columns!(named)
}

/// Which columns a tape has: those of every tape, those of [`crate::More`] that its events need, and how wide the numbers
/// of its instruments are. So a tape whose events need no more costs no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapeColumns {
    /// Bits of the rare columns, in their order.
    rare: u16,
    wide: bool,
}

impl TapeColumns {
    /// What a batch needs.
    pub fn of(batch: &EventBatch) -> TapeColumns {
        let mut rare = 0;
        if let Some(more) = &batch.columns().more {
            let mut bit = 1;
            macro_rules! bits {
                (() $($name:ident: $type:ty = $default:expr,)+) => {
                    $(rare |= if more.$name.is_some() { bit } else { 0 }; bit <<= 1;)+
                };
            }
            rare_columns!(bits);
            rare |= if more.definition.is_some() { bit } else { 0 };
        }
        TapeColumns {
            rare,
            wide: batch.instruments().len() >= NARROW_MAX,
        }
    }

    /// These, for a tape with so many instruments.
    pub fn numbering(self, instruments: usize) -> TapeColumns {
        TapeColumns {
            wide: self.wide || instruments >= NARROW_MAX,
            ..self
        }
    }

    /// Every column.
    pub fn all() -> TapeColumns {
        TapeColumns {
            rare: (1 << RARE) - 1,
            wide: true,
        }
    }

    /// Those of a schema.
    pub fn of_schema(schema: &Schema) -> TapeColumns {
        let has = |name: &str| schema.field_with_name(name).is_ok();
        let bits = rare().into_iter().enumerate();
        let wide = schema.field_with_name("instrument");
        TapeColumns {
            rare: bits.fold(0, |all, (at, (name, ..))| {
                all | (u16::from(has(name)) << at)
            }),
            wide: wide.is_ok_and(|field| *field.data_type() != DataType::UInt16),
        }
    }

    /// These and those.
    pub fn with(self, other: TapeColumns) -> TapeColumns {
        TapeColumns {
            rare: self.rare | other.rare,
            wide: self.wide || other.wide,
        }
    }

    /// Whether all of those are among these.
    pub fn hold(self, other: TapeColumns) -> bool {
        self.with(other) == self
    }

    /// The schema, without instruments: one row a level, side, order or field of a message.
    ///
    /// `ts_event`, `sequence`, `sequence_prev`, `checksum` and `definition` are null where the venue gives none; nothing
    /// else is null. `price` and `qty` are mantissas in the scales of the instruments. Of an `instrument` of 16 bits, 65,535
    /// is none; of 32 bits, 4,294,967,295.
    pub fn schema(self) -> SchemaRef {
        let field = |name: &str, data_type: DataType| Field::new(name, data_type, false);
        let instrument = match self.wide {
            true => DataType::UInt32,
            false => DataType::UInt16,
        };
        let mut fields = vec![
            field("ts_recv", utc()),
            field("ts_event", utc()).with_nullable(true),
            field("sequence", DataType::UInt64).with_nullable(true),
            field("sequence_prev", DataType::UInt64).with_nullable(true),
            field("instrument", instrument),
            field("kind", DataType::UInt8),
            field("side", DataType::UInt8),
            field("flags", DataType::UInt8),
            field("price", DataType::Int64),
            field("qty", DataType::Int64),
        ];
        let has = |at: usize| self.rare & 1 << at != 0;
        let wanted = rare().into_iter().enumerate().filter(|(at, _)| has(*at));
        fields.extend(wanted.map(|(_, (name, data_type, null))| Field::new(name, data_type, null)));
        Arc::new(Schema::new(fields))
    }

    /// The schema with the metadata that names format and instruments.
    pub fn schema_with(self, instruments: &Instruments) -> SchemaRef {
        let format = TapeFormat::NEWEST.text().to_string();
        let metadata = HashMap::from([
            (TAPE_VERSION_KEY.to_string(), format),
            (
                INSTRUMENTS_KEY.to_string(),
                instruments.to_json().to_string(),
            ),
        ]);
        Arc::new(self.schema().as_ref().clone().with_metadata(metadata))
    }
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
        let base = TapeColumns::default().schema();
        let named = TapeColumns::default().schema_with(&Instruments::new());
        assert_eq!(digest(&base), digest(&named));
        let changed = |name: &str, data_type: DataType, nullable: bool| {
            digest(&Schema::new(vec![Field::new(name, data_type, nullable)]))
        };
        let one = changed("x", DataType::Int64, false);
        assert_ne!(one, changed("y", DataType::Int64, false));
        assert_ne!(one, changed("x", DataType::UInt64, false));
        assert_ne!(one, changed("x", DataType::Int64, true));
    }

    /// A change of these values is a change of the tape format: raise [`TapeFormat::NEWEST`] with it. The first is that
    /// of format 1 as well: events that needed no more columns then need none now.
    #[test]
    fn tape_digests_are_pinned() {
        let digests =
            [TapeColumns::default(), TapeColumns::all()].map(|c| hex(digest(&c.schema())));
        assert_eq!(
            digests,
            [
                "acb43b974455d822550e0de37879c6643f5e6747140cc2e1a095c9dbc89c14fc",
                "a3ec7a2cb10b3d6419837a75538a24f24189fd29002cd2ee5386f21cf4e956cd",
            ]
        );
    }

    #[test]
    fn a_schema_tells_its_columns() {
        for rare in 0..1 << RARE {
            for wide in [false, true] {
                let columns = TapeColumns { rare, wide };
                let schema = columns.schema();
                assert_eq!(TapeColumns::of_schema(&schema), columns);
                assert_eq!(schema.fields().len(), 10 + rare.count_ones() as usize);
                assert!(TapeColumns::all().hold(columns) && columns.hold(TapeColumns::default()));
            }
        }
    }
}
