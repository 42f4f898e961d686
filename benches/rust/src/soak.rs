//! Hours of work in minutes: frames as a venue sends them, through decoder, engine and books, as fast as they go. What a frame
//! takes must not grow, nor the memory.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_engine::{Engine, Options};
use signal_features::{Graph, Plan};
use signal_ingest::Capture;

use crate::measure::Figure;

/// Frames that are written at a time, before the clock runs.
const WRITTEN: usize = 20_000;
/// Parts of the run, of which the first and the last are compared.
const PARTS: usize = 10;
/// Nanoseconds of a bin, and bins: what takes longer is in the last.
const BIN_NS: u64 = 20;
const BINS: usize = 50_000;

const GRAPH: &str = r#"{"signal_stream":1,"name":"soak","axis":"recv","on":"trades","nodes":[{"op":"field","of":"trades","name":"price"},{"op":"diff","n":1,"x":0},{"op":"rolling","stat":"mean","window":{"ns":60000000000,"cap":4096},"x":0},{"op":"book","of":"book","name":"mid"},{"op":"book","of":"book","name":"imbalance","levels":5}],"features":[["step",1],["mean",2],["mid",3],["imbalance",4]]}"#;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

pub fn run(seconds: u64) -> Result<()> {
    let graph = Graph::from_json(GRAPH).map_err(|e| e.to_string())?;
    let plan = Arc::new(Plan::new(graph).map_err(|e| e.to_string())?);
    let mut engine = Engine::new(plan, Options::default()).map_err(|e| e.to_string())?;
    let mut vectors = engine.vectors();
    let mut capture = Capture::new();
    let mut venue = Venue::default();
    let mut times = vec![vec![0u64; BINS]; PARTS];
    let mut memory = Vec::new();
    let (mut frames, mut text) = (0u64, Vec::new());
    let part_s = seconds as f64 / PARTS as f64;
    for bins in &mut times {
        let mut left = Duration::from_secs_f64(part_s);
        while !left.is_zero() {
            text.clear();
            (0..WRITTEN).for_each(|_| venue.write(&mut text));
            for line in text.split_inclusive(|&byte| byte == b'\n') {
                let start = Instant::now();
                capture.push(line);
                let batch = capture.take();
                engine
                    .push(&batch, &mut vectors)
                    .map_err(|e| e.to_string())?;
                let took = start.elapsed();
                bins[(took.as_nanos() as u64 / BIN_NS).min(BINS as u64 - 1) as usize] += 1;
                left = left.saturating_sub(took);
                frames += 1;
                if vectors.len() > 1_000 {
                    black_box(&vectors);
                    vectors.clear();
                }
            }
        }
        memory.push(resident_kib()?);
    }
    let counts = engine.total();
    assert_eq!(
        (counts.input, counts.accepted),
        (frames, frames),
        "every frame is an event"
    );
    let print = |work: &str, unit: &str, value: f64, peer: Option<(&str, f64)>| {
        Figure {
            work,
            unit,
            value,
            peer,
        }
        .print();
    };
    print(
        "soak, frames to events, books and vectors",
        "frames",
        frames as f64,
        None,
    );
    let p999 = |bins: &[u64]| quantile_ns(bins, 0.999) as f64;
    print(
        "soak, a frame's time in the last part, p99.9",
        "ns",
        p999(&times[PARTS - 1]),
        Some(("in the first part", p999(&times[0]))),
    );
    print(
        "soak, memory at the end",
        "KiB",
        memory[PARTS - 1] as f64,
        Some(("after the first part", memory[0] as f64)),
    );
    Ok(())
}

/// The time below which this share of the frames took.
fn quantile_ns(bins: &[u64], share: f64) -> u64 {
    let below = (bins.iter().sum::<u64>() as f64 * share) as u64;
    let mut sum = 0;
    let at = bins.iter().position(|count| {
        sum += count;
        sum > below
    });
    (at.unwrap_or(bins.len() - 1) as u64 + 1) * BIN_NS
}

/// What of this process lies in memory.
fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.ok_or("no VmRSS in /proc/self/status")?.parse()?)
}

/// Frames of a venue without end: a trade, a snapshot of the book, then diffs of it and trades.
#[derive(Default)]
struct Venue {
    frames: u64,
    trades: u64,
    diffs: u64,
}

impl Venue {
    fn write(&mut self, out: &mut Vec<u8>) {
        use std::io::Write;
        let n = self.frames;
        self.frames += 1;
        let ms = 1_700_000_000_000 + n / 10;
        let (tick, qty) = (n * 7 % 40, n * 13 % 90);
        // Writing to memory does not fail.
        let _ = if n == 1 {
            writeln!(
                out,
                r#"{ms}000000 {{"lastUpdateId":0,"bids":[["999.00","5.000"]],"asks":[["1001.00","5.000"]]}}"#
            )
        } else if n.is_multiple_of(3) {
            self.trades += 1;
            writeln!(
                out,
                r#"{ms}000000 {{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{},"p":"1000.{tick:02}","q":"{}.000","T":{ms},"m":false,"M":true}}}}"#,
                self.trades,
                qty + 1
            )
        } else {
            self.diffs += 1;
            let id = self.diffs;
            writeln!(
                out,
                r#"{ms}000000 {{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{id},"u":{id},"b":[["999.{tick:02}","{qty}.000"]],"a":[["1001.{tick:02}","{qty}.000"]]}}}}"#
            )
        };
    }
}
