//! Errors of the Kubernetes API in words that are safe to show.

use std::fmt;

use kube::runtime::watcher;

/// A failed request to the Kubernetes API.
///
/// `kube::Error` itself is not shown to people: it repeats itself in Debug form, and the error of
/// an object that does not decode quotes the object, which may be a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status code; none when no answer arrived.
    pub code: Option<u16>,
    message: String,
}

impl ApiError {
    /// The object does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.code == Some(404)
    }

    /// The object exists already, or changed since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == Some(409)
    }

    /// RBAC, a quota or an admission policy refused the request.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.code == Some(403)
    }

    /// The object may not be as it was to be, such as changed although it is immutable.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.code == Some(422)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<&kube::Error> for ApiError {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                Self { code: Some(status.code), message: status.message.clone() }
            }
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self {
                code: None,
                message: "the Kubernetes API sent an answer that does not decode".into(),
            },
            other => Self {
                code: None,
                message: format!("the Kubernetes API did not answer: {}", last_cause(other)),
            },
        }
    }
}

impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&watcher::Error> for ApiError {
    fn from(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::from(error),
            watcher::Error::WatchError(status) => {
                Self { code: Some(status.code), message: status.message.clone() }
            }
            watcher::Error::NoResourceVersion => Self {
                code: None,
                message: "the Kubernetes API sent a list without a resourceVersion".into(),
            },
        }
    }
}

/// The innermost error: the outer ones only say that a request failed.
fn last_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
