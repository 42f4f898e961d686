//! Older states of a stream that newer ones replace, where whoever reads a feed is behind.

use std::collections::HashMap;
use std::ops::Range;

use signal_event::{
    Event, EventBatch, EventBatchBuilder, Header, InstrumentId, Kind, Message, NO_RULE,
    NO_SEQUENCE, NO_TIME,
};

/// Whether two batches, one behind the other, can be made one: the instruments of the older have the same numbers in the newer.
pub fn are_alike(older: &EventBatch, newer: &EventBatch) -> bool {
    let (older, newer) = (older.instruments(), newer.instruments());
    std::sync::Arc::ptr_eq(older, newer)
        || (0..older.len()).all(|place| {
            let number = InstrumentId::at(place);
            older.get(number) == newer.get(number)
        })
}

/// Makes one batch of several that follow each other, in which a state of a stream stands once: the newest, in its own place.
/// The second number is how many messages were left out.
///
/// A state is a message that says all that there is to say: a quote, a snapshot of the book, reference data that tells
/// whatever the older one told. It is left out where a later one of its instrument and kind replaces it: one that is no
/// older by its receive time, its venue time and its id, with nothing between them that the older one matters to (a diff for
/// a snapshot, a status or a definition for any). Trades, diffs, orders and bars are never left out, and nothing changes
/// its place. Before each message that replaced others stands a status `conflated` that says how many.
///
/// Each two neighbours are alike ([`are_alike`]).
pub fn conflate(batches: &[EventBatch]) -> (EventBatch, u64) {
    let Some(last) = batches.last() else {
        return (EventBatch::empty(Default::default()), 0);
    };
    let messages: Vec<Message<'_>> = batches.iter().flat_map(EventBatch::messages).collect();
    let (replaced, left_out) = replaced(&messages);
    if left_out == 0
        && let [one] = batches
    {
        return (one.clone(), 0);
    }
    let mut builder = EventBatchBuilder::with_capacity(batches.iter().map(EventBatch::len).sum());
    let mut run: Option<(&EventBatch, Range<usize>)> = None;
    for (message, fate) in messages.iter().zip(replaced) {
        let Fate::Stays { for_older } = fate else {
            continue;
        };
        if for_older > 0 {
            extend(&mut builder, run.take());
            let header = Header {
                ts_event: NO_TIME,
                sequence: NO_SEQUENCE,
                sequence_prev: NO_RULE,
                ..message.header()
            };
            builder.conflated(header, message.kind, for_older);
        }
        run = match run {
            Some((batch, rows))
                if std::ptr::eq(batch, message.batch) && rows.end == message.rows.start =>
            {
                Some((batch, rows.start..message.rows.end))
            }
            before => {
                extend(&mut builder, before);
                Some((message.batch, message.rows.clone()))
            }
        };
    }
    extend(&mut builder, run);
    (builder.finish(last.instruments()), left_out)
}

#[derive(Clone, Copy)]
enum Fate {
    /// It is given, in the place of so many older ones.
    Stays {
        for_older: u64,
    },
    LeftOut,
}

fn extend(builder: &mut EventBatchBuilder, run: Option<(&EventBatch, Range<usize>)>) {
    if let Some((batch, rows)) = run {
        builder.extend(batch, rows, &[]);
    }
}

