//! What a cluster does with a Deployment of the operator: its pod runs, and its status says so. One pod, whatever the number
//! of replicas: there is one machine.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    pod::Pod,
    support::{ControlPlane, crds},
};

const CONTAINER: &str = "hydra-operator";
const INTERVAL: Duration = Duration::from_millis(100);

/// Follows the Deployments until it is dropped.
pub async fn run(cp: &ControlPlane) -> ! {
    let client = cp.client().await;
    let mut pods: BTreeMap<String, (Value, Pod)> = BTreeMap::new();
    loop {
        let mut wanted = wanted(&client).await;
        let gone = |(name, (template, _)): &(&String, &(Value, Pod))| {
            wanted.get(*name).is_none_or(|found| found["spec"]["template"] != *template)
        };
        let gone: Vec<_> = pods.iter().filter(gone).map(|(name, _)| name.clone()).collect();
        for name in gone {
            if let Some((_, pod)) = pods.remove(&name) {
                pod.delete().await;
            }
        }
        wanted.retain(|name, _| !pods.contains_key(name));
        for (name, deployment) in wanted {
            let pod = start(cp, &client, &deployment).await;
            pods.insert(name, (deployment["spec"]["template"].clone(), pod));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The Deployments of the operator that are to have a pod.
async fn wanted(client: &Client) -> BTreeMap<String, Value> {
    let api: Api<Deployment> = Api::all(client.clone());
    let found = api.list(&ListParams::default()).await.unwrap();
    let wanted = found.into_iter().filter_map(|deployment| {
        let uid = deployment.uid()?;
        let deployment = json!(deployment);
        let containers = deployment["spec"]["template"]["spec"]["containers"].as_array()?;
        let runs = containers.iter().any(|container| container["name"] == CONTAINER)
            && deployment["spec"]["replicas"] != 0
            && deployment["metadata"]["deletionTimestamp"].is_null();
        runs.then_some((uid, deployment))
    });
    wanted.collect()
}

async fn start(cp: &ControlPlane, client: &Client, deployment: &Value) -> Pod {
    let (name, namespace) =
        (deployment["metadata"]["name"].as_str().unwrap(), &deployment["metadata"]["namespace"]);
    // Its controller does not run here.
    let authority = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "kube-root-ca.crt", "namespace": namespace },
        "data": { "ca.crt": cp.ca_certificate() },
    });
    crds::apply(client, authority).await;
    let pod = Pod::start(cp, deployment).await;
    let replicas = &deployment["spec"]["replicas"];
    let status = json!({ "status": {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "conditions": [{ "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable" }],
    }});
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace.as_str().unwrap());
    let patched = api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await;
    // It may have been deleted meanwhile.
    if let Err(error) = patched {
        assert!(matches!(&error, kube::Error::Api(status) if status.code == 404), "{error}");
    }
    pod
}
