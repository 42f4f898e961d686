//! From a frame's sending to its typed event, over a socket of this machine, beside a bare loop that only reads frames.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_event::Kind;
use signal_feeds::websocket::{Script, WebSocketFeed, WebSocketOptions};
use signal_feeds::{Feed, Poll};
use tokio_tungstenite::tungstenite::{Message, accept, client};

use crate::measure::Figure;

const ROUNDS: usize = 3;
const FRAMES: usize = 4_000;
/// As far apart that no frame waits for another.
const APART: Duration = Duration::from_micros(400);
const PATIENCE: Duration = Duration::from_secs(20);

type Done<T> = Result<T, Box<dyn std::error::Error>>;

pub fn run() -> Done<()> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(latencies(bare_loop)?);
        ours.push(latencies(typed)?);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let least = |rounds: &[Vec<u64>]| {
            let at = |round: &Vec<u64>| round[(round.len() as f64 * share) as usize];
            rounds.iter().map(at).min().unwrap_or_default() as f64
        };
        Figure {
            work: &format!("WebSocket frame sent to typed event, {name}"),
            unit: "ns",
            value: least(&ours),
            peer: Some(("bare tungstenite read loop", least(&bare))),
        }
        .print();
    }
    Ok(())
}

/// When each frame was sent, in nanoseconds after the start.
struct Sent {
    start: Instant,
    at: Vec<AtomicU64>,
}

impl Sent {
    /// How old a frame is; frames are numbered from 1, as the trades in them are.
    fn age(&self, id: usize) -> u64 {
        let now = self.start.elapsed().as_nanos() as u64;
        let sent = self.at.get(id.wrapping_sub(1));
        now.saturating_sub(sent.map_or(now, |sent| sent.load(Ordering::Acquire)))
    }
}

/// Ages of all frames when `reader` has them, the least first.
fn latencies(reader: fn(&str, &Sent) -> Done<Vec<u64>>) -> Done<Vec<u64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}", listener.local_addr()?);
    let sent = Arc::new(Sent {
        start: Instant::now(),
        at: (0..FRAMES).map(|_| AtomicU64::new(0)).collect(),
    });
    let server = serve(listener, sent.clone());
    let mut ages = reader(&url, &sent)?;
    server.join().map_err(|_| "the server panicked")??;
    ages.sort_unstable();
    Ok(ages)
}

/// Sends the frames to the first who subscribes.
fn serve(listener: TcpListener, sent: Arc<Sent>) -> JoinHandle<Result<(), String>> {
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let mut socket = accept(stream).map_err(|error| error.to_string())?;
        socket.read().map_err(|error| error.to_string())?;
        let begun = Instant::now();
        for (n, at) in sent.at.iter().enumerate() {
            let due = APART * n as u32;
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let id = n + 1;
            let frame = format!(
                r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":1723161255208,"s":"BTCUSDT","t":{id},"p":"61837.64000000","q":"0.00100000","T":1723161255207,"m":true,"M":true}}}}"#
            );
            at.store(sent.start.elapsed().as_nanos() as u64, Ordering::Release);
            socket
                .send(Message::text(frame))
                .map_err(|error| error.to_string())?;
        }
        // Whoever has the last frame closes the connection.
        while socket.read().is_ok() {}
        Ok(())
    })
}

fn bare_loop(url: &str, sent: &Sent) -> Done<Vec<u64>> {
    let stream = TcpStream::connect(url.trim_start_matches("ws://"))?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client(url, stream)?;
    socket.send(Message::text("subscribe"))?;
    let mut ages = Vec::with_capacity(FRAMES);
    while ages.len() < FRAMES {
        socket.read()?;
        ages.push(sent.age(ages.len() + 1));
    }
    Ok(ages)
}

fn typed(url: &str, sent: &Sent) -> Done<Vec<u64>> {
    let script = Script::of("binance").ok_or("no script of Binance")?;
    let options = WebSocketOptions {
        stale_after: PATIENCE,
        ..WebSocketOptions::new(url, script, &["BTCUSDT"])
    };
    let mut feed = WebSocketFeed::new(options)?;
    feed.open(None)?;
    let mut ages = Vec::with_capacity(FRAMES);
    let begun = Instant::now();
    while ages.len() < FRAMES {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{} of {FRAMES} frames; {:?}", ages.len(), feed.counts()).into());
        }
        if let Poll::Batch(batch) = feed.poll(PATIENCE)? {
            let trades = batch
                .messages()
                .filter(|message| message.kind == Kind::Trade);
            ages.extend(trades.map(|trade| sent.age(trade.sequence as usize)));
        }
    }
    Ok(ages)
}
