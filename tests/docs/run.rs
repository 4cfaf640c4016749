//! Runs the commands of a page.

use std::{fmt::Write, fs, os::unix::fs::symlink, path::PathBuf, time::Duration};

use crate::{
    kubelet,
    output::missing,
    page::{Page, Part, Step, repository},
    support::{
        ControlPlane, Generation, Hydra, binaries, eventually::within, folder::Folder,
        process::Program,
    },
};

/// For all commands of a page.
const LIMIT: Duration = Duration::from_mins(5);

/// What a page may take from the repository.
const SHARED: [&str; 4] = ["charts", "crds", "deploy", "docs"];

/// In place of a person who starts the operator in one window and goes on in another. There is one at a time.
const HYDRA_OPERATOR: &str = r#"#!/usr/bin/env bash
set -eu
[[ ${1-} == run ]] || exec "$HYDRA_OPERATOR" "$@"
if [[ -e $HOME/operator.pid ]]; then
  former=$(<"$HOME/operator.pid")
  kill "$former"
  while kill -0 "$former" 2>/dev/null; do sleep 0.05; done
fi
"$HYDRA_OPERATOR" "$@" --admin-listen=127.0.0.1:0 >>"$HOME/operator.log" 2>&1 </dev/null &
echo $! >"$HOME/operator.pid"
"#;

/// For pages that take an operator for granted. The definitions are there already.
const OPERATOR: &str = r#"#!/usr/bin/env bash
exec helm install hydra-operator charts/hydra-operator --namespace hydra-operator-system --create-namespace \
  --set crds.enabled=false --set hydra.adminUrl="$HYDRA_ADMIN_URL" --set hydra.publicUrl="$HYDRA_PUBLIC_URL" "$@"
"#;

/// Runs the commands of the page `path`, in their order.
pub async fn page(path: &str) {
    let (cp, hydra) = tokio::join!(ControlPlane::start(), Hydra::start(Generation::V2));
    let run = Run::new(Page::read(path), &cp, &hydra);
    tokio::select! {
        never = kubelet::run(&cp) => never,
        () = run.finish() => {}
    }
}

struct Run {
    page: Page,
    folder: Folder,
    program: Program,
    addresses: [(&'static str, String); 2],
}

impl Run {
    fn new(page: Page, cp: &ControlPlane, hydra: &Hydra) -> Self {
        let folder = Folder::new("page");
        let home = folder.path();
        for name in ["bin", "work", "steps", "out"] {
            fs::create_dir(home.join(name)).unwrap();
        }
        for name in SHARED {
            symlink(repository(name), home.join("work").join(name)).unwrap();
        }
        for (name, path) in [
            ("kubectl", binaries::kubectl()),
            ("helm", binaries::helm()),
            ("hydra", binaries::hydra_v2()),
        ] {
            symlink(path, home.join("bin").join(name)).unwrap();
        }
        for (name, script) in [("hydra-operator", HYDRA_OPERATOR), ("operator", OPERATOR)] {
            executable(&folder, name, script);
        }
        let path = format!("{}/bin:{}", home.display(), std::env::var("PATH").unwrap());
        let program = Program::new("page", "bash".into())
            .arg("page.sh")
            .env([("PATH", path)])
            .env([("KUBECONFIG", cp.admin_kubeconfig())])
            .env([("HYDRA_OPERATOR", env!("CARGO_BIN_EXE_hydra-operator"))])
            .env([("HYDRA_ADMIN_URL", hydra.admin_url())])
            .env([("HYDRA_PUBLIC_URL", hydra.public_url())]);
        let addresses = [
            ("http://hydra-admin.hydra:4445", hydra.admin_url().to_owned()),
            ("http://hydra-public.hydra:4444", hydra.public_url().to_owned()),
        ];
        let run = Self { page, folder, program, addresses };
        run.write_script();
        run
    }

    fn here(&self, text: &str) -> String {
        let [admin, public] = &self.addresses;
        text.replace(admin.0, &admin.1).replace(public.0, &public.1)
    }

    /// Steps are parts of one shell, so that variables last. The first that fails ends it.
    fn write_script(&self) {
        let mut script = "set -e -o pipefail\ncd work\n".to_owned();
        for (part, number) in self.page.parts().iter().zip(0..) {
            let file = format!("steps/{number}");
            match part {
                Part::Skipped { .. } => {}
                Part::File { name, content } => {
                    self.folder.write(&file, self.here(content));
                    writeln!(script, "cp ../{file} '{name}'").unwrap();
                }
                Part::Step(step) => {
                    self.folder.write(&file, self.here(&step.commands));
                    let call = format!("../{file} >../out/{number} 2>&1 </dev/null");
                    writeln!(script, "echo {number} >../at").unwrap();
                    if step.fails() {
                        writeln!(script, "if (. {call}); then echo 'It did not fail.'; exit 1; fi")
                    } else {
                        writeln!(script, ". {call}")
                    }
                    .unwrap();
                }
            }
        }
        self.folder.write("page.sh", script);
    }

    async fn finish(&self) {
        let mut shell = self.program.start(&self.folder);
        let status = within(LIMIT, async || shell.exit_status()).await;
        for (part, number) in self.page.parts().iter().zip(0..) {
            let Part::Step(step) = part else { continue };
            if status != Ok(0) && self.at() == Some(number) {
                self.fail(step, &format!("ended with {status:?}: {}", shell.log_tail()), number);
            }
            let prints: Vec<_> = step.prints.iter().map(|line| self.here(line)).collect();
            if let Some(line) = missing(&prints, &self.printed(number)) {
                self.fail(step, &format!("did not print `{line}`"), number);
            }
        }
        assert_eq!(status, Ok(0), "{}: {}", self.page.path, shell.log_tail());
    }

    fn at(&self) -> Option<usize> {
        fs::read_to_string(self.folder.path().join("at")).ok()?.trim().parse().ok()
    }

    fn printed(&self, number: usize) -> String {
        let path: PathBuf = self.folder.path().join(format!("out/{number}"));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    fn fail(&self, step: &Step, why: &str, number: usize) -> ! {
        panic!(
            "{}:{}: this {why}\n{}\nwhat it printed:\n{}",
            self.page.path,
            step.line,
            step.commands,
            self.printed(number)
        )
    }
}

fn executable(folder: &Folder, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.write(&format!("bin/{name}"), script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
