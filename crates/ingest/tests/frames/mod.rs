//! Frames as they stand in `tests/data/frames`, and what may be done to them.

use std::path::Path;

use serde_json::Value;
use signal_event::{
    BarField, Condition, Event, Message, NO_RULE, NO_SEQUENCE, NO_TIME, Side, decimal, flags,
};
use signal_ingest::Venue;

/// A frame, or the answer to a request, and what it becomes.
#[derive(Debug)]
pub struct Given {
    pub text: String,
    /// What was asked.
    pub url: Option<String>,
    /// Its messages, as [`show`] writes them.
    pub becomes: Vec<String>,
}

/// The frames of a venue.
pub fn given(venue: Venue) -> Vec<Given> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let path = root.join(format!("tests/data/frames/{venue}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let (mut all, mut url) = (Vec::<Given>::new(), None);
    for line in text.lines() {
        match line.chars().next() {
            None | Some('#') => {}
            Some('{' | '[') => all.push(Given {
                text: line.to_string(),
                url: url.take(),
                becomes: Vec::new(),
            }),
            Some('G') => url = line.strip_prefix("GET ").map(String::from),
            Some(' ') => {
                let frame = all
                    .last_mut()
                    .expect("a frame stands before what it becomes");
                frame.becomes.push(line.trim().to_string());
            }
            Some(_) => panic!("{}: {line}", path.display()),
        }
    }
    all
}

/// A message as text: kind, instrument, ids, venue time, rows.
pub fn show(message: &Message<'_>) -> String {
    let instrument = message.instrument().expect("an instrument");
    let mut text = format!("{} {}", message.kind, instrument.id);
    if message.sequence != NO_SEQUENCE {
        text += &format!(" id {}", message.sequence);
    }
    if message.sequence_prev != NO_RULE {
        text += &format!(" after {}", message.sequence_prev);
    }
    if message.ts_event != NO_TIME {
        text += &format!(" at {}", message.ts_event);
    }
    if let Some(checksum) = message.checksum() {
        text += &format!(" checksum {checksum}");
    }
    let rows = message.sides().iter().zip(message.flags());
    let numbers = message.prices().iter().zip(message.qtys());
    for ((side, row_flags), (price, qty)) in rows.zip(numbers) {
        let side = Side::from_code(*side).map_or("?", Side::name);
        let price = decimal::format(*price, instrument.price_scale);
        let qty = decimal::format(*qty, instrument.qty_scale);
        text += &format!(" | {side} {price} {qty}");
        let marks = [(flags::CUT, " cut"), (flags::UNHELD, " unheld")];
        let marks = marks.iter().filter(|(bit, _)| row_flags & bit != 0);
        marks.for_each(|(_, name)| text += name);
    }
    match message.event() {
        Event::Trade { condition, .. } if condition != Condition::Ordinary => {
            text += &format!(" {condition}");
        }
        Event::Orders(orders) => {
            for order in orders {
                text += &format!(" | {} {:x}", order.action, order.id);
            }
        }
        Event::Reference(reference) => {
            let fields = reference.iter();
            text += &fields
                .map(|(field, number)| format!(" | {field} {number:?}"))
                .collect::<String>();
        }
        Event::Bar(bar) => {
            for &field in BarField::ALL {
                if let Some(number) = bar.get(field) {
                    text += &format!(" | {field} {number}");
                }
            }
        }
        Event::Definition(definition) => text += &format!(" {}", definition.text()),
        _ => {}
    }
    text
}

/// Numbers that look random, the same in each run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// The same JSON with its keys in another order, whitespace, escapes, and keys that nobody knows.
pub fn scrambled(text: &str, random: &mut Random) -> String {
    let value: Value = serde_json::from_str(text).unwrap();
    let mut out = String::new();
    write(&value, random, &mut out);
    out
}

fn write(value: &Value, random: &mut Random, out: &mut String) {
    space(random, out);
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, random, out);
            }
            space(random, out);
            out.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<(String, Value)> =
                map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            if random.below(3) == 0 {
                let value = serde_json::json!([{"p": null, "p2": "\u{e9}\n"}, -1.5e-7, true]);
                members.push((format!("unknown_{}", random.below(100)), value));
            }
            out.push('{');
            let mut first = true;
            while !members.is_empty() {
                let (key, value) = members.swap_remove(random.below(members.len()));
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                space(random, out);
                string(&key, random, out);
                space(random, out);
                out.push(':');
                write(&value, random, out);
            }
            space(random, out);
            out.push('}');
        }
        Value::String(text) => string(text, random, out),
        other => *out += &other.to_string(),
    }
    space(random, out);
}

fn space(random: &mut Random, out: &mut String) {
    if random.below(4) == 0 {
        out.push([' ', '\t', '\n', '\r'][random.below(4)]);
    }
}

fn string(text: &str, random: &mut Random, out: &mut String) {
    let escaped = random.below(4) == 0;
    out.push('"');
    for c in text.chars() {
        match c {
            _ if escaped && random.below(3) == 0 => *out += &format!("\\u{:04x}", c as u32),
            '/' if escaped => *out += "\\/",
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => *out += "\\n",
            _ => out.push(c),
        }
    }
    out.push('"');
}
