//! The terminal while it is a screen: taken, drawn on, given back.

use super::draw::{Look, draw};
use crate::Watch;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, PipeReader, Write as _, pipe, stderr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Time between two pictures of the run.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a terminal that takes nothing is waited for when it is to be given back.
const PATIENCE: Duration = Duration::from_secs(1);

/// The screen of this process, if there is one.
static PRESENT: Mutex<Weak<Stage>> = Mutex::new(Weak::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal that stderr was.
#[derive(Debug)]
struct Taken {
    terminal: Terminal<CrosstermBackend<File>>,
    /// To make stderr what it was.
    stderr: OwnedFd,
}

/// A screen, taken or given back.
#[derive(Debug)]
pub(super) struct Stage {
    watch: Watch,
    /// None once it is given back.
    taken: Mutex<Option<Taken>>,
    /// Whether what comes to stderr goes to the terminal again.
    is_left: Mutex<bool>,
}

impl Stage {
    /// Takes the terminal, and puts a pipe in the place of stderr.
    pub(super) fn open(watch: Watch) -> io::Result<(Arc<Self>, PipeReader)> {
        let original = rustix::io::fcntl_dupfd_cloexec(stderr(), 3)?;
        let out = File::from(original.try_clone()?);
        let (said, writer) = pipe()?;
        let terminal = Terminal::new(CrosstermBackend::new(out))?;
        enable_raw_mode()?;
        let stage = Arc::new(Self {
            watch,
            taken: Mutex::new(Some(Taken {
                terminal,
                stderr: original,
            })),
            is_left: Mutex::new(false),
        });
        *locked(&PRESENT) = Arc::downgrade(&stage);
        // From here on, giving it up gives it back.
        let guard = Leaving(&stage);
        rustix::stdio::dup2_stderr(&writer)?;
        if let Some(taken) = &mut *locked(&stage.taken) {
            execute!(taken.terminal.backend_mut(), EnterAlternateScreen, Hide)?;
        }
        std::mem::forget(guard);
        Ok((stage, said))
    }

    /// Takes what comes to stderr, until nobody can write there any more.
    pub(super) fn listen(&self, said: &PipeReader) {
        let mut said = BufReader::new(said);
        let mut line = Vec::new();
        while said
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            let is_left = locked(&self.is_left);
            if *is_left {
                let _ = stderr().write_all(&line);
            } else {
                let text = String::from_utf8_lossy(&line);
                self.watch.say(text.trim_end());
            }
            line.clear();
        }
    }

    /// Draws the run until the terminal is given back or takes nothing more.
    pub(super) fn show(&self, look: &Look, quit: &impl Fn()) {
        let _guard = Leaving(self);
        loop {
            let state = self.watch.look(Clone::clone);
            let elapsed = self.watch.elapsed();
            let drawn = match &mut *locked(&self.taken) {
                None => return,
                Some(taken) => taken
                    .terminal
                    .draw(|frame| draw(frame, &state, elapsed, look))
                    .map(|_| ()),
            };
            if drawn.is_err() {
                return;
            }
            self.wait(quit);
        }
    }

    /// Waits for the next picture, and hears keys meanwhile.
    fn wait(&self, quit: &impl Fn()) {
        let next = Instant::now() + PAUSE;
        while let Some(left) = next.checked_duration_since(Instant::now()) {
            match event::poll(left) {
                Ok(false) => return,
                Ok(true) => match event::read() {
                    Ok(Event::Key(key)) => self.hear(key, quit),
                    // A new size is a new picture.
                    Ok(Event::Resize(..)) => return,
                    _ => {}
                },
                // Keys cannot be heard, but seen the run can be.
                Err(_) => return std::thread::sleep(left),
            }
        }
    }

    fn hear(&self, key: KeyEvent, quit: &impl Fn()) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Char('q' | 'Q') => quit(),
            KeyCode::Char('c') if control => quit(),
            KeyCode::Char('l') if control => {
                if let Some(taken) = &mut *locked(&self.taken) {
                    let _ = taken.terminal.clear();
                }
            }
            _ => {}
        }
    }

    /// Gives the terminal back, with what was said on it; once.
    pub(super) fn leave(&self) {
        let Some(mut taken) = self.take() else {
            return;
        };
        let left = execute!(taken.terminal.backend_mut(), LeaveAlternateScreen, Show);
        let raw = disable_raw_mode();
        let mut is_left = locked(&self.is_left);
        *is_left = true;
        let back = rustix::stdio::dup2_stderr(&taken.stderr);
        // What cannot be given back is gone.
        drop((left, raw, back));
        let lines = self.watch.look(|state| {
            let lines = state.lines.iter().map(|line| line.text.as_str());
            lines.fold(String::new(), |all, line| all + line + "\n")
        });
        let _ = stderr().write_all(lines.as_bytes());
    }

    /// The terminal, if it is not given back yet and nobody is stuck in drawing on it.
    fn take(&self) -> Option<Taken> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.taken.try_lock() {
                Ok(mut taken) => return taken.take(),
                Err(std::sync::TryLockError::Poisoned(taken)) => return taken.into_inner().take(),
                Err(std::sync::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(std::sync::TryLockError::WouldBlock) => return None,
            }
        }
    }
}

/// Gives the terminal back when it is dropped, in a panic as well.
struct Leaving<'a>(&'a Stage);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Gives the terminal back that this process has taken, if any.
pub(super) fn leave_present() {
    let present = locked(&PRESENT).upgrade();
    if let Some(stage) = present {
        stage.leave();
    }
}
