//! Session of a worker: find the coordinator, shake hands, take work until the run is over. A lost
//! coordinator is searched for again.

mod handshake;
mod stream;

use crate::connect::Search;
use crate::error::WorkerError;
use crate::options::WorkerOptions;
use handshake::Worker;
use std::future::Future;
use std::pin::Pin;

/// Runs a worker until its run is over, or until `stop` resolves and all outstanding work is answered.
///
/// # Errors
/// [`WorkerError`] if the worker cannot join or continue the run.
pub async fn run(
    options: WorkerOptions,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), WorkerError> {
    let mut stop = Stop {
        signal: Box::pin(stop),
        came: false,
    };
    let mut worker = Worker::prepare(options).await?;
    let mut search = Search::new(worker.options());
    loop {
        let opened = tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            opened = worker.open(search.deadline()) => opened,
        };
        let cause = match opened {
            Ok((session, incoming)) => {
                let ended = session.serve(incoming, &mut stop).await;
                search = Search::new(worker.options());
                match ended {
                    Err(WorkerError::Lost(cause)) if !stop.came => {
                        tracing::warn!(
                            coordinator = %worker.options().coordinator,
                            reason = cause,
                            "lost the coordinator; dialling again"
                        );
                        cause
                    }
                    Err(WorkerError::Lost(_)) | Ok(()) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            // The coordinator, or a successor, may come back soon.
            Err(WorkerError::Lost(cause)) => cause,
            Err(error) => return Err(error),
        };
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(()),
            waited = search.pause(cause) => waited?,
        }
    }
}

/// Stop signal; resolves once.
struct Stop<'a> {
    signal: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    came: bool,
}

impl Stop<'_> {
    /// Waits for the signal; once it has come, waits for ever.
    async fn wait(&mut self) {
        if self.came {
            std::future::pending::<()>().await;
        }
        self.signal.as_mut().await;
        self.came = true;
    }
}
