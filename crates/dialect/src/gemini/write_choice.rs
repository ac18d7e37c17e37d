//! Which tool to use: `functionCallingConfig`.

use super::models::Model;
use super::spelling::{is_named, under};
use crate::field::Field;
use crate::ir::{Request, Tool, ToolChoice};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::writer;

/// Where it stands in a request.
const PLACE: &str = "toolConfig.functionCallingConfig";

/// The choice among so many functions; `None` when the model does as it likes anyway. `wire` knows the names on the wire.
pub(super) fn choice(
    request: &Request,
    functions: usize,
    model: Model,
    wire: &mut dyn FnMut(&str) -> String,
    lost: &mut Losses,
) -> Option<Raw> {
    let (mode, allowed) = mode(request, functions, model, lost)?;
    let allowed: Vec<String> = allowed.iter().map(|name| wire(name)).collect();
    Some(writer::raw_object(|it| {
        it.text("mode", &mode);
        if !allowed.is_empty() {
            it.array("allowedFunctionNames", |it| {
                for name in &allowed {
                    it.text(name);
                }
            });
        }
        if request.from == Protocol::Gemini {
            // Arguments in pieces are not understood on the way back.
            under(&request.extra, PLACE)
                .filter(|(name, _)| !is_named(name, "streamFunctionCallArguments"))
                .for_each(|(name, value)| it.raw(name, value));
        }
    }))
}

/// The mode and the names that it allows.
fn mode<'r>(request: &'r Request, functions: usize, model: Model, lost: &mut Losses) -> Option<(String, &'r [String])> {
    let (mode, allowed): (&str, &[String]) = match &request.tool_choice {
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Tool { name }) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, required: true }) => ("ANY", names),
        // `AUTO` takes no names. Before 2.5 only these tools were offered instead.
        Some(ToolChoice::Allowed { .. }) if model.is_older() => ("AUTO", &[]),
        Some(ToolChoice::Allowed { names, .. }) => ("VALIDATED", names),
        Some(ToolChoice::Foreign {
            protocol: Protocol::Gemini,
            raw,
        }) => return Some((raw.node().get("mode").string()?, &[])),
        Some(ToolChoice::Foreign { .. }) => {
            lost.note(Field::ToolChoice, "a choice of another provider dropped");
            return None;
        }
        Some(ToolChoice::Auto) if !validates(request, functions, model, lost) => ("AUTO", &[]),
        None if !validates(request, functions, model, lost) => return None,
        Some(ToolChoice::Auto) | None => ("VALIDATED", &[]),
    };
    Some((mode.to_owned(), allowed))
}

/// Whether arguments are to satisfy their schemas, which is for all tools or none.
fn validates(request: &Request, functions: usize, model: Model, lost: &mut Losses) -> bool {
    let is_strict = |tool: &Tool| matches!(tool, Tool::Function(function) if function.strict == Some(true));
    let strict = request.tools.iter().filter(|tool| is_strict(tool)).count();
    let validates = strict > 0 && strict == functions && !model.is_older();
    if strict > 0 && !validates {
        lost.note(Field::StrictTool, "not enforced");
    }
    validates
}
