//! Writes a `mynah.toml`.

use std::fmt::Write as _;

use toml::Value;

use super::Note;
use super::settings::Settings;
use super::targets::{Model, Plan, Provider, Target};
use crate::config::units::{Size, Span};

/// The text of a `mynah.toml`. `name` is the file that it is made from.
pub(super) fn toml(name: &str, plan: &Plan, settings: &Settings<'_>, notes: &[Note]) -> String {
    let mut out = format!("# Made from {name} by `mynah import litellm`.\n");
    if !notes.is_empty() {
        out.push_str("#\n# What has no counterpart, or is different:\n");
        for note in notes {
            let _ = writeln!(out, "#   {}", note.to_string().replace(['\n', '\r'], " "));
        }
    }
    server(&mut out, plan, settings);
    if let Some(retries) = settings.retries {
        let _ = writeln!(out, "\n[routing]\nretries = {retries}");
    }
    if settings.logs_json {
        out.push_str("\n[log]\nformat = \"json\"\n");
    }
    store(&mut out, settings);
    for it in &plan.providers {
        provider(&mut out, it, settings);
    }
    for it in &plan.models {
        model(&mut out, it, settings);
    }
    client(&mut out, settings);
    out
}

/// The address is LiteLLM's own, so that clients need not be told another one.
fn server(out: &mut String, plan: &Plan, settings: &Settings<'_>) {
    let listen = if settings.key.is_some() {
        "0.0.0.0:4000"
    } else {
        "127.0.0.1:4000"
    };
    let _ = writeln!(out, "\n[server]\nlisten = {}", quoted(listen));
    if settings.key.is_none() {
        out.push_str("# From other machines, callers need keys: add [[clients]].\n");
    }
    if plan.detects {
        out.push_str("detect = true\n");
    }
    if let Some(size) = settings.max_body {
        let _ = writeln!(out, "max_body = {}", quoted(&Size::mebibytes(size).to_string()));
    }
    if let Some(requests) = settings.max_requests {
        let _ = writeln!(out, "max_requests = {requests}");
    }
}

fn store(out: &mut String, settings: &Settings<'_>) {
    let max_age = settings.max_age.and_then(|age| Span::parse(age).ok());
    if settings.keeps_ledger || settings.budget.is_some() || max_age.is_some() {
        out.push_str("\n[store]\nurl = \"sqlite://mynah.db\"\n");
    }
    if let Some(age) = max_age {
        let _ = writeln!(out, "max_age = {}", quoted(&age.to_string()));
    }
}

fn provider(out: &mut String, provider: &Provider, settings: &Settings<'_>) {
    let _ = writeln!(out, "\n[providers.{}]", quoted_key(&provider.name));
    if provider.name != provider.at.kind {
        let _ = writeln!(out, "kind = {}", quoted(provider.at.kind));
    }
    let at = &provider.at;
    for (name, value) in [("base_url", &at.base_url), ("api_version", &at.api_version)] {
        if let Some(value) = value {
            let _ = writeln!(out, "{name} = {}", quoted(value));
        }
    }
    match provider.keys.as_slice() {
        [] => {}
        [key] => drop(writeln!(out, "api_key = {}", quoted(key))),
        keys => drop(writeln!(out, "api_keys = {}", list(keys))),
    }
    if !at.headers.is_empty() {
        let headers = at
            .headers
            .iter()
            .map(|(name, value)| format!("{} = {}", quoted_key(name), quoted(value)));
        let _ = writeln!(out, "headers = {{ {} }}", headers.collect::<Vec<_>>().join(", "));
    }
    if !at.defaults.is_empty() {
        let defaults = at.defaults.iter().map(|(name, value)| format!("{name} = {value}"));
        let _ = writeln!(out, "defaults = {{ {} }}", defaults.collect::<Vec<_>>().join(", "));
    }
    if !provider.is_open {
        // Only the names of [models] are listed, as before.
        out.push_str("models = []\n");
    }
    if let Some(patience) = at.patience.or(settings.patience) {
        let patience = quoted(&span(patience));
        let _ = writeln!(out, "timeouts = {{ first_token = {patience}, idle = {patience} }}");
    }
    let failures = settings.failures.map(|failures| format!("failures = {failures}"));
    let rest = settings.rest.map(|rest| format!("rest = {}", quoted(&span(rest))));
    let breaker: Vec<String> = failures.into_iter().chain(rest).collect();
    if let Some(rest) = settings.rest {
        let _ = writeln!(out, "cooldown = {}", quoted(&span(rest)));
    }
    if !breaker.is_empty() {
        let _ = writeln!(out, "breaker = {{ {} }}", breaker.join(", "));
    }
}

fn model(out: &mut String, model: &Model, settings: &Settings<'_>) {
    let _ = writeln!(out, "\n[models.{}]", quoted_key(&model.name));
    match model.targets.as_slice() {
        [one] => drop(writeln!(out, "targets = [{}]", target(one, false))),
        several => {
            out.push_str("targets = [\n");
            for one in several {
                let _ = writeln!(out, "  {},", target(one, true));
            }
            out.push_str("]\n");
            let _ = writeln!(out, "strategy = {}", quoted(settings.strategy.unwrap_or("weighted")));
        }
    }
    if !model.fallback.is_empty() {
        let _ = writeln!(out, "fallback = {}", list(&model.fallback));
    }
    if model.is_hidden {
        out.push_str("listed = false\n");
    }
    if let Some(ttl) = settings.cache {
        let _ = writeln!(out, "cache = {{ ttl = {}, shared = true }}", quoted(&span(ttl)));
    }
}

/// A target: as a name, or as a table where there is more to say. The share of the load means nothing to one alone.
fn target(target: &Target, among_others: bool) -> String {
    let mut members = vec![format!("target = {}", quoted(&target.name))];
    if let Some(weight) = target.weight.filter(|_| among_others) {
        members.push(format!("weight = {}", number(weight)));
    }
    if let Some(context) = target.context {
        members.push(format!("context = {context}"));
    }
    if !target.tags.is_empty() {
        members.push(format!("tags = {}", list(&target.tags)));
    }
    if let Some((input, output)) = target.price {
        let price = format!("input = {}, output = {}", number(input), number(output));
        members.push(format!("price = {{ {price} }}"));
    }
    if members.len() == 1 {
        quoted(&target.name)
    } else {
        format!("{{ {} }}", members.join(", "))
    }
}

fn client(out: &mut String, settings: &Settings<'_>) {
    let Some(key) = &settings.key else { return };
    let _ = writeln!(out, "\n[[clients]]\nname = \"master\"\nkey = {}", quoted(key));
    if let Some((usd, period)) = settings.budget {
        let _ = writeln!(out, "budget = {{ usd = {}, per = {} }}", number(usd), quoted(period));
    }
}

fn span(milliseconds: u64) -> String {
    Span(std::time::Duration::from_millis(milliseconds)).to_string()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn quoted_key(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn number(number: f64) -> String {
    number.to_string()
}
