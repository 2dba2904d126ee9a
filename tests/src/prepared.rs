//! A run that is ready to begin.

use lagrange::{Config, Dataset, DatasetFacts, DatasetSummary, RunSpec};
use lagrange_coordinator::{
    CheckpointError, Identity, Plan, Rules, Security, ServeOptions, Snapshot, Training, hexadecimal,
};

/// What every run of these tests is called.
pub const RUN: &str = "simulated";

/// A configuration held against its data.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The run.
    pub spec: RunSpec,
    /// SHA-256 of its data, in hexadecimal.
    pub dataset_sha256: String,
}

impl Prepared {
    /// A run of `config` on `dataset`.
    ///
    /// # Panics
    /// If they do not fit together.
    #[must_use]
    pub fn new(config: &Config, dataset: &Dataset) -> Self {
        let summary = DatasetSummary::of(dataset).expect("contrast");
        let spec = RunSpec::new(config.clone(), DatasetFacts::of(&summary));
        Self {
            spec: spec.expect("a run"),
            dataset_sha256: hexadecimal(&summary.sha256),
        }
    }

    /// The run from its beginning.
    #[must_use]
    pub fn begin(&self, rules: Rules) -> Training {
        let identity = Identity {
            run: RUN.to_owned(),
            dataset_sha256: self.dataset_sha256.clone(),
        };
        Training::new(identity, Plan::new(self.spec.clone()), rules)
    }

    /// A coordinator of data with this hash, open to everybody, which keeps nothing and is not observed.
    #[must_use]
    pub fn options(dataset_sha256: [u8; 32]) -> ServeOptions {
        ServeOptions {
            dataset_sha256,
            checkpoints: None,
            journal: None,
            security: Security::default(),
            observer: std::sync::mpsc::channel().0,
            own_threads: true,
        }
    }

    /// The run from where `snapshot` has it.
    ///
    /// # Errors
    /// If it is no snapshot of this run.
    pub fn resume(&self, snapshot: &Snapshot, rules: Rules) -> Result<Training, CheckpointError> {
        let config = self.spec.config().clone();
        Training::resume(snapshot, config, &self.dataset_sha256, rules)
    }
}
