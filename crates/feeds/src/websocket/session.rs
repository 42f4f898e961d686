//! The connection to a venue: made, kept alive, lost and made again, with what is asked by HTTP beside it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use signal_event::Timestamp;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::backoff::Backoff;
use super::frames::split_stamp;
use super::options::{Endpoint, WebSocketOptions, is_trusted};
use super::rest::{Rest, RestAnswer, seconds};
use super::script::{Address, Books, Heard, Stream};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a connection may take to be made, its handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Requests by HTTP at the same time.
const REQUESTS_MAX: usize = 4;

/// What a session gives, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Item {
    /// A connection stands, and its streams are being subscribed. They are numbered from 1.
    Connected { connection: u64 },
    /// The venue took a subscription, or refused what it was asked, for a reason.
    Answered(Result<(), String>),
    /// A frame of it.
    Frame { ts_recv: Timestamp, data: Bytes },
    /// A frame that is longer than the bound; the connection is lost.
    TooLong,
    /// The connection was lost, or none could be made; the next attempt comes after the pause.
    Lost {
        ts_recv: Timestamp,
        why: String,
        pause: Duration,
    },
    /// A whole book by HTTP, of the symbol with this number.
    Book {
        ts_recv: Timestamp,
        symbol: usize,
        url: String,
        body: Vec<u8>,
    },
    /// A request for a book was refused or failed; it is asked for again after the pause.
    BookRefused { why: String, pause: Duration },
}

/// What a session is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Ask for the whole book of the symbol with this number, after a pause. Means nothing to another connection.
    Book {
        connection: u64,
        symbol: usize,
        pause: Duration,
    },
    /// Give this connection up for a reason, and make another.
    Leave { connection: u64, why: String },
}

/// Why there is no connection, and how long the venue wants to be left alone.
struct Lost {
    why: String,
    asked: Option<Duration>,
}

impl Lost {
    fn because(why: impl ToString) -> Lost {
        Lost {
            why: why.to_string(),
            asked: None,
        }
    }

    fn error(error: &Error) -> Lost {
        match error {
            Error::Http(response) => Lost {
                why: format!(
                    "the venue answered the handshake with HTTP {}",
                    response.status().as_u16()
                ),
                asked: response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| seconds(value.as_bytes())),
            },
            error => Lost::because(error),
        }
    }
}

/// What runs on the feed's own thread while it is polled.
pub(super) struct Session {
    pub(super) options: Arc<WebSocketOptions>,
    pub(super) endpoint: Endpoint,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) rest: Arc<dyn Rest>,
    pub(super) items: Sender<Item>,
    pub(super) commands: UnboundedReceiver<Command>,
}

impl Session {
    /// Connects, listens and connects again, until nobody takes what it gives.
    pub(super) async fn run(mut self) {
        let mut backoff = self.options.backoff(0);
        let clock = self.options.clock;
        let mut connection = 0;
        while !self.items.is_closed() {
            let begun = Instant::now();
            let lost = match self.connect().await {
                Ok(socket) => {
                    connection += 1;
                    self.listen(socket, connection).await
                }
                Err(lost) => lost,
            };
            // Only a connection that held tells that the next attempt need not be slow.
            if begun.elapsed() >= self.options.reconnect_most {
                backoff.reset();
            }
            let pause = backoff.next(lost.asked);
            let (ts_recv, why) = (clock(), lost.why);
            if self
                .items
                .send(Item::Lost {
                    ts_recv,
                    why,
                    pause,
                })
                .await
                .is_err()
            {
                return;
            }
            sleep(pause).await;
        }
    }

