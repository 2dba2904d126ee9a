//! Real processes of the built binary: same bits, clean endings, survival of `kill -9`.

use crate::binary::process::{
    alive, borrowed, children_of, short_run, signal, start_until_step, wait_until,
};
use crate::binary::run_files::metrics;
use crate::binary::{failure, json, lagrange, last_json};
use lagrange::{Cluster, Sources};
use lagrange_tests::{bars, small_config, write_idx};
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn the_library_gives_the_bits_of_the_command() {
    let limit = ["--train-limit", "2048", "--preset", "quick"];
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("run").display().to_string();
    let arguments = [
        "train",
        "--json",
        "--quiet",
        "--workers",
        "2",
        "--run-dir",
        &run_dir,
    ];
    let command = json(&[&arguments[..], &limit].concat());
    let sources = Sources::default().preset("quick").set("train-limit=2048");
    let config = sources
        .and_then(|sources| sources.resolve())
        .expect("valid");
    let data = Arc::new(lagrange::Dataset::embedded().expect("embedded"));
    let run = Cluster::in_process(2).train_blocking(config, data);
    let result = run.expect("the run ends").result;
    assert_eq!(command["weights_sha256"], result.weights_sha256);
    assert_eq!(command["multipliers_sha256"], result.multipliers_sha256);
}

#[test]
fn processes_and_tasks_give_the_same_bits_and_a_model_that_evaluates_alike() {
    let folder = tempfile::tempdir().expect("folder");
    let processes = json(&borrowed(&short_run(
        folder.path(),
        "processes",
        2,
        &["--workers", "3"],
    )));
    let tasks = json(&borrowed(&short_run(
        folder.path(),
        "tasks",
        2,
        &["--in-process", "--workers", "2"],
    )));
    for key in [
        "weights_sha256",
        "multipliers_sha256",
        "test_accuracy",
        "steps",
        "seed",
        "task",
    ] {
        assert_eq!(processes[key], tasks[key], "{key}");
    }
    let run_dir = processes["run_dir"].as_str().expect("path");
    let evaluation = json(&["evaluate", run_dir, "--json"]);
    assert_eq!(evaluation["test_accuracy"], processes["test_accuracy"]);

    let read = |name: &str| std::fs::read_to_string(Path::new(run_dir).join(name)).expect(name);
    assert!(read("config.toml").contains("train-limit = 2048"));
    let result: serde_json::Value = serde_json::from_str(&read("result.json")).expect("JSON");
    assert_eq!(result, processes);
    let metrics = metrics(Path::new(run_dir));
    let steps: Vec<_> = metrics
        .iter()
        .filter(|line| line["event"] == "step")
        .collect();
    assert_eq!(steps.len(), 16);
    for key in [
        "output_residual",
        "activation_residual",
        "dual_residual",
        "condition",
        "objective",
        "multiplier_rms",
    ] {
        assert!(!steps[15][key].is_null(), "{key}");
    }
}

/// A run of three workers of which one is killed ends as one that was left alone.
fn kill_one_of_three(epochs: u32, extra: &[&str]) {
    let folder = tempfile::tempdir().expect("folder");
    let flags = [&["--workers", "3"], extra].concat();
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "baseline",
        epochs,
        &flags,
    )));
    let arguments = short_run(folder.path(), "killed", epochs, &flags);
    let child = start_until_step(&arguments, &folder.path().join("killed"), 5);
    let workers = children_of(child.id());
    assert_eq!(workers.len(), 3);
    signal(workers[1], "KILL");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    let result = last_json(&output);
    assert_eq!(result["weights_sha256"], baseline["weights_sha256"]);
    assert_eq!(result["multipliers_sha256"], baseline["multipliers_sha256"]);
}

#[test]
fn a_killed_worker_changes_nothing() {
    kill_one_of_three(8, &[]);
}

#[test]
fn nor_does_one_that_is_not_replaced() {
    kill_one_of_three(8, &["--restarts", "0"]);
}

/// z and a live on the workers: what was lost with one of them is done over.
#[test]
fn a_killed_worker_changes_nothing_in_a_classic_run() {
    kill_one_of_three(12, &["--set", "schedule.kind=classic"]);
}

