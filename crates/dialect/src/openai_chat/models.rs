//! What a model's name tells about what it accepts. Only OpenAI's own names are known; others are taken as they come.

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
pub(super) fn is_openai(model: &str) -> bool {
    let name = bare(model);
    // `gpt-oss` is served by everybody.
    generation(&name).is_some() || name.starts_with("chatgpt-") || is_o_series(&name)
}

/// Whether it is one of OpenAI's reasoning models or newer ones, which refuse `max_tokens`.
pub(super) fn wants_max_completion_tokens(model: &str) -> bool {
    let name = bare(model);
    is_o_series(&name) || generation(&name).is_some_and(|(major, _)| major >= 5)
}

/// Whether it may think: of OpenAI's models, the older ones refuse to be asked.
pub(super) fn may_reason(model: &str) -> bool {
    !is_openai(model) || wants_max_completion_tokens(model)
}

/// Whether it refuses to have its sampling changed: the o series, and the first gpt-5 but for its chat variant.
pub(super) fn has_fixed_sampling(model: &str) -> bool {
    let name = bare(model);
    is_o_series(&name) || (generation(&name) == Some((5, 0)) && !name.contains("chat"))
}

/// Whether it can be told how hard to think while it has tools: gpt-5.3 and later cannot, but in the Responses API.
pub(super) fn thinks_with_tools(model: &str) -> bool {
    generation(&bare(model)).is_none_or(|generation| generation < (5, 3))
}

/// Whether it takes `prompt_cache_breakpoint` (gpt-5.6 and later).
pub(super) fn takes_cache_marks(model: &str) -> bool {
    generation(&bare(model)).is_some_and(|generation| generation >= (5, 6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_names_are_told_apart() {
        // name, OpenAI's, max_completion_tokens, fixed sampling, cache marks
        let cases = [
            ("gpt-4o", true, false, false, false),
            ("gpt-3.5-turbo", true, false, false, false),
            ("o1", true, true, true, false),
            ("openai/o3-mini", true, true, true, false),
            ("o4-mini-2026", true, true, true, false),
            ("gpt-5-nano", true, true, true, false),
            ("gpt-5-chat-latest", true, true, false, false),
            ("gpt-5.2", true, true, false, false),
            ("gpt-5.6-mini", true, true, false, true),
            ("gpt-6", true, true, false, true),
            ("gpt-oss-120b", false, false, false, false),
            ("olmo-2", false, false, false, false),
            ("o1x", false, false, false, false),
            ("llama-3.1", false, false, false, false),
            ("", false, false, false, false),
        ];
        for (name, openai, completion, fixed, marks) in cases {
            assert_eq!(is_openai(name), openai, "{name}");
            assert_eq!(wants_max_completion_tokens(name), completion, "{name}");
            assert_eq!(has_fixed_sampling(name), fixed, "{name}");
            assert_eq!(takes_cache_marks(name), marks, "{name}");
            assert_eq!(may_reason(name), !openai || completion, "{name}");
        }
        assert!(thinks_with_tools("gpt-5.2") && thinks_with_tools("qwen3") && !thinks_with_tools("gpt-5.3-codex"));
    }
}
