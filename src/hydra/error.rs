//! Why an operation of the admin API failed, and what that means for the caller.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::explanation::{Explanation, presentable};
use super::generation::Generation;
use super::request::Operation;
use crate::fence::Closed;

/// What a failure means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Hydra holds no client of that id, or no such key set.
    Absent,
    /// Another client, or a key of the set, has that id.
    Conflict,
    /// Hydra refuses what was sent, or cannot address the id; sending it again cannot succeed.
    Invalid,
    /// The same request may succeed later.
    Transient,
    /// Hydra, or a proxy before it, does not accept the operator's credentials.
    Forbidden,
    /// No Hydra answered in full: connection, name resolution, TLS, time-out, or an answer that is
    /// not of Hydra's admin API (a redirect, a page of a proxy, a wrong address).
    Unreachable,
}

/// A failed operation.
///
/// Its text names the operation, the HTTP status and Hydra's own explanation, as one line of
/// bounded length. It never holds a secret, the address of Hydra, or the words of another program.
#[derive(Clone, Debug)]
pub struct HydraError {
    operation: Operation,
    kind: ErrorKind,
    status: Option<StatusCode>,
    explanation: String,
    retry_after: Option<Duration>,
    misplaced: bool,
    /// Whether it refuses what the caller chose in particular: the id of a client, or the algorithm of a key.
    refuses_choice: bool,
    too_large: bool,
}

/// What can be said of an answer that Hydra did not write: its words are not repeated.
const FOREIGN: &str = "the answer is not one of Hydra's admin API";

/// What is said of a refusal instead of Hydra's words.
const WITHHELD: &str = "the explanation is not repeated here, because the request held a key";

/// An answer that reports no success, as far as it was read.
pub(super) struct Refusal<'a> {
    pub(super) operation: Operation,
    pub(super) generation: Option<Generation>,
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// What must not appear in the error, whoever wrote it there.
    pub(super) secrets: Vec<&'a str>,
}

