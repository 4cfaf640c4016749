//! The listing of clients over all pages.

use std::collections::HashSet;

use hydra_operator::hydra::OAuth2Client;
use serde_json::json;

use crate::server::{Program, Server};
use crate::{client, hydra};

crate::on_both_generations!(all_pages_are_read);

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

fn ids(clients: &[OAuth2Client]) -> HashSet<&str> {
    clients.iter().map(|client| client.client_id.as_deref().unwrap()).collect()
}
