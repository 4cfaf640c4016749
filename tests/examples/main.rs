//! The manifests of `deploy/examples/`, which people copy, are accepted by a real API server.

#[path = "../support/mod.rs"]
mod support;

use support::ControlPlane;

#[tokio::test]
async fn every_example_is_accepted() {
    let control_plane = ControlPlane::shared().await;
    // The server judges them strictly: an unknown field, such as a mistyped one, is refused.
    let accepted = control_plane.kubectl(&[
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "deploy/examples/",
    ]);
    assert!(accepted.lines().count() > 1, "{accepted}");
}