#[test]
fn killed_workers_are_started_again() {
    let folder = tempfile::tempdir().expect("folder");
    let workers = ["--workers", "2"];
    let baseline = json(&borrowed(&short_run(
        folder.path(),
        "baseline",
        20,
        &workers,
    )));
    let arguments = short_run(folder.path(), "killed", 20, &workers);
    let child = start_until_step(&arguments, &folder.path().join("killed"), 5);
    let killed = children_of(child.id());
    killed.iter().for_each(|&pid| signal(pid, "KILL"));
    wait_until("two others", || {
        let living = children_of(child.id());
        living.iter().filter(|pid| !killed.contains(pid)).count() == 2
    });
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    assert_eq!(
        last_json(&output)["weights_sha256"],
        baseline["weights_sha256"]
    );
}

#[test]
fn without_workers_the_run_ends_with_an_error_and_no_orphan() {
    let folder = tempfile::tempdir().expect("folder");
    let flags = ["--workers", "2", "--restarts", "0", "--grace", "1"];
    let arguments = short_run(folder.path(), "lost", 50, &flags);
    let child = start_until_step(&arguments, &folder.path().join("lost"), 3);
    let workers = children_of(child.id());
    workers.iter().for_each(|&pid| signal(pid, "KILL"));
    let begin = Instant::now();
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("every worker process is gone"));
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    assert!(workers.iter().all(|&pid| !alive(pid)));
}

#[test]
fn workers_do_not_outlive_a_killed_parent() {
    let folder = tempfile::tempdir().expect("folder");
    let arguments = short_run(folder.path(), "parent", 50, &["--workers", "2"]);
    let mut child = start_until_step(&arguments, &folder.path().join("parent"), 3);
    let workers = children_of(child.id());
    assert_eq!(workers.len(), 2);
    signal(child.id(), "KILL");
    child.wait().expect("reaped");
    wait_until("the workers to end", || {
        workers.iter().all(|&pid| !alive(pid))
    });
}

#[test]
fn an_interrupt_saves_what_there_is() {
    let folder = tempfile::tempdir().expect("folder");
    let arguments = short_run(folder.path(), "interrupted", 200, &["--workers", "2"]);
    let child = start_until_step(&arguments, &folder.path().join("interrupted"), 20);
    signal(child.id(), "INT");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130));
    let result = last_json(&output);
    assert_eq!(result["interrupted"], true);
    let run_dir = result["run_dir"].as_str().expect("path");
    assert_eq!(
        json(&["evaluate", run_dir, "--json"])["test_accuracy"],
        result["test_accuracy"]
    );
}

/// A coordinator for two workers, two epochs, into the folder `remote`; its standard error, and its address.
fn coordinator_by_hand(folder: &Path) -> (Child, Lines<BufReader<ChildStderr>>, String) {
    let listening = ["--workers", "2", "--listen", "127.0.0.1:0"];
    let mut arguments = short_run(folder, "remote", 2, &listening);
    arguments[0] = "coordinator".to_owned();
    let mut coordinator = lagrange(&borrowed(&arguments))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(coordinator.stderr.take().expect("piped")).lines();
    let first = lines.next().expect("a line").expect("text");
    let address = first
        .strip_prefix("listening on ")
        .and_then(|rest| rest.split(';').next())
        .expect("the address");
    (coordinator, lines, address.to_owned())
}

fn worker_by_hand(address: &str) -> Command {
    lagrange(&["worker", "--connect", address, "--threads", "1"])
}

#[test]
fn a_coordinator_and_workers_started_by_hand_give_the_same_bits() {
    let folder = tempfile::tempdir().expect("folder");
    let local = json(&borrowed(&short_run(
        folder.path(),
        "local",
        2,
        &["--workers", "1"],
    )));
    let (coordinator, lines, address) = coordinator_by_hand(folder.path());
    let worker = || worker_by_hand(&address).spawn().expect("starts");
    let mut workers = [worker(), worker()];
    // Keep its stderr from filling up.
    let warnings = std::thread::spawn(move || lines.map_while(Result::ok).collect::<String>());
    let output = coordinator.wait_with_output().expect("ends");
    assert!(output.status.success());
    let remote = last_json(&output);
    assert_eq!(remote["weights_sha256"], local["weights_sha256"]);
    assert_eq!(remote["kernels"], local["kernels"]);
    assert!(!warnings.join().expect("ends").contains("OPENBLAS_CORETYPE"));
    for worker in &mut workers {
        assert!(worker.wait().expect("ends").success());
    }
}

