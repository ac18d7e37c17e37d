//! What Anthropic's models accept, by their names, as data.
//!
//! The facts are those of Anthropic's models overview and its migration guides (platform.claude.com/docs, "Models overview",
//! "Migration guide", "Adaptive thinking", "Effort", "Structured outputs"). A name that says no version is an unknown
//! model: it is asked for what the caller asks for.

/// What one model accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact about a model, named as in the table"
)]
pub(super) struct Model {
    /// The table knows it: what it does not accept need not be tried.
    pub(super) known: bool,
    /// The most tokens that it generates, reasoning included.
    pub(super) max_output: u64,
    /// How it is told to think.
    pub(super) thinking: ThinkingForm,
    /// It thinks in any case.
    pub(super) always_thinks: bool,
    /// Understands `output_config.effort`.
    pub(super) effort: bool,
    /// Knows the effort `xhigh`.
    pub(super) xhigh: bool,
    /// Which parameters of sampling it accepts.
    pub(super) sampling: SamplingForm,
    /// Understands `output_config.format` and `strict` on tools.
    pub(super) structured: bool,
    /// Goes on with a last message of the assistant.
    pub(super) prefill: bool,
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThinkingForm {
    /// It cannot think.
    Never,
    /// With a budget of tokens.
    Budget,
    /// With a budget, which is deprecated, or adaptively.
    Both,
    /// Only adaptively.
    Adaptive,
}

/// Which parameters of sampling a model accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamplingForm {
    /// All of them.
    All,
    /// Temperature or nucleus sampling, not both.
    OneOf,
    /// None.
    Nothing,
}

/// The default limit on the answers of a model that is not known.
const DEFAULT_OUTPUT: u64 = 8192;

/// The table: families as they stand in names, the first version (major, minor) that the row is of, the model. For a name,
/// the last row counts whose family is in it (an empty one is in every name) and whose version is not later than its own.
const TABLE: &[(&str, (u32, u32), Model)] = &[
    ("", (0, 0), model(4096, ThinkingForm::Never)),
    ("", (3, 5), model(8192, ThinkingForm::Never)),
    ("", (3, 7), model(64_000, ThinkingForm::Budget)),
    ("opus", (4, 0), model(32_000, ThinkingForm::Budget)),
    (
        "opus",
        (4, 1),
        Model {
            sampling: SamplingForm::OneOf,
            structured: true,
            ..model(32_000, ThinkingForm::Budget)
        },
    ),
    (
        "",
        (4, 5),
        Model {
            sampling: SamplingForm::OneOf,
            structured: true,
            ..model(64_000, ThinkingForm::Budget)
        },
    ),
    (
        "opus",
        (4, 5),
        Model {
            effort: true,
            sampling: SamplingForm::OneOf,
            structured: true,
            ..model(64_000, ThinkingForm::Budget)
        },
    ),
    ("", (4, 6), of_4_6(64_000)),
    ("opus", (4, 6), of_4_6(128_000)),
    ("", (4, 7), since_4_7(128_000)),
    (
        "mythos",
        (0, 0),
        Model {
            always_thinks: true,
            ..since_4_7(128_000)
        },
    ),
    (
        "fable",
        (0, 0),
        Model {
            always_thinks: true,
            ..since_4_7(128_000)
        },
    ),
];

const fn model(max_output: u64, thinking: ThinkingForm) -> Model {
    Model {
        known: true,
        max_output,
        thinking,
        always_thinks: false,
        effort: false,
        xhigh: false,
        sampling: SamplingForm::All,
        structured: false,
        prefill: true,
    }
}

const fn of_4_6(max_output: u64) -> Model {
    Model {
        effort: true,
        sampling: SamplingForm::OneOf,
        structured: true,
        prefill: false,
        ..model(max_output, ThinkingForm::Both)
    }
}

const fn since_4_7(max_output: u64) -> Model {
    Model {
        xhigh: true,
        sampling: SamplingForm::Nothing,
        thinking: ThinkingForm::Adaptive,
        ..of_4_6(max_output)
    }
}

