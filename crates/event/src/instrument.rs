//! Instruments and the table that turns a row's index into one.

use serde_json::{Value, json};

use crate::decimal::MAX_SCALE;
use crate::{EventError, NO_INSTRUMENT};

/// Decimal places of prices and quantities unless the instrument declares others.
pub const DEFAULT_SCALE: u8 = 9;

/// Something traded on a venue, and the scales of its mantissas.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instrument {
    /// `SYMBOL.VENUE`, for example `BTCUSDT.BINANCE` or `BTCUSDT-PERP.BINANCE`.
    pub id: String,
    /// Decimal places of a price's mantissa, at most 18.
    pub price_scale: u8,
    /// Decimal places of a quantity's mantissa, at most 18.
    pub qty_scale: u8,
}

impl Instrument {
    /// An instrument with the default scales.
    pub fn new(id: impl Into<String>) -> Instrument {
        Instrument {
            id: id.into(),
            price_scale: DEFAULT_SCALE,
            qty_scale: DEFAULT_SCALE,
        }
    }
}

/// The instruments of a tape; a row names one by its index. An index never changes its meaning within a tape: a table
/// only grows.
///
/// Invariants: ids are distinct and not empty, scales are at most 18, fewer than 65,535 instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentTable {
    instruments: Vec<Instrument>,
}

impl InstrumentTable {
    /// An empty table.
    pub fn new() -> InstrumentTable {
        InstrumentTable::default()
    }

    /// A table of these instruments, in this order.
    pub fn of(
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> Result<InstrumentTable, EventError> {
        let mut table = InstrumentTable::new();
        for instrument in instruments {
            if table.index(&instrument.id).is_some() {
                return Err(EventError::Instruments {
                    what: format!("\"{}\" stands twice in the table", instrument.id),
                });
            }
            table.intern(&instrument)?;
        }
        Ok(table)
    }

    /// The index of this instrument, which is added if it is new. An instrument that is known with other scales is an
    /// error: its mantissas would change their meaning.
    pub fn intern(&mut self, instrument: &Instrument) -> Result<u16, EventError> {
        if let Some(at) = self.index(&instrument.id) {
            let known = &self.instruments[at as usize];
            return if known == instrument {
                Ok(at)
            } else {
                Err(EventError::Instruments {
                    what: format!(
                        "\"{}\" has scales {}/{} here and {}/{} elsewhere",
                        known.id,
                        known.price_scale,
                        known.qty_scale,
                        instrument.price_scale,
                        instrument.qty_scale
                    ),
                })
            };
        }
        if instrument.id.is_empty()
            || instrument.price_scale > MAX_SCALE
            || instrument.qty_scale > MAX_SCALE
        {
            return Err(EventError::Instruments {
                what: format!(
                    "\"{}\" with scales {}/{} (an id is not empty, a scale at most {MAX_SCALE})",
                    instrument.id, instrument.price_scale, instrument.qty_scale
                ),
            });
        }
        if self.instruments.len() >= NO_INSTRUMENT as usize {
            return Err(EventError::Instruments {
                what: format!("more than {} instruments", NO_INSTRUMENT),
            });
        }
        self.instruments.push(instrument.clone());
        Ok((self.instruments.len() - 1) as u16)
    }

    /// The index of the instrument with this id.
    pub fn index(&self, id: &str) -> Option<u16> {
        self.instruments
            .iter()
            .position(|known| known.id == id)
            .map(|at| at as u16)
    }

    /// The instrument at an index; `None` for [`NO_INSTRUMENT`] and indices beyond the table.
    pub fn get(&self, index: u16) -> Option<&Instrument> {
        self.instruments.get(index as usize)
    }

    /// Number of instruments.
    pub fn len(&self) -> usize {
        self.instruments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.instruments.is_empty()
    }

    /// The instruments in the order of their indices.
    pub fn iter(&self) -> std::slice::Iter<'_, Instrument> {
        self.instruments.iter()
    }

    /// Canonical JSON: `[{"id":"BTCUSDT.BINANCE","price_scale":9,"qty_scale":9}]`.
    pub fn to_json(&self) -> String {
        let list: Vec<Value> = self
            .instruments
            .iter()
            .map(|i| json!({"id": i.id, "price_scale": i.price_scale, "qty_scale": i.qty_scale}))
            .collect();
        Value::Array(list).to_string()
    }

    /// The table of [`InstrumentTable::to_json`].
    pub fn from_json(text: &str) -> Result<InstrumentTable, EventError> {
        let refuse = |what: String| EventError::Instruments { what };
        let value: Value =
            serde_json::from_str(text).map_err(|e| refuse(format!("not JSON: {e}")))?;
        let list = value
            .as_array()
            .ok_or_else(|| refuse("not a JSON list".into()))?;
        let scale = |item: &Value, key: &str| item[key].as_u64().and_then(|v| u8::try_from(v).ok());
        InstrumentTable::of(
            list.iter()
                .map(|item| {
                    let id = item["id"].as_str();
                    let scales = (scale(item, "price_scale"), scale(item, "qty_scale"));
                    match (id, scales) {
                        (Some(id), (Some(price_scale), Some(qty_scale))) => Ok(Instrument {
                            id: id.to_string(),
                            price_scale,
                            qty_scale,
                        }),
                        _ => Err(refuse(format!("{item} is no instrument"))),
                    }
                })
                .collect::<Result<Vec<_>, _>>()?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips_and_refuses() {
        let table = InstrumentTable::of([
            Instrument::new("BTCUSDT.BINANCE"),
            Instrument {
                id: "X\"Y.V".into(),
                price_scale: 0,
                qty_scale: 18,
            },
        ])
        .unwrap();
        assert_eq!(InstrumentTable::from_json(&table.to_json()).unwrap(), table);
        for bad in [
            "",
            "{}",
            "[1]",
            r#"[{"id":"A","price_scale":19,"qty_scale":0}]"#,
            r#"[{"id":"A","price_scale":-1,"qty_scale":0}]"#,
            r#"[{"id":"","price_scale":1,"qty_scale":0}]"#,
            r#"[{"id":"A","price_scale":1,"qty_scale":0},{"id":"A","price_scale":1,"qty_scale":0}]"#,
        ] {
            assert!(InstrumentTable::from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_id_has_one_scale() {
        let mut table = InstrumentTable::new();
        let one = Instrument::new("A.X");
        assert_eq!(table.intern(&one), Ok(0));
        assert_eq!(table.intern(&one), Ok(0));
        assert!(
            table
                .intern(&Instrument {
                    price_scale: 2,
                    ..one
                })
                .is_err()
        );
    }
}
