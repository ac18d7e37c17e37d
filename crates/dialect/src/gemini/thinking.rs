//! How to think, in both directions: `generationConfig.thinkingConfig`.

use super::models::Model;
use super::spelling::{Fields, integer, under};
use super::words;
use crate::codec::Malformed;
use crate::field::Field;
use crate::ir::{Effort, Extra, Reasoning, Request, Show};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::tree::Node;
use crate::writer::Object;

/// Where the object stands in a request.
const PLACE: &str = "generationConfig.thinkingConfig";

/// The fewest tokens that the large model of 2.5 can be made to think.
const LEAST_OF_PRO: u64 = 128;

/// Reads a `thinkingConfig`.
pub(super) fn read(node: &Node<'_>, extra: &mut Extra) -> Result<Option<Reasoning>, Malformed> {
    if node.is_null() {
        return Ok(None);
    }
    if !node.is_object() {
        return Err(Malformed::field(PLACE, "must be an object"));
    }
    let mut fields = Fields::of(node);
    let mut reasoning = Reasoning::default();
    // What Gemini shows are summaries of the thoughts.
    match fields.take("includeThoughts").bool() {
        Some(true) => reasoning.show = Show::Summary("auto".to_owned()),
        Some(false) => reasoning.show = Show::Nothing,
        None => {}
    }
    let budget = fields.take("thinkingBudget");
    if !budget.is_null() {
        let malformed = || Malformed::field(format!("{PLACE}.thinkingBudget"), "must be an integer");
        match integer(budget).ok_or_else(malformed)? {
            0 => reasoning.enabled = Some(false),
            tokens => match u64::try_from(tokens) {
                Ok(tokens) => reasoning.budget = Some(tokens),
                Err(_) => reasoning.adaptive = true,
            },
        }
    }
    let level = fields.take("thinkingLevel");
    match level.text() {
        Some("THINKING_LEVEL_UNSPECIFIED") | None => {}
        Some(word) => match words::effort(word) {
            Some(effort) => reasoning.effort = Some(effort),
            None => extra.keep(&format!("{PLACE}.thinkingLevel"), level.to_raw()),
        },
    }
    fields.keep_rest(PLACE, extra);
    Ok(Some(reasoning))
}

/// How much to think, in the model's own measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Level(&'static str),
    Budget(i64),
}

/// The `thinkingConfig` of a request.
pub(super) struct Thinking<'r> {
    amount: Option<Amount>,
    include: Option<bool>,
    extra: Option<&'r Extra>,
}

impl<'r> Thinking<'r> {
    pub(super) fn of(request: &'r Request, model: Model, lost: &mut Losses) -> Self {
        let own = request.from == Protocol::Gemini;
        let mut thinking = Self {
            amount: None,
            include: None,
            extra: own.then_some(&request.extra),
        };
        let Some(reasoning) = &request.reasoning else {
            return thinking;
        };
        let off = reasoning.wanted_effort() == Some(Effort::None);
        if model.is_older() {
            if !off {
                lost.note(Field::Reasoning, "this model does not think");
            }
            return thinking;
        }
        thinking.amount = if model.is_three() {
            amount_of_three(reasoning, model, own, lost)
        } else {
            budget(reasoning, model, lost)
        };
        thinking.include = match reasoning.show {
            Show::Nothing => own.then_some(false),
            Show::Default => (!own && !off).then_some(true),
            Show::Summary(_) | Show::Everything => Some(true).filter(|_| own || !off),
        };
        thinking
    }

    pub(super) fn write(&self, it: &mut Object<'_>) {
        let rest: Vec<_> = self.extra.into_iter().flat_map(|extra| under(extra, PLACE)).collect();
        if self.amount.is_none() && self.include.is_none() && rest.is_empty() {
            return;
        }
        it.object("thinkingConfig", |it| {
            it.some_bool("includeThoughts", self.include);
            match self.amount {
                Some(Amount::Level(level)) => it.text("thinkingLevel", level),
                Some(Amount::Budget(tokens)) => it.number("thinkingBudget", tokens),
                None => {}
            }
            for (name, value) in rest {
                it.raw(name, value);
            }
        });
    }
}

fn amount_of_three(reasoning: &Reasoning, model: Model, own: bool, lost: &mut Losses) -> Option<Amount> {
    // The budgets of 2.5 are still understood, so that its clients are served as they were.
    if own && reasoning.effort.is_none() {
        return budget(reasoning, model, lost);
    }
    let effort = reasoning.wanted_effort()?;
    if reasoning.effort.is_none() && reasoning.budget.is_some() {
        lost.note(Field::ReasoningBudget, "told as a level");
    }
    if own {
        return Some(Amount::Level(words::level(effort)));
    }
    let possible = match effort {
        Effort::None | Effort::Minimal if model.is_pro => Effort::Low,
        Effort::None => Effort::Minimal,
        Effort::XHigh | Effort::Max => Effort::High,
        effort => effort,
    };
    if possible != effort {
        let reason = match effort {
            Effort::None => "cannot be turned off, set to the lowest level",
            _ => "set to the nearest level",
        };
        lost.note(Field::Reasoning, reason);
    }
    Some(Amount::Level(words::level(possible)))
}

