use super::key::{MAX_RESTS, PROBE_LIMIT, PROBING};
use super::*;

const NONE: UsedKeys = UsedKeys(0);

fn pool(count: usize) -> KeyPool {
    KeyPool::new((0..count).map(|_| Arc::default()).collect(), KeyRules::default())
}

fn second(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn index(pool: &KeyPool, model: &str, now: Instant) -> Option<usize> {
    pool.lease(model, NONE, now).unwrap().index
}

#[test]
fn every_request_takes_the_next_key() {
    let (pool, now) = (pool(3), Instant::now());
    let taken: Vec<_> = (0..4).map(|_| index(&pool, "m", now).unwrap()).collect();
    assert_eq!(taken, [0, 1, 2, 0]);
    assert_eq!(
        index(&KeyPool::default(), "m", now),
        None,
        "without keys there is one try"
    );
}

#[test]
fn a_throttled_key_rests_for_its_model_alone() {
    let (pool, now) = (pool(2), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(30)), now);
    assert_eq!([index(&pool, "m", now), index(&pool, "m", now)], [Some(1), Some(1)]);
    assert_eq!(pool.available(now), 1);
    assert_eq!(
        [index(&pool, "other", now), index(&pool, "other", now)],
        [Some(1), Some(0)]
    );
}

#[test]
fn a_rejected_key_rests_everywhere_but_is_asked_when_there_is_no_other() {
    let (pool, now) = (pool(1), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Rejected, None, now);
    assert_eq!(pool.lease("other", NONE, now).unwrap_err().reason, Reason::Rejected);
    assert_eq!(pool.lease_at_a_guess("other", now).unwrap().index, Some(0));
    pool.lease_at_a_guess("m", now).unwrap().accepted("m");
    assert_eq!(index(&pool, "m", now), Some(0));
}

#[test]
fn the_later_deadline_wins() {
    let (pool, now) = (pool(1), Instant::now());
    let (mut first, mut second_one) = (pool.lease("m", NONE, now).unwrap(), pool.lease("m", NONE, now).unwrap());
    first.rest("m", Reason::Throttled, Some(second(60)), now);
    second_one.rest("m", Reason::Throttled, Some(second(1)), now);
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().until, now + second(60));
    assert!(
        pool.lease_at_a_guess("m", now).is_none(),
        "who is told when to come back does not come before"
    );
}

#[test]
fn a_rejected_key_is_not_asked_while_another_one_is_only_throttled() {
    let (pool, now) = (pool(2), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Rejected, None, now);
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(600)), now);
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().until, now + second(600));
    assert_eq!(pool.looks("m", now).unwrap_err().reason, Reason::Throttled);
    assert!(pool.lease_at_a_guess("m", now).is_none());
}

#[test]
fn who_says_now_has_not_said_when() {
    let (pool, now) = (pool(1), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, Some(Duration::ZERO), now);
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().until, now + second(1));
}

#[test]
fn a_probe_that_is_not_refused_soon_counts_as_accepted() {
    let (pool, now) = (pool(1), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(1)), now);
    let later = now + second(1);
    let _slow = pool.lease("m", NONE, later).unwrap();
    assert!(pool.lease("m", NONE, later + second(1)).is_err());
    let soon = later + PROBE_LIMIT;
    assert!(pool.lease("m", NONE, soon).is_ok() && pool.lease("m", NONE, soon).is_ok());
}

#[test]
fn one_request_finds_out_whether_a_rest_is_over() {
    let (pool, now) = (pool(1), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(2)), now);
    let later = now + second(2);
    let mut probe = pool.lease("m", NONE, later).unwrap();
    assert_eq!(pool.lease("m", NONE, later).unwrap_err().until, later + PROBING);
    probe.abandon("m");
    let mut probe = pool.lease("m", NONE, later).unwrap();
    probe.accepted("m");
    assert!(pool.lease("m", NONE, later).is_ok() && pool.lease("m", NONE, later).is_ok());
}

#[test]
fn an_answer_to_an_earlier_request_ends_no_rest() {
    let (pool, now) = (pool(1), Instant::now());
    let mut early = pool.lease("m", NONE, now).unwrap();
    let told = now + second(1);
    pool.lease("m", NONE, told)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(30)), told);
    early.accepted("m");
    assert_eq!(pool.lease("m", NONE, told).unwrap_err().until, told + second(30));
}

