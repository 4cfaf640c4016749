//! What each reason of a condition or an event means, for people: what the parts of `docs/reasons.md` are made of.

use std::fmt::Write;

/// Says of every reason of an enumeration why it is shown and what helps. One that is missing does not compile.
macro_rules! explain {
    ($reasons:ident; $($reason:ident { cause: $cause:literal, remedy: $remedy:literal $(,)? })+) => {
        impl $reasons {
            /// All reasons, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$reason),+];

            /// Why it is shown, in Markdown.
            #[must_use]
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$reason => $cause),+ }
            }

            /// What helps, in Markdown.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$reason => $remedy),+ }
            }
        }
    };
}

pub(crate) use explain;

/// A reason that only events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventReason {
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// The reason as it stands in the event.
    pub reason: &'static str,
    /// When it is published, in Markdown.
    pub meaning: &'static str,
}

/// The reason of a `Normal` event.
#[must_use]
pub const fn normal(reason: &'static str, meaning: &'static str) -> EventReason {
    EventReason { kind: "Normal", reason, meaning }
}

/// The reason of a `Warning` event.
#[must_use]
pub const fn warning(reason: &'static str, meaning: &'static str) -> EventReason {
    EventReason { kind: "Warning", reason, meaning }
}

/// A table in Markdown.
#[must_use]
pub fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        // Writing into a text cannot fail.
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

/// The table of the events that are not among the reasons of conditions.
#[must_use]
pub fn events(events: &[EventReason]) -> String {
    let row = |event: &EventReason| {
        [format!("`{}`", event.reason), event.kind.to_owned(), event.meaning.to_owned()]
    };
    table(["event", "type", "published when"], events.iter().map(row))
}

#[cfg(test)]
pub(crate) mod testing {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::EventReason;

    /// Every reason stands in one row of the section, with as many cells as its head.
    pub fn assert_explained(section: &str, columns: usize, reasons: &[(&str, &str, &str)]) {
        for (reason, cause, remedy) in reasons {
            let name = format!("| `{reason}` | ");
            let row: Vec<_> = section.lines().filter(|line| line.starts_with(&name)).collect();
            assert_eq!(row.len(), 1, "{name}");
            assert_eq!(row[0].matches(" | ").count(), columns - 1, "{name}");
            assert!(!cause.is_empty() && !remedy.is_empty(), "{name}");
        }
    }

    /// The events that the code of `module` publishes are those that are told, with the same type.
    pub fn assert_all_events_are_told(module: &str, told: &[EventReason]) {
        let told: BTreeSet<_> =
            told.iter().map(|event| (event.kind.to_owned(), event.reason.to_owned())).collect();
        assert_eq!(published(module), told, "left: published by src/{module}");
    }

    fn published(module: &str) -> BTreeSet<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
        let mut found = BTreeSet::new();
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                found.extend(calls(code, "normal(", "Normal"));
                found.extend(calls(code, "warning(", "Warning"));
            }
        }
        found.retain(|(_, reason)| reason.starts_with(char::is_uppercase));
        found
    }

    /// The first argument of each call, where that is a text.
    fn calls<'a>(
        code: &'a str,
        call: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        let reason =
            |rest: &str| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0.to_owned());
        code.split(call).skip(1).filter_map(reason).map(|reason| (kind.to_owned(), reason))
    }
}
