//! Request counters of the servers themselves, so that "it wrote nothing" is what the servers say.

use std::collections::BTreeMap;

use kube::Client;

/// One line of the Prometheus text format.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// A label's value; empty if there is none, which is the same in Prometheus.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Reads a page of the Prometheus text format.
pub fn parse(text: &str) -> Vec<Sample> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(parse_line).collect()
}

fn parse_line(line: &str) -> Sample {
    let name_end = line.find(['{', ' ']).unwrap_or_else(|| panic!("no metric: {line}"));
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = parse_labels(rest);
    let value = rest.split_whitespace().next().unwrap_or_default();
    let value = value.parse().unwrap_or_else(|_| panic!("no value: {line}"));
    Sample { name: name.to_owned(), labels, value }
}

/// `{a="b",...}`, if there is any, and what follows it.
fn parse_labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return (labels, after);
        }
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {text}"));
        let (value, after) = unquote(value);
        labels.insert(name.to_owned(), value);
        rest = after;
    }
}

/// The text up to the closing quote, and what follows that.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            _ => value.push(character),
        }
    }
    panic!("no closing quote: {text}");
}

/// The sum over the samples of one name that `pick` accepts.
pub fn sum(samples: &[Sample], name: &str, pick: impl Fn(&Sample) -> bool) -> f64 {
    samples.iter().filter(|sample| sample.name == name && pick(sample)).map(|s| s.value).sum()
}

/// What kube-apiserver has counted: `apiserver_request_total{group,resource,subresource,verb,code,dry_run}`.
#[derive(Debug, Clone)]
pub struct ApiserverCounters(Vec<Sample>);

impl ApiserverCounters {
    /// Reads them with a client of the administrator.
    pub async fn read(client: &Client) -> Self {
        let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
        Self(parse(&client.request_text(request).await.unwrap()))
    }

    /// Writes to a resource (plural, such as `secrets`) and its subresources, by anybody, whatever their outcome.
    pub fn writes(&self, resource: &str) -> u64 {
        self.requests(resource, &["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"])
    }

    /// Requests that were refused for want of a right (HTTP 403), by anybody.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
    pub fn refusals(&self) -> u64 {
        sum(&self.0, "apiserver_request_total", |sample| sample.label("code") == "403") as u64
    }

    /// Requests with one of these verbs, which are upper case; a watch is `WATCH`, a list `LIST`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
    pub fn requests(&self, resource: &str, verbs: &[&str]) -> u64 {
        let sum = sum(&self.0, "apiserver_request_total", |sample| {
            sample.label("resource") == resource
                && verbs.contains(&sample.label("verb"))
                && sample.label("dry_run").is_empty()
        });
        sum as u64
    }
}
