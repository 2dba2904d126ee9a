//! Seeds of a test, which the environment may choose.

/// The seeds that `variable` chooses, as `17` or `0..5000`; `usual` ones where it is not set.
#[must_use]
pub fn seeds(variable: &str, usual: std::ops::Range<u64>) -> Vec<u64> {
    let Ok(text) = std::env::var(variable) else {
        return usual.collect();
    };
    let number = |text: &str| text.parse::<u64>().expect("seeds: give 17, or 0..5000");
    match text.split_once("..") {
        Some((from, to)) => (number(from)..number(to)).collect(),
        None => vec![number(&text)],
    }
}