impl HydraError {
    /// What the failure means for the caller.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status.map(|status| status.as_u16())
    }

    /// How long the server asks to wait (`Retry-After` or `x-ratelimit-reset`, in seconds, of a 429
    /// or 503), at most five minutes.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Hydra's own words, or what the operator found wrong where Hydra said nothing.
    #[must_use]
    pub fn explanation(&self) -> &str {
        &self.explanation
    }

    /// Whether this is how Hydra 2.0 and 2.1 refuse to create a client with a chosen id, even a
    /// UUID. Without an id the same client would be created.
    #[must_use]
    pub fn refuses_chosen_ids(&self) -> bool {
        self.refuses_choice && self.operation == Operation::CreateClient
    }

    /// Whether this is how Hydra refuses to make a key for an algorithm. Such a key can still be put.
    #[must_use]
    pub fn refuses_algorithm(&self) -> bool {
        self.refuses_choice && self.operation == Operation::CreateKey
    }

    /// Whether the answer was not read because it is larger than the bound for it.
    pub(super) fn is_too_large(&self) -> bool {
        self.too_large
    }

    /// Whether the answer looks as if the request had been made for another generation.
    pub(super) fn is_misplaced(&self) -> bool {
        self.misplaced
    }

    /// Nothing was sent, because it could not succeed.
    pub(super) fn not_sent(operation: Operation, detail: impl fmt::Display) -> Self {
        Self::new(operation, ErrorKind::Invalid, None, format!("not sent: {detail}"))
    }

    /// No complete answer arrived.
    pub(super) fn unreachable(operation: Operation, detail: &str) -> Self {
        Self::new(operation, ErrorKind::Unreachable, None, presentable(detail, []))
    }

    /// The answer reports success, and has more than `limit` MiB.
    pub(super) fn too_large(operation: Operation, limit: usize) -> Self {
        let detail = format!("the answer is larger than {limit} MiB");
        Self { too_large: true, ..Self::new(operation, ErrorKind::Unreachable, None, detail) }
    }

    /// The answer reports success, but is not what Hydra answers to this operation.
    pub(super) fn foreign(operation: Operation, status: StatusCode) -> Self {
        Self::new(operation, ErrorKind::Unreachable, Some(status), FOREIGN.to_owned())
    }

    /// There is no list of clients where any generation has it.
    pub(super) fn no_admin_api(operation: Operation, status: Option<u16>) -> Self {
        let detail = "neither `/admin/clients` nor `/clients` is there; is this the address of \
                      Hydra's admin API?";
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        Self::new(operation, ErrorKind::Unreachable, status, detail.to_owned())
    }

    /// Nothing was sent, because the server has asked to wait, and has not said since that it is over.
    pub(super) fn paused(operation: Operation, remaining: Duration) -> Self {
        let detail = "not sent: Hydra, or a proxy before it, has asked to wait".to_owned();
        Self {
            retry_after: Some(remaining),
            ..Self::new(operation, ErrorKind::Transient, None, detail)
        }
    }

    /// Nothing was sent, or nothing more, because this process must not write.
    pub(super) fn fenced(operation: Operation, closed: Closed) -> Self {
        Self::new(operation, ErrorKind::Transient, None, closed.to_string())
    }

    /// A listing that does not come to an end.
    pub(super) fn endless(operation: Operation) -> Self {
        let detail = "the pages of the list do not come to an end".to_owned();
        Self::new(operation, ErrorKind::Transient, None, detail)
    }

    /// Hydra, or something before it, reported no success.
    pub(super) fn refused(refusal: &Refusal<'_>) -> Self {
        let explanation = Explanation::read(refusal.body);
        let kind = kind(refusal, explanation.as_ref());
        let detail = match &explanation {
            None => FOREIGN.to_owned(),
            Some(_) if refusal.operation.sends_private_keys() => WITHHELD.to_owned(),
            Some(said) => presentable(&said.text(), refusal.secrets.iter().copied()),
        };
        let words_of_refusal = match refusal.operation {
            Operation::CreateClient => Some("set an oauth2 client id"),
            Operation::CreateKey => Some("unsupported key algorithm"),
            _ => None,
        };
        let mentions =
            |words| explanation.as_ref().is_some_and(|explanation| explanation.mentions(words));
        Self {
            retry_after: retry_after(refusal.status, refusal.headers),
            misplaced: is_misplaced(refusal.status, explanation.as_ref()),
            refuses_choice: refusal.status == StatusCode::BAD_REQUEST
                && words_of_refusal.is_some_and(mentions),
            ..Self::new(refusal.operation, kind, Some(refusal.status), detail)
        }
    }

    fn new(
        operation: Operation,
        kind: ErrorKind,
        status: Option<StatusCode>,
        explanation: String,
    ) -> Self {
        Self {
            operation,
            kind,
            status,
            explanation,
            retry_after: None,
            misplaced: false,
            refuses_choice: false,
            too_large: false,
        }
    }
}

fn kind(refusal: &Refusal<'_>, explanation: Option<&Explanation>) -> ErrorKind {
    let by_handler = explanation.is_some_and(Explanation::is_by_handler);
    let mentions = |words| explanation.is_some_and(|explanation| explanation.mentions(words));
    match refusal.status.as_u16() {
        404 if by_handler && refusal.operation.addresses_what_may_be_absent() => ErrorKind::Absent,
        401 if refusal.operation == Operation::GetClient
            && by_handler
            && refusal.generation.is_some_and(Generation::may_answer_401_for_absent)
            && mentions("requested oauth 2.0 client does not exist") =>
        {
            ErrorKind::Absent
        }
        401 | 403 | 407 => ErrorKind::Forbidden,
        409 => ErrorKind::Conflict,
        // A conflict of transactions in PostgreSQL or CockroachDB, or a locked SQLite.
        400 if mentions("unable to serialize access") || mentions("database is locked") => {
            ErrorKind::Transient
        }
        400 if by_handler => ErrorKind::Invalid,
        // Of a proxy, but about the size or form of what was sent.
        413 | 414 | 422 | 431 => ErrorKind::Invalid,
        // Hydra 1.x wants TLS, or `X-Forwarded-Proto: https`: no retry helps.
        502 if mentions("insecure http") => ErrorKind::Unreachable,
        408 | 425 | 429 | 499 | 500..=599 => ErrorKind::Transient,
        _ => ErrorKind::Unreachable,
    }
}

