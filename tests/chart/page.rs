//! The commands of `docs/migration.md`, by the heading that they stand below, and a shell that runs them as a person does.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    cluster::Cluster,
    support::{binaries, folder::Folder},
};

const PAGE: &str = "docs/migration.md";

/// How many blocks of commands stand below each heading that has some, in the order of the page: those that the tests run.
const RUN: [(&str, usize); 7] = [
    ("2. Keep the definition from being pruned", 1),
    ("3. Back up", 1),
    ("4. Look first", 1),
    ("5. Stop hydra-maester", 1),
    ("6. Switch on", 3),
    ("7. Take hydra-maester out of its release", 1),
    ("Going back", 3),
];

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The blocks below each heading of the second level.
fn blocks() -> Vec<(String, Vec<String>)> {
    let page = fs::read_to_string(repository(PAGE)).unwrap();
    let sections = page.split("\n## ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').unwrap();
        let blocks = text.split("```sh\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("```").next().unwrap().to_owned());
        (heading.to_owned(), blocks.collect::<Vec<_>>())
    });
    sections.filter(|(_, blocks)| !blocks.is_empty()).collect()
}

#[test]
fn each_documented_step_of_the_migration_is_run() {
    let found: Vec<_> =
        blocks().into_iter().map(|(heading, blocks)| (heading, blocks.len())).collect();
    let expected = RUN.map(|(heading, count)| (heading.to_owned(), count));
    assert_eq!(found, expected);
}

/// Runs the commands in a folder with what the repository has, as the administrator of a cluster.
pub struct Shell {
    folder: Folder,
    /// What stands for what the page names.
    here: BTreeMap<&'static str, String>,
}

impl Shell {
    /// For `cluster`. `ory` is the path of the chart of Hydra.
    pub fn new(cluster: &Cluster, ory: &Path) -> Self {
        let folder = Folder::new("shell");
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
        };
        for name in ["charts", "deploy", "crds"] {
            link(&repository(name), name);
        }
        link(&binaries::helm(), "helm");
        link(&binaries::kubectl(), "kubectl");
        link(cluster.cp.admin_kubeconfig(), "kubeconfig");
        let here = BTreeMap::from([
            ("http://hydra-admin.hydra:4445", cluster.hydra.admin_url().to_owned()),
            (" ory/hydra ", format!(" {} ", ory.display())),
        ]);
        Self { folder, here }
    }

    /// Runs the block below the heading, counted from 0, and returns what it says.
    pub fn run(&self, heading: &str, block: usize) -> String {
        let (_, blocks) = blocks().into_iter().find(|(found, _)| found == heading).unwrap();
        self.run_text(&blocks[block])
    }

    /// Runs a text of its own.
    pub fn run_text(&self, text: &str) -> String {
        let text =
            self.here.iter().fold(text.to_owned(), |text, (there, here)| text.replace(there, here));
        let folder = self.folder.path();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &text])
            .current_dir(folder)
            .env_clear()
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("HOME", folder)
            .env("KUBECONFIG", folder.join("kubeconfig"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text} failed: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file that the commands have written.
    pub fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}
