//! The user's wish to stop a command that runs many others.

use std::path::PathBuf;

/// The user asked to stop; the folder holds what was complete.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; {} holds what is complete", .0.display())]
pub struct Interrupted(pub PathBuf);
