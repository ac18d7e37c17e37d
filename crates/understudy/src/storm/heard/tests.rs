use super::*;
use crate::storm::protocol::Protocol;
use crate::storm::speech::Speech;

const CALLERS: [(Caller, Protocol); 4] = [
    (Caller::Chat, Protocol::Chat),
    (Caller::Responses, Protocol::Responses),
    (Caller::Anthropic, Protocol::Anthropic),
    (Caller::Gemini, Protocol::Gemini),
];

fn speech() -> Speech {
    Speech {
        target: "alpha".to_owned(),
        nonce: 1,
        call: 2,
        words: 3,
    }
}

#[test]
fn what_is_said_is_heard() {
    let speech = speech();
    for (caller, protocol) in CALLERS {
        let stream = speech.told(protocol).events().concat();
        let heard = Heard::read(caller, true, stream.as_bytes()).unwrap();
        assert_eq!(heard.text, speech.text(), "{caller:?}");
        assert!(matches!(heard.ending, Ending::Finished(_)), "{caller:?}");
        let whole = speech.whole(protocol).to_string();
        assert_eq!(
            Heard::read(caller, false, whole.as_bytes()).unwrap(),
            heard,
            "{caller:?}"
        );
    }
}

#[test]
fn what_stops_short_is_no_end() {
    for (caller, protocol) in CALLERS {
        let told = speech().told(protocol);
        let stream = told.events().concat();
        for place in 0..told.before_ending() {
            let read = Heard::read(caller, true, &stream.as_bytes()[..place]);
            let is_finished = |heard: Heard| matches!(heard.ending, Ending::Finished(_));
            assert!(!read.is_ok_and(is_finished), "{caller:?} cut at {place}");
        }
    }
}

#[test]
fn what_goes_on_after_its_end_is_malformed() {
    for (caller, protocol) in CALLERS {
        let told = speech().told(protocol);
        let stream = told.events().concat() + &told.content[0];
        assert!(Heard::read(caller, true, stream.as_bytes()).is_err(), "{caller:?}");
    }
}

#[test]
fn a_beginning_is_recognised() {
    let heard = |text: &str| Heard {
        text: text.to_owned(),
        ..Heard::default()
    };
    assert!(heard("one").begins(&heard("one two")));
    assert!(!heard("two").begins(&heard("one two")));
}
