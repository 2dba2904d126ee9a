//! Work and reply of a round, as plain types.

use crate::{ConversionError, Framed, ShardRecord, v1};
use lagrange_core::schedule::Round;
use lagrange_core::tree::Node;
use lagrange_data::Split;

/// Job of a round, the same for every shard.
///
/// ```
/// use lagrange_protocol::{Job, v1};
///
/// let job = Job::Cluster { stage: 1 };
/// assert_eq!(Job::try_from(v1::Job::from(job)), Ok(job));
/// assert!(Job::try_from(v1::Job { kind: None }).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Initial centroids of a stage's k-means start.
    InitialCentroids {
        /// Stage, from 0.
        stage: usize,
    },
    /// One Lloyd iteration of a stage's k-means start.
    Cluster {
        /// Stage, from 0.
        stage: usize,
    },
    /// Sums and sums of squares of a stage's outputs.
    Moments {
        /// Stage, from 0.
        stage: usize,
    },
    /// A round of a training step.
    Round(Round),
    /// Accuracy and loss on a split.
    Evaluate {
        /// The split.
        split: Split,
    },
}

/// A [`Work`] without its payload.
///
/// ```
/// use lagrange_data::Split;
/// use lagrange_protocol::{Framed as _, Job, WorkHeader, v1};
///
/// let header = WorkHeader {
///     run: "run".into(),
///     round: 7,
///     attempt: 1,
///     job: Job::Evaluate { split: Split::Test },
///     shards: vec![0, 2],
///     payload_floats: 3,
///     replay: false,
/// };
/// assert_eq!(header.key(), (7, 1));
/// assert_eq!(WorkHeader::try_from(v1::Work::from(header.clone())), Ok(header));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkHeader {
    /// Name of the run.
    pub run: String,
    /// Number of the round within the run.
    pub round: u64,
    /// Attempt of the round: replies to other attempts are ignored.
    pub attempt: u32,
    /// The job with its addressing.
    pub job: Job,
    /// Shards to work on, ascending.
    pub shards: Vec<u32>,
    /// Values of the payload.
    pub payload_floats: u64,
    /// Whether this is an earlier round, repeated to restore z and a on the worker and not answered.
    pub replay: bool,
}

/// Work received: header and payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// The job with its addressing.
    pub header: WorkHeader,
    /// Shared inputs, then each shard's rows.
    pub payload: Vec<f32>,
}

/// The sum of one node of the reduction tree: its scalars; the values are in the payload.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeSum {
    /// The node.
    pub node: Node,
    /// Scalar sums.
    pub scalars: Vec<f64>,
}

/// A [`Reply`] without its payload.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyHeader {
    /// Name of the run.
    pub run: String,
    /// Round answered.
    pub round: u64,
    /// Attempt answered.
    pub attempt: u32,
    /// Sums, in the order of their shards.
    pub nodes: Vec<NodeSum>,
    /// Shards answered.
    pub shards: Vec<u32>,
    /// Values of the payload.
    pub payload_floats: u64,
    /// What each shard's work came to, in the order of `shards`.
    pub records: Vec<ShardRecord>,
}

/// A reply received: header and payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The header: round, attempt, nodes and shards.
    pub header: ReplyHeader,
    /// The nodes' sums, then each shard's rows.
    pub payload: Vec<f32>,
}

impl Framed for WorkHeader {
    fn key(&self) -> (u64, u32) {
        (self.round, self.attempt)
    }
    fn payload_floats(&self) -> u64 {
        self.payload_floats
    }
}

impl Framed for ReplyHeader {
    fn key(&self) -> (u64, u32) {
        (self.round, self.attempt)
    }
    fn payload_floats(&self) -> u64 {
        self.payload_floats
    }
}

