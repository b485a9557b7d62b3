//! Reads to its end what was refused.
//!
//! A connection that is closed while a browser still sends its body is reset, and the browser shows that
//! instead of the answer. So the rest of a body that nobody reads is read and thrown away, up to a limit.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes},
    extract::Request,
    http::header,
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt as _};
use tokio::time::timeout;

/// Most bytes that are read for nothing.
const MOST: usize = 64 << 20;
/// Longest time that this takes.
const LONGEST: Duration = Duration::from_secs(20);
/// Bodies that a connection's own buffers hold need no help.
const SMALL: usize = 64 << 10;

/// Sees to it that a body is read to its end, whatever becomes of the request.
pub(super) async fn rest(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_small = length.is_some_and(|length| length <= SMALL)
        || (length.is_none() && !request.headers().contains_key(header::TRANSFER_ENCODING));
    if is_small {
        return next.run(request).await;
    }
    let request = request.map(|body| Body::from_stream(Whole(Some(body.into_data_stream()))));
    next.run(request).await
}

/// A body whose rest is read when it is dropped.
struct Whole(Option<BodyDataStream>);

impl Stream for Whole {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(mut body) = self.0.take() {
            tokio::spawn(timeout(LONGEST, async move {
                let mut read = 0;
                while let Some(Ok(bytes)) = body.next().await {
                    read += bytes.len();
                    if read > MOST {
                        break;
                    }
                }
            }));
        }
    }
}
