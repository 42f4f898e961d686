//! Names of the operators, as the JSON writes them.

use crate::operator::{LagFn, PairStat, Stat};

pub(crate) const LAG: [(&str, LagFn); 4] = [
    ("shift", LagFn::Shift),
    ("diff", LagFn::Diff),
    ("pct_change", LagFn::PctChange),
    ("log_return", LagFn::LogReturn),
];
pub(crate) const PAIR: [(&str, PairStat); 3] = [
    ("cov", PairStat::Cov),
    ("corr", PairStat::Corr),
    ("beta", PairStat::Beta),
];
pub(crate) const STATS: [&str; 9] = [
    "sum", "mean", "var", "std", "zscore", "skew", "min", "max", "rank",
];
pub(crate) const OTHER: [&str; 8] = [
    "const", "field", "book", "rolling", "ewm", "age", "max_age", "at",
];
/// Functions of a book that are no formulas.
pub(crate) const BOOK: [&str; 2] = ["imbalance", "ofi"];

/// Names of a family, as the JSON writes them.
pub fn names<T: PartialEq>(table: &'static [(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map_or("?", |(name, _)| name)
}

pub(crate) fn lag_name(op: LagFn) -> &'static str {
    names(&LAG, &op)
}

pub(crate) fn pair_name(op: PairStat) -> &'static str {
    names(&PAIR, &op)
}

pub(crate) fn stat_name(stat: Stat) -> String {
    match stat {
        Stat::Sum => "sum".into(),
        Stat::Mean => "mean".into(),
        Stat::Var(1) => "var".into(),
        Stat::Var(ddof) => format!("var(ddof={ddof})"),
        Stat::Std(1) => "std".into(),
        Stat::Std(ddof) => format!("std(ddof={ddof})"),
        Stat::Zscore => "zscore".into(),
        Stat::Skew => "skew".into(),
        Stat::Min => "min".into(),
        Stat::Max => "max".into(),
        Stat::Rank => "rank".into(),
    }
}
