//! Threads that decode pictures side by side.

use crate::ImportError;
use rayon::ThreadPoolBuilder;
use std::error::Error as _;
use std::sync::OnceLock;

/// Makes sure that rayon has its threads: where the system gives none, its first use panics.
///
/// # Errors
/// [`ImportError::NoThread`]
pub(crate) fn ensure() -> Result<(), ImportError> {
    static FAULT: OnceLock<Option<String>> = OnceLock::new();
    let fault = FAULT.get_or_init(|| {
        let error = ThreadPoolBuilder::new().build_global().err()?;
        // Without a cause, the threads are there already.
        error.source().map(ToString::to_string)
    });
    match fault {
        None => Ok(()),
        Some(cause) => Err(ImportError::NoThread {
            cause: cause.clone(),
        }),
    }
}
