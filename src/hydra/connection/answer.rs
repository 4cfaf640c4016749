//! What comes back: read within bounds, or why it could not be.

use std::error::Error;

use reqwest::{Response, StatusCode, header::HeaderMap};

use super::super::{error::HydraError, request::Operation};

const MIB: usize = 1024 * 1024;

/// A complete answer.
pub(in crate::hydra) struct Answer {
    pub(in crate::hydra) status: StatusCode,
    pub(in crate::hydra) headers: HeaderMap,
    pub(in crate::hydra) body: Vec<u8>,
}

impl Answer {
    /// The body of a success.
    pub(in crate::hydra) fn decode<T: serde::de::DeserializeOwned>(
        &self,
        operation: Operation,
    ) -> Result<T, HydraError> {
        // The words of the decoder could quote the body.
        serde_json::from_slice(&self.body).map_err(|_| HydraError::foreign(operation, self.status))
    }
}

/// Why there is no complete answer.
pub(super) enum Unread {
    /// It is larger than its bound.
    TooLarge,
    /// It did not arrive, by this cause.
    Failed(String),
}

impl From<reqwest::Error> for Unread {
    fn from(error: reqwest::Error) -> Self {
        Self::Failed(cause(&error))
    }
}

/// Reads an answer of at most `limit` MiB. A report of failure counts as complete when its body
/// does not end well: its status says enough.
pub(super) async fn read(mut response: Response, limit: usize) -> Result<Answer, Unread> {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let body = match read_body(response, limit).await {
        Err(unread) if status.is_success() => return Err(unread),
        body => body.unwrap_or_default(),
    };
    Ok(Answer { status, headers, body })
}

async fn read_body(mut response: Response, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit * MIB {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a request failed, without its address.
pub(super) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() && error.is_connect() {
        return "no connection within the time allowed".to_owned();
    }
    if error.is_timeout() {
        return "no complete answer within the time allowed".to_owned();
    }
    let mut root: &dyn Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    // Without a source the error's own text would name the address.
    let root = if error.source().is_some() { format!(": {root}") } else { String::new() };
    if error.is_connect() {
        format!("no connection{root}")
    } else if error.is_body() || error.is_decode() {
        format!("the answer broke off{root}")
    } else {
        format!("the request failed{root}")
    }
}
