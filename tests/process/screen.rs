//! A run on a whole terminal, in a pseudo-terminal: what is drawn, how it is stopped, and that the terminal is
//! as it was afterwards.

use crate::binary::process::{children_of, short_run, signal, wait_for_step, wait_until};
use crate::binary::run_files::metrics;
use crate::binary::{failure, four_steps, lagrange, text};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// What takes the whole screen, and what gives it back.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A run in a terminal of its own.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    /// Everything that came to the terminal.
    shown: PathBuf,
    run_dir: PathBuf,
}

impl Terminal {
    /// Starts a run of many steps with `--progress tui`, and waits for some of them.
    fn start(folder: &Path) -> Self {
        let arguments = short_run(folder, "run", 400, &["--workers", "2", "--progress", "tui"]);
        let words = [env!("CARGO_BIN_EXE_lagrange").to_owned()];
        let words: Vec<String> = words.into_iter().chain(arguments).collect();
        // The settings of the terminal before and after; the command's own exit code.
        let line = format!(
            "stty rows 40 cols 120; stty -g; {}; code=$?; stty -g; exit $code",
            words.join(" ")
        );
        let shown = folder.join("shown");
        let mut script = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(File::create(&shown).expect("a file"))
            .spawn()
            .expect("script");
        let keys = script.stdin.take().expect("piped");
        let run_dir = folder.join("run");
        wait_for_step(&run_dir, 20);
        let terminal = Self {
            script,
            keys,
            shown,
            run_dir,
        };
        wait_until("a picture with steps", || {
            terminal.screen().contains("worker 2 joined")
        });
        terminal
    }

    fn shown(&self) -> String {
        text(&fs::read(&self.shown).expect("shown"))
    }

    /// What is on the terminal now.
    fn screen(&self) -> String {
        let mut parser = vt100::Parser::new(40, 120, 0);
        parser.process(self.shown().as_bytes());
        parser.screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    /// The exit code, and what was shown behind the screen, which has been given back.
    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.script.wait().expect("ends").code();
        let shown = self.shown();
        let (before, rest) = shown.split_once(ENTER).expect("taken");
        let (screen, after) = rest.rsplit_once(LEAVE).expect("given back");
        assert!(
            !screen.contains(ENTER) && !after.contains("\u{1b}[?25l"),
            "the cursor is there"
        );
        let settings = |text: &str| {
            let of = |line: &&str| line.matches(':').count() > 10 && !line.contains('{');
            let plain = |line: &str| line.trim().trim_start_matches("\u{1b}[?25h").to_owned();
            text.lines().find(of).map(plain)
        };
        assert!(settings(before).is_some(), "{before}");
        assert_eq!(
            settings(after),
            settings(before),
            "the terminal is as it was"
        );
        (code, after.to_owned())
    }

    /// The process of the run.
    fn run(&self) -> u32 {
        let shells = children_of(self.script.id());
        let runs = shells.iter().flat_map(|&shell| children_of(shell));
        let is_run = |pid: &u32| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
            line.is_ok_and(|line| line.contains("lagrange"))
        };
        runs.chain(shells.iter().copied())
            .find(is_run)
            .expect("a run")
    }
}

#[test]
fn q_stops_a_run_and_its_result_is_on_a_terminal_as_it_was() {
    let folder = tempfile::tempdir().expect("folder");
    let mut terminal = Terminal::start(folder.path());
    let shown = terminal.screen();
    for words in [
        "odd-even seed 0",
        "Primal residual",
        "Workers: 2",
        "q or Ctrl-C",
    ] {
        assert!(shown.contains(words), "{words}");
    }
    terminal.press("q");
    let run_dir = terminal.run_dir.clone();
    let (code, after) = terminal.ended();
    assert_eq!(code, Some(130), "{after}");
    let from_brace = |line: &'_ str| line.find('{').map(|at| line[at..].to_owned());
    let result = after.lines().find_map(from_brace).expect("a result");
    let result: serde_json::Value = serde_json::from_str(result.trim()).expect("JSON");
    assert_eq!(result["interrupted"], true);
    assert!(
        after.contains("worker 1 joined"),
        "what was said is there to be read: {after}"
    );
    assert!(run_dir.join("model.safetensors").exists() && metrics(&run_dir).len() > 20);
}

#[test]
fn control_c_and_signals_give_the_terminal_back_too() {
    let folder = tempfile::tempdir().expect("folder");
    let mut terminal = Terminal::start(folder.path());
    terminal.press("\u{3}");
    assert_eq!(terminal.ended().0, Some(130));

    let folder = tempfile::tempdir().expect("folder");
    let terminal = Terminal::start(folder.path());
    let run = terminal.run();
    // Its workers answer no more: the first wish cannot be granted, the second ends it at once.
    let workers = children_of(run);
    workers.iter().for_each(|&worker| signal(worker, "STOP"));
    signal(run, "TERM");
    std::thread::sleep(std::time::Duration::from_millis(1300));
    signal(run, "TERM");
    let (code, _) = terminal.ended();
    workers.iter().for_each(|&worker| signal(worker, "KILL"));
    assert_eq!(code, Some(130));
}

#[test]
fn what_others_write_to_stderr_does_not_tear_the_screen() {
    let folder = tempfile::tempdir().expect("folder");
    let mut terminal = Terminal::start(folder.path());
    let worker = children_of(terminal.run())[0];
    signal(worker, "KILL");
    // The warning is among what was said, in a frame.
    wait_until("the warning", || {
        terminal.screen().contains("a worker process died")
    });
    let shown = terminal.shown();
    assert!(!shown.contains(LEAVE), "it goes on");
    assert!(
        !shown.contains("died\r\n") && !shown.contains("place\u{1b}[0m"),
        "{shown}"
    );
    terminal.press("q");
    let (code, after) = terminal.ended();
    assert!(
        code == Some(130) && after.contains("a worker process died"),
        "{after}"
    );
}

#[test]
fn where_there_is_no_terminal_there_are_lines_and_every_kind_is_what_it_says() {
    let folder = tempfile::tempdir().expect("folder");
    let said = |name: &str, kind: &str| {
        let mut command = four_steps(&folder.path().join(name));
        let output = command.args(["--progress", kind]).output().expect("runs");
        assert!(output.status.success());
        text(&output.stderr)
    };
    let tui = said("tui", "tui");
    assert!(
        tui.contains("--progress tui: stderr is no terminal; plain lines instead"),
        "{tui}"
    );
    for (kind, said) in [
        ("tui", tui),
        ("bar", said("bar", "bar")),
        ("plain", said("plain", "plain")),
    ] {
        assert!(
            said.contains("step 4/4: Test accuracy") && !said.contains('\u{1b}'),
            "{kind}: {said}"
        );
    }
    assert_eq!(said("none", "none"), "");
    let both = failure(&["train", "--quiet", "--progress", "bar"], 2);
    assert!(
        both.contains("--quiet") && both.contains("--progress"),
        "{both}"
    );
    let help = lagrange(&["coordinator", "--help"]).output().expect("runs");
    assert!(text(&help.stdout).contains("--progress"));
}

#[test]
fn plain_lines_are_plain_on_a_terminal_as_well() {
    let folder = tempfile::tempdir().expect("folder");
    let run = four_steps(&folder.path().join("run"));
    let words = std::iter::once(run.get_program()).chain(run.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().expect("UTF-8")).collect();
    let line = format!("{} --progress plain", words.join(" "));
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()
        .expect("script");
    let shown = text(&output.stdout);
    assert!(
        shown.contains("step 4/4: Test accuracy") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}
