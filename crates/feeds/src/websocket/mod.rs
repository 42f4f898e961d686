//! A venue's WebSocket as a feed: subscribed by the venue's [`Script`], connected again when it is lost, with a whole book
//! fetched wherever the ids of depth messages say that one is needed.
//!
//! Everything runs on the thread that polls the feed. What is received is stamped with our clock when it is read from the
//! socket. A connection that was lost is said on the stream: each instrument is `disconnected`, then `connected`, so that
//! its book is `Building` until a new snapshot; nothing is asked of the venue by those who use the messages.

mod backoff;
mod depth_run;
mod frames;
mod options;
mod rest;
mod script;
mod session;
#[cfg(test)]
mod tests;
mod tls;
mod venues;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signal_event::{
    EventBatch, EventBatchBuilder, Header, InstrumentId, Instruments, Kind, NO_RULE, NO_SEQUENCE,
    NO_TIME, StatusCode, Timestamp,
};
use signal_ingest::Rejects;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, UnboundedSender, channel, unbounded_channel};

pub use options::{FRAME_BYTES_MAX, WebSocketOptions};
pub use rest::{Https, Rest, RestAnswer};
pub use script::{Address, Books, Heard, Heartbeat, Script, Stream};
pub use venues::SCRIPTS;

use crate::{Feed, FeedError, Notice, NoticeKind, Poll, Position, SourceRecord};
use backoff::Backoff;
use depth_run::{DepthRun, Need};
use frames::Frames;
use session::{Command, Item, Session};

/// Items between the session and the feed; beyond them the socket is not read.
const ITEMS_MAX: usize = 1_024;
/// Characters of what a venue says that are kept.
const WORDS_MAX: usize = 400;
/// Rows of a batch, about, where so much is there at once.
const BATCH_ROWS: usize = 8_192;

/// What a connection has gone through, for those who watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSocketCounts {
    /// Whether a connection stands.
    pub connected: bool,
    /// Connections that stood.
    pub connections: u64,
    /// Connections that were lost, and attempts that failed.
    pub losses: u64,
    /// Why the latest was lost; empty before.
    pub last_loss: String,
    /// Books that were asked for.
    pub books_asked: u64,
    /// Requests for them that were refused or failed.
    pub books_refused: u64,
    /// Why the latest was refused; empty before.
    pub last_refusal: String,
    /// Books that were older than the stream.
    pub books_stale: u64,
    /// Books that were asked for on the stream and did not come in time: they are asked for again.
    pub books_unanswered: u64,
    /// Breaks of the ids of depth messages.
    pub gaps: u64,
    /// Subscriptions that the venue took.
    pub subscriptions: u64,
    /// Requests over the WebSocket that it refused.
    pub subscriptions_refused: u64,
    /// Why the latest was refused, in the venue's words; empty before.
    pub last_subscription_refusal: String,
}

/// A venue's WebSocket.
///
/// Its position names the instruments that it has given: a feed that is opened there says first of each that it was
/// disconnected. What was sent meanwhile is gone.
pub struct WebSocketFeed {
    options: Arc<WebSocketOptions>,
    rest: Arc<dyn Rest>,
    running: Option<Running>,
    frames: Frames,
    /// One a symbol, and the ids of their instruments.
    runs: Vec<DepthRun>,
    ids: Vec<String>,
    /// The symbol of each instrument of the table.
    symbols: Vec<Option<usize>>,
    /// The table as JSON, for positions.
    listed: Arc<str>,
    ready: VecDeque<EventBatch>,
    pauses: Backoff,
    /// The instruments were said to be disconnected.
    disconnected: bool,
    counts: WebSocketCounts,
}

struct Running {
    /// `Some` until the feed is dropped.
    runtime: Option<Runtime>,
    items: Receiver<Item>,
    commands: UnboundedSender<Command>,
    connection: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A request by HTTP that is under way is left behind; it ends by itself.
            runtime.shutdown_background();
        }
    }
}

impl WebSocketFeed {
    /// A feed that is not connected yet, and asks for books by HTTPS. An error names the option that is wrong.
    pub fn new(options: WebSocketOptions) -> Result<WebSocketFeed, FeedError> {
        let rest = Https::new(options.ca.as_deref(), FRAME_BYTES_MAX as u64)?;
        WebSocketFeed::with_rest(options, Arc::new(rest))
    }

    /// A feed that asks for books by another client.
    pub fn with_rest(
        options: WebSocketOptions,
        rest: Arc<dyn Rest>,
    ) -> Result<WebSocketFeed, FeedError> {
        let endpoint = options.endpoint()?;
        tls::client(options.ca.as_deref())?;
        let on_stream = matches!(options.script.books, Books::Subscribed);
        let symbols = options.symbols.iter();
        Ok(WebSocketFeed {
            rest,
            running: None,
            frames: Frames::new(&endpoint.socket, &options),
            runs: symbols.clone().map(|_| DepthRun::new(on_stream)).collect(),
            ids: symbols
                .map(|symbol| (options.script.instrument)(symbol))
                .collect(),
            symbols: Vec::new(),
            listed: "[]".into(),
            ready: VecDeque::new(),
            pauses: options.backoff(u64::MAX),
            disconnected: false,
            counts: WebSocketCounts::default(),
            options: Arc::new(options),
        })
    }

