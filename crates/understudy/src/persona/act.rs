//! What is answered, whatever the protocol: each persona puts it into its own words.

use serde_json::{Value, json};

use super::numbers::Numbers;
use super::prompt::{Prompt, Tool};
use super::run;
use super::sample;
use super::scenario::{Scenario, Trouble};

/// What is thought aloud.
pub(super) const THOUGHT: &str = "Let me think about this.";
/// What is said when nothing is to be said.
pub(super) const REFUSAL: &str = "I cannot help with that.";
/// Emoji beyond the basic plane and joined by zero-width joiners, combining marks, CJK, and text from right to left.
pub(super) const UNICODE: &str = "Grüße 😀 👩‍👩‍👧‍👦 🇫🇷 e\u{301}n\u{303} 日本語 한국어 שלום مرحبا 𝒳𠮷 z\u{200d}w — end";
/// What citations cite.
pub(super) const CITED: Citation = Citation {
    text: "Paris is the capital of France.",
    title: "France",
    url: "https://understudy.invalid/france",
};
const LONG_WORDS: usize = 300;

/// What is answered.
#[derive(Debug)]
pub(super) struct Act {
    /// `None` where the request names none.
    pub(super) scenario: Option<Scenario>,
    pub(super) blocks: Vec<Block>,
    pub(super) ending: Ending,
    pub(super) numbers: Numbers,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Thinking(&'static str),
    /// Thinking that nobody may read.
    Redacted,
    Text(String),
    /// A text that rests on [`CITED`], all of it.
    CitedText(String),
    Refusal(&'static str),
    Call(Call),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) input: Input,
}

/// What a tool is called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Json(Value),
    Text(&'static str),
}

/// A source.
#[derive(Debug)]
pub(super) struct Citation {
    pub(super) text: &'static str,
    pub(super) title: &'static str,
    pub(super) url: &'static str,
}

/// Why the answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Stop,
    StopSequence(String),
    Length,
    Calls,
    Refusal,
    Filtered,
}

impl Act {
    /// What is answered to a prompt, unless the answer is an error.
    pub(super) fn of(prompt: &Prompt, is_stream: bool) -> Result<Self, Trouble> {
        let scenario = Scenario::named_in(&prompt.text);
        match scenario {
            Some(Scenario::Error(trouble)) => return Err(trouble),
            Some(Scenario::ErrorMidStream) if !is_stream => return Err(Trouble::Internal),
            Some(Scenario::ErrorFirstEvent) if !is_stream => return Err(Trouble::Unavailable),
            _ => {}
        }
        let blocks = blocks(prompt, scenario);
        let ending = ending(prompt, scenario, &blocks);
        let numbers = Numbers::of(scenario, &blocks);
        Ok(Self {
            scenario,
            blocks,
            ending,
            numbers,
        })
    }

    /// The calls among the blocks.
    pub(super) fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }

    /// All that is said aloud.
    pub(super) fn text(&self) -> Option<String> {
        let texts: Vec<&str> = self
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::Text(text) | Block::CitedText(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        (!texts.is_empty()).then(|| texts.concat())
    }

    /// Whether the scenario is this one.
    pub(super) fn is(&self, scenario: Scenario) -> bool {
        self.scenario == Some(scenario)
    }
}

impl Input {
    /// As a string, as the protocols of OpenAI and Cohere have it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Json(value) => value.to_string(),
            Self::Text(text) => (*text).to_owned(),
        }
    }

    /// As an object, as the protocols of Anthropic and Gemini have it.
    pub(super) fn object(&self) -> Value {
        match self {
            Self::Json(value) => value.clone(),
            Self::Text(text) => json!({"input": text}),
        }
    }
}

fn blocks(prompt: &Prompt, scenario: Option<Scenario>) -> Vec<Block> {
    let thought = Block::Thinking(THOUGHT);
    match scenario {
        Some(Scenario::Tool) => calls(prompt, &["Paris"]),
        Some(Scenario::Parallel | Scenario::Interleaved) => calls(prompt, &["Paris", "Rome"]),
        Some(Scenario::EmptyArguments) => without_arguments(calls(prompt, &["Paris"])),
        Some(Scenario::TextThenTool) => [vec![text("Let me look.")], calls(prompt, &["Paris"])].concat(),
        Some(Scenario::Reasoning) => vec![thought, text("I thought about it.")],
        Some(Scenario::ReasoningTool) => [vec![thought], calls(prompt, &["Paris"])].concat(),
        Some(Scenario::Redacted) => vec![Block::Redacted, text("I thought about it.")],
        Some(Scenario::Refusal) => vec![Block::Refusal(REFUSAL)],
        Some(Scenario::Blocked) => Vec::new(),
        Some(Scenario::MaxTokens) => vec![text("This answer is cut")],
        Some(Scenario::StopSequence) => vec![text("This answer stops ")],
        Some(Scenario::Unicode | Scenario::SplitUtf8) => vec![text(UNICODE)],
        Some(Scenario::Json) => structured(prompt),
        Some(Scenario::Image) => vec![text(&attached(prompt))],
        Some(Scenario::Citations) => vec![Block::CitedText(CITED.text.to_owned())],
        Some(Scenario::Long) => vec![text(&long())],
        Some(Scenario::Run) if prompt.results.is_empty() => vec![run::call(prompt)],
        Some(Scenario::ReasoningRun) if prompt.results.is_empty() => vec![thought, run::call(prompt)],
        _ => said(prompt),
    }
}

fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

/// What is said without a scenario: the results of tools quoted, the call that is demanded, or an echo.
fn said(prompt: &Prompt) -> Vec<Block> {
    if !prompt.results.is_empty() {
        return vec![text(&quoted(prompt))];
    }
    if prompt.must_call() && !prompt.callable().is_empty() {
        return calls(prompt, &["Paris"]);
    }
    if prompt.schema.is_some() {
        return structured(prompt);
    }
    vec![Block::Text(format!("You said: {}", prompt.text))]
}

fn quoted(prompt: &Prompt) -> String {
    let quoted = prompt.results.iter().map(|result| {
        let mark = if result.is_error { " (error)" } else { "" };
        format!("[{}]{mark} {}", result.id, result.text)
    });
    let images = prompt.attachments.iter().map(|attachment| format!("[{attachment}]"));
    let all: Vec<String> = quoted.chain(images).collect();
    format!("Tool said: {}", all.join("; "))
}

fn attached(prompt: &Prompt) -> String {
    if prompt.attachments.is_empty() {
        return "I see nothing.".to_owned();
    }
    format!("I see: {}", prompt.attachments.join("; "))
}

/// Calls the tools in turn, one for each city.
fn calls(prompt: &Prompt, cities: &[&'static str]) -> Vec<Block> {
    let tools = prompt.callable();
    if tools.is_empty() {
        return vec![text("I have no tool to call.")];
    }
    let most = if prompt.is_one_call_at_most { 1 } else { cities.len() };
    cities
        .iter()
        .take(most)
        .zip(tools.iter().cycle())
        .map(|(city, tool)| Block::Call(call(tool, city)))
        .collect()
}

fn call(tool: &Tool, city: &'static str) -> Call {
    let input = if tool.is_custom {
        Input::Text(city)
    } else {
        Input::Json(json!({"city": city}))
    };
    Call {
        name: tool.name.clone(),
        input,
    }
}

fn without_arguments(mut blocks: Vec<Block>) -> Vec<Block> {
    for block in &mut blocks {
        if let Block::Call(call) = block {
            call.input = Input::Json(json!({}));
        }
    }
    blocks
}

/// JSON for the schema that is asked for, or for that of the tool that must be called.
fn structured(prompt: &Prompt) -> Vec<Block> {
    let filled = |schema: &Value| sample::of_schema(schema, "Paris");
    if let Some(schema) = &prompt.schema {
        let value = if schema.as_object().is_some_and(|schema| !schema.is_empty()) {
            filled(schema)
        } else {
            json!({"answer": "Paris"})
        };
        return vec![Block::Text(value.to_string())];
    }
    match prompt.callable().first() {
        Some(tool) if prompt.must_call() && !tool.is_custom => vec![Block::Call(Call {
            name: tool.name.clone(),
            input: Input::Json(filled(&tool.schema)),
        })],
        _ => vec![Block::Text(json!({"answer": "Paris"}).to_string())],
    }
}

fn long() -> String {
    let words: Vec<String> = (1..=LONG_WORDS).map(|number| format!("word{number}")).collect();
    words.join(" ")
}

fn ending(prompt: &Prompt, scenario: Option<Scenario>, blocks: &[Block]) -> Ending {
    if blocks.iter().any(|block| matches!(block, Block::Call(_))) {
        return Ending::Calls;
    }
    match scenario {
        Some(Scenario::MaxTokens) => Ending::Length,
        Some(Scenario::Refusal) => Ending::Refusal,
        Some(Scenario::Blocked) => Ending::Filtered,
        Some(Scenario::StopSequence) => prompt
            .stops
            .first()
            .map_or(Ending::Stop, |stop| Ending::StopSequence(stop.clone())),
        _ => Ending::Stop,
    }
}

/// A text in the pieces that it is streamed in: a word each.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// The input of a call in two pieces, none if it is empty.
pub(super) fn halves(input: &str) -> Vec<String> {
    let characters: Vec<char> = input.chars().collect();
    let size = characters.len().div_ceil(2).max(1);
    characters.chunks(size).map(|half| half.iter().collect()).collect()
}
