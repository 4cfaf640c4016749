//! `crds/` is what the types say.

use std::{env, fs, path::Path};

use hydra_operator::api::crd_yaml;

const FILE: &str = "crds/hydra.ory.sh_oauth2clients.yaml";

/// Set to rewrite the file instead of comparing it.
const UPDATE: &str = "UPDATE_CRDS";

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let generated = crd_yaml().unwrap();
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{FILE} differs from src/api: run `make crds` and commit it");
}
