//! The documentation, taken at its word: every command of a page is run, in its order, by bash on servers of the page's own: an API
//! server, Hydra 2, `kubectl`, `helm`, `hydra`, `hydra-operator`. The pod of a Deployment of the operator is run as a process.
//!
//! | in a page | here |
//! |---|---|
//! | a block `sh` | run as it is; it has to succeed |
//! | a block `console` | each line after `$ ` is run, and the lines below it are looked for in what it prints (`output`). One whose output begins with `Error` or says `is invalid:` has to fail |
//! | a block `yaml name.yaml` | written to a file of that name, for the commands |
//! | a block `sh no-test: why` or `console no-test: why` | not run, for that reason |
//! | `<!-- test`, commands, `-->` | run as well, and not seen by readers: what the page takes for granted |
//! | `<!-- run by: tests/… -->` | the commands of the page are run by that file instead |
//!
//! `http://hydra-admin.hydra:4445` and `http://hydra-public.hydra:4444` stand for the real addresses.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test code: a panic is how a test fails"
)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../chart/pod.rs"]
#[allow(dead_code, reason = "made for the tests of the chart, which use all of it")]
mod pod;

mod kubelet;
mod links;
mod named;
mod output;
mod page;
mod run;

use page::Page;

/// A test for each page with commands.
macro_rules! pages {
    ($($name:ident: $path:literal),+ $(,)?) => {
        const TESTED: &[&str] = &[$($path),+];
        mod pages {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::run::page($path).await;
                }
            )+
        }
    };
}

pages! {
    readme: "README.md",
    getting_started: "docs/getting-started.md",
    declare_a_client: "docs/how-to/declare-a-client.md",
    bring_your_own_secret: "docs/how-to/bring-your-own-secret.md",
    rotate_keys: "docs/how-to/rotate-keys.md",
    private_key_jwt: "docs/how-to/private-key-jwt.md",
    namespaced_mode: "docs/how-to/namespaced-mode.md",
    high_availability: "docs/how-to/high-availability.md",
    restrict_tenants: "docs/how-to/restrict-tenants.md",
    troubleshooting: "docs/troubleshooting.md",
    oauth2client: "docs/oauth2client.md",
    jsonwebkeyset: "docs/jsonwebkeyset.md",
    operating: "docs/operating.md",
}

/// Pages with a story that takes more than their commands: `tests/gitops` runs these.
const RUN_ELSEWHERE: [&str; 1] = ["docs/gitops.md"];

#[test]
fn every_page_with_commands_is_run() {
    for page in Page::all() {
        let tested = TESTED.contains(&&*page.path);
        if let Some(file) = &page.run_by {
            let test = std::fs::read_to_string(page::repository(file))
                .unwrap_or_else(|error| panic!("{}: {file}: {error}", page.path));
            assert!(test.contains(&page.path), "{file} does not name {}", page.path);
            assert!(!tested, "{} is run twice", page.path);
        } else if page.steps().next().is_some() && !RUN_ELSEWHERE.contains(&&*page.path) {
            assert!(tested, "name {} in tests/docs/main.rs", page.path);
        }
    }
    for path in TESTED {
        assert!(Page::read(path).steps().next().is_some(), "{path} has no command");
    }
}

/// Those that no test runs, each with its reason. A page that needs many of them is not shown to be right.
#[test]
fn few_commands_are_not_run() {
    let pages = Page::all();
    let skipped: Vec<_> = pages.iter().flat_map(Page::skipped).collect();
    for (place, reason) in &skipped {
        eprintln!("{place}: {reason}");
        assert!(reason.len() > 10, "{place}: no reason is given");
    }
    eprintln!("{} blocks are not run", skipped.len());
    assert!(skipped.len() <= 12, "{skipped:#?}");
}
