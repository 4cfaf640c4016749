//! The commands of `docs/install.md`: tests run them as they are there, but for the address of Hydra.

use std::{fs, path::Path};

const ADDRESS: &str = "http://hydra-admin.hydra:4445";

/// Words that tell one command from the others, for each that a test runs.
const RUN: [&str; 14] = [
    INSTALL,
    UPGRADE,
    ROLL_BACK,
    UNINSTALL,
    TAKE_OVER,
    NAMESPACED,
    APPLY,
    DELETE,
    LET_GO,
    KUSTOMIZE,
    LIST_SECRETS,
    STOP,
    STOPPED,
    ELECT,
];
pub const INSTALL: &str = "--create-namespace --set hydra.adminUrl=http://hydra-admin.hydra:4445$";
pub const UPGRADE: &str = "--reset-then-reuse-values$";
pub const STOP: &str = "--replicas=0$";
pub const STOPPED: &str = "kubectl -n hydra-operator-system wait --for=delete pod";
pub const ELECT: &str = "--set leaderElection.enabled=true --force-conflicts$";
pub const LIST_SECRETS: &str = "rbac.secretNamespaces=";
pub const ROLL_BACK: &str = "helm rollback";
pub const UNINSTALL: &str = "helm uninstall";
pub const TAKE_OVER: &str = "--take-ownership";
pub const NAMESPACED: &str = "ci/namespaced-values.yaml";
pub const APPLY: &str = "kubectl apply --server-side -k deploy/crds";
pub const DELETE: &str = "kubectl delete";
pub const LET_GO: &str = "kubectl patch";
pub const KUSTOMIZE: &str = "kubectl apply --server-side -k deploy/overlay";

/// All commands of the page, each in one line.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md");
    let page = fs::read_to_string(path).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .flat_map(|block| {
            let joined = block.replace("\\\n", " ");
            joined
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn is_named(command: &str, words: &str) -> bool {
    words.strip_suffix('$').map_or_else(|| command.contains(words), |end| command.ends_with(end))
}

/// The words of the commands that `name` tells apart, for the Hydra at `url`.
pub fn documented(name: &str, url: &str) -> Vec<Vec<String>> {
    let found: Vec<Vec<String>> = commands()
        .iter()
        .filter(|command| is_named(command, name))
        .map(|command| {
            let command = command.replace(ADDRESS, url);
            command.split(' ').map(|word| word.replace('\'', "")).collect()
        })
        .collect();
    assert!(!found.is_empty(), "docs/install.md has no command {name}");
    found
}

#[test]
fn each_documented_command_is_run() {
    for command in commands() {
        let run = RUN.iter().any(|name| is_named(&command, name));
        assert!(run, "no test runs: {command}");
    }
}
