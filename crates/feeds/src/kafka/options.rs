//! What to read of a topic, and how.

use signal_ingest::Venue;

use super::Payload;
use super::position::KafkaPosition;

/// Properties of the client that the rest counts on.
const PROPERTIES: [(&str, &str); 9] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("enable.partition.eof", "true"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("partition.assignment.strategy", "cooperative-sticky"),
    // Without it a full queue is looked at again after a second.
    ("fetch.queue.backoff.ms", "1"),
    ("log_level", "0"),
    ("log.connection.close", "false"),
];

/// Messages that are taken at a time where nothing else is said.
pub const BATCH_MESSAGES: usize = 4_096;

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// `HOST:PORT`, several with commas.
    pub servers: String,
    /// The topic.
    pub topic: String,
    /// What its messages hold.
    pub payload: Payload,
    /// Whose frames they are, where they are such.
    pub venue: Option<Venue>,
    /// The consumer group that shares the topic's partitions among its members; `None` reads all of them.
    pub group: Option<String>,
    /// This member's name in the group: it keeps its partitions over a restart.
    pub member: Option<String>,
    /// Whether a partition of which nothing is known is read from its oldest message on, not from its newest.
    pub from_oldest: bool,
    /// Whether to end where the partitions ended when nothing more was there.
    pub to_end: bool,
    /// The topic to which messages are sent that could not be decoded.
    pub dead_letters: Option<String>,
    /// Properties of the client, as Kafka names them.
    pub properties: Vec<(String, String)>,
    /// Messages that are taken of a partition at a time, and about as many make a batch.
    pub batch_messages: usize,
    /// Where an earlier reading stood.
    pub position: Option<KafkaPosition>,
}

impl KafkaOptions {
    /// Properties of the consumer.
    pub(super) fn consumer(&self) -> Vec<(String, String)> {
        let group = self.group.as_deref().unwrap_or("signal-stream");
        let mut all = vec![
            ("bootstrap.servers".into(), self.servers.clone()),
            ("group.id".into(), group.into()),
        ];
        let member = self.member.clone();
        all.extend(member.map(|name| ("group.instance.id".into(), name)));
        all.extend(self.properties.iter().cloned());
        all.extend(PROPERTIES.map(own));
        all
    }

    /// Properties of the producer of dead letters.
    pub(super) fn producer(&self) -> Vec<(String, String)> {
        let mut all = vec![("bootstrap.servers".into(), self.servers.clone())];
        all.extend(self.properties.iter().cloned());
        all.extend([("enable.idempotence", "true"), ("log_level", "0")].map(own));
        all
    }
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.into(), value.into())
}
