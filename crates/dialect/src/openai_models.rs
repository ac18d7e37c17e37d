//! What a model's name tells about what it accepts. Only OpenAI's own names are known; others are taken as they come.

use crate::ir::Effort;

/// The name without a vendor in front, in lower case.
fn bare(model: &str) -> String {
    model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase()
}

/// The generation of a `gpt` model, such as (5, 6) of `gpt-5.6-mini`.
fn generation(name: &str) -> Option<(u32, u32)> {
    let rest = name.strip_prefix("gpt-")?;
    let number: &str = rest
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .map_or(rest, |end| &rest[..end]);
    let mut digits = number.split('.');
    let major = digits.next()?.parse().ok()?;
    let minor = digits.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

fn is_o_series(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next() == Some('o')
        && letters.next().is_some_and(|digit| digit.is_ascii_digit())
        && letters.next().is_none_or(|next| next == '-')
}

/// Whether it is one of OpenAI's own models.
pub(crate) fn is_openai(model: &str) -> bool {
    let name = bare(model);
    // `gpt-oss` is served by everybody.
    generation(&name).is_some() || name.starts_with("chatgpt-") || is_o_series(&name)
}

/// Whether it is one of OpenAI's reasoning models or newer ones, which refuse `max_tokens`.
pub(crate) fn wants_max_completion_tokens(model: &str) -> bool {
    let name = bare(model);
    is_o_series(&name) || generation(&name).is_some_and(|(major, _)| major >= 5)
}

/// Whether it is one of OpenAI's that think by themselves.
pub(crate) fn reasons(model: &str) -> bool {
    let name = bare(model);
    let is_chat = generation(&name) == Some((5, 0)) && name.contains("-chat");
    wants_max_completion_tokens(model) && !is_chat
}

/// Whether it may think: of OpenAI's models, the older ones refuse to be asked.
pub(crate) fn may_reason(model: &str) -> bool {
    !is_openai(model) || reasons(model)
}

/// The efforts that one of OpenAI's reasoning models takes, from the least to the most. It refuses all others.
/// <https://developers.openai.com/api/docs/guides/reasoning>, and the page of each model.
fn efforts(name: &str) -> &'static [Effort] {
    use Effort::{High, Low, Max, Medium, Minimal, None, XHigh};
    let has = |part| name.contains(part);
    match generation(name) {
        Some((5, 0)) if has("-pro") => &[High],
        Some((5, 0)) if !has("-codex") => &[Minimal, Low, Medium, High],
        Some((5, 1)) if has("-codex-max") => &[Low, Medium, High, XHigh],
        Some((5, 1)) if !has("-codex") => &[None, Low, Medium, High],
        Some((5, 2..)) if has("-pro") => &[Medium, High, XHigh],
        Some((5, 2..)) if has("-codex") => &[Low, Medium, High, XHigh],
        Some((5, 2..=5)) => &[None, Low, Medium, High, XHigh],
        Some((5, 6..)) => &[None, Low, Medium, High, XHigh, Max],
        Some((6.., _)) => &[Low, Medium, High, XHigh, Max],
        // The o series too.
        _ => &[Low, Medium, High],
    }
}

/// The effort that comes nearest to what is wanted among those that the model takes: the next higher one, else its highest.
pub(crate) fn fitted(effort: Effort, model: &str) -> Effort {
    if !reasons(model) {
        return effort;
    }
    let efforts = efforts(&bare(model));
    let next = efforts.iter().find(|one| **one >= effort).or(efforts.last());
    next.copied().unwrap_or(effort)
}

/// Whether it refuses to have its sampling changed while it thinks as hard as that (`None`: as hard as it does by itself). gpt-5.1
/// and later can be told not to think, and up to gpt-5.4 do not unless they are told to.
pub(crate) fn has_fixed_sampling(model: &str, effort: Option<Effort>) -> bool {
    let name = bare(model);
    match generation(&name) {
        _ if !reasons(model) || name.contains("-chat") => false,
        Some((5, minor @ 1..)) => effort.map_or(minor >= 5, |effort| effort != Effort::None),
        _ => true,
    }
}

