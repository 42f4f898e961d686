//! The feed against a server on this machine, and the order of what a relay stamps.

mod unanswered;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use signal_event::{Event, EventBatch, Kind};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::frames::Frames;
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn diff(first: u64, last: u64) -> String {
    format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255208,"s":"BTCUSDT","U":{first},"u":{last},"b":[["1.0","2.0"]],"a":[["3.0","1.0"]]}}}}"#
    )
}

fn book(last: u64) -> String {
    format!(r#"{{"lastUpdateId":{last},"bids":[["1.0","2.0"]],"asks":[["3.0","1.0"]]}}"#)
}

/// Answers requests without a network, with one text after the other; the last one stays.
struct Answers {
    texts: Mutex<Vec<String>>,
    asked: Mutex<Vec<String>>,
}

impl Answers {
    fn of(texts: &[String]) -> Arc<Answers> {
        let texts = Mutex::new(texts.iter().rev().cloned().collect());
        Arc::new(Answers {
            texts,
            asked: Mutex::default(),
        })
    }
}

impl Rest for Answers {
    fn post(&self, url: &str) -> Result<RestAnswer, String> {
        self.get(url)
    }

    fn get(&self, url: &str) -> Result<RestAnswer, String> {
        self.asked.lock().unwrap().push(url.to_string());
        let mut texts = self.texts.lock().unwrap();
        let text = if texts.len() > 1 {
            texts.pop().unwrap()
        } else {
            texts[0].clone()
        };
        let (status, body) = match text.strip_prefix("HTTP ") {
            Some(status) => (status.parse().unwrap(), Vec::new()),
            None => (200, text.into_bytes()),
        };
        Ok(RestAnswer {
            status,
            retry_after: None,
            body,
        })
    }
}

/// What the server does on one connection, after it was subscribed to: frames to send, and whether it closes then.
struct Scene {
    frames: Vec<String>,
    closes: bool,
}

/// Plays one scene a connection, and gives what was said to it.
fn serve(scenes: Vec<Scene>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut asked = Vec::new();
            for scene in scenes {
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = accept_async(stream).await.unwrap();
                let first = socket.next().await.unwrap().unwrap();
                asked.push(first.to_text().unwrap().to_string());
                for frame in scene.frames {
                    socket.send(Message::text(frame)).await.unwrap();
                }
                if scene.closes {
                    socket.close(None).await.unwrap();
                }
                while let Some(Ok(said)) = socket.next().await {
                    if let Message::Text(text) = said {
                        asked.push(text.to_string());
                    }
                }
            }
            asked
        })
    });
    (address, thread)
}

fn options(address: SocketAddr) -> WebSocketOptions {
    WebSocketOptions {
        streams: vec![Stream::Depth],
        reconnect_least: Duration::from_millis(2),
        reconnect_most: Duration::from_millis(5),
        ..WebSocketOptions::new(
            &format!("ws://{address}"),
            Script::of("binance").unwrap(),
            &["BTCUSDT"],
        )
    }
}

/// Kind, sequence and code of the status of each message, until there are so many.
fn poll(feed: &mut WebSocketFeed, count: usize) -> Vec<(Kind, u64, Option<StatusCode>)> {
    let until = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(
            Instant::now() < until,
            "only {found:?}; {:?}",
            feed.counts()
        );
        if let Poll::Batch(batch) = feed.poll(Duration::from_millis(20)).unwrap() {
            found.extend(told(&batch));
        }
    }
    found
}

fn told(batch: &EventBatch) -> Vec<(Kind, u64, Option<StatusCode>)> {
    let of = |message: signal_event::Message<'_>| {
        let code = match message.event() {
            Event::Status { code, .. } => Some(code),
            _ => None,
        };
        (message.kind, message.sequence, code)
    };
    batch.messages().map(of).collect()
}

fn kinds(found: &[(Kind, u64, Option<StatusCode>)]) -> Vec<(Kind, u64)> {
    found
        .iter()
        .map(|(kind, sequence, _)| (*kind, *sequence))
        .collect()
}

