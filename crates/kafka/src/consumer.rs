//! The consumer of one topic.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys::bindings as rd;

use crate::bell::Bell;
use crate::client::{Client, c_string};
use crate::error::{NO_ERROR, text_of};
use crate::offsets::{Offsets, entries};
use crate::queue::Queue;
use crate::record::Owned;
use crate::{Committed, KafkaError, Record};

/// librdkafka's number for "whichever".
const UNASSIGNED: i32 = -1;

/// Where reading a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message that is there.
    Oldest,
    /// Behind the newest.
    Newest,
    /// At this offset: an error if it is not there any more.
    At(i64),
}

impl Start {
    fn offset(self) -> i64 {
        match self {
            Start::Oldest => i64::from(rd::RD_KAFKA_OFFSET_BEGINNING),
            Start::Newest => i64::from(rd::RD_KAFKA_OFFSET_END),
            Start::At(offset) => offset,
        }
    }
}

/// What happened beside messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group gives these partitions: answer with [`Consumer::accept`].
    Assigned(Vec<i32>),
    /// The group takes these: answer with [`Consumer::release`]. `lost` says that others may read them already.
    Revoked {
        /// Which.
        partitions: Vec<i32>,
        /// Whether nothing can be committed any more.
        lost: bool,
    },
    /// Something is wrong; the client goes on trying.
    Trouble(KafkaError),
}

/// What one [`Consumer::take`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Messages given.
    pub messages: usize,
    /// Whether the partition's end was reached behind them.
    pub end: bool,
}

/// How long the client's own thread may take to move a partition.
const SEEK: Duration = Duration::from_secs(10);

/// Reads partitions of one topic, each through a queue of its own.
///
/// Invariants: `partitions` holds those that are assigned; a message is destroyed after it was looked at.
pub struct Consumer {
    // Fields are dropped in this order: queues before their client.
    partitions: BTreeMap<i32, Reading>,
    main: Queue,
    client: Client,
    topic: CString,
    bell: Arc<Bell>,
    room: Vec<*mut rd::rd_kafka_message_t>,
}

/// A partition that is read.
struct Reading {
    queue: Queue,
    /// The offset behind everything that was taken; `None` before anything was.
    next: Option<i64>,
}

// SAFETY: the pointers in `room` are not used between calls; everything else may be used from any thread.
unsafe impl Send for Consumer {}

impl Consumer {
    /// A consumer that reads nothing yet. Nothing is connected while it is made.
    pub fn open(topic: &str, properties: &[(String, String)]) -> Result<Consumer, KafkaError> {
        let events = rd::RD_KAFKA_EVENT_REBALANCE | rd::RD_KAFKA_EVENT_ERROR;
        let client = Client::new(rd::rd_kafka_type_t::RD_KAFKA_CONSUMER, properties, events)?;
        let bell = Arc::new(Bell::default());
        // SAFETY: the client is alive; the queue is a new reference, taken over here.
        let main = unsafe {
            KafkaError::check(rd::rd_kafka_poll_set_consumer(client.raw()))?;
            Queue::of(rd::rd_kafka_queue_get_consumer(client.raw()), &bell)
        };
        let main = main.ok_or_else(|| KafkaError::new("_UNKNOWN_GROUP", "no group.id is set"))?;
        Ok(Consumer {
            partitions: BTreeMap::new(),
            main,
            client,
            topic: c_string(topic)?,
            bell,
            room: Vec::new(),
        })
    }

    /// The topic's partitions, as a broker says.
    pub fn partitions(&self, timeout: Duration) -> Result<Vec<i32>, KafkaError> {
        // SAFETY: topic and metadata are ours until they are destroyed here; what is read of them is copied.
        unsafe {
            let topic = rd::rd_kafka_topic_new(self.client.raw(), self.topic.as_ptr(), null_mut());
            let mut found: *const rd::rd_kafka_metadata = std::ptr::null();
            let code = rd::rd_kafka_metadata(self.client.raw(), 0, topic, &mut found, ms(timeout));
            rd::rd_kafka_topic_destroy(topic);
            KafkaError::check(code)?;
            let of_topic = &*(*found).topics;
            let listed = KafkaError::check(of_topic.err).map(|()| {
                let all =
                    (0..of_topic.partition_cnt as usize).map(|i| &*of_topic.partitions.add(i));
                all.map(|partition| partition.id).collect()
            });
            rd::rd_kafka_metadata_destroy(found);
            listed
        }
    }

    /// Joins the group of the properties: partitions come as [`Event::Assigned`].
    pub fn subscribe(&mut self) -> Result<(), KafkaError> {
        let list = self.list(&[(UNASSIGNED, 0)])?;
        // SAFETY: client and list are alive.
        KafkaError::check(unsafe { rd::rd_kafka_subscribe(self.client.raw(), list.raw()) })
    }