    async fn connect(&self) -> Result<Socket, Lost> {
        let socket = match self.options.script.address {
            Address::Path(_) => self.endpoint.socket.clone(),
            Address::Asked { path, read } => self.ask_address(path, read).await?,
        };
        let bound = Some(self.options.frame_bytes_max);
        let config = WebSocketConfig::default()
            .max_message_size(bound)
            .max_frame_size(bound);
        let tls = Connector::Rustls(self.tls.clone());
        let attempt = connect_async_tls_with_config(socket, Some(config), true, Some(tls));
        match timeout(CONNECT_MAX, attempt).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(Lost::error(&error)),
            Err(_) => Err(Lost::because(format!(
                "no connection within {CONNECT_MAX:?}"
            ))),
        }
    }

    /// Where the venue says that its WebSocket is, this time. What it says may hold a token, and is shown to nobody.
    async fn ask_address(
        &self,
        path: &str,
        read: fn(&[u8]) -> Result<String, String>,
    ) -> Result<String, Lost> {
        let url = format!("{}{path}", self.endpoint.rest);
        let (client, asked) = (self.rest.clone(), url.clone());
        let answer = tokio::task::spawn_blocking(move || client.post(&asked)).await;
        let refused = |why: &str| Lost::because(format!("{url}: {why}"));
        let answer = match answer {
            Ok(answer) => answer.map_err(|why| refused(&why))?,
            Err(panic) => return Err(refused(&panic.to_string())),
        };
        if answer.status != 200 {
            return Err(Lost {
                asked: answer.retry_after,
                ..refused(&format!("HTTP {}", answer.status))
            });
        }
        let body = match self.options.stamped {
            true => split_stamp(&answer.body).1,
            false => &answer.body,
        };
        let socket = read(body).map_err(|why| refused(&why))?;
        match is_trusted(&socket) {
            true => Ok(socket),
            false => Err(refused("it names a WebSocket without TLS")),
        }
    }

    /// Subscribes, and gives what comes until the connection is lost.
    async fn listen(&mut self, mut socket: Socket, connection: u64) -> Lost {
        let options = self.options.clone();
        let script = options.script;
        let asked = (script.subscribe)(true, &options.symbols, &options.streams);
        let mut outbox = Outbox::new(script.pause, asked);
        if let Err(lost) = outbox.send_next(&mut socket).await {
            return lost;
        }
        if self
            .items
            .send(Item::Connected { connection })
            .await
            .is_err()
        {
            return Lost::because("nobody listens");
        }
        let mut requests = Requests::new(self);
        let mut heard = Instant::now();
        let silence = sleep_until(heard + options.stale_after);
        tokio::pin!(silence);
        let every = script.heartbeat.map(|beat| beat.every);
        let mut beats = tokio::time::interval(every.unwrap_or(Duration::from_secs(3_600)));
        beats.reset();
        loop {
            // What is asked for rarely stands first: a flood of frames is always ready.
            tokio::select! {
                biased;
                Some(command) = self.commands.recv() => match (command, script.books) {
                    (Command::Book { connection: meant, .. } | Command::Leave { connection: meant, .. }, _)
                        if meant != connection => {}
                    (Command::Leave { why, .. }, _) => return Lost::because(why),
                    (Command::Book { symbol, pause, .. }, Books::Rest { .. }) => requests.ask(symbol, pause),
                    (Command::Book { symbol, .. }, Books::Subscribed) => outbox.add(self.subscribe_again(symbol)),
                },
                () = sleep_until(outbox.due), if !outbox.texts.is_empty() => {
                    if let Err(lost) = outbox.send_next(&mut socket).await {
                        return lost;
                    }
                }
                _ = beats.tick(), if script.heartbeat.is_some() => {
                    let text = script.heartbeat.map_or("", |beat| beat.text);
                    if let Err(error) = socket.send(Message::text(text)).await {
                        return Lost::error(&error);
                    }
                }
                message = socket.next() => {
                    let ts_recv = (options.clock)();
                    let data: Bytes = match message {
                        Some(Ok(Message::Text(text))) => text.into(),
                        Some(Ok(Message::Binary(data))) => data,
                        Some(Ok(Message::Close(frame))) => {
                            let code = frame.map(|frame| format!(" with code {} {}", u16::from(frame.code), frame.reason));
                            let why = format!("the venue closed the connection{}", code.unwrap_or_default());
                            return Lost::because(why.trim_end());
                        }
                        // The library answers pings by itself.
                        Some(Ok(_)) => continue,
                        Some(Err(error @ Error::Capacity(_))) => {
                            let _ = self.items.send(Item::TooLong).await;
                            return Lost::error(&error);
                        }
                        Some(Err(error)) => return Lost::error(&error),
                        None => return Lost::because("the connection has ended"),
                    };
                    heard = Instant::now();
                    let text = if options.stamped { split_stamp(&data).1 } else { &data };
                    let answered = match (script.hear)(text) {
                        Heard::Data => None,
                        Heard::Alive => continue,
                        Heard::Accepted => Some(Ok(())),
                        Heard::Refused(why) => Some(Err(why)),
                        Heard::Asks(text) => {
                            if let Err(error) = socket.send(Message::text(text)).await {
                                return Lost::error(&error);
                            }
                            None
                        }
                    };
                    if let Some(answered) = answered
                        && self.items.send(Item::Answered(answered)).await.is_err()
                    {
                        return Lost::because("nobody listens");
                    }
                    if self.items.send(Item::Frame { ts_recv, data }).await.is_err() {
                        return Lost::because("nobody listens");
                    }
                }
                () = &mut silence => {
                    let due = heard + options.stale_after;
                    if due <= Instant::now() {
                        let age = options.stale_after;
                        return Lost::because(format!("no frame for {age:?} (stale_after)"));
                    }
                    silence.as_mut().reset(due);
                }
            }
        }
    }

    /// What makes the venue send a symbol's whole book.
    fn subscribe_again(&self, symbol: usize) -> Vec<String> {
        let symbols = &self.options.symbols[symbol..=symbol];
        let subscribe = |on| (self.options.script.subscribe)(on, symbols, &[Stream::Depth]);
        [subscribe(false), subscribe(true)].concat()
    }
}