    /// What the connection has gone through.
    pub fn counts(&self) -> WebSocketCounts {
        let sum = |of: fn(&DepthRun) -> u64| self.runs.iter().map(of).sum();
        WebSocketCounts {
            books_asked: sum(|run| run.requests),
            books_stale: sum(|run| run.stale),
            books_unanswered: sum(|run| run.unanswered),
            gaps: sum(|run| run.gaps),
            ..self.counts.clone()
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Connected { connection } => {
                if let Some(running) = &mut self.running {
                    running.connection = connection;
                }
                self.counts.connected = true;
                self.counts.connections = connection;
                if std::mem::take(&mut self.disconnected) {
                    self.say(StatusCode::Connected, (self.options.clock)());
                }
            }
            Item::Answered(Ok(())) => self.counts.subscriptions += 1,
            Item::Answered(Err(why)) => {
                self.counts.subscriptions_refused += 1;
                self.counts.last_subscription_refusal = why.chars().take(WORDS_MAX).collect();
            }
            Item::Frame { ts_recv, data } => self.frames.frame(ts_recv, &data, self.is_waiting()),
            Item::TooLong => self.frames.too_long(self.options.frame_bytes_max),
            Item::Book {
                ts_recv,
                symbol,
                url,
                body,
            } => {
                self.frames.book(ts_recv, url, &body);
                self.runs[symbol].answered();
                self.frames.settle(self.is_waiting());
            }
            Item::BookRefused { why, pause } => {
                self.counts.books_refused += 1;
                self.counts.last_refusal = format!("{why}; asked again in {pause:.1?}");
            }
            Item::Lost {
                ts_recv,
                why,
                pause,
            } => {
                self.frames.release();
                self.flush();
                self.runs.iter_mut().for_each(DepthRun::lost);
                self.counts.connected = false;
                self.counts.losses += 1;
                self.counts.last_loss = format!("{why}; next attempt in {pause:.1?}");
                if !std::mem::replace(&mut self.disconnected, true) {
                    self.say(StatusCode::Disconnected, ts_recv);
                }
            }
        }
    }

    /// Whether a book that was asked for is still to come, on a way of its own.
    fn is_waiting(&self) -> bool {
        let by_rest = matches!(self.options.script.books, Books::Rest { .. });
        by_rest && self.runs.iter().any(DepthRun::is_asked)
    }

    /// Makes batches of what has come, and asks for the books that are needed.
    fn flush(&mut self) {
        let batch = self.frames.take();
        if !batch.is_empty() {
            self.look(&batch);
            self.ready.push_back(batch);
        }
        if self.frames.is_holding() {
            return;
        }
        let Some(running) = &self.running else { return };
        if self.runs.iter().all(|run| run.tries == 0) {
            self.pauses.reset();
        }
        let (now, connection) = (Instant::now(), running.connection);
        for (symbol, run) in self.runs.iter_mut().enumerate() {
            let command = match run.needs(now, self.options.stale_after) {
                Need::Nothing => continue,
                // One that was too old is asked for again, but not at once.
                Need::Book => Command::Book {
                    connection,
                    symbol,
                    pause: match run.tries {
                        1 => Duration::ZERO,
                        _ => self.pauses.next(None),
                    },
                },
                Need::Connection => Command::Leave {
                    connection,
                    why: format!(
                        "depth of {} was subscribed again and no book came",
                        self.options.symbols[symbol]
                    ),
                },
            };
            // A session that has ended does nothing.
            let _ = running.commands.send(command);
        }
    }

    /// Takes note of the depth messages.
    fn look(&mut self, batch: &EventBatch) {
        if self.symbols.len() < batch.instruments().len() {
            self.listed = listed(batch.instruments(), &self.ids);
            for instrument in batch.instruments().iter().skip(self.symbols.len()) {
                self.symbols
                    .push(self.ids.iter().position(|id| *id == instrument.id));
            }
        }
        for message in batch.messages() {
            if matches!(
                message.kind,
                Kind::BookDiff | Kind::BookSnapshot | Kind::Order
            ) && let Some(Some(symbol)) = self.symbols.get(message.instrument.place())
            {
                self.runs[*symbol].see(&message);
            }
        }
    }

