//! Signals to a process and to its group, and what a run that was stopped says of itself.

use crate::binary::cluster::{Launch, quiet_address};
use crate::binary::process::{
    borrowed, children_of, send_signal, short_run, signal, start_until_step, wait_for_step,
    wait_until,
};
use crate::binary::run_files::{assert_same_result, checkpoints, metrics};
use crate::binary::{failure, json, lagrange, last_json, text};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What `lagrange evaluate` finds of the saved model.
fn evaluated(run_dir: &Path) -> serde_json::Value {
    json(&["evaluate", "--json", run_dir.to_str().expect("UTF-8")])["test_accuracy"].clone()
}

/// A run in a process group of its own, once it has done `step`.
fn group(folder: &Path, name: &str, step: u64) -> std::process::Child {
    let arguments = short_run(
        folder,
        name,
        200,
        &["--workers", "2", "--set", "schedule.evaluate-every=3"],
    );
    let mut command = lagrange(&borrowed(&arguments));
    command
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("starts");
    wait_for_step(&folder.join(name), step);
    child
}

fn signal_group(leader: u32, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), "--", &format!("-{leader}")])
        .status();
    assert!(kill.expect("kill").success());
}

#[test]
fn a_signal_to_the_whole_group_ends_a_run_with_the_accuracy_of_its_model() {
    let folder = tempfile::tempdir().expect("folder");
    // Ctrl-C, systemd and Slurm, and a closed terminal.
    for name in ["INT", "TERM", "HUP"] {
        let child = group(folder.path(), name, 20);
        signal_group(child.id(), name);
        let output = child.wait_with_output().expect("ends");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{name}: {stderr}");
        let result = last_json(&output);
        assert_eq!(result["interrupted"], true, "{name}");
        assert_eq!(
            result["test_accuracy"],
            evaluated(&folder.path().join(name)),
            "{name}"
        );
        assert!(
            !stderr.contains("takes its place"),
            "nobody is started while a run ends: {stderr}"
        );
    }
}

#[test]
fn two_copies_of_a_signal_are_one_wish_and_a_second_wish_ends_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    // As `timeout` sends it: to the process, and to its group.
    let child = group(folder.path(), "copies", 20);
    signal(child.id(), "TERM");
    signal_group(child.id(), "TERM");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(
        last_json(&output)["test_accuracy"],
        evaluated(&folder.path().join("copies"))
    );

    // Nobody answers any more, so the first wish cannot be granted.
    let child = group(folder.path(), "second", 20);
    let workers = children_of(child.id());
    for &worker in &workers {
        signal(worker, "STOP");
    }
    signal(child.id(), "TERM");
    std::thread::sleep(Duration::from_millis(1200));
    let begin = Instant::now();
    signal(child.id(), "TERM");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(2), "at once");
    for &worker in &workers {
        send_signal(worker, "KILL");
    }
}

#[test]
fn a_run_that_shall_ignore_a_closed_terminal_does() {
    let folder = tempfile::tempdir().expect("folder");
    let arguments = short_run(folder.path(), "run", 20, &["--workers", "2"]);
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "trap '' HUP; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_lagrange"),
        ])
        .args(&arguments);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    wait_for_step(&folder.path().join("run"), 10);
    signal(child.id(), "HUP");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(last_json(&output)["interrupted"], false);
}

#[test]
fn an_interrupt_before_the_first_step_leaves_nothing_and_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run");
    let mut command = lagrange(&["coordinator", "--listen", "127.0.0.1:0", "--run-dir"]);
    let mut child = command
        .arg(&run_dir)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    assert!(first.contains("waiting for 1 workers"), "{first}");
    wait_until("the run's folder", || run_dir.exists());
    signal(child.id(), "TERM");
    let last = lines.next().expect("a line").expect("text");
    assert!(last.contains("interrupted before the first step"), "{last}");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    wait_until("the run's folder to go", || !run_dir.exists());

    // A whole cluster, somewhere in its start.
    for delay in [0, 20, 60] {
        let run_dir = folder.path().join(format!("train-{delay}"));
        let mut command = lagrange(&[
            "train",
            "--json",
            "--workers",
            "2",
            "--task",
            "digits",
            "--run-dir",
        ]);
        command
            .arg(&run_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let child = command.spawn().expect("starts");
        wait_until("the run's folder", || {
            run_dir.join("metrics.jsonl").exists()
        });
        std::thread::sleep(Duration::from_millis(delay));
        signal(child.id(), "TERM");
        let output = child.wait_with_output().expect("ends");
        assert_eq!(output.status.code(), Some(130), "{delay}");
        let saved = run_dir.join("model.safetensors").exists();
        assert_eq!(saved, run_dir.exists(), "{delay}: all or nothing");
        assert_eq!(saved, !output.stdout.is_empty(), "{delay}");
    }
}

