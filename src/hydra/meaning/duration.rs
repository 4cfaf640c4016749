//! Durations as Go writes them.

/// The nanoseconds in one unit of Go's duration syntax. Both signs for micro are accepted.
fn nanoseconds_per(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

/// Reads what Go's `time.ParseDuration` reads: an optional sign, then `0` or one or more decimal
/// numbers, each with an optional fraction and a unit. `None` where Go reports an error, so where
/// Hydra refuses the value. A part of a nanosecond is cut off.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (amount, tail) = leading_amount(rest)?;
        total = total.checked_add(amount)?;
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// One number with its unit from the start of `text`, in nanoseconds, and what follows it.
fn leading_amount(text: &str) -> Option<(i128, &str)> {
    let (whole, rest) = leading_digits(text);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => leading_digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let unit = nanoseconds_per(unit)?;
    let whole = if whole.is_empty() { 0 } else { whole.parse::<i64>().ok()? };
    let amount = i128::from(whole).checked_mul(i128::from(unit))?;
    Some((amount + i128::from(part_of(unit, fraction)), rest))
}

/// `0.<fraction>` of `unit`, in the floating-point arithmetic of Go: exact integers would differ by
/// a nanosecond from what Hydra stores where a fraction has very many digits.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go's own conversions; the value is never negative and less than one hour"
)]
fn part_of(unit: u64, fraction: &str) -> u64 {
    let (mut digits, mut scale) = (0_i64, 1_f64);
    for digit in fraction.bytes() {
        let Some(next) =
            digits.checked_mul(10).and_then(|n| n.checked_add(i64::from(digit - b'0')))
        else {
            break;
        };
        digits = next;
        scale *= 10.0;
    }
    (digits as f64 * (unit as f64 / scale)) as u64
}

fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0s", Some(0)),
            ("1h", Some(3_600_000_000_000)),
            ("1h0m0s", Some(3_600_000_000_000)),
            ("60m", Some(3_600_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5m", Some(30_000_000_000)),
            ("5.s", Some(5_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("+7ns", Some(7)),
            ("1\u{b5}s", Some(1_000)),
            ("1\u{3bc}s", Some(1_000)),
            ("1us1ms", Some(1_001_000)),
            ("0.9ns", Some(0)),
            ("0.3333333333333333333333h", Some(1_200_000_000_000)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("-2562047h47m16.854775808s", Some(i64::MIN)),
            ("2562047h47m16.854775808s", None),
            ("9223372036854775808ns", None),
            ("99999999999999999999h", None),
            ("", None),
            ("-", None),
            ("3", None),
            ("00", None),
            ("1d", None),
            ("1 h", None),
            (".s", None),
            ("h", None),
            ("1h-5m", None),
            ("1H", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }

    proptest! {
        /// The form in which Hydra returns a lifespan.
        #[test]
        fn reads_the_normal_form(
            h in 0_i64..2_562_047, m in 0_i64..60, s in 0_i64..60, ns in 0_i64..1_000_000_000,
        ) {
            let expected = ((h * 60 + m) * 60 + s) * 1_000_000_000 + ns;
            prop_assert_eq!(nanoseconds(&format!("{h}h{m}m{s}.{ns:09}s")), Some(expected));
        }

        #[test]
        fn units_add_up(parts in proptest::collection::vec((0_u32..100_000, 0_usize..6), 1..6)) {
            let units = ["ns", "us", "ms", "s", "m", "h"];
            let texts: Vec<_> = parts.iter().map(|(n, unit)| format!("{n}{}", units[*unit])).collect();
            let sum: u64 = parts
                .iter()
                .map(|(n, unit)| u64::from(*n) * nanoseconds_per(units[*unit]).unwrap())
                .sum();
            prop_assert_eq!(nanoseconds(&texts.concat()), i64::try_from(sum).ok());
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = nanoseconds(&text);
        }
    }
}
