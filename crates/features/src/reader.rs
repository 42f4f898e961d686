//! A graph's JSON: objects, keys and numbers, each refused by name with the nearest that would have been right.

use crate::bar_spec::{Amount, BarSpec, Measure, Rule};
use crate::calendar::{Calendar, CalendarName};
use crate::catalogue::{book_names, operator_names, statistic, time_names};
use crate::graph::{SHORTEST_NS, WINDOW_MAX};
use crate::graph_error::{GraphError, nearest, refuse};
use crate::operator::{BookFn, Cross, NodeId, Operator, Window};
use crate::stream::{Field, LEVELS_MAX, Scope, Source, Stream};
use crate::time_fn::{SessionFn, TimeFn};
use serde_json::{Map, Value};
use signal_runtime::{
    Formula, Kind, LagFn, SCAN_PARAMETERS, Scan, ScanFamily, SectionFn, Statistic, Weighted,
    WindowStat,
};
use std::sync::LazyLock;

/// Keys of a stream that is no word: what it measures, then how.
const STREAM_KEYS: [&str; 10] = [
    "bars_ns",
    "every_ns",
    "bars_ticks",
    "bars_volume",
    "bars_notional",
    "split",
    "rule",
    "span",
    "session",
    "of_ns",
];
/// Keys of a node that are no operand of a formula, nor a parameter of a statistic.
const PARAMETER_KEYS: [&str; 20] = [
    "op",
    "value",
    "of",
    "instrument",
    "name",
    "levels",
    "n",
    "stat",
    "window",
    "alpha",
    "min_periods",
    "ns",
    "stream",
    "cap",
    "session",
    "at_ns",
    "universe",
    "parameter",
    "least",
    "carry_ns",
];
/// Keys that a node may have.
static NODE_KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let formulas = Formula::OPERATORS.iter();
    let operands = formulas.flat_map(|formula| formula.row().operands.iter().copied());
    let statistics = Statistic::ALL.iter();
    let parameters = statistics.filter_map(|f| f.row().parameter.map(|parameter| parameter.name));
    let scans = Scan::ALL.iter().flat_map(|f| f.row().parameters);
    let mut keys: Vec<&str> = PARAMETER_KEYS
        .into_iter()
        .chain(operands)
        .chain(parameters)
        .chain(scans.map(|parameter| parameter.name))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
});
const DAY_NS: i64 = 86_400_000_000_000;
/// The longest bar and the longest tick of a clock.
const BAR_MAX_NS: i64 = 366 * DAY_NS;
/// Bars that an expectation may reach back over.
const SPAN_MAX: i64 = 1_000_000;

