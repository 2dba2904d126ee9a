//! A run while things befall it: what a schedule says is done to its processes, and counted.

use super::cluster::{Launch, Process, living_children, wait_for_orphans};
use super::process::send_signal;
use super::run_files::half_written;
use lagrange_tests::schedule::{Checkpoints, Fault, Schedule, Strike};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// A worker's lease: short, so that it runs out often.
pub const LEASE: Duration = Duration::from_millis(500);
/// Steps between evaluations.
pub const STEPS_PER_EPOCH: u64 = 8;
/// Longest wait for anything, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often what happened.
pub type Counts = BTreeMap<&'static str, u32>;

/// One schedule being played.
pub struct Play<'a> {
    schedule: &'a Schedule,
    /// The run.
    pub launch: Launch,
    coordinator: Process,
    /// Workers that are no children of the coordinator.
    workers: Vec<Process>,
    drained: Vec<Process>,
    /// Stopped processes, and when they may go on.
    frozen: Vec<(u32, Instant)>,
    /// Whether the coordinator was killed once its run was complete, and not started again.
    killed_last: bool,
    /// All children of coordinators that were seen.
    children: Vec<u32>,
    /// What happened so far.
    pub counts: Counts,
}

impl<'a> Play<'a> {
    /// Starts the processes.
    #[must_use]
    pub fn begin(schedule: &'a Schedule, mut launch: Launch) -> Self {
        launch.workers = schedule.workers;
        launch.rules = rules(schedule);
        launch.command = if schedule.one_command {
            "train"
        } else {
            "coordinator"
        };
        let by_hand = if schedule.one_command {
            0
        } else {
            schedule.workers
        };
        Self {
            coordinator: launch.coordinator(),
            workers: (0..by_hand).map(|_| launch.worker()).collect(),
            launch,
            schedule,
            drained: Vec::new(),
            frozen: Vec::new(),
            killed_last: false,
            children: Vec::new(),
            counts: Counts::new(),
        }
    }

    /// Lets everything happen, to the end of the run and of every process.
    pub fn play(&mut self) {
        for strike in &self.schedule.strikes {
            if !self.wait_for(strike) {
                break;
            }
            self.strike(strike);
        }
        self.end();
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A moment passes: whoever has been stopped long enough goes on.
    fn tick(&mut self) {
        std::thread::sleep(Duration::from_millis(2));
        let now = Instant::now();
        for (pid, _) in self.frozen.extract_if(.., |(_, thaw)| *thaw <= now) {
            send_signal(pid, "CONT");
        }
    }

    fn wait(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.tick();
        }
    }

    fn thaw_all(&mut self) {
        for (pid, _) in self.frozen.drain(..) {
            send_signal(pid, "CONT");
        }
    }

    /// Whether the run is not yet complete.
    fn goes_on(&mut self) -> bool {
        let ended = self.coordinator.ended();
        let complete = self.launch.result().is_some();
        assert!(
            complete || ended.is_none(),
            "seed {}: the coordinator ended: {ended:?}",
            self.schedule.seed
        );
        !complete
    }

    /// Waits for the moment of a strike; false if the run is complete before.
    fn wait_for(&mut self, strike: &Strike) -> bool {
        let begin = Instant::now();
        while self.launch.step() < strike.step {
            self.tick();
            assert!(
                begin.elapsed() < PATIENCE,
                "seed {}: it hangs",
                self.schedule.seed
            );
            if !self.goes_on() {
                return false;
            }
        }
        if strike.writing {
            self.wait_for_writing();
        } else {
            self.wait(strike.delay);
        }
        self.goes_on()
    }

    /// Waits until a checkpoint is being written, unless none is for a while.
    fn wait_for_writing(&self) {
        let begin = Instant::now();
        while begin.elapsed() < LEASE && half_written(&self.launch.run_dir).is_empty() {}
    }

    fn strike(&mut self, strike: &Strike) {
        println!("  step {}: {strike:?}", self.launch.step());
        let present = match self.schedule.one_command {
            true => self.launch.workers,
            false => self.workers.len(),
        };
        match strike.fault {
            Fault::KillWorkers(count) => self.kill_workers(count.min(present), strike.pause),
            Fault::KillAllWorkers => self.kill_workers(present, strike.pause),
            Fault::KillCoordinator => self.kill_coordinator(0, strike.pause),
            Fault::KillEverything => self.kill_coordinator(present, strike.pause),
            Fault::FreezeWorker(time) => self.freeze_worker(time),
            Fault::FreezeCoordinator(time) => {
                self.freeze(self.coordinator.pid(), time, "coordinators stopped");
            }
            Fault::Drain => self.drain(),
            Fault::Join => {
                self.workers.push(self.launch.worker());
                self.count("late workers");
            }
        }
    }

