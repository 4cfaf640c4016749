//! The two text formats of Prometheus: `OpenMetrics`, and the classic one for those who do not ask for it.

use std::fmt::Write;

/// A format of the exposition.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// The format that Prometheus had before, version 0.0.4.
    Classic,
}

impl Format {
    /// The one to answer a request with, whose `Accept` header this is.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// The media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The classic form of an `OpenMetrics` text. There a family has the name of its samples, so that of a counter ends in
/// `_total`, and units and the end are not told.
pub(super) fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(line) = line.strip_prefix("# HELP ") {
            help = line.split_once(' ').map(|(_, help)| help);
        } else if let Some(line) = line.strip_prefix("# TYPE ") {
            let (name, kind) = line.split_once(' ').unwrap_or((line, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            let help = help.take().unwrap_or_default();
            // Writing into a text cannot fail.
            let _ = write!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_is_answered_as_it_asks() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Classic);
        assert_eq!(Format::accepted(None), Format::Classic);
    }

    #[test]
    fn families_have_the_names_of_their_samples() {
        let openmetrics = "# HELP a Some.\n# TYPE a counter\na_total{b=\"# TYPE\"} 1\n\
                           # HELP build B.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                           # HELP t_seconds T.\n# TYPE t_seconds gauge\n# UNIT t_seconds seconds\nt_seconds 1.5\n\
                           # HELP u U.\n# TYPE u unknown\nu 1\n# EOF\n";
        assert_eq!(
            classic(openmetrics),
            "# HELP a_total Some.\n# TYPE a_total counter\na_total{b=\"# TYPE\"} 1\n\
             # HELP build_info B.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n\
             # HELP t_seconds T.\n# TYPE t_seconds gauge\nt_seconds 1.5\n\
             # HELP u U.\n# TYPE u untyped\nu 1\n"
        );
    }
}
