//! Recorded answers, cut at every byte, for callers of every dialect, while a second target is healthy.

mod recording;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use self::recording::{Cut, Manner, Recording};
use super::client::{Answer, Client};
use super::gateway::{Configuration, Gateway};
use super::heard::{Ending, Heard};
use super::protocol::{Caller, Protocol};
use super::question::{Question, nonce_in};
use super::report::{Report, grouped};
use super::speech::Speech;
use crate::received::Received;
use crate::reply::Reply;
use crate::script::Rule;
use crate::understudy::Understudy;

/// So many are asked for at the same time.
const CLIENTS: usize = 32;

/// So many breaches of a recording are shown.
const SHOWN: usize = 2;

/// What to cut.
#[derive(Clone, Debug)]
pub struct Cuts {
    /// The gateway's binary.
    pub binary: PathBuf,
    /// The level of its log, which goes to standard error.
    pub log: String,
    /// The folder with the recorded streams.
    pub recordings: PathBuf,
    /// Cut at each so many bytes.
    pub every: usize,
}

/// What became of the cuts of a recording.
#[derive(Clone, Debug, Default)]
struct Count {
    cuts: u64,
    /// The second target answered, and all of it came.
    second: u64,
    /// All of the first one's answer came: what was cut off says nothing.
    whole: u64,
    /// The answer ends in an error of the caller's protocol.
    error: u64,
    breaches: u64,
    shown: Vec<String>,
}

/// What became of a cut.
enum Fate {
    Second,
    Whole,
    Error,
    Breach(String),
}

/// What the clients share.
struct Work {
    gateway: SocketAddr,
    recordings: Arc<[Recording]>,
    /// What each caller hears of each recording that is not cut.
    whole: Vec<Vec<Heard>>,
    cuts: Vec<Cut>,
    next: AtomicUsize,
    counts: Vec<Mutex<Count>>,
}

/// Cuts the recordings, and reports.
pub async fn cuts(cuts: &Cuts) -> io::Result<Report> {
    let recordings: Arc<[Recording]> = recording::all(&cuts.recordings)?.into();
    let played = Arc::clone(&recordings);
    let first = Rule::any().answer_with(move |received| recording::play(received, &played));
    let first = Understudy::builder().script(first).without_record().start().await?;
    let second = Understudy::builder()
        .script(Rule::any().answer_with(answer_instead))
        .without_record()
        .start()
        .await?;
    let configuration = configuration([first.address(), second.address()]);
    let gateway = Gateway::start(&cuts.binary, configuration.text(), &cuts.log)?;
    let mut whole = Vec::new();
    for recording in 0..recordings.len() {
        whole.push(hear_whole(gateway.address, recording, &recordings).await?);
    }
    let work = Arc::new(Work {
        gateway: gateway.address,
        whole,
        cuts: plan(&recordings, cuts.every.max(1)),
        next: AtomicUsize::new(0),
        counts: recordings.iter().map(|_| Mutex::default()).collect(),
        recordings,
    });
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(Arc::clone(&work).client());
    }
    clients.join_all().await;
    Ok(report(&work))
}

/// Both targets in each protocol. The first is asked however often it has failed.
fn configuration(addresses: [SocketAddr; 2]) -> Configuration {
    let never = u32::MAX;
    let more = format!("breaker = {{ failures = {never}, volume = {never} }}");
    let mut configuration = Configuration::with_providers(&addresses, &more);
    for protocol in Protocol::ALL.map(Protocol::name) {
        let targets = ["alpha", "beta"].map(|name| format!("{name}-{protocol}"));
        configuration.model(protocol, &targets, "");
    }
    configuration
}

fn plan(recordings: &[Recording], every: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (recording, played) in recordings.iter().enumerate() {
        for caller in Caller::ALL {
            for manner in [Manner::Close, Manner::Reset, Manner::End] {
                // Where not every byte has its turn, others have it each time.
                let begin = cuts.len() % every;
                cuts.extend((begin..played.body.len()).step_by(every).map(|place| Cut {
                    recording,
                    caller,
                    manner,
                    place,
                }));
            }
        }
    }
    cuts
}

/// What the second target says.
fn answer_instead(received: &Received) -> Reply {
    let (Some(nonce), Some(protocol)) = (nonce_in(&received.body), Protocol::of_path(received.path())) else {
        return Reply::status(404);
    };
    let speech = instead(nonce);
    if super::target::is_stream(received) {
        Reply::stream(speech.told(protocol).events())
    } else {
        Reply::json(&speech.whole(protocol))
    }
}

fn instead(nonce: u64) -> Speech {
    Speech {
        target: "beta".to_owned(),
        nonce,
        call: 0,
        words: 3,
    }
}