/// One JSON object being read: knows its node number and which keys were asked for.
pub(crate) struct Reader<'a> {
    node: Option<usize>,
    object: &'a Map<String, Value>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        node: Option<usize>,
        value: &'a Value,
        keys: &[&str],
    ) -> Result<Self, GraphError> {
        let Some(object) = value.as_object() else {
            return refuse(
                "GRAPH_FORM",
                node,
                format!("expected an object, found {value}"),
            );
        };
        for key in object.keys() {
            if !keys.contains(&key.as_str()) {
                let hint = nearest(key, keys.iter().copied())
                    .map_or(String::new(), |name| format!(" Did you mean \"{name}\"?"));
                return refuse("UNKNOWN_KEY", node, format!("unknown key \"{key}\".{hint}"));
            }
        }
        Ok(Self { node, object })
    }

    pub(crate) fn get(&self, key: &str) -> Result<&'a Value, GraphError> {
        match self.object.get(key) {
            Some(value) => Ok(value),
            None => refuse(
                "MISSING_KEY",
                self.node,
                format!("key \"{key}\" is missing"),
            ),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    pub(crate) fn text(&self, key: &str) -> Result<&'a str, GraphError> {
        let value = self.get(key)?;
        match value.as_str() {
            Some(text) => Ok(text),
            None => refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must be text, found {value}"),
            ),
        }
    }

    pub(crate) fn integer(&self, key: &str, least: i64, most: i64) -> Result<i64, GraphError> {
        let value = self.get(key)?;
        match value.as_i64().filter(|n| (least..=most).contains(n)) {
            Some(n) => Ok(n),
            None => refuse(
                "OUT_OF_RANGE",
                self.node,
                format!("\"{key}\" must be a whole number from {least} to {most}, found {value}"),
            ),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<f64, GraphError> {
        let value = self.get(key)?;
        match value.as_f64().filter(|x| x.is_finite()) {
            Some(x) => Ok(x),
            None => refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must be a finite number, found {value}"),
            ),
        }
    }

    /// The graph's calendars; none where it names none.
    pub(crate) fn calendars(&self) -> Result<Vec<Calendar>, GraphError> {
        let Some(value) = self.object.get("calendars") else {
            return Ok(Vec::new());
        };
        let Some(list) = value.as_array() else {
            return refuse("GRAPH_FORM", None, "\"calendars\" must be a list".into());
        };
        let mut found: Vec<Calendar> = Vec::new();
        for entry in list {
            let inner = Reader::new(None, entry, &["name", "version", "sessions"])?;
            let name = inner.calendar_name("name")?;
            if found.iter().any(|known| known.name == name) {
                return refuse("GRAPH_FORM", None, format!("calendar {name} stands twice"));
            }
            match Calendar::read(name, inner.text("version")?, inner.text("sessions")?) {
                Ok(calendar) => found.push(calendar),
                Err(why) => return refuse("GRAPH_FORM", None, format!("calendar {name}: {why}")),
            }
        }
        Ok(found)
    }

    pub(crate) fn operand(&self, key: &str) -> Result<NodeId, GraphError> {
        let node = self.node.unwrap_or(0);
        let value = self.get(key)?;
        match value.as_u64().map(|n| n as usize).filter(|&n| n < node) {
            Some(n) => Ok(n),
            None => refuse(
                "OPERAND",
                self.node,
                format!("\"{key}\" must be the number of an earlier node, found {value}"),
            ),
        }
    }

    pub(crate) fn named<T: Copy>(
        &self,
        key: &str,
        table: &[(&'static str, T)],
    ) -> Result<T, GraphError> {
        let name = self.text(key)?;
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Ok(*value),
            None => self.unknown(key, name, table.iter().map(|(known, _)| *known)),
        }
    }

    pub(crate) fn unknown<T>(
        &self,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<T, GraphError> {
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("Known: {}.", known.collect::<Vec<_>>().join(", ")),
        };
        refuse(
            "UNKNOWN_NAME",
            self.node,
            format!("no {what} \"{name}\". {hint}"),
        )
    }

    pub(crate) fn source(&self, key: &str) -> Result<Source, GraphError> {
        let value = self.get(key)?;
        match value.as_str() {
            Some("book") => return Ok(Source::Book),
            Some("quotes") => return Ok(Source::Quotes),
            Some("trades") => return Ok(Source::Trades),
            Some(other) => {
                return self.unknown("stream", other, ["book", "quotes", "trades"].into_iter());
            }
            None => {}
        }
        let inner = Reader::new(self.node, value, &STREAM_KEYS)?;
        let measures = STREAM_KEYS[..5].iter();
        let mut given = measures.filter(|name| inner.object.contains_key(**name));
        let (Some(&measure), None) = (given.next(), given.next()) else {
            return refuse(
                "GRAPH_FORM",
                self.node,
                format!("\"{key}\" must name one stream, found {value}"),
            );
        };
        let measure = match measure {
            "every_ns" if inner.object.len() == 1 => {
                return Ok(Source::Clock(inner.integer(
                    measure,
                    SHORTEST_NS,
                    BAR_MAX_NS,
                )?));
            }
            "bars_ns" => Measure::Time(inner.integer(measure, SHORTEST_NS, BAR_MAX_NS)?),
            "bars_ticks" => Measure::Ticks(inner.integer(measure, 1, i64::from(u32::MAX))? as u32),
            "bars_volume" => Measure::Volume(inner.amount(measure)?),
            "bars_notional" => Measure::Notional(inner.amount(measure)?),
            _ => return refuse("GRAPH_FORM", self.node, format!("a clock is {value}")),
        };
        let rule = inner.bar_rule(measure)?;
        let session = inner.session(measure)?;
        let of = inner.filled_by(measure, rule)?;
        Ok(Source::Bars(BarSpec {
            measure,
            rule,
            session,
            of,
        }))
    }

    fn amount(&self, key: &str) -> Result<Amount, GraphError> {
        let x = self.number(key)?;
        match Amount::new(x) {
            Some(amount) => Ok(amount),
            None => refuse(
                "OUT_OF_RANGE",
                self.node,
                format!(
                    "\"{key}\" must be from {} to {}, found {x}",
                    Amount::LEAST,
                    Amount::MOST
                ),
            ),
        }
    }

    fn filled_by(&self, measure: Measure, rule: Rule) -> Result<Option<i64>, GraphError> {
        if !self.object.contains_key("of_ns") {
            return Ok(None);
        }
        if matches!(measure, Measure::Time(_)) || !matches!(rule, Rule::Fixed | Rule::Divided) {
            return refuse(
                "GRAPH_FORM",
                self.node,
                "\"of_ns\" is of bars of ticks, volume or notional without a \"rule\"".into(),
            );
        }
        self.integer("of_ns", SHORTEST_NS, BAR_MAX_NS).map(Some)
    }

    fn session(&self, measure: Measure) -> Result<Option<CalendarName>, GraphError> {
        if !self.object.contains_key("session") {
            return Ok(None);
        }
        let name = self.calendar_name("session")?;
        match measure {
            Measure::Time(..=DAY_NS) => Ok(Some(name)),
            Measure::Time(_) if name.unit().is_some() => Ok(Some(name)),
            _ => refuse(
                "GRAPH_FORM",
                self.node,
                "\"session\" is of bars of time, of a day at most, or of the weeks and months of \"UTC/…\"".into(),
            ),
        }
    }

    pub(crate) fn calendar_name(&self, key: &str) -> Result<CalendarName, GraphError> {
        let name = self.text(key)?;
        match CalendarName::new(name) {
            Some(name) => Ok(name),
            None => refuse(
                "GRAPH_FORM",
                self.node,
                format!("no calendar has the name \"{name}\""),
            ),
        }
    }

    /// A function of the time: of a moment to come, or of a calendar's sessions.
    fn time_fn(&self) -> Result<TimeFn, GraphError> {
        let name = self.text("name")?;
        if name == "minutes_until" {
            return self.integer("at_ns", 0, i64::MAX).map(TimeFn::MinutesUntil);
        }
        let mut plain = SessionFn::PLAIN.iter();
        let f = match plain.find(|(known, _)| *known == name) {
            Some((_, f)) => *f,
            None if name == "open_minutes_until" => {
                SessionFn::OpenMinutesUntil(self.integer("at_ns", 0, i64::MAX)?)
            }
            None => return self.unknown("function of time", name, time_names()),
        };
        Ok(TimeFn::Session(self.calendar_name("session")?, f))
    }

    fn bar_rule(&self, measure: Measure) -> Result<Rule, GraphError> {
        let has = |key| self.object.contains_key(key);
        let rule = match (has("split"), has("rule")) {
            (false, false) if has("span") => {
                return refuse(
                    "GRAPH_FORM",
                    self.node,
                    "\"span\" is of bars with a \"rule\"".into(),
                );
            }
            (false, false) => return Ok(Rule::Fixed),
            (true, false) => self.named("split", &[("divide", Rule::Divided)])?,
            (_, true) => {
                let span = self.integer("span", 1, SPAN_MAX)? as u32;
                let rules = [
                    ("imbalance", Rule::Imbalance { span }),
                    ("run", Rule::Run { span }),
                ];
                self.named("rule", &rules)?
            }
        };
        let fits = match (measure, rule) {
            (Measure::Time(_), _) => false,
            (Measure::Ticks(_), Rule::Divided) => false,
            _ => !(has("split") && has("rule")),
        };
        if fits {
            return Ok(rule);
        }
        refuse(
            "GRAPH_FORM",
            self.node,
            "\"rule\" is of bars of ticks, volume or notional; \"split\" of bars of volume or notional without a rule"
                .into(),
        )
    }

    pub(crate) fn stream(&self) -> Result<Stream, GraphError> {
        let source = self.source("of")?;
        if let Source::Clock(_) = source {
            return refuse("CLOCK_FIELD", self.node, "a clock has no fields".into());
        }
        let scope = match self.object.get("instrument") {
            None => Scope::Own,
            Some(_) => Scope::Named(self.text("instrument")?.to_string()),
        };
        Ok(Stream { scope, source })
    }

    pub(crate) fn window(&self) -> Result<Window, GraphError> {
        let inner = Reader::new(self.node, self.get("window")?, &["count", "ns", "cap"])?;
        if inner.object.contains_key("count") {
            return Ok(Window::Count(
                inner.integer("count", 1, WINDOW_MAX as i64)? as usize
            ));
        }
        if !inner.object.contains_key("cap") {
            return refuse(
                "UNBOUNDED",
                self.node,
                "a time window without a cap has no bound: give the most values it may hold".into(),
            );
        }
        Ok(Window::Time {
            ns: inner.integer("ns", 1, i64::MAX / 4)?,
            cap: inner.integer("cap", 2, WINDOW_MAX as i64)? as usize,
        })
    }

    /// A statistic of so many series, with its parameter. Others' parameters are not looked at.
    fn statistic(&self, series: usize) -> Result<WindowStat, GraphError> {
        let name = self.text("stat")?;
        let Some(f) = Statistic::named(name, series) else {
            let all = Statistic::ALL.iter().map(|f| f.row());
            let known = all.filter(|row| row.operands.len() == series);
            let known = known.map(|row| row.name);
            return self.unknown("statistic of a rolling window", name, known);
        };
        match f.row().parameter {
            Some(parameter) if self.has(parameter.name) => {
                let x = match parameter.kind {
                    Kind::Whole(least, most) => {
                        self.integer(parameter.name, least as i64, most as i64)? as f64
                    }
                    _ => self.number(parameter.name)?,
                };
                match parameter.refusal(x) {
                    None => Ok(WindowStat::new(f, x)),
                    Some(wanted) => refuse(
                        "OUT_OF_RANGE",
                        self.node,
                        format!("\"{}\" must be {wanted}, found {x}", parameter.name),
                    ),
                }
            }
            _ => Ok(f.usual()),
        }
    }

    /// A statistic of a window.
    fn rolling(&self) -> Result<Operator, GraphError> {
        let (window, x) = (self.window()?, self.operand("x")?);
        let series = if self.has("y") { 2 } else { 1 };
        let stat = self.statistic(series)?;
        let y = match series {
            1 => None,
            _ => Some(self.operand("y")?),
        };
        match window {
            Window::Count(n) if n < stat.least() => {
                let (stat, least) = (statistic(stat), stat.least());
                let message = format!("{stat} needs a window of {least} values or more, found {n}");
                refuse("OUT_OF_RANGE", self.node, message)
            }
            _ => Ok(Operator::rolling(stat, window, x, y)),
        }
    }

    /// A recursion of a family with its statistics, or of its own name.
    fn scan(&self, family: ScanFamily) -> Result<Operator, GraphError> {
        let name = match family {
            ScanFamily::Named => self.text("op")?,
            _ => self.text("stat")?,
        };
        let Some(f) = Scan::named(family, name) else {
            let known = Scan::of(family).map(|f| f.row().name);
            return self.unknown("statistic of all values so far", name, known);
        };
        let row = f.row();
        let mut parameters = [0.0; SCAN_PARAMETERS];
        for (given, parameter) in parameters.iter_mut().zip(row.parameters) {
            *given = self.number(parameter.name)?;
            if let Some(wanted) = parameter.refusal(*given) {
                let message = format!("\"{}\" must be {wanted}, found {given}", parameter.name);
                return refuse("OUT_OF_RANGE", self.node, message);
            }
        }
        if let Some(wanted) = f.refusal(parameters) {
            return refuse("OUT_OF_RANGE", self.node, format!("{name}: {wanted}"));
        }
        let min_periods = match family {
            ScanFamily::Named => 1,
            _ => self.integer("min_periods", 1, WINDOW_MAX as i64)? as usize,
        };
        Ok(Operator::Scan {
            f,
            parameters,
            min_periods: min_periods.max(row.least),
            x: self.operand("x")?,
        })
    }

    /// A statistic with exponential weights.
    fn ewm(&self) -> Result<Operator, GraphError> {
        if self.has("half_life_ns") {
            return self.scan(ScanFamily::OverTime);
        }
        let alpha = self.number("alpha")?;
        if !(alpha > 0.0 && alpha <= 1.0) {
            let message = format!("alpha must be in (0, 1], found {alpha}");
            return refuse("OUT_OF_RANGE", self.node, message);
        }
        let levels = signal_kernels::ewm::Ewm::levels(alpha);
        if 1usize << levels > WINDOW_MAX {
            let message = format!(
                "alpha {alpha} remembers more than {WINDOW_MAX} values: use a shorter span"
            );
            return refuse("OUT_OF_RANGE", self.node, message);
        }
        let series = if self.has("y") { 2 } else { 1 };
        let name = if self.has("stat") {
            self.text("stat")?
        } else {
            Weighted::Mean.row().name
        };
        let Some(f) = Weighted::named(name, series) else {
            let all = Weighted::ALL.iter().map(|f| f.row());
            let known = all.filter(|row| row.operands.len() == series);
            let known = known.map(|row| row.name);
            return self.unknown("statistic of exponential weights", name, known);
        };
        let min_periods = self.integer("min_periods", 1, WINDOW_MAX as i64)? as usize;
        let x = self.operand("x")?;
        let y = if series == 2 { self.operand("y")? } else { x };
        Ok(Operator::Ewm {
            f,
            alpha,
            min_periods: min_periods.max(f.row().least),
            of: [x, y],
        })
    }
}

fn book_operator(reader: &Reader<'_>) -> Result<Operator, GraphError> {
    let stream = reader.stream()?;
    if !matches!(stream.source, Source::Book | Source::Quotes) {
        return refuse(
            "NOT_A_BOOK",
            reader.node,
            format!("{stream} has no book: use book or quotes"),
        );
    }
    let name = reader.text("name")?;
    let mut formulas = Formula::OF_BOOK.iter();
    let formula = formulas.find(|formula| formula.row().name == name);
    let function = match name {
        _ if let Some(&formula) = formula => BookFn::Formula(formula),
        "imbalance" => BookFn::Imbalance(reader.integer("levels", 1, i64::from(LEVELS_MAX))? as u8),
        "ofi" => {
            let levels = reader.integer("levels", 1, i64::from(LEVELS_MAX))?;
            if levels != 1 {
                return refuse(
                    "OUT_OF_RANGE",
                    reader.node,
                    format!(
                        "ofi is defined here for the best level, found levels={levels}: use levels=1"
                    ),
                );
            }
            BookFn::Ofi
        }
        other => return reader.unknown("function of a book", other, book_names()),
    };
    if stream.source == Source::Quotes
        && matches!(function, BookFn::Imbalance(levels) if levels > 1)
    {
        return refuse(
            "OUT_OF_RANGE",
            reader.node,
            "quotes carry one level: use levels=1 or book".into(),
        );
    }
    Ok(Operator::Book(stream, function))
}

/// A function across instruments with what it is given.
fn cross(reader: &Reader<'_>) -> Result<Cross, GraphError> {
    let name = reader.text("stat")?;
    let Some(f) = SectionFn::named(name) else {
        let known: Vec<&str> = SectionFn::all().map(|f| f.row().name).collect();
        return reader.unknown("function across instruments", name, known.into_iter());
    };
    let row = f.row();
    let parameter = match (&row.parameter, reader.has("parameter")) {
        (None, false) => 0.0,
        (None, true) => {
            return refuse(
                "GRAPH_FORM",
                reader.node,
                format!("{name} takes no parameter"),
            );
        }
        (Some(known), given) => {
            let x = if given {
                reader.number("parameter")?
            } else {
                known.usual
            };
            let [least, most] = known.range;
            if !(least..=most).contains(&x) || known.whole && x.fract() != 0.0 {
                let what = format!(
                    "{name}: {} must be {}from {least} to {most}, found {x}",
                    known.name,
                    if known.whole { "a whole number " } else { "" }
                );
                return refuse("OUT_OF_RANGE", reader.node, what);
            }
            x
        }
    };
    let universe = match reader.has("universe") {
        true => Some(reader.text("universe")?.to_string()),
        false => None,
    };
    let least = match reader.has("least") {
        true => reader.integer("least", 1, i64::from(u32::MAX))? as usize,
        false => 1,
    };
    let carry_ns = match reader.has("carry_ns") {
        true => reader.integer("carry_ns", 0, i64::MAX / 4)?,
        false => 0,
    };
    Ok(Cross {
        f,
        parameter,
        universe,
        least: least.max(row.least),
        carry_ns,
    })
}

pub(crate) fn operator(node: usize, value: &Value) -> Result<Operator, GraphError> {
    let reader = Reader::new(Some(node), value, &NODE_KEYS)?;
    let name = reader.text("op")?;
    if let Some(formula) = Formula::named(name) {
        let keys = formula.row().operands.iter();
        let operands = keys.map(|key| reader.operand(key));
        return Ok(Operator::formula(
            formula,
            &operands.collect::<Result<Vec<_>, _>>()?,
        ));
    }
    if let Some(f) = LagFn::named(name) {
        let n = reader.integer("n", 1, WINDOW_MAX as i64)? as usize;
        return Ok(Operator::Lag(f, n, reader.operand("x")?));
    }
    match name {
        "const" => Ok(Operator::Const(reader.number("value")?)),
        "field" => {
            let stream = reader.stream()?;
            let text = reader.text("name")?;
            match Field::parse(text).filter(|field| field.belongs_to(stream.source)) {
                Some(field) => Ok(Operator::Field(stream, field)),
                None => refuse(
                    "UNKNOWN_NAME",
                    Some(node),
                    format!("{stream} has no field \"{text}\""),
                ),
            }
        }
        "book" => book_operator(&reader),
        "rolling" => reader.rolling(),
        "ewm" => reader.ewm(),
        "expanding" => reader.scan(ScanFamily::Expanding),
        _ if Scan::named(ScanFamily::Named, name).is_some() => reader.scan(ScanFamily::Named),
        "time" => reader.time_fn().map(Operator::Time),
        "age" => Ok(Operator::Age(reader.operand("x")?)),
        "max_age" => Ok(Operator::MaxAge(
            reader.integer("ns", 1, i64::MAX / 4)?,
            reader.operand("x")?,
        )),
        "at" => Ok(Operator::At(
            Stream {
                scope: Scope::Own,
                source: reader.source("stream")?,
            },
            reader.operand("x")?,
        )),
        "cross" => Ok(Operator::Cross(cross(&reader)?, reader.operand("x")?)),
        other => reader.unknown("operator", other, operator_names()),
    }
}
