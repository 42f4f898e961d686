//! What the rows of composites are written with: series that make nodes, with the signs and words of the operators.

use crate::graph::WINDOW_MAX;
use crate::operator::{BookFn, NodeId, Operator, Window};
use crate::stream::{Field, Stream};
use signal_runtime::{Formula, LagFn, Statistic, Weighted, WindowStat};
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// Nodes of a graph while it is read; composites add theirs at the end.
#[derive(Debug, Default)]
pub(crate) struct Nodes(RefCell<Vec<Operator>>);

impl Nodes {
    /// Adds a node and gives its number.
    pub(crate) fn push(&self, op: Operator) -> NodeId {
        let mut nodes = self.0.borrow_mut();
        nodes.push(op);
        nodes.len() - 1
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them.
    pub(crate) fn into_operators(self) -> Vec<Operator> {
        self.0.into_inner()
    }

    /// The series of a node.
    pub(crate) fn series(&self, id: NodeId) -> Series<'_> {
        Series { nodes: self, id }
    }

    fn add(&self, op: Operator) -> Series<'_> {
        self.series(self.push(op))
    }
}

/// One number at each event of a stream. Each word and sign adds a node; equal ones become one when the graph is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    nodes: &'a Nodes,
    /// Its node.
    pub(crate) id: NodeId,
}

impl<'a> Series<'a> {
    fn formula(self, formula: Formula, others: &[Self]) -> Self {
        let operands: Vec<NodeId> = [self]
            .iter()
            .chain(others)
            .map(|series| series.id)
            .collect();
        self.nodes.add(Operator::formula(formula, &operands))
    }

    fn rolling(self, f: Statistic, window: Window) -> Self {
        self.nodes
            .add(Operator::rolling(f.usual(), window, self.id, None))
    }

    /// Of all values, where the usual is of a sample.
    fn rolling_of_all(self, f: Statistic, window: Window) -> Self {
        let stat = WindowStat::new(f, 0.0);
        self.nodes
            .add(Operator::rolling(stat, window, self.id, None))
    }

    fn pair(self, f: Statistic, y: Self, window: Window) -> Self {
        self.nodes
            .add(Operator::rolling(f.usual(), window, self.id, Some(y.id)))
    }

    /// A number beside it.
    pub(super) fn constant(self, x: f64) -> Self {
        self.nodes.add(Operator::Const(x))
    }

    pub(super) fn abs(self) -> Self {
        self.formula(Formula::Abs, &[])
    }

    pub(super) fn sign(self) -> Self {
        self.formula(Formula::Sign, &[])
    }

    pub(super) fn log(self) -> Self {
        self.formula(Formula::Log, &[])
    }

    pub(super) fn sqrt(self) -> Self {
        self.formula(Formula::Sqrt, &[])
    }

    pub(super) fn tanh(self) -> Self {
        self.formula(Formula::Tanh, &[])
    }

    pub(super) fn squared(self) -> Self {
        self * self
    }

    pub(super) fn minimum(self, y: Self) -> Self {
        self.formula(Formula::Min, &[y])
    }

    pub(super) fn maximum(self, y: Self) -> Self {
        self.formula(Formula::Max, &[y])
    }

    /// x where it is positive, else 0.
    pub(super) fn positive(self) -> Self {
        self.maximum(self.constant(0.0))
    }

    /// 1 where it is at most y.
    pub(super) fn at_most(self, y: Self) -> Self {
        self.formula(Formula::Le, &[y])
    }

    /// 1 where it is y.
    pub(super) fn equals(self, y: Self) -> Self {
        self.formula(Formula::Eq, &[y])
    }

    pub(super) fn erf(self) -> Self {
        self.formula(Formula::Erf, &[])
    }

    /// x where the condition is not 0, else y.
    pub(super) fn where_not_0(condition: Self, x: Self, y: Self) -> Self {
        condition.formula(Formula::Where, &[x, y])
    }

    /// 0 where it is invalid.
    pub(super) fn or_0(self) -> Self {
        self.formula(Formula::Coalesce, &[self.constant(0.0)])
    }

    /// `ln(self / y)`, accurate where both are near.
    pub(super) fn log_over(self, y: Self) -> Self {
        ((self - y) / y).formula(Formula::Log1p, &[])
    }

    fn lag(self, f: LagFn, n: usize) -> Self {
        self.nodes.add(Operator::Lag(f, n, self.id))
    }

    pub(super) fn shift(self, n: usize) -> Self {
        self.lag(LagFn::Shift, n)
    }

    pub(super) fn diff(self, n: usize) -> Self {
        self.lag(LagFn::Diff, n)
    }

    pub(super) fn pct_change(self, n: usize) -> Self {
        self.lag(LagFn::PctChange, n)
    }

    pub(super) fn log_return(self, n: usize) -> Self {
        self.lag(LagFn::LogReturn, n)
    }

    pub(super) fn sum(self, window: Window) -> Self {
        self.rolling(Statistic::Sum, window)
    }

    pub(super) fn mean(self, window: Window) -> Self {
        self.rolling(Statistic::Mean, window)
    }

