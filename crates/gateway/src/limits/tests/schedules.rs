//! Random schedules of clients who share groups, held against an oracle that remembers everything and is in no hurry.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};

use proptest::prelude::*;

use super::*;
use crate::limits::scope::DAY;

/// Who belongs where: three clients, two of them in a group that lies in the group of the third.
const CLIENTS: [&[&str]; 3] = [
    &["client:a", "group:team", "group:all"],
    &["client:b", "group:team", "group:all"],
    &["client:c", "group:all"],
];

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A client comes with a request that is thought to need so many tokens and so much money.
    Ask(usize, Demand),
    /// A request is over that needed so much.
    Settle(prop::sample::Index, Used),
    /// A request is given up before anybody was asked.
    Drop(prop::sample::Index),
    /// So many milliseconds pass.
    Pause(u64),
}

/// What the oracle knows of a request that was admitted.
#[derive(Clone, Copy, Debug)]
struct Entry {
    client: usize,
    at: u64,
    tokens: u64,
    /// More tokens than were thought, from when that was known.
    late: (u64, u64),
    cost: u64,
    /// The cost is known.
    settled: bool,
    under_way: bool,
}

#[derive(Debug, Default)]
struct Oracle {
    limits: BTreeMap<&'static str, Limits>,
    entries: Vec<Entry>,
}

impl Oracle {
    /// Whether a request may go, when what was consumed is remembered for `slack` of 256 parts longer than it must be.
    fn allows(&self, client: usize, demand: &Demand, now: u64, slack: u64) -> bool {
        CLIENTS[client].iter().all(|scope| {
            let limits = &self.limits[scope];
            let here = || {
                self.entries
                    .iter()
                    .filter(|entry| CLIENTS[entry.client].contains(scope))
            };
            let window = |limit: Option<u64>, length: u64, asked: u64, amounts: &dyn Fn(&Entry) -> [(u64, u64); 2]| {
                let ends = |at: u64| at + length + length / 256 * slack;
                let used: u64 = here()
                    .flat_map(amounts)
                    .filter(|(at, _)| ends(*at) > now)
                    .map(|(_, amount)| amount)
                    .sum();
                limit.is_none_or(|limit| used + asked <= limit)
            };
            let requests = |entry: &Entry| [(entry.at, 1), (0, 0)];
            let tokens = |entry: &Entry| [(entry.at, entry.tokens), entry.late];
            let under_way = here().filter(|entry| entry.under_way).count() as u64;
            let budget = |budget: &BudgetLimit| {
                let begins = crate::limits::period::bounds(budget.period, now).0;
                let spent: u64 = here().filter(|entry| entry.at >= begins).map(|entry| entry.cost).sum();
                spent + demand.cost <= budget.nano
            };
            limits.max_concurrent.is_none_or(|most| under_way < u64::from(most))
                && window(limits.requests_per_minute, MINUTE, 1, &requests)
                && window(limits.requests_per_day, DAY, 1, &requests)
                && window(limits.tokens_per_minute, MINUTE, demand.tokens, &tokens)
                && window(limits.tokens_per_day, DAY, demand.tokens, &tokens)
                && limits.budgets.iter().all(budget)
        })
    }

    /// What is spent and reserved of a budget.
    fn spent(&self, scope: &str, period: Period, now: u64) -> (u64, u64) {
        let begins = crate::limits::period::bounds(period, now).0;
        let sum = |settled: bool| {
            let here = |entry: &&Entry| CLIENTS[entry.client].contains(&scope) && entry.at >= begins;
            let entries = self.entries.iter().filter(here);
            entries
                .filter(|entry| entry.settled == settled)
                .map(|entry| entry.cost)
                .sum()
        };
        (sum(true), sum(false))
    }
}

