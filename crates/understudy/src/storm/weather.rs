//! Who does wrong when: a schedule from a seed. One target is always healthy, and after some time it is another one.

use std::io;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep_until};

use super::fault::Fault;
use super::target::{NAMES, Target};

/// So many spells later another target is the healthy one.
const SPELLS: usize = 4;

/// Before that, everybody is healthy for so long: longer than anybody asks to be left alone, and than a request needs that
/// has to wait for two targets that hang.
const CALM: Duration = Duration::from_millis(3500);

/// Between the other spells.
const LULL: Duration = Duration::from_millis(100);

/// Lets two of the three targets do wrong in turn until the end. Returns how many spells of each fault there were, by its
/// place in [`Fault::ALL`].
pub(super) async fn blow(
    targets: &[Target; NAMES.len()],
    seed: u64,
    spell: Duration,
    end: Instant,
) -> io::Result<[u64; Fault::ALL.len()]> {
    let mut roll = Rng::with_seed(seed);
    let mut spells = [0; Fault::ALL.len()];
    let mut deck = Vec::new();
    for number in 0.. {
        let pause = if number % SPELLS == 0 { CALM } else { LULL };
        let begins = Instant::now() + pause;
        let until = begins + spell;
        if until > end {
            break;
        }
        sleep_until(begins).await;
        let (one, other) = (draw(&mut deck, &mut roll), draw(&mut deck, &mut roll));
        for place in [one, other] {
            if let Some(count) = spells.get_mut(place) {
                *count += 1;
            }
        }
        let (mut own, mut others) = (roll.fork(), roll.fork());
        let [alpha, beta, gamma] = targets;
        let (first, second) = match number / SPELLS % NAMES.len() {
            0 => (alpha, beta),
            1 => (beta, gamma),
            _ => (gamma, alpha),
        };
        tokio::try_join!(
            first.misbehave(fault(one), until, &mut own),
            second.misbehave(fault(other), until, &mut others),
        )?;
    }
    Ok(spells)
}

/// The place of the next fault: each comes once before any comes again.
fn draw(deck: &mut Vec<usize>, roll: &mut Rng) -> usize {
    if deck.is_empty() {
        deck.extend(0..Fault::ALL.len());
        roll.shuffle(deck);
    }
    deck.pop().unwrap_or_default()
}

fn fault(place: usize) -> Fault {
    Fault::ALL.get(place).copied().unwrap_or(Fault::Mixed)
}
