//! A book made of single orders.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use signal_event::{Order, OrderAction, Side};

use crate::load::{take_count, take_i64, take_u8, take_u64};
use crate::{LoadError, OrderBook};

/// Most orders of one book. One more makes the book invalid: no order can be left out of it.
pub const ORDERS_MAX: usize = 1 << 20;

/// An order that stands in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    side: Side,
    price: i64,
    qty: i64,
}

/// How many rows of a message named orders otherwise than the book knows them. None of it makes the book invalid: a
/// venue's snapshot may have been taken a little before or after the messages around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderFaults {
    /// Cancels, fills and changes of orders that the book does not hold. Such a change is taken as a new order.
    pub orphans: u32,
    /// New orders that the book holds already. The new one takes the place of the old.
    pub repeated: u32,
}

impl OrderFaults {
    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == OrderFaults::default()
    }

    pub(crate) fn add(&mut self, other: OrderFaults) {
        self.orphans = self.orphans.saturating_add(other.orphans);
        self.repeated = self.repeated.saturating_add(other.repeated);
    }
}

/// More orders, or more quantity at one price, than the book can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The orders that stand in a book, by id.
///
/// Invariants: quantities are above zero and sides known; a level of the book is the sum of its orders' quantities
/// (unless the side shed it); at most [`ORDERS_MAX`] orders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    standing: HashMap<u64, Standing, BuildHasherDefault<IdHasher>>,
}

impl Orders {
    pub(crate) fn clear(&mut self) {
        self.standing.clear();
    }

    /// What became of one order, in the book's levels too.
    pub(crate) fn apply(
        &mut self,
        order: &Order,
        book: &mut OrderBook,
    ) -> Result<OrderFaults, Full> {
        let mut faults = OrderFaults::default();
        match order.action {
            OrderAction::Add => {
                if let Some(old) = self.standing.remove(&order.id) {
                    faults.repeated = 1;
                    less(book, old, old.qty);
                }
                self.place(order.id, standing(order), book)?;
            }
            OrderAction::Change => {
                let mut new = standing(order);
                match self.standing.remove(&order.id) {
                    Some(old) => {
                        less(book, old, old.qty);
                        if new.side == Side::None {
                            new.side = old.side;
                        }
                        if new.price == 0 {
                            new.price = old.price;
                        }
                    }
                    None => faults.orphans = 1,
                }
                self.place(order.id, new, book)?;
            }
            OrderAction::Cancel if order.qty == 0 => match self.standing.remove(&order.id) {
                Some(old) => less(book, old, old.qty),
                None => faults.orphans = 1,
            },
            OrderAction::Cancel | OrderAction::Fill => match self.standing.get_mut(&order.id) {
                Some(old) if order.qty < old.qty => {
                    old.qty -= order.qty.max(0);
                    less(book, *old, order.qty.max(0));
                }
                Some(old) => {
                    let old = *old;
                    self.standing.remove(&order.id);
                    less(book, old, old.qty);
                }
                None => faults.orphans = 1,
            },
            OrderAction::Clear => match order.side {
                Side::None => {
                    self.clear();
                    book.clear();
                }
                side => {
                    self.standing.retain(|_, standing| standing.side != side);
                    book.clear_side(side);
                }
            },
            OrderAction::Match => {}
        }
        Ok(faults)
    }

    /// Puts an order into the book; one without side or quantity stands nowhere.
    fn place(&mut self, id: u64, new: Standing, book: &mut OrderBook) -> Result<(), Full> {
        if new.side == Side::None || new.qty <= 0 {
            return Ok(());
        }
        let sum = book.qty(new.side, new.price).checked_add(new.qty);
        let (Some(sum), true) = (sum, self.standing.len() < ORDERS_MAX) else {
            return Err(Full);
        };
        self.standing.insert(id, new);
        book.apply(new.side, new.price, sum);
        Ok(())
    }

    /// The orders by their ids.
    pub(crate) fn standing(&self) -> Vec<Order> {
        let orders = self.standing.iter();
        let mut orders: Vec<Order> = orders
            .map(|(&id, &Standing { side, price, qty })| Order {
                id,
                action: OrderAction::Add,
                side,
                price,
                qty,
            })
            .collect();
        orders.sort_unstable_by_key(|order| order.id);
        orders
    }

    /// Appends the orders by their ids.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let orders = self.standing();
        out.extend_from_slice(&(orders.len() as u64).to_le_bytes());
        for Order {
            id,
            side,
            price,
            qty,
            ..
        } in orders
        {
            out.extend_from_slice(&id.to_le_bytes());
            out.push(side.code());
            out.extend_from_slice(&price.to_le_bytes());
            out.extend_from_slice(&qty.to_le_bytes());
        }
    }

    /// Takes saved orders from the front of `bytes`; gives them and the book that they make.
    pub(crate) fn load(bytes: &mut &[u8]) -> Result<(Orders, OrderBook), LoadError> {
        let (mut orders, mut book) = (Orders::default(), OrderBook::new());
        let mut last = None;
        for _ in 0..take_count(bytes, ORDERS_MAX, 25)? {
            let id = take_u64(bytes)?;
            let side = Side::from_code(take_u8(bytes)?).unwrap_or(Side::None);
            let (price, qty) = (take_i64(bytes)?, take_i64(bytes)?);
            if last.is_some_and(|last| id <= last) {
                return Err(LoadError::Invalid("orders are not in order of their ids"));
            }
            last = Some(id);
            if side == Side::None || qty <= 0 {
                return Err(LoadError::Invalid("an order has no side or no quantity"));
            }
            if orders
                .place(id, Standing { side, price, qty }, &mut book)
                .is_err()
            {
                return Err(LoadError::Invalid("orders are more than a book holds"));
            }
        }
        Ok((orders, book))
    }

    /// Panics with the broken invariant; for tests.
    pub(crate) fn check_invariants(&self, book: &OrderBook) {
        let mut sums = HashMap::new();
        for Standing { side, price, qty } in self.standing.values() {
            assert!(
                *side != Side::None && *qty > 0,
                "an order that stands nowhere"
            );
            *sums.entry((*side, *price)).or_insert(0) += *qty;
        }
        for ((side, price), sum) in &sums {
            assert_eq!(
                book.qty(*side, *price),
                *sum,
                "a level is the sum of its orders"
            );
        }
        let levels = book.depth(Side::Bid) + book.depth(Side::Ask);
        assert_eq!(sums.len(), levels, "a level without orders");
    }
}

fn standing(order: &Order) -> Standing {
    let Order {
        side, price, qty, ..
    } = *order;
    Standing { side, price, qty }
}

/// Takes quantity of an order out of its level.
fn less(book: &mut OrderBook, order: Standing, qty: i64) {
    let left = book.qty(order.side, order.price) - qty;
    book.apply(order.side, order.price, left);
}

/// Spreads the bits of an id: ids come from the venue, not from someone who would make them collide.
#[derive(Clone, Copy, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        let product = u128::from(id ^ self.0) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }
}