#[test]
fn a_probe_of_two_rests_settles_both() {
    let (pool, now) = (pool(1), Instant::now());
    let mut leases = [pool.lease("m", NONE, now).unwrap(), pool.lease("m", NONE, now).unwrap()];
    leases[0].rest("m", Reason::Rejected, None, now);
    leases[1].rest("m", Reason::Throttled, Some(second(30)), now);
    assert!(pool.lease_at_a_guess("m", now).is_none(), "it is also throttled");
    let later = now + second(60);
    pool.lease("m", NONE, later)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(5)), later);
    assert!(
        pool.lease("m", NONE, later + second(5)).is_ok(),
        "nobody probes any more"
    );
}

#[test]
fn who_throttles_a_key_accepts_it() {
    let (pool, now) = (pool(1), Instant::now());
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Rejected, None, now);
    let later = now + second(1);
    pool.lease_at_a_guess("m", later)
        .unwrap()
        .rest("m", Reason::Throttled, Some(second(20)), later);
    let resting = pool.lease("m", NONE, later).unwrap_err();
    assert_eq!((resting.until, resting.reason), (later + second(20), Reason::Throttled));
    assert!(pool.lease("other", NONE, later).is_ok());
}

#[test]
fn an_earlier_answer_does_not_end_the_rest_of_a_key_that_is_refused() {
    let (pool, now) = (pool(1), Instant::now());
    let mut early = pool.lease("m", NONE, now).unwrap();
    let later = now + second(1);
    pool.lease("m", NONE, later)
        .unwrap()
        .rest("m", Reason::Rejected, None, later);
    early.rest("m", Reason::Throttled, Some(second(20)), later);
    assert_eq!(pool.lease("other", NONE, later).unwrap_err().reason, Reason::Rejected);
    // It is not tried before the provider has said, and then it is.
    let resting = pool.lease("m", NONE, later).unwrap_err();
    assert_eq!((resting.until, resting.reason), (later + second(20), Reason::Throttled));
    assert!(resting.is_worth_waiting() && pool.lease_at_a_guess("m", later).is_none());
    assert!(pool.lease_at_a_guess("m", later + second(20)).is_some());
}

#[test]
fn a_key_that_gives_hope_is_named_before_one_that_is_refused() {
    let (pool, now) = (pool(2), Instant::now());
    let mut leases = [pool.lease("m", NONE, now).unwrap(), pool.lease("m", NONE, now).unwrap()];
    leases[0].rest("m", Reason::Rejected, None, now);
    leases[1].rest("m", Reason::Throttled, Some(second(90)), now);
    let resting = pool.lease("m", NONE, now).unwrap_err();
    assert_eq!((resting.until, resting.reason), (now + second(90), Reason::Throttled));
    assert_eq!(pool.looks("m", now), Err(resting));
}

#[test]
fn rests_grow_where_nobody_says_how_long() {
    let (pool, mut now) = (pool(1), Instant::now());
    let mut rests = Vec::new();
    for _ in 0..8 {
        pool.lease("m", NONE, now)
            .unwrap()
            .rest("m", Reason::Throttled, None, now);
        let until = pool.lease("m", NONE, now).unwrap_err().until;
        rests.push(until.duration_since(now).as_secs());
        now = until;
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn requests_that_were_under_way_together_count_once() {
    let (pool, now) = (pool(1), Instant::now());
    let mut leases: Vec<Lease> = (0..50).map(|_| pool.lease("m", NONE, now).unwrap()).collect();
    for lease in &mut leases {
        lease.rest("m", Reason::Throttled, None, now);
    }
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().until, now + second(1));
}

#[test]
fn the_operator_may_say_how_long() {
    let pool = KeyPool::new(
        vec![Arc::default()],
        KeyRules {
            cooldown: Some(second(7)),
            ..KeyRules::default()
        },
    );
    let now = Instant::now();
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, None, now);
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().until, now + second(7));
}

#[test]
fn keys_that_never_rest_do_not_rest_for_what_the_provider_says_either() {
    let rules = KeyRules {
        cooldown: Some(Duration::ZERO),
        ..KeyRules::default()
    };
    let pool = KeyPool::new(vec![Arc::default()], rules);
    let now = Instant::now();
    for reason in [Reason::Throttled, Reason::Exhausted, Reason::Rejected] {
        for asked in [None, Some(second(60))] {
            pool.lease("m", NONE, now).unwrap().rest("m", reason, asked, now);
            assert!(pool.lease("m", NONE, now).is_ok(), "{reason:?} {asked:?}");
        }
    }
}

