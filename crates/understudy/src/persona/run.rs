//! The scenarios in which an agent is to run a command: `[[run COMMAND]]` and `[[reasoning-run COMMAND]]`.

use serde_json::{Map, Value, json};

use super::act::{Block, Call, Input};
use super::prompt::{Prompt, Tool};
use super::sample;

const SCENARIOS: [&str; 2] = ["run", "reasoning-run"];
/// What tools are called that run commands, those first that agents are known to have.
const NAMES: [&str; 7] = [
    "bash",
    "shell",
    "exec_command",
    "local_shell",
    "shell_command",
    "container.exec",
    "container_exec",
];
const PARTS_OF_NAMES: [&str; 4] = ["bash", "shell", "exec", "terminal"];
const PROPERTIES: [&str; 2] = ["command", "cmd"];

/// The scenario's name and the command of what stands in the brackets.
pub(super) fn split(marker: &str) -> Option<(&str, &str)> {
    let (name, command) = marker.split_once(' ')?;
    SCENARIOS.contains(&name).then_some((name, command.trim()))
}

/// The call that runs the command, if there is a tool for that.
pub(super) fn call(prompt: &Prompt) -> Block {
    let command = command_in(&prompt.text).unwrap_or("true");
    let shells = prompt.callable().into_iter().filter_map(Shell::of);
    match shells.min_by_key(|shell| shell.rank) {
        Some(shell) => Block::Call(Call {
            name: shell.tool.name.clone(),
            input: Input::Json(shell.input(command)),
        }),
        None => Block::Text("I have no tool that runs commands.".to_owned()),
    }
}

fn command_in(text: &str) -> Option<&str> {
    text.split("[[")
        .skip(1)
        .filter_map(|rest| rest.split_once("]]"))
        .find_map(|(marker, _)| split(marker))
        .map(|(_, command)| command)
}

/// A tool that runs commands.
struct Shell<'a> {
    tool: &'a Tool,
    property: &'static str,
    /// The lower the likelier.
    rank: usize,
}

impl<'a> Shell<'a> {
    fn of(tool: &'a Tool) -> Option<Self> {
        let properties = tool.schema["properties"].as_object()?;
        let property = PROPERTIES.into_iter().find(|name| properties.contains_key(*name))?;
        let name = tool.name.to_ascii_lowercase();
        let known = NAMES.iter().position(|known| *known == name);
        let resembles = PARTS_OF_NAMES.iter().any(|part| name.contains(part));
        let rank = known.unwrap_or(NAMES.len() + usize::from(!resembles));
        Some(Self { tool, property, rank })
    }

    /// The command, and whatever else the tool requires.
    fn input(&self, command: &str) -> Value {
        let schema = &self.tool.schema;
        let required = schema["required"].as_array().into_iter().flatten();
        let mut input: Map<String, Value> = required
            .filter_map(Value::as_str)
            .map(|name| (name.to_owned(), plausible(&schema["properties"][name])))
            .collect();
        let property = &schema["properties"][self.property];
        let value = if admits(property, "array") {
            json!(["bash", "-lc", command])
        } else {
            json!(command)
        };
        input.insert(self.property.to_owned(), value);
        Value::Object(input)
    }
}

/// Nothing where nothing will do.
fn plausible(schema: &Value) -> Value {
    if schema["nullable"] == true || admits(schema, "null") {
        return Value::Null;
    }
    sample::of_schema(schema, "Run a command")
}

/// Whether a schema names a type, in whatever case.
fn admits(schema: &Value, kind: &str) -> bool {
    let is_it = |value: &Value| value.as_str().is_some_and(|name| name.eq_ignore_ascii_case(kind));
    let has = |name: &str| schema[name].as_array().into_iter().flatten();
    is_it(&schema["type"]) || has("type").any(is_it) || has("anyOf").any(|choice| admits(choice, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, schema: Value) -> Tool {
        Tool {
            name: name.to_owned(),
            is_custom: false,
            schema,
        }
    }

    fn called(tools: Vec<Tool>) -> Block {
        call(&Prompt {
            text: "Please [[run echo $((6*7))]] now".to_owned(),
            tools,
            ..Prompt::default()
        })
    }

    fn call_of(name: &str, input: Value) -> Block {
        Block::Call(Call {
            name: name.to_owned(),
            input: Input::Json(input),
        })
    }

    #[test]
    fn the_likeliest_tool_runs_the_command() {
        let schema = json!({"type": "object", "properties": {"command": {"type": "string"}}});
        let tools = vec![
            tool(
                "Read",
                json!({"type": "object", "properties": {"path": {"type": "string"}}}),
            ),
            tool("remember", schema.clone()),
            tool("BashOutput", schema.clone()),
            tool("Bash", schema),
        ];
        assert_eq!(called(tools), call_of("Bash", json!({"command": "echo $((6*7))"})));
    }

    #[test]
    fn arguments_are_as_the_schema_wants_them() {
        let schema = json!({
            "type": "object",
            "properties": {
                "cmd": {"type": "array", "items": {"type": "string"}},
                "why": {"type": "string"},
                "folder": {"type": ["string", "null"]},
                "spare": {"type": "string"},
            },
            "required": ["cmd", "why", "folder"],
        });
        assert_eq!(
            called(vec![tool("local_shell", schema)]),
            call_of(
                "local_shell",
                json!({"cmd": ["bash", "-lc", "echo $((6*7))"], "why": "Run a command", "folder": null})
            )
        );
    }

    #[test]
    fn without_a_shell_nothing_is_called() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        assert_eq!(
            called(vec![tool("weather", schema)]),
            Block::Text("I have no tool that runs commands.".to_owned())
        );
    }
}
