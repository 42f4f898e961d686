//! Several streams to one, in arrival order.

use std::ops::Range;
use std::sync::Arc;

use signal_event::{
    EventBatch, EventBatchBuilder, EventError, InstrumentId, Instruments, Timestamp,
};

/// Merges streams by `ts_recv`. Equal times keep the order of the inputs, and an input keeps its own order, also where
/// its time goes backwards. So the result depends on the streams alone, not on how they were cut into batches.
///
/// It is told what the inputs say, and says whose word it needs: a message goes on once every other input has a later one, has
/// ended, has promised that nothing up to that time will come ([`Merge::promise`]), or was set aside. The next rows come from the
/// input with the least time, as many as stand before the second least: one scan over the inputs a run. Runs are noted as pieces
/// that are copied at one stroke, many at a time, column by column. Instruments are united as they appear.
///
/// Invariants: `lanes` are the inputs that are waited for, in their order; a lane's key is the time of its input's next
/// message, or the least that it may have; `heads[i].batch`, if there is one, has a row at `heads[i].row`, which begins a message.
#[derive(Debug)]
pub struct Merge {
    heads: Vec<Head>,
    lanes: Vec<Lane>,
    instruments: Arc<Instruments>,
    builder: EventBatchBuilder,
    /// Rows of heads that are chosen and not written yet; none between calls.
    pieces: Vec<(usize, Range<usize>)>,
}

/// Rows that are looked at together for the end of a run, without a branch: few runs are longer.
const PIECE: usize = 8;

/// Rows of a run that is copied as a whole.
const LONG: usize = 64;

/// How far a merge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeStep {
    /// There are as many rows as were asked for.
    Full,
    /// Nothing more can be merged before this input has said something.
    Wants(usize),
    /// All inputs have ended, or were set aside.
    Done,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    key: Timestamp,
    input: usize,
}

#[derive(Debug, Default)]
struct Head {
    batch: Option<EventBatch>,
    row: usize,
    /// The new number of each instrument of `table`.
    renamed: Vec<InstrumentId>,
    /// All numbers are the same as before.
    keeps: bool,
    table: Option<Arc<Instruments>>,
}

impl Head {
    /// Its batch, and the new numbers of the batch's instruments where they are others.
    fn source(&self) -> Option<(&EventBatch, &[InstrumentId])> {
        let renamed = if self.keeps { &[][..] } else { &self.renamed };
        self.batch.as_ref().map(|batch| (batch, renamed))
    }
}

/// Where the run ends that begins at `start`: before the first later row whose time is beyond `limit`. The row at `start` is of
/// it in any case, its time being the least. The run is told piece by piece.
#[inline(always)]
fn end_of_run(
    times: &[Timestamp],
    start: usize,
    limit: Timestamp,
    mut piece: impl FnMut(Range<usize>),
) -> usize {
    let mut at = start;
    while at < start + LONG
        && let Some(next) = times[at..].first_chunk::<PIECE>()
    {
        // One bit a row, and one behind them.
        let later = (next.iter().rev()).fold(1u32, |bits, &ts| bits << 1 | u32::from(ts > limit));
        let count = later.trailing_zeros() as usize;
        if count < PIECE {
            let count = count.max(usize::from(at == start));
            piece(at..at + count);
            return at + count;
        }
        piece(at..at + PIECE);
        at += PIECE;
    }
    let later = times[at..].iter().position(|&ts| ts > limit);
    let rows = later.unwrap_or(times.len() - at);
    let end = at + rows.max(usize::from(at == start));
    piece(at..end);
    end
}