#[test]
fn rests_are_bounded() {
    let (pool, now) = (pool(1), Instant::now());
    for number in 0..3 * MAX_RESTS {
        let model = number.to_string();
        pool.lease(&model, NONE, now)
            .unwrap()
            .rest(&model, Reason::Throttled, Some(second(9)), now);
    }
    assert_eq!(pool.rests(now)[0].len(), MAX_RESTS);
}

#[test]
fn what_the_operator_holds_is_not_leased_whatever_happens() {
    let (pool, now) = (pool(2), Instant::now());
    let mut before = pool.lease("m", NONE, now).unwrap();
    let held = before.index.unwrap();
    assert!(pool.hold(held, Some(Hold { until: None })) && !pool.hold(2, None));
    // A request that was under way does not end the hold.
    before.accepted("m");
    for _ in 0..4 {
        assert_ne!(pool.lease("m", NONE, now).unwrap().index, Some(held));
    }
    let until = now + second(10);
    assert!(pool.hold(1 - held, Some(Hold { until: Some(until) })));
    assert!(pool.are_all_held(now) && pool.holds(now).len() == 2);
    let refused = pool.lease("m", NONE, now).unwrap_err();
    assert_eq!(
        (refused.reason, refused.until, refused.is_worth_waiting()),
        (Reason::Held, until, false)
    );
    assert!(pool.lease_at_a_guess("m", now).is_none());
    assert_eq!(pool.lease("m", NONE, until).unwrap().index, Some(1 - held));
    assert!(pool.hold(held, None) && pool.available(until) == 2);
}

fn listed(count: usize, rest_failed: bool, cooldown: Option<Duration>) -> KeyPool {
    let rules = KeyRules {
        cooldown,
        first_come: true,
        rest_failed,
    };
    KeyPool::new((0..count).map(|_| Arc::default()).collect(), rules)
}

#[test]
fn listed_keys_come_in_their_order() {
    let (pool, now) = (listed(3, false, None), Instant::now());
    assert_eq!([index(&pool, "m", now), index(&pool, "m", now)], [Some(0), Some(0)]);
    pool.lease("m", NONE, now)
        .unwrap()
        .rest("m", Reason::Throttled, None, now);
    assert_eq!(index(&pool, "m", now), Some(1));
    assert_eq!(index(&pool, "other", now), Some(0));
}

#[test]
fn a_key_that_failed_rests_and_can_be_had_all_the_same() {
    let (pool, now) = (listed(3, true, Some(second(300))), Instant::now());
    let lease = |at: Instant| pool.lease("m", NONE, at);
    lease(now).unwrap().rest("m", Reason::Failed, None, now);
    assert_eq!(index(&pool, "m", now), Some(1));
    lease(now).unwrap().rest("m", Reason::Failed, None, now + second(1));
    lease(now).unwrap().rest("m", Reason::Throttled, None, now);
    let later = now + second(2);
    assert!(
        lease(later).unwrap_err().is_worth_waiting(),
        "for the one that is throttled"
    );
    assert_eq!(pool.available(later), 0);
    // The one whose rest ends first, of those that were not used.
    let mut used = UsedKeys::default();
    for expected in [Some(0), Some(1), None] {
        let failed = pool.lease_failed("m", used, later);
        assert_eq!(failed.as_ref().and_then(|lease| lease.index), expected);
        used.note(expected);
    }
    // That a key was throttled is not forgotten when it fails.
    let mut other = pool.leased(2, &pool.keys[2], later, false);
    other.rest("m", Reason::Failed, None, later);
    assert!(pool.lease_failed("m", used, later).is_none());
}

#[test]
fn a_key_that_failed_and_is_rejected_is_rejected() {
    let (pool, now) = (listed(1, true, Some(second(10))), Instant::now());
    let mut lease = pool.lease("m", NONE, now).unwrap();
    lease.rest("m", Reason::Failed, None, now);
    lease.rest("m", Reason::Rejected, None, now);
    assert_eq!(pool.lease("m", NONE, now).unwrap_err().reason, Reason::Rejected);
}

#[test]
fn a_request_does_not_use_a_key_twice_and_waits_for_none_that_does_not_rest() {
    let (pool, now) = (listed(2, false, Some(Duration::ZERO)), Instant::now());
    let mut used = UsedKeys::default();
    for expected in [0, 1] {
        let mut lease = pool.lease("m", used, now).unwrap();
        assert_eq!(lease.index, Some(expected));
        lease.rest("m", Reason::Throttled, None, now);
        used.note(lease.index);
    }
    assert!(!pool.lease("m", used, now).unwrap_err().is_worth_waiting());
    assert_eq!(index(&pool, "m", now), Some(0), "without a cooldown nothing rests");
}
