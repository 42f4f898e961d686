//! A venue that sends no book, however often depth is subscribed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

fn depth(kind: &str, id: u64) -> Message {
    Message::text(format!(
        r#"{{"topic":"orderbook.50.A","type":"{kind}","ts":{id},"data":{{"s":"A","b":[["1","2"]],"a":[],"u":{id},"seq":1}},"cts":{id}}}"#
    ))
}

/// On each connection a book, a gap, and diffs without end; gives the requests that came.
fn deaf(done: Arc<AtomicBool>) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut asked = 0;
            while !done.load(Ordering::Acquire) {
                let wait = Duration::from_millis(5);
                let Ok(stream) = tokio::time::timeout(wait, listener.accept()).await else {
                    continue;
                };
                let Ok(mut socket) = accept_async(stream.unwrap().0).await else {
                    continue;
                };
                let (mut id, mut kind) = (100, "snapshot");
                let mut turns = tokio::time::interval(Duration::from_millis(2));
                loop {
                    tokio::select! {
                        said = socket.next() => match said {
                            Some(Ok(Message::Text(_))) => asked += 1,
                            Some(Ok(_)) => {}
                            _ => break,
                        },
                        _ = turns.tick() => {
                            if socket.send(depth(kind, id)).await.is_err() {
                                break;
                            }
                            // The first diff does not follow the book.
                            id += if kind == "snapshot" { 5 } else { 1 };
                            kind = "delta";
                        }
                    }
                }
            }
            asked
        })
    });
    (address, thread)
}

#[test]
fn a_venue_that_sends_no_book_is_asked_again_and_then_connected_anew() {
    let done = Arc::new(AtomicBool::new(false));
    let (address, server) = deaf(done.clone());
    let options = WebSocketOptions {
        script: Script::of("bybit").unwrap(),
        symbols: vec!["A".into()],
        stale_after: Duration::from_millis(60),
        ..options(address)
    };
    let mut feed = WebSocketFeed::new(options).unwrap();
    feed.open(None).unwrap();
    // A machine that is busy may lose the connection for another reason before.
    poll_until(&mut feed, |counts| {
        counts.last_loss.contains("no book came")
    });
    let counts = feed.counts();
    assert!(counts.books_unanswered >= 3, "{counts:?}");
    assert!(
        counts
            .last_loss
            .starts_with("depth of A was subscribed again and no book came"),
        "{counts:?}"
    );
    assert_eq!(
        feed.stats()["connection"]["books_unanswered"],
        counts.books_unanswered
    );
    drop(feed);
    done.store(true, Ordering::Release);
    // A connection asks once for its streams, and twice for each book: to leave, and to come back.
    assert!(server.join().unwrap() >= 7);
}