/// Messages that are to be sent, not faster than the venue takes them.
struct Outbox {
    texts: VecDeque<String>,
    pause: Duration,
    /// When the next may go.
    due: Instant,
}

impl Outbox {
    fn new(pause: Duration, texts: Vec<String>) -> Outbox {
        Outbox {
            texts: texts.into(),
            pause,
            due: Instant::now(),
        }
    }

    fn add(&mut self, texts: Vec<String>) {
        self.texts.extend(texts);
    }

    async fn send_next(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        let Some(text) = self.texts.pop_front() else {
            return Ok(());
        };
        self.due = Instant::now() + self.pause;
        let sent = socket.send(Message::text(text)).await;
        sent.map_err(|error| Lost::error(&error))
    }
}

/// Requests for books that are under way; they end with the connection.
struct Requests {
    tasks: JoinSet<()>,
    at_once: Arc<Semaphore>,
    options: Arc<WebSocketOptions>,
    base: String,
    rest: Arc<dyn Rest>,
    items: Sender<Item>,
}

impl Requests {
    fn new(session: &Session) -> Requests {
        Requests {
            tasks: JoinSet::new(),
            at_once: Arc::new(Semaphore::new(REQUESTS_MAX)),
            options: session.options.clone(),
            base: session.endpoint.rest.clone(),
            rest: session.rest.clone(),
            items: session.items.clone(),
        }
    }

    /// Asks for the book of a symbol until it is there.
    fn ask(&mut self, symbol: usize, pause: Duration) {
        let Books::Rest { path, .. } = self.options.script.books else {
            return;
        };
        while self.tasks.try_join_next().is_some() {}
        let url = format!("{}{}", self.base, path(&self.options.symbols[symbol]));
        let (clock, backoff) = (self.options.clock, self.options.backoff(1 + symbol as u64));
        let (rest, items, at_once) = (self.rest.clone(), self.items.clone(), self.at_once.clone());
        self.tasks.spawn(async move {
            sleep(pause).await;
            let Ok(_permit) = at_once.acquire().await else {
                return;
            };
            let body = fetch(&rest, &url, backoff, &items).await;
            if let Some(body) = body {
                let ts_recv = clock();
                let _ = items
                    .send(Item::Book {
                        ts_recv,
                        symbol,
                        url,
                        body,
                    })
                    .await;
            }
        });
    }
}

/// What lies at a URL, however often it has to be asked; `None` if nobody waits for it any more.
async fn fetch(
    rest: &Arc<dyn Rest>,
    url: &str,
    mut backoff: Backoff,
    items: &Sender<Item>,
) -> Option<Vec<u8>> {
    loop {
        let (client, asked) = (rest.clone(), url.to_string());
        let answer = tokio::task::spawn_blocking(move || client.get(&asked)).await;
        let (why, asked) = match answer {
            Ok(Ok(RestAnswer {
                status: 200, body, ..
            })) => return Some(body),
            Ok(Ok(answer)) => (format!("HTTP {}", answer.status), answer.retry_after),
            Ok(Err(why)) => (why, None),
            Err(panic) => (panic.to_string(), None),
        };
        let pause = backoff.next(asked);
        let why = format!("{url}: {why}");
        items.send(Item::BookRefused { why, pause }).await.ok()?;
        sleep(pause).await;
    }
}