    /// What the run was doing, as far as its files tell.
    fn phase(&self) -> &'static str {
        let lines = self.launch.last_lines();
        let last = lines.iter().rfind(|line| line["event"] != "membership");
        let event = |line: &serde_json::Value| line["event"].as_str().map(str::to_owned);
        match last.and_then(|line| Some((event(line)?, line["step"].as_u64()))) {
            Some((event, Some(step))) if event == "step" && step % STEPS_PER_EPOCH == 0 => {
                "kills in an evaluation"
            }
            Some((_, Some(_))) => "kills in a step",
            _ => "kills before the first step",
        }
    }

    fn kill_workers(&mut self, count: usize, pause: Duration) {
        let phase = self.phase();
        let killed = match self.schedule.one_command {
            true => self.kill_children(count),
            false => self.kill_oldest(count),
        };
        match killed {
            0 => return,
            1 => self.count("kills of one worker"),
            _ => self.count("kills of several workers"),
        }
        for _ in 0..killed {
            self.count("kill -9");
            self.count(phase);
        }
        self.wait(pause);
        if !self.schedule.one_command {
            let others = (0..killed).map(|_| self.launch.worker());
            self.workers.extend(others.collect::<Vec<_>>());
        }
    }

    /// Kills workers that the coordinator has started; how many.
    fn kill_children(&mut self, count: usize) -> usize {
        let children = living_children(&self.coordinator);
        self.children.extend(&children);
        let killed = children.into_iter().take(count);
        killed.filter(|&pid| send_signal(pid, "KILL")).count()
    }

    /// Kills the workers that have been there longest; how many.
    fn kill_oldest(&mut self, count: usize) -> usize {
        let mut killed: Vec<Process> = self.workers.drain(..count).collect();
        killed.retain_mut(Process::kill);
        let young = killed.iter().filter(|worker| worker.is_young());
        for _ in 0..young.count() {
            self.count("kills of a process that had just started");
        }
        for worker in &killed {
            self.frozen.retain(|&(pid, _)| pid != worker.pid());
        }
        killed.len()
    }

    /// Kills the coordinator and so many workers, and starts the coordinator again, and as many workers.
    fn kill_coordinator(&mut self, workers: usize, pause: Duration) {
        if self.schedule.one_command {
            // Whoever stands still does not see that its parent is gone.
            self.thaw_all();
            self.children.extend(living_children(&self.coordinator));
        }
        if self.coordinator.kill() {
            let phase = self.phase();
            for what in ["kill -9", "kills of the coordinator", phase] {
                self.count(what);
            }
            if self.coordinator.is_young() {
                self.count("kills of a process that had just started");
            }
            if !half_written(&self.launch.run_dir).is_empty() {
                self.count("checkpoints cut off");
            }
        }
        let pid = self.coordinator.pid();
        self.frozen.retain(|&(frozen, _)| frozen != pid);
        if self.schedule.one_command {
            wait_for_orphans(&self.children);
            // Whatever the number of workers that go on.
            self.launch.workers = 1 + self.launch.workers % 4;
        } else if workers > 0 {
            self.kill_workers(workers, Duration::ZERO);
        }
        self.wait(pause);
        self.killed_last = self.launch.result().is_some();
        if !self.killed_last {
            self.coordinator = self.launch.coordinator();
        }
    }

    fn freeze_worker(&mut self, time: Duration) {
        let pid = match self.schedule.one_command {
            true => living_children(&self.coordinator).first().copied(),
            false => self.workers.first().map(Process::pid),
        };
        if let Some(pid) = pid {
            self.freeze(pid, time, "workers stopped");
        }
    }

    fn freeze(&mut self, pid: u32, time: Duration, what: &'static str) {
        if send_signal(pid, "STOP") {
            self.frozen.push((pid, Instant::now() + time));
            self.count(what);
        }
    }

    fn drain(&mut self) {
        let worker = self.workers.remove(0);
        self.frozen.retain(|&(pid, _)| pid != worker.pid());
        for signal in ["TERM", "CONT"] {
            send_signal(worker.pid(), signal);
        }
        self.drained.push(worker);
        self.workers.push(self.launch.worker());
        self.count("workers asked to go");
    }

    /// Waits for the run's end, and for that of every process.
    fn end(&mut self) {
        let (seed, begin) = (self.schedule.seed, Instant::now());
        while self.goes_on() {
            self.tick();
            assert!(begin.elapsed() < PATIENCE, "seed {seed}: it hangs");
        }
        self.thaw_all();
        self.children.extend(living_children(&self.coordinator));
        let mut left: Vec<_> = self.workers.iter_mut().chain(&mut self.drained).collect();
        if !self.killed_last {
            left.push(&mut self.coordinator);
        }
        let (mut asked, begin) = (false, Instant::now());
        while !left.is_empty() {
            std::thread::sleep(Duration::from_millis(10));
            left.retain_mut(|process| match process.ended() {
                Some(status) => {
                    assert!(ended_well(status), "seed {seed}: {status}");
                    false
                }
                None => true,
            });
            // Who was on its way to the coordinator when the run ended would look for it for a minute.
            if !asked && begin.elapsed() > Duration::from_secs(2) {
                asked = true;
                left.iter().for_each(|process| {
                    send_signal(process.pid(), "TERM");
                });
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "seed {seed}: left over: {left:?}"
            );
        }
        wait_for_orphans(&self.children);
    }
}

impl Drop for Play<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.launch.last_words());
        }
    }
}

/// Successfully, or by a SIGTERM that came before anything else.
fn ended_well(status: ExitStatus) -> bool {
    const SIGTERM: i32 = 15;
    status.success() || status.signal() == Some(SIGTERM)
}

fn rules(schedule: &Schedule) -> Vec<String> {
    let lease = LEASE.as_secs_f64().to_string();
    let (rule, number) = match schedule.checkpoints {
        Checkpoints::Steps(steps) => ("--checkpoint-steps", steps as f64),
        Checkpoints::Centiseconds(time) => ("--checkpoint-seconds", time as f64 / 100.0),
    };
    let number = number.to_string();
    let mut rules = vec!["--lease", &lease, rule, &number];
    if schedule.one_command {
        rules.extend(["--threads", "1", "--restarts", "100"]);
    }
    rules.into_iter().map(str::to_owned).collect()
}
