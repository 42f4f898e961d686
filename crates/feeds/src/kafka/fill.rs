//! Messages that have arrived to events, and what becomes of those that are none.

use std::time::Instant;

use signal_kafka::KafkaError;

use super::partition::{End, Head, Partition};
use super::refused::Refused;
use super::topic::{ANSWER, Topic};
use crate::FeedError;

impl Topic {
    /// Decodes what has arrived of partitions that have nothing left to give.
    pub(super) fn fill(&mut self) {
        let Topic {
            partitions,
            consumer,
            payloads,
            options,
            trouble,
            refused,
            failed,
            ..
        } = self;
        for (&number, partition) in partitions.iter_mut() {
            if partition.head.is_some() || failed.is_some() {
                continue;
            }
            partition.caught_up |= partition.at_end;
            let Partition {
                inputs,
                messages,
                rejects,
                ..
            } = partition;
            let mut ends = Vec::with_capacity(options.batch_messages);
            let (keeps, from) = (options.dead_letters.is_some(), *inputs);
            let taken = consumer.take(number, options.batch_messages, |record| {
                *inputs += 1;
                match payloads.add(record) {
                    Ok(()) => {}
                    Err(reject) => {
                        if keeps && reject.code.is_fault() {
                            refused.push(Refused {
                                partition: number,
                                offset: record.offset(),
                                key: record.key().to_vec(),
                                payload: record.payload().to_vec(),
                                why: reject.to_string(),
                            });
                        }
                        let line = u64::try_from(record.offset()).unwrap_or(0);
                        rejects.add(line, reject, record.payload());
                    }
                }
                ends.push(End {
                    rows: payloads.rows(),
                    next: record.offset() + 1,
                });
            });
            let batch = payloads.take();
            let used = batch.message_count() as u64;
            *messages += used;
            if *inputs > from {
                *trouble = None;
            }
            let taken = match taken {
                Ok(taken) => taken,
                Err(error) if is_fatal(&error) => {
                    let place = format!("{}/{number}", options.topic);
                    *failed = Some(FeedError::kafka(&place, error));
                    Default::default()
                }
                Err(error) => {
                    *trouble = Some(error);
                    Default::default()
                }
            };
            if ends.is_empty() {
                partition.at_end |= taken.end;
            } else {
                partition.at_end = taken.end;
                partition.head = Some(Head {
                    batch,
                    row: 0,
                    ends: ends.into(),
                    at: 0,
                });
                partition.begin_head();
            }
            let silent = partition.head.is_none() && !partition.at_end;
            partition.silent_since =
                silent.then(|| partition.silent_since.unwrap_or_else(Instant::now));
        }
    }

    /// Sends what was refused to the topic for it, and waits until it is there: the reading goes on behind it.
    pub(super) fn set_aside(&mut self) -> Result<(), FeedError> {
        let Some(producer) = self
            .dead_letters
            .as_mut()
            .filter(|_| !self.refused.is_empty())
        else {
            self.refused.clear();
            return Ok(());
        };
        let topic = &self.options.topic;
        let mut send = || {
            for each in &self.refused {
                let (partition, offset) = (each.partition.to_string(), each.offset.to_string());
                let headers = [
                    ("topic", topic.as_str()),
                    ("partition", partition.as_str()),
                    ("offset", offset.as_str()),
                    ("reason", each.why.as_str()),
                ];
                producer.send(&each.key, &each.payload, &headers)?;
            }
            producer.flush(ANSWER)
        };
        let sent = send();
        let dead_letters = self.options.dead_letters.as_deref().unwrap_or_default();
        sent.map_err(|error| FeedError::kafka(dead_letters, error))?;
        self.refused.clear();
        Ok(())
    }
}

/// Errors after which messages would be missing.
fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.name.as_str(),
        "_AUTO_OFFSET_RESET"
            | "OFFSET_OUT_OF_RANGE"
            | "UNKNOWN_TOPIC_OR_PART"
            | "_UNKNOWN_TOPIC"
            | "_UNKNOWN_PARTITION"
            | "TOPIC_AUTHORIZATION_FAILED"
            | "_FATAL"
    )
}