fn limits() -> impl Strategy<Value = Limits> {
    let rate = |most: u64| prop::option::weighted(0.4, 1..most);
    let budget = prop::option::weighted(0.6, (prop::sample::select(Period::ALL.to_vec()), 1_000_u64..30_000));
    let concurrent = prop::option::weighted(0.4, 1_u32..8);
    (rate(20), rate(60), rate(2_000), rate(9_000), concurrent, budget).prop_map(
        |(requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, max_concurrent, budget)| Limits {
            requests_per_minute,
            requests_per_day,
            tokens_per_minute,
            tokens_per_day,
            max_concurrent,
            budgets: budget
                .into_iter()
                .map(|(period, nano)| BudgetLimit { period, nano })
                .collect(),
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let demand = (0_u64..400, 0_u64..4_000).prop_map(|(tokens, cost)| Demand::new(tokens, cost));
    let used = (0_u64..600, 0_u64..6_000).prop_map(|(tokens, cost)| Used::new(tokens, None, cost));
    prop_oneof![
        5 => (0..CLIENTS.len(), demand).prop_map(|(client, demand)| Step::Ask(client, demand)),
        3 => (any::<prop::sample::Index>(), used).prop_map(|(which, used)| Step::Settle(which, used)),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        4 => prop_oneof![0_u64..50, 0_u64..20_000, 0_u64..2 * MINUTE, 0_u64..DAY].prop_map(Step::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_schedule_gets_more_or_less_than_the_oracle_says(
        all in prop::array::uniform5(limits()),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let names = ["client:a", "client:b", "client:c", "group:team", "group:all"];
        let mut oracle = Oracle { limits: names.into_iter().zip(all).collect(), ..Oracle::default() };
        let scopes = Scopes::new(Clock::start(), None);
        let allowances = CLIENTS.map(|levels| {
            let level = |scope: &&str| LevelConfig { scope: (*scope).to_owned(), limits: oracle.limits[scope].clone() };
            let levels = levels.iter().map(level).collect();
            scopes.allowance(&ClientConfig { levels, ..ClientConfig::default() })
        });
        let (mut permits, mut now): (Vec<(Permit, Demand, usize)>, u64) = (Vec::new(), START);
        let moment = |now| Now { steady: now, unix: now };
        for step in steps {
            match step {
                Step::Pause(milliseconds) => now += milliseconds,
                Step::Ask(client, demand) => {
                    let Some(allowance) = &allowances[client] else { continue };
                    match admit(allowance, demand, moment(now)) {
                        Ok(permit) => {
                            prop_assert!(oracle.allows(client, &demand, now, 0), "too much was admitted");
                            permits.push((permit, demand, oracle.entries.len()));
                            let (tokens, cost) = (demand.tokens, demand.cost);
                            let entry = Entry { client, at: now, tokens, late: (0, 0), cost, settled: false, under_way: true };
                            oracle.entries.push(entry);
                        }
                        Err(refused) => {
                            prop_assert!(!oracle.allows(client, &demand, now, 1), "refused for nothing: {refused:?}");
                        }
                    }
                }
                Step::Settle(which, used) if !permits.is_empty() => {
                    let (permit, demand, number) = permits.swap_remove(which.index(permits.len()));
                    permit.settle(used, moment(now));
                    let entry = &mut oracle.entries[number];
                    (entry.tokens, entry.late) = (demand.tokens.min(used.tokens), (now, used.tokens.saturating_sub(demand.tokens)));
                    (entry.cost, entry.settled, entry.under_way) = (used.cost, true, false);
                }
                Step::Drop(which) if !permits.is_empty() => {
                    let (permit, _, number) = permits.swap_remove(which.index(permits.len()));
                    drop(permit);
                    let entry = &mut oracle.entries[number];
                    (entry.tokens, entry.cost, entry.settled, entry.under_way) = (0, 0, true, false);
                }
                Step::Settle(..) | Step::Drop(_) => {}
            }
            for allowance in allowances.iter().flatten() {
                for level in &allowance.levels {
                    for budget in &level.limits.budgets {
                        let told = level.scope.lock().spent(budget.period, now);
                        prop_assert_eq!(told, oracle.spent(&level.scope.name, budget.period, now));
                    }
                }
            }
        }
    }
}

#[test]
fn permits_may_end_in_every_order() {
    let own = Limits {
        max_concurrent: Some(4),
        ..budget(Period::Month, 1_000)
    };
    let mut seen = 0;
    for order in orders(4) {
        let allowance = allowance(&[("client:a", own.clone()), ("group:g", tokens_per_minute(1_000))]);
        let mut permits: Vec<Option<Permit>> = (1..=4)
            .map(|number| Some(admit(&allowance, Demand::new(number * 50, number * 60), at(number)).unwrap()))
            .collect();
        assert_eq!(
            admit(&allowance, Demand::default(), at(5)).unwrap_err().obstacle.what,
            What::Concurrent
        );
        for which in order {
            let permit = permits[which].take().unwrap();
            // The first and the third are settled, one with less and one with more than was thought; nobody was asked for the others.
            match which {
                0 => permit.settle(Used::new(20, None, 30), at(10)),
                2 => permit.settle(Used::new(200, None, 400), at(10)),
                _ => drop(permit),
            }
        }
        for level in &allowance.levels {
            let mut state = level.scope.lock();
            if level.scope.name == "client:a" {
                assert_eq!(state.spent(Period::Month, at(11).unix), (430, 0));
            } else {
                let left = state.standing(&level.limits, at(11)).tokens.unwrap().remaining;
                assert_eq!(left, 1_000 - 220);
            }
        }
        for _ in 0..4 {
            permits.push(Some(admit(&allowance, Demand::default(), at(12)).unwrap()));
        }
        seen += 1;
    }
    assert_eq!(seen, 24);
}

#[test]
fn what_is_settled_is_not_given_back_when_it_is_dropped() {
    // A permit is used up by settling it, so it cannot be settled again; its end is not a second one.
    let allowance = allowance(&[("client:a", budget(Period::Total, 100))]);
    let permit = admit(&allowance, Demand::new(0, 60), at(0)).unwrap();
    let other = admit(&allowance, Demand::new(0, 10), at(0)).unwrap();
    permit.settle(Used::new(0, None, 50), at(1));
    let told = || allowance.levels[0].scope.lock().spent(Period::Total, at(1).unix);
    assert_eq!(told(), (50, 10));
    drop(other);
    assert_eq!(told(), (50, 0));
}

#[test]
fn clients_that_share_groups_do_not_wait_for_each_other_for_ever() {
    let limits = Limits {
        max_concurrent: Some(3),
        ..budget(Period::Total, u64::MAX)
    };
    let scopes = Scopes::new(Clock::start(), None);
    // Made in an order in which no client has its scopes.
    for name in ["group:all", "client:c", "group:team", "client:b", "client:a"] {
        scopes.scope(name);
    }
    let allowances = CLIENTS.map(|levels| {
        let level = |scope: &&str| LevelConfig {
            scope: (*scope).to_owned(),
            limits: limits.clone(),
        };
        let levels = levels.iter().rev().map(level).collect();
        let client = ClientConfig {
            levels,
            ..ClientConfig::default()
        };
        scopes.allowance(&client).unwrap()
    });
    let begin = Arc::new(Barrier::new(6));
    let admitted: u64 = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..6)
            .map(|number| {
                let (allowance, begin) = (allowances[number % 3].clone(), begin.clone());
                threads.spawn(move || {
                    begin.wait();
                    let settle = |permit: Permit| permit.settle(Used::new(0, None, 1), at(0));
                    (0..2_000)
                        .filter_map(|_| admit(&allowance, Demand::new(0, 5), at(0)).ok().map(settle))
                        .count() as u64
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let all = scopes.scope("group:all");
    assert_eq!(all.lock().spent(Period::Total, at(0).unix), (admitted, 0));
}

/// All orders of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(count - 1) {
        for place in 0..count {
            let mut order = order.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}