#[test]
fn a_book_is_asked_for_behind_the_first_diff_and_behind_a_gap() {
    let scene = Scene {
        frames: vec![
            r#"{"result":null,"id":1}"#.into(),
            diff(5, 6),
            diff(7, 8),
            diff(11, 12),
        ],
        closes: false,
    };
    let (address, server) = serve(vec![scene]);
    let rest = Answers::of(&["HTTP 429".into(), book(6), book(12)]);
    let mut feed = WebSocketFeed::with_rest(options(address), rest.clone()).unwrap();
    feed.open(None).unwrap();
    let found = poll(&mut feed, 5);
    let books: Vec<u64> = found
        .iter()
        .filter(|m| m.0 == Kind::BookSnapshot)
        .map(|m| m.1)
        .collect();
    assert_eq!(*books.last().unwrap(), 12);
    let asked = rest.asked.lock().unwrap().clone();
    assert!(
        asked
            .iter()
            .all(|url| url.ends_with("/api/v3/depth?symbol=BTCUSDT&limit=1000"))
    );
    let [record] = &feed.records()[..] else {
        panic!("one record")
    };
    let refused: u64 = record.rejects.iter().map(|(_, n)| n).sum();
    assert_eq!(record.inputs, record.messages + refused);
    assert_eq!(refused, 1, "the answer to the subscription");
    let counts = feed.counts();
    assert_eq!(
        (counts.gaps, counts.books_refused, counts.connections),
        (1, 1, 1)
    );
    assert!(
        counts.last_refusal.contains("HTTP 429"),
        "{}",
        counts.last_refusal
    );
    drop(feed);
    let asked = server.join().unwrap();
    assert!(asked[0].contains("SUBSCRIBE") && asked[0].contains("btcusdt@depth@100ms"));
}

#[test]
fn a_lost_connection_is_said_and_a_position_says_it_again() {
    let scene = |frames: Vec<String>, closes| Scene { frames, closes };
    let (address, server) = serve(vec![
        scene(vec![diff(5, 6), diff(7, 8)], true),
        scene(vec![diff(20, 21)], false),
        scene(vec![diff(30, 31)], false),
    ]);
    // The first connection closes before anybody answers.
    let rest = Answers::of(&["HTTP 500".into()]);
    let mut feed = WebSocketFeed::with_rest(options(address), rest.clone()).unwrap();
    feed.open(None).unwrap();
    let found = poll(&mut feed, 5);
    let (disconnected, connected) = (StatusCode::Disconnected, StatusCode::Connected);
    assert_eq!(
        kinds(&found),
        [
            (Kind::BookDiff, 6),
            (Kind::BookDiff, 8),
            (Kind::Status, NO_SEQUENCE),
            (Kind::Status, NO_SEQUENCE),
            (Kind::BookDiff, 21)
        ]
    );
    assert_eq!(found[2].2, Some(disconnected));
    assert_eq!(found[3].2, Some(connected));
    let position = feed.position();
    drop(feed);
    let mut feed = WebSocketFeed::with_rest(options(address), rest).unwrap();
    feed.open(Some(&position)).unwrap();
    let found = poll(&mut feed, 3);
    assert_eq!(found[0].2, Some(disconnected));
    assert_eq!(found[1].2, Some(connected));
    assert_eq!((found[2].0, found[2].1), (Kind::BookDiff, 31));
    drop(feed);
    server.join().unwrap();
    let wrong = Position::new(r#"{"format":1}"#);
    let mut feed = WebSocketFeed::with_rest(options(address), Answers::of(&[])).unwrap();
    assert_eq!(feed.open(Some(&wrong)).unwrap_err().code(), "DAMAGED");
}

#[test]
fn a_connection_that_brings_nothing_is_lost() {
    let silent = || Scene {
        frames: Vec::new(),
        closes: false,
    };
    let (address, server) = serve(vec![silent(), silent()]);
    let options = WebSocketOptions {
        stale_after: Duration::from_millis(30),
        ..options(address)
    };
    let mut feed = WebSocketFeed::with_rest(options, Answers::of(&[])).unwrap();
    feed.open(None).unwrap();
    let until = Instant::now() + PATIENCE;
    while feed.counts().losses < 2 {
        assert!(Instant::now() < until);
        assert!(matches!(
            feed.poll(Duration::from_millis(5)).unwrap(),
            Poll::Idle { watermark: Some(_) }
        ));
    }
    let why = feed.counts().last_loss;
    assert!(why.starts_with("no frame for 30ms"), "{why}");
    drop(feed);
    server.join().unwrap();
}

#[test]
fn a_venue_that_is_not_there_is_said_and_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut feed = WebSocketFeed::with_rest(options(address), Answers::of(&[])).unwrap();
    feed.open(None).unwrap();
    let until = Instant::now() + PATIENCE;
    while feed.counts().losses < 3 {
        assert!(Instant::now() < until);
        feed.poll(Duration::from_millis(5)).unwrap();
    }
    let counts = feed.counts();
    assert!(!counts.connected && counts.connections == 0);
    assert!(counts.last_loss.contains("refused") && counts.last_loss.contains("next attempt in"));
}

