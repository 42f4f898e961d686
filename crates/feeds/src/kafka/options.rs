//! What to read of a topic, and how.

use signal_ingest::Venue;

use super::Payload;
use crate::FeedError;

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

/// Where a partition is begun of which nobody knows a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest message that is there.
    Oldest,
    /// Behind the newest.
    Newest,
    /// At the first message of this time or later, in milliseconds since 1970, as the messages themselves or the broker say it.
    Time {
        /// Milliseconds UTC.
        ms: i64,
    },
}

impl Begin {
    /// `oldest`, `newest`, or milliseconds.
    pub fn parse(text: &str) -> Result<Begin, FeedError> {
        match text {
            "oldest" => Ok(Begin::Oldest),
            "newest" => Ok(Begin::Newest),
            _ => match text.parse() {
                Ok(ms) if ms >= 0 => Ok(Begin::Time { ms }),
                _ => Err(FeedError::BadOption {
                    option: "begin",
                    what: format!("{text:?} is none of \"oldest\", \"newest\", milliseconds"),
                }),
            },
        }
    }
}

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
    /// Where a partition is begun of which nothing is known.
    pub begin: Begin,
    /// Whether what is in the topic when it is opened for the first time is history: the position says so.
    pub history: bool,
    /// Whether to end where the partitions ended when nothing more was there.
    pub to_end: bool,
    /// The topic to which messages are sent that could not be decoded.
    pub dead_letters: Option<String>,
    /// Properties of the client, as Kafka names them.
    pub properties: Vec<(String, String)>,
    /// Messages that are taken of a partition at a time, and about as many make a batch.
    pub batch_messages: usize,
}

impl KafkaOptions {
    /// All of a topic, oldest messages first, without end.
    pub fn new(servers: &str, topic: &str, payload: Payload) -> KafkaOptions {
        KafkaOptions {
            servers: servers.into(),
            topic: topic.into(),
            payload,
            venue: None,
            group: None,
            member: None,
            begin: Begin::Oldest,
            history: false,
            to_end: false,
            dead_letters: None,
            properties: Vec::new(),
            batch_messages: BATCH_MESSAGES,
        }
    }

    pub(super) fn check(&self) -> Result<(), FeedError> {
        let whole = [(self.to_end, "to_end"), (self.history, "history")];
        for (_, option) in whole.into_iter().filter(|(asked, _)| *asked) {
            if self.group.is_some() {
                let what = "of all partitions, and a group gives some of them".into();
                return Err(FeedError::BadOption { option, what });
            }
        }
        let tls = |(name, value): &&(String, String)| {
            let (name, value) = (name.as_str(), value.to_ascii_uppercase());
            name.starts_with("ssl.")
                || name == "security.protocol" && value.ends_with("SSL")
                || name.starts_with("sasl.mechanism") && value.starts_with("SCRAM")
        };
        match self.properties.iter().find(tls) {
            Some((name, value)) if !cfg!(feature = "kafka-tls") => Err(FeedError::BadOption {
                option: "properties",
                what: format!(
                    "{name}={value}: this build of the Kafka source has no TLS; build it with `make build CORE_FEATURES=kafka-tls`"
                ),
            }),
            _ => Ok(()),
        }
    }

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
