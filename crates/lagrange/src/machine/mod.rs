//! What a run needs of the system: had at the start or refused in words, not missed in the middle of a run.

use lagrange_core::blas;
use lagrange_worker::{Executor, Threads};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// How long OpenBLAS may take over its buffers; it needs microseconds.
const BLAS_PATIENCE: Duration = Duration::from_secs(10);
/// Address space of a thread's own heap.
const HEAP_BYTES: usize = 64 << 20;
/// Bytes of MNIST and some more: while it is read or cut into shards, it is there twice.
pub const DATA_BYTES: usize = 128 << 20;
/// Threads of the async runtime, the recorder, the checkpoints' writer and the like.
const OWN_THREADS: usize = 5;
/// Threads of a worker process beside those that it computes on.
const WORKER_THREADS: usize = 3;
/// Files, sockets and pipes that a process opens by itself.
const OWN_FILES: u64 = 32;
/// Those for a worker: its connection, its stdin, and what tells of its end.
const WORKER_FILES: u64 = 4;

/// Why the system does not give what is needed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// Threads.
    #[error("{0}")]
    Threads(#[from] NoThread),
    /// Threads to compute on.
    #[error(
        "cannot start {0} threads; lower --threads, or raise the limit on processes (`ulimit -u`, or the container's pids \
         limit)"
    )]
    ComputeThreads(usize),
    /// Address space for OpenBLAS.
    #[error("{0}")]
    Blas(#[from] blas::NoRoom),
    /// An OpenBLAS that only one thread at a time may use.
    #[error(
        "this OpenBLAS is built for one thread, and {0} threads of one process would get wrong products of it: install one \
         with threads (Debian: libopenblas0-pthread), or compute on one thread of each process (--threads 1, and not \
         --in-process)"
    )]
    SerialBlas(usize),
    /// OpenBLAS looks for memory without end.
    #[error(
        "OpenBLAS gets no memory for its work buffers: raise the limit of address space (`ulimit -v`), or lower --threads"
    )]
    BlasHangs,
    /// Open files.
    #[error(
        "{needed} files must be open at once, and {limit} may be: raise the limit (`ulimit -n`)"
    )]
    Files {
        /// How many are needed.
        needed: u64,
        /// How many may be open.
        limit: u64,
    },
    /// The program that worker processes run.
    #[error("cannot find the lagrange executable: {0}")]
    Executable(io::Error),
}

/// A thread that the system does not give.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot start a thread ({0}): raise the limit on processes (`ulimit -u`, or the container's pids limit), or that on \
     address space (`ulimit -v`)"
)]
pub struct NoThread(io::Error);

/// Starts a thread of this process.
///
/// # Errors
/// [`NoThread`]
pub fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), NoThread> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop).map_err(NoThread)
}

/// What a command or a run is going to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Threads of this process that compute.
    pub threads: usize,
    /// Worker processes, and the threads that each computes on.
    pub workers: (usize, usize),
    /// Bytes of address space that this process maps beside what computing takes: its data, above all.
    pub bytes: usize,
}

/// What has been made sure of in this process.
static HAD: Mutex<Option<Needs>> = Mutex::new(None);

impl Needs {
    /// Sets BLAS up, and makes sure of everything, unless as much has been made sure of before.
    ///
    /// # Errors
    /// [`MachineError`], in words of what to do about it.
    pub fn ensure(self) -> Result<(), MachineError> {
        set_up_blas();
        let mut had = HAD.lock().unwrap_or_else(PoisonError::into_inner);
        if had.is_some_and(|had| had.covers(&self)) {
            return Ok(());
        }
        let (workers, each) = self.workers;
        files::ensure(OWN_FILES + WORKER_FILES * workers as u64)?;
        if self.threads > 1 && !blas::is_thread_safe() {
            return Err(MachineError::SerialBlas(self.threads));
        }
        if self.threads > 0 || self.bytes > 0 {
            prepare_blas(self.threads, self.bytes + self.threads * HEAP_BYTES)?;
        }
        // Libraries that miss a thread later panic.
        let count = OWN_THREADS + self.threads + workers * (WORKER_THREADS + each);
        threads::check(count).map_err(NoThread)?;
        *had = Some(self);
        Ok(())
    }

    fn covers(&self, other: &Self) -> bool {
        self.threads >= other.threads
            && self.workers.0 >= other.workers.0
            && self.workers.1 >= other.workers.1
            && self.bytes >= other.bytes
    }
}

/// Settles how OpenBLAS computes: on the calling thread alone, with the kernels that give the same bits on
/// every machine. Once in a process, before any mathematics; whatever trains or evaluates does it by itself.
pub fn set_up_blas() {
    static SETTLED: Once = Once::new();
    SETTLED.call_once(|| {
        blas::use_one_thread();
        blas::use_portable_core();
    });
}

