//! The scripts in Redis count as the counters of a single node do, in times that a test makes up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah::cluster::address::Address;
use mynah::cluster::connection::Connection;
use mynah::cluster::resp::{Command, Value};
use mynah::limits::window::Window;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use support::PATIENCE;
use support::redis::Redis;
use tokio::runtime::Runtime;

const MINUTE: u64 = 60_000;
const START: u64 = 1_790_000_000_000;
const REAL: &str = "local time = redis.call('TIME')\n    return time[1] * 1000 + math.floor(time[2] / 1000)";

/// A Redis in which the time is what the last argument says.
struct Counters {
    runtime: Runtime,
    _redis: Redis,
    connection: Connection,
    admit: String,
    settle: String,
}

impl Counters {
    fn new() -> Self {
        let (runtime, redis) = (Runtime::new().unwrap(), Redis::start());
        let address = Address::parse(&redis.url()).unwrap();
        let connection = runtime.block_on(Connection::open(&address)).unwrap();
        let window = include_str!("../src/cluster/window.lua");
        assert!(window.contains(REAL));
        let window = window.replace(REAL, "return tonumber(ARGV[#ARGV])");
        let this = Self {
            admit: window.clone() + include_str!("../src/cluster/admit.lua"),
            settle: window + include_str!("../src/cluster/settle.lua"),
            runtime,
            _redis: redis,
            connection,
        };
        this.ask(&["FLUSHALL"]);
        this
    }

    fn ask(&self, words: &[&str]) -> Value {
        let command = Command::of(words);
        let asked = self.connection.ask(&command, PATIENCE);
        self.runtime.block_on(asked).unwrap()
    }

    fn clear(&self) {
        self.ask(&["FLUSHALL"]);
        self.ask(&["HSET", "process", "epoch", "1"]);
    }

    fn eval(&self, script: &str, keys: &[&str], arguments: &[String], now: u64) -> Vec<Value> {
        let (count, now) = ((keys.len() + 2).to_string(), (START + now).to_string());
        let mut words = vec!["EVAL", script, &count, "process", "held"];
        words.extend(keys);
        words.extend(arguments.iter().map(String::as_str));
        words.push(&now);
        let value = self.ask(&words);
        value.list().to_vec()
    }

    /// Asks for an amount of a window. Returns whether it was admitted, and the five numbers.
    fn admit(&self, length: u64, amount: u64, limit: u64, now: u64) -> (bool, Vec<i64>) {
        let arguments = ["1", "w", &length.to_string(), &amount.to_string(), &limit.to_string()].map(str::to_owned);
        let answer = self.eval(&self.admit, &["window"], &arguments, now);
        let numbers: Vec<i64> = answer.iter().map(Value::number).collect();
        (numbers[0] == 1, numbers[2..].to_vec())
    }
}

#[test]
fn windows_are_those_of_a_single_node() {
    let counters = Counters::new();
    let steps = prop::collection::vec((0_u64..3000, 1_u64..40, any::<bool>()), 1..150);
    let length = prop_oneof![Just(MINUTE), Just(1440 * MINUTE), 300_u64..1000];
    let mut runner = TestRunner::new(ProptestConfig::with_cases(40));
    let law = |(limit, length, steps): (u64, u64, Vec<(u64, u64, bool)>)| {
        counters.clear();
        let (mut window, mut now, mut number) = (Window::new(length), 0, 0);
        for (pause, amount, is_too_much) in steps {
            now += pause * length.div_ceil(MINUTE);
            let fits = window.fits(amount, limit, START + now);
            let (is_admitted, told) = counters.admit(length, amount, limit, now);
            prop_assert_eq!(is_admitted, fits.is_ok());
            match fits {
                Ok(()) => {
                    let mark = window.add(amount, START + now);
                    if is_too_much {
                        window.give_back(amount / 2, mark);
                        number += 1;
                        let words = ["1".to_owned(), number.to_string(), "b".to_owned()];
                        let numbers =
                            [told[3], told[4], i64::try_from(amount / 2).unwrap(), 0].map(|it| it.to_string());
                        let arguments = [&words[..], &numbers].concat();
                        // What is heard twice changes nothing.
                        for _ in 0..2 {
                            counters.eval(&counters.settle, &["window"], &arguments, now);
                        }
                    }
                }
                Err(full) => {
                    let wait = full
                        .until
                        .map_or(-1, |until| i64::try_from(until - START - now).unwrap());
                    prop_assert_eq!((told[0], told[1]), (i64::try_from(full.used).unwrap(), wait));
                }
            }
        }
        let pieces = counters.ask(&["HLEN", "window"]).count();
        prop_assert!(pieces <= 256 + 2 + 3, "{} pieces", pieces);
        prop_assert!(counters.ask(&["PTTL", "window"]).number() != -1, "it is kept for good");
        Ok(())
    };
    runner.run(&(1_u64..500, length, steps), law).unwrap();
}

#[test]
fn steady_load_gets_its_limit_to_the_hundredth_in_every_minute() {
    let counters = Counters::new();
    counters.clear();
    let (limit, mut admitted) = (600, Vec::new());
    // Three nodes ask for twice as much as there may be, each at its own pace.
    for now in (0..5 * MINUTE).step_by(50) {
        if counters.admit(MINUTE, 1, limit, now).0 {
            admitted.push(now);
        }
    }
    for start in (0..4 * MINUTE).step_by(250) {
        let count = admitted
            .iter()
            .filter(|time| (start..start + MINUTE).contains(*time))
            .count() as u64;
        assert!(count <= limit && count >= limit - limit / 100, "{count} from {start}");
    }
}

#[test]
fn what_is_spent_is_added_once_and_what_is_held_is_never_released_twice() {
    let counters = Counters::new();
    counters.clear();
    let arguments = ["1", "t", "60000", "700", "1000"].map(str::to_owned);
    let admitted = |now| counters.eval(&counters.admit, &["tab"], &arguments, now)[0].number();
    assert_eq!((admitted(0), admitted(1)), (1, 0));
    let note = |number: &str, words: [&str; 5]| {
        let arguments = [&["1", number][..], &words].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        counters.eval(&counters.settle, &["tab"], &arguments, 2);
        ["s", "r", "s:me"].map(|field| counters.ask(&["HGET", "tab", field]).count())
    };
    let settle = ["t", "60000", "700", "9007199254740993", "me"];
    let large = 9_007_199_254_740_993;
    assert_eq!(note("1", settle), [large, 0, large]);
    assert_eq!(note("1", settle), [large, 0, large]);
    assert_eq!(note("2", ["t", "60000", "700", "7", "me"]), [large + 7, 0, large + 7]);
    assert_eq!(note("3", ["h", "60000", "5", "0", "0"]), [large + 7, 5, large + 7]);
    assert_eq!(note("4", ["d", "60000", "12", "0", "me"]), [large + 7, 5, large + 7]);
    // An epoch that is over is not listened to.
    counters.ask(&["HSET", "process", "epoch", "2"]);
    let command = Command::of(&[
        "EVAL",
        &counters.admit,
        "3",
        "process",
        "held",
        "tab",
        "1",
        "t",
        "1",
        "1",
        "1",
        "0",
    ]);
    let refused = counters.connection.ask(&command, PATIENCE);
    let refused = counters.runtime.block_on(refused).unwrap_err();
    assert!(refused.to_string().contains("STALE"), "{refused}");
}
