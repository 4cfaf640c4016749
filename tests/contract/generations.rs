//! How the generation of a Hydra is found, and found again.

use hydra_operator::hydra::{Deletion, ErrorKind, Generation};
use serde_json::json;

use crate::server::{Program, Server};
use crate::{client, hydra, id};

crate::on_both_generations!(the_generation_is_found_by_behaviour);

/// The generation that a version belongs to: the binary may be one that the caller provides.
pub fn generation_of(version: &str) -> Generation {
    match version.trim_start_matches('v').split('.').next() {
        Some("1") => Generation::V1,
        Some("2") => Generation::V2,
        _ => Generation::V25,
    }
}

async fn the_generation_is_found_by_behaviour(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    let version = hydra.version().await.unwrap();
    assert_eq!(hydra.generation().await.unwrap(), generation_of(&version), "{version}");
    // Nor does a listing change it, empty or not.
    for expected in 0..2 {
        assert_eq!(hydra.list_clients(None).await.unwrap().len(), expected);
        assert_eq!(hydra.generation().await.unwrap(), generation_of(&version), "{version}");
        hydra.create_client(&client(json!({})), None).await.unwrap();
    }
}

/// Each operation is the first to meet another generation, once.
async fn the_generation_is_found_again(before: Program, after: Program) {
    let server = Server::start(before).await;
    let url = server.admin_url();
    let known: Vec<_> = (0..5).map(|_| hydra(&url)).collect();
    for hydra in &known {
        hydra.generation().await.unwrap();
    }
    let ports = server.ports();
    drop(server);
    let _server = Server::start_with(after, ports, &[]).await;

    let desired = client(json!({"client_id": "a"}));
    assert_eq!(known[0].get_client(&id("a")).await.unwrap_err().kind(), ErrorKind::Absent);
    known[1].create_client(&desired, None).await.unwrap();
    known[2].replace_client(&id("a"), &desired, None).await.unwrap();
    assert_eq!(known[3].list_clients(None).await.unwrap().len(), 1);
    assert_eq!(known[4].delete_client(&id("a")).await.unwrap(), Deletion::Deleted);
    let version = known[0].version().await.unwrap();
    for hydra in &known {
        assert_eq!(hydra.generation().await.unwrap(), generation_of(&version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_noticed() {
    the_generation_is_found_again(Program::Hydra1, Program::Hydra2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_is_noticed() {
    the_generation_is_found_again(Program::Hydra2, Program::Hydra1).await;
}
