//! What Hydra says about a request that it did not fulfil.

use serde_json::Value;

/// Hydra's own words, in one of the shapes in which its generations write them:
///
/// - 1.x and later: `{"error", "error_description", "error_hint"?}`;
/// - 0.x, routes that do not exist, and answers of the server around the handlers:
///   `{"error": {"code", "message", "reason"?}}`;
/// - not ready: `{"errors": {"<check>": "<text>"}}`.
///
/// `error_debug` is not read: it may hold what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    shape: Shape,
    parts: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Written by a handler of the admin API.
    Handler,
    /// Written by the server around the handlers.
    Server,
    /// Written by the readiness probe.
    Health,
}

impl Explanation {
    /// `None` if the body is in no shape of Hydra's, so was not written by Hydra.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let text = |value: &Value, name| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (shape, parts) = if let Some(checks) = body.get("errors") {
            let checks = checks.as_object()?;
            let parts = checks
                .iter()
                .map(|(check, said)| format!("{check}: {}", said.as_str().unwrap_or("failed")));
            (Shape::Health, parts.collect())
        } else if let Some(error) = body.get("error").filter(|error| error.is_object()) {
            let parts = ["message", "reason"].map(|name| text(error, name));
            (Shape::Server, parts.into_iter().flatten().collect())
        } else {
            // Every 1.x and later writes both members, if need be empty ones.
            let required = [text(&body, "error")?, text(&body, "error_description")?];
            (Shape::Handler, required.into_iter().chain(text(&body, "error_hint")).collect())
        };
        Some(Self { shape, parts })
    }

    /// Whether a handler of the admin API wrote it. A 404 by a handler means that the object does
    /// not exist; any other 404 means that the route does not.
    pub(super) fn is_by_handler(&self) -> bool {
        self.shape == Shape::Handler
    }

    /// Whether any part contains `words`, which must be in lower case.
    pub(super) fn mentions(&self, words: &str) -> bool {
        self.parts.iter().any(|part| part.to_lowercase().contains(words))
    }

    /// All parts as one line.
    pub(super) fn text(&self) -> String {
        let parts: Vec<_> = self.parts.iter().map(|part| part.trim()).collect();
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }
}

/// Texts are cut after this many characters.
const MAX_CHARS: usize = 500;

/// A secret shorter than this is not searched for in texts: it would be found in every word.
const MIN_SECRET_BYTES: usize = 4;

/// Makes a text of another program fit for logs, events and statuses: without any of `secrets`,
/// without control characters, of bounded length.
pub(super) fn presentable<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        if secret.len() >= MIN_SECRET_BYTES && text.contains(secret) {
            text = text.replace(secret, "[redacted]");
        }
    }
    let mut characters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = characters.by_ref().take(MAX_CHARS).collect();
    if characters.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_shape_of_hydra() {
        for (body, by_handler, text) in [
            (
                r#"{"error":"Unable to locate the resource","error_description":""}"#,
                true,
                "Unable to locate the resource",
            ),
            (
                r#"{"error":"invalid_request","error_description":"Bad.","error_hint":"Do x.","status_code":400,"error_debug":"dbg"}"#,
                true,
                "invalid_request: Bad.: Do x.",
            ),
            (
                r#"{"error":{"code":404,"message":"Not Found","reason":"The requested route does not exist."}}"#,
                false,
                "Not Found: The requested route does not exist.",
            ),
            (
                r#"{"errors":{"database":"no connection","migrations":"pending"}}"#,
                false,
                "database: no connection: migrations: pending",
            ),
        ] {
            let read = Explanation::read(body.as_bytes()).unwrap();
            assert_eq!((read.is_by_handler(), read.text().as_str()), (by_handler, text));
        }
    }

    #[test]
    fn what_is_not_hydras_is_not_read() {
        for body in [
            "",
            "<html>404</html>",
            "null",
            "[]",
            r#""error""#,
            "{}",
            r#"{"error":"not found"}"#,
            r#"{"error":3,"error_description":"x"}"#,
            r#"{"message":"no route"}"#,
            r#"{"errors":["x"]}"#,
        ] {
            assert_eq!(Explanation::read(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn texts_become_presentable() {
        let long = "x".repeat(600);
        let cut = format!("{}…", "x".repeat(500));
        for (text, secrets, expected) in [
            ("a\r\nb\u{1b}[31m\u{0}c", vec![], "a  b [31m c"),
            ("got s3cr3t and s3cr3t", vec!["s3cr3t"], "got [redacted] and [redacted]"),
            ("an a", vec!["a"], "an a"),
            (long.as_str(), vec![], cut.as_str()),
        ] {
            assert_eq!(presentable(text, secrets), expected);
        }
    }

    proptest! {
        #[test]
        fn never_shows_a_secret(
            before in ".{0,600}", secret in "[A-Za-z0-9_~-]{6,72}", after in ".*",
        ) {
            let shown = presentable(&format!("{before}{secret}{after}"), [secret.as_str()]);
            prop_assert!(!shown.contains(&secret));
            prop_assert!(shown.chars().count() <= MAX_CHARS + 1);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
