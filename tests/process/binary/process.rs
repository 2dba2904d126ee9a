//! Processes of the built binary, watched and killed.

use super::lagrange;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A short run of real digits, 8 steps an epoch.
#[must_use]
pub fn short_run(folder: &Path, name: &str, epochs: u32, extra: &[&str]) -> Vec<String> {
    let run_dir = folder.join(name);
    let mut arguments = vec!["train", "--json", "--train-limit", "2048", "--run-dir"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    arguments.push(run_dir.to_string_lossy().into_owned());
    arguments.extend(["--epochs".to_owned(), epochs.to_string()]);
    arguments.extend(extra.iter().map(|text| (*text).to_owned()));
    arguments
}

/// Arguments as the command line wants them.
#[must_use]
pub fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Processes whose parent is `parent`.
#[must_use]
pub fn children_of(parent: u32) -> Vec<u32> {
    let output = Command::new("ps")
        .args(["-eo", "pid=,ppid="])
        .output()
        .expect("ps");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|n| n.parse::<u32>().ok());
            match (numbers.next()??, numbers.next()??) {
                (pid, ppid) if ppid == parent => Some(pid),
                _ => None,
            }
        })
        .collect()
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn alive(pid: u32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .expect("ps");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Sends a signal; whether the process was there.
pub fn send_signal(pid: u32, name: &str) -> bool {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    kill.expect("kill").success()
}

/// Sends a signal to a process that must be there.
pub fn signal(pid: u32, name: &str) {
    assert!(send_signal(pid, name), "process {pid} was there");
}

/// Waits for a condition, but not for ever.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a run and returns it once its metrics show that `step` is done.
#[must_use]
pub fn start_until_step(arguments: &[String], run_dir: &Path, step: u64) -> Child {
    let child = lagrange(&borrowed(arguments))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    wait_for_step(run_dir, step);
    child
}

/// Waits until a run's metrics show that `step` is done.
pub fn wait_for_step(run_dir: &Path, step: u64) {
    let metrics = run_dir.join("metrics.jsonl");
    wait_until("the first steps", || {
        std::fs::read_to_string(&metrics)
            .is_ok_and(|text| text.contains(&format!("\"step\":{step},")))
    });
}

/// The command, with no room for files beyond so many bytes: they are cut off there, and writing more of
/// them fails.
#[must_use]
pub fn with_room_for(bytes: u64, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    // POSIX counts in blocks of 512 bytes. Without the trap the process would not get to see the error.
    let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
    limited
        .args(["-c", script, &(bytes / 512).to_string()])
        .arg(command.get_program())
        .args(command.get_args())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited
}