/// Has OpenBLAS get all that it will need for products on `threads` threads at once.
fn prepare_blas(threads: usize, beside: usize) -> Result<(), MachineError> {
    let (done, ended) = channel();
    start_thread("blas", move || {
        let _ = done.send(blas::reserve_buffers(threads, beside));
    })?;
    match ended.recv_timeout(BLAS_PATIENCE) {
        Ok(reserved) => Ok(reserved?),
        Err(_) => Err(MachineError::BlasHangs),
    }
}

/// Processors of this machine that this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Threads for each of `workers` workers that share this machine's processors, at least 1.
#[must_use]
pub fn share_of_cores(workers: usize) -> usize {
    (cores() / workers.max(1)).max(1)
}

/// Threads that a worker computes on.
///
/// # Errors
/// [`MachineError::ComputeThreads`] if the system has no more of them.
pub fn compute_threads(count: usize) -> Result<Arc<dyn Executor>, MachineError> {
    match Threads::new(count) {
        Ok(threads) => Ok(Arc::new(threads)),
        Err(_) => Err(MachineError::ComputeThreads(count)),
    }
}

/// Warns where OpenBLAS computes with other kernels than usual: results then have other bits.
pub fn warn_of_kernels() {
    let chosen = std::env::var_os(blas::CORE_VARIABLE).filter(|name| !name.is_empty());
    let kernels = blas::core_name();
    match (chosen, blas::portable_core()) {
        (Some(chosen), _) if chosen.eq_ignore_ascii_case(&*kernels) => {}
        (Some(chosen), _) => tracing::warn!(
            "{}={}: OpenBLAS computes with its kernels {kernels} instead",
            blas::CORE_VARIABLE,
            chosen.display()
        ),
        (None, Some(usual)) => tracing::warn!(
            "OpenBLAS computes with its kernels {kernels}, as this process could not be restarted for {usual}: results \
             differ in their last bits from those of other machines; set {}={usual}",
            blas::CORE_VARIABLE
        ),
        (None, None) => {}
    }
}

/// This program, to be started again: the very file that runs, even if it has been replaced or removed since.
///
/// # Errors
/// If it cannot be found.
pub fn executable() -> Result<PathBuf, MachineError> {
    let named = std::env::current_exe().map_err(MachineError::Executable)?;
    let itself = PathBuf::from("/proc/self/exe");
    Ok(if named.exists() || !itself.exists() {
        named
    } else {
        itself
    })
}

#[cfg(unix)]
mod files {
    use super::MachineError;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// Makes sure that `needed` files can be open at once. More is taken where it may be had: every worker
    /// that joins needs some.
    pub(super) fn ensure(needed: u64) -> Result<(), MachineError> {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        // What cannot be raised may be enough as it is.
        let _ = setrlimit(Resource::Nofile, raised);
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        if limit >= needed {
            return Ok(());
        }
        Err(MachineError::Files { needed, limit })
    }
}

#[cfg(not(unix))]
mod files {
    /// What there is cannot be told here.
    pub(super) fn ensure(_: u64) -> Result<(), super::MachineError> {
        Ok(())
    }
}

#[cfg(unix)]
mod threads {
    //! Threads that allocate nothing: each of the standard library's would keep a heap of its own, 64 MB of
    //! address space, for as long as the process lives.
    #![allow(unsafe_code)]

    use std::ffi::c_void;
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// All that a thread needs that only waits, and its share of every library's thread-local variables.
    const STACK: usize = 512 << 10;
    /// Microseconds between two looks at the gate.
    const PAUSE: u32 = 200;

    /// Has `count` threads at once, for a moment.
    pub(super) fn check(count: usize) -> io::Result<()> {
        let gate = AtomicBool::new(false);
        let mut started = Vec::with_capacity(count);
        let mut failed = 0;
        // SAFETY: `attributes` is initialised before its use and destroyed after it. Every thread gets a
        // pointer to `gate`, which it only reads, and which outlives it: all that were started are joined
        // here.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_attr_init(&raw mut attributes);
            libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
            while started.len() < count && failed == 0 {
                let mut thread = std::mem::zeroed();
                let argument = (&raw const gate).cast_mut().cast();
                failed =
                    libc::pthread_create(&raw mut thread, &raw const attributes, wait, argument);
                if failed == 0 {
                    started.push(thread);
                }
            }
            libc::pthread_attr_destroy(&raw mut attributes);
            gate.store(true, Ordering::Release);
            for thread in started {
                libc::pthread_join(thread, std::ptr::null_mut());
            }
        }
        match failed {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    extern "C" fn wait(gate: *mut c_void) -> *mut c_void {
        // SAFETY: `check` passes a pointer to its gate, and joins this thread before that goes.
        let gate = unsafe { &*gate.cast::<AtomicBool>() };
        while !gate.load(Ordering::Acquire) {
            // SAFETY: it takes its argument by value.
            unsafe { libc::usleep(PAUSE) };
        }
        std::ptr::null_mut()
    }
}

#[cfg(not(unix))]
mod threads {
    /// What there is cannot be told here.
    pub(super) fn check(_: usize) -> std::io::Result<()> {
        Ok(())
    }
}
