//! The instruments of a stream: found by id or number, each with what it is and was.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use crate::decimal::MAX_SCALE;
use crate::{
    Definition, Event, EventBatch, EventError, Instrument, InstrumentId, Kind, NO_INSTRUMENT,
    Timestamp, id_fault,
};

/// Characters of an id that cannot be used which a refusal shows.
const ID_CHARS_SHOWN: usize = 60;

/// The instruments of a tape; a row names one by its number. A number never changes its meaning within a tape: a registry
/// only grows. Finding one by id or number takes the same time however many there are.
///
/// Each has its definitions in time, the oldest first; one holds from its moment until the next.
///
/// Invariants: ids are distinct and have no fault ([`id_fault`]), scales are at most 18; `numbers` finds each entry by its id; definitions of
/// an entry have rising times, and no two in a row are equal.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    entries: Vec<Arc<Entry>>,
    numbers: HashMap<Arc<str>, u32>,
    /// The text of [`Instruments::to_json`], once somebody asked.
    json: OnceLock<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    instrument: Instrument,
    definitions: Vec<(Timestamp, Definition)>,
}

impl PartialEq for Instruments {
    fn eq(&self, other: &Instruments) -> bool {
        self.entries == other.entries
    }
}

impl Eq for Instruments {}

impl Instruments {
    /// None.
    pub fn new() -> Instruments {
        Instruments::default()
    }

    /// These instruments, in this order.
    pub fn of(
        instruments: impl IntoIterator<Item = Instrument>,
    ) -> Result<Instruments, EventError> {
        let mut all = Instruments::new();
        for instrument in instruments {
            if all.id(&instrument.id).is_some() {
                return Err(EventError::Instruments {
                    what: format!("\"{}\" stands twice in the table", instrument.id),
                });
            }
            all.intern(&instrument)?;
        }
        Ok(all)
    }