fn poll_until(feed: &mut WebSocketFeed, done: impl Fn(&WebSocketCounts) -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done(&feed.counts()) {
        assert!(Instant::now() < until, "{:?}", feed.counts());
        feed.poll(Duration::from_millis(5)).unwrap();
    }
}

#[test]
fn a_venue_that_asks_for_a_sign_of_life_gets_it() {
    let test = r#"{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}"#;
    let refused = r#"{"jsonrpc":"2.0","id":2,"error":{"code":-1,"message":"too many"}}"#;
    let scene = Scene {
        frames: vec![test.into(), refused.into()],
        closes: false,
    };
    let (address, server) = serve(vec![scene]);
    let script = Script::of("deribit").unwrap();
    let options = WebSocketOptions::new(&format!("ws://{address}"), script, &["BTC-PERPETUAL"]);
    let mut feed = WebSocketFeed::with_rest(options, Answers::of(&[])).unwrap();
    feed.open(None).unwrap();
    poll_until(&mut feed, |counts| counts.subscriptions_refused == 1);
    assert_eq!(feed.counts().last_subscription_refusal, "too many");
    // The second of its messages may only go after a pause.
    let begun = Instant::now();
    while begun.elapsed() < 2 * script.pause {
        feed.poll(Duration::from_millis(5)).unwrap();
    }
    drop(feed);
    let said = server.join().unwrap();
    let mut methods: Vec<String> = said
        .iter()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()["method"].to_string())
        .collect();
    assert_eq!(methods.remove(0), "\"public/set_heartbeat\"");
    methods.sort();
    assert_eq!(methods, ["\"public/subscribe\"", "\"public/test\""]);
}

#[test]
fn a_connection_is_kept_alive_and_a_sign_of_life_is_no_frame() {
    let often = Heartbeat {
        every: Duration::from_millis(3),
        text: "ping",
    };
    let script: &'static Script = Box::leak(Box::new(Script {
        heartbeat: Some(often),
        ..*Script::of("okx").unwrap()
    }));
    let taken = r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"}}"#;
    let scene = Scene {
        frames: vec!["pong".into(), "pong".into(), taken.into()],
        closes: false,
    };
    let (address, server) = serve(vec![scene]);
    let options = WebSocketOptions::new(&format!("ws://{address}"), script, &["BTC-USDT"]);
    let mut feed = WebSocketFeed::with_rest(options, Answers::of(&[])).unwrap();
    feed.open(None).unwrap();
    poll_until(&mut feed, |counts| counts.subscriptions == 1);
    let begun = Instant::now();
    while begun.elapsed() < 20 * often.every {
        feed.poll(Duration::from_millis(5)).unwrap();
    }
    assert_eq!(feed.records()[0].inputs, 1, "the acknowledgement alone");
    drop(feed);
    let said = server.join().unwrap();
    assert!(
        said.iter().filter(|text| *text == "ping").count() > 2,
        "{said:?}"
    );
}

