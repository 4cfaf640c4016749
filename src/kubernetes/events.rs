//! Events: one per transition, and none of them may fail a reconcile.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use super::ApiError;

/// Longest note that the API server takes: 1 kB (events.k8s.io/v1).
const LONGEST_NOTE: usize = 1024;

/// Something that a person should be told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// `reason` of the event: a stable word in `UpperCamelCase`.
    pub reason: &'static str,
    /// `action` of the event: what the operator was doing.
    pub action: &'static str,
    /// One sentence; never a secret value.
    pub note: String,
}

impl Notice {
    /// An event of type Normal.
    pub fn normal(reason: &'static str, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: false, reason, action, note: note.into() }
    }

    /// An event of type Warning.
    pub fn warning(reason: &'static str, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: true, reason, action, note: note.into() }
    }
}

/// Publishes events about the resources of one controller.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Events reported by `controller`, from the Pod named in `HOSTNAME`.
    #[must_use]
    pub fn new(client: Client, controller: &str, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Logs `notices` and publishes them about `regarding`. A failure is logged and forgotten.
    pub async fn publish(&self, regarding: &ObjectReference, notices: Vec<Notice>) {
        for notice in notices {
            tracing::info!(event = notice.reason, "{}", notice.note);
            let event = Event {
                type_: if notice.warning { EventType::Warning } else { EventType::Normal },
                reason: notice.reason.to_owned(),
                note: Some(truncated(notice.note, LONGEST_NOTE)),
                action: notice.action.to_owned(),
                secondary: None,
            };
            if let Err(error) = self.recorder.publish(&event, regarding).await {
                tracing::warn!(
                    error = %ApiError::from(error),
                    reason = notice.reason,
                    object = regarding.name,
                    namespace = regarding.namespace,
                    "Could not publish an event"
                );
            }
        }
    }
}

/// `text` cut to at most `bytes` bytes at a character boundary.
#[must_use]
pub fn truncated(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let ellipsis = '…';
        let mut end = bytes - ellipsis.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push(ellipsis);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn truncation_keeps_the_limit_and_the_start(text in ".{0,60}", bytes in 3..80_usize) {
            let cut = truncated(text.clone(), bytes);
            prop_assert!(cut.len() <= bytes);
            prop_assert!(cut == text || text.starts_with(cut.trim_end_matches('…')));
        }
    }
}
