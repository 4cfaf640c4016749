//! `crds/` is what the types say.

use std::{fs, path::Path};

use hydra_operator::api::crd_yaml;

const FILE: &str = "crds/hydra.ory.sh.yaml";

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    let committed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE));
    assert!(
        committed.is_ok_and(|committed| committed == crd_yaml().unwrap()),
        "{FILE} is not what the types in src/api say: run `make crds` and commit the result"
    );
}
