//! The listing of clients over all pages.

use std::collections::HashSet;

use hydra_operator::hydra::OAuth2Client;
use serde_json::json;

use crate::server::{Program, Server};
use crate::{client, hydra};

crate::on_both_generations!(all_pages_are_read, large_clients_are_listed);

/// More than one page for one owner, and a page that is exactly full.
async fn all_pages_are_read(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    assert_eq!(hydra.list_clients(None).await.unwrap(), []);
    assert_eq!(hydra.list_clients(Some("many/ns")).await.unwrap(), []);

    for number in 0..600 {
        let owner = if number % 12 == 0 { "few/ns" } else { "many/ns" };
        let desired = client(json!({ "client_id": format!("c{number}"), "owner": owner }));
        hydra.create_client(&desired, None).await.unwrap();
        if number == 499 {
            assert_eq!(ids(&hydra.list_clients(None).await.unwrap()).len(), 500);
        }
    }
    let all = hydra.list_clients(None).await.unwrap();
    assert_eq!((all.len(), ids(&all).len()), (600, 600));
    for (owner, count) in [("many/ns", 550), ("few/ns", 50), ("none/ns", 0), ("many/n", 0), ("", 0)]
    {
        let found = hydra.list_clients(Some(owner)).await.unwrap();
        assert_eq!((found.len(), ids(&found).len()), (count, count), "{owner}");
        assert!(found.iter().all(|client| client.owner.as_deref() == Some(owner)));
    }
}

/// One page of all of them is larger than what is read of an answer.
async fn large_clients_are_listed(program: Program) {
    let server = Server::start(program).await;
    let hydra = hydra(&server.admin_url());
    let text = "x".repeat(1024 * 1024);
    for number in 0..40 {
        let desired = json!({ "client_id": format!("c{number}"), "owner": "many/ns" });
        let mut desired = client(desired);
        if number >= 20 {
            desired.metadata = Some(json!({ "text": text }));
        }
        hydra.create_client(&desired, None).await.unwrap();
    }
    for owner in [None, Some("many/ns")] {
        let all = hydra.list_clients(owner).await.unwrap();
        assert_eq!((all.len(), ids(&all).len()), (40, 40));
    }
}

fn ids(clients: &[OAuth2Client]) -> HashSet<&str> {
    clients.iter().map(|client| client.client_id.as_deref().unwrap()).collect()
}