#[test]
fn an_interrupted_coordinator_without_workers_evaluates_the_model_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let launch = Launch {
        command: "coordinator",
        workers: 1,
        address: quiet_address(),
        run_dir: folder.path().join("run"),
        run: [
            "--train-limit",
            "2048",
            "--epochs",
            "200",
            "--validation",
            "1000",
            "--set",
            "schedule.evaluate-every=3",
        ]
        .map(str::to_owned)
        .to_vec(),
        rules: Vec::new(),
        data: Vec::new(),
    };
    let mut coordinator = launch.coordinator();
    let mut worker = launch.worker();
    wait_for_step(&launch.run_dir, 20);
    worker.kill();
    signal(coordinator.pid(), "INT");
    wait_until("the run to end", || coordinator.ended().is_some());
    let result = launch.result().expect("a result");
    assert_eq!(result["interrupted"], true);
    assert_eq!(result["test_accuracy"], evaluated(&launch.run_dir));
    assert!(result["validation_accuracy"].is_number(), "{result}");
}

#[test]
fn when_the_last_local_worker_is_gone_for_good_the_run_says_how_and_can_be_gone_on_with() {
    let folder = tempfile::tempdir().expect("folder");
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "left-alone",
        20,
        &["--workers", "2"],
    )));
    for (name, extra) in [
        ("none", ["--workers", "1", "--restarts", "0"]),
        ("used-up", ["--workers", "2", "--restarts", "1"]),
    ] {
        let run_dir = folder.path().join(name);
        let arguments = short_run(folder.path(), name, 20, &extra);
        let child = start_until_step(&arguments, &run_dir, 20);
        let begin = Instant::now();
        let mut restarted = Vec::new();
        wait_until("the children to be gone", || {
            let children = children_of(child.id());
            for &worker in &children {
                restarted.push(worker);
                send_signal(worker, "KILL");
            }
            children.is_empty()
        });
        let output = child.wait_with_output().expect("ends");
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        for part in ["signal: 9", "--resume", name] {
            assert!(last.contains(part), "`{part}` in: {last}");
        }
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "{:?}",
            begin.elapsed()
        );
        let step = metrics(&run_dir)
            .iter()
            .filter(|line| line["event"] == "step")
            .count() as u64;
        assert_eq!(
            checkpoints(&run_dir).last().map(|&(_, step)| step),
            Some(step),
            "nothing is lost"
        );
        let resumed = json(&[
            "train",
            "--json",
            "--resume",
            run_dir.to_str().expect("UTF-8"),
        ]);
        assert_same_result(name, &resumed, &baseline);
    }
}

/// The steps in the metrics of a run, in their order.
fn steps_of(run: &Path) -> impl Iterator<Item = u64> {
    let lines = metrics(run).into_iter();
    let steps = lines.filter(|line| line["event"] == "step");
    steps.map(|line| line["step"].as_u64().expect("a number"))
}

#[test]
fn a_run_that_is_complete_goes_on_for_more_epochs_with_the_same_bits_however_often_it_is_killed() {
    let folder = tempfile::tempdir().expect("folder");
    let place = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let _ = json(&borrowed(&short_run(
        folder.path(),
        "run",
        2,
        &["--workers", "2"],
    )));
    let copy = Command::new("cp")
        .args(["-r", &place("run"), &place("killed")])
        .status();
    assert!(copy.expect("cp").success());
    for epochs in [&[][..], &["--epochs", "1.5"]] {
        let stderr = failure(&[&["train", "--resume", &place("run")], epochs].concat(), 1);
        assert!(stderr.contains("this run is complete"), "{stderr}");
        assert!(stderr.contains("more --epochs than 2"), "{stderr}");
    }
    let mut command = lagrange(&[
        "train",
        "--json",
        "--workers",
        "1",
        "--epochs",
        "5",
        "--resume",
        &place("run"),
    ]);
    let output = command.output().expect("runs");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("going on to 5 epochs, 40 steps") && stderr.contains("at 0.60"),
        "{stderr}"
    );
    let longer = last_json(&output);
    assert_eq!(
        (longer["steps"].as_u64(), longer["epochs"].as_f64()),
        (Some(40), Some(5.0))
    );

    let killed = Path::new(&place("killed")).to_owned();
    let arguments = [
        "train",
        "--json",
        "--workers",
        "3",
        "--checkpoint-steps",
        "3",
        "--epochs",
        "5",
        "--resume",
        &place("killed"),
    ]
    .map(str::to_owned);
    let mut child = start_until_step(&arguments, &killed, 27);
    child.kill().expect("killed");
    child.wait().expect("reaped");
    let resumed = json(&["train", "--json", "--resume", &place("killed")]);
    assert_same_result("killed", &resumed, &longer);
    for name in ["run", "killed"] {
        assert!(
            steps_of(&folder.path().join(name)).eq(1..=40),
            "{name}: each step once"
        );
    }
    let stderr = failure(&["train", "--epochs", "3", "--resume", &place("run")], 1);
    assert!(stderr.contains("more --epochs than 5"), "{stderr}");
}
