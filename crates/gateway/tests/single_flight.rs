//! Equal requests whose answers do not depend on chance share one call while it is under way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, read_head};
use tokio::io::AsyncWriteExt as _;

const COLD: &str = r#"{"model":"m","temperature":0,"stream":true,"messages":[]}"#;

fn event(word: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word}\"}}}}]}}\n\n")
}

async fn up(reply: Reply) -> (Understudy, Gateway) {
    let understudy = Understudy::start(reply).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
         [models.m]\ntargets = ['up/a']\nsingle_flight = true\n",
        understudy.url()
    ));
    (understudy, gateway)
}

fn words() -> Vec<String> {
    let mut words: Vec<String> = (0..10).map(|number| event(&format!("word {number} "))).collect();
    words.push("data: [DONE]\n\n".to_owned());
    words
}

#[tokio::test]
async fn equal_requests_get_the_same_answer_from_one_call() {
    let events = words();
    let whole = events.concat();
    let (understudy, gateway) = up(Reply::stream(events).pace(Duration::from_millis(30))).await;
    let first = gateway.chat(COLD);
    let others = async {
        understudy.wait_received(1).await;
        let all = (0..20).map(|number| {
            let id = format!("id-{number}");
            let request = Request::chat(COLD)
                .header("x-request-id", &id)
                .header("x-stainless-retry-count", &id);
            let gateway = &gateway;
            async move { gateway.send(&request).await }
        });
        join_all(all).await
    };
    let (first, others) = tokio::join!(first, others);
    assert_eq!((first.text(), first.header("x-mynah-shared")), (whole.as_str(), None));
    for other in &others {
        assert_eq!((other.status, other.text()), (200, whole.as_str()));
        assert_eq!(other.header("x-mynah-shared"), Some("true"));
        assert_eq!(other.header("x-mynah-model"), Some("up/a"));
    }
    assert_eq!(understudy.received().len(), 1);
    // It is no cache.
    assert_eq!(gateway.chat(COLD).await.header("x-mynah-shared"), None);
    assert_eq!(understudy.received().len(), 2);
}

async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    let mut running: Vec<_> = all.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        running.retain_mut(|one| match one.as_mut().poll(cx) {
            std::task::Poll::Ready(result) => {
                done.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done
}

#[tokio::test]
async fn what_depends_on_chance_or_differs_is_asked_for_itself() {
    let (understudy, gateway) = up(Reply::stream(words()).pace(Duration::from_millis(20))).await;
    let warm = COLD.replace(",\"temperature\":0", "");
    let other = COLD.replace("[]", "[ ]");
    let tagged = Request::chat(COLD).header("openai-beta", "x");
    let asked = [
        Request::chat(&warm),
        Request::chat(&warm),
        Request::chat(COLD),
        Request::chat(&other),
        tagged,
    ];
    let replies = join_all(asked.iter().map(|request| gateway.send(request))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(understudy.received().len(), 5);
}

#[tokio::test]
async fn who_asked_may_leave_and_the_others_still_get_all() {
    let events = words();
    let whole = events.concat();
    let (understudy, gateway) = up(Reply::stream(events).pace(Duration::from_millis(50))).await;
    let mut first = gateway.connect().await;
    first.write_all(&Request::chat(COLD).bytes()).await.unwrap();
    read_head(&mut first).await.unwrap();
    let second = gateway.chat(COLD);
    let leave = async { drop(first) };
    let (second, ()) = tokio::join!(second, leave);
    // Whether the second one came in time or not, it has the whole answer.
    assert_eq!(second.text(), whole);
    assert!(understudy.received().len() <= 2);
}

#[tokio::test]
async fn when_all_have_left_the_call_is_cancelled() {
    let (understudy, gateway) = up(Reply::stream([event("a"), event("b")]).hang_after(event("a").len())).await;
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut caller = gateway.connect().await;
        caller.write_all(&Request::chat(COLD).bytes()).await.unwrap();
        read_head(&mut caller).await.unwrap();
        callers.push(caller);
    }
    assert_eq!(understudy.received().len(), 1);
    callers.truncate(1);
    drop(callers);
    understudy.wait_aborted(1).await;
}

#[tokio::test]
async fn when_the_one_who_asks_leaves_before_the_answer_another_one_asks() {
    let (understudy, gateway) = up(Reply::hang()).await;
    let mut first = gateway.connect().await;
    first.write_all(&Request::chat(COLD).bytes()).await.unwrap();
    understudy.wait_received(1).await;
    let second = gateway.chat(COLD);
    let then = async {
        understudy.set_script(Reply::stream(words()));
        drop(first);
    };
    let (second, ()) = tokio::join!(second, then);
    assert_eq!((second.status, second.header("x-mynah-shared")), (200, None));
}

#[tokio::test]
async fn an_error_is_shared_too() {
    let (understudy, gateway) = up(Reply::status(500).first_after(Duration::from_millis(300))).await;
    let replies = join_all((0..5).map(|_| gateway.chat(COLD))).await;
    assert!(replies.iter().all(|reply| reply.status == 500));
    assert_eq!(understudy.received().len(), 1);
}
