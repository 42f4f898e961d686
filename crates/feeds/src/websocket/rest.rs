//! One request by HTTP, for a whole book.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::tls;
use crate::FeedError;

/// What a venue answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestAnswer {
    /// The HTTP status.
    pub status: u16,
    /// How long not to ask again, where it says so.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// Asks a venue by HTTP. Called on a thread that may wait; implement it to go another way than [`Https`] does, or to
/// answer without a network.
pub trait Rest: Send + Sync {
    /// Gets what is at a URL; an error in words where there is no answer.
    fn get(&self, url: &str) -> Result<RestAnswer, String>;

    /// The answer to a request (POST) without a body, at a URL.
    fn post(&self, url: &str) -> Result<RestAnswer, String>;
}

/// How long a request may take in all.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// HTTP/1.1 over TLS, whose certificates are verified; `http://` too, for this machine.
pub struct Https {
    agent: Agent,
    body_bytes_max: u64,
}

impl Https {
    /// A client that trusts the certificates of a PEM text, or Mozilla's where there is none.
    pub fn new(ca: Option<&[u8]>, body_bytes_max: u64) -> Result<Https, FeedError> {
        let roots = match ca {
            None => RootCerts::WebPki,
            Some(pem) => {
                let certificates = tls::certificates(pem)?;
                let own = certificates
                    .iter()
                    .map(|each| Certificate::from_der(each).to_owned());
                RootCerts::Specific(Arc::new(own.collect()))
            }
        };
        let config = Agent::config_builder()
            .timeout_global(Some(REQUEST_MAX))
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .user_agent(concat!("signal-stream/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Https {
            agent: config.into(),
            body_bytes_max,
        })
    }
}

impl Https {
    fn answer(&self, response: Result<Response<Body>, ureq::Error>) -> Result<RestAnswer, String> {
        let mut response = response.map_err(|error| error.to_string())?;
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| seconds(value.as_bytes()));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(self.body_bytes_max);
        Ok(RestAnswer {
            status,
            retry_after,
            body: body.read_to_vec().map_err(|error| error.to_string())?,
        })
    }
}

impl Rest for Https {
    fn get(&self, url: &str) -> Result<RestAnswer, String> {
        self.answer(self.agent.get(url).call())
    }

    fn post(&self, url: &str) -> Result<RestAnswer, String> {
        self.answer(self.agent.post(url).send_empty())
    }
}

/// The whole seconds of a `Retry-After`; a date is not read.
pub(super) fn seconds(value: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
