//! What is told to Redis beside the requests: messages of notes, each heard once, however often it is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::connection::{Error, PATIENCE, Pending};
use super::keys::Keys;
use super::link::{Link, Script};
use super::resp::Command;
use crate::config::clients::Period;
use crate::limits::clock::Now;
use crate::limits::owed::{Owed, Piece};
use crate::limits::period::{Since, bounds};
use crate::limits::refusal::What;
use crate::limits::restore::Total;
use crate::limits::scope::{DAY, Own, Scope};
use crate::limits::window::Window;

/// Notes in a message at most, so that no script takes long.
const MOST_NOTES: usize = 256;
/// Messages under way at most. What more is owed is summed up with its scope.
const MOST_UNHEARD: usize = 64;
/// For how many milliseconds a tab without an end is kept after it was last used.
const FOR_GOOD: u64 = 400 * DAY;

/// What is owed to Redis, and what it has not confirmed.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Scopes of which something is owed. Each is in it once.
    owing: Mutex<Vec<Arc<Scope>>>,
    outgoing: Mutex<Outgoing>,
    /// Something is to be sent, or to be confirmed.
    pub work: Notify,
}

#[derive(Debug, Default)]
struct Outgoing {
    number: u64,
    unheard: VecDeque<Message>,
}

#[derive(Debug)]
struct Message {
    number: u64,
    notes: Vec<Note>,
    /// It was sent in this epoch.
    is_sent: bool,
    /// Its confirmation, until somebody waits for that.
    pending: Option<Pending>,
}

/// One note, about one limit.
#[derive(Clone, Debug)]
struct Note {
    key: Vec<u8>,
    said: Said,
}

/// What `settle.lua` understands. Times and lengths are in milliseconds.
#[derive(Clone, Copy, Debug)]
enum Said {
    /// A piece of a window has less.
    Back { piece: Piece, amount: u64 },
    /// A window has more, since so long.
    Add { length: u64, amount: u64, age: u64 },
    /// Of a tab, something is no longer reserved, and something was spent.
    Settle { kept: u64, released: u64, spent: u64 },
    /// Of a tab, something is reserved.
    Hold { kept: u64, amount: u64 },
    /// What was spent by those whose ledger this is was not less.
    Declare { kept: u64, total: u64 },
}

impl Outbox {
    /// Something of a scope is owed that was not before.
    pub fn owes(&self, scope: &Arc<Scope>) {
        lock(&self.owing).push(scope.clone());
        self.work.notify_one();
    }

    /// Sends what is owed, unless too much is under way already.
    pub fn flush(&self, link: &Link, keys: &Keys, now: Now) -> Result<(), Error> {
        // One at a time: what is sent first must have the lower number.
        let mut outgoing = lock(&self.outgoing);
        while outgoing.unheard.len() < MOST_UNHEARD {
            let mut notes = Vec::new();
            while notes.len() < MOST_NOTES
                && let Some(scope) = lock(&self.owing).pop()
            {
                let owed = scope.lock().take_owed();
                notes_of(&owed, &scope.name, keys, now, &mut notes);
            }
            if notes.is_empty() {
                break;
            }
            outgoing.add(notes);
            self.work.notify_one();
            outgoing.send(link, keys)?;
        }
        Ok(())
    }

    /// Waits until nobody has taken what is owed, and not sent it yet. That takes no longer than to write it down.
    pub fn wait_for_flush(&self) {
        drop(lock(&self.outgoing));
    }

    /// Waits until everything is confirmed that is under way. Returns whether there was anything.
    pub async fn hear(&self, timeout: Duration) -> Result<bool, Error> {
        let mut any = false;
        loop {
            let pending = {
                let mut outgoing = lock(&self.outgoing);
                outgoing.unheard.front_mut().and_then(|message| message.pending.take())
            };
            let Some(pending) = pending else { return Ok(any) };
            any = true;
            pending.within(timeout).await?;
            lock(&self.outgoing).unheard.pop_front();
        }
    }

    /// Prepares what is under way to be sent again in a new epoch: what was reserved in the old one is released with that, and
    /// stated anew. With `windows`, so is what is in windows.
    pub fn begin_epoch(&self, windows: bool) {
        for message in &mut lock(&self.outgoing).unheard {
            (message.is_sent, message.pending) = (false, None);
            message.notes.retain_mut(|note| match &mut note.said {
                Said::Settle { released, .. } => {
                    *released = 0;
                    true
                }
                Said::Hold { .. } | Said::Declare { .. } => false,
                Said::Back { .. } | Said::Add { .. } => !windows,
            });
        }
    }

    /// Forgets what was spent, for a ledger knows of it.
    pub fn forget_spending(&self, scopes: &[Arc<Scope>]) {
        for scope in scopes {
            scope.lock().forget_spending();
        }
        let mut outgoing = lock(&self.outgoing);
        for note in outgoing.unheard.iter_mut().flat_map(|message| &mut message.notes) {
            if let Said::Settle { spent, .. } = &mut note.said {
                *spent = 0;
            }
        }
    }