/// A route that does not exist, or the redirect by which 2.x answers the paths of 1.x.
fn is_misplaced(status: StatusCode, explanation: Option<&Explanation>) -> bool {
    match status {
        StatusCode::NOT_FOUND => !explanation.is_some_and(Explanation::is_by_handler),
        StatusCode::METHOD_NOT_ALLOWED => true,
        status => status.is_redirection(),
    }
}

fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    const AT_MOST: Duration = Duration::from_mins(5);
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let seconds = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    let asked = seconds(RETRY_AFTER.as_str()).or_else(|| seconds("x-ratelimit-reset"))?;
    Some(Duration::from_secs(asked).min(AT_MOST))
}

impl fmt::Display for HydraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operation)?;
        if let Some(status) = self.status {
            write!(f, "{status}")?;
            if !self.explanation.is_empty() {
                f.write_str(": ")?;
            }
        }
        f.write_str(&self.explanation)
    }
}

impl std::error::Error for HydraError {}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: &str = r#"{"error":"Unable to locate the resource","error_description":""}"#;
    const ROUTE: &str = r#"{"error":{"code":404,"message":"Not Found","reason":"No route."}}"#;
    const UNKNOWN_401: &str = r#"{"error":"The request could not be authorized","error_description":"The requested OAuth 2.0 client does not exist or you did not provide the necessary credentials","status_code":401,"request_id":""}"#;
    const BUSY: &str = r#"{"error":"Unable to serialize access due to a concurrent update in another session","error_description":""}"#;
    const LOCKED: &str = r#"{"error":"error","error_description":"database is locked"}"#;
    const INVALID: &str = r#"{"error":"invalid_client_metadata","error_description":"Bad."}"#;
    const NO_IDS: &str = r#"{"error":"The request was malformed or contained invalid parameters","error_description":"It is no longer possible to set an OAuth2 Client ID as a user. The system will generate a unique ID for you."}"#;
    const NO_SET: &str =
        r#"{"error":"Not Found","error_description":"Unable to locate the requested resource"}"#;
    const EXISTS: &str = r#"{"error":"Unable to insert or update resource because a resource with that value exists already","error_description":""}"#;
    const NO_ALGORITHM: &str =
        r#"{"error":"Bad Request","error_description":"Unsupported key algorithm"}"#;
    const INSECURE: &str =
        r#"{"error":"can not serve request over insecure http","error_description":""}"#;

    fn refusal<'a>(
        operation: Operation,
        generation: Generation,
        status: u16,
        body: &'a str,
        headers: &'a HeaderMap,
    ) -> Refusal<'a> {
        Refusal {
            operation,
            generation: Some(generation),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.as_bytes(),
            secrets: vec!["hunter22"],
        }
    }

    fn refused(
        operation: Operation,
        generation: Generation,
        status: u16,
        body: &str,
    ) -> HydraError {
        HydraError::refused(&refusal(operation, generation, status, body, &HeaderMap::new()))
    }

    #[test]
    fn classes() {
        use ErrorKind::{Absent, Conflict, Forbidden, Invalid, Transient, Unreachable};
        use Operation::{
            CreateClient, CreateKey, DeleteClient, DeleteKey, GetClient, GetKeySet, ListClients,
            PublishedKeys, PutKey, ReplaceClient,
        };
        let (v1, v2) = (Generation::V1, Generation::V2);
        for (operation, generation, status, body, expected, misplaced) in [
            (GetClient, v1, 404, ABSENT, Absent, false),
            (ReplaceClient, v2, 404, ABSENT, Absent, false),
            (DeleteClient, v2, 404, ABSENT, Absent, false),
            (DeleteClient, v2, 404, ROUTE, Unreachable, true),
            (DeleteClient, v2, 404, "<html>", Unreachable, true),
            (CreateClient, v2, 404, ABSENT, Unreachable, false),
            (ListClients, v2, 404, ROUTE, Unreachable, true),
            (GetClient, v1, 401, UNKNOWN_401, Absent, false),
            (GetClient, v2, 401, UNKNOWN_401, Forbidden, false),
            (DeleteClient, v1, 401, UNKNOWN_401, Forbidden, false),
            (GetClient, v1, 401, INVALID, Forbidden, false),
            (GetClient, v1, 401, "", Forbidden, false),
            (GetClient, v2, 403, "<html>", Forbidden, false),
            (CreateClient, v2, 409, "", Conflict, false),
            (CreateClient, v2, 400, INVALID, Invalid, false),
            (CreateClient, v2, 400, NO_IDS, Invalid, false),
            (ReplaceClient, v2, 400, BUSY, Transient, false),
            (ReplaceClient, v2, 400, LOCKED, Transient, false),
            (ReplaceClient, v2, 400, "<html>", Unreachable, false),
            (ReplaceClient, v2, 413, "<html>", Invalid, false),
            (GetClient, v2, 307, "<a>", Unreachable, true),
            (GetClient, v2, 405, "", Unreachable, true),
            (GetClient, v2, 408, "", Transient, false),
            (GetClient, v2, 429, "", Transient, false),
            (GetClient, v2, 499, "", Transient, false),
            (GetClient, v2, 500, "", Transient, false),
            (GetClient, v1, 502, INSECURE, Unreachable, false),
            (GetClient, v1, 502, "", Transient, false),
            (GetClient, v2, 503, "", Transient, false),
            (GetClient, v2, 418, "", Unreachable, false),
            (GetKeySet, v1, 404, NO_SET, Absent, false),
            (GetKeySet, v2, 404, "404 page not found", Unreachable, true),
            (CreateKey, v2, 404, NO_SET, Unreachable, false),
            (CreateKey, v2, 409, EXISTS, Conflict, false),
            (CreateKey, v1, 400, NO_ALGORITHM, Invalid, false),
            (PutKey, v2, 400, NO_ALGORITHM, Invalid, false),
            (PutKey, v2, 400, BUSY, Transient, false),
            (DeleteKey, v1, 404, NO_SET, Absent, false),
            (PublishedKeys, v1, 404, NO_SET, Absent, false),
        ] {
            let error = refused(operation, generation, status, body);
            let shown = format!("{operation:?} {generation:?} {status} {body}");
            assert_eq!((error.kind(), error.is_misplaced()), (expected, misplaced), "{shown}");
            assert_eq!(error.status(), Some(status));
            assert_eq!(error.refuses_chosen_ids(), body == NO_IDS, "{shown}");
            let no_algorithm = body == NO_ALGORITHM && operation == CreateKey;
            assert_eq!(error.refuses_algorithm(), no_algorithm, "{shown}");
        }
    }

    #[test]
    fn the_text_names_operation_status_and_hydras_words_only() {
        for (body, expected) in [
            (INVALID, "create client: 400 Bad Request: invalid_client_metadata: Bad."),
            (
                r#"{"error":"x","error_description":"secret hunter22\nis bad"}"#,
                "create client: 400 Bad Request: x: secret [redacted] is bad",
            ),
            (
                "<html>internal-host-7</html>",
                "create client: 400 Bad Request: the answer is not one of Hydra's admin API",
            ),
        ] {
            let error = refused(Operation::CreateClient, Generation::V2, 400, body);
            assert_eq!(error.to_string(), expected);
            assert!(!format!("{error:?}").contains("hunter22"));
        }
        let echo = r#"{"error":"x","error_description":"cannot use ZDIK9w"}"#;
        let put = refused(Operation::PutKey, Generation::V2, 400, echo);
        assert!(!format!("{put} {put:?}").contains("ZDIK9w"), "{put}");
        let unreachable = HydraError::unreachable(Operation::GetClient, "no answer");
        assert_eq!(unreachable.to_string(), "get client: no answer");
    }

    #[test]
    fn waits_that_servers_ask_for() {
        for (status, name, value, expected) in [
            (429, "retry-after", "7", Some(7)),
            (503, "retry-after", "7", Some(7)),
            (429, "x-ratelimit-reset", "9", Some(9)),
            (429, "retry-after", "99999999999", Some(300)),
            (500, "retry-after", "7", None),
            (429, "retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
            (429, "retry-after", "-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let (operation, generation) = (Operation::GetClient, Generation::V2);
            let error = HydraError::refused(&refusal(operation, generation, status, "", &headers));
            assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{status} {value}");
        }
    }
}
