//! The environment: the process's own variables over those of a `.env` file.

use std::collections::BTreeMap;
use std::path::Path;

use super::problem::Problem;

/// A snapshot of the environment, taken once, so that a reload and a test see what they should.
#[derive(Clone, Debug, Default)]
pub struct Env {
    variables: BTreeMap<String, String>,
}

impl Env {
    /// The process environment, and `.env` in `directory` for names that it does not have.
    pub fn read(directory: &Path) -> Result<Self, Vec<Problem>> {
        let mut variables = BTreeMap::new();
        let file = directory.join(".env");
        if file.is_file() {
            let problem = |error: dotenvy::Error| vec![Problem::without_place(format!("{}: {error}", file.display()))];
            for pair in dotenvy::from_path_iter(&file).map_err(problem)? {
                let (name, value) = pair.map_err(problem)?;
                variables.insert(name, value);
            }
        }
        // Names and values that are not Unicode cannot be meant for us.
        variables.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(Self { variables })
    }

    /// A variable's value; `None` when it is not set or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The variables `NAME`, then `NAME_1`, `NAME_2`, … in the order of their numbers, gaps allowed.
    pub fn numbered<'a>(&'a self, name: &str) -> Vec<(&'a str, &'a str)> {
        let prefix = format!("{name}_");
        let numbered = self
            .variables
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix));
        let mut found: Vec<(u64, &str, &str)> = numbered
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(key, value)| Some((key[prefix.len()..].parse().ok()?, key.as_str(), value.as_str())))
            .collect();
        found.sort_unstable();
        let plain = self
            .variables
            .get_key_value(name)
            .filter(|(_, value)| !value.is_empty());
        let plain = plain.map(|(key, value)| (key.as_str(), value.as_str()));
        plain
            .into_iter()
            .chain(found.into_iter().map(|(_, key, value)| (key, value)))
            .collect()
    }
}

impl Env {
    /// The names of the variables that consist of `before`, a number and `after`, in the order of their numbers, gaps allowed.
    pub fn indexed<'a>(&'a self, before: &str, after: &str) -> Vec<&'a str> {
        let index = |name: &str| {
            let digits = name.strip_prefix(before)?.strip_suffix(after)?;
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u64>().ok().filter(|_| is_number)
        };
        let set = self.variables.iter().filter(|(_, value)| !value.is_empty());
        let mut found: Vec<(u64, &str)> = set
            .filter_map(|(name, _)| Some((index(name)?, name.as_str())))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, name)| name).collect()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Env {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self {
            variables: pairs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_variables_come_in_order() {
        let env = Env::from([
            ("X_API_KEY_10", "ten"),
            ("X_API_KEY_2", "two"),
            ("X_API_KEY", "plain"),
            ("X_API_KEY_3", ""),
            ("X_API_KEY_OLD", "no"),
            ("X_API_KEYS", "no"),
        ]);
        let values: Vec<&str> = env.numbered("X_API_KEY").into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["plain", "two", "ten"]);
    }

    #[test]
    fn a_number_may_stand_anywhere() {
        let env = Env::from([
            ("KEY_10_A", "x"),
            ("KEY_2_A", "x"),
            ("KEY_3_A", ""),
            ("KEY_+4_A", "x"),
            ("KEY_5_B", "x"),
        ]);
        assert_eq!(env.indexed("KEY_", "_A"), ["KEY_2_A", "KEY_10_A"]);
    }

    #[test]
    fn a_dot_env_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join(".env"),
            "export A_NAME='of the file'\n# comment\nPATH=shadowed\n",
        )
        .unwrap();
        let env = Env::read(directory.path()).unwrap();
        assert_eq!(env.get("A_NAME"), Some("of the file"));
        assert_ne!(env.get("PATH"), Some("shadowed"));
    }
}
