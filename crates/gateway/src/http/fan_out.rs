//! One body, read by many.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;

/// How much of a body is kept for readers that come later or are slow, in bytes.
const MAX_KEPT: usize = 8 * 1024 * 1024;

/// A body that is read once and passed on to all its readers. When the last of them is gone, so is the body.
#[derive(Debug)]
pub struct FanOut {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is kept, and the number of the first piece of it.
    pieces: VecDeque<Bytes>,
    first: usize,
    kept: usize,
    end: Option<End>,
    /// Nobody may join any more: what all readers have had is forgotten.
    closed: bool,
    readers: Vec<Option<Place>>,
    source: Option<Waker>,
}

/// How the body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// Where a reader is.
#[derive(Debug)]
struct Place {
    next: usize,
    waker: Option<Waker>,
}

/// The body broke off before its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

/// One reader of a body, from its beginning.
#[derive(Debug)]
pub struct Reader {
    fan_out: Arc<FanOut>,
    index: usize,
}

impl FanOut {
    /// Begins to read a body, with one reader. `over` is called once, when it was read to its end or nobody may join any
    /// more.
    pub fn of(body: Body, over: impl FnOnce() + Send + 'static) -> Reader {
        let first = Place { next: 0, waker: None };
        let state = State {
            readers: vec![Some(first)],
            ..State::default()
        };
        let fan_out = Arc::new(Self {
            state: Mutex::new(state),
        });
        tokio::spawn(fan_out.clone().read(body, over));
        Reader { fan_out, index: 0 }
    }

    /// Another reader, unless it is too late.
    pub fn join(self: Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        let place = Some(Place { next: 0, waker: None });
        let index = state
            .readers
            .iter()
            .position(Option::is_none)
            .unwrap_or(state.readers.len());
        if index == state.readers.len() {
            state.readers.push(place);
        } else {
            state.readers[index] = place;
        }
        drop(state);
        Some(Reader { fan_out: self, index })
    }

    async fn read(self: Arc<Self>, mut body: Body, over: impl FnOnce()) {
        let mut over = Some(over);
        let mut end = None;
        while end.is_none() && self.room().await {
            // Dropping the body with the last reader cancels the call.
            let next = tokio::select! {
                next = body.frame() => next,
                () = self.left_alone() => break,
            };
            end = match next {
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        self.push(piece);
                    }
                    None
                }
                Some(Err(_)) => Some(End::Broken),
                None => Some(End::Whole),
            };
            if self.lock().closed
                && let Some(over) = over.take()
            {
                over();
            }
        }
        self.finish(end.unwrap_or(End::Broken));
        if let Some(over) = over {
            over();
        }
    }

    /// Waits until there is room for more. Returns whether anybody is there to read it.
    async fn room(&self) -> bool {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.readers.iter().all(Option::is_none) {
                return Poll::Ready(false);
            }
            if state.kept < MAX_KEPT {
                return Poll::Ready(true);
            }
            state.source = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until no reader is left.
    async fn left_alone(&self) {
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.readers.iter().all(Option::is_none) {
                state.closed = true;
                return Poll::Ready(());
            }
            state.source = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn push(&self, piece: Bytes) {
        let mut state = self.lock();
        state.kept += piece.len();
        state.pieces.push_back(piece);
        if state.kept >= MAX_KEPT {
            state.closed = true;
        }
        state.forget();
        state.wake();
    }

    fn finish(&self, end: End) {
        let mut state = self.lock();
        state.end = Some(end);
        state.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what all readers have had, if no other can come.
    fn forget(&mut self) {
        if !self.closed {
            return;
        }
        let slowest = self.readers.iter().flatten().map(|place| place.next).min();
        while self.first < slowest.unwrap_or(usize::MAX)
            && let Some(piece) = self.pieces.pop_front()
        {
            self.first += 1;
            self.kept -= piece.len();
        }
    }

    fn wake(&mut self) {
        for place in self.readers.iter_mut().flatten() {
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Reader {
    /// The body, for others to join.
    pub fn body(&self) -> Arc<FanOut> {
        self.fan_out.clone()
    }
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let mut state = self.fan_out.lock();
        let (first, end) = (state.first, state.end);
        let Some(Some(place)) = state.readers.get_mut(self.index) else {
            return Poll::Ready(None);
        };
        let at = place.next - first;
        place.next += 1;
        if let Some(piece) = state.pieces.get(at).cloned() {
            state.forget();
            if let Some(source) = state.source.take() {
                source.wake();
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(Some(place)) = state.readers.get_mut(self.index) {
            place.next -= 1;
            place.waker = Some(cx.waker().clone());
        }
        match end {
            None => Poll::Pending,
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Broken) => Poll::Ready(Some(Err(BrokenOff))),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.fan_out.lock();
        if let Some(place) = state.readers.get_mut(self.index) {
            *place = None;
        }
        state.forget();
        if let Some(source) = state.source.take() {
            source.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(count: usize, size: usize) -> (tokio::sync::mpsc::Sender<Bytes>, Body, Vec<Bytes>) {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let pieces = (0..count).map(|number| Bytes::from(vec![u8::try_from(number % 251).unwrap(); size]));
        (sender, Body::new(Channel(receiver)), pieces.collect())
    }

    struct Channel(tokio::sync::mpsc::Receiver<Bytes>);

    impl HttpBody for Channel {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
            self.0
                .poll_recv(cx)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn every_reader_gets_all_of_it_also_one_that_comes_late() {
        let (sender, body, pieces) = pieces(100, 1000);
        let early = FanOut::of(body, || {});
        let fan_out = early.fan_out.clone();
        for piece in &pieces[..50] {
            sender.send(piece.clone()).await.unwrap();
        }
        let late = fan_out.clone().join().unwrap();
        let rest = pieces[50..].to_vec();
        tokio::spawn(async move {
            for piece in rest {
                sender.send(piece).await.unwrap();
            }
        });
        let (early, late) = tokio::join!(early.collect(), late.collect());
        let whole = pieces.concat();
        assert!(early.unwrap().to_bytes() == whole && late.unwrap().to_bytes() == whole);
        let after = fan_out.join().unwrap().collect().await;
        assert!(
            after.unwrap().to_bytes() == whole,
            "who was told of it in time may read it afterwards"
        );
    }

    #[tokio::test]
    async fn when_the_last_reader_is_gone_so_is_the_body() {
        let (sender, body, pieces) = pieces(1, 10);
        let first = FanOut::of(body, || {});
        let second = first.fan_out.clone().join().unwrap();
        drop(first);
        sender.send(pieces[0].clone()).await.unwrap();
        drop(second);
        sender.closed().await;
    }

    #[tokio::test]
    async fn a_slow_reader_holds_the_source_back() {
        let (sender, body, pieces) = pieces(1, MAX_KEPT / 4);
        let mut reader = FanOut::of(body, || {});
        for _ in 0..4 {
            sender.send(pieces[0].clone()).await.unwrap();
        }
        // One more waits in the channel, and then there is no room.
        sender.send(pieces[0].clone()).await.unwrap();
        assert!(sender.try_send(pieces[0].clone()).is_err());
        assert!(
            reader.fan_out.clone().join().is_none(),
            "what is forgotten cannot be read from the beginning"
        );
        for _ in 0..4 {
            assert_eq!(
                reader.frame().await.unwrap().unwrap().into_data().unwrap().len(),
                MAX_KEPT / 4
            );
        }
        sender.send(pieces[0].clone()).await.unwrap();
        assert!(reader.fan_out.lock().kept <= MAX_KEPT);
    }
}
