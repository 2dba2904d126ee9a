//! Where a run is.

use crate::round::Round;
use std::time::Duration;

/// Where a run is. From `Gathering` it goes to `Working`, from there to `Ended`, and nowhere else.
#[derive(Debug)]
pub(super) enum State {
    /// Fewer workers than the run waits for have joined; no round has been handed out.
    Gathering,
    /// A round is out.
    Working {
        round: Box<Round>,
        /// Since when there have been fewer workers than the minimum: nothing new is handed out until more
        /// join or the grace period is over.
        short_since: Option<Duration>,
    },
    /// The run has a result or an error; every later event is ignored.
    Ended,
}

impl State {
    /// Whether the first round has been handed out.
    pub(super) fn has_started(&self) -> bool {
        !matches!(self, Self::Gathering)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// The round that is out.
    pub(super) fn round(&self) -> Option<&Round> {
        match self {
            Self::Working { round, .. } => Some(round),
            Self::Gathering | Self::Ended => None,
        }
    }

    /// The round that is out.
    pub(super) fn round_mut(&mut self) -> Option<&mut Round> {
        match self {
            Self::Working { round, .. } => Some(round),
            Self::Gathering | Self::Ended => None,
        }
    }

    /// Since when there have been too few workers. A run begins with none.
    pub(super) fn short_since(&self) -> Option<Duration> {
        match self {
            Self::Gathering => Some(Duration::ZERO),
            Self::Working { short_since, .. } => *short_since,
            Self::Ended => None,
        }
    }
}
