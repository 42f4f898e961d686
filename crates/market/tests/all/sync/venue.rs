//! Against a venue that knows the truth, and against a plain reference.

use super::*;

/// The rules again, with maps and without thrift.
#[derive(Default)]
struct Reference {
    waiting: Vec<Event>,
    /// Levels and sequence number.
    joined: Option<(Levels, u64)>,
    broken: bool,
}

impl Reference {
    fn state(&self) -> BookState {
        match &self.joined {
            Some((levels, ..)) if crossed(levels) => BookState::Crossed,
            Some(_) => BookState::Valid,
            None if self.broken => BookState::Gap,
            None => BookState::Building,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event.kind {
            Kind::Status => *self = Reference::default(),
            Kind::BookDiff if self.joined.is_some() => self.follow(event),
            Kind::BookDiff => self.waiting.push(event.clone()),
            _ if self
                .joined
                .as_ref()
                .is_some_and(|(_, last)| event.sequence <= *last) => {}
            _ => {
                let mut levels = Levels::new();
                set(&mut levels, &event.levels);
                self.joined = Some((levels, event.sequence));
                let waiting = std::mem::take(&mut self.waiting);
                waiting.iter().for_each(|diff| {
                    if self.joined.is_some() {
                        self.follow(diff)
                    }
                });
                self.waiting = if self.joined.is_some() {
                    Vec::new()
                } else {
                    waiting
                };
            }
        }
    }

    fn follow(&mut self, diff: &Event) {
        let Some((levels, last)) = &mut self.joined else {
            return;
        };
        if diff.sequence <= *last {
            return;
        }
        if diff.sequence_prev <= *last {
            set(levels, &diff.levels);
            *last = diff.sequence;
        } else {
            (self.joined, self.broken) = (None, true);
            self.waiting = vec![diff.clone()];
        }
    }
}

/// What a venue does, and what its feed then does to the messages.
#[derive(Clone, Debug)]
struct Step {
    /// Changes of the venue's book between two diffs: side, price, quantity, and by how much the id rises.
    changes: Vec<(bool, i64, i64, u64)>,
    fault: Fault,
    /// A snapshot of the venue's book that many changes ago.
    snapshot: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Lose,
    Repeat,
    /// Hold the diff back until the next one has gone.
    Swap,
    Disconnect,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    let quantity = prop_oneof![1 => Just(0i64), 2 => 1..100i64];
    let change = (any::<bool>(), 0..12i64, quantity, 1..4u64);
    let fault = prop_oneof![
        30 => Just(Fault::None), 1 => Just(Fault::Lose), 1 => Just(Fault::Repeat), 1 => Just(Fault::Swap),
        1 => Just(Fault::Disconnect), 2 => Just(Fault::Reload),
    ];
    let snapshot = prop_oneof![6 => Just(None), 1 => (0..12usize).prop_map(Some)];
    (prop::collection::vec(change, 1..6), fault, snapshot).prop_map(|(changes, fault, snapshot)| {
        Step {
            changes,
            fault,
            snapshot,
        }
    })
}

/// The messages that arrive, and the venue's book at every id.
fn feed(steps: &[Step]) -> (Vec<(Event, bool)>, BTreeMap<u64, Levels>) {
    let (mut arrived, mut truth) = (Vec::new(), BTreeMap::from([(100, Levels::new())]));
    let (mut book, mut id, mut held) = (Levels::new(), 100, None);
    for step in steps {
        let (sequence_prev, mut net) = (id, Levels::new());
        for (bid, price, qty, rise) in &step.changes {
            // Bids stand from 0, asks from 9: now and then they cross.
            let (side, price) = if *bid {
                (Side::Bid, *price)
            } else {
                (Side::Ask, *price + 9)
            };
            id += rise;
            set(&mut book, &[(side, price, *qty)]);
            net.insert((side, price), *qty);
            truth.insert(id, book.clone());
        }
        let net: Vec<_> = net
            .iter()
            .map(|((side, price), qty)| (*side, *price, *qty))
            .collect();
        let event = diff(sequence_prev, id, &net);
        let reload = step.fault == Fault::Reload;
        match step.fault {
            Fault::Lose => {}
            Fault::Swap if held.is_none() => held = Some(event),
            Fault::Repeat => arrived.extend([(event.clone(), false), (event, false)]),
            Fault::Disconnect => arrived.extend([(disconnected(0), false), (event, false)]),
            Fault::None | Fault::Reload | Fault::Swap => {
                arrived.push((event, reload));
                arrived.extend(held.take().map(|late| (late, false)));
            }
        }
        if let Some(ago) = step.snapshot {
            let (id, levels) = truth
                .iter()
                .rev()
                .nth(ago.min(truth.len() - 1))
                .expect("an id");
            let levels: Vec<_> = levels
                .iter()
                .map(|((side, price), qty)| (*side, *price, *qty))
                .collect();
            arrived.push((snapshot(*id, &levels), false));
        }
    }
    (arrived, truth)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_joined_book_is_the_venues(steps in prop::collection::vec(step(), 1..80)) {
        let (arrived, truth) = feed(&steps);
        let (mut book, mut reference, mut newest) = (BookSync::new(), Reference::default(), 0);
        for (event, reload) in arrived {
            reference.apply(&event);
            newest = if event.kind == Kind::Status { 0 } else { newest.max(event.sequence) };
            let change = apply(&mut book, event);
            if reload {
                book = reloaded(&book);
            }
            prop_assert_eq!(book.state(), reference.state());
            prop_assert_eq!(book.pending(), reference.waiting.len());
            if let Some((levels, last)) = &reference.joined {
                prop_assert_eq!(*last, newest, "a joined book is at the newest id that came");
                prop_assert_eq!(levels, &truth[last]);
            }
            prop_assert_eq!(levels(&book), reference.joined.as_ref().map(|j| j.0.clone()).unwrap_or_default());
            prop_assert!(!(change.applied && change.superseded), "a message is applied or superseded");
            prop_assert!(change.gap().is_none() || change.state == BookState::Gap);
        }
    }

    #[test]
    fn corrupt_bytes_give_an_error_or_a_sound_book(
        steps in prop::collection::vec(step(), 1..20),
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut book = BookSync::new();
        for (event, _) in feed(&steps).0 {
            apply(&mut book, event);
        }
        let mut bytes = Vec::new();
        book.save(&mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert_eq!(BookSync::load(&mut &bytes[..cut], BookRule::RANGE, [9; 2], TapeFormat::NEWEST).err(), Some(LoadError::Truncated));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(book) = BookSync::load(&mut bytes.as_slice(), BookRule::RANGE, [9; 2], TapeFormat::NEWEST) {
            book.check_invariants();
        }
    }
}
