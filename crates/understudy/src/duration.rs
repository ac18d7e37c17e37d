//! Durations as people write them.

use std::time::Duration;

/// A text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration like \"10ms\" or \"1.5s\"")]
pub struct NotADuration;

/// Reads `250us`, `10ms`, `1.5s` or `2m`.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let unit = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .ok_or(NotADuration)?;
    let number: f64 = text[..unit].parse().map_err(|_| NotADuration)?;
    let factor = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(NotADuration),
    };
    Duration::try_from_secs_f64(number * factor).map_err(|_| NotADuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["", "10", "ms", "10h", "-1s"] {
            assert_eq!(parse(wrong), Err(NotADuration), "{wrong}");
        }
    }
}
