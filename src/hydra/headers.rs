//! Headers that every request carries, from a file that may change.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use reqwest::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Why a file of headers cannot be used. It names lines, never values.
#[derive(Debug, thiserror::Error)]
pub enum InvalidHeaders {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// A line is not `Name: value`.
    #[error("line {0} is not of the form `Name: value`")]
    NoSeparator(usize),
    /// What stands before the colon is not the name of a header (RFC 9110, section 5.1).
    #[error("line {0} does not start with the name of a header")]
    Name(usize),
    /// What stands after the colon cannot be sent (RFC 9110, section 5.5).
    #[error("line {0} has a value that is empty or holds characters that a header cannot")]
    Value(usize),
    /// The header frames or describes the message, which is the business of the client.
    #[error("line {0} sets a header that the operator sets itself")]
    Reserved(usize),
}

const RESERVED: [HeaderName; 8] =
    [ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Reads one `Name: value` per line; empty lines and lines that start with `#` are comments. The
/// values are marked as sensitive, so that no library logs them.
fn parse(text: &str) -> Result<HeaderMap, InvalidHeaders> {
    let mut headers = HeaderMap::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(InvalidHeaders::NoSeparator(number))?;
        let name: HeaderName = name.trim().parse().map_err(|_| InvalidHeaders::Name(number))?;
        if RESERVED.contains(&name) {
            return Err(InvalidHeaders::Reserved(number));
        }
        let mut value = HeaderValue::from_str(value.trim())
            .ok()
            .filter(|value| !value.is_empty() && value.to_str().is_ok())
            .ok_or(InvalidHeaders::Value(number))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// The parts of the values that must not appear in an error text. A short value or word, such as
/// `Bearer`, is not secret.
pub(super) fn secrets(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    const MIN_BYTES: usize = 8;
    headers
        .values()
        .filter_map(|value| value.to_str().ok())
        .flat_map(str::split_whitespace)
        .filter(|word| word.len() >= MIN_BYTES)
}

/// A file of headers, read again when it changes.
pub(super) struct HeadersFile {
    path: PathBuf,
    last: Mutex<Reading>,
}

struct Reading {
    version: Option<Version>,
    headers: HeaderMap,
}

/// A cheap sign of a change: a mounted Secret is replaced as a whole.
type Version = (SystemTime, u64);

fn version(path: &Path) -> std::io::Result<Version> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}

fn read(path: &Path) -> Result<HeaderMap, InvalidHeaders> {
    parse(&std::fs::read_to_string(path)?)
}

impl HeadersFile {
    /// Reads the file for the first time.
    pub(super) fn open(path: PathBuf) -> Result<Self, InvalidHeaders> {
        let version = Some(version(&path)?);
        let headers = read(&path)?;
        Ok(Self { path, last: Mutex::new(Reading { version, headers }) })
    }

    /// The headers as the file has them now. While it is broken they stay as they last were, which
    /// is logged once per change of the file.
    ///
    /// It looks at the file without leaving the thread: a `stat` of a local file takes less time
    /// than handing it to another thread.
    pub(super) fn current(&self) -> HeaderMap {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = version(&self.path).ok();
        if now != last.version {
            last.version = now;
            match read(&self.path) {
                Ok(headers) => last.headers = headers,
                Err(error) => tracing::warn!(
                    file = %self.path.display(),
                    %error,
                    "the file of extra headers is unusable; the last usable headers stay in use"
                ),
            }
        }
        last.headers.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    #[test]
    fn reads_lines_and_comments() {
        let text =
            "# who we are\nAuthorization: Bearer ory_pat_1234\r\n\n  X-Team : a: b \nX-Team:c";
        let headers = parse(text).unwrap();
        let expected =
            [("authorization", "Bearer ory_pat_1234"), ("x-team", "a: b"), ("x-team", "c")];
        assert_eq!(shown(&headers), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{headers:?}").contains("ory_pat"));
        assert_eq!(secrets(&headers).collect::<Vec<_>>(), ["ory_pat_1234"]);
    }

    #[test]
    fn errors_name_the_line_and_no_value() {
        for (text, expected) in [
            ("a: b\nhunter22", "line 2 is not of the form `Name: value`"),
            ("hunter 22: x", "line 1 does not start with the name of a header"),
            (": hunter22", "line 1 does not start with the name of a header"),
            (
                "a: hunter22\u{1}",
                "line 1 has a value that is empty or holds characters that a header cannot",
            ),
            (
                "a: grüße",
                "line 1 has a value that is empty or holds characters that a header cannot",
            ),
            ("a:", "line 1 has a value that is empty or holds characters that a header cannot"),
            ("#\nContent-Length: 3", "line 2 sets a header that the operator sets itself"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_broken_file_keeps_the_last_headers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headers");
        let token = |file: &HeadersFile| {
            file.current().get("x-token").map(|value| value.to_str().unwrap().to_owned())
        };
        fs::write(&path, "X-Token: first").unwrap();
        let file = HeadersFile::open(path.clone()).unwrap();
        assert_eq!(token(&file).as_deref(), Some("first"));
        fs::write(&path, "X-Token: second").unwrap();
        assert_eq!(token(&file).as_deref(), Some("second"));
        fs::write(&path, "no header").unwrap();
        assert_eq!(token(&file).as_deref(), Some("second"));
        fs::remove_file(&path).unwrap();
        assert_eq!(token(&file).as_deref(), Some("second"));
        fs::write(&path, "X-Token: the third").unwrap();
        assert_eq!(token(&file).as_deref(), Some("the third"));
        fs::write(&path, "").unwrap();
        assert_eq!(token(&file), None);
    }
}