/// What becomes of each message, and how many states are left out.
fn replaced(messages: &[Message<'_>]) -> (Vec<Fate>, u64) {
    let mut fates = vec![Fate::Stays { for_older: 0 }; messages.len()];
    let mut left_out = 0;
    // The next message of each stream that stays.
    let mut next: HashMap<(InstrumentId, Kind), usize> = HashMap::new();
    for (at, message) in messages.iter().enumerate().rev() {
        let stream = (message.instrument, message.kind);
        match message.kind {
            Kind::Quote | Kind::BookSnapshot | Kind::Reference => match next.get(&stream) {
                Some(&newer) if replaces(&messages[newer], message) => {
                    fates[at] = Fate::LeftOut;
                    left_out += 1;
                    add(&mut fates[newer], 1);
                }
                _ => {
                    next.insert(stream, at);
                }
            },
            Kind::BookDiff | Kind::Order => {
                next.remove(&(message.instrument, Kind::BookSnapshot));
            }
            Kind::Status => match message.conflated() {
                // What was left out before the message that it stands before.
                Some((kind, count)) => {
                    if let Some(&newer) = next.get(&(message.instrument, kind)) {
                        fates[at] = Fate::LeftOut;
                        add(&mut fates[newer], count);
                    }
                }
                None => next.clear(),
            },
            Kind::Definition => next.clear(),
            Kind::Trade | Kind::Bar | Kind::Mark => {}
        }
    }
    (fates, left_out)
}

fn add(fate: &mut Fate, count: u64) {
    if let Fate::Stays { for_older } = fate {
        *for_older += count;
    }
}

/// Whether nobody who has the newer one needs the older.
fn replaces(newer: &Message<'_>, older: &Message<'_>) -> bool {
    let by_id = newer.sequence > older.sequence
        || (newer.sequence == NO_SEQUENCE && older.sequence == NO_SEQUENCE);
    let by_time = newer.ts_recv >= older.ts_recv
        && (newer.ts_event >= older.ts_event)
        && (newer.ts_event == NO_TIME) == (older.ts_event == NO_TIME);
    by_id
        && (older.sequence == NO_SEQUENCE) == (newer.sequence == NO_SEQUENCE)
        && by_time
        && tells_as_much(newer, older)
}

fn tells_as_much(newer: &Message<'_>, older: &Message<'_>) -> bool {
    match (newer.event(), older.event()) {
        (Event::Reference(newer), Event::Reference(older)) => {
            older.iter().all(|(field, _)| newer.get(field).is_some())
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signal_event::{Instrument, Instruments, ReferenceField, Row, StatusCode};
    use std::sync::Arc;

    #[derive(Clone, Copy, Debug)]
    enum Told {
        Trade,
        Quote,
        Diff,
        Snapshot,
        /// Tells the mark price, and the index price too.
        Reference(bool),
        Lost,
    }

    /// Of instrument `i`, with this id, at this time.
    type One = (Told, u32, u64, i64);

    fn batch(messages: &[One]) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for &(told, i, sequence, ts) in messages {
            let header = |kind| Header {
                kind,
                instrument: InstrumentId(i),
                ts_recv: ts,
                ts_event: ts,
                sequence,
                sequence_prev: NO_RULE,
            };
            match told {
                Told::Trade => builder.push(header(Kind::Trade), 1, ts, 1),
                Told::Quote => builder.push_pair(header(Kind::Quote), [(1, ts, 1), (2, ts + 1, 1)]),
                Told::Diff => builder.push(header(Kind::BookDiff), 1, ts, 1),
                Told::Snapshot => builder.push(header(Kind::BookSnapshot), 1, ts, 1),
                Told::Reference(both) => {
                    builder.push_more(Row::reference(ReferenceField::MarkPrice, ts));
                    if both {
                        builder.push_more(Row::reference(ReferenceField::IndexPrice, ts));
                    }
                    builder.close(header(Kind::Reference));
                }
                Told::Lost => builder.status(header(Kind::Status), StatusCode::Disconnected, None),
            }
        }
        let names = ["A.X", "B.X"].map(Instrument::new);
        builder.finish(&Arc::new(Instruments::of(names).unwrap()))
    }

    /// Kind, instrument and time of each message; of what was left out the kind and how many.
    fn lines(batch: &EventBatch) -> Vec<String> {
        let line = |m: Message<'_>| match m.conflated() {
            Some((kind, count)) => format!("{} {count} left out", kind.name()),
            None => format!("{} {} {}", m.kind.name(), m.instrument.0, m.ts_recv),
        };
        batch.messages().map(line).collect()
    }

    fn newest(messages: &[One]) -> Vec<String> {
        lines(&conflate(&[batch(messages)]).0)
    }

    #[test]
    fn the_newest_state_stays_in_its_place_and_what_is_no_state_stays() {
        use Told::{Quote, Trade};
        let first = batch(&[(Quote, 0, 1, 1), (Trade, 0, 1, 2), (Quote, 1, 1, 3)]);
        let later = batch(&[(Quote, 0, 2, 4), (Trade, 0, 2, 5), (Quote, 0, 3, 6)]);
        let (found, left_out) = conflate(&[first, later]);
        let expected = [
            "trade 0 2",
            "quote 1 3",
            "trade 0 5",
            "quote 2 left out",
            "quote 0 6",
        ];
        assert_eq!(
            (lines(&found), left_out),
            (expected.map(str::to_string).into(), 2)
        );
        assert_eq!(found.check_invariants(), Ok(()));
    }

    #[test]
    fn what_is_older_by_id_or_time_replaces_nothing() {
        use Told::Quote;
        let whole = |ids: [u64; 2], times: [i64; 2]| {
            let found = newest(&[(Quote, 0, ids[0], times[0]), (Quote, 0, ids[1], times[1])]);
            found.iter().all(|line| !line.ends_with("left out"))
        };
        assert!(!whole([4, 5], [7, 7]));
        assert!(!whole([NO_SEQUENCE, NO_SEQUENCE], [7, 8]));
        assert!(whole([5, 5], [7, 8]), "a repeat");
        assert!(whole([5, 4], [7, 8]), "an older one that came late");
        assert!(whole([4, 5], [8, 7]), "a time that goes back");
        assert!(
            whole([4, NO_SEQUENCE], [7, 8]),
            "ids that cannot be compared"
        );
    }

    #[test]
    fn whatever_an_older_state_matters_to_keeps_it() {
        use Told::{Diff, Lost, Quote, Reference, Snapshot, Trade};
        let kept = |between: Option<Told>, state: Told, newer: Told| {
            let mut all = vec![(state, 0, 1, 1)];
            all.extend(between.map(|told| (told, 0, 2, 2)));
            all.push((newer, 0, 3, 3));
            newest(&all).iter().any(|line| line.ends_with(" 0 1"))
        };
        assert!(!kept(Some(Trade), Snapshot, Snapshot));
        assert!(kept(Some(Diff), Snapshot, Snapshot), "the diff is of it");
        assert!(!kept(Some(Diff), Quote, Quote));
        assert!(kept(Some(Lost), Quote, Quote));
        assert!(!kept(None, Reference(false), Reference(true)));
        assert!(
            kept(None, Reference(true), Reference(false)),
            "it tells more"
        );
        assert!(kept(None, Quote, Snapshot), "of another kind");
    }

    #[test]
    fn instruments_under_other_numbers_are_not_alike() {
        let named = |names: &[&str]| {
            let names = names.iter().map(|name| Instrument::new(*name));
            EventBatch::empty(Arc::new(Instruments::of(names).unwrap()))
        };
        assert!(are_alike(&named(&["A.X"]), &named(&["A.X", "B.X"])));
        assert!(!are_alike(&named(&["A.X", "B.X"]), &named(&["A.X"])));
        assert!(!are_alike(&named(&["A.X"]), &named(&["B.X", "A.X"])));
    }

    fn one() -> impl Strategy<Value = (Told, u32, u64, i64)> {
        let told = prop_oneof![
            3 => Just(Told::Quote), 2 => Just(Told::Trade), 1 => Just(Told::Diff), 2 => Just(Told::Snapshot),
            1 => any::<bool>().prop_map(Told::Reference), 1 => Just(Told::Lost),
        ];
        (told, 0u32..2, 0u64..2, 0i64..3)
    }

    proptest! {
        /// Nothing is added, moved or lost uncounted, the last of each stream stays, and it does not matter in how many steps
        /// it is done.
        #[test]
        fn states_are_left_out_and_nothing_else(
            steps in prop::collection::vec(prop::collection::vec(one(), 0..12), 1..4),
        ) {
            // Ids and times mostly rise.
            let mut n = 0;
            let steps: Vec<EventBatch> = steps.iter().map(|step| {
                let step: Vec<One> = step.iter().map(|&(told, i, id, ts)| { n += 1; (told, i, id * (n as u64), n + ts) }).collect();
                batch(&step)
            }).collect();
            let (found, left_out) = conflate(&steps);
            prop_assert_eq!(found.check_invariants(), Ok(()));
            let all: Vec<String> = steps.iter().flat_map(lines).collect();
            let told: u64 = found.messages().filter_map(|m| m.conflated()).map(|(_, count)| count).sum();
            let kept: Vec<String> = lines(&found).into_iter().filter(|line| !line.ends_with("left out")).collect();
            prop_assert_eq!((told, kept.len() as u64 + told), (left_out, all.len() as u64));
            let mut rest = all.iter();
            prop_assert!(kept.iter().all(|line| rest.any(|each| each == line)), "{:?} are not in the order of {:?}", kept, all);
            let stream = |line: &String| line.rsplit_once(' ').map(|(stream, _)| stream.to_string());
            for last in all.iter().rev().take(1) {
                prop_assert_eq!(kept.last(), Some(last));
            }
            let fixed = |line: &&String| line.starts_with("trade") || line.starts_with("book_diff") || line.starts_with("status");
            prop_assert!(all.iter().filter(fixed).eq(kept.iter().filter(fixed)));
            for each in &all {
                let of = |lines: &[String]| lines.iter().rev().find(|line| stream(line) == stream(each)).cloned();
                prop_assert_eq!(of(&kept), of(&all));
            }
            let in_steps = steps.iter().cloned().reduce(|before, next| conflate(&[before, next]).0).unwrap();
            let in_steps = conflate(&[in_steps]).0;
            prop_assert_eq!(lines(&in_steps), lines(&found));
        }
    }
}
