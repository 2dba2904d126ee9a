//! Coordinators and workers that are started apart from each other, and stopped in good order.

use crate::binary::cluster::{Launch, Process, quiet_address};
use crate::binary::process::{send_signal, wait_until};
use std::path::Path;
use std::process::ExitStatus;

fn launch(folder: &Path, name: &str, epochs: &str) -> Launch {
    Launch {
        command: "coordinator",
        workers: 1,
        address: quiet_address(),
        run_dir: folder.join(name),
        run: ["--train-limit", "2048", "--epochs", epochs]
            .map(str::to_owned)
            .to_vec(),
        rules: vec!["--checkpoint-seconds".to_owned(), "0".to_owned()],
        data: Vec::new(),
    }
}

fn end(mut process: Process) -> ExitStatus {
    wait_until("the end of a process", || process.ended().is_some());
    process.ended().expect("ended")
}

#[test]
fn workers_may_come_before_their_coordinator_and_leave_when_it_is_asked_to_go() {
    let folder = tempfile::tempdir().expect("folder");
    let launch = launch(folder.path(), "run", "5000");
    let mut worker = launch.worker();
    // Its data is loaded long before, and it dials in vain.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(worker.ended().is_none());
    let coordinator = launch.coordinator();
    wait_until("the first steps", || launch.step() > 3);
    assert_eq!(launch.checkpoint(), 0, "no rule asks for one");

    assert!(send_signal(coordinator.pid(), "TERM"));
    assert_eq!(end(coordinator).code(), Some(130));
    assert!(end(worker).success());
    let result = launch.result().expect("what there is");
    assert_eq!(result["interrupted"], true);
    // It is taken at the last end of a step; the round that was out may end one more.
    let (steps, saved) = (result["steps"].as_u64(), launch.checkpoint());
    assert!(
        steps == Some(saved) || steps == Some(saved + 1),
        "{steps:?} {saved}"
    );
    assert!(launch.run_dir.join("model.safetensors").is_file());
}
