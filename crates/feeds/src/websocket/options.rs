//! What a WebSocket feed is told at its start.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signal_event::{Instruments, Timestamp};

use super::backoff::Backoff;
use super::script::{Address, Script, Stream};
use crate::FeedError;

/// Bytes of a frame at most, unless somebody says otherwise: the longest line of a capture.
pub const FRAME_BYTES_MAX: usize = signal_ingest::LINE_BYTES_MAX;

/// Where to connect, what to subscribe to, and when to begin anew.
#[derive(Clone, Debug)]
pub struct WebSocketOptions {
    /// `wss://HOST[:PORT][/PATH]`, `ws://` for this machine; the venue's path where it has none.
    pub url: String,
    /// The venue's side.
    pub script: &'static Script,
    /// Symbols as the venue writes them; one at least.
    pub symbols: Vec<String>,
    /// What of them; one at least, of those that the venue has.
    pub streams: Vec<Stream>,
    /// What is known of instruments: their decimal places, and what they are.
    pub instruments: Arc<Instruments>,
    /// `https://HOST[:PORT]` of the venue's HTTP interface, if it is not the script's.
    pub rest: Option<String>,
    /// Certificates (PEM) that are trusted instead of Mozilla's.
    pub ca: Option<Vec<u8>>,
    /// A connection that brings no frame for so long is lost.
    pub stale_after: Duration,
    /// The pause before the first attempt after a loss; it doubles with each that fails.
    pub reconnect_least: Duration,
    /// The longest pause.
    pub reconnect_most: Duration,
    /// What the jitter of pauses is drawn from.
    pub seed: u64,
    /// Bytes of a frame at most; a longer one is refused, and its connection lost.
    pub frame_bytes_max: usize,
    /// Frames, and books by HTTP, begin with their receive time in ns and a space, as a relay sends them.
    pub stamped: bool,
    /// Our clock: nanoseconds since 1970.
    pub clock: fn() -> Timestamp,
}

impl WebSocketOptions {
    /// Options for a venue, with settings that a test or a trial can do with.
    pub fn new(url: &str, script: &'static Script, symbols: &[&str]) -> WebSocketOptions {
        WebSocketOptions {
            url: url.to_string(),
            script,
            symbols: symbols.iter().map(ToString::to_string).collect(),
            streams: script.usual_streams(),
            instruments: Arc::default(),
            rest: None,
            ca: None,
            stale_after: Duration::from_secs(10),
            reconnect_least: Duration::from_millis(250),
            reconnect_most: Duration::from_secs(30),
            seed: 0,
            frame_bytes_max: FRAME_BYTES_MAX,
            stamped: false,
            clock: wall_ns,
        }
    }

    /// Pauses between attempts; each `part` of a feed has draws of its own.
    pub(super) fn backoff(&self, part: u64) -> Backoff {
        let seed = self.seed ^ part.rotate_left(32);
        Backoff::new(self.reconnect_least, self.reconnect_most, seed)
    }

    /// The addresses, where everything is as it must be.
    pub(super) fn endpoint(&self) -> Result<Endpoint, FeedError> {
        let refuse = |option, what: String| Err(FeedError::BadOption { option, what });
        if self.symbols.is_empty() || self.symbols.iter().any(String::is_empty) {
            return refuse("symbols", "name one at least".into());
        }
        if self.streams.is_empty() {
            return refuse("streams", "name one at least".into());
        }
        let unknown = |stream: &&Stream| !self.script.streams.contains(stream);
        if let Some(stream) = self.streams.iter().find(unknown) {
            let names: Vec<&str> = self
                .script
                .streams
                .iter()
                .map(|stream| stream.name())
                .collect();
            let (venue, names) = (self.script.venue, names.join(", "));
            let what = format!("{venue} has no {}, only {names}", stream.name());
            return refuse("streams", what);
        }
        if self.stale_after.is_zero() || self.reconnect_least.is_zero() {
            return refuse("stale_after", "it and the pauses must be above 0".into());
        }
        let (secure, place) = match (
            self.url.strip_prefix("wss://"),
            self.url.strip_prefix("ws://"),
        ) {
            (Some(place), _) => (true, place),
            (_, Some(place)) => (false, place),
            _ => {
                return refuse(
                    "url",
                    format!("{:?} begins neither wss:// nor ws://", self.url),
                );
            }
        };
        let rest = self
            .rest
            .as_deref()
            .unwrap_or(self.script.rest)
            .trim_end_matches('/');
        let rest_secure = rest.starts_with("https://");
        let rest_place = rest
            .strip_prefix("https://")
            .or(rest.strip_prefix("http://"));
        let Some(rest_place) = rest_place.filter(|place| !place.is_empty()) else {
            return refuse(
                "rest",
                format!("{rest:?} begins neither https:// nor http://"),
            );
        };
        for (option, secure, place) in [("url", secure, place), ("rest", rest_secure, rest_place)] {
            if host(place).is_empty() {
                return refuse(option, "it names no host".into());
            }
            if !secure && !is_here(host(place)) {
                let what = format!(
                    "{place}: without TLS nobody knows who answers; only this machine is read so"
                );
                return refuse(option, what);
            }
        }
        let bare = !place.trim_end_matches('/').contains('/') && !place.contains('?');
        let path = match self.script.address {
            Address::Path(path) if bare => path,
            Address::Path(_) | Address::Asked { .. } => "",
        };
        let socket = if bare {
            self.url.trim_end_matches('/')
        } else {
            self.url.as_str()
        };
        Ok(Endpoint {
            socket: format!("{socket}{path}"),
            rest: rest.to_string(),
        })
    }
}