    /// Says of every instrument that is subscribed and known that its feed is up or down.
    fn say(&mut self, code: StatusCode, ts_recv: Timestamp) {
        self.flush();
        let ts_recv = self.frames.moment(ts_recv);
        let instruments = self.frames.instruments().clone();
        let mut builder = EventBatchBuilder::new();
        for (place, instrument) in instruments.iter().enumerate() {
            // A file of instruments may know thousands more.
            if self.ids.contains(&instrument.id) {
                builder.status(status_of(place, ts_recv), code, None);
            }
        }
        let batch = builder.finish(&instruments);
        if !batch.is_empty() {
            self.ready.push_back(batch);
        }
    }
}

/// The instruments that are subscribed, as JSON.
fn listed(known: &Instruments, ids: &[String]) -> Arc<str> {
    let subscribed = known
        .iter()
        .filter(|instrument| ids.contains(&instrument.id));
    match Instruments::of(subscribed.cloned()) {
        Ok(mut subscribed) => {
            subscribed.note(known);
            subscribed.to_json()
        }
        Err(_) => known.to_json(), // ids of a table differ, so that this does not occur
    }
}

fn status_of(place: usize, ts_recv: Timestamp) -> Header {
    Header {
        kind: Kind::Status,
        instrument: InstrumentId::at(place),
        ts_recv,
        ts_event: NO_TIME,
        sequence: NO_SEQUENCE,
        sequence_prev: NO_RULE,
    }
}

impl Feed for WebSocketFeed {
    fn open(&mut self, position: Option<&Position>) -> Result<(), FeedError> {
        if let Some(position) = position {
            let table = position.json()?["instruments"].to_string();
            let wrong = |error| FeedError::position(position.as_str(), error);
            let mut table = Instruments::from_json(&table).map_err(wrong)?;
            table.unite(&self.options.instruments, 0).map_err(wrong)?;
            self.listed = table.to_json();
            self.frames.know(table, position.number("ts_recv")?);
            self.disconnected = true;
            self.say(StatusCode::Disconnected, (self.options.clock)());
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(FeedError::io(self.frames.name(), "start a runtime for"))?;
        let (items_in, items) = channel(ITEMS_MAX);
        let (commands, commands_out) = unbounded_channel();
        let session = Session {
            endpoint: self.options.endpoint()?,
            tls: tls::client(self.options.ca.as_deref())?,
            options: self.options.clone(),
            rest: self.rest.clone(),
            items: items_in,
            commands: commands_out,
        };
        runtime.spawn(session.run());
        self.running = Some(Running {
            runtime: Some(runtime),
            items,
            commands,
            connection: 0,
        });
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Poll, FeedError> {
        if let Some(batch) = self.ready.pop_front() {
            return Ok(Poll::Batch(batch));
        }
        let first = match &mut self.running {
            Some(Running {
                runtime: Some(runtime),
                items,
                ..
            }) => {
                let next =
                    runtime.block_on(async { tokio::time::timeout(wait, items.recv()).await });
                next.ok().flatten()
            }
            _ => return Ok(Poll::End),
        };
        let mut item = first;
        while let Some(found) = item {
            self.take(found);
            let running = self
                .running
                .as_mut()
                .filter(|_| self.frames.rows() < BATCH_ROWS);
            item = running.and_then(|running| running.items.try_recv().ok());
        }
        self.flush();
        Ok(match self.ready.pop_front() {
            Some(batch) => Poll::Batch(batch),
            None => Poll::Idle {
                watermark: self.frames.watermark((self.options.clock)()),
            },
        })
    }

    fn position(&self) -> Position {
        let (ts_recv, instruments) = (self.frames.newest(), &self.listed);
        Position::new(format!(
            r#"{{"format":1,"ts_recv":{ts_recv},"instruments":{instruments}}}"#
        ))
    }

    fn rereads(&self) -> bool {
        false
    }

    fn records(&self) -> Vec<SourceRecord> {
        vec![self.frames.record()]
    }

    fn rejects(&self) -> Vec<(PathBuf, Rejects)> {
        vec![(
            self.frames.name().to_path_buf(),
            self.frames.rejects().clone(),
        )]
    }

    fn stats(&self) -> Value {
        let counts = self.counts();
        json!({"connection": {
            "connected": counts.connected,
            "connections": counts.connections,
            "losses": counts.losses,
            "last_loss": counts.last_loss,
            "books_asked": counts.books_asked,
            "books_refused": counts.books_refused,
            "last_refusal": counts.last_refusal,
            "books_stale": counts.books_stale,
            "books_unanswered": counts.books_unanswered,
            "gaps": counts.gaps,
            "subscriptions": counts.subscriptions,
            "subscriptions_refused": counts.subscriptions_refused,
            "last_subscription_refusal": counts.last_subscription_refusal,
        }})
    }

    fn notice(&mut self, notice: &Notice) {
        let wrong = matches!(
            notice.kind,
            NoticeKind::BookGap | NoticeKind::ChecksumMismatch
        );
        let symbol = self.ids.iter().position(|id| *id == notice.instrument);
        if let Some(symbol) = symbol.filter(|_| wrong) {
            self.runs[symbol].distrust(notice.ts_recv);
            self.flush();
        }
    }
}
