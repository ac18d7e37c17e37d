//! A connection to Redis that knows the scripts.

use super::address::Address;
use super::connection::{Connection, Error, PATIENCE};
use super::resp::Command;

/// The scripts, in the order of `SOURCES`.
#[derive(Clone, Copy, Debug)]
pub enum Script {
    /// A request wants to be admitted.
    Admit,
    /// Requests were settled.
    Settle,
    /// A process comes.
    Enter,
    /// A process lives.
    Beat,
    /// A process goes.
    Leave,
    /// A key rests.
    Rest,
    /// Which keys rest.
    Rests,
}

const SOURCES: [&str; 7] = [
    concat!(include_str!("window.lua"), include_str!("admit.lua")),
    concat!(include_str!("window.lua"), include_str!("settle.lua")),
    concat!(
        include_str!("window.lua"),
        include_str!("release.lua"),
        include_str!("enter.lua")
    ),
    concat!(
        include_str!("window.lua"),
        include_str!("release.lua"),
        include_str!("beat.lua")
    ),
    concat!(
        include_str!("window.lua"),
        include_str!("release.lua"),
        include_str!("leave.lua")
    ),
    concat!(include_str!("window.lua"), include_str!("rest.lua")),
    concat!(include_str!("window.lua"), include_str!("rests.lua")),
];

/// A connection in one epoch of its process.
#[derive(Debug)]
pub struct Link {
    /// The connection.
    pub connection: Connection,
    /// What a process that was away comes back in is another epoch: what is under way from an earlier one is refused.
    pub epoch: u64,
    scripts: Vec<String>,
}

impl Link {
    /// Connects, and sees to it that Redis knows the scripts. One that forgets them later is connected to anew.
    pub async fn open(address: &Address, epoch: u64) -> Result<Self, Error> {
        let connection = Connection::open(address).await?;
        let mut scripts = Vec::new();
        for source in SOURCES {
            let known = connection
                .ask(&Command::of(&["SCRIPT", "LOAD", source]), PATIENCE)
                .await?;
            scripts.push(known.text().unwrap_or_default().to_owned());
        }
        Ok(Self {
            connection,
            epoch,
            scripts,
        })
    }

    /// A call of a script, to which the keys are added and then the arguments.
    pub fn script(&self, script: Script, keys: usize) -> Command {
        let known = self.scripts.get(script as usize).map_or("", String::as_str);
        let mut command = Command::of(&["EVALSHA", known]);
        command.number(u64::try_from(keys).unwrap_or(u64::MAX));
        command
    }
}