#[test]
fn an_address_that_a_venue_names_is_trusted_with_tls_only() {
    let named = |url: &str| {
        format!(
            r#"{{"code":"200000","data":{{"token":"secret","instanceServers":[{{"endpoint":"{url}"}}]}}}}"#
        )
    };
    let rest = Answers::of(&[named("ws://example.com/"), "HTTP 429".into(), "{}".into()]);
    let options = WebSocketOptions {
        script: Script::of("kucoin").unwrap(),
        ..options("127.0.0.1:1".parse().unwrap())
    };
    let mut feed = WebSocketFeed::with_rest(options, rest.clone()).unwrap();
    feed.open(None).unwrap();
    for (losses, why) in [(1, "without TLS"), (2, "HTTP 429"), (3, "no address")] {
        poll_until(&mut feed, |counts| counts.losses >= losses);
        let found = feed.counts().last_loss;
        assert!(
            feed.counts().losses > losses || found.contains(why),
            "{found}"
        );
        assert!(!found.contains("secret"));
    }
    let asked = rest.asked.lock().unwrap()[0].clone();
    assert_eq!(asked, "https://api.kucoin.com/api/v1/bullet-public");
}

const URL: &str = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000";
const T: i64 = 1_723_161_253_937_085_768;

fn stamped(ns: i64, text: &str) -> Vec<u8> {
    format!("{} {text}", T + ns).into_bytes()
}

fn relay() -> Frames {
    let options = WebSocketOptions::new("", Script::of("binance").unwrap(), &[]);
    let options = WebSocketOptions {
        stamped: true,
        ..options
    };
    Frames::new("relay", &options)
}

#[test]
fn a_stamped_book_is_put_among_the_frames() {
    let mut frames = relay();
    frames.frame(0, &stamped(1, &diff(5, 6)), false);
    frames.frame(0, &stamped(2, &diff(7, 8)), true); // a book is awaited from here on
    frames.frame(0, &stamped(4, &diff(9, 10)), true);
    frames.book(0, URL.into(), &stamped(3, &book(8)));
    frames.settle(false);
    let expected = [
        (Kind::BookDiff, 6),
        (Kind::BookDiff, 8),
        (Kind::BookSnapshot, 8),
        (Kind::BookDiff, 10),
    ];
    assert_eq!(kinds(&told(&frames.take())), expected);
    assert!(!frames.is_holding());
}

#[test]
fn a_stamped_book_that_comes_first_waits_for_the_frames_before_it() {
    let mut frames = relay();
    frames.frame(0, &stamped(1, &diff(5, 6)), false);
    frames.book(0, URL.into(), &stamped(3, &book(8)));
    frames.settle(false);
    assert!(frames.is_holding());
    frames.frame(0, &stamped(2, &diff(7, 8)), false);
    assert!(frames.is_holding());
    frames.frame(0, &stamped(4, &diff(9, 10)), false);
    let expected = [
        (Kind::BookDiff, 6),
        (Kind::BookDiff, 8),
        (Kind::BookSnapshot, 8),
        (Kind::BookDiff, 10),
    ];
    assert_eq!(kinds(&told(&frames.take())), expected);
    // Where nothing more comes, it does not wait for ever.
    frames.book(0, URL.into(), &stamped(5, &book(11)));
    frames.settle(false);
    assert!(frames.is_holding());
    frames.release();
    assert_eq!(kinds(&told(&frames.take())), [(Kind::BookSnapshot, 11)]);
}

#[test]
fn frames_of_ours_never_go_back_in_time_and_may_break_lines() {
    let mut frames = Frames::new(
        "venue",
        &WebSocketOptions::new("", Script::of("binance").unwrap(), &[]),
    );
    frames.frame(T + 5, diff(5, 6).as_bytes(), false);
    frames.frame(
        T + 3,
        diff(7, 8).replace(",\"s\"", ",\r\n \"s\"").as_bytes(),
        false,
    );
    frames.book(T + 6, URL.into(), book(8).as_bytes());
    let batch = frames.take();
    let times: Vec<i64> = batch.messages().map(|message| message.ts_recv).collect();
    assert_eq!(times, [T + 5, T + 5, T + 6]);
    assert_eq!(frames.watermark(T + 9), Some(T + 8));
    frames.frame(T + 7, diff(9, 10).as_bytes(), false);
    assert_eq!(frames.take().messages().next().unwrap().ts_recv, T + 9);
    frames.too_long(1_024);
    let record = frames.record();
    assert_eq!((record.inputs, record.messages), (5, 4));
}
