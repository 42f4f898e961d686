//! A producer for few messages: what was set aside.

use std::ffi::{CString, c_int, c_void};
use std::ptr::null_mut;
use std::time::Duration;

use rdkafka_sys::bindings as rd;

use crate::KafkaError;
use crate::client::{Client, c_string};
use crate::error::NO_ERROR;

/// Sends messages to one topic; [`Producer::flush`] tells whether they are there.
pub struct Producer {
    client: Client,
    topic: CString,
}

impl Producer {
    /// A producer that has sent nothing. Nothing is connected while it is made.
    pub fn open(topic: &str, properties: &[(String, String)]) -> Result<Producer, KafkaError> {
        Ok(Producer {
            client: Client::new(rd::rd_kafka_type_t::RD_KAFKA_PRODUCER, properties, 0)?,
            topic: c_string(topic)?,
        })
    }

    /// Queues a message with one header a name; all bytes are copied.
    pub fn send(
        &mut self,
        key: &[u8],
        payload: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<(), KafkaError> {
        // SAFETY: the list of headers is taken over by the message if it is queued, and destroyed here if it is not; everything
        // else is copied (RD_KAFKA_MSG_F_COPY) before the call returns.
        unsafe {
            let list = rd::rd_kafka_headers_new(headers.len());
            for (name, value) in headers {
                let (name_size, value_size) = (name.len() as isize, value.len() as isize);
                rd::rd_kafka_header_add(
                    list,
                    name.as_ptr().cast(),
                    name_size as _,
                    value.as_ptr().cast(),
                    value_size as _,
                );
            }
            let (copy, end) = (
                rd::RD_KAFKA_MSG_F_COPY as c_int,
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END),
            );
            let code = rd::rd_kafka_producev(
                self.client.raw(),
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TOPIC),
                self.topic.as_ptr(),
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS),
                copy,
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY),
                key.as_ptr().cast::<c_void>(),
                key.len(),
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE),
                payload.as_ptr().cast::<c_void>(),
                payload.len(),
                vtype(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS),
                list,
                end,
                null_mut::<c_void>(),
            );
            if code != NO_ERROR {
                rd::rd_kafka_headers_destroy(list);
            }
            KafkaError::check(code)
        }
    }

    /// Waits until every message is at its place, for so long at most.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), KafkaError> {
        let wait = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive.
        KafkaError::check(unsafe { rd::rd_kafka_flush(self.client.raw(), wait) })
    }
}

fn vtype(kind: rd::rd_kafka_vtype_t) -> c_int {
    kind as c_int
}
