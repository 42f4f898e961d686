//! What an instrument is: its terms, which may change in time.

use serde_json::{Map, Value};

use crate::EventError;
use crate::decimal::Decimal;
use crate::kind::codes;

codes! {
    /// Which way an option pays.
    OptionRight {
        /// The right to buy.
        Call = 1 "call",
        /// The right to sell.
        Put = 2 "put",
    }
}

codes! {
    /// When an option may be exercised.
    OptionStyle {
        /// At expiry.
        European = 1 "european",
        /// Until expiry.
        American = 2 "american",
    }
}

/// What kind of thing is traded. Expiries are nanoseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstrumentKind {
    /// One thing against another, for delivery now.
    Spot,
    /// A share of a company or fund.
    Equity,
    /// An index: it has values, and nobody trades it.
    Index,
    /// A future without expiry.
    Perpetual,
    /// A future.
    Future {
        /// When it expires.
        expiry: Option<i64>,
    },
    /// An option.
    Option {
        /// What it is an option on.
        underlying: String,
        /// Strike price.
        strike: Decimal,
        /// When it expires.
        expiry: i64,
        /// Call or put.
        right: OptionRight,
        /// European or American, where it is said.
        style: Option<OptionStyle>,
    },
    /// Several instruments traded as one.
    Spread,
    /// A bond.
    Bond,
}

impl InstrumentKind {
    /// The name as it is written in files.
    pub const fn name(&self) -> &'static str {
        match self {
            InstrumentKind::Spot => "spot",
            InstrumentKind::Equity => "equity",
            InstrumentKind::Index => "index",
            InstrumentKind::Perpetual => "perpetual",
            InstrumentKind::Future { .. } => "future",
            InstrumentKind::Option { .. } => "option",
            InstrumentKind::Spread => "spread",
            InstrumentKind::Bond => "bond",
        }
    }
}

/// The terms of an instrument, from some moment on. What nobody said is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Where it is traded, as the instrument's id ends.
    pub venue: String,
    /// What the venue calls it.
    pub symbol: String,
    /// What it is.
    pub kind: InstrumentKind,
    /// Units of the underlying that one contract stands for.
    pub multiplier: Option<Decimal>,
    /// Smallest step of the price.
    pub tick: Option<Decimal>,
    /// Smallest step of the quantity.
    pub lot: Option<Decimal>,
    /// Decimal places that prices are shown with.
    pub price_display: Option<u8>,
    /// Currency of the price.
    pub currency: Option<String>,
    /// Name of the calendar of its sessions.
    pub calendar: Option<String>,
}

impl Definition {
    /// A definition of which only venue, symbol and kind are known.
    pub fn new(
        venue: impl Into<String>,
        symbol: impl Into<String>,
        kind: InstrumentKind,
    ) -> Definition {
        Definition {
            venue: venue.into(),
            symbol: symbol.into(),
            kind,
            multiplier: None,
            tick: None,
            lot: None,
            price_display: None,
            currency: None,
            calendar: None,
        }
    }

    /// One JSON object with the keys of an instruments file, those that are known, in a fixed order of keys.
    pub fn to_json(&self) -> String {
        Value::Object(self.to_map()).to_string()
    }

    pub(crate) fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(key.to_string(), value);
            }
        };
        let exact = |number: &Option<Decimal>| number.map(|n| Value::from(n.to_string()));
        let words = |text: &Option<String>| text.clone().map(Value::from);
        put("venue", Some(self.venue.clone().into()));
        put("symbol", Some(self.symbol.clone().into()));
        put("kind", Some(self.kind.name().into()));
        put("multiplier", exact(&self.multiplier));
        put("tick", exact(&self.tick));
        put("lot", exact(&self.lot));
        put("price_display", self.price_display.map(Value::from));
        put("currency", words(&self.currency));
        put("calendar", words(&self.calendar));
        match &self.kind {
            InstrumentKind::Future { expiry } => put("expiry", expiry.map(Value::from)),
            InstrumentKind::Option {
                underlying,
                strike,
                expiry,
                right,
                style,
            } => {
                put("underlying", Some(underlying.clone().into()));
                put("strike", Some(strike.to_string().into()));
                put("expiry", Some((*expiry).into()));
                put("right", Some(right.name().into()));
                put("style", style.map(|style| style.name().into()));
            }
            _ => {}
        }
        map
    }

    /// The definition of [`Definition::to_json`]. Numbers may be JSON numbers or texts; keys that it does not know are
    /// passed over.
    pub fn from_json(text: &str) -> Result<Definition, EventError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Definition::from_map(&map),
            _ => refuse("a definition is a JSON object", text),
        }
    }

    pub(crate) fn from_map(map: &Map<String, Value>) -> Result<Definition, EventError> {
        let keys = Keys(map);
        Ok(Definition {
            venue: keys.needed("venue")?,
            symbol: keys.needed("symbol")?,
            kind: keys.kind()?,
            multiplier: keys.exact("multiplier")?,
            tick: keys.exact("tick")?,
            lot: keys.exact("lot")?,
            price_display: match keys.number("price_display")? {
                Some(places @ 0..=18) => Some(places as u8),
                None => None,
                Some(other) => return refuse("\"price_display\" is not from 0 to 18", other),
            },
            currency: keys.words("currency")?,
            calendar: keys.words("calendar")?,
        })
    }
}

fn refuse<T>(what: &str, seen: impl std::fmt::Display) -> Result<T, EventError> {
    Err(EventError::Definition {
        what: format!("{what}: {seen}"),
    })
}

