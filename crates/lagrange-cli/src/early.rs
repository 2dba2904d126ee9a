//! Before anything else in the process: OpenBLAS starts threads while it is loaded, and where the system gives
//! none it ends the process by SIGINT, which would be taken for the user's Ctrl-C.
#![allow(unsafe_code)]

use libc::{SIG_DFL, SIG_IGN, SIGINT, c_int, c_void, sigaction, siginfo_t};

/// Called by the dynamic linker, before it initialises the libraries that the program needs.
// SAFETY: entries of this section are called once, on the only thread, with arguments that C functions may
// leave unread. `catch` makes system calls only, through a C library whose symbols are bound by then.
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_LIBRARIES: extern "C" fn() = catch;

/// Has a SIGINT of this process to itself mean that a thread cannot be had.
extern "C" fn catch() {
    // SAFETY: all zeros are a valid `sigaction`; `explain` has the signature that SA_SIGINFO asks for.
    unsafe {
        let mut action: sigaction = std::mem::zeroed();
        sigaction(SIGINT, std::ptr::null(), &raw mut action);
        // Where SIGINT is ignored, OpenBLAS goes on without its threads.
        if action.sa_sigaction != SIG_IGN {
            action.sa_sigaction = explain as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            sigaction(SIGINT, &raw const action, std::ptr::null_mut());
        }
    }
}

/// From here on SIGINT is what it is for every program.
pub fn libraries_are_loaded() {
    // SAFETY: as in `catch`; `signal` takes its arguments by value.
    unsafe {
        let mut action: sigaction = std::mem::zeroed();
        sigaction(SIGINT, std::ptr::null(), &raw mut action);
        if action.sa_sigaction != SIG_IGN {
            libc::signal(SIGINT, SIG_DFL);
        }
    }
}

const WORDS: &[u8] =
    b"error: cannot start a thread: raise the limit on processes (`ulimit -u`, or the container's \
pids limit), or set OPENBLAS_NUM_THREADS=1\n";

extern "C" fn explain(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel passes a valid `info`; everything called may be called in a signal handler.
    unsafe {
        if (*info).si_code == libc::SI_TKILL {
            libc::write(libc::STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len());
            libc::_exit(1);
        }
        libc::signal(SIGINT, SIG_DFL);
        libc::raise(SIGINT);
    }
}