/// Whether a WebSocket's URL has TLS or is on this machine.
pub(super) fn is_trusted(url: &str) -> bool {
    let here = url.strip_prefix("ws://");
    url.starts_with("wss://") || here.is_some_and(|place| is_here(host(place)))
}

/// Addresses to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) socket: String,
    pub(super) rest: String,
}

/// The host of `HOST[:PORT][/PATH]`.
fn host(place: &str) -> &str {
    let authority = place.split(['/', '?']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host),
    }
}

/// Whether a host is this machine, by its name alone.
fn is_here(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The wall clock.
fn wall_ns() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, rest: Option<&str>) -> Result<Endpoint, FeedError> {
        let script = Script::of("binance").unwrap();
        let options = WebSocketOptions {
            rest: rest.map(str::to_string),
            ..WebSocketOptions::new(url, script, &["BTCUSDT"])
        };
        options.endpoint()
    }

    #[test]
    fn the_venues_path_and_interface_are_used_where_none_are_named() {
        let found = endpoint("wss://stream.binance.com:9443", None).unwrap();
        assert_eq!(found.socket, "wss://stream.binance.com:9443/stream");
        assert_eq!(found.rest, "https://api.binance.com");
        let found = endpoint("ws://127.0.0.1:99/own?x=1", Some("http://[::1]:98/")).unwrap();
        assert_eq!(found.socket, "ws://127.0.0.1:99/own?x=1");
        assert_eq!(found.rest, "http://[::1]:98");
    }

    #[test]
    fn an_address_that_a_venue_names_has_tls_or_is_on_this_machine() {
        for (url, trusted) in [
            ("wss://ws-api-spot.kucoin.com/?token=x", true),
            ("ws://127.0.0.1:9/?token=x", true),
            ("ws://ws-api-spot.kucoin.com/?token=x", false),
            ("http://127.0.0.1", false),
            ("", false),
        ] {
            assert_eq!(is_trusted(url), trusted, "{url}");
        }
    }

    #[test]
    fn only_streams_that_the_venue_has_can_be_asked_for() {
        let script = Script::of("independentreserve").unwrap();
        let mut options = WebSocketOptions::new("wss://a", script, &["eth-aud"]);
        assert!(options.endpoint().is_ok());
        options.streams = vec![Stream::Depth, Stream::Quotes];
        let error = options.endpoint().unwrap_err().to_string();
        assert!(
            error.contains("independentreserve has no quotes, only trades, depth"),
            "{error}"
        );
    }

    #[test]
    fn without_tls_only_this_machine_is_read() {
        for (url, rest) in [
            ("ws://stream.binance.com", None),
            ("ws://127.0.0.1.example.com", None),
            ("wss://", None),
            ("http://127.0.0.1", None),
            ("wss://a", Some("http://api.binance.com")),
            ("wss://a", Some("api.binance.com")),
            ("wss://a", Some("https://")),
        ] {
            assert_eq!(
                endpoint(url, rest).unwrap_err().code(),
                "BAD_OPTION",
                "{url} {rest:?}"
            );
        }
        let script = Script::of("binance").unwrap();
        assert!(
            WebSocketOptions::new("wss://a", script, &[])
                .endpoint()
                .is_err()
        );
    }
}