fn budget(reasoning: &Reasoning, model: Model, lost: &mut Losses) -> Option<Amount> {
    let Some(tokens) = reasoning.wanted_budget() else {
        return reasoning.adaptive.then_some(Amount::Budget(-1));
    };
    let (least, most) = match (model.is_two_five(), model.is_pro) {
        (true, true) => (LEAST_OF_PRO, 32_768),
        (true, false) => (0, 24_576),
        _ => (0, 65_536),
    };
    let possible = tokens.clamp(least, most);
    if tokens < least {
        lost.note(Field::Reasoning, "cannot be turned off, set to 128 tokens");
    } else if possible != tokens {
        lost.note(Field::ReasoningBudget, "lowered to what the model takes");
    }
    i64::try_from(possible).ok().map(Amount::Budget)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: Protocol, reasoning: Reasoning, model: &str) -> (String, usize) {
        let mut request = Request::new(from, "m");
        request.reasoning = Some(reasoning);
        let mut lost = Losses::new(from);
        let thinking = Thinking::of(&request, Model::named(model), &mut lost);
        let raw = crate::writer::raw_object(|it| thinking.write(it));
        (raw.as_str().to_owned(), lost.listed().len())
    }

    #[test]
    fn efforts_and_budgets_become_what_the_model_takes() {
        let effort = |effort| Reasoning {
            effort: Some(effort),
            ..Reasoning::default()
        };
        let off = || Reasoning {
            enabled: Some(false),
            ..Reasoning::default()
        };
        let cases = [
            (
                effort(Effort::Low),
                "gemini-3-pro-preview",
                r#"{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"LOW"}}"#,
                0,
            ),
            (
                effort(Effort::Max),
                "gemini-3-flash",
                r#"{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"HIGH"}}"#,
                1,
            ),
            (
                off(),
                "gemini-3-flash",
                r#"{"thinkingConfig":{"thinkingLevel":"MINIMAL"}}"#,
                1,
            ),
            (
                off(),
                "gemini-3-pro-preview",
                r#"{"thinkingConfig":{"thinkingLevel":"LOW"}}"#,
                1,
            ),
            (
                effort(Effort::High),
                "gemini-2.5-flash",
                r#"{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":24576}}"#,
                0,
            ),
            (
                effort(Effort::XHigh),
                "gemini-2.5-flash",
                r#"{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":24576}}"#,
                1,
            ),
            (
                off(),
                "gemini-2.5-flash",
                r#"{"thinkingConfig":{"thinkingBudget":0}}"#,
                0,
            ),
            (
                off(),
                "gemini-2.5-pro",
                r#"{"thinkingConfig":{"thinkingBudget":128}}"#,
                1,
            ),
            (effort(Effort::Low), "gemini-2.0-flash", "{}", 1),
            (off(), "gemini-2.0-flash", "{}", 0),
            (
                Reasoning {
                    adaptive: true,
                    ..Reasoning::default()
                },
                "gemini-2.5-pro",
                r#"{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":-1}}"#,
                0,
            ),
            (
                Reasoning {
                    budget: Some(5000),
                    show: Show::Nothing,
                    ..Reasoning::default()
                },
                "gemini-3-pro",
                r#"{"thinkingConfig":{"thinkingLevel":"MEDIUM"}}"#,
                1,
            ),
        ];
        for (reasoning, model, expected, losses) in cases {
            let shown = format!("{reasoning:?} {model}");
            assert_eq!(
                written(Protocol::Anthropic, reasoning, model),
                (expected.to_owned(), losses),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_thinking_config_comes_back_as_it_was() {
        for (model, config) in [
            ("gemini-3-pro", r#"{"includeThoughts":true,"thinkingLevel":"XHIGH"}"#),
            ("gemini-3-pro", r#"{"thinkingBudget":-1}"#),
            ("gemini-2.5-flash", r#"{"includeThoughts":false,"thinkingBudget":0}"#),
            ("gemini-2.5-flash", r#"{"thinkingBudget":700,"other":1.0}"#),
        ] {
            let mut request = Request::new(Protocol::Gemini, "m");
            request.reasoning = read(&Node::parse_text(config).unwrap(), &mut request.extra).unwrap();
            let mut lost = Losses::new(Protocol::Gemini);
            let thinking = Thinking::of(&request, Model::named(model), &mut lost);
            let raw = crate::writer::raw_object(|it| thinking.write(it));
            assert_eq!(raw.as_str(), format!("{{\"thinkingConfig\":{config}}}"));
            assert!(lost.is_empty());
        }
    }

    #[test]
    fn snake_case_is_read() {
        let node = Node::parse(br#"{"include_thoughts":true,"thinking_budget":"100"}"#).unwrap();
        let reasoning = read(&node, &mut Extra::default()).unwrap().unwrap();
        assert_eq!(
            (reasoning.budget, reasoning.show),
            (Some(100), Show::Summary("auto".into()))
        );
    }
}
