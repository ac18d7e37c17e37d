//! What can be asked of a model, by its path below the API's version.

/// A route that names a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The path below the version segment, such as `/chat/completions`.
    pub path: &'static str,
    /// A stream ends with its usage only when `stream_options.include_usage` asks for it.
    pub usage_on_demand: bool,
}

/// Every operation of OpenAI's API that names a model, in its body as JSON or as a form.
pub const OPERATIONS: [Operation; 15] = [
    Operation {
        path: "/chat/completions",
        usage_on_demand: true,
    },
    Operation {
        path: "/completions",
        usage_on_demand: true,
    },
    Operation {
        path: "/embeddings",
        usage_on_demand: false,
    },
    Operation {
        path: "/responses",
        usage_on_demand: false,
    },
    Operation {
        path: "/responses/input_tokens",
        usage_on_demand: false,
    },
    Operation {
        path: "/responses/compact",
        usage_on_demand: false,
    },
    Operation {
        path: "/moderations",
        usage_on_demand: false,
    },
    Operation {
        path: "/images/generations",
        usage_on_demand: false,
    },
    Operation {
        path: "/images/edits",
        usage_on_demand: false,
    },
    Operation {
        path: "/images/variations",
        usage_on_demand: false,
    },
    Operation {
        path: "/audio/speech",
        usage_on_demand: false,
    },
    Operation {
        path: "/audio/transcriptions",
        usage_on_demand: false,
    },
    Operation {
        path: "/audio/translations",
        usage_on_demand: false,
    },
    Operation {
        path: "/videos",
        usage_on_demand: false,
    },
    Operation {
        path: "/rerank",
        usage_on_demand: false,
    },
];

/// Families of OpenAI's API whose requests name no model: they are passed through, whatever lies below them. Those that
/// manage an account (its members, keys, vaults and web hooks) are not among them: they are the operator's business.
pub const FAMILIES: [&str; 20] = [
    "/agents",
    "/assistants",
    "/batches",
    "/chat/completions",
    "/chatkit",
    "/containers",
    "/content_provenance_checks",
    "/conversations",
    "/decisions",
    "/evals",
    "/files",
    "/fine_tuning",
    "/live",
    "/realtime",
    "/responses",
    "/skills",
    "/threads",
    "/uploads",
    "/vector_stores",
    "/videos",
];
