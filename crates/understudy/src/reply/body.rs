//! The body of a reply as a sequence of steps, before any framing: the same for HTTP/1 and HTTP/2.

use std::time::Duration;

use bytes::Bytes;

use super::{Reply, Stop, StopManner, StopPlace};

/// One step on the way through the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BodyStep {
    Wait(Duration),
    Data(Bytes),
}

/// How the body ends after its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Complete,
    Stopped(StopManner),
}

impl Reply {
    /// How long the body is, cuts aside.
    pub(crate) fn body_length(&self) -> usize {
        self.body.iter().flatten().map(Bytes::len).sum()
    }

    /// The steps of the body, up to the cut if there is one.
    pub(crate) fn body_steps(&self) -> (Vec<BodyStep>, BodyEnd) {
        let mut room = match self.stop {
            Some(Stop {
                place: StopPlace::Body(bytes),
                ..
            }) => bytes,
            _ => usize::MAX,
        };
        let mut steps = Vec::new();
        steps.extend(self.after_head.map(BodyStep::Wait));
        for mut piece in self.pieces() {
            if room == 0 {
                break;
            }
            piece.truncate(room);
            room = room.saturating_sub(piece.len());
            steps.extend(self.pace.map(BodyStep::Wait));
            steps.push(BodyStep::Data(piece));
        }
        let end = match self.stop {
            Some(Stop {
                place: StopPlace::Body(_),
                manner,
            }) => BodyEnd::Stopped(manner),
            _ => BodyEnd::Complete,
        };
        (steps, end)
    }

    fn pieces(&self) -> Vec<Bytes> {
        let pieces = self.body.iter().flatten().filter(|piece| !piece.is_empty());
        let Some(sizes) = self.split.as_deref().filter(|sizes| sizes.iter().any(|size| *size > 0)) else {
            return pieces.cloned().collect();
        };
        let mut rest: Bytes = pieces.flatten().copied().collect::<Vec<u8>>().into();
        let mut cut = Vec::new();
        for size in sizes.iter().filter(|size| **size > 0).cycle() {
            if rest.is_empty() {
                break;
            }
            cut.push(rest.split_to((*size).min(rest.len())));
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(reply: &Reply) -> Vec<String> {
        let (steps, _) = reply.body_steps();
        steps
            .iter()
            .filter_map(|step| match step {
                BodyStep::Data(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                BodyStep::Wait(_) => None,
            })
            .collect()
    }

    #[test]
    fn sizes_are_used_in_turn() {
        assert_eq!(
            data(&Reply::bytes("abcdefgh").split([1, 2])),
            ["a", "bc", "d", "ef", "g", "h"]
        );
    }

    #[test]
    fn a_cut_falls_inside_a_piece() {
        let reply = Reply::stream(["abc", "def"]).cut_at(4);
        assert_eq!(data(&reply), ["abc", "d"]);
        assert_eq!(reply.body_steps().1, BodyEnd::Stopped(StopManner::Close));
    }

    #[test]
    fn each_event_waits_for_its_turn() {
        let pace = Duration::from_millis(5);
        let (steps, _) = Reply::stream(["a", "b"]).pace(pace).body_steps();
        let wait = BodyStep::Wait(pace);
        assert_eq!(
            steps,
            [
                wait.clone(),
                BodyStep::Data("a".into()),
                wait,
                BodyStep::Data("b".into())
            ]
        );
    }
}
