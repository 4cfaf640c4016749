//! The harness itself: what the other tests rely on.

#[path = "../support/mod.rs"]
mod support;

use support::{ControlPlane, Generation, Hydra};

#[tokio::test]
async fn control_plane_comes_up() {
    let start = std::time::Instant::now();
    let cp = ControlPlane::shared().await;
    println!("{:?}", start.elapsed());
    let name = cp.namespace("first").await;
    assert!(cp.kubectl(&["get", "namespaces"]).contains(&name));
}

#[tokio::test]
async fn hydra_comes_up() {
    for generation in Generation::ALL {
        let start = std::time::Instant::now();
        let hydra = Hydra::shared(generation).await;
        println!("{:?}", start.elapsed());
        assert_eq!(hydra.list_all_clients().await.len(), 0);
    }
}
