//! Bars that came become parts of longer ones, and fill others.

use crate::engine::Engine;
use crate::gathered::{Cells, Made};
use crate::instrument::Numbers;
use crate::joined::{Cell, Joined, Parts};
use crate::layout::{Layout, is_joined};
use crate::vectors::Vectors;

impl Engine {
    /// Notes the length of a bar that came, where longer ones are made of it.
    pub(crate) fn note_part(&mut self, layout: &Layout, i: usize, ns: i64) {
        if layout.joins(ns) {
            let parts = self.instruments[i].parts.get_or_insert_with(|| {
                Box::new(Parts {
                    ns,
                    joined: vec![Joined::new(); layout.fed.len()],
                })
            });
            parts.ns = ns;
        }
    }

    /// Adds a bar that ended at `t` to those that are made of it.
    pub(crate) fn join_part(
        &mut self,
        layout: &Layout,
        i: usize,
        t: i64,
        cells: &impl Fn(usize) -> Cell,
    ) {
        if layout.fills {
            let part = layout.bar_cells(cells);
            for fed in layout.fed.iter().filter(|fed| fed.fills) {
                self.gather(i, fed.program, &part);
                self.instruments[i].venue[fed.program] = t;
            }
        }
        let Some(parts) = &mut self.instruments[i].parts else {
            return;
        };
        for (fed, joined) in layout.fed.iter().zip(&mut parts.joined) {
            if let Some(of) = fed.joins.as_ref().filter(|of| is_joined(of, parts.ns)) {
                joined.add(layout.fields(), of, t, parts.ns, cells);
            }
        }
    }

    /// Runs fed program `f` for a bar that ended at `t`: for the bar itself, or for the longer one if that ended with it.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run_bar(
        &mut self,
        layout: &Layout,
        f: usize,
        i: usize,
        t: i64,
        received: i64,
        cells: &impl Fn(usize) -> Cell,
        out: &mut Vectors,
    ) {
        let fed = &layout.fed[f];
        if fed.fills {
            self.instruments[i].recv_ts_max[fed.program] = received;
            let fields = layout.fields();
            for bar in self.take_gathered(i, fed.program) {
                let cells = |column: usize| bar.cell(fields[column]);
                self.run_fed_as(fed, i, [t, received], bar.fault, &cells, out);
            }
            return;
        }
        let joined = match &mut self.instruments[i].parts {
            Some(parts) if fed.joins.as_ref().is_some_and(|of| is_joined(of, parts.ns)) => {
                &mut parts.joined[f]
            }
            _ => return self.run_fed(fed, i, t, received, cells, out),
        };
        let lost = std::mem::take(&mut joined.after_loss);
        let ended = joined.ends(t).then(|| joined.clone());
        if lost && let Some(state) = &mut self.instruments[i].program_states[fed.program] {
            state.lose();
        }
        if let Some(bar) = ended {
            let fields = layout.fields();
            let cells = |column: usize| bar.cell(column, fields[column]);
            self.run_fed_as(fed, i, [t, received], bar.fault, &cells, out);
        }
    }

    /// Adds a finer bar of instrument `i` to those of program `p` that it fills.
    pub(crate) fn gather(&mut self, i: usize, p: usize, part: &Cells) {
        let gathered = &mut self.instruments[i].gathered;
        if let Some((_, bars)) = gathered.iter_mut().find(|(program, _)| *program == p) {
            bars.add(part);
        }
    }

    /// The bars of program `p` that the newest finer bar of instrument `i` has ended.
    pub(crate) fn take_gathered(&mut self, i: usize, p: usize) -> Vec<Made> {
        let gathered = &mut self.instruments[i].gathered;
        let bars = gathered.iter_mut().find(|(program, _)| *program == p);
        bars.map(|(_, bars)| bars.take_ended()).unwrap_or_default()
    }

    /// A finer bar that trades have made, at its end: runs program `p` for each of its bars that this fills.
    pub(crate) fn run_gathered(
        &mut self,
        i: usize,
        p: usize,
        t: i64,
        part: &Cells,
        out: &mut Vectors,
    ) {
        self.gather(i, p, part);
        for made in self.take_gathered(i, p) {
            self.run(i, p, t, t, Numbers::Made(&made), out);
        }
    }
}
