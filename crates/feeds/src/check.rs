//! The first thing on a tape that should not be there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use signal_event::{
    EventBatch, InstrumentId, Kind, Message, NO_RULE, NO_SEQUENCE, Side, Timestamp,
};
use signal_ingest::{Admit, Moment, RejectCode, Sequencer};

use crate::united::United;
use crate::{Backwards, FeedError, Reader, ReaderOptions};

/// What can be wrong with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// A line of a capture that became no message, though it should have.
    Refused,
    /// Codes, lengths or ends of messages that make no sense.
    Structure,
    /// Ids are missing.
    Gap,
    /// An id came twice, or after a higher one.
    Duplicate,
    /// A receive time that cannot be: far ahead of everything before it, or behind.
    Clock,
    /// A quote whose bid is not below its ask.
    Crossed,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 6] = [
        Fault::Refused,
        Fault::Structure,
        Fault::Gap,
        Fault::Duplicate,
        Fault::Clock,
        Fault::Crossed,
    ];

    /// The name, as it is allowed by.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Refused => "refused",
            Fault::Structure => "structure",
            Fault::Gap => "gap",
            Fault::Duplicate => "duplicate",
            Fault::Clock => "clock",
            Fault::Crossed => "crossed",
        }
    }
}

/// A fault and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub fault: Fault,
    /// Messages before the one it was seen in; `None` where there is no message.
    pub message: Option<u64>,
    /// Its receive time.
    pub ts_recv: Option<Timestamp>,
    /// Its instrument and kind, or file and line.
    pub place: String,
    /// What was seen.
    pub what: String,
}

/// What a check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Messages that were looked at.
    pub messages: u64,
    /// The first fault that is not allowed.
    pub violation: Option<Violation>,
    /// Where receive times go back.
    pub backwards: Backwards,
    /// Faults that are allowed, by how often they were seen.
    pub allowed: BTreeMap<Fault, u64>,
}

impl Checked {
    /// Reads files, merged, up to their first fault that is not allowed.
    pub fn read(
        paths: &[PathBuf],
        options: &ReaderOptions,
        allowed: &[Fault],
    ) -> Result<Checked, FeedError> {
        let options = ReaderOptions {
            keep_rejects: true,
            ..options.clone()
        };
        let mut reader = Reader::open(paths, &options)?;
        let mut check = Check::new(allowed);
        loop {
            let batch = reader.next()?;
            for (path, kept) in reader.take_rejects() {
                // An end that is cut off is one here, too: who checks a tape thinks that it is whole.
                if kept.reject.code.is_fault() || kept.reject.code == RejectCode::Truncated {
                    let place = format!("{}:{}", path.display(), kept.line);
                    check.found(Fault::Refused, None, place, kept.reject.to_string());
                }
            }
            let Some(batch) = batch else { break };
            if !check.batch(&batch) {
                break;
            }
        }
        Ok(check.checked)
    }
}

/// A check of messages as they come, up to the first fault that is not allowed.
#[derive(Debug)]
pub struct Check {
    checked: Checked,
    allowed: Vec<Fault>,
    sequencer: Sequencer,
    /// Up to where each book is known: its instrument's index, and the last id.
    books: BTreeMap<InstrumentId, u64>,
    /// Gives an instrument the same number in every batch.
    united: United,
}

impl Check {
    /// Nothing has been looked at.
    pub fn new(allowed: &[Fault]) -> Check {
        Check {
            checked: Checked::default(),
            allowed: allowed.to_vec(),
            sequencer: Sequencer::default(),
            books: BTreeMap::new(),
            united: United::default(),
        }
    }

    /// Looks at the next messages of a stream, in which each batch may number its instruments anew. `false`: a fault was found,
    /// and what follows is of no use.
    pub fn push(&mut self, batch: &EventBatch) -> Result<bool, FeedError> {
        let batch = self.united.numbered(batch)?;
        Ok(self.batch(&batch))
    }

