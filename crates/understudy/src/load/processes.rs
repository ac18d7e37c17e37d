//! What processes and their descendants use, as `/proc` tells it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// How long a tick of `/proc/PID/stat` is: on Linux, user space is always told hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// Where in `/proc/PID/stat` these stand, counted from the field after the name, which is in parentheses.
const PARENT: usize = 1;
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;

/// What processes have used since they began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, of the user and of the system.
    pub(crate) processor: Duration,
    /// Memory in use, in kilobytes; pages that processes share count for each of them.
    pub(crate) resident: u64,
}

impl Usage {
    /// What these processes and all their descendants have used.
    pub(crate) fn of(processes: &[u32]) -> Self {
        if processes.is_empty() {
            return Self::default();
        }
        let stats = all_stats();
        let mut usage = Self::default();
        let mut waiting: Vec<u32> = processes.to_vec();
        let mut seen = Vec::new();
        while let Some(process) = waiting.pop() {
            if seen.contains(&process) {
                continue;
            }
            seen.push(process);
            if let Some(stat) = stats.get(&process) {
                usage.processor += stat.processor;
                usage.resident += resident(process).unwrap_or_default();
            }
            waiting.extend(
                stats
                    .iter()
                    .filter(|(_, stat)| stat.parent == process)
                    .map(|(child, _)| *child),
            );
        }
        usage
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    processor: Duration,
}

fn all_stats() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter_map(|process: u32| {
            Some((
                process,
                parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)?,
            ))
        })
        .collect()
}

fn parse(stat: &str) -> Option<Stat> {
    // The name may hold spaces and parentheses itself.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = [USER_TIME, SYSTEM_TIME]
        .iter()
        .map(|place| fields.get(*place)?.parse::<u32>().ok())
        .sum::<Option<u32>>()?;
    Some(Stat {
        parent: fields.get(PARENT)?.parse().ok()?,
        processor: TICK * ticks,
    })
}

fn resident(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_are_read() {
        let stat = "42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0 100 1000 200";
        assert_eq!(
            parse(stat),
            Some(Stat {
                parent: 7,
                processor: Duration::from_secs(2)
            })
        );
    }

    #[test]
    fn descendants_count() {
        let own = Usage::of(&[std::process::id()]);
        assert!(own.resident > 0);
        let parents = Usage::of(&[std::os::unix::process::parent_id()]);
        assert!(parents.resident > own.resident);
    }
}
