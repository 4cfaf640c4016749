//! What is in the image, and what is refused to be put into one.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

use crate::{
    made::{Made, Unpacked, crane, text, tool},
    support::folder::Folder,
};

/// Mode, owner and name of everything in the image.
const FILES: [&str; 11] = [
    "drwxr-xr-x 0/0 etc",
    "-rw-r--r-- 0/0 etc/group",
    "-rw-r--r-- 0/0 etc/nsswitch.conf",
    "-rw-r--r-- 0/0 etc/passwd",
    "drwxr-xr-x 0/0 etc/ssl",
    "drwxr-xr-x 0/0 etc/ssl/certs",
    "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
    "-rwxr-xr-x 0/0 hydra-operator",
    "drwxr-xr-x 0/0 licenses",
    "-rw-r--r-- 0/0 licenses/LICENSE",
    "drwxrwxrwt 0/0 tmp",
];

#[tokio::test]
async fn registry_has_a_valid_image_of_this_digest() {
    let made = Made::shared().await;
    crane(&["validate", "--remote", &made.name()]);
    assert_eq!(crane(&["digest", &format!("{}:test", made.repository)]).trim(), made.digest);
}

#[tokio::test]
async fn configuration_runs_the_operator_as_nobody_special() {
    let made = Made::shared().await;
    let image: Value = serde_json::from_str(&crane(&["config", &made.name()])).unwrap();
    let config = &image["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/hydra-operator"]));
    assert_eq!(config["Cmd"], Value::Null);
    assert_eq!(image["os"], "linux");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => panic!("there is no image for {other}"),
    };
    assert_eq!(image["architecture"], architecture);

    let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("title"), env!("CARGO_PKG_NAME"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("source"), env!("CARGO_PKG_REPOSITORY"));
    assert!(label("revision").as_str().is_some_and(|revision| !revision.is_empty()));
    assert_eq!(label("created"), &image["created"]);
    let digest = format!("@{}", made.digest);
    assert_eq!(made.manifest(&digest)["annotations"], config["Labels"]);
}

#[tokio::test]
async fn root_has_what_is_needed_and_nothing_else() {
    let made = Made::shared().await;
    let root = made.unpack();
    let listed = Command::new("tar")
        .args(["--list", "--verbose", "--numeric-owner", "--full-time", "--utc", "--file"])
        .arg(root.archive())
        .output()
        .unwrap();
    let listed = text(&listed);
    let columns = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let found = columns.map(|columns| format!("{} {} {}", columns[0], columns[1], columns[5]));
    assert_eq!(found.collect::<Vec<_>>(), FILES);

    let authorities = root.path().join("etc/ssl/certs/ca-certificates.crt");
    let authorities = reqwest::Certificate::from_pem_bundle(&fs::read(authorities).unwrap());
    assert!(authorities.unwrap().len() > 100);
}

#[tokio::test]
async fn size_is_what_is_promised() {
    let made = Made::shared().await;
    let manifest = made.manifest(&format!("@{}", made.digest));
    let compressed = manifest["layers"][0]["size"].as_u64().unwrap();
    let unpacked = fs::metadata(made.unpack().archive()).unwrap().len();
    if let Some(limit) = made.limit {
        assert!(compressed < unpacked && unpacked < limit, "{compressed} {unpacked}");
    }
    // That the limit is kept for each image is the business of what makes it.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/image/build");
    assert!(fs::read_to_string(script).unwrap().contains("limit=${IMAGE_LIMIT:-25000000}"));
    let parts = Parts::of(made);
    let refused = parts.assemble(&["-limit=1000"]).unwrap_err();
    assert!(refused.contains("bytes unpacked, more than 1000"), "{refused}");
}

#[tokio::test]
async fn same_parts_make_the_same_image() {
    let parts = Parts::of(Made::shared().await);
    let once = parts.assemble(&[]).unwrap();
    assert!(once.contains("DIGEST=sha256:"), "{once}");
    // Neither the times of the files nor what was in the folder has a part in it.
    fs::write(parts.folder.path().join("layout/blobs/left-over"), "").unwrap();
    let binary = fs::read(&parts.binary).unwrap();
    fs::write(&parts.binary, binary).unwrap();
    assert_eq!(parts.assemble(&[]).unwrap(), once);
    assert!(!parts.folder.path().join("layout/blobs/left-over").exists());
}

#[tokio::test]
async fn what_is_not_static_is_refused() {
    let mut parts = Parts::of(Made::shared().await);
    parts.binary = std::env::current_exe().unwrap().display().to_string();
    let refused = parts.assemble(&[]).unwrap_err();
    assert!(refused.contains("is not static: it needs a loader (PT_INTERP)"), "{refused}");
}

/// What an image is assembled from, taken out of one.
struct Parts {
    folder: Folder,
    _root: Unpacked,
    binary: String,
}

impl Parts {
    fn of(made: &Made) -> Self {
        let (folder, root) = (Folder::new("parts"), made.unpack());
        let bill = crate::bill::Bill::of(made).text;
        fs::write(folder.path().join("sbom.cdx.json"), bill).unwrap();
        let binary = root.path().join("hydra-operator").display().to_string();
        Self { folder, _root: root, binary }
    }

    fn assemble(&self, further: &[&str]) -> Result<String, String> {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let args = [
            "assemble".to_owned(),
            format!("-binary={}", self.binary),
            format!("-sbom={}", at("sbom.cdx.json")),
            "-licence=LICENSE".to_owned(),
            "-revision=0123456789abcdef".to_owned(),
            format!("-to={}", at("layout")),
        ];
        let args: Vec<_> = args.iter().map(String::as_str).chain(further.iter().copied()).collect();
        let output = tool(&args);
        if output.status.success() {
            Ok(text(&output))
        } else {
            Err(String::from_utf8(output.stderr).unwrap())
        }
    }
}
