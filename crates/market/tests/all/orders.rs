//! A book of single orders, against a list of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use signal_event::{
    BookRule, EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind, NO_RULE,
    NO_SEQUENCE, Order, OrderAction, Row, Side, TapeFormat,
};
use signal_market::{BookChange, BookState, BookSync, Level};

fn apply(book: &mut BookSync, orders: &[Order]) -> BookChange {
    let mut builder = EventBatchBuilder::new();
    for order in orders {
        builder.push_more(Row {
            side: order.side,
            price: order.price,
            qty: order.qty,
            order_id: order.id,
            action: Some(order.action),
            ..Row::default()
        });
    }
    builder.close(Header {
        kind: Kind::Order,
        instrument: InstrumentId(0),
        ts_recv: 0,
        ts_event: 0,
        sequence: NO_SEQUENCE,
        sequence_prev: NO_RULE,
    });
    let instruments = Instruments::of([Instrument::new("X.VENUE")]).expect("one instrument");
    let batch = builder.finish(&Arc::new(instruments));
    let change = book.apply(&batch.messages().next().expect("a message"));
    book.check_invariants();
    change
}

fn order(action: OrderAction, id: u64, side: Side, price: i64, qty: i64) -> Order {
    Order {
        id,
        action,
        side,
        price,
        qty,
    }
}

fn clear() -> Order {
    order(OrderAction::Clear, 0, Side::None, 0, 0)
}

fn levels(book: &BookSync, side: Side) -> Vec<(i64, i64)> {
    let mut levels = vec![Level::default(); book.book().depth(side)];
    book.book().top(side, &mut levels);
    levels
        .iter()
        .map(|level| (level.price, level.qty))
        .collect()
}

/// The rules again, on a list.
#[derive(Clone, Debug, Default)]
struct Listed {
    orders: Vec<(u64, Side, i64, i64)>,
    orphans: u64,
    repeated: u64,
}

impl Listed {
    fn apply(&mut self, order: &Order) {
        let found = self.orders.iter().position(|(id, ..)| *id == order.id);
        let old = found.map(|at| self.orders[at]);
        match order.action {
            OrderAction::Clear => {
                let all = order.side == Side::None;
                self.orders
                    .retain(|(_, side, ..)| !all && *side != order.side);
                return;
            }
            OrderAction::Match => return,
            OrderAction::Add => self.repeated += u64::from(found.is_some()),
            _ => self.orphans += u64::from(found.is_none()),
        }
        if let Some(at) = found {
            self.orders.remove(at);
        }
        let left = match (order.action, old) {
            (OrderAction::Add, _) | (OrderAction::Change, None) => {
                Some((order.id, order.side, order.price, order.qty))
            }
            (OrderAction::Change, Some((_, side, price, _))) => {
                let side = if order.side == Side::None {
                    side
                } else {
                    order.side
                };
                let price = if order.price == 0 { price } else { order.price };
                Some((order.id, side, price, order.qty))
            }
            (OrderAction::Cancel, Some(_)) if order.qty == 0 => None,
            (_, Some((id, side, price, qty))) => Some((id, side, price, qty - order.qty)),
            (_, None) => None,
        };
        let stands = |(_, side, _, qty): &(u64, Side, i64, i64)| *side != Side::None && *qty > 0;
        self.orders.extend(left.filter(stands));
    }

    fn levels(&self, of: Side) -> Vec<(i64, i64)> {
        let mut levels = BTreeMap::new();
        for (_, _, price, qty) in self.orders.iter().filter(|(_, side, ..)| *side == of) {
            *levels.entry(*price).or_default() += *qty;
        }
        let levels = levels.into_iter();
        match of {
            Side::Bid => levels.rev().collect(),
            _ => levels.collect(),
        }
    }
}

fn any_order() -> impl Strategy<Value = Order> {
    let action = prop_oneof![
        8 => Just(OrderAction::Add), 3 => Just(OrderAction::Change), 4 => Just(OrderAction::Cancel),
        3 => Just(OrderAction::Fill), 1 => Just(OrderAction::Match), 1 => Just(OrderAction::Clear),
    ];
    let side = prop_oneof![5 => Just(Side::Bid), 5 => Just(Side::Ask), 1 => Just(Side::None)];
    (action, 1..12u64, side, 0..6i64, 0..5i64).prop_map(|(action, id, side, price, qty)| {
        let price = if side == Side::Ask { price + 6 } else { price };
        order(action, id, side, price, qty)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn levels_are_the_sums_of_orders(
        messages in prop::collection::vec(prop::collection::vec(any_order(), 1..4), 1..60),
        reload in any::<prop::sample::Index>(),
    ) {
        let mut book = BookSync::with_rule(BookRule::LINKED, [9, 9]);
        let mut listed = Listed::default();
        apply(&mut book, &[clear()]);
        let reload = reload.index(messages.len());
        for (at, orders) in messages.iter().enumerate() {
            orders.iter().for_each(|order| listed.apply(order));
            apply(&mut book, orders);
            if at == reload {
                let mut bytes = Vec::new();
                book.save(&mut bytes);
                book = BookSync::load(&mut bytes.as_slice(), BookRule::LINKED, [9, 9], TapeFormat::NEWEST).expect("loads");
            }
            for side in [Side::Bid, Side::Ask] {
                prop_assert_eq!(levels(&book, side), listed.levels(side));
            }
            let mut standing: Vec<_> = listed.orders.clone();
            standing.sort_unstable();
            let orders = book.orders().expect("a book of orders");
            let orders: Vec<_> = orders.iter().map(|order| (order.id, order.side, order.price, order.qty)).collect();
            prop_assert_eq!(orders, standing);
            prop_assert_eq!((book.counts().orphans, book.counts().repeated), (listed.orphans, listed.repeated));
        }
    }
}

#[test]
fn more_quantity_at_a_price_than_can_be_held_makes_the_book_invalid() {
    let mut book = BookSync::with_rule(BookRule::LINKED, [9, 9]);
    let add = |id| order(OrderAction::Add, id, Side::Bid, 5, i64::MAX / 2);
    apply(&mut book, &[clear(), add(1), add(2)]);
    assert_eq!(book.state(), BookState::Valid);
    assert_eq!(apply(&mut book, &[add(3)]).state, BookState::Overflow);
    assert_eq!(book.orders(), Some(vec![]));
    assert_eq!(apply(&mut book, &[clear(), add(3)]).state, BookState::Valid);
    let all = [clear(), add(1), add(2), add(3)];
    assert_eq!(apply(&mut book, &all).state, BookState::Overflow);
}
