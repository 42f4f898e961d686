//! Lists of partitions with offsets.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr::NonNull;

use rdkafka_sys::bindings as rd;

use crate::KafkaError;

/// What a group committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The partition.
    pub partition: i32,
    /// The next offset to be read; `None` if nothing was committed.
    pub offset: Option<i64>,
    /// What was noted beside it.
    pub note: String,
}

/// A list that is ours.
pub(crate) struct Offsets(NonNull<rd::rd_kafka_topic_partition_list_t>);

impl Offsets {
    pub(crate) fn of(topic: &CStr, entries: &[(i32, i64)]) -> Option<Offsets> {
        // SAFETY: the list is fresh, and each entry is written while nobody else has it.
        unsafe {
            let size = i32::try_from(entries.len()).ok()?;
            let list = Offsets(NonNull::new(rd::rd_kafka_topic_partition_list_new(size))?);
            for &(partition, offset) in entries {
                let entry =
                    rd::rd_kafka_topic_partition_list_add(list.raw(), topic.as_ptr(), partition);
                (*entry).offset = offset;
            }
            Some(list)
        }
    }

    /// Notes something beside an entry, by its index.
    pub(crate) fn note(&mut self, index: usize, note: &CStr) {
        // SAFETY: the list owns a note that `malloc` made, and frees it with itself.
        unsafe {
            let list = self.0.as_mut();
            if index < list.cnt as usize {
                let entry = &mut *list.elems.add(index);
                entry.metadata = libc::strdup(note.as_ptr()).cast();
                entry.metadata_size = if entry.metadata.is_null() {
                    0
                } else {
                    note.to_bytes().len()
                };
            }
        }
    }

    pub(crate) fn raw(&self) -> *mut rd::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }

    /// The offset that the client noted at each entry; one below zero stands for an end of the partition.
    pub(crate) fn offsets(&self) -> BTreeMap<i32, i64> {
        // SAFETY: the list is alive, and its entries are as many as it says.
        let entries = unsafe { entries(self.raw()) }.iter();
        entries
            .map(|entry| (entry.partition, entry.offset))
            .collect()
    }

    /// The first error that the client noted at an entry.
    pub(crate) fn check(&self) -> Result<(), KafkaError> {
        // SAFETY: the list is alive, and its entries are as many as it says.
        let mut entries = unsafe { entries(self.raw()) }.iter();
        entries.try_for_each(|entry| KafkaError::check(entry.err))
    }

    pub(crate) fn committed(&self) -> Vec<Committed> {
        // SAFETY: the list is alive, and its entries are as many as it says.
        unsafe { entries(self.raw()) }
            .iter()
            .map(|entry| Committed {
                partition: entry.partition,
                offset: (entry.offset >= 0).then_some(entry.offset),
                // SAFETY: a note is a text that the client ended with a zero, of the size it says.
                note: unsafe { note_of(entry) },
            })
            .collect()
    }
}

impl Drop for Offsets {
    fn drop(&mut self) {
        // SAFETY: its only owner.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.raw()) }
    }
}

/// The entries of a list.
///
/// # Safety
/// `list` is null or alive for 'a.
pub(crate) unsafe fn entries<'a>(
    list: *const rd::rd_kafka_topic_partition_list_t,
) -> &'a [rd::rd_kafka_topic_partition_t] {
    if list.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe {
        let list = &*list;
        if list.elems.is_null() {
            return &[];
        }
        std::slice::from_raw_parts(list.elems, list.cnt as usize)
    }
}

/// # Safety
/// The entry is alive.
unsafe fn note_of(entry: &rd::rd_kafka_topic_partition_t) -> String {
    if entry.metadata.is_null() || entry.metadata_size == 0 {
        return String::new();
    }
    // SAFETY: so many bytes lie there.
    let bytes =
        unsafe { std::slice::from_raw_parts(entry.metadata.cast::<u8>(), entry.metadata_size) };
    String::from_utf8_lossy(bytes).into_owned()
}