    /// Reads these partitions, without a group.
    pub fn assign(&mut self, starts: &[(i32, Start)]) -> Result<(), KafkaError> {
        let list = self.starting(starts)?;
        // SAFETY: client and list are alive.
        KafkaError::check(unsafe { rd::rd_kafka_assign(self.client.raw(), list.raw()) })
    }

    /// Reads also these, which the group gave.
    pub fn accept(&mut self, starts: &[(i32, Start)]) -> Result<(), KafkaError> {
        let list = self.starting(starts)?;
        // SAFETY: client and list are alive; the error is taken over.
        unsafe {
            KafkaError::take(rd::rd_kafka_incremental_assign(
                self.client.raw(),
                list.raw(),
            ))
        }
    }

    /// Reads these no more.
    pub fn release(&mut self, partitions: &[i32]) -> Result<(), KafkaError> {
        let entries: Vec<(i32, i64)> = partitions.iter().map(|&each| (each, 0)).collect();
        for partition in partitions {
            self.partitions.remove(partition);
        }
        let list = self.list(&entries)?;
        // SAFETY: client and list are alive; the error is taken over.
        unsafe {
            KafkaError::take(rd::rd_kafka_incremental_unassign(
                self.client.raw(),
                list.raw(),
            ))
        }
    }

    /// What happened; `None` if nothing did. Called often, also where there is nothing to read: the group counts on it.
    pub fn event(&mut self) -> Result<Option<Event>, KafkaError> {
        loop {
            // SAFETY: the event is ours until it is destroyed; what is read of it is copied.
            let found = unsafe {
                let event = rd::rd_kafka_queue_poll(self.main.raw(), 0);
                if event.is_null() {
                    return Ok(None);
                }
                let found = self.seen(event);
                rd::rd_kafka_event_destroy(event);
                found
            };
            match &found {
                None => continue,
                Some(Event::Assigned(_)) => self.seek(&[])?,
                Some(Event::Revoked { partitions, .. }) => self.seek(partitions)?,
                Some(Event::Trouble(_)) => {}
            }
            return Ok(found);
        }
    }

    /// Has every partition but these go on behind what was taken of it.
    ///
    /// The client pauses all partitions when the group changes, and remembers for each where it stands: one too far where the last
    /// thing that was taken is the mark of the partition's end, which it counts as a message. Until the change is answered they stay
    /// paused, so nothing is fetched from the wrong place in between.
    fn seek(&self, but: &[i32]) -> Result<(), KafkaError> {
        let kept = self.partitions.iter();
        let entries: Vec<(i32, i64)> = kept
            .filter(|(partition, _)| !but.contains(partition))
            .filter_map(|(&partition, reading)| Some((partition, reading.next?)))
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let list = self.list(&entries)?;
        // SAFETY: client and list are alive; the error is taken over.
        unsafe {
            KafkaError::take(rd::rd_kafka_seek_partitions(
                self.client.raw(),
                list.raw(),
                ms(SEEK),
            ))?;
        }
        list.check()
    }

    /// Gives the messages of a partition that have arrived, `room` at most, to `look`. Does not wait.
    pub fn take(
        &mut self,
        partition: i32,
        room: usize,
        mut look: impl FnMut(&Record<'_>),
    ) -> Result<Taken, KafkaError> {
        let Some(reading) = self.partitions.get_mut(&partition) else {
            return Ok(Taken::default());
        };
        self.room.clear();
        self.room.reserve(room);
        // SAFETY: there is room for so many pointers, and as many as are said are written.
        let count = unsafe {
            let count = rd::rd_kafka_consume_batch_queue(
                reading.queue.raw(),
                0,
                self.room.as_mut_ptr(),
                room,
            );
            let count = usize::try_from(count).unwrap_or(0);
            self.room.set_len(count);
            count
        };
        let mut taken = Taken::default();
        let mut wrong = None;
        for i in 0..count {
            let Some(message) = NonNull::new(self.room[i]).map(Owned) else {
                continue;
            };
            match message.raw().err {
                NO_ERROR => {
                    taken.messages += 1;
                    taken.end = false;
                    reading.next = Some(message.raw().offset + 1);
                    look(&Record(&message));
                }
                rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    taken.end = true;
                    reading.next = Some(message.raw().offset);
                }
                code => {
                    let said = message.raw();
                    let mut error = KafkaError::of(code);
                    // SAFETY: a text of the message, or of the code.
                    let more = unsafe { text_of(rd::rd_kafka_message_errstr(said)) };
                    if !more.is_empty() {
                        error.text = more;
                    }
                    wrong = wrong.or(Some(error));
                }
            }
        }
        match wrong {
            Some(error) => Err(error),
            None => Ok(taken),
        }
    }

    /// Waits until something may have arrived, for so long at most.
    pub fn wait(&self, timeout: Duration) {
        self.bell.wait(timeout);
    }

