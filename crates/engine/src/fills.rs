//! What happens at a trade that ends bars: it and they are one moment.

use crate::built::Fill;
use crate::engine::Engine;
use crate::instrument::Numbers;
use crate::vectors::Vectors;
use signal_event::{Message, Side};
use signal_features::Source;
use signal_market::Bar;
use signal_runtime::registers::{Code, VALID};

impl Engine {
    /// Adds a trade to the bars that it may fill; those that it ends wait in `ended`.
    pub(crate) fn fill(&mut self, i: usize, fill: Fill) {
        self.ended.clear();
        let instrument = &mut self.instruments[i];
        let [venue, recv_ts_max] = [&mut instrument.venue, &mut instrument.recv_ts_max];
        for (p, bars) in &mut instrument.filled {
            venue[*p] = venue[*p].max(fill.venue);
            recv_ts_max[*p] = recv_ts_max[*p].max(fill.received);
            let ended = |bar: Bar| self.ended.push((*p, bar));
            bars.trade(fill.t, fill.price, fill.qty, fill.side, ended);
        }
    }

    /// Runs program `p` for each of its bars that ended.
    pub(crate) fn run_ended(
        &mut self,
        i: usize,
        p: usize,
        t: i64,
        ts_event: i64,
        out: &mut Vectors,
    ) {
        for k in 0..self.ended.len() {
            let (program, bar) = self.ended[k];
            if program == p {
                self.run(i, p, t, ts_event, Numbers::Bar(&bar), out);
            }
        }
    }

    /// A trade of an instrument with bars that trades fill: it and the bars that it ends are one moment.
    pub(crate) fn filling_trade(
        &mut self,
        i: usize,
        message: &Message<'_>,
        fill: Fill,
        out: &mut Vectors,
    ) {
        self.fill(i, fill);
        let ts_event = if self.reorder.is_some() {
            fill.t
        } else {
            message.ts_event
        };
        for p in 0..self.plan.programs.len() {
            match self.plan.programs[p].stream.source {
                Source::Trades => {
                    self.run_at(i, p, message, fill.t, Numbers::Trade(message), out);
                }
                source if source.filled().is_some() => {
                    self.run_ended(i, p, fill.t, ts_event, out);
                }
                _ => {}
            }
        }
    }

    /// Runs those programs of bars that trades fill, from the `next` on, that come before `program`.
    pub(crate) fn run_filled(
        &mut self,
        next: &mut usize,
        program: usize,
        i: usize,
        t: i64,
        out: &mut Vectors,
    ) {
        while let Some(&(p, _)) = self.built.filled.get(*next)
            && p < program
        {
            *next += 1;
            self.run_ended(i, p, t, t, out);
        }
    }

    /// A row of a table of trades: what fills bars, or marks them where the row says neither price nor quantity.
    pub(crate) fn fill_from_row(
        &mut self,
        i: usize,
        [t, received]: [i64; 2],
        [price, qty]: [(f64, Code); 2],
        side: Side,
    ) {
        if price.1 != VALID || qty.1 != VALID {
            self.ended.clear();
            let filled = &mut self.instruments[i].filled;
            return filled.iter_mut().for_each(|(_, bars)| bars.trades_lost());
        }
        let fill = Fill {
            t,
            received,
            venue: t,
            price: price.0,
            qty: qty.0,
            side,
        };
        self.fill(i, fill);
    }
}
