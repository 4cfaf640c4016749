//! What is removed from Git, and put back.

use serde_json::json;

use crate::{
    support::{Generation, Hydra, Operator, OperatorOptions, eventually, folder::Folder},
    tenant::Tenant,
};

const PRUNE: &[&str] = &[
    "apply",
    "--prune",
    "--selector=team=shop",
    "--prune-allowlist=hydra.ory.sh/v1alpha1/OAuth2Client",
    "--filename",
];

fn manifest(name: &str, deletion_policy: &str) -> String {
    json!({
        "apiVersion": "hydra.ory.sh/v1alpha1",
        "kind": "OAuth2Client",
        "metadata": { "name": name, "labels": { "team": "shop" } },
        "spec": {
            "grantTypes": ["client_credentials"],
            "secretName": name,
            "deletionPolicy": deletion_policy,
        },
    })
    .to_string()
}

/// What a Secret says.
async fn credentials(tenant: &Tenant, name: &str) -> Option<[String; 2]> {
    let key = async |key| tenant.secret(name, key).await;
    Some([key("CLIENT_ID").await?, key("CLIENT_SECRET").await?])
}

async fn synced(tenant: &Tenant, folder: &Folder, names: &[&str]) -> Vec<[String; 2]> {
    tenant.kubectl(&[PRUNE, &[folder.path().to_str().unwrap()]].concat());
    eventually("what is pruned is gone", async || {
        let left = tenant.all().await;
        if left.len() == names.len() { Ok(()) } else { Err(left) }
    })
    .await;
    tenant.healthy().await;
    let mut found = Vec::new();
    for name in names {
        found.push(credentials(tenant, name).await.unwrap());
    }
    found
}

#[tokio::test]
async fn what_is_pruned_is_revoked_or_orphaned_and_comes_back() {
    let (tenant, hydra) = (Tenant::new("prune").await, Hydra::shared(Generation::V2).await);
    let options = OperatorOptions::new(hydra.admin_url()).namespaces([&tenant.namespace]);
    let _operator = Operator::start(tenant.cp, options).await;
    let (whole, rest) = (Folder::new("whole"), Folder::new("rest"));
    whole.write("kept.yaml", manifest("kept", "delete"));
    rest.write("kept.yaml", manifest("kept", "delete"));
    whole.write("pruned.yaml", manifest("pruned", "delete"));
    whole.write("orphaned.yaml", manifest("orphaned", "orphan"));
    let names = ["kept", "pruned", "orphaned"];
    let before = synced(&tenant, &whole, &names).await;

    assert_eq!(synced(&tenant, &rest, &names[..1]).await, before[..1]);
    assert_eq!(hydra.get_client(&before[1][0]).await, None, "the pruned one is revoked");
    assert!(hydra.token(&before[2][0], &before[2][1]).await.is_ok(), "the orphan works on");

    let after = synced(&tenant, &whole, &names).await;
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1][0], before[1][0], "a new client");
    assert_ne!(after[1][1], before[1][1], "with a new secret");
    assert_eq!(after[2], before[2], "the client and the Secret that were left");
    for [id, secret] in &after {
        assert!(hydra.token(id, secret).await.is_ok());
    }
}
