//! Tests that a page names, as `e2e::hostile::name`: they have to be there.

use std::fs;

use crate::page::{Page, repository};

/// What a name may begin with: the test targets, and the unit tests of the library.
const TARGETS: [&str; 10] =
    ["chart", "cli", "contract", "crds", "docs", "e2e", "gitops", "harness", "image", "lib"];

fn names(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        let known = name.split_once("::").is_some_and(|(target, _)| TARGETS.contains(&target));
        known && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    })
}

/// Where the function of that name is defined, or why it is not.
fn look_up(name: &str) -> Result<(), String> {
    let words: Vec<_> = name.split("::").collect();
    let [target, modules @ .., function] = &words[..] else { return Err("no path".to_owned()) };
    let folder = if *target == "lib" { "src".to_owned() } else { format!("tests/{target}") };
    let modules: Vec<_> =
        modules.iter().filter(|name| !["v1", "v2", "tests", "pages"].contains(name)).collect();
    let path = modules.iter().fold(folder, |path, module| format!("{path}/{module}"));
    let files = [
        format!("{path}.rs"),
        format!("{path}/mod.rs"),
        format!("{path}/main.rs"),
        format!("{path}/tests.rs"),
    ];
    let texts = files.iter().filter_map(|file| fs::read_to_string(repository(file)).ok());
    // Alone, for any type, or by the macro of `tests/docs/main.rs`.
    let forms =
        [format!("fn {function}("), format!("fn {function}<"), format!("    {function}: \"")];
    let mut texts = texts.into_iter();
    let is_there = texts.any(|text| forms.iter().any(|form| text.contains(form)));
    if is_there { Ok(()) } else { Err(format!("no such function in {files:?}")) }
}

#[test]
fn named_tests_are_there() {
    let mut count = 0;
    for page in Page::all() {
        for name in names(&page.text) {
            look_up(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", page.path));
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
    assert!(look_up("e2e::hostile::is_not_there").is_err());
}
