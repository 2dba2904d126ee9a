//! Figures in words.

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// Seconds as milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    let value = 1e3 * seconds;
    match value < 9.95 {
        true => format!("{value:.1} ms"),
        false => format!("{value:.0} ms"),
    }
}

/// A number of bytes.
pub(crate) fn bytes(count: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let power = (0..units.len() - 1).find(|&power| count < 999.5 * 1000f64.powi(power as i32));
    let power = power.unwrap_or(units.len() - 1);
    let value = count / 1000f64.powi(power as i32);
    match value < 9.95 && power > 0 {
        true => format!("{value:.1} {}", units[power]),
        false => format!("{value:.0} {}", units[power]),
    }
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// Numbers in order as `0-3 6`.
pub(crate) fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let words = ranges.iter().map(|&(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `text`, or its beginning if it is longer than `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}..", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let durations = [0.04, 9.94, 9.96, 59.6, 3599.0, 3600.0, 90_000.0].map(duration);
        let wanted = [
            "0.0 s",
            "9.9 s",
            "10 s",
            "1 min 00 s",
            "59 min 59 s",
            "1 h 00 min",
            "25 h 00 min",
        ];
        assert_eq!(durations, wanted);
        let sizes = [0.0, 999.0, 1000.0, 343_210.0, 999_900.0, 3e15].map(bytes);
        assert_eq!(
            sizes,
            ["0 B", "999 B", "1.0 kB", "343 kB", "1.0 MB", "3000 TB"]
        );
        assert_eq!([0.0042, 0.125].map(milliseconds), ["4.2 ms", "125 ms"]);
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2 5 7-8");
        assert_eq!(
            (cut("worker", 6), cut("worker", 3)),
            ("worker".to_owned(), "wor..".to_owned())
        );
    }
}
