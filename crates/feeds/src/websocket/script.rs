//! What is said to a venue over a WebSocket, and what it says of itself: the venue's script. Each stands in a file of
//! [`super::venues`].

use std::time::Duration;

use serde_json::Value;
use signal_ingest::Venue;

/// What a subscriber may ask for, in words that are the same for every venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Each trade.
    Trades,
    /// The best bid and ask.
    Quotes,
    /// Changes of the order book; whole books come with them.
    Depth,
    /// What the venue computes of a derivative: mark and index price, funding, open interest, as far as it says them.
    Reference,
    /// The venue's own bars of a minute, as they end.
    Bars,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Stream; 5] = [
        Stream::Trades,
        Stream::Quotes,
        Stream::Depth,
        Stream::Reference,
        Stream::Bars,
    ];

    /// What happens on a market: who names no streams means these.
    pub const MARKET: [Stream; 3] = [Stream::Trades, Stream::Quotes, Stream::Depth];

    /// The same, and what the venue computes of a derivative.
    pub const DERIVATIVES: [Stream; 4] = [
        Stream::Trades,
        Stream::Quotes,
        Stream::Depth,
        Stream::Reference,
    ];

    /// The word in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Trades => "trades",
            Stream::Quotes => "quotes",
            Stream::Depth => "depth",
            Stream::Reference => "reference",
            Stream::Bars => "bars",
        }
    }

    /// The stream of a word.
    pub fn parse(word: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.name() == word)
    }
}

/// Where a venue's WebSocket is.
#[derive(Clone, Copy)]
pub enum Address {
    /// At the host of the settings, with this path where their URL has none.
    Path(&'static str),
    /// A request by HTTP (POST) tells it, anew for each connection.
    Asked {
        /// The request's path.
        path: &'static str,
        /// The URL in the body of the answer; in words why there is none.
        read: fn(body: &[u8]) -> Result<String, String>,
    },
}

/// Where a venue's whole book comes from.
#[derive(Clone, Copy)]
pub enum Books {
    /// From a request by HTTP.
    Rest {
        /// The path and query for a symbol.
        path: fn(symbol: &str) -> String,
    },
    /// The venue sends it when depth is subscribed: who wants one leaves the stream and subscribes again.
    Subscribed,
}

/// A text that is sent at intervals so that the venue does not close the connection.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// How often.
    pub every: Duration,
    /// What.
    pub text: &'static str,
}

/// What a frame is to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// For the decoder, and nothing else.
    Data,
    /// A sign of life that is no JSON: nobody's data.
    Alive,
    /// The venue took a subscription.
    Accepted,
    /// The venue refused what it was asked, for this reason.
    Refused(String),
    /// The venue wants this answer.
    Asks(&'static str),
}

/// A venue's side of a WebSocket session. Pure: texts in, texts out.
#[derive(Clone, Copy)]
pub struct Script {
    /// The venue's name in settings.
    pub venue: &'static str,
    /// Where the WebSocket is.
    pub address: Address,
    /// Where its HTTP interface is, where the settings do not say.
    pub rest: &'static str,
    /// Whose frames these are.
    pub decoder: Venue,
    /// The id of the instrument that a symbol names.
    pub instrument: fn(symbol: &str) -> String,
    /// The streams that the venue has.
    pub streams: &'static [Stream],
    /// Messages that subscribe to (or, for `false`, leave) streams of symbols.
    pub subscribe: fn(subscribe: bool, symbols: &[String], streams: &[Stream]) -> Vec<String>,
    /// The least time between two such messages.
    pub pause: Duration,
    /// What keeps the connection alive beside the WebSocket's own pings, which are always answered.
    pub heartbeat: Option<Heartbeat>,
    /// What a frame is beside data.
    pub hear: fn(frame: &[u8]) -> Heard,
    /// Where whole books come from.
    pub books: Books,
}

impl Script {
    /// The streams that are meant where none is named.
    pub fn usual_streams(&self) -> Vec<Stream> {
        let usual = self.streams.iter();
        let usual = usual.filter(|stream| Stream::MARKET.contains(stream));
        usual.copied().collect()
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script")
            .field("venue", &self.venue)
            .finish_non_exhaustive()
    }
}

/// Bytes of a frame that is not data, at most; lists of subscriptions are longer, and begin as others do.
const NOTE_BYTES_MAX: usize = 4_096;

/// Whether a text stands near the beginning of a frame.
pub(super) fn begins_with(frame: &[u8], sign: &str) -> bool {
    let head = &frame[..frame.len().min(160)];
    memchr::memmem::find(head, sign.as_bytes()).is_some()
}

/// A short frame as JSON.
pub(super) fn note(frame: &[u8]) -> Option<Value> {
    serde_json::from_slice(frame)
        .ok()
        .filter(|_| frame.len() <= NOTE_BYTES_MAX)
}

/// Each symbol's channels of each stream, symbol by symbol. A channel that serves two streams stands once.
pub(super) fn channels<T: PartialEq, C: IntoIterator<Item = T>>(
    symbols: &[String],
    streams: &[Stream],
    of_stream: impl Fn(&str, Stream) -> C,
) -> Vec<T> {
    let mut all = Vec::new();
    for symbol in symbols {
        let first = all.len();
        for stream in streams {
            for channel in of_stream(symbol, *stream) {
                if !all[first..].contains(&channel) {
                    all.push(channel);
                }
            }
        }
    }
    all
}
