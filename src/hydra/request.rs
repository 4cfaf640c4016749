//! What is observable of a request: which operation it served and how it ended.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

/// The operations of the admin API that the operator uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// GET of one client.
    GetClient,
    /// POST of a client.
    CreateClient,
    /// PUT of a client.
    ReplaceClient,
    /// DELETE of a client.
    DeleteClient,
    /// GET of one page of clients.
    ListClients,
    /// GET of the version.
    Version,
    /// GET of the readiness.
    Ready,
    /// The requests that find out the generation.
    Discover,
    /// GET of the discovery document of the public API.
    WellKnown,
    /// GET of a key set.
    GetKeySet,
    /// POST of a key.
    CreateKey,
    /// PUT of one row of a key.
    PutKey,
    /// DELETE of one row of a key.
    DeleteKey,
    /// GET of the keys that Hydra publishes.
    PublishedKeys,
}

impl Operation {
    /// The value of a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetClient => "get_client",
            Self::CreateClient => "create_client",
            Self::ReplaceClient => "replace_client",
            Self::DeleteClient => "delete_client",
            Self::ListClients => "list_clients",
            Self::Version => "version",
            Self::Ready => "ready",
            Self::Discover => "discover",
            Self::WellKnown => "well_known",
            Self::GetKeySet => "get_key_set",
            Self::CreateKey => "create_key",
            Self::PutKey => "put_key",
            Self::DeleteKey => "delete_key",
            Self::PublishedKeys => "published_keys",
        }
    }

    /// Whether a 404 by a handler means that what the path names does not exist.
    pub(super) fn addresses_what_may_be_absent(self) -> bool {
        match self {
            Self::GetClient
            | Self::ReplaceClient
            | Self::DeleteClient
            | Self::GetKeySet
            | Self::DeleteKey
            | Self::PublishedKeys => true,
            Self::CreateClient
            | Self::ListClients
            | Self::Version
            | Self::Ready
            | Self::Discover
            | Self::WellKnown
            | Self::CreateKey
            | Self::PutKey => false,
        }
    }

    /// Whether the request holds a private key. An answer could then repeat a part of it, in any form.
    pub(super) fn sends_private_keys(self) -> bool {
        self == Self::PutKey
    }
}

/// The operation in words.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GetClient => "get client",
            Self::CreateClient => "create client",
            Self::ReplaceClient => "replace client",
            Self::DeleteClient => "delete client",
            Self::ListClients => "list clients",
            Self::Version => "get version",
            Self::Ready => "get readiness",
            Self::Discover => "find the admin API",
            Self::WellKnown => "get the discovery document",
            Self::GetKeySet => "get key set",
            Self::CreateKey => "create key",
            Self::PutKey => "put key",
            Self::DeleteKey => "delete key",
            Self::PublishedKeys => "get the published keys",
        })
    }
}

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With a complete answer of this status.
    Answered(StatusCode),
    /// Without a complete answer.
    Failed,
}

impl Outcome {
    /// The value of a metric label: the status code, or `error`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered(status) => status.as_str(),
            Self::Failed => "error",
        }
    }
}

/// Called after every request that was not given up before its end, with the time from sending it to the end of the answer.
pub type RequestHook = Arc<dyn Fn(Operation, Outcome, Duration) + Send + Sync>;

/// The trace of which the present request is a part, in the form of the W3C Trace Context. `None`: of none.
pub type TraceParent = Arc<dyn Fn() -> Option<String> + Send + Sync>;
