//! Where receive times go back: several connections, one written after another.

use signal_event::{EventBatch, Timestamp};

/// How often, and how far, receive times go back from one message to the next.
///
/// Whoever reads such a stream takes what lies before the newest time as known at the newest, or begins anew: what is in order
/// within each connection is not in order of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backwards {
    /// Messages whose receive time lies before that of the message in front of them.
    pub count: u64,
    /// The farthest that it went back, in nanoseconds.
    pub most_ns: i64,
    /// Messages before the first of them.
    pub first: Option<u64>,
    messages: u64,
    before: Option<Timestamp>,
}

impl Backwards {
    /// Looks at the next messages.
    pub fn see(&mut self, batch: &EventBatch) {
        for message in batch.messages() {
            self.pass(message.ts_recv);
        }
    }

    /// Looks at the receive time of the next message.
    #[inline]
    pub fn pass(&mut self, ts_recv: Timestamp) {
        if let Some(before) = self.before
            && ts_recv < before
        {
            self.count += 1;
            self.most_ns = self.most_ns.max(before.saturating_sub(ts_recv));
            self.first.get_or_insert(self.messages);
        }
        self.before = Some(ts_recv);
        self.messages += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_back_is_counted_and_not_what_follows_it() {
        let mut seen = Backwards::default();
        for ts in [10, 20, 20, 5, 6, 7, 30, 29, 40] {
            seen.pass(ts);
        }
        assert_eq!((seen.count, seen.most_ns, seen.first), (2, 15, Some(3)));
    }
}
