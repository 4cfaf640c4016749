//! What a replica that leads no more sends to Hydra, seen from the other end of the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hydra_operator::fence::Fence;
use hydra_operator::hydra::{
    ErrorKind, Hydra, HydraConfig, HydraError, KeyId, KeyRequest, KeySetName,
};
use hydra_operator::jose::Jwk;
use serde_json::json;
use tokio::time::Instant;

use crate::scripted::{absent, no_route};
use crate::scripted_server::{Reply, Scripted};
use crate::{client, config, id};

/// A client behind a fence, and a Hydra 1 that holds nothing. Once `upgraded` it is a Hydra 2, which tells writes for the former
/// one that their place is another, and calls `redirecting` before.
fn fenced(
    redirecting: impl Fn(&Fence) + Send + Sync + 'static,
) -> (Scripted, Hydra, Fence, Arc<AtomicBool>) {
    let (fence, upgraded) = (Fence::default(), Arc::new(AtomicBool::new(false)));
    let (of_server, state) = (fence.clone(), upgraded.clone());
    let server = Scripted::http(move |request| {
        let list = Reply::json(200, &json!([])).with("X-Total-Count", "0");
        match (state.load(Ordering::SeqCst), request.path()) {
            (false, "/clients") | (true, "/admin/clients") if request.method == "GET" => list,
            (true, path) if path.starts_with("/clients") => {
                if request.method != "GET" {
                    redirecting(&of_server);
                }
                Reply::html(307).with("Location", "http:///admin/clients")
            }
            (false, path) if path.starts_with("/admin") => no_route(),
            _ => absent(),
        }
    });
    let config = HydraConfig { fence: Some(fence.clone()), ..config(&server.url) };
    (server, Hydra::new(config).unwrap(), fence, upgraded)
}

fn writes(server: &Scripted) -> usize {
    server.requests().iter().filter(|request| request.method != "GET").count()
}

/// Tries each kind of write. Only the failures that come from the fence count.
async fn refused_writes(hydra: &Hydra) -> usize {
    let body = client(json!({ "client_id": "a" }));
    let (set, kid) = (KeySetName::parse("s").unwrap(), KeyId::parse("k").unwrap());
    let request = KeyRequest { kid: &kid, algorithm: "ES256", key_use: "sig" };
    let jwk = Jwk::from_value(json!({ "kty": "oct", "kid": "k", "k": "AAAA" })).unwrap();
    let errors: [Option<HydraError>; 5] = [
        hydra.create_client(&body, None).await.err(),
        hydra.replace_client(&id("a"), &body, None).await.err(),
        hydra.delete_client(&id("a")).await.err(),
        hydra.create_key(&set, &request).await.err(),
        hydra.put_key(&set, &kid, &jwk).await.err(),
    ];
    let is_refused = |error: &&HydraError| error.to_string().contains("does not hold the lease");
    errors.iter().flatten().filter(is_refused).count()
}

#[tokio::test]
async fn no_write_reaches_hydra_while_the_fence_is_closed_and_reads_do() {
    let (server, hydra, fence, _) = fenced(|_| {});
    assert_eq!((refused_writes(&hydra).await, writes(&server)), (5, 0), "nobody has won yet");
    assert_eq!(hydra.get_client(&id("a")).await.unwrap_err().kind(), ErrorKind::Absent);
    let reads = server.requests().len();
    assert!(reads > 0);

    fence.open_until(Instant::now() + Duration::from_hours(1));
    assert_eq!((refused_writes(&hydra).await, writes(&server)), (0, 5));

    fence.close();
    assert_eq!((refused_writes(&hydra).await, writes(&server)), (5, 5));
    assert_eq!(hydra.get_client(&id("a")).await.unwrap_err().kind(), ErrorKind::Absent);
    assert!(server.requests().len() > reads + 5);
}

/// A write is sent again to a Hydra that turns out to be of another generation.
#[tokio::test]
async fn a_write_that_is_to_be_repeated_is_not_once_the_fence_is_closed() {
    for (closes, expected) in [(false, 2), (true, 1)] {
        let (server, hydra, fence, upgraded) = fenced(move |fence| {
            if closes {
                fence.close();
            }
        });
        fence.open_until(Instant::now() + Duration::from_hours(1));
        hydra.generation().await.unwrap();
        upgraded.store(true, Ordering::SeqCst);
        let deleted = hydra.delete_client(&id("a")).await;
        assert_eq!(deleted.is_err(), closes, "{deleted:?}");
        assert_eq!(writes(&server), expected);
    }
}