    /// What the group committed of these partitions.
    pub fn committed(
        &self,
        partitions: &[i32],
        timeout: Duration,
    ) -> Result<Vec<Committed>, KafkaError> {
        let entries: Vec<(i32, i64)> = partitions.iter().map(|&each| (each, 0)).collect();
        let list = self.list(&entries)?;
        // SAFETY: client and list are alive.
        KafkaError::check(unsafe {
            rd::rd_kafka_committed(self.client.raw(), list.raw(), ms(timeout))
        })?;
        Ok(list.committed())
    }

    /// The offset of the first message of a time or later, in milliseconds since 1970; behind the newest where there is none.
    pub fn offsets_at(
        &self,
        partitions: &[i32],
        time_ms: i64,
        timeout: Duration,
    ) -> Result<BTreeMap<i32, i64>, KafkaError> {
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let entries: Vec<(i32, i64)> = partitions.iter().map(|&each| (each, time_ms)).collect();
        let list = self.list(&entries)?;
        // SAFETY: client and list are alive.
        KafkaError::check(unsafe {
            rd::rd_kafka_offsets_for_times(self.client.raw(), list.raw(), ms(timeout))
        })?;
        list.check()?;
        Ok(list.offsets())
    }

    /// Commits the next offsets to be read, each with a note. `waits` until the group has them; else they are on their way.
    pub fn commit(&self, offsets: &[(i32, i64, String)], waits: bool) -> Result<(), KafkaError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let entries: Vec<(i32, i64)> = offsets.iter().map(|&(p, offset, _)| (p, offset)).collect();
        let mut list = self.list(&entries)?;
        for (index, (.., note)) in offsets.iter().enumerate() {
            if !note.is_empty() {
                list.note(index, &c_string(note)?);
            }
        }
        // SAFETY: client and list are alive.
        KafkaError::check(unsafe {
            rd::rd_kafka_commit(self.client.raw(), list.raw(), i32::from(!waits))
        })
    }

    /// Whether the group has given our partitions to others: nothing can be committed any more.
    pub fn is_lost(&self) -> bool {
        // SAFETY: the client is alive.
        unsafe { rd::rd_kafka_assignment_lost(self.client.raw()) != 0 }
    }

    /// The end of a partition, as far as the client was told: the offset behind its newest message. `None` if it was not.
    pub fn end_of(&self, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (0, 0);
        // SAFETY: both are places for an answer.
        let code = unsafe {
            rd::rd_kafka_get_watermark_offsets(
                self.client.raw(),
                self.topic.as_ptr(),
                partition,
                &mut low,
                &mut high,
            )
        };
        (code == NO_ERROR && high >= 0).then_some(high)
    }

    fn starting(&mut self, starts: &[(i32, Start)]) -> Result<Offsets, KafkaError> {
        for &(partition, _) in starts {
            // SAFETY: the client is alive; the queue is a new reference, taken over here. Its messages stay in it instead of being
            // sent on to the main one.
            unsafe {
                let queue = rd::rd_kafka_queue_get_partition(
                    self.client.raw(),
                    self.topic.as_ptr(),
                    partition,
                );
                if let Some(queue) = Queue::of(queue, &self.bell) {
                    rd::rd_kafka_queue_forward(queue.raw(), null_mut());
                    let reading = Reading { queue, next: None };
                    self.partitions.insert(partition, reading);
                }
            }
        }
        let entries: Vec<(i32, i64)> = starts
            .iter()
            .map(|&(partition, start)| (partition, start.offset()))
            .collect();
        self.list(&entries)
    }

    fn list(&self, entries: &[(i32, i64)]) -> Result<Offsets, KafkaError> {
        Offsets::of(&self.topic, entries)
            .ok_or_else(|| KafkaError::new("_INVALID_ARG", "too many partitions"))
    }

    /// What an event says; `None` for one that says nothing to us.
    ///
    /// # Safety
    /// The event is alive.
    unsafe fn seen(&self, event: *mut rd::rd_kafka_event_t) -> Option<Event> {
        // SAFETY: the caller's promise; lists and texts belong to the event and are copied.
        unsafe {
            let kind = rd::rd_kafka_event_type(event);
            let code = rd::rd_kafka_event_error(event);
            if kind == rd::RD_KAFKA_EVENT_REBALANCE {
                let list = rd::rd_kafka_event_topic_partition_list(event);
                let partitions = entries(list).iter().map(|each| each.partition).collect();
                return Some(match code {
                    rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                        Event::Assigned(partitions)
                    }
                    _ => Event::Revoked {
                        partitions,
                        lost: self.is_lost(),
                    },
                });
            }
            if code == NO_ERROR {
                return None;
            }
            let mut error = KafkaError::of(code);
            let more = text_of(rd::rd_kafka_event_error_string(event));
            if !more.is_empty() {
                error.text = more;
            }
            Some(Event::Trouble(error))
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.partitions.clear();
        // SAFETY: the client is alive; it leaves its group here, and is destroyed with the fields.
        unsafe {
            rd::rd_kafka_consumer_close(self.client.raw());
        }
    }
}

fn ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
