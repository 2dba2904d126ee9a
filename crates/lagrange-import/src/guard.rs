//! Foreign decoders.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the decoder of another crate. That of Parquet is known to panic at some damaged files; here this is a
/// fault of the file, because one bad file must not end a program. The panic's message still goes to the
/// panic hook.
///
/// What `decode` changes must not be used after a fault.
pub(crate) fn guarded<T, E>(
    decode: impl FnOnce() -> Result<T, E>,
    fault: impl FnOnce(&'static str) -> E,
) -> Result<T, E> {
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.unwrap_or_else(|_| Err(fault("it is damaged, so that its decoder panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_fault() {
        let length = [0; 3].len();
        let panics = || Ok::<_, String>([1, 2][length]);
        let fault = guarded(panics, str::to_owned).expect_err("a fault");
        assert!(fault.ends_with("decoder panicked"));
        assert_eq!(guarded(|| Ok::<_, String>(7), str::to_owned), Ok(7));
    }
}