/// Whether a temperature or `top_p` is what it is anyway, so that nothing is lost when it is not told.
pub(crate) fn is_default(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}

/// Whether it can be told how hard to think while it has tools: gpt-5.3 and later cannot, but in the Responses API.
pub(crate) fn thinks_with_tools(model: &str) -> bool {
    generation(&bare(model)).is_none_or(|generation| generation < (5, 3))
}

/// Whether it takes `prompt_cache_breakpoint` (gpt-5.6 and later).
pub(crate) fn takes_cache_marks(model: &str) -> bool {
    generation(&bare(model)).is_some_and(|generation| generation >= (5, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_names_are_told_apart() {
        // name, OpenAI's, max_completion_tokens, sampling fixed by default, cache marks
        let cases = [
            ("gpt-4o", true, false, false, false),
            ("gpt-3.5-turbo", true, false, false, false),
            ("o1", true, true, true, false),
            ("openai/o3-mini", true, true, true, false),
            ("o4-mini-2026", true, true, true, false),
            ("gpt-5-nano", true, true, true, false),
            ("gpt-5-chat-latest", true, true, false, false),
            ("gpt-5-2026-08-07", true, true, true, false),
            ("gpt-5.2", true, true, false, false),
            ("openai/gpt-5.6-terra", true, true, true, true),
            ("gpt-5.6-mini", true, true, true, true),
            ("gpt-6", true, true, true, true),
            ("gpt-oss-120b", false, false, false, false),
            ("olmo-2", false, false, false, false),
            ("o1x", false, false, false, false),
            ("llama-3.1", false, false, false, false),
            ("", false, false, false, false),
        ];
        for (name, openai, completion, fixed, marks) in cases {
            assert_eq!(is_openai(name), openai, "{name}");
            assert_eq!(wants_max_completion_tokens(name), completion, "{name}");
            assert_eq!(has_fixed_sampling(name, None), fixed, "{name}");
            assert_eq!(takes_cache_marks(name), marks, "{name}");
            assert_eq!(
                may_reason(name),
                !openai || (completion && !name.contains("chat")),
                "{name}"
            );
        }
        assert!(has_fixed_sampling("gpt-5.2", Some(Effort::Low)) && !has_fixed_sampling("gpt-5.6", Some(Effort::None)));
        assert!(thinks_with_tools("gpt-5.2") && thinks_with_tools("qwen3") && !thinks_with_tools("gpt-5.3-codex"));
    }

    #[test]
    fn a_model_is_told_an_effort_that_it_takes() {
        use Effort::{High, Low, Max, Medium, Minimal, None, XHigh};
        // name, for none, minimal, high, max
        let cases = [
            ("o3", [Low, Low, High, High]),
            ("gpt-5", [Minimal, Minimal, High, High]),
            ("gpt-5-codex", [Low, Low, High, High]),
            ("gpt-5-pro", [High, High, High, High]),
            ("gpt-5.1", [None, Low, High, High]),
            ("gpt-5.1-codex", [Low, Low, High, High]),
            ("gpt-5.1-codex-max", [Low, Low, High, XHigh]),
            ("gpt-5.2", [None, Low, High, XHigh]),
            ("gpt-5.2-pro", [Medium, Medium, High, XHigh]),
            ("gpt-5.3-codex", [Low, Low, High, XHigh]),
            ("openai/gpt-5.6-sol", [None, Low, High, Max]),
            ("gpt-6-astra", [Low, Low, High, Max]),
            // Whoever serves them knows what they take.
            ("gpt-oss-120b", [None, Minimal, High, Max]),
            ("qwen3", [None, Minimal, High, Max]),
        ];
        for (name, expected) in cases {
            let told = [None, Minimal, High, Max].map(|effort| fitted(effort, name));
            assert_eq!(told, expected, "{name}");
        }
    }
}
