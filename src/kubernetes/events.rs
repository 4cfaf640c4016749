//! Events: one per transition, and none of them may fail a reconcile.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::Instant};

use super::ApiError;

/// How often it is looked whether an event still has to wait.
const LOOK: Duration = Duration::from_millis(10);

/// Longest note that the API server takes: 1 kB (events.k8s.io/v1).
const LONGEST_NOTE: usize = 1024;

/// Events that may wait: the transitions of several thousand resources at once.
const LONGEST_QUEUE: usize = 8192;

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
    /// The part of the object that it is about, as a field path: those about different parts are
    /// different events, however much they have in common.
    pub part: Option<String>,
}

impl Notice {
    /// An event of type Normal.
    pub fn normal(reason: &'static str, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: false, reason, action, note: note.into(), part: None }
    }

    /// An event of type Warning.
    pub fn warning(reason: &'static str, action: &'static str, note: impl Into<String>) -> Self {
        Self { warning: true, reason, action, note: note.into(), part: None }
    }
}

impl Notice {
    /// The notice, about this part of the object.
    #[must_use]
    pub fn about(self, part: impl Into<String>) -> Self {
        Self { part: Some(part.into()), ..self }
    }
}

/// Takes events about the resources of one controller, which they name as their reporter. They are
/// published by the [`Publisher`] that belongs to it, so that nobody waits for it.
#[derive(Clone)]
pub struct Events {
    recorder: Arc<Recorder>,
    queue: mpsc::Sender<Queued>,
    waiting: Waiting,
}

/// Told when one more event waits (1) and when one waits no more (-1).
pub type Waiting = Arc<dyn Fn(i64) + Send + Sync>;

/// Publishes what the controllers have queued, one event after the other: bursts are spread out, and
/// what is about one object keeps its order.
pub struct Publisher {
    queue: mpsc::Receiver<Queued>,
    waiting: Waiting,
}

struct Queued {
    recorder: Arc<Recorder>,
    regarding: ObjectReference,
    event: Event,
    since: Instant,
}

/// Events reported by each of `controllers`, from the Pod named `instance`, through one queue.
#[must_use]
pub fn events<const N: usize>(
    client: &Client,
    controllers: [String; N],
    instance: Option<&str>,
    waiting: &Waiting,
) -> ([Events; N], Publisher) {
    let (sender, receiver) = mpsc::channel(LONGEST_QUEUE);
    let events = controllers.map(|controller| {
        let reporter = Reporter { controller, instance: instance.map(ToOwned::to_owned) };
        let recorder = Arc::new(Recorder::new(client.clone(), reporter));
        Events { recorder, queue: sender.clone(), waiting: waiting.clone() }
    });
    (events, Publisher { queue: receiver, waiting: waiting.clone() })
}

impl Events {
    /// Logs `notices` and queues them for publication about `regarding`. Where the queue is full the
    /// event is logged as lost and forgotten.
    pub fn publish(&self, regarding: &ObjectReference, notices: Vec<Notice>) {
        for notice in notices {
            tracing::info!(event = notice.reason, "{}", notice.note);
            let event = Event {
                type_: if notice.warning { EventType::Warning } else { EventType::Normal },
                reason: notice.reason.to_owned(),
                note: Some(truncated(notice.note, LONGEST_NOTE)),
                action: notice.action.to_owned(),
                secondary: notice
                    .part
                    .map(|part| ObjectReference { field_path: Some(part), ..regarding.clone() }),
            };
            (self.waiting)(1);
            let queued = Queued {
                recorder: self.recorder.clone(),
                regarding: regarding.clone(),
                event,
                since: Instant::now(),
            };
            if self.queue.try_send(queued).is_err() {
                (self.waiting)(-1);
                tracing::warn!(
                    reason = notice.reason,
                    "Could not publish an event: too many are waiting"
                );
            }
        }
    }
}

impl Publisher {
    /// Publishes events until `ended` completes and those that are queued by then are published. A
    /// failure is logged and forgotten. While the API server has better things to do an event waits,
    /// at most as long as `patience` says at the time.
    pub async fn run(mut self, ended: impl Future<Output = ()>, patience: impl Fn() -> Duration) {
        tokio::pin!(ended);
        let mut is_open = true;
        loop {
            tokio::select! {
                queued = self.queue.recv() => match queued {
                    Some(queued) => {
                        if is_open {
                            while queued.since.elapsed() < patience() {
                                tokio::time::sleep(LOOK).await;
                            }
                        }
                        self.publish(queued).await;
                    }
                    None => return,
                },
                () = &mut ended, if is_open => {
                    is_open = false;
                    self.queue.close();
                }
            }
        }
    }

    async fn publish(&self, Queued { recorder, regarding, event, .. }: Queued) {
        if let Err(error) = recorder.publish(&event, &regarding).await {
            tracing::warn!(
                error = %ApiError::from(error),
                reason = event.reason,
                object = regarding.name,
                namespace = regarding.namespace,
                "Could not publish an event"
            );
        }
        (self.waiting)(-1);
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
