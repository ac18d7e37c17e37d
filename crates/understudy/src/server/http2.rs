//! HTTP/2, by way of hyper.

mod reply_body;
mod written;

use std::io::Cursor;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::AsyncReadExt;

use self::reply_body::{Guard, ReplyBody, StreamReset};
use self::written::{Counted, Written};
use super::transport::Transport;
use crate::received::{Outcome, Received};
use crate::reply::{BodyEnd, Reply, Stop, StopManner, StopPlace};
use crate::script::Reading;
use crate::stage::Stage;

/// Serves a connection to its end; `prefix` was read from it already.
pub(super) async fn serve(
    transport: Transport,
    prefix: Bytes,
    number: u64,
    server_name: Option<String>,
    stage: Arc<Stage>,
) {
    let tls = transport.is_secure();
    let (reader, writer) = tokio::io::split(transport);
    let written = Arc::new(Written::default());
    let io = tokio::io::join(
        Cursor::new(prefix).chain(reader),
        Counted::new(writer, Arc::clone(&written)),
    );
    let service = service_fn(|request: http::Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let mut received = received(&parts);
        received.connection = number;
        received.tls = tls;
        received.server_name.clone_from(&server_name);
        answer(Arc::clone(&stage), received, body, Arc::clone(&written))
    });
    // How it ends is seen by each exchange.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .serve_connection(TokioIo::new(io), service)
        .await;
}

async fn answer(
    stage: Arc<Stage>,
    mut received: Received,
    body: Incoming,
    written: Arc<Written>,
) -> Result<Response<ReplyBody>, StreamReset> {
    stage.record.count(|counters| counters.heads += 1);
    let reading = stage.reading(&received);
    let mut guard = Guard::new(Arc::clone(&stage));
    let (bytes, body_complete) = read_body(body, reading).await;
    received.body = bytes;
    received.body_complete = body_complete;
    let is_control = stage.is_control(&received);
    if is_control {
        guard.finish(Outcome::Open);
    } else {
        stage.enter(&mut received);
        guard.number = received.number;
    }
    let answer = stage.answer(&received);
    respond(answer.reply(), guard, written).await
}

async fn respond(reply: &Reply, mut guard: Guard, written: Arc<Written>) -> Result<Response<ReplyBody>, StreamReset> {
    if let Some(delay) = reply.before_head {
        tokio::time::sleep(delay).await;
    }
    match reply.stop {
        Some(Stop {
            place: StopPlace::Whole(0),
            manner: StopManner::Hang,
        }) => std::future::pending().await,
        Some(Stop {
            place: StopPlace::Whole(_),
            ..
        }) => {
            guard.finish(Outcome::Completed);
            return Err(StreamReset);
        }
        _ if reply.raw.is_some() => {
            guard.finish(Outcome::Completed);
            return Err(StreamReset);
        }
        _ => {}
    }
    let (steps, end) = if reply.may_have_body() {
        reply.body_steps()
    } else {
        (Vec::new(), BodyEnd::Complete)
    };
    let mut response = Response::new(ReplyBody::new(steps, end, guard, written));
    *response.status_mut() = http::StatusCode::from_u16(reply.code()).unwrap_or_default();
    for (name, value) in &reply.headers {
        // Headers of the connection have no place in HTTP/2, and neither has what is no header at all.
        let pair = HeaderName::from_bytes(name)
            .ok()
            .zip(HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = pair.filter(|(name, _)| !is_of_connection(name)) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}

fn is_of_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "transfer-encoding" | "upgrade" | "proxy-connection"
    )
}

async fn read_body(mut body: Incoming, reading: Reading) -> (Bytes, bool) {
    let most = if let Reading::UpTo(bytes) = reading {
        bytes
    } else {
        usize::MAX
    };
    let mut bytes = BytesMut::new();
    while bytes.len() < most {
        if let Reading::Slowly { every, .. } = reading {
            tokio::time::sleep(every).await;
        }
        let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
        match next {
            None => return (bytes.freeze(), true),
            Some(Err(_)) => return (bytes.freeze(), false),
            Some(Ok(frame)) => bytes.extend(frame.into_data()),
        }
    }
    bytes.truncate(most);
    (bytes.freeze(), body.is_end_stream())
}

fn received(parts: &Parts) -> Received {
    let authority = parts
        .uri
        .authority()
        .map(|authority| (":authority".to_owned(), Bytes::from(authority.to_string())));
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes())));
    Received {
        number: 0,
        connection: 0,
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: "HTTP/2.0",
        tls: false,
        server_name: None,
        headers: authority.into_iter().chain(headers).collect(),
        body: Bytes::new(),
        body_complete: false,
        outcome: Outcome::Open,
    }
}