    /// What was found so far.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    fn batch(&mut self, batch: &EventBatch) -> bool {
        if let Err(error) = batch.check_invariants() {
            let place = format!("from message {} on", self.checked.messages);
            self.found(Fault::Structure, None, place, error.to_string());
            return false;
        }
        for message in batch.messages() {
            if self.checked.violation.is_some() {
                break;
            }
            self.message(&message);
            self.checked.messages += 1;
        }
        self.checked.violation.is_none()
    }

    fn message(&mut self, message: &Message<'_>) {
        let before = self.checked.backwards.count;
        self.checked.backwards.pass(message.ts_recv);
        let goes_back = self.checked.backwards.count > before;
        let judged = self.sequencer.admit(message);
        match judged.admit {
            Admit::Gap {
                expected,
                got,
                missing,
            } => {
                let what = format!("id {got} where {expected} was expected: {missing} missing");
                self.seen(Fault::Gap, message, what);
            }
            Admit::Duplicate => {
                let what = format!("id {} came before", message.sequence);
                self.seen(Fault::Duplicate, message, what);
            }
            Admit::Late => self.seen(
                Fault::Clock,
                message,
                "a mark behind the newest time".into(),
            ),
            Admit::Reject(code) => self.seen(Fault::Clock, message, code.to_string()),
            Admit::Accept | Admit::OffBook => {}
        }
        // What came before happens at no time: its id says enough.
        if judged.moment != Moment::At(message.ts_recv) && judged.admit != Admit::Duplicate {
            let newest = self.sequencer.newest().unwrap_or(message.ts_recv);
            let apart = message.ts_recv.saturating_sub(newest) as f64 / 1e9;
            let joined = match goes_back {
                true => {
                    ": time goes back here, as where connections were written one after another"
                }
                false => "",
            };
            let what = format!("ts_recv is {apart:+.3} s from the newest time before it{joined}");
            self.seen(Fault::Clock, message, what);
        }
        match message.kind {
            Kind::BookDiff | Kind::BookSnapshot => self.book(message),
            Kind::Quote => self.quote(message),
            _ => {}
        }
    }

    fn book(&mut self, message: &Message<'_>) {
        let id = message.sequence;
        let known = self.books.entry(message.instrument).or_insert(id);
        let link = message.sequence_prev;
        let torn = message.kind == Kind::BookDiff && link != NO_RULE && *known < link;
        let before = *known;
        if id != NO_SEQUENCE {
            *known = id.max(before);
        }
        if torn {
            let what = format!("it follows id {link}, and the book is at {before}");
            self.seen(Fault::Gap, message, what);
        }
    }

    fn quote(&mut self, message: &Message<'_>) {
        let price = |side: Side| {
            let at = message.sides().iter().position(|&s| s == side.code())?;
            let there = message.qtys()[at] > 0;
            there.then(|| message.prices()[at])
        };
        if let (Some(bid), Some(ask)) = (price(Side::Bid), price(Side::Ask))
            && bid >= ask
        {
            let what = format!("bid {bid} and ask {ask}, as whole numbers at the price's scale");
            self.seen(Fault::Crossed, message, what);
        }
    }

    fn seen(&mut self, fault: Fault, message: &Message<'_>, what: String) {
        let id = message.instrument().map_or("-", |i| i.id.as_str());
        let place = format!("{id} {}", message.kind.name());
        let at = Some((self.checked.messages, message.ts_recv));
        self.found(fault, at, place, what);
    }

    fn found(&mut self, fault: Fault, at: Option<(u64, Timestamp)>, place: String, what: String) {
        if self.allowed.contains(&fault) {
            *self.checked.allowed.entry(fault).or_default() += 1;
        } else {
            self.checked.violation.get_or_insert(Violation {
                fault,
                message: at.map(|at| at.0),
                ts_recv: at.map(|at| at.1),
                place,
                what,
            });
        }
    }
}
