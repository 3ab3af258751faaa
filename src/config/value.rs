//! Readers of single TOML values: type, unit, range. They know no key.

use super::fault::nearest;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// A value with its place in the file.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// One thing wrong with a value.
#[derive(Debug)]
pub(super) struct Problem {
    /// Byte offset in the file.
    pub at: usize,
    /// What is wrong, and what to do.
    pub text: String,
}

/// A usable value, or everything that is wrong with it.
pub(super) type Read<T> = Result<T, Vec<Problem>>;

/// A value that can't be used.
pub(super) fn refuse<T>(value: &Value<'_>, text: impl Into<String>) -> Read<T> {
    Err(vec![Problem { at: value.span().start, text: text.into() }])
}

fn wrong_type<T>(value: &Value<'_>, wanted: &str) -> Read<T> {
    let kind = value.get_ref().type_str();
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    refuse(value, format!("must be {wanted}, not {article} {kind}"))
}

/// A string. `example` shows one in the message, without quotes.
pub(super) fn text<'v>(value: &'v Value<'_>, example: &str) -> Read<&'v str> {
    match value.get_ref() {
        DeValue::String(text) => Ok(text),
        _ => wrong_type(value, &format!("a string such as \"{example}\"")),
    }
}

/// `true` or `false`.
pub(super) fn truth(value: &Value<'_>) -> Read<bool> {
    match value.get_ref() {
        DeValue::Boolean(truth) => Ok(*truth),
        _ => wrong_type(value, "true or false, without quotes"),
    }
}

/// A whole number in a range.
pub(super) fn number<N>(value: &Value<'_>, range: RangeInclusive<N>) -> Read<N>
where
    N: TryFrom<i64> + PartialOrd + Display,
{
    let wanted = format!("a number from {} to {}", range.start(), range.end());
    let DeValue::Integer(digits) = value.get_ref() else {
        return wrong_type(value, &format!("{wanted}, without quotes"));
    };
    i64::from_str_radix(digits.as_str(), digits.radix())
        .ok()
        .and_then(|number| N::try_from(number).ok())
        .filter(|number| range.contains(number))
        .map_or_else(|| refuse(value, format!("{digits} is out of range: write {wanted}")), Ok)
}

/// A time with its unit, in a range.
pub(super) fn duration(value: &Value<'_>, range: RangeInclusive<Duration>) -> Read<Duration> {
    let least = humantime::format_duration(*range.start());
    let most = humantime::format_duration(*range.end());
    if let DeValue::Integer(number) = value.get_ref() {
        let advice = format!("write \"{number}s\" or \"{number}ms\"");
        return refuse(value, format!("{number} has no unit: {advice}"));
    }
    let written = text(value, "2s")?;
    let Ok(time) = humantime::parse_duration(written) else {
        return refuse(
            value,
            format!("\"{written}\" is no time: write \"2s\", \"250ms\" or \"1h\""),
        );
    };
    if range.contains(&time) {
        return Ok(time);
    }
    refuse(value, format!("\"{written}\" is out of range: write a time from {least} to {most}"))
}

/// Bytes with their unit, in a range.
pub(super) fn size(value: &Value<'_>, range: RangeInclusive<usize>) -> Read<usize> {
    if let DeValue::Integer(number) = value.get_ref() {
        let advice = format!("write \"{number} B\", or \"1 MiB\"");
        return refuse(value, format!("{number} has no unit: {advice}"));
    }
    let written = text(value, "1 MiB")?;
    let Some(bytes) = parse_size(written) else {
        let advice = "write a whole number and B, KiB, MiB or GiB, as in \"64 KiB\"";
        return refuse(value, format!("\"{written}\" is no size: {advice}"));
    };
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    let (least, most) = (show_size(*range.start()), show_size(*range.end()));
    refuse(value, format!("\"{written}\" is out of range: write a size from {least} to {most}"))
}

fn parse_size(text: &str) -> Option<usize> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(factor)
}

fn show_size(bytes: usize) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift && bytes.trailing_zeros() >= shift {
            return format!("{} {unit}", bytes >> shift);
        }
    }
    format!("{bytes} B")
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: &Value<'_>, words: &[(&str, T)]) -> Read<T> {
    let written = text(value, words.first().map_or("", |(name, _)| name))?;
    if let Some((_, meaning)) = words.iter().find(|(name, _)| *name == written) {
        return Ok(*meaning);
    }
    let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
    let advice = match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("write one of \"{}\"", names.join("\", \"")),
    };
    refuse(value, format!("\"{written}\" is unknown: {advice}"))
}

/// A list, each element read by `each`; every bad element is reported.
pub(super) fn list<T>(
    value: &Value<'_>,
    example: &str,
    each: impl Fn(&Value<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    let elements = array(value, example)?;
    let mut problems = Vec::new();
    let mut good = Vec::with_capacity(elements.len());
    for element in elements {
        match each(element) {
            Ok(item) => good.push(item),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(good) } else { Err(problems) }
}

fn array<'v, 'i>(value: &'v Value<'i>, example: &str) -> Read<&'v DeArray<'i>> {
    match value.get_ref() {
        DeValue::Array(elements) => Ok(elements),
        _ => wrong_type(value, &format!("a list such as [\"{example}\"]")),
    }
}
