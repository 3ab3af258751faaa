//! Whether a `Set-Cookie` line takes its cookie away.

/// True if the cookie has expired at `now`, in seconds since 1970. `Max-Age` goes before `Expires`
/// (RFC 6265 §5.3); what can't be read counts as absent, as for browsers.
pub fn is_over(line: &[u8], now: u64) -> bool {
    let (mut age, mut date) = (None, None);
    for attribute in line.split(|b| *b == b';').skip(1) {
        let Some((name, value)) =
            std::str::from_utf8(attribute).ok().and_then(|a| a.split_once('='))
        else {
            continue;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => age = ends_at_once(value.trim()).or(age),
            "expires" => date = seconds(value).map(|at| at <= now).or(date),
            _ => {}
        }
    }
    age.or(date).unwrap_or(false)
}

/// Of a `Max-Age`: zero or less.
fn ends_at_once(value: &str) -> Option<bool> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| value.starts_with('-') || digits.bytes().all(|b| b == b'0'))
}

/// A date as browsers read it (RFC 6265 §5.1.1): a day, a month, a year and a time in any order.
/// Years before 1970 are 1970.
fn seconds(value: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in value.split(|c: char| !c.is_ascii_alphanumeric() && c != ':') {
        let lower = token.to_ascii_lowercase();
        let name = lower.get(..3).and_then(|name| MONTHS.iter().position(|m| *m == name));
        if time.is_none() && token.contains(':') {
            let mut parts = token.split(':').map(str::parse::<u16>);
            let mut next = || parts.next()?.ok().map(u64::from);
            time = Some(next()? * 3600 + next()? * 60 + next()?);
        } else if let (None, 1 | 2, Ok(number)) = (day, token.len(), token.parse::<u64>()) {
            day = Some(number);
        } else if let (None, Some(at)) = (month, name) {
            month = Some(at as u64 + 1);
        } else if let (None, 2 | 4, Ok(number)) = (year, token.len(), token.parse::<u64>()) {
            year = Some(match number {
                0..=69 => number + 2000,
                70..=99 => number + 1900,
                number => number,
            });
        }
    }
    let (time, day, month, year) = (time?, day?, month?, year?);
    // Days before the year and the month, of the Gregorian calendar, from March on.
    let (year, month) = if month < 3 { (year.max(1970) - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(days.saturating_sub(719_468) * 86_400 + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_notation() {
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Mon, 01 Jan 0001 00:00:00 GMT", Some(978_307_200)),
            ("tomorrow", None),
            ("", None),
            ("1:2 1 jan 2000", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }
}
