//! A run small enough to be played by hand: a few shards, steps of some milliseconds.

use lagrange_coordinator::{CheckpointError, Identity, Plan, Rules, Snapshot, Training};
use lagrange_core::network::{NetworkSpec, Padding, StageSpec};
use lagrange_core::schedule::ScheduleKind;
use lagrange_core::start::StartKind;
use lagrange_data::{Dataset, DatasetSummary, Images, LabelledSet};
use lagrange_protocol::{Config, DatasetFacts, RunSpec};
use lagrange_worker::{Compute, DataSource, ShardStore};
use std::sync::Arc;

const SIDE: usize = 6;
const RUN: &str = "played";
/// Samples of a step per shard.
const SAMPLES: usize = 2;

/// What a case may choose.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub shards: usize,
    pub steps: usize,
    pub classic: bool,
    pub start: StartKind,
    pub rules: Rules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 4,
            steps: 6,
            classic: false,
            start: StartKind::He,
            rules: Rules::default(),
        }
    }
}

/// A run, its data and its rules.
pub struct Fixture {
    dataset: Arc<Dataset>,
    spec: RunSpec,
    rules: Rules,
    /// One calculator can stand for all workers that hold no state.
    shared: Option<Arc<Compute>>,
}

impl Fixture {
    pub fn new(settings: &Settings) -> Self {
        lagrange_core::blas::use_one_thread();
        let Settings { shards, steps, .. } = *settings;
        let (train, test) = (images(shards * SAMPLES * steps), images(2 * shards));
        let dataset = Arc::new(Dataset::new(train, test));
        let outline = DatasetSummary::of(&dataset).expect("contrast");
        let spec = RunSpec::new(config(settings), DatasetFacts::of(&outline));
        let mut fixture = Self {
            dataset,
            spec: spec.expect("a run"),
            rules: settings.rules,
            shared: None,
        };
        if !settings.classic {
            fixture.shared = Some(fixture.compute());
        }
        fixture
    }

    pub fn begin(&self) -> Training {
        let identity = Identity {
            run: RUN.to_owned(),
            ..Identity::default()
        };
        Training::new(identity, Plan::new(self.spec.clone()), self.rules)
    }

    pub fn resume(
        &self,
        snapshot: &Snapshot,
        change: impl FnOnce(&mut Config),
    ) -> Result<Training, CheckpointError> {
        let mut config = self.spec.config().clone();
        change(&mut config);
        Training::resume(snapshot, config, "", self.rules)
    }

    /// What a new worker computes with.
    pub fn compute(&self) -> Arc<Compute> {
        if let Some(shared) = &self.shared {
            return Arc::clone(shared);
        }
        let store = ShardStore::new(
            DataSource::Shared(Arc::clone(&self.dataset)),
            Arc::clone(&self.dataset),
            self.dataset.sha256(),
            &self.spec,
        );
        let (spec, network) = (self.spec.clone(), self.spec.network());
        Arc::new(Compute::new(spec, network, store.expect("its own data")))
    }
}

fn config(settings: &Settings) -> Config {
    let shards = settings.shards;
    let stage = StageSpec {
        kernel: 3,
        channels: 2,
        padding: Padding::Valid,
    };
    let mut config = Config {
        network: NetworkSpec::of_stages(&[stage]),
        ..Config::default()
    };
    config.data.shards = shards;
    config.start.kind = settings.start;
    config.start.images = 2 * shards;
    config.start.patches = 8 * shards;
    config.schedule.epochs = 1.0;
    config.schedule.batch = SAMPLES * shards;
    config.schedule.gram_rows = 8 * shards;
    if settings.classic {
        config.schedule.kind = ScheduleKind::Classic;
    }
    config
}

/// Images of noise, with digits for labels.
fn images(count: usize) -> LabelledSet {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    LabelledSet {
        labels: (0..count).map(|_| u16::from(next() % 10)).collect(),
        images: Images {
            height: SIDE,
            width: SIDE,
            channels: 1,
            pixels: (0..count * SIDE * SIDE).map(|_| next()).collect(),
        },
    }
}