    /// Sends what is under way, then what is owed, and then what this node holds and has spent: with what is owed, that is not less.
    /// With `windows`, what is in its windows too. `totals` is what a ledger of all nodes knows of spending.
    pub async fn restate(
        &self,
        link: &Link,
        keys: &Keys,
        (scopes, totals): (&[Arc<Scope>], &[Total]),
        (windows, now): (bool, Now),
    ) -> Result<(), Error> {
        // All scopes are looked at.
        lock(&self.owing).clear();
        let mut notes = Vec::new();
        for scope in scopes {
            let mut state = scope.lock();
            let mut owed = state.take_owed();
            owed.tabs.iter_mut().for_each(|due| due.released = 0);
            if windows {
                owed.adds.clear();
                owed.back.clear();
                for (what, window) in state.own_windows() {
                    notes_of_window(what, window, &scope.name, keys, now, &mut notes);
                }
            }
            notes_of(&owed, &scope.name, keys, now, &mut notes);
            for own in state.own(now.unix) {
                notes_of_own(&own, &scope.name, keys, now, &mut notes);
            }
        }
        for total in totals {
            let (since, _) = Since::at(total.period, now.unix);
            let (what, spent, held) = (What::Budget(total.period), total.spent, 0);
            let own = Own {
                what,
                since,
                held,
                spent,
            };
            notes_of_own(&own, &total.scope, keys, now, &mut notes);
        }
        {
            let mut outgoing = lock(&self.outgoing);
            for notes in notes.chunks(MOST_NOTES) {
                outgoing.add(notes.to_vec());
            }
            outgoing.send(link, keys)?;
        }
        self.hear(PATIENCE).await?;
        Ok(())
    }
}

impl Outgoing {
    fn add(&mut self, notes: Vec<Note>) {
        self.number += 1;
        self.unheard.push_back(Message {
            number: self.number,
            notes,
            is_sent: false,
            pending: None,
        });
    }

    /// Sends what has not been sent in this epoch.
    fn send(&mut self, link: &Link, keys: &Keys) -> Result<(), Error> {
        for message in self.unheard.iter_mut().filter(|message| !message.is_sent) {
            let command = message.command(link, keys);
            message.pending = Some(link.connection.send(&command)?);
            message.is_sent = true;
        }
        Ok(())
    }
}

impl Message {
    fn command(&self, link: &Link, keys: &Keys) -> Command {
        let mut command = link.script(Script::Settle, 2 + self.notes.len());
        command.add(&keys.process);
        command.add(&keys.held);
        for note in &self.notes {
            command.add(&note.key);
        }
        command.number(link.epoch);
        command.number(self.number);
        for note in &self.notes {
            let (kind, numbers, who) = note.said.words();
            command.add(kind);
            for number in numbers {
                command.number(number);
            }
            command.add(if who { keys.ledger.as_str() } else { "0" });
        }
        command
    }
}

impl Said {
    /// Its kind, its numbers, and whether it is about who has spent something.
    fn words(&self) -> (&'static str, [u64; 3], bool) {
        match *self {
            Self::Back { piece, amount } => ("b", [piece.number, piece.first, amount], false),
            Self::Add { length, amount, age } => ("a", [length, amount, age], false),
            Self::Settle { kept, released, spent } => ("t", [kept, released, spent], true),
            Self::Hold { kept, amount } => ("h", [kept, amount, 0], false),
            Self::Declare { kept, total } => ("d", [kept, total, 0], true),
        }
    }
}

fn notes_of(owed: &Owed, scope: &str, keys: &Keys, now: Now, notes: &mut Vec<Note>) {
    for (what, window) in &owed.adds {
        notes_of_window(*what, window, scope, keys, now, notes);
    }
    for (what, piece, amount) in &owed.back {
        let (piece, amount) = (*piece, *amount);
        let key = keys.of(scope, *what, 0);
        notes.push(Note {
            key,
            said: Said::Back { piece, amount },
        });
    }
    for due in &owed.tabs {
        let kept = kept(due.what, due.since, now);
        notes.push(Note {
            key: keys.of(scope, due.what, due.since.begins()),
            said: Said::Settle {
                kept,
                released: due.released,
                spent: due.spent,
            },
        });
    }
}

fn notes_of_window(what: What, window: &Window, scope: &str, keys: &Keys, now: Now, notes: &mut Vec<Note>) {
    for (_, last, amount) in window.pieces().filter(|(.., amount)| *amount > 0) {
        let said = Said::Add {
            length: window.length(),
            amount,
            age: now.steady.saturating_sub(last),
        };
        notes.push(Note {
            key: keys.of(scope, what, 0),
            said,
        });
    }
}

fn notes_of_own(own: &Own, scope: &str, keys: &Keys, now: Now, notes: &mut Vec<Note>) {
    let (key, kept) = (
        keys.of(scope, own.what, own.since.begins()),
        kept(own.what, own.since, now),
    );
    if own.held > 0 {
        let said = Said::Hold { kept, amount: own.held };
        notes.push(Note { key: key.clone(), said });
    }
    if own.spent > 0 {
        let said = Said::Declare { kept, total: own.spent };
        notes.push(Note { key, said });
    }
}

/// For how many milliseconds a tab is kept after it was last used.
pub fn kept(what: What, since: Since, now: Now) -> u64 {
    match what {
        What::Budget(Period::Total) => FOR_GOOD,
        What::Budget(period) => {
            let (_, ends) = bounds(period, since.begins());
            ends.saturating_sub(now.unix).saturating_add(DAY)
        }
        _ => DAY,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
