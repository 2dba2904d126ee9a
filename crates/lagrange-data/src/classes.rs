//! Names of classes: their natural order, numeric names, and the name that was meant.

use std::cmp::Ordering;

/// Order of names in which numbers count as numbers: 1, 2, 10, and `shoe 2` before `shoe 10`.
///
/// ```
/// let mut names = ["10", "b2", "2", "b10", "a", "1"];
/// names.sort_by(|one, other| lagrange_data::natural_order(one, other));
/// assert_eq!(names, ["1", "2", "10", "a", "b2", "b10"]);
/// ```
#[must_use]
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(&x), Some(&y)) = (left.first(), right.first()) else {
            // Names that differ in leading zeros alone still have an order.
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(&y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes the digits at the beginning of `text`, and gives them without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    let zeros = digits.iter().take_while(|&&b| b == b'0').count();
    &digits[zeros..]
}

/// Whether the whole number `name` is odd; `None` if it is no whole number.
pub(crate) fn parity(name: &str) -> Option<bool> {
    let digits = name.strip_prefix('-').unwrap_or(name);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // The last digit decides, so that a number of any length has a parity.
    let last = digits.bytes().last().filter(|_| whole)?;
    Some((last - b'0') % 2 == 1)
}

/// Names of MNIST's classes, "0" to "9".
pub(crate) fn digits() -> Vec<String> {
    (0..10).map(|digit: u8| digit.to_string()).collect()
}

/// The one of `names` that is close enough to `wrong` to be meant.
///
/// ```
/// use lagrange_data::nearest_name;
///
/// assert_eq!(nearest_name("hosre", ["cat", "horse"]), Some("horse"));
/// assert_eq!(nearest_name("bird", ["cat", "horse"]), None);
/// ```
pub fn nearest_name<S: AsRef<str>>(wrong: &str, names: impl IntoIterator<Item = S>) -> Option<S> {
    const CLOSE: f64 = 0.8;
    let likeness = |name: S| (strsim::jaro_winkler(wrong, name.as_ref()), name);
    let best = names.into_iter().map(likeness);
    let best = best.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness > CLOSE)
        .map(|(_, name)| name)
}

/// Names for a message, the first twenty of them.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let text = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parity_is_that_of_whole_numbers() {
        for (name, odd) in [
            ("0", Some(false)),
            ("7", Some(true)),
            ("16", Some(false)),
            ("-3", Some(true)),
            ("007", Some(true)),
            ("123456789012345678901234567890", Some(false)),
            ("", None),
            ("-", None),
            ("1.5", None),
            ("cat", None),
            ("1a", None),
        ] {
            assert_eq!(parity(name), odd, "{name}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..30).map(|n: u8| n.to_string()).collect();
        assert!(listed(&names).ends_with("18, 19 and 10 more"));
        assert_eq!(listed(&names[..2]), "0, 1");
    }

    proptest! {
        #[test]
        fn numbers_are_ordered_as_numbers(a: u64, b: u64, prefix in "[a-z]{0,3}") {
            let name = |number| format!("{prefix}{number}");
            prop_assert_eq!(natural_order(&name(a), &name(b)), a.cmp(&b));
        }

        #[test]
        fn the_order_is_total(names in prop::collection::vec("[ab/:0-2]{0,5}", 3)) {
            let order = |i: usize, j: usize| natural_order(&names[i], &names[j]);
            prop_assert_eq!(order(0, 1), order(1, 0).reverse());
            prop_assert_eq!(order(0, 1).is_eq(), names[0] == names[1]);
            if order(0, 1).is_le() && order(1, 2).is_le() {
                prop_assert!(order(0, 2).is_le());
            }
        }
    }
}
