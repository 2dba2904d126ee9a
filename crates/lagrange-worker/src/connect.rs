//! Reaching the coordinator: again and again, with pauses that grow and differ from worker to worker.

use crate::session::{WorkerError, WorkerOptions};
use lagrange_protocol::limits::{
    CONNECT_TIMEOUT, FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, WINDOW_BYTES,
};
use std::future::Future;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::time::Duration;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

/// First pause between attempts; each is twice as long as the last, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection in the making.
pub type Connecting =
    Pin<Box<dyn Future<Output = Result<Channel, tonic::transport::Error>> + Send>>;

/// How an endpoint is connected to.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Connects to `endpoint`.
    fn dial(&self, endpoint: Endpoint) -> Connecting;
}

/// Over TCP.
#[derive(Debug)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, endpoint: Endpoint) -> Connecting {
        Box::pin(async move { endpoint.connect().await })
    }
}

/// The pauses of one worker.
#[derive(Debug)]
pub(crate) struct Pauses {
    name: u64,
    attempt: u32,
}

impl Pauses {
    pub(crate) fn new(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self {
            name: hasher.finish(),
            attempt: 0,
        }
    }

    /// The next pause: between half and all of the doubled one, as the worker's name and the attempt decide, so that workers that lost the coordinator together
    /// do not all come back together.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = FIRST_PAUSE
            .saturating_mul(1 << self.attempt.min(16))
            .min(LONGEST_PAUSE);
        let mut hasher = DefaultHasher::new();
        (self.name, self.attempt).hash(&mut hasher);
        self.attempt += 1;
        let share = 0.5 + 0.5 * (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
        doubled.mul_f64(share)
    }
}

/// The coordinator's endpoint.
pub(crate) fn endpoint(
    address: &str,
    tls: Option<&ClientTlsConfig>,
) -> Result<Endpoint, WorkerError> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .ok()
        .filter(|endpoint| endpoint.uri().port().is_some())
        .ok_or_else(|| WorkerError::BadAddress {
            address: address.to_owned(),
        })?
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    match tls {
        Some(tls) => endpoint
            .tls_config(tls.clone())
            .map_err(|error| WorkerError::Certificates(root_cause(&error))),
        None => Ok(endpoint),
    }
}

/// Connects, trying for as long as `patience`.
pub(crate) async fn connect(
    options: &WorkerOptions,
    patience: Duration,
) -> Result<Channel, WorkerError> {
    let address = &options.coordinator;
    let endpoint = endpoint(address, options.security.tls.as_ref())?;
    let deadline = tokio::time::Instant::now() + patience;
    let mut pauses = Pauses::new(&options.name);
    loop {
        // Simulated and cut networks may leave a connection attempt without any answer.
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, options.dial.dial(endpoint.clone()));
        let cause = match attempt.await {
            Ok(Ok(channel)) => return Ok(channel),
            Ok(Err(error)) => root_cause(&error),
            Err(_) => "no answer".to_owned(),
        };
        let pause = pauses.next();
        if tokio::time::Instant::now() + pause >= deadline {
            return Err(WorkerError::Unreachable {
                address: address.clone(),
                seconds: patience.as_secs(),
                cause,
            });
        }
        tokio::time::sleep(pause).await;
    }
}

/// The innermost error: "transport error" alone helps nobody.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_workers() {
        let (mut one, mut other) = (Pauses::new("one"), Pauses::new("other"));
        let mut doubled = FIRST_PAUSE;
        for _ in 0..12 {
            let (pause, elsewhere) = (one.next(), other.next());
            assert!(pause >= doubled / 2 && pause <= doubled, "{pause:?}");
            assert_ne!(pause, elsewhere);
            doubled = (2 * doubled).min(LONGEST_PAUSE);
        }
    }
}
