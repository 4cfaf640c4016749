//! The bill of materials that refers to the image.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::made::{Made, crane, text};

const TYPE: &str = "application/vnd.cyclonedx+json";

/// The bill as the registry has it.
pub struct Bill {
    pub text: String,
    content: Value,
}

impl Bill {
    /// Found by the digest of the image alone, as a scanner finds it. The registry has no API for that, so the list is where
    /// the distribution specification puts it then: at a tag that is made of the digest.
    pub fn of(made: &Made) -> Self {
        let list = made.manifest(&format!(":{}", made.digest.replace(':', "-")));
        let [referrer] = &list["manifests"].as_array().unwrap()[..] else { panic!("{list}") };
        assert_eq!(referrer["artifactType"], TYPE);
        let manifest = made.manifest(&format!("@{}", referrer["digest"].as_str().unwrap()));
        assert_eq!(manifest["subject"]["digest"], *made.digest);
        let [layer] = &manifest["layers"].as_array().unwrap()[..] else { panic!("{manifest}") };
        assert_eq!(layer["mediaType"], TYPE);
        let digest = layer["digest"].as_str().unwrap();
        let text = crane(&["blob", &format!("{}@{digest}", made.repository)]);
        let content = serde_json::from_str(&text).unwrap();
        Self { text, content }
    }

    fn components(&self) -> &[Value] {
        self.content["components"].as_array().unwrap()
    }

    /// The crates, as `name@version`.
    fn crates(&self) -> BTreeSet<&str> {
        let purls = self.components().iter().map(|component| component["purl"].as_str().unwrap());
        purls.filter_map(|purl| purl.strip_prefix("pkg:cargo/")).collect()
    }
}

#[tokio::test]
async fn lists_exactly_the_crates_that_are_linked() {
    let made = Made::shared().await;
    let bill = Bill::of(made);
    assert_eq!(bill.content["bomFormat"], "CycloneDX");
    assert_eq!(bill.content["specVersion"], "1.6");
    assert_eq!(bill.content["metadata"]["component"]["name"], env!("CARGO_PKG_NAME"));
    let version = Command::new("rustc").args(["--version", "--verbose"]).output().unwrap();
    let version = text(&version);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let tree = Command::new("cargo")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "--locked", "--edges=normal,no-proc-macro", "--prefix=none"])
        .args(["--format={p}", "--target", host])
        .output()
        .unwrap();
    let tree = text(&tree);
    let linked = tree.lines().skip(1).map(|line| {
        let mut words = line.split(' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        format!("{name}@{}", version.strip_prefix('v').unwrap())
    });
    let linked: BTreeSet<_> = linked.collect();
    assert!(linked.len() > 100, "{linked:?}");
    assert_eq!(bill.crates(), linked.iter().map(String::as_str).collect());
}

/// Not from what Cargo says, but from the places of panics that are in the binary.
#[tokio::test]
async fn lists_each_crate_that_the_binary_names() {
    let made = Made::shared().await;
    let bill = Bill::of(made);
    let binary = fs::read(made.unpack().path().join("hydra-operator")).unwrap();
    let text = String::from_utf8_lossy(&binary);
    let named: BTreeSet<String> = text
        .match_indices("/registry/src/")
        .filter_map(|(at, start)| {
            // <index>/<name>-<version>/src/...
            let folder = text[at + start.len()..].split('/').nth(1)?;
            let end = folder.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.+".contains(c));
            Some(folder[..end.unwrap_or(folder.len())].to_owned())
        })
        .collect();
    assert!(named.len() > 20, "{named:?}");
    let listed: BTreeSet<_> = bill.crates().iter().map(|purl| purl.replace('@', "-")).collect();
    let missing: Vec<_> = named.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn says_of_each_component_what_a_scanner_asks_for() {
    let bill = Bill::of(Made::shared().await);
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"));
    let lock = lock.unwrap();
    let checksums: BTreeMap<_, _> = lock
        .split("[[package]]")
        .filter_map(|package| {
            let field = |name: &str| {
                let lines = package.lines();
                let mut found = lines.filter_map(|line| line.strip_prefix(name));
                found.next().map(|value| value.trim_matches('"'))
            };
            let name = format!("pkg:cargo/{}@{}", field("name = ")?, field("version = ")?);
            Some((name, field("checksum = ")?))
        })
        .collect();
    for component in bill.components() {
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!licence.is_empty() && !licence.contains('/'), "{component}");
        let purl = component["purl"].as_str().unwrap();
        if purl.starts_with("pkg:cargo/") {
            assert_eq!(component["hashes"][0]["alg"], "SHA-256");
            assert_eq!(component["hashes"][0]["content"], checksums[purl], "{purl}");
        }
    }
    // What is in a static binary and is no crate.
    for name in ["rust-std", "glibc", "gcc"] {
        let found = bill.components().iter().find(|component| component["name"] == name);
        let version = found.and_then(|found| found["version"].as_str()).unwrap();
        assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{name} {version}");
    }
    // Each is needed by something.
    let dependencies = bill.content["dependencies"].as_array().unwrap();
    let needed: BTreeSet<_> = dependencies
        .iter()
        .flat_map(|dependency| dependency["dependsOn"].as_array().into_iter().flatten())
        .map(|purl| purl.as_str().unwrap())
        .collect();
    let listed = bill.components().iter().map(|component| component["bom-ref"].as_str().unwrap());
    assert_eq!(needed, listed.collect());
}