impl Merge {
    /// A merge of this many inputs, all of which are waited for.
    pub fn new(inputs: usize) -> Merge {
        let lane = |input| Lane {
            key: Timestamp::MIN,
            input,
        };
        Merge {
            heads: (0..inputs).map(|_| Head::default()).collect(),
            lanes: (0..inputs).map(lane).collect(),
            instruments: Arc::default(),
            builder: EventBatchBuilder::new(),
            pieces: Vec::new(),
        }
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// The next messages of an input that has none left.
    pub fn push(&mut self, input: usize, batch: EventBatch) -> Result<(), EventError> {
        let head = &mut self.heads[input];
        debug_assert!(head.batch.is_none(), "input {input} has a batch");
        let Some(&first) = batch.ts_recv().first() else {
            return Ok(());
        };
        let same = |table| Arc::ptr_eq(table, batch.instruments());
        if !head.table.as_ref().is_some_and(same) {
            let known = head.renamed.len();
            let fresh = Arc::make_mut(&mut self.instruments).unite(batch.instruments(), known)?;
            head.renamed.extend(fresh);
            let keeps = |(old, new): (usize, &InstrumentId)| InstrumentId::at(old) == *new;
            head.keeps = head.renamed.iter().enumerate().all(keeps);
            head.table = Some(batch.instruments().clone());
        }
        head.row = 0;
        head.batch = Some(batch);
        self.set_key(input, first);
        Ok(())
    }

    /// Every message of this input that comes later is later than `watermark`.
    pub fn promise(&mut self, input: usize, watermark: Timestamp) {
        if self.heads[input].batch.is_none() {
            self.set_key(input, watermark.saturating_add(1));
        }
    }

    /// An input that has none left has ended, or is not waited for until it says something.
    pub fn set_aside(&mut self, input: usize) {
        if self.heads[input].batch.is_none() {
            self.lanes.retain(|lane| lane.input != input);
        }
    }

    /// Merges up to at least `rows` rows, if the inputs have as many.
    pub fn advance(&mut self, rows: usize) -> MergeStep {
        let mut waiting = 0;
        while self.builder.len() + waiting < rows.max(1) {
            let Some((at, limit)) = self.turn() else {
                self.write();
                return MergeStep::Done;
            };
            let Lane { input, .. } = self.lanes[at];
            let head = &mut self.heads[input];
            let Some(batch) = &head.batch else {
                self.write();
                return MergeStep::Wants(input);
            };
            let times = batch.ts_recv();
            let end = end_of_run(times, head.row, limit, |rows| {
                self.pieces.push((input, rows));
            });
            waiting += end - head.row;
            head.row = end;
            self.lanes[at].key = match times.get(end) {
                Some(&ts) => ts,
                None => {
                    self.write();
                    waiting = 0;
                    self.heads[input].batch = None;
                    Timestamp::MIN // until it says more
                }
            };
        }
        self.write();
        MergeStep::Full
    }

    /// Writes the pieces that were chosen: many at once, so that each column is written in one go.
    fn write(&mut self) {
        if self.pieces.is_empty() {
            return;
        }
        let batches: Vec<_> = self.heads.iter().map(Head::source).collect();
        self.builder.extend_pieces(&batches, &self.pieces);
        self.pieces.clear();
    }

    /// The rows that were merged.
    pub fn take(&mut self) -> EventBatch {
        let batch = self.builder.finish(&self.instruments);
        // The last run of a batch goes beyond what was asked for.
        self.builder.reserve(batch.len() + LONG);
        batch
    }

    /// Whether rows were merged and not taken.
    pub fn has_rows(&self) -> bool {
        !self.builder.is_empty()
    }

    /// How many rows of its batch were merged, of an input that has some left.
    pub fn rows_taken(&self, input: usize) -> Option<usize> {
        let head = &self.heads[input];
        head.batch.as_ref().map(|_| head.row)
    }

    /// Time of the next message that could go on; `None` where there is none.
    pub fn next_time(&self) -> Option<Timestamp> {
        let has = |lane: &&Lane| self.heads[lane.input].batch.is_some();
        self.lanes.iter().filter(has).map(|lane| lane.key).min()
    }

    /// Every message that is merged later is later than this, if the inputs that were set aside have ended.
    pub fn watermark(&self) -> Option<Timestamp> {
        let key = self.lanes.iter().map(|lane| lane.key).min()?;
        key.checked_sub(1)
    }

    fn set_key(&mut self, input: usize, key: Timestamp) {
        match self.lanes.binary_search_by_key(&input, |lane| lane.input) {
            Ok(at) => self.lanes[at].key = key,
            Err(at) => self.lanes.insert(at, Lane { key, input }),
        }
    }

    /// The lane whose turn it is, and the time up to which it goes on: at equal times the earlier input goes first.
    #[inline]
    fn turn(&self) -> Option<(usize, Timestamp)> {
        let (mut at, mut least) = (0, self.lanes.first()?.key);
        let (mut next, mut second) = (usize::MAX, Timestamp::MAX);
        // Nobody can foresee whose turn it is: each lane takes the same steps, without a branch.
        for (i, lane) in self.lanes.iter().enumerate().skip(1) {
            let wins = lane.key < least;
            let (loser, loser_key) = if wins { (at, least) } else { (i, lane.key) };
            let nearer = (loser_key < second) | (next == usize::MAX);
            next = if nearer { loser } else { next };
            second = if nearer { loser_key } else { second };
            at = if wins { i } else { at };
            least = if wins { lane.key } else { least };
        }
        let limit = match next {
            usize::MAX => Timestamp::MAX,
            next => second.saturating_sub(Timestamp::from(at > next)),
        };
        Some((at, limit))
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
        let mut merged = Vec::new();
        loop {
            match merge.advance(rows) {
                MergeStep::Wants(input) => match parts[input].next() {
                    Some(batch) => merge.push(input, batch).unwrap(),
                    None => merge.set_aside(input),
                },
                MergeStep::Full => merged.push(merge.take()),
                MergeStep::Done => {
                    merged.extend(Some(merge.take()).filter(|batch| !batch.is_empty()));
                    return merged;
                }
            }
        }
    }

    fn line(message: &Message<'_>) -> (i64, String, u64, usize) {
        (
            message.ts_recv,
            message.instrument().unwrap().id.clone(),
            message.sequence,
            message.rows.len(),
        )
    }

    fn times(batch: &EventBatch) -> Vec<i64> {
        batch.messages().map(|message| message.ts_recv).collect()
    }

    #[test]
    fn a_promise_lets_go_on_what_stands_before_it() {
        let mut merge = Merge::new(2);
        assert_eq!(merge.advance(99), MergeStep::Wants(0));
        merge
            .push(0, stream("A", &[(1, 1), (5, 2), (9, 1)]))
            .unwrap();
        assert_eq!(merge.advance(99), MergeStep::Wants(1));
        assert_eq!((merge.next_time(), merge.watermark()), (Some(1), None));
        merge.promise(1, 4);
        assert_eq!(merge.advance(99), MergeStep::Wants(1));
        assert_eq!(
            times(&merge.take()),
            [1, 5],
            "at 5 the first input comes first"
        );
        assert_eq!(merge.rows_taken(0), Some(3));
        merge.promise(1, 8);
        assert_eq!(
            (merge.advance(99), merge.has_rows()),
            (MergeStep::Wants(0), true)
        );
        assert_eq!(times(&merge.take()), [9]);
        assert_eq!(merge.rows_taken(0), None);
        assert_eq!((merge.next_time(), merge.watermark()), (None, None));
        merge.promise(0, 20);
        assert_eq!(merge.watermark(), Some(8));
    }

    #[test]
    fn who_was_set_aside_is_waited_for_again_once_it_has_spoken() {
        let mut merge = Merge::new(2);
        merge.push(1, stream("B", &[(7, 1)])).unwrap();
        assert_eq!(merge.advance(9), MergeStep::Wants(0));
        merge.set_aside(0);
        assert_eq!(merge.advance(9), MergeStep::Wants(1));
        assert_eq!(times(&merge.take()), [7]);
        merge.push(0, stream("A", &[(3, 1), (8, 1)])).unwrap();
        merge.push(1, stream("B", &[(7, 1), (9, 1)])).unwrap();
        assert_eq!(merge.advance(9), MergeStep::Wants(0));
        assert_eq!(
            times(&merge.take()),
            [3, 7, 8],
            "what comes late goes on at once"
        );
        merge.set_aside(0);
        merge.set_aside(1);
        assert_eq!(
            merge.advance(9),
            MergeStep::Wants(1),
            "it has messages left"
        );
        merge.set_aside(1);
        assert_eq!(merge.advance(9), MergeStep::Done);
        assert_eq!(times(&merge.take()), [9]);
    }

    /// Rows of a message: some have more than are copied at a time, or than are looked through for the end of a run.
    fn rows() -> impl Strategy<Value = usize> {
        prop_oneof![8 => 1usize..4, 1 => 5usize..20, 1 => LONG - 2..2 * LONG]
    }

    proptest! {
        /// The oracle: a stable sort by time, for streams whose time does not go backwards.
        #[test]
        fn is_a_stable_sort(
            streams in prop::collection::vec(prop::collection::vec((0i64..9, rows()), 0..20), 1..5),
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
            streams in prop::collection::vec(prop::collection::vec((0i64..9, rows()), 0..20), 1..5),
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
