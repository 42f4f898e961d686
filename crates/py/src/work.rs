//! Input that an engine takes piece by piece, so that a caller need not have all vectors at once.

use crate::arrow_table::ArrowTable;
use arrow_array::{Array, ArrayRef};
use signal_engine::{Cursor, Engine, EngineError, Vectors};
use signal_event::EventBatch;

/// Vectors that one call gives, unless the caller says otherwise; it may give a few more.
pub const ROOM: usize = 65_536;

/// What there is to take.
pub enum Work {
    /// Nothing.
    Nothing,
    /// Messages.
    Messages(Box<Pieces>),
    /// Rows of a table.
    Rows(Box<TableRows>),
    /// The end of all rows.
    Finish,
}

/// A batch that is pushed whole, or cut into so many messages a call of the engine.
pub struct Pieces {
    batch: EventBatch,
    chunk: Option<usize>,
    /// Where the rest begins.
    row: usize,
    piece: Option<(EventBatch, Cursor)>,
}

/// Rows of a table on their way into an engine.
pub struct TableRows {
    columns: Vec<ArrayRef>,
    names: Vec<String>,
    received: Option<usize>,
    which: Option<usize>,
    chunk: Option<usize>,
    /// Columns of numbers that must not be below 0.
    amounts: Vec<usize>,
    /// Where the piece begins, and the next row in it.
    start: usize,
    next: usize,
}

impl Work {
    /// Takes until `out` holds `room` vectors; gives whether nothing is left.
    pub fn take(
        &mut self,
        engine: &mut Engine,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        match self {
            Self::Nothing => Ok(true),
            Self::Messages(pieces) => pieces.take(engine, room, out),
            Self::Rows(rows) => rows.take(engine, room, out),
            Self::Finish => {
                engine.finish(out);
                Ok(true)
            }
        }
    }
}

impl Pieces {
    pub fn new(batch: EventBatch, chunk: Option<usize>) -> Self {
        Self {
            batch,
            chunk,
            row: 0,
            piece: None,
        }
    }

    fn take(
        &mut self,
        engine: &mut Engine,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        loop {
            let (piece, cursor) = match &mut self.piece {
                Some(piece) => (&piece.0, &mut piece.1),
                None if self.row > 0 && self.row == self.batch.len() => return Ok(true),
                none => {
                    let start = self.row;
                    self.row = match self.chunk {
                        Some(size) => self.batch.row_after(start, size.max(1)),
                        None => self.batch.len(),
                    };
                    let piece = match self.chunk {
                        Some(_) => self.batch.slice_rows(start..self.row),
                        None => self.batch.clone(),
                    };
                    let piece = none.insert((piece, Cursor::default()));
                    (&piece.0, &mut piece.1)
                }
            };
            if !engine.push_some(piece, cursor, room, out)? {
                return Ok(false);
            }
            self.piece = None;
            if self.row == self.batch.len() {
                return Ok(true);
            }
            if out.len() >= room {
                return Ok(false);
            }
        }
    }
}

impl TableRows {
    pub fn new(
        columns: Vec<ArrayRef>,
        names: Vec<String>,
        received: Option<usize>,
        which: Option<usize>,
        chunk: Option<usize>,
    ) -> Self {
        Self {
            columns,
            names,
            received,
            which,
            chunk,
            amounts: Vec::new(),
            start: 0,
            next: 0,
        }
    }

    /// Rows of one instrument, refused where a number in one of the columns at `amounts` is below 0: before any is taken
    /// if they are to be taken `whole` or not at all, else when their turn comes.
    pub fn with_amounts(
        columns: Vec<ArrayRef>,
        name: String,
        amounts: &[usize],
        chunk: Option<usize>,
        whole: bool,
    ) -> Result<Self, EngineError> {
        if whole && ArrowTable::new(&columns, &[0], None, None)?.is_below_zero(amounts) {
            return Err(EngineError {
                code: "BELOW_ZERO",
                message: "an amount is below 0".to_owned(),
            });
        }
        Ok(Self {
            amounts: if whole { Vec::new() } else { amounts.to_vec() },
            ..Self::new(columns, vec![name], None, None, chunk)
        })
    }

    fn take(
        &mut self,
        engine: &mut Engine,
        room: usize,
        out: &mut Vectors,
    ) -> Result<bool, EngineError> {
        let names = self.names.iter();
        let numbers = names
            .map(|name| engine.table_instrument(name))
            .collect::<Result<Vec<_>, _>>()?;
        let table = ArrowTable::new(&self.columns, &numbers, self.received, self.which)?;
        let rows = self.columns.first().map_or(0, |times| times.len());
        while self.start < rows {
            let end = self.chunk.map_or(rows, |size| {
                rows.min(self.start.saturating_add(size.max(1)))
            });
            let columns = table.columns(self.start..end);
            let piece = table.piece(self.start..end, &columns, &self.amounts);
            if !engine.push_rows(&piece, &mut self.next, room, out)? {
                return Ok(false);
            }
            (self.start, self.next) = (end, 0);
            if out.len() >= room && self.start < rows {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
