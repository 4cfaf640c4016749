//! The image that is tested, and the registry that it is in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::support::{
    binaries,
    folder::Folder,
    hydra_api::http,
    ports::free_port,
    process::{PortTaken, Process, Program, ready, start_with_retry},
};

/// An image in a registry that runs as long as this test process.
pub struct Made {
    /// Its digest.
    pub digest: String,
    /// Its name without a tag.
    pub repository: String,
    /// The limit of size that it was made with, unless it is of the profile `dev`.
    pub limit: Option<u64>,
    _registry: Process,
    _folder: Folder,
}

impl Made {
    /// The one of this test process, made and pushed at the first call.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Made> = OnceCell::const_new();
        SHARED.get_or_init(Self::new).await
    }

    async fn new() -> Self {
        let folder = Folder::new("image");
        let given = std::env::var_os("IMAGE_LAYOUT").map(PathBuf::from);
        let limit = given.is_some().then_some(25_000_000);
        let (registry, address) = start_with_retry(async || registry(&folder).await).await;
        let repository = format!("{address}/hydra-operator");
        let name = format!("{repository}:test");
        let (layout, printed) = match given {
            Some(layout) => {
                let from = format!("-from={}", layout.display());
                (layout, text(&tool(&["push", &from, &name])))
            }
            None => make(&folder.path().join("layout"), &name),
        };
        let index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        assert!(printed.ends_with(&format!("PUSHED={repository}@{digest}\n")), "{printed}");
        Self { digest, repository, limit, _registry: registry, _folder: folder }
    }

    /// Its name by digest.
    pub fn name(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }

    /// The manifest of the image or of what refers to it.
    pub fn manifest(&self, reference: &str) -> Value {
        serde_json::from_str(&crane(&["manifest", &format!("{}{reference}", self.repository)]))
            .unwrap()
    }

    /// Pulls it by digest and unpacks its files.
    pub fn unpack(&self) -> Unpacked {
        let unpacked = Unpacked(Folder::new("pulled"));
        fs::create_dir(unpacked.path()).unwrap();
        crane(&["export", &self.name(), unpacked.archive().to_str().unwrap()]);
        let mut tar = Command::new("tar");
        tar.args(["--extract", "--preserve-permissions", "--file"]).arg(unpacked.archive());
        text(&tar.arg("--directory").arg(unpacked.path()).output().unwrap());
        unpacked
    }
}

/// The files of the image, and the archive that they were in.
pub struct Unpacked(Folder);

impl Unpacked {
    /// The root of the image.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// All files as a tar archive.
    pub fn archive(&self) -> PathBuf {
        self.0.path().join("root.tar")
    }
}

/// Makes the image of the present state of this checkout and pushes it, by the command of `docs/image.md`. Returns its layout and what
/// the command prints.
fn make(layout: &Path, name: &str) -> (PathBuf, String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/image.md");
    let page = fs::read_to_string(page).unwrap();
    let documented = "PUSH=1 IMAGE=registry.example.com/hydra-operator:0.1.0 make image\n";
    assert!(page.contains(documented), "{documented} is run here");
    let mut command = Command::new("make");
    command.args(["--no-print-directory", "image"]);
    for (name, _) in std::env::vars_os() {
        // Of this test, to scripts that build crates: with these they would run again, and compile C for minutes.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("IMAGE_PROFILE", "dev")
        .env("IMAGE_LIMIT", "0")
        .env("IMAGE_LAYOUT", layout)
        .env("PUSH", "1")
        .env("IMAGE", name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "`make image` failed; its messages are above");
    (layout.to_owned(), text(&output))
}

async fn registry(folder: &Folder) -> Result<(Process, String), PortTaken> {
    let address = format!("127.0.0.1:{}", free_port());
    let program = Program::new("registry", binaries::crane());
    let mut process = program.args(["registry", "serve", "--address", &address]).start(folder);
    let url = format!("http://{address}/v2/");
    ready(&mut process, async || http().get(&url).send().await?.error_for_status().map(drop))
        .await?;
    Ok((process, address))
}

/// Runs crane, which is not what made the image, and returns what it prints.
pub fn crane(args: &[&str]) -> String {
    text(&Command::new(binaries::crane()).args(args).stdin(Stdio::null()).output().unwrap())
}

/// Runs the program that makes images.
pub fn tool(args: &[&str]) -> Output {
    Command::new(binaries::image_tool())
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SOURCE_DATE_EPOCH", "1767225600")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a command printed that succeeded.
pub fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}
