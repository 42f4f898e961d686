//! Several streams to one, in arrival order.

use std::ops::Range;
use std::sync::Arc;

use signal_event::{EventBatch, EventBatchBuilder, EventError, InstrumentId, Instruments};

/// Merges streams by `ts_recv`. Equal times keep the order of the sources, and a source keeps its own order, also where
/// its time goes backwards. So the result depends on the streams alone, not on how they were cut into batches.
///
/// The next rows come from the source with the least time, as many as stand before the second least: one scan over the
/// sources a run. Instruments are united as they appear.
///
/// Invariants: `heads[i].batch`, if there is one, has a row at `heads[i].row`, which begins a message.
#[derive(Debug)]
pub struct Merge {
    heads: Vec<Head>,
    instruments: Arc<Instruments>,
    builder: EventBatchBuilder,
}

#[derive(Debug, Default)]
struct Head {
    batch: Option<EventBatch>,
    row: usize,
    ended: bool,
    /// The new number of each instrument of `table`.
    renamed: Vec<InstrumentId>,
    table: Option<Arc<Instruments>>,
}

impl Merge {
    /// A merge of this many sources.
    pub fn new(sources: usize) -> Merge {
        Merge {
            heads: (0..sources).map(|_| Head::default()).collect(),
            instruments: Arc::default(),
            builder: EventBatchBuilder::new(),
        }
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// The next batch of at least `rows` rows, if the sources have as many; `None` when all have ended.
    ///
    /// `pull(i)` gives the next batch of source `i`, `None` at its end, after which it is not asked again.
    pub fn next<E: From<EventError>>(
        &mut self,
        rows: usize,
        mut pull: impl FnMut(usize) -> Result<Option<EventBatch>, E>,
    ) -> Result<Option<EventBatch>, E> {
        loop {
            for source in 0..self.heads.len() {
                while self.heads[source].batch.is_none() && !self.heads[source].ended {
                    self.fill(source, pull(source)?)?;
                }
            }
            let run = self.run();
            if let Some((source, rows)) = &run
                && let Some(batch) = &self.heads[*source].batch
            {
                self.builder
                    .extend(batch, rows.clone(), &self.heads[*source].renamed);
                self.advance(*source, rows.end);
            }
            if self.builder.len() >= rows.max(1) || run.is_none() {
                let batch = self.builder.finish(&self.instruments);
                self.builder.reserve(batch.len());
                return Ok(Some(batch).filter(|b| !b.is_empty()));
            }
        }
    }

    /// The source whose turn it is, and its rows up to where another's begins.
    fn run(&self) -> Option<(usize, Range<usize>)> {
        let mut first: Option<(i64, usize)> = None;
        let mut second: Option<(i64, usize)> = None;
        for (source, head) in self.heads.iter().enumerate() {
            let Some(batch) = &head.batch else { continue };
            let key = (batch.ts_recv()[head.row], source);
            if first.is_none_or(|least| key < least) {
                second = first;
                first = Some(key);
            } else if second.is_none_or(|least| key < least) {
                second = Some(key);
            }
        }
        let (_, source) = first?;
        let head = &self.heads[source];
        let times = &head.batch.as_ref()?.ts_recv()[head.row..];
        let len = match second {
            None => times.len(),
            Some((limit, other)) => {
                // At equal times the earlier source goes first.
                let limit = if source < other {
                    limit
                } else {
                    limit.saturating_sub(1)
                };
                times
                    .iter()
                    .position(|&ts| ts > limit)
                    .unwrap_or(times.len())
            }
        };
        Some((source, head.row..head.row + len.max(1)))
    }

    fn advance(&mut self, source: usize, row: usize) {
        let head = &mut self.heads[source];
        head.row = row;
        if head.batch.as_ref().is_some_and(|batch| row >= batch.len()) {
            head.batch = None;
        }
    }

    fn fill(&mut self, source: usize, batch: Option<EventBatch>) -> Result<(), EventError> {
        let head = &mut self.heads[source];
        let Some(batch) = batch else {
            head.ended = true;
            return Ok(());
        };
        if !head
            .table
            .as_ref()
            .is_some_and(|table| Arc::ptr_eq(table, batch.instruments()))
        {
            let known = head.renamed.len();
            let fresh = Arc::make_mut(&mut self.instruments).unite(batch.instruments(), known)?;
            head.renamed.extend(fresh);
            head.table = Some(batch.instruments().clone());
        }
        head.row = 0;
        head.batch = Some(batch).filter(|b| !b.is_empty());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use signal_event::{Header, Instrument, Kind, Message};

    /// A stream of diffs of one or more rows each, of one instrument.
    fn stream(name: &str, messages: &[(i64, usize)]) -> EventBatch {
        let mut builder = EventBatchBuilder::new();
        for (at, &(ts, rows)) in messages.iter().enumerate() {
            (0..rows).for_each(|row| builder.push_row(1, row as i64, at as i64));
            builder.close(Header {
                kind: Kind::BookDiff,
                instrument: InstrumentId(0),
                sequence: at as u64 + 1,
                ..Header::mark(ts)
            });
        }
        builder.finish(&Arc::new(Instruments::of([Instrument::new(name)]).unwrap()))
    }

    fn merged(streams: &[EventBatch], cut: usize, rows: usize) -> Vec<EventBatch> {
        let mut parts: Vec<_> = streams
            .iter()
            .map(|s| s.chunks(cut).collect::<Vec<_>>().into_iter())
            .collect();
        let mut merge = Merge::new(streams.len());
        std::iter::from_fn(|| {
            merge
                .next::<EventError>(rows, |source| Ok(parts[source].next()))
                .unwrap()
        })
        .collect()
    }

    fn line(message: &Message<'_>) -> (i64, String, u64, usize) {
        (
            message.ts_recv,
            message.instrument().unwrap().id.clone(),
            message.sequence,
            message.rows.len(),
        )
    }

    proptest! {
        /// The oracle: a stable sort by time, for streams whose time does not go backwards.
        #[test]
        fn is_a_stable_sort(
            streams in prop::collection::vec(prop::collection::vec((0i64..9, 1usize..4), 0..20), 1..5),
            cut in 1usize..6, rows in 1usize..9,
        ) {
            let names = ["A", "B", "C", "D", "E"];
            let streams: Vec<EventBatch> = streams.into_iter().zip(names).map(|(mut messages, name)| {
                messages.sort_by_key(|m| m.0);
                stream(name, &messages)
            }).collect();
            let mut expected: Vec<_> = streams.iter().flat_map(|s| s.messages().map(|m| line(&m)).collect::<Vec<_>>()).collect();
            expected.sort_by_key(|l| l.0);
            let batches = merged(&streams, cut, rows);
            let got: Vec<_> = batches.iter().flat_map(|b| b.messages().map(|m| line(&m)).collect::<Vec<_>>()).collect();
            prop_assert_eq!(got, expected);
            for batch in &batches {
                prop_assert_eq!(batch.check_invariants(), Ok(()));
            }
        }

        /// Where time goes backwards nothing is lost, and cutting differently changes nothing.
        #[test]
        fn does_not_depend_on_cuts(
            streams in prop::collection::vec(prop::collection::vec((0i64..9, 1usize..4), 0..20), 1..5),
            cut in 1usize..6,
        ) {
            let names = ["A", "B", "C", "D", "E"];
            let streams: Vec<EventBatch> = streams.iter().zip(names).map(|(messages, name)| stream(name, messages)).collect();
            let lines = |batches: Vec<EventBatch>| -> Vec<_> {
                batches.iter().flat_map(|b| b.messages().map(|m| line(&m)).collect::<Vec<_>>()).collect()
            };
            let whole = lines(merged(&streams, 1000, 1000));
            prop_assert_eq!(whole.len(), streams.iter().map(EventBatch::message_count).sum::<usize>());
            prop_assert_eq!(lines(merged(&streams, cut, 3)), whole);
        }
    }
}
