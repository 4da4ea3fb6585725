//! Quantities in canonical form: `0.1` is `100m`, `1024Mi` is `1Gi`.

/// Decimal suffixes with their powers of ten, smallest first.
const DECIMAL: &[(&str, i32)] =
    &[("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: &[(&str, u32)] = &[("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// The canonical form; `None` for what is no quantity.
pub(super) fn canonical(text: &str) -> Option<String> {
    let digits_end = text.find(|letter: char| !matches!(letter, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits_end);
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0
        || whole.len() + fraction.len() > 30
        || !is_digits(whole)
        || !is_digits(fraction)
    {
        return None;
    }
    let mantissa: i128 = format!("{whole}{fraction}").parse().ok()?;
    let mut exponent = -i32::try_from(fraction.len()).ok()?;
    let sign = if negative { "-" } else { "" };
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return binary(mantissa, exponent, *power).map(|text| format!("{sign}{text}"));
    }
    match DECIMAL.iter().find(|(name, _)| *name == suffix) {
        Some((_, power)) => exponent += power,
        None => exponent += suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?,
    }
    Some(format!("{sign}{}", decimal(mantissa, exponent)?))
}

/// Three decimals at most are kept; what is finer is rounded up.
fn decimal(mut mantissa: i128, mut exponent: i32) -> Option<String> {
    while exponent < -9 {
        mantissa = mantissa.checked_add(9)? / 10;
        exponent += 1;
    }
    if mantissa == 0 {
        return Some("0".into());
    }
    while mantissa % 10 == 0 {
        mantissa /= 10;
        exponent += 1;
    }
    let (suffix, power) = DECIMAL.iter().rev().find(|(_, power)| *power <= exponent)?;
    let scale = 10_i128.checked_pow(u32::try_from(exponent - power).ok()?)?;
    Some(format!("{}{suffix}", mantissa.checked_mul(scale)?))
}

fn binary(mantissa: i128, exponent: i32, power: u32) -> Option<String> {
    let bytes = mantissa.checked_shl(power)?;
    let divisor = 10_i128.checked_pow(u32::try_from(-exponent).ok()?)?;
    if bytes % divisor != 0 {
        return decimal(bytes, exponent);
    }
    let bytes = bytes / divisor;
    let largest = BINARY.iter().rev().find(|(_, power)| bytes != 0 && bytes % (1_i128 << power) == 0);
    Some(largest.map_or_else(|| bytes.to_string(), |(suffix, power)| format!("{}{suffix}", bytes >> power)))
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn equal_quantities_have_one_form() {
        for (given, form) in [
            ("0.1", "100m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1500", "1500"),
            ("2", "2"),
            ("0", "0"),
            ("1000", "1k"),
            ("4096Mi", "4Gi"),
            ("100Ki", "100Ki"),
            ("-2", "-2"),
        ] {
            assert_eq!(canonical(given).as_deref(), Some(form), "{given}");
        }
        for none in ["", "x", "1.2.3", "1Zi", "--1"] {
            assert_eq!(canonical(none), None, "{none}");
        }
    }
}
