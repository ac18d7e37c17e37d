//! Everything that is wrong with a configuration, told at once.
//!
//! A configuration is understood in steps, and one that fails is the last. So what it fails for is left out, and the rest is
//! looked at again.

use super::document::Document;
use super::problem::Problem;

/// All problems of a document, of which `first` are known. `look` tells those of a document from which something was left out.
pub(super) fn all(
    mut document: Document,
    first: Vec<Problem>,
    look: impl Fn(&Document) -> Vec<Problem>,
) -> Vec<Problem> {
    let mut all = std::mem::take(&mut document.unusable);
    let mut found = first;
    found.retain(|problem| !follows_from(problem, &all));
    // Each round leaves something out, so that there is a last one.
    while !found.is_empty() {
        let goes_on = found.iter().all(|problem| document.leave_out(&problem.path));
        all.append(&mut found);
        if goes_on {
            found = look(&document);
            // What is not in the text may be missing because it was left out.
            found.retain(|problem| document.contains(&problem.path) && !follows_from(problem, &all));
        }
    }
    all.sort_by_key(|problem| problem.at);
    all
}

/// Whether a problem is one with a value that has another problem, or with something around that.
fn follows_from(problem: &Problem, others: &[Problem]) -> bool {
    others.iter().any(|other| {
        let below = other.path.strip_prefix(&problem.path);
        below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::env::Env;
    use crate::config::load;

    fn problems(text: &str) -> Vec<String> {
        let problems = load("f", text, &Env::from([("OPENAI_API_KEY", "sk-1")]), None).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn problems_of_all_kinds_are_told_together() {
        let text = r#"
[server]
listen = "127.0.0.1:99999"
listn = "x"
max_body = "12 XB"
[providers.openai]
timeout = "soon"
[providers.box]
base_url = "ftp://x"
headers = { x-a = "${UNSET}" }
[models."gpt-4.1"]
targets = ["opnai/gpt-5", "openai/gpt-5"]
strategie = "ordered"
[[clients]]
name = "a"
keys = "k"
[log]
level = "loud"
"#;
        let found = problems(text);
        let lines = found
            .iter()
            .map(|problem| problem.split(": ").take(2).collect::<Vec<_>>().join(" "));
        let expected = [
            "f:3:1 `server.listen`",
            "f:4:1 `server.listn`",
            "f:5:1 `server.max_body`",
            "f:7:1 `providers.openai.timeout`",
            "f:9:1 `providers.box.base_url`",
            "f:10:19 `providers.box.headers.x-a`",
            "f:12:12 `models.gpt-4.1.targets.0`",
            "f:13:1 `models.gpt-4.1.strategie`",
            "f:16:1 `clients.0.keys`",
            "f:18:1 `log.level`",
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{found:#?}");
    }

    #[test]
    fn what_follows_from_a_problem_is_none() {
        for (text, expected) in [
            // Without the address there is no telling what is there.
            ("[providers.box]\nbase_ulr = 'http://x'", "providers.box.base_ulr"),
            // Without its providers every target leads nowhere.
            (
                "[providrs.x]\nbase_url = 'http://x'\n[models.m]\ntargets = ['x/y']",
                "providrs",
            ),
            ("[models.m]\ntargets = 7", "models.m.targets"),
            (
                "[models.m]\ntargets = ['openai/x', 7, 'nobody/x']",
                "models.m.targets.1",
            ),
            ("[providers.box]\nbase_url = '${UNSET}'", "providers.box.base_url"),
            // What is no number is not left out in silence.
            (
                "[[clients]]\nname = 'a'\nkey = 'k'\nrequests_per_minute = 99999999999999999999",
                "clients.0.requests_per_minute",
            ),
            (
                "[[clients]]\nname = 'a'\nkey = 'k'\nmax_concurrent = inf",
                "clients.0.max_concurrent",
            ),
            ("[prices.'openai/x']\ninput = nan\noutput = 1", "prices.openai/x.input"),
            (
                "[models.m]\ntargets = [{ target = 'openai/x', weight = inf }]",
                "models.m.targets.0.weight",
            ),
            ("[providers.openai]\napi_key = ''", "providers.openai.api_key"),
            ("[providers.openai]\napi_keys = ['${']", "providers.openai.api_keys.0"),
            ("[[clients]]\nname = 'a'\nkey = ''", "clients.0.key"),
            ("[providers.box]\nbase_url = 'http://h:99999'", "providers.box.base_url"),
            ("[server]\nmax_body = '0'", "server.max_body"),
        ] {
            let found = problems(text);
            let is_told = found
                .first()
                .is_some_and(|problem| problem.contains(&format!("`{expected}`")));
            assert!(found.len() == 1 && is_told, "{text}: {found:#?}");
        }
    }
}
