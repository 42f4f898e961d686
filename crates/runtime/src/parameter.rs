//! Numbers that an operator is given beside its series.

/// Values that a parameter may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number from the first to the second.
    Whole(usize, usize),
    /// A number above the first and at most the second.
    Number(f64, f64),
    /// A number from the first to the second.
    Real(f64, f64),
    /// This number, or nothing.
    Only(f64),
    /// A window: a count of so many values or more, or a length of time.
    Window(usize),
}

/// A parameter of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is where it is not given.
    pub default: Option<f64>,
}

impl Parameter {
    /// What it must be, where `x` is not. Windows are no numbers, and not looked at here.
    pub fn refusal(&self, x: f64) -> Option<String> {
        let (fits, wanted) = match self.kind {
            Kind::Whole(least, most) => (
                x.fract() == 0.0 && (least as f64..=most as f64).contains(&x),
                format!("a whole number from {least} to {most}"),
            ),
            Kind::Number(above, most) => (
                x > above && x <= most,
                format!("above {above} and at most {most}"),
            ),
            Kind::Real(least, most) => (
                (least..=most).contains(&x),
                format!("a number from {least} to {most}"),
            ),
            Kind::Only(only) => (x == only, format!("{only}, or left out")),
            Kind::Window(_) => (true, String::new()),
        };
        (!fits).then_some(wanted)
    }
}

/// The declaration of a parameter in a row of a table: `name: Kind(bounds) = default`.
macro_rules! parameter {
    () => { None };
    ($name:ident : $kind:ident ($($bound:expr),+) $(= $default:literal)?) => {
        Some($crate::parameter::parameter!(@one $name : $kind($($bound),+) $(= $default)?))
    };
    (@one $name:ident : $kind:ident ($($bound:expr),+) $(= $default:literal)?) => {
        $crate::parameter::Parameter {
            name: stringify!($name),
            kind: $crate::parameter::Kind::$kind($($bound),+),
            default: $crate::parameter::parameter!(@default $($default)?),
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default as f64) };
}
pub(crate) use parameter;
