//! Workers as tasks of this process: their connections are memory, and need no port.

use crate::machine::{MachineError, compute_threads};
use crate::{DataSource, RunError};
use lagrange_protocol::Address;
use lagrange_worker::{Connecting, Connection, Dial, WorkerOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// Bytes that one side may be ahead of the other.
const BUFFER_BYTES: usize = 1 << 20;
/// The address that both sides have for each other.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A connection as the coordinator accepts it.
type Accepted = io::Result<(DuplexStream, SocketAddr)>;

/// Connects to the coordinator of this process.
#[derive(Debug)]
struct Memory(UnboundedSender<Accepted>);

impl Dial for Memory {
    fn dial(&self, _: &Address) -> Connecting {
        let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
        let accepted = self.0.send(Ok((theirs, ADDRESS)));
        Box::pin(async move {
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionRefused);
            accepted.map_err(gone)?;
            Ok(Box::new(ours) as Box<dyn Connection>)
        })
    }
}

/// The workers.
#[derive(Debug)]
pub(super) struct Tasks(JoinSet<()>);

/// Starts `count` workers, each of `threads` threads; with the connections that they make.
pub(super) fn start(
    count: usize,
    threads: usize,
    data: &DataSource,
) -> Result<(Tasks, impl Stream<Item = Accepted> + use<>), RunError> {
    let (dialled, incoming) = unbounded_channel();
    let dial: Arc<dyn Dial> = Arc::new(Memory(dialled));
    let workers = (0..count).map(|index| options(index, threads, data, &dial));
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    let mut tasks = JoinSet::new();
    for options in workers {
        let name = options.name.clone();
        tasks.spawn(async move {
            let ended = lagrange_worker::run(options, std::future::pending()).await;
            if let Err(error) = ended {
                tracing::warn!(name, %error, "a worker of this process ended");
            }
        });
    }
    Ok((Tasks(tasks), UnboundedReceiverStream::new(incoming)))
}

fn options(
    index: usize,
    threads: usize,
    data: &DataSource,
    dial: &Arc<dyn Dial>,
) -> Result<WorkerOptions, MachineError> {
    Ok(WorkerOptions {
        coordinator: ADDRESS.into(),
        name: format!("in-process-{index}"),
        threads,
        executor: compute_threads(threads)?,
        dial: Arc::clone(dial),
        security: lagrange_worker::Security::default(),
        source: data.clone(),
        insist: None,
        connect_timeout: Duration::from_secs(10),
    })
}

impl Tasks {
    /// Waits for their end after a run that came to its own; ends them after one that did not.
    pub(super) async fn end(mut self, complete: bool) {
        if !complete {
            self.0.abort_all();
        }
        while self.0.join_next().await.is_some() {}
    }
}