struct Keys<'a>(&'a Map<String, Value>);

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn words(&self, key: &str) -> Result<Option<String>, EventError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
            Some(other) => refuse(&format!("\"{key}\" is no text"), other),
        }
    }

    fn needed(&self, key: &str) -> Result<String, EventError> {
        match self.words(key)? {
            Some(text) => Ok(text),
            None => refuse(
                &format!("it has no \"{key}\""),
                Value::Object(self.0.clone()),
            ),
        }
    }

    fn number(&self, key: &str) -> Result<Option<i64>, EventError> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => refuse(&format!("\"{key}\" is no whole number"), value),
            },
        }
    }

    fn exact(&self, key: &str) -> Result<Option<Decimal>, EventError> {
        let text = match self.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            // Shortest text that reads back as the same number, without an exponent.
            Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => whole.to_string(),
                (None, Some(number)) => number.to_string(),
                (None, None) => number.to_string(),
            },
            Some(other) => return refuse(&format!("\"{key}\" is no number"), other),
        };
        match Decimal::parse(text.as_bytes()) {
            Ok(number) => Ok(Some(number)),
            Err(error) => refuse(&format!("\"{key}\" {error}"), text),
        }
    }

    fn one_of<T: Copy>(
        &self,
        key: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Result<T, EventError> {
        let text = self.needed(key)?;
        let names = || all.iter().map(|&each| name(each)).collect::<Vec<_>>();
        match all.iter().find(|&&each| name(each) == text) {
            Some(&found) => Ok(found),
            None => refuse(
                &format!("\"{key}\" is none of {}", names().join(", ")),
                text,
            ),
        }
    }

    fn kind(&self) -> Result<InstrumentKind, EventError> {
        Ok(match self.needed("kind")?.as_str() {
            "spot" => InstrumentKind::Spot,
            "equity" => InstrumentKind::Equity,
            "index" => InstrumentKind::Index,
            "perpetual" => InstrumentKind::Perpetual,
            "spread" => InstrumentKind::Spread,
            "bond" => InstrumentKind::Bond,
            "future" => InstrumentKind::Future {
                expiry: self.number("expiry")?,
            },
            "option" => InstrumentKind::Option {
                underlying: self.needed("underlying")?,
                strike: match self.exact("strike")? {
                    Some(strike) => strike,
                    None => return refuse("an option has a \"strike\"", "none"),
                },
                expiry: match self.number("expiry")? {
                    Some(expiry) => expiry,
                    None => return refuse("an option has an \"expiry\"", "none"),
                },
                right: self.one_of("right", OptionRight::ALL, OptionRight::name)?,
                style: match self.get("style") {
                    None => None,
                    Some(_) => Some(self.one_of("style", OptionStyle::ALL, OptionStyle::name)?),
                },
            },
            other => {
                return refuse(
                    "\"kind\" is none of spot, equity, index, perpetual, future, option, spread, bond",
                    other,
                );
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option() -> Definition {
        Definition {
            multiplier: Some(Decimal {
                mantissa: 1,
                scale: 0,
            }),
            tick: Some(Decimal {
                mantissa: 5,
                scale: 4,
            }),
            lot: None,
            price_display: Some(4),
            currency: Some("BTC".into()),
            ..Definition::new(
                "DERIBIT",
                "BTC-25MAR22-30000-C",
                InstrumentKind::Option {
                    underlying: "BTC.DERIBIT".into(),
                    strike: Decimal {
                        mantissa: 30_000,
                        scale: 0,
                    },
                    expiry: 1_648_195_200_000_000_000,
                    right: OptionRight::Call,
                    style: Some(OptionStyle::European),
                },
            )
        }
    }

    #[test]
    fn text_round_trips() {
        let future = InstrumentKind::Future { expiry: None };
        for definition in [
            option(),
            Definition::new("X", "S", future),
            Definition::new("X", "S", InstrumentKind::Spot),
        ] {
            let text = definition.to_json();
            assert_eq!(Definition::from_json(&text), Ok(definition), "{text}");
        }
    }

    #[test]
    fn numbers_may_be_numbers() {
        let text = r#"{"venue":"X","symbol":"S","kind":"spot","tick":1e-8,"lot":0.5,"multiplier":10,"later":[1]}"#;
        let found = Definition::from_json(text).unwrap();
        let shown = |number: Option<Decimal>| number.map(|n| n.to_string()).unwrap();
        assert_eq!(
            [found.tick, found.lot, found.multiplier].map(shown),
            ["0.00000001", "0.5", "10"]
        );
    }

    #[test]
    fn refusals_say_what() {
        let cases = [
            ("[]", "a JSON object"),
            (r#"{"symbol":"S","kind":"spot"}"#, "no \"venue\""),
            (r#"{"venue":"X","symbol":"S","kind":"swap"}"#, "\"kind\""),
            (
                r#"{"venue":"X","symbol":"S","kind":"spot","tick":"1e5"}"#,
                "\"tick\"",
            ),
            (
                r#"{"venue":"X","symbol":"S","kind":"spot","tick":true}"#,
                "\"tick\"",
            ),
            (
                r#"{"venue":"X","symbol":"S","kind":"spot","price_display":19}"#,
                "from 0 to 18",
            ),
            (
                r#"{"venue":"X","symbol":"S","kind":"future","expiry":"May"}"#,
                "\"expiry\"",
            ),
            (
                r#"{"venue":"X","symbol":"S","kind":"option","underlying":"U","strike":1,"expiry":1,"right":"up"}"#,
                "call, put",
            ),
        ];
        for (text, what) in cases {
            let error = Definition::from_json(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
