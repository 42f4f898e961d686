//! Any number of feeds as one, in arrival order.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_event::{Timestamp, flags};
use signal_ingest::{Merge, MergeStep, Rejects};

use crate::cursor::{Cursor, Found, Located};
use crate::{Feed, FeedError, Notice, Poll, Position, SourceRecord};

/// Rows of a merged batch, about.
const BATCH_ROWS: usize = 8_192;

/// Rows that may wait of one feed; a batch that alone has more passes.
const WAITING_ROWS: usize = 65_536;

/// A poll never waits longer.
const PATIENCE_MAX: Duration = Duration::from_secs(3_600);

/// How long a feed is waited for at a time, in its thread: so old is what it promises at most.
const WAIT: Duration = Duration::from_millis(5);

/// Merges feeds by `ts_recv`, each read by a thread of its own. Equal times keep the order of the feeds. Where every feed says
/// how far it has come, by messages, promises or its end, the merged stream depends on their messages alone.
///
/// A feed that is idle is waited for as long as the `patience` after its last message or promise: then the others continue
/// without it, and what it gives later goes on at once, behind messages that may be newer. A feed that is never idle, as files
/// are, is always waited for.
///
/// The position is that of each feed: `{"feeds":["{\"messages\":12}","+3 {\"messages\":40}"]}`; empty where none has one. A feed that cannot
/// be resumed begins anew beside the others.
pub struct FanIn {
    unopened: Vec<Box<dyn Feed>>,
    inputs: Vec<Input>,
    merge: Merge,
    patience: Duration,
    shared: Arc<Shared>,
    failed: bool,
    rereads: bool,
}

/// What the merge knows of one feed.
struct Input {
    located: Option<Located>,
    /// Rows of `located` that went on, and the messages in them.
    rows: usize,
    messages: usize,
    /// Behind what went on.
    position: Position,
    state: InputState,
    thread: Option<JoinHandle<()>>,
}

enum InputState {
    /// It is waited for.
    Speaks,
    /// It was idle for longer than the patience.
    Quiet,
    Ended,
    /// It is waited for until its turn comes: what stands before the failure goes on first.
    Failed(FeedError),
}

#[derive(Default)]
struct Shared {
    talk: Mutex<Talk>,
    changed: Condvar,
}

#[derive(Default)]
struct Talk {
    said: Vec<Said>,
    stopping: bool,
}

/// What one feed said that the merge has not heard.
#[derive(Default)]
struct Said {
    words: VecDeque<Word>,
    rows: usize,
    /// Since when it has given neither messages nor a new promise; `None` while it is not idle.
    idle: Option<Instant>,
    promised: Option<Timestamp>,
    records: Vec<SourceRecord>,
    rejects: Vec<(PathBuf, Rejects)>,
    stats: Value,
    notices: Vec<Notice>,
    written: Option<Position>,
}

impl Said {
    /// Lines, messages and refusals of the feed, and what else it wants known.
    fn figures(&self) -> Value {
        let sum = |of: fn(&SourceRecord) -> u64| self.records.iter().map(of).sum::<u64>();
        let mut refused: BTreeMap<&str, u64> = BTreeMap::new();
        for (code, count) in self.records.iter().flat_map(|record| &record.rejects) {
            *refused.entry(code).or_default() += count;
        }
        let mut figures = json!({
            "lines": sum(|record| record.inputs),
            "messages": sum(|record| record.messages),
            "refused": refused,
        });
        if let (Some(figures), Some(own)) = (figures.as_object_mut(), self.stats.as_object()) {
            figures.extend(own.clone());
        }
        figures
    }
}

