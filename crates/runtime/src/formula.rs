//! What a row of the table of formulas says, and the macro that makes an enum of the rows.

/// Operands of a formula at most.
pub const OPERANDS_MAX: usize = 6;

/// Operands of one event. Those that a formula does not have repeat the first.
pub type Values = [f64; OPERANDS_MAX];

/// What becomes of a result where operands are not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is invalid, for the reason of the first operand that is.
    Propagate,
    /// The first operand chooses between the others; it and the chosen one must be valid.
    Chosen,
    /// It is the first operand where that is valid, else the second, valid or not.
    FirstValid,
    /// It is valid: 1 where the operand is, else 0.
    Told,
    /// It is 0 where a valid operand is 0, else as with `Propagate`.
    ZeroDecides,
    /// It is 1 where a valid operand is not 0, else as with `Propagate`.
    NonZeroDecides,
}

/// A formula, declared.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As the graph's JSON writes it.
    pub name: &'static str,
    /// The sign between two operands, where it has one.
    pub sign: Option<&'static str>,
    /// Names of the operands, in order: the keys of the JSON.
    pub operands: &'static [&'static str],
    /// What becomes of missing operands.
    pub missing: Missing,
    /// What it is, in words.
    pub meaning: &'static str,
    /// Who says so.
    pub citation: &'static str,
}

/// Makes the enum of formulas: `Variant = "name"(operands) rule, citation => expression;`, those that users name first, those
/// of a book behind. An expression is compiled once for one event and once for a block; both have the same bits.
macro_rules! formulas {
    (
        $($(#[doc = $meaning:literal])+ $variant:ident = $name:literal ($($x:ident),+) $([$sign:literal])?
            $missing:ident, $citation:literal => $value:expr;)+
        book:
        $($(#[doc = $b_meaning:literal])+ $b_variant:ident = $b_name:literal ($($b_x:ident),+)
            $b_missing:ident, $b_citation:literal => $b_value:expr;)+
    ) => {
        /// A function of its operands' present values alone. The order of the variants is the table's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Formula {
            $($(#[doc = $meaning])+ $variant,)+
            $($(#[doc = $b_meaning])+ $b_variant,)+
        }

        impl Formula {
            /// Those that a graph names as operators.
            pub const OPERATORS: &'static [Self] = &[$(Self::$variant),+];
            /// Those that a graph names as functions of a book.
            pub const OF_BOOK: &'static [Self] = &[$(Self::$b_variant),+];

            /// What becomes of missing operands.
            #[inline]
            pub const fn missing(self) -> Missing {
                match self {
                    $(Self::$variant => Missing::$missing,)+
                    $(Self::$b_variant => Missing::$b_missing,)+
                }
            }

            /// Its declaration.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$variant => Row {
                        name: $name,
                        sign: formulas!(@sign $($sign)?),
                        operands: &[$(stringify!($x)),+],
                        missing: self.missing(),
                        meaning: concat!($($meaning),+),
                        citation: $citation,
                    },)+
                    $(Self::$b_variant => Row {
                        name: $b_name,
                        sign: None,
                        operands: &[$(stringify!($b_x)),+],
                        missing: self.missing(),
                        meaning: concat!($($b_meaning),+),
                        citation: $b_citation,
                    },)+
                }
            }

            /// The value at valid operands; not finite where they lie outside its domain. `of` says where they are, `read`
            /// reads those that the formula has.
            #[inline(always)]
            pub fn value_of<T: Copy>(self, of: [T; OPERANDS_MAX], read: impl Fn(T) -> f64) -> f64 {
                match self {
                    $(Self::$variant => formulas!(@one of, read, ($($x),+), $value),)+
                    $(Self::$b_variant => formulas!(@one of, read, ($($b_x),+), $b_value),)+
                }
            }

            /// The values at a block of valid operands. Gives 0 if they are finite.
            #[inline(always)]
            pub fn values(self, of: [&[f64]; OPERANDS_MAX], out: &mut [f64]) -> u64 {
                match self {
                    $(Self::$variant => formulas!(@block of, out, ($($x),+), $value),)+
                    $(Self::$b_variant => formulas!(@block of, out, ($($b_x),+), $b_value),)+
                }
            }
        }
    };
    (@sign) => { None };
    (@sign $sign:literal) => { Some($sign) };
    (@one $of:ident, $read:ident, ($($x:ident),+), $value:expr) => {{
        let [$($x),+, ..] = $of;
        $(let $x = $read($x);)+
        $(let _ = $x;)+ // A rule for missing values may leave nothing to compute.
        $value
    }};
    (@block $of:ident, $out:ident, ($($x:ident),+), $value:expr) => {{
        let n = $out.len();
        let [$($x),+, ..] = $of;
        $(let $x = &$x[..n];)+
        let mut faults = 0;
        for i in 0..n {
            $(let $x = $x[i];)+
            $(let _ = $x;)+
            $out[i] = $value;
            faults |= fault($out[i]);
        }
        faults
    }};
}
pub(crate) use formulas;
