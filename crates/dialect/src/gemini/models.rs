//! What the name of a model tells about it.

/// A model, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Model {
    generation: Generation,
    /// The large one of its generation, which cannot stop thinking.
    pub(super) is_pro: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// Before 2.5.
    Older,
    TwoFive,
    /// An alias such as `gemini-flash-latest`, or a tuned model.
    Unknown,
    Three,
}

impl Model {
    pub(super) fn named(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        Self {
            generation: Generation::of(&name),
            is_pro: name.contains("-pro"),
        }
    }

    /// Thinks by levels, takes pictures in results of tools, wants calls to be signed.
    pub(super) fn is_three(self) -> bool {
        self.generation == Generation::Three
    }

    pub(super) fn is_two_five(self) -> bool {
        self.generation == Generation::TwoFive
    }

    /// Neither thinks nor takes JSON Schema.
    pub(super) fn is_older(self) -> bool {
        self.generation == Generation::Older
    }
}

impl Generation {
    fn of(name: &str) -> Self {
        let Some(rest) = name.strip_prefix("gemini-") else {
            return Self::Unknown;
        };
        let version = rest.split('-').next().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        match (major.parse::<u32>(), minor.parse::<u32>()) {
            (Ok(3..), _) => Self::Three,
            (Ok(2), Ok(5..)) => Self::TwoFive,
            (Ok(_), _) => Self::Older,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_generations() {
        let cases = [
            ("gemini-3-pro-preview", Generation::Three),
            ("models/gemini-3.1-flash", Generation::Three),
            ("gemini-2.5-flash-lite", Generation::TwoFive),
            ("gemini-2.0-flash", Generation::Older),
            ("gemini-1.5-pro-002", Generation::Older),
            ("gemini-flash-latest", Generation::Unknown),
            ("tunedModels/mine", Generation::Unknown),
            ("", Generation::Unknown),
        ];
        for (name, generation) in cases {
            assert_eq!(Model::named(name).generation, generation, "{name}");
        }
        assert!(Model::named("gemini-3-pro-preview").is_pro && !Model::named("gemini-2.5-flash").is_pro);
    }
}
