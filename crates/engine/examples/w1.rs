use signal_engine::*;
use signal_features::*;
use std::sync::Arc;
use std::time::Instant;
fn main() {
    let json = std::fs::read_to_string(std::env::var("G").unwrap_or("/tmp/g.json".into())).unwrap();
    let plan = Arc::new(Plan::new(Graph::from_json(&json).unwrap()).unwrap());
    let names = [
        "high",
        "low",
        "close",
        "volume",
        "bid_price_1",
        "ask_price_1",
        "bid_qty_1",
        "bid_qty_2",
        "bid_qty_3",
        "bid_qty_4",
        "bid_qty_5",
        "ask_qty_1",
        "ask_qty_2",
        "ask_qty_3",
        "ask_qty_4",
        "ask_qty_5",
    ];
    let fields: Vec<_> = names.iter().map(|n| Field::parse(n).unwrap()).collect();
    let layout = Layout::new(&plan, &fields).unwrap();
    let n = 300_000usize;
    let mut s = 88172645463325252u64;
    let mut r = || {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        (s >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut c = 100.0;
    let mut cols = vec![Vec::with_capacity(n); 16];
    for _ in 0..n {
        c *= 1.0 + 0.002 * (r() - 0.5);
        let v = [
            c * (1.0 + 0.001 * r()),
            c * (1.0 - 0.001 * r()),
            c,
            r() * 100.0,
            c - 0.01,
            c + 0.01,
        ];
        for (k, x) in v.iter().enumerate() {
            cols[k].push(*x);
        }
        for k in 6..16 {
            cols[k].push(r() * 10.0 + 0.1);
        }
    }
    let times: Vec<i64> = (1..=n as i64).map(|i| i * 60_000_000_000).collect();
    let rows: Vec<f64> = (0..n)
        .flat_map(|i| (0..16).map(|k| cols[k][i]).collect::<Vec<_>>())
        .collect();
    let opt = Options {
        given_bars: true,
        ..Options::default()
    };
    let mode = std::env::args().nth(1).unwrap_or_default();
    for (name, chunk) in [("batch", 65536usize), ("live256", 256), ("row", 0)] {
        if !mode.is_empty() && mode != name {
            continue;
        }
        let mut best = f64::MAX;
        let reps = if mode.is_empty() { 7 } else { 20 };
        for _ in 0..reps {
            let mut e = Engine::new(plan.clone(), opt.clone()).unwrap();
            let i = e.table_instrument("X").unwrap();
            let mut out = e.vectors();
            let mut o = vec![0.0; plan.columns.len()];
            let t = Instant::now();
            if chunk == 0 {
                for k in 0..n {
                    e.push_row(
                        &layout,
                        i,
                        times[k],
                        &rows[k * 16..k * 16 + 16],
                        &mut o,
                        None,
                    )
                    .unwrap();
                }
            } else {
                let mut k = 0;
                while k < n {
                    let m = chunk.min(n - k);
                    let columns: Vec<Column> = cols
                        .iter()
                        .map(|c| Column {
                            values: &c[k..k + m],
                            present: None,
                        })
                        .collect();
                    out.clear();
                    e.push_table(
                        &layout,
                        &Table {
                            instrument: i,
                            times: &times[k..k + m],
                            columns: &columns,
                        },
                        &mut out,
                    )
                    .unwrap();
                    k += m;
                }
            }
            best = best.min(t.elapsed().as_secs_f64());
        }
        println!("{name} {:.1} ns/row", best / n as f64 * 1e9);
    }
}
