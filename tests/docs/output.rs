//! Whether a command prints what a page says.

/// The line of `expected` that is not in `printed`. The lines have to come in that order; others may stand between them. White space
/// counts once; ids, ages and times may be any; `…` stands for anything.
pub fn missing<'a>(expected: &'a [String], printed: &str) -> Option<&'a String> {
    let mut lines = printed.lines().map(plain);
    expected.iter().find(|wanted| {
        let wanted = plain(wanted);
        !lines.any(|line| is_like(&wanted, &line))
    })
}

fn is_like(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// With one space between words, and without what differs from run to run.
fn plain(line: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || "-:._".contains(c);
    let mut text = String::new();
    let mut rest = line.trim();
    while let Some(c) = rest.chars().next() {
        if is_of_word(c) {
            let end = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            text.push_str(if varies(word) { "*" } else { word });
            rest = after;
        } else {
            if !(c.is_whitespace() && text.ends_with(' ')) {
                text.push(if c.is_whitespace() { ' ' } else { c });
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    text
}

fn varies(word: &str) -> bool {
    is_age(word) || word.parse::<jiff::Timestamp>().is_ok() || uuid::Uuid::parse_str(word).is_ok()
}

/// As `kubectl` writes it: `45s`, `2m10s`, `3d`.
fn is_age(word: &str) -> bool {
    let mut letters = word.chars().filter(|c| !c.is_ascii_digit()).peekable();
    letters.peek().is_some()
        && letters.all(|c| "smhd".contains(c))
        && word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(|c: char| c.is_ascii_alphabetic())
}

#[test]
fn what_differs_from_run_to_run_does_not_count() {
    let printed = "NAME   READY   AGE\nshop   True    12s\n{\"id\":\"9f6c2a51-0a41-4f5e-8f0f-5b0c27c1f7aa\",\"n\":1}\nend\n";
    let found = |expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
        missing(&expected, printed).is_none()
    };
    assert!(found(&["NAME READY AGE", "shop     True   2m10s"]));
    assert!(found(&["{\"id\":\"b2a8cb61-aaa1-41da-84c3-48f455a9fa9b\",\"n\":1}"]));
    assert!(found(&["NAME…AGE", "…\"n\":1}"]) && found(&["shop…"]) && found(&["shop…12s", "end"]));
    assert!(!found(&["shop False 12s"]) && !found(&["shop"]) && !found(&["end", "shop…"]));
    assert!(!found(&["{\"id\":\"b2a8cb61-aaa1-41da-84c3-48f455a9fa9b\",\"n\":2}"]));
    assert!(!found(&["shop…False"]) && !found(&["shop…13s."]));
}
