//! Reads dates, as headers spell them. The libraries for that bring a clock, which this crate must not have.

/// A date of RFC 3339 (`2025-01-01T00:00:00.5Z`) or of HTTP (`Wed, 01 Jan 2025 00:00:00 GMT`, RFC 9110, section 5.6.7)
/// in seconds since the epoch. The two obsolete forms of HTTP's are not read.
pub(crate) fn read(text: &str) -> Option<f64> {
    http(text).or_else(|| rfc3339(text))
}

fn http(text: &str) -> Option<f64> {
    let (_, date) = text.split_once(", ")?;
    let mut words = date.strip_suffix(" GMT")?.split(' ');
    let day = words.next()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)?;
    let days = days(words.next()?, i64::try_from(month).ok()? + 1, day)?;
    Some(days + seconds(words.next()?)?)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

fn rfc3339(text: &str) -> Option<f64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut numbers = date.splitn(3, '-');
    let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let days = days(year, number(month, 1..=12)?, day)?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at(zone);
    let offset = match zone.strip_prefix(['+', '-']) {
        Some(offset) if zone.starts_with('-') => -seconds(offset)?,
        Some(offset) => seconds(offset)?,
        None => 0.0,
    };
    Some(days + seconds(time)? - offset)
}

/// The days since the epoch, in seconds; those before it do not matter here.
fn days(year: &str, month: i64, day: &str) -> Option<f64> {
    let (year, day) = (number(year, 1970..=9999)?, number(day, 1..=31)?);
    // Where years begin in March, the leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = i32::try_from(year * 365 + leap_days + (153 * month + 2) / 5 + day - EPOCH).ok()?;
    Some(f64::from(days) * 86_400.0)
}

/// 1970-01-01, counted as above.
const EPOCH: i64 = 719_469;

/// A time of day, or an offset, such as `23:59:59.5`.
fn seconds(time: &str) -> Option<f64> {
    let mut parts = time.split(':');
    let hours = number(parts.next()?, 0..=23)?;
    let minutes = number(parts.next()?, 0..=59)?;
    let seconds = parts.next().unwrap_or("0");
    let plain = seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds: f64 = seconds.parse().ok().filter(|seconds| plain && *seconds < 61.0)?;
    let minutes = i32::try_from(hours * 60 + minutes).ok()?;
    Some(f64::from(minutes) * 60.0 + seconds)
}

fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    text.parse().ok().filter(|number| range.contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00Z", 951_825_600.0),
            ("2000-03-01T00:00:00z", 951_868_800.0),
            ("2024-12-31T23:59:59.25Z", 1_735_689_599.25),
            ("2025-01-01T02:30:00+02:30", 1_735_689_600.0),
            ("2024-12-31T19:00:00-05:00", 1_735_689_600.0),
            ("2100-03-01T00:00:00Z", 4_107_542_400.0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800.0),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "T",
            "soon",
            "2025",
            "2025-13-01T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:00",
            "2025-01-01T00:00:infZ",
            "Wed, 01 Foo 2025 00:00:00 GMT",
            "Wed, 01 Jan 2025 00:00:00",
            "6m0s",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