/// What is assumed of a model that the table does not know, such as one of another maker behind this protocol.
const UNKNOWN: Model = Model {
    known: false,
    effort: true,
    xhigh: true,
    structured: true,
    ..model(DEFAULT_OUTPUT, ThinkingForm::Budget)
};

/// The model of that name. Names come in many forms: `claude-opus-4-7`, `claude-3-5-haiku-20241022`,
/// `anthropic.claude-sonnet-4-6-v1:0`, `claude-4.7-opus`, `claude-sonnet-4@20250514`.
pub(super) fn named(name: &str) -> Model {
    let name = name.to_ascii_lowercase();
    let Some(begin) = name.find("claude") else {
        return UNKNOWN;
    };
    let name = &name[begin..];
    let version = version(name);
    let has_family = |family: &str| !family.is_empty() && name.contains(family);
    let row = TABLE.iter().rfind(|(family, since, _)| match version {
        Some(version) => (family.is_empty() || has_family(family)) && *since <= version,
        // A family that has only one generation needs no version.
        None => has_family(family) && *since == (0, 0),
    });
    row.map_or(UNKNOWN, |(_, _, model)| *model)
}

/// The first number of one or two digits, and the next one if it follows at once.
fn version(name: &str) -> Option<(u32, u32)> {
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let number = |word: &str| {
        let fits = (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| word.parse().ok()).flatten()
    };
    let major = words.find_map(number)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_model_accepts() {
        let cases: &[(&str, u64, ThinkingForm, SamplingForm, bool)] = &[
            (
                "claude-3-haiku-20240307",
                4096,
                ThinkingForm::Never,
                SamplingForm::All,
                false,
            ),
            (
                "claude-3-5-sonnet-latest",
                8192,
                ThinkingForm::Never,
                SamplingForm::All,
                false,
            ),
            (
                "claude-3-7-sonnet-20250219",
                64_000,
                ThinkingForm::Budget,
                SamplingForm::All,
                false,
            ),
            (
                "claude-sonnet-4@20250514",
                64_000,
                ThinkingForm::Budget,
                SamplingForm::All,
                false,
            ),
            (
                "claude-opus-4-20250514",
                32_000,
                ThinkingForm::Budget,
                SamplingForm::All,
                false,
            ),
            (
                "claude-opus-4-1-20250805",
                32_000,
                ThinkingForm::Budget,
                SamplingForm::OneOf,
                true,
            ),
            (
                "claude-haiku-4-5",
                64_000,
                ThinkingForm::Budget,
                SamplingForm::OneOf,
                true,
            ),
            (
                "us.anthropic.claude-sonnet-4-6-v1:0",
                64_000,
                ThinkingForm::Both,
                SamplingForm::OneOf,
                true,
            ),
            (
                "claude-opus-4-6",
                128_000,
                ThinkingForm::Both,
                SamplingForm::OneOf,
                true,
            ),
            (
                "anthropic/claude-4.7-opus",
                128_000,
                ThinkingForm::Adaptive,
                SamplingForm::Nothing,
                true,
            ),
            (
                "claude-sonnet-5",
                128_000,
                ThinkingForm::Adaptive,
                SamplingForm::Nothing,
                true,
            ),
            (
                "claude-mythos-preview",
                128_000,
                ThinkingForm::Adaptive,
                SamplingForm::Nothing,
                true,
            ),
            ("kimi-k2", 8192, ThinkingForm::Budget, SamplingForm::All, true),
            ("claude-latest", 8192, ThinkingForm::Budget, SamplingForm::All, true),
        ];
        for (name, max_output, thinking, sampling, structured) in cases {
            let model = named(name);
            assert_eq!(
                (model.max_output, model.thinking, model.sampling, model.structured),
                (*max_output, *thinking, *sampling, *structured),
                "{name}"
            );
        }
        assert!(named("claude-opus-4-5").effort && !named("claude-sonnet-4-5").effort);
        assert!(named("claude-sonnet-4-5").prefill && !named("claude-sonnet-4-6").prefill);
        assert!(named("claude-mythos-5").always_thinks && !named("claude-opus-4-7").always_thinks);
        assert!(!named("claude-latest").known);
    }
}
