//! Why a run comes to no result.

use crate::folder::FolderError;
use crate::machine::{MachineError, NoThread};
use crate::model::ModelError;
use crate::run_folder::Unsaved;
use crate::{LoadError, ServeError, SpecError};
use lagrange_coordinator::CheckpointError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a run comes to no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no run of this configuration on this data.
    #[error("{0}")]
    Spec(#[from] SpecError),
    /// The data cannot be had.
    #[error("{0}")]
    Data(#[from] LoadError),
    /// The run's folder.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// The run of a folder cannot be gone on with from its checkpoint.
    #[error("{}: cannot be resumed: {source}", path.display())]
    Checkpoint {
        /// The checkpoint, or the folder of all.
        path: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// The coordinator's address cannot be had.
    #[error(
        "--listen {address}: cannot be listened on{}: {cause}",
        advice(address)
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The run failed before its first step, or has no folder to go on from.
    #[error("{0}")]
    Serve(#[from] ServeError),
    /// The run failed after its first step.
    #[error("{source}; to go on with the run: --resume {}", folder.display())]
    Unfinished {
        /// How.
        source: ServeError,
        /// The run's folder.
        folder: PathBuf,
    },
    /// Model and result cannot be written.
    #[error("{0}")]
    Unsaved(#[from] Unsaved),
    /// The trained model has no form as a file.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// The system does not give what the run needs.
    #[error("{0}")]
    Machine(#[from] MachineError),
    /// A worker process cannot be started.
    #[error("cannot start a worker process: {0}")]
    Process(io::Error),
    /// No async runtime can be had.
    #[error("cannot start the async runtime: {0}")]
    Runtime(io::Error),
}

impl From<lagrange_data::DataError> for RunError {
    fn from(error: lagrange_data::DataError) -> Self {
        Self::Data(error.into())
    }
}

impl From<NoThread> for RunError {
    fn from(error: NoThread) -> Self {
        Self::Machine(error.into())
    }
}

fn advice(address: &SocketAddr) -> String {
    match address.port() {
        0 => String::new(),
        port => format!("; is port {port} in use? Stop the other process or choose another port"),
    }
}
