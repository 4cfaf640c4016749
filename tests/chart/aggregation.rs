//! What people with the roles of Kubernetes may do with the resources: to write an `OAuth2Client` is to register an OAuth
//! 2.0 client, so `edit` alone does not give it.

use crate::{
    cluster::Cluster,
    documented::{INSTALL, UPGRADE},
    resources::Tenant,
    support::eventually,
};

#[tokio::test]
async fn those_who_view_read_and_those_who_edit_write_only_where_the_chart_is_told_so() {
    let cluster = Cluster::new().await;
    cluster.run(INSTALL);
    cluster.settle().await;
    let tenant = Tenant::new(&cluster.cp, "team").await;
    for role in ["view", "edit", "admin"] {
        let namespace = format!("--namespace={}", tenant.namespace);
        let (role_ref, user) = (format!("--clusterrole={role}"), format!("--user=who-may-{role}"));
        cluster.cp.kubectl(&["create", "rolebinding", role, &role_ref, &user, &namespace]);
    }
    let people = Permissions { cluster: &cluster, namespace: &tenant.namespace };
    for role in ["view", "edit", "admin"] {
        people.eventually_may(role, "list").await;
        for verb in ["create", "patch", "delete"] {
            assert!(!people.may(role, verb), "{role} may {verb}");
        }
    }

    let mut upgrade = cluster.command(UPGRADE);
    upgrade.push("--set=rbac.aggregateToEdit=true".to_owned());
    cluster.run_words(&upgrade);
    for verb in ["create", "patch", "delete"] {
        people.eventually_may("edit", verb).await;
        // The role admin has all that edit has.
        people.eventually_may("admin", verb).await;
        assert!(!people.may("view", verb));
    }
}

struct Permissions<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
}

impl Permissions<'_> {
    /// Whether somebody with the role may do it to both kinds.
    fn may(&self, role: &str, verb: &str) -> bool {
        let (user, namespace) =
            (format!("--as=who-may-{role}"), format!("--namespace={}", self.namespace));
        ["oauth2clients.hydra.ory.sh", "jsonwebkeysets.hydra.ory.sh"].iter().all(|kind| {
            let args = ["auth", "can-i", verb, kind, &user, &namespace];
            self.cluster.cp.kubectl_output(&args).status.success()
        })
    }

    /// A controller adds the rules to the role a little later.
    async fn eventually_may(&self, role: &str, verb: &str) {
        eventually(&format!("{role} may {verb}"), async || self.may(role, verb)).await;
    }
}