/// Every x86-64 can run Nehalem's kernels, and none chooses them beside a coordinator that has others.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_worker_with_other_kernels_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let (coordinator, lines, address) = coordinator_by_hand(folder.path());
    let mut workers = [
        worker_by_hand(&address).spawn().expect("starts"),
        worker_by_hand(&address)
            .env("OPENBLAS_CORETYPE", "Nehalem")
            .spawn()
            .expect("starts"),
    ];
    let warnings = std::thread::spawn(move || lines.map_while(Result::ok).collect::<String>());
    assert!(
        coordinator
            .wait_with_output()
            .expect("ends")
            .status
            .success()
    );
    let warnings = warnings.join().expect("ends");
    assert!(warnings.contains("kernels `Nehalem`"), "{warnings}");
    for worker in &mut workers {
        assert!(worker.wait().expect("ends").success());
    }
}

#[test]
fn any_idx_set_of_square_images_trains_with_its_own_network() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    write_idx(&bars(400, 100), folder.path());
    let config = small_config(8).to_toml();
    std::fs::write(path("config.toml"), config).expect("written");
    let data = folder.path().to_string_lossy().into_owned();
    let (config, run_dir) = (path("config.toml"), path("run"));
    let result = json(&[
        "train",
        "--json",
        "--workers",
        "2",
        "--data",
        &data,
        "--config",
        &config,
        "--run-dir",
        &run_dir,
    ]);
    assert!(result["test_accuracy"].as_f64() > Some(0.95), "{result}");
    let evaluation = json(&["evaluate", &run_dir, "--data", &data, "--json"]);
    assert_eq!(evaluation["test_accuracy"], result["test_accuracy"]);
    // The embedded MNIST has another size.
    let stderr = failure(&["evaluate", &run_dir], 1);
    assert!(
        stderr.contains("12x12") && stderr.contains("--data"),
        "{stderr}"
    );
}

/// Not the death of a worker, to be made good by others: whoever is left would fail as well.
#[test]
fn work_that_nobody_can_do_ends_the_run_with_the_cause() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    write_idx(&bars(400, 100), folder.path());
    let config = small_config(8).to_toml();
    std::fs::write(path("config.toml"), config).expect("written");
    let run_dir = path("run");
    let arguments = [
        "train",
        "--workers",
        "2",
        "--restarts",
        "0",
        "--epochs",
        "5000",
        "--data",
        &path(""),
        "--config",
        &path("config.toml"),
        "--run-dir",
        &run_dir,
    ];
    let child = start_until_step(&arguments.map(str::to_owned), Path::new(&run_dir), 5);
    // The worker that is left must read the other one's shards.
    std::fs::remove_file(path("train-images-idx3-ubyte")).expect("removed");
    let workers = children_of(child.id());
    signal(workers[0], "KILL");
    let output = child.wait_with_output().expect("ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let errors: Vec<_> = stderr.lines().filter(|l| l.starts_with("error")).collect();
    assert_eq!(errors.len(), 1, "{stderr}");
    assert!(
        errors[0].contains("could not do its work")
            && errors[0].contains("train-images-idx3-ubyte"),
        "{stderr}"
    );
    assert!(workers.iter().all(|&pid| !alive(pid)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_costs_the_metrics_but_not_the_model() {
    let folder = tempfile::tempdir().expect("folder");
    let run_dir = folder.path().join("full");
    std::fs::create_dir(&run_dir).expect("created");
    // Every write to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", run_dir.join("metrics.jsonl")).expect("linked");
    let result = json(&borrowed(&short_run(
        folder.path(),
        "full",
        1,
        &["--in-process"],
    )));
    assert_eq!(result["steps"], 8);
    assert!(run_dir.join("model.safetensors").exists() && run_dir.join("result.json").exists());
}
