//! The meaning of a plain scalar in the YAML 1.2 core schema.

use super::Value;

/// The value of a plain scalar's text; everything outside the core schema is text.
pub(super) fn plain(text: String) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(&text).unwrap_or(Value::Str(text)),
    }
}

/// The value of a text without YAML around it: a number or boolean if the text is exactly that,
/// always with the given text.
#[must_use]
pub fn plain_text(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::Str(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let first = unsigned.bytes().next()?;
    if !(first.is_ascii_digit() || first == b'.') {
        return None;
    }
    integer(text, unsigned)
        .map(|number| Value::Int(number, text.to_owned()))
        .or_else(|| float(text, unsigned).map(|number| Value::Float(number, text.to_owned())))
}

/// `None` for integers beyond 64 bits, which are read as floating point.
fn integer(text: &str, unsigned: &str) -> Option<i64> {
    let radix = |digits: &str, radix: u32| {
        digits
            .chars()
            .all(|c| c.is_digit(radix))
            .then(|| i64::from_str_radix(digits, radix).ok())?
    };
    if let Some(octal) = text.strip_prefix("0o") {
        return radix(octal, 8);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return radix(hexadecimal, 16);
    }
    unsigned
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn float(text: &str, unsigned: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let well_formed = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        });
    well_formed.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema_and_nothing_else() {
        let int = |number, text: &str| Value::Int(number, text.to_owned());
        let float = |number, text: &str| Value::Float(number, text.to_owned());
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("True", Value::Bool(true)),
            ("FALSE", Value::Bool(false)),
            ("12", int(12, "12")),
            ("-7", int(-7, "-7")),
            ("+7", int(7, "+7")),
            ("0644", int(644, "0644")),
            ("0o17", int(15, "0o17")),
            ("0xFf", int(255, "0xFf")),
            ("1.10", float(1.1, "1.10")),
            (".5", float(0.5, ".5")),
            ("5.", float(5.0, "5.")),
            ("1e3", float(1000.0, "1e3")),
            ("-1.5E-2", float(-0.015, "-1.5E-2")),
            ("-.inf", float(f64::NEG_INFINITY, "-.inf")),
            (
                "18446744073709551616",
                float(18_446_744_073_709_551_616.0, "18446744073709551616"),
            ),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text.to_owned()), value, "{text}");
        }
        for text in [
            "NO",
            "yes",
            "off",
            "1_000",
            "12:30",
            "1.2.3",
            "0o",
            "0x",
            "0o9",
            "-0x1f",
            ".",
            "-",
            "+",
            "e5",
            "1e",
            "1e+",
            "..",
            "nan",
            "inf",
            "-.nan",
            "2027-01-31",
            "tRue",
        ] {
            assert_eq!(
                plain(text.to_owned()),
                Value::Str(text.to_owned()),
                "{text}"
            );
        }
    }
}
