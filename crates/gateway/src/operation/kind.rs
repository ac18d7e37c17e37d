//! What kind of thing is asked for: the names by which clients are allowed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client may be allowed to ask for, in whatever dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Conversations, the length of them in tokens, and what is stored of them.
    Chat,
    /// The older completions.
    Completions,
    /// Vectors of texts.
    Embeddings,
    /// The documents that answer a question best.
    Rerank,
    /// Whether a text is harmful.
    Moderations,
    /// Pictures.
    Images,
    /// Speech, transcriptions and translations of it, and conversations in speech.
    Audio,
    /// Videos.
    Videos,
    /// Files, and uploads of them.
    Files,
    /// Batches of requests.
    Batches,
    /// Training of models, and models that were trained.
    FineTuning,
    /// Collections of files that are searched.
    VectorStores,
    /// Assistants, agents, their threads, skills and containers.
    Assistants,
    /// Evaluations.
    Evals,
}

/// The one table from paths to kinds, by how the path below the API's version begins, or Gemini's verb. A longer
/// beginning stands before a shorter one.
const TABLE: [(&str, Kind); 38] = [
    ("/chat/completions", Kind::Chat),
    ("/responses", Kind::Chat),
    ("/conversations", Kind::Chat),
    ("/messages/batches", Kind::Batches),
    ("/messages", Kind::Chat),
    ("generateContent", Kind::Chat),
    ("streamGenerateContent", Kind::Chat),
    ("countTokens", Kind::Chat),
    ("/completions", Kind::Completions),
    ("/embeddings", Kind::Embeddings),
    ("/embed", Kind::Embeddings),
    ("embedContent", Kind::Embeddings),
    ("batchEmbedContents", Kind::Embeddings),
    ("/rerank", Kind::Rerank),
    ("/moderations", Kind::Moderations),
    ("/images", Kind::Images),
    ("predict", Kind::Images),
    ("/audio", Kind::Audio),
    ("/realtime", Kind::Audio),
    ("/live", Kind::Audio),
    ("/videos", Kind::Videos),
    ("/files", Kind::Files),
    ("/uploads", Kind::Files),
    ("/content_provenance_checks", Kind::Files),
    ("/batches", Kind::Batches),
    ("/fine_tuning", Kind::FineTuning),
    ("/models", Kind::FineTuning),
    ("/v1beta/models", Kind::FineTuning),
    ("/v1beta/tunedModels", Kind::FineTuning),
    ("/vector_stores", Kind::VectorStores),
    ("/assistants", Kind::Assistants),
    ("/agents", Kind::Assistants),
    ("/threads", Kind::Assistants),
    ("/skills", Kind::Assistants),
    ("/containers", Kind::Assistants),
    ("/chatkit", Kind::Assistants),
    ("/decisions", Kind::Assistants),
    ("/evals", Kind::Evals),
];

impl Kind {
    /// What a path below the API's version asks for. What is in no row has no name, and is for those who may ask for
    /// everything.
    pub fn of(below: &str) -> Option<Self> {
        let row = TABLE.iter().find(|(beginning, _)| {
            let rest = below.strip_prefix(beginning);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        row.map(|(_, kind)| *kind)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderations => "moderations",
            Self::Images => "images",
            Self::Audio => "audio",
            Self::Videos => "videos",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::FineTuning => "fine_tuning",
            Self::VectorStores => "vector_stores",
            Self::Assistants => "assistants",
            Self::Evals => "evals",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{FAMILIES, GEMINI, OPERATIONS};

    #[test]
    fn every_route_has_a_row() {
        let operations = OPERATIONS.iter().chain(&GEMINI).map(|operation| operation.below);
        for below in operations.chain(FAMILIES).chain(["/messages/batches", "/models/ft:m"]) {
            assert!(Kind::of(below).is_some(), "{below}");
        }
    }

    #[test]
    fn kinds_of_paths() {
        for (below, kind) in [
            ("/chat/completions", "chat"),
            ("/chat/completions/c_1/messages", "chat"),
            ("/messages/count_tokens", "chat"),
            ("/messages/batches/b_1", "batches"),
            ("/images/edits", "images"),
            ("batchEmbedContents", "embeddings"),
        ] {
            let found = Kind::of(below).unwrap();
            assert_eq!(found.name(), kind, "{below}");
            assert_eq!(serde_json::to_value(found).unwrap(), kind);
        }
        assert_eq!(Kind::of("/filesystem"), None);
    }
}