    /// Variance with divisor n - 1.
    pub(super) fn var(self, window: Window) -> Self {
        self.rolling(Statistic::Var, window)
    }

    /// Variance with divisor n.
    pub(super) fn var_of_all(self, window: Window) -> Self {
        self.rolling_of_all(Statistic::Var, window)
    }

    /// Standard deviation with divisor n - 1.
    pub(super) fn std(self, window: Window) -> Self {
        self.rolling(Statistic::Std, window)
    }

    /// Standard deviation with divisor n.
    pub(super) fn std_of_all(self, window: Window) -> Self {
        self.rolling_of_all(Statistic::Std, window)
    }

    pub(super) fn min(self, window: Window) -> Self {
        self.rolling(Statistic::Min, window)
    }

    pub(super) fn max(self, window: Window) -> Self {
        self.rolling(Statistic::Max, window)
    }

    pub(super) fn cov(self, y: Self, window: Window) -> Self {
        self.pair(Statistic::Cov, y, window)
    }

    pub(super) fn corr(self, y: Self, window: Window) -> Self {
        self.pair(Statistic::Corr, y, window)
    }

    pub(super) fn beta(self, y: Self, window: Window) -> Self {
        self.pair(Statistic::Beta, y, window)
    }

    /// Exponentially weighted mean, valid from as many values on as its span.
    pub(super) fn ewm(self, alpha: f64) -> Self {
        let span = (2.0 / alpha - 1.0).ceil().clamp(1.0, WINDOW_MAX as f64);
        let min_periods = span as usize;
        self.nodes.add(Operator::Ewm {
            f: Weighted::Mean,
            alpha,
            min_periods,
            of: [self.id; 2],
        })
    }

    /// Exponentially weighted mean of this span.
    pub(super) fn ewm_span(self, span: usize) -> Self {
        self.ewm(2.0 / (span as f64 + 1.0))
    }

    /// Its sum over several.
    pub(super) fn total(first: Self, others: impl IntoIterator<Item = Self>) -> Self {
        others.into_iter().fold(first, |sum, next| sum + next)
    }
}

/// The signs between series, and between a series and a number.
macro_rules! sign {
    ($trait:ident $method:ident $formula:ident) => {
        impl $trait for Series<'_> {
            type Output = Self;

            fn $method(self, y: Self) -> Self {
                self.formula(Formula::$formula, &[y])
            }
        }

        impl $trait<f64> for Series<'_> {
            type Output = Self;

            fn $method(self, y: f64) -> Self {
                self.formula(Formula::$formula, &[self.constant(y)])
            }
        }

        impl<'a> $trait<Series<'a>> for f64 {
            type Output = Series<'a>;

            fn $method(self, y: Series<'a>) -> Series<'a> {
                y.constant(self).formula(Formula::$formula, &[y])
            }
        }
    };
}

sign!(Add add Add);
sign!(Sub sub Sub);
sign!(Mul mul Mul);
sign!(Div div Div);

impl Neg for Series<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.formula(Formula::Neg, &[])
    }
}

/// The stream of which a composite is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    nodes: &'a Nodes,
    stream: &'a Stream,
}

impl<'a> Of<'a> {
    pub(super) fn new(nodes: &'a Nodes, stream: &'a Stream) -> Self {
        Self { nodes, stream }
    }

    fn field(self, field: Field) -> Series<'a> {
        self.nodes.add(Operator::Field(self.stream.clone(), field))
    }

    fn book(self, formula: Formula) -> Series<'a> {
        let function = BookFn::Formula(formula);
        self.nodes
            .add(Operator::Book(self.stream.clone(), function))
    }

    pub(super) fn open(self) -> Series<'a> {
        self.field(Field::Open)
    }

    pub(super) fn high(self) -> Series<'a> {
        self.field(Field::High)
    }

    pub(super) fn low(self) -> Series<'a> {
        self.field(Field::Low)
    }

    pub(super) fn close(self) -> Series<'a> {
        self.field(Field::Close)
    }

    pub(super) fn volume(self) -> Series<'a> {
        self.field(Field::Volume)
    }

    pub(super) fn buy_volume(self) -> Series<'a> {
        self.field(Field::BuyVolume)
    }

    pub(super) fn vwap(self) -> Series<'a> {
        self.field(Field::Vwap)
    }

    pub(super) fn qty(self) -> Series<'a> {
        self.field(Field::Qty)
    }

    pub(super) fn side(self) -> Series<'a> {
        self.field(Field::Side)
    }

    pub(super) fn mid(self) -> Series<'a> {
        self.book(Formula::Mid)
    }

    pub(super) fn spread(self) -> Series<'a> {
        self.book(Formula::Spread)
    }

    pub(super) fn bid(self, level: u8) -> Series<'a> {
        self.field(Field::BidPrice(level))
    }

    pub(super) fn ask(self, level: u8) -> Series<'a> {
        self.field(Field::AskPrice(level))
    }

    pub(super) fn bid_qty(self, level: u8) -> Series<'a> {
        self.field(Field::BidQty(level))
    }

    pub(super) fn ask_qty(self, level: u8) -> Series<'a> {
        self.field(Field::AskQty(level))
    }
}
