//! The guide, as a reader follows it: every command of its pages is run, and must print what the page shows.
//!
//! A page is one session of a shell, in a folder with pictures. Of a block of the language `console`, lines
//! that begin with `$ ` are commands and the others what they print, where `..` stands for anything, in a
//! line or for lines. A command fails if and only if the page shows an error of it.

use crate::binary::path;
use crate::binary::process::wait_until;
use image::{Rgb, RgbImage};
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A command of a page, and what it is to print.
#[derive(Debug, Default)]
struct Shown {
    command: String,
    prints: Vec<String>,
}

impl Shown {
    fn fails(&self) -> bool {
        self.prints.iter().any(|line| line.starts_with("error: "))
    }

    /// The first line that is missing in `text`, where all are to be in their order.
    fn missing<'a>(&'a self, text: &str) -> Option<&'a str> {
        let mut lines = text.lines();
        let mut wanted = self.prints.iter().filter(|line| *line != "..");
        wanted
            .find(|wanted| !lines.any(|line| is_like(line.trim_end(), wanted)))
            .map(String::as_str)
    }
}

/// Whether a line is as shown.
fn is_like(line: &str, shown: &str) -> bool {
    let mut rest = line;
    let mut parts = shown.split("..").enumerate().peekable();
    while let Some((number, part)) = parts.next() {
        let at = match (number, parts.peek()) {
            (0, None) => return line == part,
            (0, _) => rest.starts_with(part).then_some(0),
            (_, None) => return rest.ends_with(part),
            _ => rest.find(part),
        };
        let Some(at) = at else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

/// The commands of a page.
fn commands(page: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => in_block = line == "```console",
            _ if !in_block => {}
            Some(command) => all.push(Shown {
                command: command.to_owned(),
                prints: Vec::new(),
            }),
            None => {
                let last = all.last_mut().expect("a command first");
                match last.command.strip_suffix('\\') {
                    Some(begun) => last.command = format!("{begun}{}", line.trim_start()),
                    None => last.prints.push(line.trim_end().to_owned()),
                }
            }
        }
    }
    all
}

/// A shell and all that it started, ended with the test.
struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// Apples have a bright bar across, pears one that goes down.
fn draw(folder: &Path) {
    let picture = |number: usize, is_pear: bool| {
        let at = (number * 7 % 16) as u32;
        RgbImage::from_fn(16, 16, |x, y| {
            let far = if is_pear {
                x.abs_diff(at)
            } else {
                y.abs_diff(at)
            };
            let noise = ((x * 31 + y * 17 + 1) as usize * (number + 3) % 53) as u8;
            Rgb([if far < 2 { 180 } else { 30 }, 90, 40].map(|value: u8| value + noise))
        })
    };
    for (split, numbers) in [("train", 0..200), ("test", 200..250)] {
        for (class, is_pear) in [("apple", false), ("pear", true)] {
            let folder = folder.join("pictures").join(split).join(class);
            fs::create_dir_all(&folder).expect("created");
            for number in numbers.clone() {
                let file = folder.join(format!("{number}.png"));
                picture(number, is_pear).save(file).expect("saved");
            }
        }
    }
    picture(1000, true)
        .save(folder.join("mine.png"))
        .expect("saved");
}

/// Ports that nobody listens on for the time being, in place of those that the guide names.
fn with_free_ports(text: &str) -> String {
    ["7400", "7401", "7402"]
        .iter()
        .fold(text.to_owned(), |text, port| {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            text.replace(port, &free.expect("a port").port().to_string())
        })
}

/// Runs the commands in one shell; each leaves its output in `out.N` and its exit code in `code.N`.
fn script(commands: &[Shown]) -> String {
    let each = commands.iter().enumerate().map(|(number, shown)| {
        let command = &shown.command;
        match command.strip_suffix(" &") {
            Some(command) => format!("{command} >out.{number} 2>&1 &\necho 0 >code.{number}\n"),
            None => format!("{{ {command}\n}} >out.{number} 2>&1\necho $? >code.{number}\n"),
        }
    });
    each.collect()
}

fn follow(page: &str) {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("guide")
        .join(page);
    let text = with_free_ports(&fs::read_to_string(guide).expect("the page"));
    let commands = commands(&text);
    assert!(!commands.is_empty(), "{page} has no command");
    let folder = tempfile::tempdir().expect("folder");
    draw(folder.path());
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_lagrange"));
    let binaries = path(binary.parent().expect("a folder"));
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(script(&commands))
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{binaries}:{}", std::env::var("PATH").expect("PATH")),
        )
        .stdin(Stdio::null())
        .process_group(0);
    let session = Session(shell.spawn().expect("a shell"));
    let read = |name: String| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    for (number, shown) in commands.iter().enumerate() {
        wait_until(&shown.command, || {
            read(format!("code.{number}")).ends_with('\n')
        });
        let failed = read(format!("code.{number}")).trim() != "0";
        let printed = || read(format!("out.{number}"));
        let told = || format!("{page}: {}\n{}", shown.command, printed());
        assert_eq!(failed, shown.fails(), "{}", told());
        // What goes on in the background prints in its own time.
        let patience = if shown.command.ends_with('&') { 600 } else { 1 };
        for left in (0..patience).rev() {
            match shown.missing(&printed()) {
                None => break,
                Some(line) => assert!(left > 0, "not printed: {line}\n{}", told()),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    drop(session);
}

macro_rules! pages {
    ($($name:ident: $file:literal;)*) => {
        $(
            #[test]
            fn $name() {
                follow($file);
            }
        )*

        #[test]
        fn every_page_is_followed() {
            let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("guide");
            let files = fs::read_dir(guide).expect("the guide").flatten();
            let mut there: Vec<_> = files.map(|file| file.file_name().into_string().expect("UTF-8")).collect();
            there.sort();
            let mut followed = vec!["README.md", $($file),*];
            followed.sort_unstable();
            assert_eq!(there, followed);
        }
    };
}

pages! {
    first_run: "first-run.md";
    your_own_pictures: "pictures.md";
    choosing_settings: "settings.md";
    a_cluster: "cluster.md";
    operating_a_run: "operating.md";
    reading_residuals: "residuals.md";
    troubleshooting: "troubleshooting.md";
}

#[test]
fn lines_are_compared_as_shown() {
    for (line, shown, is) in [
        ("step 8 of 9", "step 8 of 9", true),
        ("step 8 of 9", "step .. of ..", true),
        ("step 8 of 9", "step 8", false),
        ("step 8 of 9", "step 8..", true),
        ("step 8 of 9", "..9", true),
        ("step 8 of 9", "..8..8..", false),
    ] {
        assert_eq!(is_like(line, shown), is, "{line} / {shown}");
    }
}