    /// The number of this instrument, which is added if it is new. An instrument that is known with other scales is an
    /// error: its mantissas would change their meaning.
    pub fn intern(&mut self, instrument: &Instrument) -> Result<InstrumentId, EventError> {
        if let Some(&number) = self.numbers.get(instrument.id.as_str()) {
            let known = &self.entries[number as usize].instrument;
            return if known == instrument {
                Ok(InstrumentId(number))
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
        if let Some(fault) = id_fault(&instrument.id) {
            let id: String = instrument.id.chars().take(ID_CHARS_SHOWN).collect();
            return Err(EventError::Instruments {
                what: format!("the id {id:?} {fault}"),
            });
        }
        if instrument.price_scale > MAX_SCALE || instrument.qty_scale > MAX_SCALE {
            return Err(EventError::Instruments {
                what: format!(
                    "\"{}\" with scales {}/{} (a scale is at most {MAX_SCALE})",
                    instrument.id, instrument.price_scale, instrument.qty_scale
                ),
            });
        }
        let number = InstrumentId::at(self.entries.len());
        if number == NO_INSTRUMENT {
            return Err(EventError::Instruments {
                what: format!("more than {} instruments", NO_INSTRUMENT.0),
            });
        }
        self.numbers.insert(instrument.id.as_str().into(), number.0);
        self.entries.push(Arc::new(Entry {
            instrument: instrument.clone(),
            definitions: Vec::new(),
        }));
        self.json = OnceLock::new();
        Ok(number)
    }

    /// Adds the instruments of another registry from its `known`-th on, with all that is known of them, and gives their
    /// numbers here.
    pub fn unite(
        &mut self,
        other: &Instruments,
        known: usize,
    ) -> Result<Vec<InstrumentId>, EventError> {
        let mut numbers = Vec::with_capacity(other.len().saturating_sub(known));
        for entry in other.entries.iter().skip(known) {
            let number = self.intern(&entry.instrument)?;
            for (valid_from, definition) in &entry.definitions {
                self.define(number, *valid_from, definition);
            }
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// Notes what another registry knows of the instruments that are here. Their scales stay: they are those of what was
    /// written.
    pub fn note(&mut self, other: &Instruments) {
        for entry in &other.entries {
            if let Some(number) = self.id(&entry.instrument.id) {
                for (valid_from, definition) in &entry.definitions {
                    self.define(number, *valid_from, definition);
                }
            }
        }
    }

    /// Notes what an instrument is from a moment on; `false` if that was known. Numbers that name none are passed over.
    pub fn define(
        &mut self,
        number: InstrumentId,
        valid_from: Timestamp,
        definition: &Definition,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(number.place()) else {
            return false;
        };
        let known = &entry.definitions;
        let after = known.partition_point(|(from, _)| *from <= valid_from);
        let before = after.checked_sub(1).map(|at| &known[at]);
        if before.is_some_and(|(_, known)| known == definition) {
            return false;
        }
        let replaces = before.is_some_and(|(from, _)| *from == valid_from);
        let repeated = known.get(after).is_some_and(|(_, next)| next == definition);
        let definitions = &mut Arc::make_mut(entry).definitions;
        if repeated {
            definitions.remove(after);
        }
        match replaces {
            true => definitions[after - 1].1 = definition.clone(),
            false => definitions.insert(after, (valid_from, definition.clone())),
        }
        // One that was replaced may have parted two that are equal.
        definitions.dedup_by(|next, kept| next.1 == kept.1);
        self.json = OnceLock::new();
        true
    }

    /// Notes the definitions that a batch with these instruments tells, each from its receive time on.
    pub fn learn(
        &mut self,
        batch: &EventBatch,
        numbers: &[InstrumentId],
    ) -> Result<(), EventError> {
        if !batch.defines() {
            return Ok(());
        }
        for message in batch.messages().filter(|m| m.kind == Kind::Definition) {
            if let Event::Definition(text) = message.event() {
                let number = numbers.get(message.instrument.place()).copied();
                let number = number.unwrap_or(message.instrument);
                self.define(number, message.ts_recv, &text.read()?);
            }
        }
        Ok(())
    }

    /// The number of the instrument with this id.
    pub fn id(&self, id: &str) -> Option<InstrumentId> {
        self.numbers.get(id).map(|&number| InstrumentId(number))
    }

    /// The instrument with a number; `None` for [`NO_INSTRUMENT`] and numbers that name none.
    #[inline]
    pub fn get(&self, number: InstrumentId) -> Option<&Instrument> {
        self.entries
            .get(number.place())
            .map(|entry| &entry.instrument)
    }

    /// What an instrument is at a moment; `None` where nobody has said.
    pub fn definition(&self, number: InstrumentId, at: Timestamp) -> Option<&Definition> {
        let known = self.definitions(number);
        let after = known.partition_point(|(from, _)| *from <= at);
        known.get(after.checked_sub(1)?).map(|(_, found)| found)
    }

    /// What an instrument is and was, each from its moment on.
    pub fn definitions(&self, number: InstrumentId) -> &[(Timestamp, Definition)] {
        self.entries
            .get(number.place())
            .map_or(&[], |entry| entry.definitions.as_slice())
    }

    /// Number of instruments.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The instruments in the order of their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Instrument> + DoubleEndedIterator {
        self.entries.iter().map(|entry| &entry.instrument)
    }

    /// Canonical JSON: `[{"id":"BTCUSDT.BINANCE","price_scale":9,"qty_scale":9}]`; where definitions are known,
    /// `"definitions":[[valid_from, {…}]]` as well.
    pub fn to_json(&self) -> Arc<str> {
        let entry = |entry: &Arc<Entry>| {
            let i = &entry.instrument;
            let mut value =
                json!({"id": i.id, "price_scale": i.price_scale, "qty_scale": i.qty_scale});
            if !entry.definitions.is_empty() {
                let definitions = entry.definitions.iter();
                value["definitions"] = definitions.map(|(t, d)| json!([t, d.to_map()])).collect();
            }
            value
        };
        let text = || Value::Array(self.entries.iter().map(entry).collect()).to_string();
        Arc::clone(self.json.get_or_init(|| text().into()))
    }

    /// The instruments of [`Instruments::to_json`].
    pub fn from_json(text: &str) -> Result<Instruments, EventError> {
        let refuse = |what: String| EventError::Instruments { what };
        let value: Value =
            serde_json::from_str(text).map_err(|e| refuse(format!("not JSON: {e}")))?;
        let list = value
            .as_array()
            .ok_or_else(|| refuse("not a JSON list".into()))?;
        let scale = |item: &Value, key: &str| item[key].as_u64().and_then(|v| u8::try_from(v).ok());
        let mut all = Instruments::new();
        for item in list {
            let scales = (scale(item, "price_scale"), scale(item, "qty_scale"));
            let (Some(id), (Some(price_scale), Some(qty_scale))) = (item["id"].as_str(), scales)
            else {
                return Err(refuse(format!("{item} is no instrument")));
            };
            let id = id.to_string();
            if all.id(&id).is_some() {
                return Err(refuse(format!("\"{id}\" stands twice in the table")));
            }
            let number = all.intern(&Instrument {
                id,
                price_scale,
                qty_scale,
            })?;
            for told in item["definitions"].as_array().into_iter().flatten() {
                match (told[0].as_i64(), told[1].as_object()) {
                    (Some(valid_from), Some(map)) => {
                        let definition =
                            Definition::from_map(map).map_err(|error| match error {
                                EventError::Definition { what } => EventError::Definition {
                                    what: format!("{}: {what}", item["id"]),
                                },
                                other => other,
                            })?;
                        all.define(number, valid_from, &definition);
                    }
                    _ => return Err(refuse(format!("{told} is no definition"))),
                }
            }
        }
        Ok(all)
    }

    /// Tests the invariants.
    pub fn check_invariants(&self) -> bool {
        let found = self.entries.iter().enumerate().all(|(at, entry)| {
            let known = &entry.definitions;
            self.id(&entry.instrument.id) == Some(InstrumentId::at(at))
                && known
                    .windows(2)
                    .all(|two| two[0].0 < two[1].0 && two[0].1 != two[1].1)
        });
        found && self.numbers.len() == self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InstrumentKind;
    use proptest::prelude::*;

    fn definition(which: u8) -> Definition {
        Definition {
            price_display: Some(which),
            ..Definition::new("X", "A", InstrumentKind::Perpetual)
        }
    }

    #[test]
    fn json_round_trips_and_refuses() {
        let mut table = Instruments::of([
            Instrument::new("BTCUSDT.BINANCE"),
            Instrument {
                id: "X\"Y.V".into(),
                price_scale: 0,
                qty_scale: 18,
            },
        ])
        .unwrap();
        assert_eq!(Instruments::from_json(&table.to_json()).unwrap(), table);
        assert!(!table.to_json().contains("definitions"));
        assert!(table.define(InstrumentId(1), -5, &definition(1)));
        assert!(table.define(InstrumentId(1), 7, &definition(2)));
        assert_eq!(Instruments::from_json(&table.to_json()).unwrap(), table);
        for bad in [
            "",
            "{}",
            "[1]",
            r#"[{"id":"A","price_scale":19,"qty_scale":0}]"#,
            r#"[{"id":"A","price_scale":-1,"qty_scale":0}]"#,
            r#"[{"id":"","price_scale":1,"qty_scale":0}]"#,
            r#"[{"id":"A","price_scale":1,"qty_scale":0},{"id":"A","price_scale":1,"qty_scale":0}]"#,
            r#"[{"id":"A","price_scale":1,"qty_scale":0,"definitions":[1]}]"#,
            r#"[{"id":"A","price_scale":1,"qty_scale":0,"definitions":[[1,{"venue":"X"}]]}]"#,
        ] {
            assert!(Instruments::from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_id_has_one_scale() {
        let mut table = Instruments::new();
        let one = Instrument::new("A.X");
        assert_eq!(table.intern(&one), Ok(InstrumentId(0)));
        assert_eq!(table.intern(&one), Ok(InstrumentId(0)));
        assert!(
            table
                .intern(&Instrument {
                    price_scale: 2,
                    ..one
                })
                .is_err()
        );
    }

    proptest! {
        /// The oracle: what was told last of what was told for the moment or before it. Where it was told in the order of
        /// time this holds for every moment, else for the moment of what was told last.
        #[test]
        fn definitions_hold_from_their_moments(
            mut told in prop::collection::vec((0i64..6, 0u8..3), 0..12),
            in_order: bool,
        ) {
            if in_order {
                told.sort_by_key(|(from, _)| *from);
            }
            let mut table = Instruments::of([Instrument::new("A.X")]).unwrap();
            for (n, &(from, which)) in told.iter().enumerate() {
                table.define(InstrumentId(0), from, &definition(which));
                prop_assert!(table.check_invariants());
                let moments = if in_order { -1..7 } else { from..from + 1 };
                for at in moments {
                    let expected = told[..=n].iter().rfind(|(t, _)| *t <= at).map(|told| told.1);
                    let found = table.definition(InstrumentId(0), at);
                    prop_assert_eq!(found.map(|d| d.price_display.unwrap()), expected, "at {} of {:?}", at, &told[..=n]);
                }
            }
        }
    }
}
