//! What a row of the table of composites says, and the macro that makes rows.

use super::series::{Nodes, Of, Series};
use crate::operator::Window;
use crate::stream::{Source, Stream};
pub(crate) use signal_runtime::{Kind, Parameter};

/// What a composite is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Series, which its operands name.
    Series,
    /// Bars.
    Bars,
    /// Trades.
    Trades,
    /// The depth stream.
    Book,
    /// The depth stream, or best quotes.
    Quoted,
}

impl Subject {
    /// The kind of stream, as a graph names it; none of series.
    pub(crate) fn stream(self) -> Option<&'static str> {
        match self {
            Self::Series => None,
            Self::Bars => Some("bars"),
            Self::Trades => Some("trades"),
            Self::Book => Some("book"),
            Self::Quoted => Some("quotes"),
        }
    }

    /// Whether a stream is of the kind.
    pub(crate) fn takes(self, source: Source) -> bool {
        match self {
            Self::Series => false,
            Self::Bars => matches!(source, Source::Bars(_)),
            Self::Trades => source == Source::Trades,
            Self::Book => source == Source::Book,
            Self::Quoted => matches!(source, Source::Book | Source::Quotes),
        }
    }
}

/// A parameter's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A whole number.
    Whole(usize),
    /// A number.
    Number(f64),
    /// A window.
    Window(Window),
}

/// A row of the table: an operator that others make.
pub(crate) struct Composite {
    /// As the graph's JSON writes it.
    pub(crate) name: &'static str,
    /// Where it stands in the list.
    pub(crate) family: &'static str,
    /// What it is made from.
    pub(crate) subject: Subject,
    /// Names of its series: the keys of the JSON. Of a stream, none.
    pub(crate) operands: &'static [&'static str],
    /// In the order in which the expression takes them.
    pub(crate) parameters: &'static [Parameter],
    /// Its unit, or the range of its values.
    pub(crate) unit: &'static str,
    /// Events before the first result, that included, as a sum over parameters.
    pub(crate) warm_up: &'static str,
    /// Who says so.
    pub(crate) citation: &'static str,
    /// What it is, in words.
    pub(crate) meaning: &'static str,
    /// Makes its nodes; refuses parameters that do not fit each other.
    pub(crate) make: for<'a> fn(Given<'a>) -> Result<Series<'a>, &'static str>,
}

/// What a graph gave a row: series or a stream, and a value for each parameter.
pub(crate) struct Given<'a> {
    nodes: &'a Nodes,
    stream: Option<&'a Stream>,
    series: std::slice::Iter<'a, Series<'a>>,
    values: std::slice::Iter<'a, Value>,
}

const OTHERWISE: &str = "the row of the table was given something else than it declares";

impl<'a> Given<'a> {
    pub(crate) fn new(
        nodes: &'a Nodes,
        stream: Option<&'a Stream>,
        series: &'a [Series<'a>],
        values: &'a [Value],
    ) -> Self {
        let (series, values) = (series.iter(), values.iter());
        Self {
            nodes,
            stream,
            series,
            values,
        }
    }

    /// The next series.
    pub(super) fn series(&mut self) -> Result<Series<'a>, &'static str> {
        self.series.next().copied().ok_or(OTHERWISE)
    }

    /// The stream.
    pub(super) fn of(&self) -> Result<Of<'a>, &'static str> {
        let stream = self.stream.ok_or(OTHERWISE)?;
        Ok(Of::new(self.nodes, stream))
    }

    /// The next parameter, a whole number.
    pub(super) fn whole(&mut self) -> Result<usize, &'static str> {
        match self.values.next() {
            Some(Value::Whole(n)) => Ok(*n),
            _ => Err(OTHERWISE),
        }
    }

    /// The next parameter, a number.
    pub(super) fn number(&mut self) -> Result<f64, &'static str> {
        match self.values.next() {
            Some(Value::Number(x)) => Ok(*x),
            _ => Err(OTHERWISE),
        }
    }

    /// The next parameter, a window.
    pub(super) fn window(&mut self) -> Result<Window, &'static str> {
        match self.values.next() {
            Some(Value::Window(window)) => Ok(*window),
            _ => Err(OTHERWISE),
        }
    }
}

/// Makes rows: `name(Subject: operands; parameter: Kind(bounds) = default) "unit", "warm-up", "citation" => expression;`. The
/// documentation is the meaning. `where condition, "what is wrong"` before the arrow refuses parameters that do not fit.
macro_rules! composites {
    (
        $rows:ident $family:literal
        $($(#[doc = $meaning:literal])+ $name:ident (
            $subject:ident : $($x:ident),+ $(; $($p:ident : $kind:ident ($($bound:expr),+) $(= $default:literal)?),+)?
        ) $unit:literal, $warm_up:literal, $citation:literal $(where $fits:expr, $wrong:literal)? => $value:expr;)+
    ) => {
        pub(super) const $rows: &[Composite] = &[$(Composite {
            name: stringify!($name),
            family: $family,
            subject: Subject::$subject,
            operands: composites!(@operands $subject $($x),+),
            parameters: &[$($(Parameter {
                name: stringify!($p),
                kind: Kind::$kind($($bound),+),
                default: composites!(@default $($default)?),
            }),+)?],
            unit: $unit,
            warm_up: $warm_up,
            citation: $citation,
            meaning: concat!($($meaning),+),
            make: |mut given| {
                composites!(@bind $subject given $($x),+);
                $($(let $p = composites!(@take $kind given);)+)?
                $(if !($fits) {
                    return Err($wrong);
                })?
                // The last of a row takes what there is: `given` may be read no more.
                let _ = &mut given;
                Ok($value)
            },
        }),+];
    };
    (@operands Series $($x:ident),+) => { &[$(stringify!($x)),+] };
    (@operands $subject:ident $x:ident) => { &[] };
    (@bind Series $given:ident $($x:ident),+) => { $(let $x = $given.series()?;)+ };
    (@bind $subject:ident $given:ident $x:ident) => { let $x = $given.of()?; };
    (@take Whole $given:ident) => { $given.whole()? };
    (@take Number $given:ident) => { $given.number()? };
    (@take Window $given:ident) => { $given.window()? };
    (@default) => { None };
    (@default $default:literal) => { Some($default as f64) };
}
pub(super) use composites;