/// What each caller hears of a recording that is not cut.
async fn hear_whole(gateway: SocketAddr, recording: usize, recordings: &[Recording]) -> io::Result<Vec<Heard>> {
    let mut client = Client::new(gateway);
    let mut all = Vec::new();
    for caller in Caller::ALL {
        let cut = Cut {
            recording,
            caller,
            manner: Manner::Whole,
            place: 0,
        };
        let question = cut.question(recordings);
        let answer = client.ask(&question.bytes()).await?;
        let heard = Heard::read(caller, question.streams, &answer.body);
        let wrong = |reason: &str| {
            let body = String::from_utf8_lossy(&answer.body);
            io::Error::other(format!("{cut:?} is not answered well: {reason}\n{body}"))
        };
        let heard = heard.map_err(|reason| wrong(&reason))?;
        if answer.attempts() != 1 || !matches!(heard.ending, Ending::Finished(_)) {
            return Err(wrong("it is not whole"));
        }
        all.push(heard);
    }
    Ok(all)
}

impl Work {
    async fn client(self: Arc<Self>) {
        let mut client = Client::new(self.gateway);
        while let Some(cut) = self.cuts.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let question = cut.question(&self.recordings);
            let fate = match client.ask(&question.bytes()).await {
                Ok(answer) => self.fate(*cut, &question, &answer),
                Err(error) => Fate::Breach(format!("no answer: {error}")),
            };
            let Some(count) = self.counts.get(cut.recording) else {
                continue;
            };
            count.lock().unwrap_or_else(PoisonError::into_inner).add(*cut, fate);
        }
    }

    fn fate(&self, cut: Cut, question: &Question, answer: &Answer) -> Fate {
        let breach = |reason: &str| {
            let body = String::from_utf8_lossy(&answer.body);
            Fate::Breach(format!("{reason}: status {}\n{body}", answer.status))
        };
        let heard = Heard::read(cut.caller, question.streams, &answer.body);
        let heard = match heard {
            Ok(heard) if answer.status == 200 && answer.is_whole => heard,
            Ok(_) => return breach("no answer, or HTTP breaks off"),
            Err(reason) => return breach(&reason),
        };
        let place = Caller::ALL.iter().position(|caller| *caller == cut.caller);
        let whole = self.whole.get(cut.recording).zip(place);
        let Some(whole) = whole.and_then(|(whole, place)| whole.get(place)) else {
            return breach("nothing to compare with");
        };
        let others = Heard {
            text: instead(question.nonce).text(),
            ending: heard.ending.clone(),
            ..Heard::default()
        };
        match &heard.ending {
            Ending::Finished(_) if heard == *whole => Fate::Whole,
            Ending::Finished(_) if heard == others => Fate::Second,
            Ending::Error(_) if heard.said() == 0 => breach("an error before anything was said"),
            Ending::Error(_) if heard.begins(whole) && question.streams => Fate::Error,
            Ending::Error(_) => breach("an error after another answer"),
            Ending::Finished(_) => breach("a clean end of another answer"),
            Ending::Open => breach("no end"),
        }
    }
}

impl Count {
    fn add(&mut self, cut: Cut, fate: Fate) {
        self.cuts += 1;
        match fate {
            Fate::Second => self.second += 1,
            Fate::Whole => self.whole += 1,
            Fate::Error => self.error += 1,
            Fate::Breach(reason) => {
                self.breaches += 1;
                if self.shown.len() < SHOWN {
                    self.shown.push(format!("{cut:?}: {reason}"));
                }
            }
        }
    }
}

fn report(work: &Work) -> Report {
    let mut report = Report::default();
    let mut rows = Vec::new();
    for (recording, count) in work.recordings.iter().zip(&work.counts) {
        let count = count.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = &recording.name;
        let numbers = [count.cuts, count.second, count.error, count.whole, count.breaches].map(grouped);
        let [cuts, second, error, whole, breaches] = numbers;
        rows.push([
            name.clone(),
            grouped(recording.body.len() as u64),
            cuts,
            second,
            error,
            whole,
            breaches,
        ]);
        report.check(
            format!(
                "{name}: {} of {} cuts are not as they should be",
                count.breaches, count.cuts
            ),
            count.breaches == 0 && count.cuts > 0,
        );
        for shown in count.shown {
            report.breach(format!("{name}: {shown}"));
        }
    }
    let head = [
        "recording",
        "bytes",
        "cuts",
        "the second target's answer",
        "typed error after content",
        "nothing was missing",
        "**anything else**",
    ];
    report.table(head, &rows);
    report
}
