//! `deploy/Dockerfile` cannot be built here. What it says has to be what the image says that is made without it.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::made::{Made, crane};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The instructions, each in one line.
fn instructions() -> Vec<String> {
    let text = read("deploy/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn only(start: &str) -> String {
    let all = instructions();
    let found: Vec<_> = all.iter().filter_map(|line| line.strip_prefix(start)).collect();
    let [only] = found[..] else { panic!("{start}: {found:?}") };
    only.to_owned()
}

#[tokio::test]
async fn image_of_the_dockerfile_is_configured_alike() {
    let made = Made::shared().await;
    let image: Value = serde_json::from_str(&crane(&["config", &made.name()])).unwrap();
    let config = &image["config"];
    assert_eq!(config["User"], only("USER "));
    assert_eq!(config["Entrypoint"].to_string(), only("ENTRYPOINT "));

    // `key="value"`, where a value may have spaces.
    let labels: BTreeMap<_, _> = only("LABEL ")
        .split_inclusive("\" ")
        .map(|label| {
            let (key, value) = label.trim().split_once('=').unwrap();
            (key.to_owned(), value.trim_matches('"').to_owned())
        })
        .collect();
    let expected = config["Labels"].as_object().unwrap();
    assert!(labels.keys().eq(expected.keys()), "{labels:?}");
    for (key, value) in &labels {
        // Others are known when it is built.
        if !value.contains('$') {
            assert_eq!(expected[key], **value, "{key}");
        }
    }
    let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(instructions().contains(&format!("ARG {version}")));
}

#[test]
fn dockerfile_builds_with_the_toolchain_and_the_flags_of_the_image() {
    let toolchain = read("rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
    let image = format!("rust:{}-", version.trim_matches('"'));
    assert!(instructions().iter().any(|line| line.starts_with("ARG ") && line.contains(&image)));
    let flags = "--bin hydra-operator -- -C target-feature=+crt-static";
    assert!(only("RUN ").ends_with(flags));
    let script = read("deploy/image/build").replace("\\\n", " ");
    let words = script.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(flags));
}
