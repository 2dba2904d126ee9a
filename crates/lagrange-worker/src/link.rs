//! One attempt to reach the coordinator: the connection, TLS, HTTP/2.

use crate::dial::{Connection, uri};
use crate::error::WorkerError;
use crate::options::WorkerOptions;
use crate::verdict;
use crate::watched::{Notes, Watched};
use hyper_util::rt::TokioIo;
use lagrange_protocol::Address;
use lagrange_protocol::certificates::speaks_http2;
use lagrange_protocol::limits::{
    FRAME_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, WINDOW_BYTES,
};
use std::io;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint};

/// Description of a peer that accepts a connection but sends nothing.
pub(crate) const SILENT: &str = "it accepted the connection, but did not answer";

/// An open connection to a coordinator, not yet verified by its first message.
pub(crate) struct Link {
    /// Channel for requests.
    pub(crate) channel: Channel,
    address: Address,
    encrypted: bool,
    notes: Notes,
}

impl Link {
    /// Connects, by `deadline` at the latest.
    pub(crate) async fn open(
        options: &WorkerOptions,
        deadline: Instant,
    ) -> Result<Self, WorkerError> {
        let address = &options.coordinator;
        let dialled = timeout_at(deadline, options.dial.dial(address))
            .await
            .map_err(|_| WorkerError::Lost("no answer".to_owned()))?
            .map_err(|error| WorkerError::Lost(root_cause(&error)))?;
        let notes = Notes::default();
        let plain = Watched::new(dialled, notes.clone());
        let connection: Box<dyn Connection> = match &options.security.tls {
            None => Box::new(plain),
            Some(config) => timeout_at(deadline, encrypted(plain, address, config, &notes))
                .await
                .map_err(|_| WorkerError::Lost(SILENT.to_owned()))??,
        };
        Ok(Self {
            channel: channel(address, connection).await?,
            address: address.clone(),
            encrypted: options.security.tls.is_some(),
            notes,
        })
    }

    /// Explains an error from before the coordinator's first valid message.
    pub(crate) fn explain(&self, error: WorkerError) -> WorkerError {
        let WorkerError::Lost(cause) = error else {
            return error;
        };
        let verdict = if self.encrypted {
            let alert = self.notes.alert();
            alert.map(|alert| verdict::of_alert(&self.address, alert))
        } else {
            verdict::of_plain_text(&self.address, self.notes.spoken())
        };
        verdict.unwrap_or_else(|| {
            WorkerError::Lost(match (self.notes.is_silent(), self.notes.has_ended()) {
                (true, true) => "it closed the connection without a word".to_owned(),
                (true, false) => SILENT.to_owned(),
                (false, _) => cause,
            })
        })
    }
}

/// Opens TLS on a connection. The decrypted stream is watched too, since alerts come encrypted.
async fn encrypted(
    plain: Watched<Box<dyn Connection>>,
    address: &Address,
    config: &Arc<ClientConfig>,
    notes: &Notes,
) -> Result<Box<dyn Connection>, WorkerError> {
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector
        .connect(address.host.server_name(), plain)
        .await
        .map_err(|error| verdict::of_handshake(address, &error, notes.spoken()))?;
    if !speaks_http2(stream.get_ref().1) {
        return Err(verdict::other_tls(address, "without HTTP/2"));
    }
    Ok(Box::new(Watched::new(stream, notes.clone())))
}

/// Opens HTTP/2 on a connection.
async fn channel(
    address: &Address,
    connection: Box<dyn Connection>,
) -> Result<Channel, WorkerError> {
    let endpoint = Endpoint::from(uri(address))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    let mut connection = Some(TokioIo::new(connection));
    // The search makes further attempts, not the channel.
    let once = tower::service_fn(move |_| {
        let connection = connection.take();
        std::future::ready(connection.ok_or(io::Error::from(io::ErrorKind::NotConnected)))
    });
    let connected = endpoint.connect_with_connector(once).await;
    connected.map_err(|error| WorkerError::Lost(root_cause(&error)))
}

/// The innermost error: "transport error" alone helps nobody.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