impl From<Job> for v1::Job {
    fn from(job: Job) -> Self {
        use v1::job::Kind;
        let stage_job = |stage: usize| v1::StageJob {
            stage: stage as u32,
        };
        let kind = match job {
            Job::InitialCentroids { stage } => Kind::InitialCentroids(stage_job(stage)),
            Job::Cluster { stage } => Kind::Cluster(stage_job(stage)),
            Job::Moments { stage } => Kind::Moments(stage_job(stage)),
            Job::Round(round) => Kind::Round(v1::RoundJob {
                step: round.step,
                stage: round.stage as u32,
                gram: round.gram,
            }),
            Job::Evaluate { split } => Kind::Evaluate(v1::EvaluateJob {
                split: match split {
                    Split::Train => v1::Split::Train,
                    Split::Validation => v1::Split::Validation,
                    Split::Test => v1::Split::Test,
                }
                .into(),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Job> for Job {
    type Error = ConversionError;

    fn try_from(job: v1::Job) -> Result<Self, ConversionError> {
        use v1::job::Kind;
        Ok(
            match job.kind.ok_or(ConversionError::Missing("job.kind"))? {
                Kind::InitialCentroids(job) => Self::InitialCentroids {
                    stage: job.stage as usize,
                },
                Kind::Cluster(job) => Self::Cluster {
                    stage: job.stage as usize,
                },
                Kind::Moments(job) => Self::Moments {
                    stage: job.stage as usize,
                },
                Kind::Round(job) => Self::Round(Round {
                    step: job.step,
                    stage: job.stage as usize,
                    gram: job.gram,
                }),
                Kind::Evaluate(job) => Self::Evaluate {
                    split: match job.split() {
                        v1::Split::Train => Split::Train,
                        v1::Split::Validation => Split::Validation,
                        v1::Split::Test => Split::Test,
                        v1::Split::Unspecified => {
                            return Err(ConversionError::UnknownValue {
                                field: "job.evaluate.split",
                                value: job.split,
                            });
                        }
                    },
                },
            },
        )
    }
}

impl From<WorkHeader> for v1::Work {
    fn from(work: WorkHeader) -> Self {
        Self {
            run: work.run,
            round: work.round,
            attempt: work.attempt,
            job: Some(work.job.into()),
            shards: work.shards,
            payload_floats: work.payload_floats,
            replay: work.replay,
        }
    }
}

impl TryFrom<v1::Work> for WorkHeader {
    type Error = ConversionError;

    fn try_from(work: v1::Work) -> Result<Self, ConversionError> {
        Ok(Self {
            run: work.run,
            round: work.round,
            attempt: work.attempt,
            job: work
                .job
                .ok_or(ConversionError::Missing("work.job"))?
                .try_into()?,
            shards: work.shards,
            payload_floats: work.payload_floats,
            replay: work.replay,
        })
    }
}

impl From<ReplyHeader> for v1::Reply {
    fn from(reply: ReplyHeader) -> Self {
        let nodes = reply.nodes.into_iter().map(|sum| v1::NodeSum {
            level: sum.node.level,
            index: sum.node.index,
            scalars: sum.scalars,
        });
        Self {
            run: reply.run,
            round: reply.round,
            attempt: reply.attempt,
            nodes: nodes.collect(),
            shards: reply.shards,
            payload_floats: reply.payload_floats,
            records: reply.records.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Reply> for ReplyHeader {
    type Error = ConversionError;

    fn try_from(reply: v1::Reply) -> Result<Self, ConversionError> {
        let records = reply.records.into_iter().map(ShardRecord::try_from);
        let nodes = reply.nodes.into_iter().map(|sum| NodeSum {
            node: Node {
                level: sum.level,
                index: sum.index,
            },
            scalars: sum.scalars,
        });
        Ok(Self {
            run: reply.run,
            round: reply.round,
            attempt: reply.attempt,
            nodes: nodes.collect(),
            shards: reply.shards,
            payload_floats: reply.payload_floats,
            records: records.collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_replies_survive_the_wire() {
        for job in [
            Job::InitialCentroids { stage: 1 },
            Job::Cluster { stage: 0 },
            Job::Moments { stage: 2 },
            Job::Round(Round {
                step: 2,
                stage: 3,
                gram: true,
            }),
            Job::Evaluate {
                split: Split::Train,
            },
            Job::Evaluate {
                split: Split::Validation,
            },
            Job::Evaluate { split: Split::Test },
        ] {
            let work = WorkHeader {
                run: "r".into(),
                round: 4,
                attempt: 1,
                job,
                shards: vec![2, 3],
                payload_floats: 9,
                replay: matches!(job, Job::Round(_)),
            };
            assert_eq!(WorkHeader::try_from(v1::Work::from(work.clone())), Ok(work));
        }
        let reply = ReplyHeader {
            run: "r".into(),
            round: 4,
            attempt: 1,
            nodes: vec![NodeSum {
                node: Node { level: 1, index: 1 },
                scalars: vec![0.5],
            }],
            shards: vec![2, 3],
            payload_floats: 3,
            records: vec![ShardRecord::default(), ShardRecord::default()],
        };
        assert_eq!(
            ReplyHeader::try_from(v1::Reply::from(reply.clone())),
            Ok(reply)
        );
    }

    #[test]
    fn an_unknown_job_is_named() {
        let unknown = v1::Job { kind: None };
        assert_eq!(
            Job::try_from(unknown),
            Err(ConversionError::Missing("job.kind"))
        );
        let split = v1::EvaluateJob { split: 77 };
        let unknown = v1::Job {
            kind: Some(v1::job::Kind::Evaluate(split)),
        };
        let expected = ConversionError::UnknownValue {
            field: "job.evaluate.split",
            value: 77,
        };
        assert_eq!(Job::try_from(unknown), Err(expected));
    }
}
