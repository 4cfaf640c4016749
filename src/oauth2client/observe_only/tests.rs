use std::collections::BTreeMap;

use super::*;
use crate::{
    hydra::OAuth2Client as Client,
    kubernetes::secret_content::{KeyPair, SecretChanges, SecretContent},
    oauth2client::{
        credentials::Credentials,
        error::Reason,
        observe::RetiredSecret,
        testing::{fresh, version},
    },
};

fn plan(step: SecretStep, client: ClientStep, id_is_proposed: bool) -> Plan {
    let fresh = fresh();
    let credentials = Credentials {
        id: Some(fresh.id),
        secret: Some(fresh.secret),
        source: None,
        keys: KeyPair::new("CLIENT_ID", "CLIENT_SECRET"),
        user_provided: false,
        step,
    };
    Plan {
        credentials,
        client,
        id_is_proposed,
        moved_from: None,
        retired: Vec::new(),
        replaced: None,
        duplicates: Duplicates::Report(Vec::new()),
    }
}

fn content() -> SecretContent {
    SecretContent {
        secret_type: "Opaque".into(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        data: BTreeMap::new(),
    }
}

fn create() -> ClientStep {
    ClientStep::Create { client: Box::default(), secret: None }
}

fn replace(differing: &[&'static str], with_secret: bool) -> ClientStep {
    let secret = with_secret.then(|| fresh().secret);
    ClientStep::Replace {
        client: Box::<Client>::default(),
        secret,
        differing: differing.to_vec(),
        meddled: false,
    }
}

#[test]
fn each_plan_is_told_in_words_with_its_reason() {
    use SecretStep::{Create, Keep};
    let keep = || Keep(version("1"));
    let complete = || SecretStep::Change { read: version("1"), changes: SecretChanges::default() };
    let inherit = || SecretStep::Inherit {
        read: version("1"),
        former: "uid-0".into(),
        changes: SecretChanges::default(),
    };
    let new = || Create(content());
    let kept = |unsupported: &[&'static str]| ClientStep::Keep {
        unsupported: unsupported.to_vec(),
        revision: None,
    };
    let cases = [
        (
            plan(keep(), kept(&[]), false),
            "nothing",
            "Hydra holds the client, and the Secret its credentials",
        ),
        (
            plan(keep(), kept(&["skip_consent"]), false),
            "nothing",
            "this Hydra does not keep skip_consent",
        ),
        (
            plan(new(), create(), true),
            "create Secret; create client",
            "there is no Secret s, and Hydra holds no client of this resource",
        ),
        (plan(keep(), create(), false), "create client", "Hydra holds no client fresh-id"),
        (
            plan(keep(), replace(&["scope", "redirect_uris"], false), false),
            "update client: scope, redirect_uris",
            "the client in Hydra differs from the resource",
        ),
        (
            plan(complete(), replace(&[], true), false),
            "complete Secret; update client: client secret",
            "Secret s is not what it shall be, and nothing shows that Hydra has the secret of the \
             Secret",
        ),
        (
            plan(inherit(), kept(&[]), false),
            "complete Secret",
            "Secret s is that of a former resource of the same name",
        ),
        (
            Plan {
                retired: vec![RetiredSecret { name: "old".into(), version: version("1") }],
                replaced: ClientId::parse("old-id").ok(),
                ..plan(new(), kept(&[]), false)
            },
            "create Secret; delete Secret old; delete client old-id",
            "there is no Secret s, and spec.secretName has changed, and the Secret names another \
             client",
        ),
    ];
    for (plan, what, why) in cases {
        let intent = describe(&plan, "s");
        assert_eq!((intent.to_string().as_str(), intent.why.as_str()), (what, why));
    }
}

#[test]
fn deletions_are_told_too() {
    let ids = |ids: &[&str]| ids.iter().map(|id| ClientId::parse(id).unwrap()).collect();
    for (intent, what) in [
        (describe_revocation(ids(&["a", "b"])), "delete client a; delete client b"),
        (describe_revocation(ids(&[])), "nothing"),
        (describe_farewell(Farewell::Orphan(None), "s"), "leave the client in Hydra"),
        (
            describe_farewell(Farewell::Orphan(Some(version("1"))), "s"),
            "leave the client in Hydra; release Secret s",
        ),
        (describe_farewell(Farewell::Release, "s"), "leave the client in Hydra"),
    ] {
        assert_eq!(intent.to_string(), what);
    }
}

#[test]
fn what_stands_in_the_way_is_told() {
    let found = blocked(&Failure::terminal(Reason::SecretNotOwned, "it is another's"));
    assert_eq!(found.to_string(), "blocked: SecretNotOwned it is another's");
}
