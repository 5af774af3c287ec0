//! The events of a watch.

use std::pin::Pin;
use std::time::Duration;

use anyhow::anyhow;
use futures::io::{AsyncBufRead, AsyncBufReadExt as _, Lines};
use futures::stream::StreamExt as _;
use kube::core::WatchEvent;
use tokio::time::timeout;

use super::stop::Stop;
use crate::item::Item;

/// The events of a watch, one a line.
pub struct Response(Lines<Pin<Box<dyn AsyncBufRead + Send>>>);

/// What a watch has to say.
#[expect(clippy::large_enum_variant, reason = "one at a time, and none is kept")]
pub enum Next {
    Event(WatchEvent<Item>),
    Silence,
    End,
}

impl Response {
    pub fn new(body: impl AsyncBufRead + Send + 'static) -> Self {
        let body: Pin<Box<dyn AsyncBufRead + Send>> = Box::pin(body);
        Self(body.lines())
    }

    /// The next event of a watch.
    pub async fn next(&mut self, wait: Duration) -> Result<Next, Stop> {
        let line = match timeout(wait, self.0.next()).await {
            Err(_) => return Ok(Next::Silence),
            // An interruption does not need a new list.
            Ok(None | Some(Err(_))) => return Ok(Next::End),
            Ok(Some(Ok(line))) => line,
        };
        match serde_json::from_str(&line) {
            Ok(event) => Ok(Next::Event(event)),
            // The last line of an interrupted watch.
            Err(error) if error.is_eof() => Ok(Next::End),
            Err(error) => Err(anyhow!(error).context("an event cannot be read").into()),
        }
    }
}