#[allow(clippy::large_enum_variant)] // A box would be an allocation a batch to save a move.
enum Word {
    Batch(Located),
    Watermark(Timestamp),
    /// It stands elsewhere, although it gave nothing.
    Stands(Position),
    Ended,
    Failed(FeedError),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Talk> {
        // Nothing between a lock and its release can leave the talk half changed.
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, talk: MutexGuard<'a, Talk>, wait: Duration) -> MutexGuard<'a, Talk> {
        let waited = self.changed.wait_timeout(talk, wait);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl FanIn {
    /// These feeds, not opened. `patience` is how long messages are held back for a feed that is idle.
    pub fn new(feeds: Vec<Box<dyn Feed>>, patience: Duration) -> FanIn {
        FanIn {
            rereads: feeds.iter().all(|feed| feed.rereads()),
            merge: Merge::new(feeds.len()),
            unopened: feeds,
            inputs: Vec::new(),
            patience,
            shared: Arc::default(),
            failed: false,
        }
    }

    /// Hears what each feed said of which the merge has nothing left; `false` if none said anything.
    fn hear(&mut self) -> Result<bool, FeedError> {
        let mut heard = false;
        let mut talk = self.shared.lock();
        for (at, (input, said)) in self.inputs.iter_mut().zip(&mut talk.said).enumerate() {
            if self.merge.rows_taken(at).is_none() {
                input.went_on(None);
            }
            while input.hears()
                && let Some(word) = said.words.pop_front()
            {
                heard = true;
                if matches!(input.state, InputState::Quiet) {
                    input.state = InputState::Speaks;
                    self.merge.promise(at, Timestamp::MIN);
                }
                match word {
                    Word::Batch(located) => {
                        said.rows -= located.batch.len();
                        self.merge.push(at, located.batch.clone())?;
                        (input.rows, input.messages) = (0, 0);
                        input.located = Some(located);
                    }
                    Word::Watermark(ts) => self.merge.promise(at, ts),
                    Word::Stands(position) => input.position = position,
                    Word::Ended => {
                        self.merge.set_aside(at);
                        input.state = InputState::Ended;
                    }
                    Word::Failed(error) => input.state = InputState::Failed(error),
                }
            }
        }
        if heard {
            self.shared.changed.notify_all(); // there is room
        }
        Ok(heard)
    }

    /// Waits until a feed says something, not beyond `until`. The one that holds the others up, if there is one, is set aside when
    /// the patience with it ends.
    fn wait(&mut self, holds_up: Option<usize>, until: Instant) {
        let shared = self.shared.clone();
        let mut talk = shared.lock();
        loop {
            let mut words = self.inputs.iter().zip(&talk.said);
            if words.any(|(input, said)| input.hears() && !said.words.is_empty()) {
                return;
            }
            let now = Instant::now();
            let idle =
                holds_up.and_then(|at| Some((at, talk.said[at].idle?.checked_add(self.patience)?)));
            if let Some((at, ends)) = idle
                && ends <= now
            {
                self.merge.set_aside(at);
                self.inputs[at].state = InputState::Quiet;
                return;
            }
            let wake = idle.map_or(until, |(_, ends)| until.min(ends));
            let left = wake.saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            talk = shared.wait(talk, left);
        }
    }

    /// The rows that were merged; notes how far each feed went on.
    fn take(&mut self) -> Poll {
        for (at, input) in self.inputs.iter_mut().enumerate() {
            let taken = self.merge.rows_taken(at);
            input.went_on(taken);
        }
        Poll::Batch(self.merge.take())
    }

    fn all_ended(&self) -> bool {
        let ended = |input: &Input| matches!(input.state, InputState::Ended);
        self.inputs.iter().all(ended)
    }

    /// What everything that comes later is later than, where all are waited for.
    fn watermark(&self) -> Option<Timestamp> {
        let quiet = |input: &Input| matches!(input.state, InputState::Quiet);
        match self.inputs.iter().any(quiet) {
            true => None,
            false => self.merge.watermark(),
        }
    }
}

impl Input {
    fn new(position: Position, thread: JoinHandle<()>) -> Input {
        Input {
            located: None,
            rows: 0,
            messages: 0,
            position,
            state: InputState::Speaks,
            thread: Some(thread),
        }
    }

    /// Whether its next word is of use now.
    fn hears(&self) -> bool {
        let more = matches!(self.state, InputState::Speaks | InputState::Quiet);
        more && self.located.is_none()
    }

    /// Why it failed, once.
    fn fail(&mut self) -> Option<FeedError> {
        if !matches!(self.state, InputState::Failed(_)) {
            return None;
        }
        match std::mem::replace(&mut self.state, InputState::Ended) {
            InputState::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// So many rows of its batch went on, `None`: all.
    fn went_on(&mut self, taken: Option<usize>) {
        let Some(located) = &self.located else {
            return;
        };
        let rows = taken.unwrap_or(located.batch.len());
        let ends = located.batch.columns().flags[self.rows..rows].iter();
        self.messages += ends.map(|f| usize::from(f & flags::LAST)).sum::<usize>();
        self.rows = rows;
        if rows > 0 {
            self.position = located.position(self.messages, taken.is_none());
        }
        if taken.is_none() {
            self.located = None;
        }
    }
}

impl Drop for FanIn {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.changed.notify_all();
        for input in &mut self.inputs {
            if let Some(thread) = input.thread.take() {
                // A panic of the thread has been told already.
                let _ = thread.join();
            }
        }
    }
}

/// What a feed is to be told.
struct Told {
    notices: Vec<Notice>,
    written: Option<Position>,
    stopping: bool,
}

/// A feed's thread.
struct Reading {
    at: usize,
    cursor: Cursor,
    /// Where it stood when it last said so.
    stood: Position,
    shared: Arc<Shared>,
}

impl Reading {
    fn run(mut self) {
        let mut has_ended = false;
        loop {
            let told = self.wait_for_room(has_ended);
            for notice in &told.notices {
                self.cursor.feed().notice(notice);
            }
            if let Some(written) = told.written.filter(|own| !own.is_empty()) {
                self.cursor.feed().written(&written);
            }
            if told.stopping {
                return;
            }
            if !has_ended {
                let found = self.cursor.poll(WAIT);
                has_ended = !self.say(found);
            }
        }
    }

    /// Waits for room, or where the feed has ended until it is closed: what it gave may still be written.
    fn wait_for_room(&self, has_ended: bool) -> Told {
        let mut talk = self.shared.lock();
        while !talk.stopping && (has_ended || talk.said[self.at].rows >= WAITING_ROWS) {
            talk = self.shared.wait(talk, Duration::from_secs(1));
        }
        let stopping = talk.stopping;
        let said = &mut talk.said[self.at];
        Told {
            notices: std::mem::take(&mut said.notices),
            written: said.written.take(),
            stopping,
        }
    }

    /// Says what a poll found; `false` if there will be no more.
    fn say(&mut self, found: Result<Found, FeedError>) -> bool {
        match &found {
            Ok(Found::Batch(located)) => self.stood = located.behind().clone(),
            Ok(Found::Idle { .. }) if self.cursor.position() != self.stood => {
                self.stood = self.cursor.position();
                let stands = Word::Stands(self.stood.clone());
                self.shared.lock().said[self.at].words.push_back(stands);
            }
            _ => {}
        }
        let feed = self.cursor.feed();
        let (records, rejects, stats) = (feed.records(), feed.rejects(), feed.stats());
        let mut talk = self.shared.lock();
        let said = &mut talk.said[self.at];
        (said.records, said.rejects, said.stats) = (records, rejects, stats);
        let was_idle = said.idle.is_some();
        let words = said.words.len();
        match found {
            Ok(Found::Batch(located)) => {
                said.rows += located.batch.len();
                said.idle = None;
                said.words.push_back(Word::Batch(located));
            }
            Ok(Found::Idle { watermark }) => {
                if watermark > said.promised {
                    said.promised = watermark;
                    said.idle = Some(Instant::now());
                    if let Some(Word::Watermark(_)) = said.words.back() {
                        said.words.pop_back();
                    }
                    said.words.extend(watermark.map(Word::Watermark));
                } else {
                    said.idle.get_or_insert_with(Instant::now);
                }
            }
            Ok(Found::End) => said.words.push_back(Word::Ended),
            Err(error) => said.words.push_back(Word::Failed(error)),
        }
        let last = said.words.back();
        let goes_on = !matches!(last, Some(Word::Ended | Word::Failed(_)));
        if said.words.len() != words || said.idle.is_some() != was_idle {
            self.shared.changed.notify_all();
        }
        goes_on
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut talk = self.shared.lock();
            let failed = Word::Failed(FeedError::Panicked);
            talk.said[self.at].words.push_back(failed);
            self.shared.changed.notify_all();
        }
    }
}

/// The position of each of so many feeds.
fn positions_in(position: &Position, feeds: usize) -> Result<Vec<Position>, FeedError> {
    let text = position.json()?;
    let list = text["feeds"].as_array().filter(|list| list.len() == feeds);
    let of = |list: &Vec<Value>| -> Option<Vec<Position>> {
        list.iter()
            .map(|own| own.as_str().map(Position::new))
            .collect()
    };
    list.and_then(of).ok_or_else(|| {
        FeedError::position(
            position.as_str(),
            format!("those of {feeds} feeds were expected"),
        )
    })
}

impl Feed for FanIn {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        let feeds = std::mem::take(&mut self.unopened);
        let positions = match position {
            Some(position) => positions_in(position, feeds.len())?,
            None => vec![Position::default(); feeds.len()],
        };
        let opened = feeds.into_iter().zip(positions).map(|(feed, position)| {
            Cursor::open(
                feed,
                Some(&position).filter(|position| !position.is_empty()),
            )
        });
        let cursors = opened.collect::<Result<Vec<_>, _>>()?;
        let mut said = Vec::new();
        said.resize_with(cursors.len(), Said::default);
        self.shared.lock().said = said;
        for (at, cursor) in cursors.into_iter().enumerate() {
            let position = cursor.position();
            let reading = Reading {
                at,
                cursor,
                stood: position.clone(),
                shared: self.shared.clone(),
            };
            let name = format!("signal-feed-{at}");
            let thread = std::thread::Builder::new().name(name.clone());
            let thread = thread.spawn(move || reading.run());
            let thread = thread.map_err(FeedError::io(Path::new(&name), "start a thread"))?;
            self.inputs.push(Input::new(position, thread));
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        let now = Instant::now();
        let until = now.checked_add(wait).unwrap_or(now + PATIENCE_MAX);
        while !self.failed {
            let step = self.merge.advance(BATCH_ROWS);
            if step == MergeStep::Full {
                return Ok(self.take());
            }
            if self.hear()? {
                continue;
            }
            if self.merge.has_rows() {
                return Ok(self.take());
            }
            let wanted = match step {
                MergeStep::Wants(at) => Some(at),
                _ => None,
            };
            if let Some(error) = wanted.and_then(|at| self.inputs[at].fail()) {
                self.failed = true;
                return Err(error);
            }
            if self.all_ended() {
                return Ok(Poll::End);
            }
            if Instant::now() >= until {
                let watermark = self.watermark();
                return Ok(Poll::Idle { watermark });
            }
            let holds_up = wanted.filter(|_| self.merge.next_time().is_some());
            self.wait(holds_up, until);
        }
        Ok(Poll::End)
    }

    fn position(&self) -> Position {
        let positions = self.inputs.iter().map(|input| input.position.as_str());
        let positions: Vec<&str> = positions.collect();
        if positions.iter().all(|position| position.is_empty()) {
            return Position::default();
        }
        Position::new(json!({"feeds": positions}).to_string())
    }

    fn rereads(&self) -> bool {
        self.rereads
    }

    fn records(&self) -> Vec<SourceRecord> {
        let talk = self.shared.lock();
        let records = talk.said.iter().flat_map(|said| said.records.clone());
        records.collect()
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        let talk = self.shared.lock();
        let rejects = talk.said.iter().flat_map(|said| said.rejects.clone());
        rejects.collect()
    }

    fn stats(&self) -> Value {
        let talk = self.shared.lock();
        let figures: Vec<Value> = talk.said.iter().map(Said::figures).collect();
        json!({"feeds": figures})
    }

    fn notice(&mut self, notice: &Notice) {
        for said in &mut self.shared.lock().said {
            said.notices.push(notice.clone());
        }
    }

    fn written(&mut self, position: &Position) {
        let Ok(positions) = positions_in(position, self.inputs.len()) else {
            return;
        };
        for (said, own) in self.shared.lock().said.iter_mut().zip(positions) {
            // Within a batch it is the position before it that the feed knows.
            said.written = own.split().ok().map(|(own, _)| own);
        }
    }
}

#[cfg(test)]
mod tests;
