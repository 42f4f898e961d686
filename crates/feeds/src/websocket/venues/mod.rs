//! The venues that can be subscribed to: a file and a line in the table each.

use super::script::Script;

macro_rules! venues {
    ($($file:ident: $($script:ident)+;)+) => {
        $(mod $file;)+

        /// The venues that can be subscribed to.
        pub const SCRIPTS: &[Script] = &[$($($file::$script,)+)+];
    };
}

venues! {
    binance: SPOT USD_M COIN_M;
    bybit: SPOT LINEAR INVERSE;
    coinbase: SCRIPT;
    deribit: SCRIPT;
    hyperliquid: SCRIPT;
    independentreserve: SCRIPT;
    kraken: SCRIPT;
    kucoin: SCRIPT;
    okx: SCRIPT;
}

impl Script {
    /// The script of a venue.
    pub fn of(venue: &str) -> Option<&'static Script> {
        SCRIPTS.iter().find(|script| script.venue == venue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::{Heard, Stream};

    #[test]
    fn each_venue_is_named_once_and_says_no_two_things_at_once() {
        for script in SCRIPTS {
            let named = SCRIPTS.iter().filter(|other| other.venue == script.venue);
            assert_eq!(named.count(), 1, "{}", script.venue);
            assert!(script.rest.starts_with("https://") && !script.streams.is_empty());
            let suffix = format!(".{}", script.decoder.name().to_uppercase());
            assert!(
                (script.instrument)("A-B").ends_with(&suffix),
                "{}",
                script.venue
            );
            for frame in [&b""[..], b"x", b"[1]", b"{}", b"\xff", br#"{"data":1}"#] {
                assert_eq!((script.hear)(frame), Heard::Data, "{}", script.venue);
            }
        }
        assert!(Script::of("nowhere").is_none());
        assert_eq!(Stream::parse("depth"), Some(Stream::Depth));
    }

    #[test]
    fn frames_of_data_are_nothing_else() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/frames");
        for script in SCRIPTS {
            let path = format!("{folder}/{}.txt", script.decoder.name());
            let text = std::fs::read_to_string(path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let of_data = lines.windows(2).filter(|pair| pair[1].starts_with("    "));
            let frames = of_data
                .map(|pair| pair[0])
                .filter(|line| !line.starts_with(' '));
            let mut count = 0;
            for frame in frames {
                assert_eq!((script.hear)(frame.as_bytes()), Heard::Data, "{frame}");
                count += 1;
            }
            assert!(count > 2, "{}", script.venue);
        }
    }
}
