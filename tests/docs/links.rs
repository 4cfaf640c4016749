//! Links within the documentation lead somewhere.

use std::{collections::BTreeSet, fs, path::Path};

use crate::page::{Page, repository};

/// The targets of all links of a page, outside of code.
fn targets(text: &str) -> Vec<String> {
    let mut prose = String::new();
    for (block, number) in text.split("```").zip(0..) {
        if number % 2 == 0 {
            prose.extend(block.split('`').step_by(2));
        }
    }
    let links = prose.split("](").skip(1);
    links.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in Page::all() {
        let folder = Path::new(&page.path).parent().unwrap();
        for target in targets(&page.text) {
            if target.starts_with("http") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() {
                repository(&page.path)
            } else {
                repository(folder.join(file).to_str().unwrap())
            };
            let text = fs::read_to_string(&path).unwrap_or_default();
            let leads = path.exists() && (anchor.is_empty() || anchors(&text).contains(anchor));
            if !leads {
                broken.push(format!("{}: {target}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
