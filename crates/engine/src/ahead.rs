//! Receive time: when an arriving message happens, and those that wait until the next one shows when they do.

use crate::reorder::HeldMessage;
use signal_event::TapeFormat;
use signal_ingest::RUN;
use signal_kernels::state::{Exhausted, put_u64, take, take_u64};

/// Accepted messages in order of arrival, each with whether messages before it are lost.
///
/// Invariant: fewer than [`RUN`].
#[derive(Clone, Debug, Default)]
pub struct Ahead(pub(crate) Vec<(bool, HeldMessage)>);

impl Ahead {
    /// Number of messages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the messages.
    pub fn save(&self, out: &mut Vec<u8>) {
        put_u64(out, self.0.len() as u64);
        for (gap, held) in &self.0 {
            out.push((*gap).into());
            held.save(out);
        }
    }

    /// Reads what [`Ahead::save`] wrote. Instruments have numbers below `instruments`.
    pub fn load(
        bytes: &mut &[u8],
        format: TapeFormat,
        instruments: usize,
    ) -> Result<Self, Exhausted> {
        let count = take_u64(bytes)?;
        if count >= RUN {
            return Err(Exhausted);
        }
        let mut held = Vec::new();
        for _ in 0..count {
            let [gap] = take(bytes)?;
            held.push((gap != 0, HeldMessage::load(bytes, format, instruments)?));
        }
        Ok(Self(held))
    }
}

/// What happens now, before and with a message.
#[derive(Clone, Debug)]
pub struct Released {
    /// Time, whether messages before it are lost, and message; the next one stands last.
    pub(crate) held: Vec<(i64, bool, HeldMessage)>,
    /// The same of the message itself, if it happens now.
    pub(crate) then: Option<(i64, bool)>,
}
