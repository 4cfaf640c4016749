//! What has to be written: pure, from the desired and the observed state.

use super::{
    credentials::{self, Credentials, Fresh, SecretStep, credentials},
    desired::Desired,
    error::{Failure, Reason},
    observe::{Observed, RetiredSecret},
    record::has_moved,
    secret_shape::SecretShape,
    sent::LastSent,
};
use crate::{
    hydra::{self, ClientId, ClientSecret, InvalidSecret, meaning},
    kubernetes::SecretState,
};

/// The writes of one pass. Empty when all steps keep what is there.
#[derive(Clone)]
pub struct Plan {
    /// The credentials, and what the Secret needs to hold them.
    pub credentials: Credentials,
    /// What Hydra needs to hold the client.
    pub client: ClientStep,
    /// Whether the operator alone has chosen the id: no client has it so far.
    pub id_is_proposed: bool,
    /// The Secret of the former name, where it is ours: it goes once status names the new one.
    pub moved_from: Option<String>,
    /// Secrets of former names, which are deleted.
    pub retired: Vec<RetiredSecret>,
    /// The client that the resource gives up, which goes once Hydra holds the new one.
    pub replaced: Option<ClientId>,
    /// Other clients in Hydra with the owner mark of the resource.
    pub duplicates: Duplicates,
}

/// Other clients in Hydra with the owner mark of a resource, which hydra-maester or another writer
/// has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They stay and are reported.
    Report(Vec<String>),
    /// The administrator allows that they are deleted.
    Remove(Vec<ClientId>),
}

impl Duplicates {
    fn of(observed: &Observed) -> Self {
        if observed.removes_duplicates {
            let ids = observed.duplicates.iter().filter_map(|id| ClientId::parse(id).ok());
            Self::Remove(ids.collect())
        } else {
            Self::Report(observed.duplicates.clone())
        }
    }
}

/// What has to be done for Hydra to hold the client.
#[derive(Clone)]
pub enum ClientStep {
    /// It does. Members that this version of Hydra does not keep are named.
    Keep {
        /// Names of members on the wire.
        unsupported: Vec<&'static str>,
        /// `updated_at` of the client.
        revision: Option<String>,
    },
    /// There is no client of that id: POST.
    Create {
        /// The client, with its id unless Hydra chooses it.
        client: Box<hydra::OAuth2Client>,
        /// The secret it shall have.
        secret: Option<ClientSecret>,
    },
    /// The client differs: PUT.
    Replace {
        /// The whole client: desired over observed.
        client: Box<hydra::OAuth2Client>,
        /// The secret it shall have from now on; without one it keeps the secret it has.
        secret: Option<ClientSecret>,
        /// Names of the members that differ.
        differing: Vec<&'static str>,
        /// Whether somebody else has written the client since the operator did.
        meddled: bool,
    },
}

impl Plan {
    /// Whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.credentials.step, SecretStep::Keep(_))
            && matches!(self.client, ClientStep::Keep { .. })
            && self.moved_from.is_none()
            && self.retired.is_empty()
            && self.replaced.is_none()
            && !matches!(&self.duplicates, Duplicates::Remove(ids) if !ids.is_empty())
    }
}

/// Decides what has to be written, or why nothing may be.
pub fn plan(
    desired: &Desired,
    shape: &SecretShape,
    observed: &Observed,
    fresh: &Fresh,
) -> Result<Plan, Failure> {
    if let Some(client) = &observed.client
        && client.owner != desired.client.owner
    {
        return Err(taken(desired, observed));
    }
    let proposed = || observed.takes_chosen_ids.then(|| fresh.id.clone());
    let id = observed.id.clone().or_else(proposed);
    let sources = credentials::Sources {
        secret: &observed.secret,
        former: &observed.former,
        client_is_ours: observed.client.is_some(),
        fresh,
    };
    let credentials = credentials(desired, shape, id, &sources)?;
    let client = match &observed.client {
        None => create(desired, &credentials),
        Some(client) => replace(desired, observed, client, &credentials),
    };
    if let ClientStep::Create { secret: Some(secret), .. }
    | ClientStep::Replace { secret: Some(secret), .. } = &client
    {
        secret.check().map_err(|error| unsendable(desired, error))?;
    }
    Ok(Plan {
        credentials,
        client,
        id_is_proposed: observed.id_is_proposed,
        moved_from: moved_from(observed),
        retired: observed.retired.clone(),
        replaced: observed.replaced.clone(),
        duplicates: Duplicates::of(observed),
    })
}

fn moved_from(observed: &Observed) -> Option<String> {
    let is_ours = matches!(observed.former, SecretState::Ours(_));
    observed.record.secret_name.clone().filter(|_| is_ours)
}

fn create(desired: &Desired, credentials: &Credentials) -> ClientStep {
    let mut client = desired.client.clone();
    client.client_id = credentials.id.as_ref().map(ToString::to_string);
    let secret = desired.needs_secret.then(|| credentials.secret.clone()).flatten();
    ClientStep::Create { client: Box::new(client), secret }
}

fn replace(
    desired: &Desired,
    observed: &Observed,
    client: &hydra::OAuth2Client,
    credentials: &Credentials,
) -> ClientStep {
    let unlearned = if observed.record.settled {
        meaning::Unlearned::AssumeEqual
    } else {
        meaning::Unlearned::AssumeDifferent
    };
    let (unsupported, differing): (Vec<_>, Vec<_>) =
        meaning::differences(&desired.client, client, &observed.defaults, unlearned)
            .into_iter()
            .partition(|member| observed.unsupported.iter().any(|known| known == member));
    let meddled = meddled(observed, client);
    let secret = (desired.needs_secret
        && (meddled || !knows_secret(observed, client, credentials)))
    .then(|| credentials.secret.clone())
    .flatten();
    if differing.is_empty() && secret.is_none() {
        return ClientStep::Keep { unsupported, revision: client.updated_at.clone() };
    }
    let client = Box::new(meaning::merged(&desired.client, client));
    ClientStep::Replace { client, secret, differing, meddled }
}

/// Whether somebody else has written the client since the operator did. Hydra stamps every write,
/// and shows no secret: the secret may be another one too.
fn meddled(observed: &Observed, client: &hydra::OAuth2Client) -> bool {
    // What is recorded is about another client, where that is given up for this one.
    observed.replaced.is_none()
        && has_moved(observed.record.revision.as_deref(), client.updated_at.as_deref())
}

/// Whether Hydra has the secret that the Secret holds, or shall hold.
///
/// Hydra shows no secret, so this rests on the record of the version of the Secret that was last
/// sent, and on what this process remembers of its value. Without a record, a Secret that somebody
/// else made is trusted as it stands (a takeover must not write), and one that the operator made is
/// sent once more: the pass that made it may have ended before it sent it.
fn knows_secret(
    observed: &Observed,
    client: &hydra::OAuth2Client,
    credentials: &Credentials,
) -> bool {
    let Some(source) = &credentials.source else { return false };
    // Hydra gives a client that is made without a secret a random one and tells nobody.
    if matches!(client.token_endpoint_auth_method.as_deref(), Some("none" | "private_key_jwt")) {
        return false;
    }
    match (&observed.record.sent, &observed.secret) {
        (Some(sent), _) => sent == source || observed.value == LastSent::Same,
        (None, SecretState::Ours(stored) | SecretState::Inherited { stored, .. }) => {
            !stored.created_here
        }
        (None, _) => observed.value != LastSent::Other,
    }
}

fn unsendable(desired: &Desired, error: InvalidSecret) -> Failure {
    Failure::terminal(
        Reason::InvalidSecret,
        format!("the client secret in Secret {} cannot be sent: {error}", desired.secret_name),
    )
}

fn taken(desired: &Desired, observed: &Observed) -> Failure {
    let id = observed.id.as_ref().map(ToString::to_string).unwrap_or_default();
    let owner = observed.client.as_ref().and_then(|client| client.owner.as_deref());
    let holder = match owner.unwrap_or_default() {
        "" => "has no owner".to_owned(),
        owner => format!("belongs to {owner:?}"),
    };
    Failure::terminal(
        Reason::ClientIdTaken,
        format!(
            "client {id} exists in Hydra and {holder}, not to {:?}; it is left as it is: choose \
             another id, or delete that client",
            desired.client.owner.as_deref().unwrap_or_default()
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        hydra::{ClientId, OAuth2Client, meaning::ServerDefaults},
        kubernetes::{SecretVersion, StoredCredentials, ownership::Foreign},
        oauth2client::{
            desired::desired,
            key_set::Link,
            record::Record,
            testing::{fresh, keys, resource, shape_of, stored, stored_with, version},
        },
    };

    const MARK: &str = "shop/team-a";

    fn observed(secret: SecretState, client: Option<OAuth2Client>) -> Observed {
        let id = match &secret {
            SecretState::Ours(stored) | SecretState::Users(stored) => stored.id.as_deref(),
            _ => client.as_ref().and_then(|client| client.client_id.as_deref()),
        };
        Observed {
            id: id.map(|id| ClientId::parse(id).unwrap()),
            secret,
            former: SecretState::Absent,
            retired: Vec::new(),
            replaced: None,
            duplicates: Vec::new(),
            removes_duplicates: false,
            client,
            value: LastSent::Unknown,
            record: Record::default(),
            unsupported: Vec::new(),
            takes_chosen_ids: true,
            id_is_proposed: false,
            defaults: ServerDefaults { scope: None, subject_type: Some("public".into()) },
        }
    }

    /// A server that keeps all it is sent and fills in its defaults.
    fn server(sent: &OAuth2Client) -> OAuth2Client {
        let mut kept = sent.clone();
        let fill = |member: &mut Option<String>, default: &str| {
            *member = Some(member.take().filter(|text| !text.is_empty()).unwrap_or(default.into()));
        };
        fill(&mut kept.scope, "offline_access offline openid");
        fill(&mut kept.subject_type, "public");
        fill(&mut kept.token_endpoint_auth_method, "client_secret_basic");
        fill(&mut kept.userinfo_signed_response_alg, "none");
        kept.updated_at = Some("2026-01-01T00:00:00Z".into());
        kept
    }

    fn in_hydra(spec: &serde_json::Value) -> OAuth2Client {
        let desired = desired(&resource(spec), &Link::None).unwrap();
        let client = OAuth2Client { client_id: Some("id-1".into()), ..desired.client };
        server(&client)
    }

    fn spec() -> serde_json::Value {
        json!({
            "grantTypes": ["client_credentials"],
            "scope": "read",
            "secretName": "shop-credentials",
        })
    }

    fn describe(plan: &Result<Plan, Failure>) -> String {
        let plan = match plan {
            Ok(plan) => plan,
            Err(failure) => return failure.reason.as_str().to_owned(),
        };
        let secret = match &plan.credentials.step {
            SecretStep::Keep(_) => "keep",
            SecretStep::Create(_) => "create",
            SecretStep::Change { .. } => "change",
            SecretStep::Inherit { .. } => "inherit",
        };
        let with = |secret: &Option<ClientSecret>| if secret.is_some() { "+secret" } else { "" };
        let client = match &plan.client {
            ClientStep::Keep { unsupported, .. } => format!("keep{}", unsupported.join(",")),
            ClientStep::Create { secret, .. } => format!("create{}", with(secret)),
            ClientStep::Replace { secret, differing, .. } => {
                format!("replace[{}]{}", differing.join(","), with(secret))
            }
        };
        let gone = |what: Option<String>| what.map(|what| format!(" -{what}")).unwrap_or_default();
        let moved = plan.moved_from.as_ref().map(|former| format!(" from {former}"));
        let retired: String =
            plan.retired.iter().map(|retired| gone(Some(retired.name.clone()))).collect();
        let replaced = gone(plan.replaced.as_ref().map(ToString::to_string));
        format!("{secret} {client}{}{retired}{replaced}", moved.unwrap_or_default())
    }

    fn plan_of(spec: &serde_json::Value, observed: &Observed) -> String {
        let desired = desired(&resource(spec), &Link::None).unwrap();
        describe(&plan(&desired, &shape_of(spec), observed, &fresh()))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn what_is_written_follows_from_what_is_there() {
        use SecretState::{Absent, Foreign as Other, Ours, Users};
        let here = || in_hydra(&spec());
        let foreign = |owner: &str| OAuth2Client { owner: Some(owner.into()), ..here() };
        let public = |client: OAuth2Client| OAuth2Client {
            token_endpoint_auth_method: Some("none".into()),
            ..client
        };
        let made_elsewhere = || StoredCredentials { created_here: false, ..stored("id-1") };
        let sent = |observed: Observed, v: &str| Observed {
            record: Record {
                sent: Some(version(v)),
                secret_name: Some("shop-credentials".into()),
                revision: Some("2026-01-01T00:00:00Z".into()),
                ..observed.record
            },
            ..observed
        };
        let moved = |former: SecretState, observed: Observed| Observed {
            former,
            record: Record { secret_name: Some("former".into()), ..observed.record },
            ..observed
        };
        let meddled = || OAuth2Client { updated_at: Some("2026-02-02".into()), ..here() };
        let cases = vec![
            ("nothing", observed(Absent, None), "create create+secret"),
            ("crash after the Secret", observed(Ours(stored("id-1")), None), "keep create+secret"),
            (
                "crash before the status",
                observed(Ours(stored("id-1")), Some(here())),
                "keep replace[]+secret",
            ),
            ("takeover", observed(Ours(made_elsewhere()), Some(here())), "keep keep"),
            ("converged", sent(observed(Ours(stored("id-1")), Some(here())), "1"), "keep keep"),
            (
                "Secret changed",
                sent(observed(Ours(stored("id-1")), Some(here())), "0"),
                "keep replace[]+secret",
            ),
            ("Secret lost", sent(observed(Absent, Some(here())), "1"), "create replace[]+secret"),
            (
                "drift",
                sent(
                    observed(
                        Ours(stored("id-1")),
                        Some(OAuth2Client { scope: Some("admin".into()), ..here() }),
                    ),
                    "1",
                ),
                "keep replace[scope]",
            ),
            (
                "gone from Hydra",
                sent(observed(Ours(stored("id-1")), None), "1"),
                "keep create+secret",
            ),
            (
                "was public",
                sent(observed(Ours(stored("id-1")), Some(public(here()))), "1"),
                "keep replace[token_endpoint_auth_method]+secret",
            ),
            (
                "was public, Secret without secret",
                sent(observed(Ours(stored_with(Some("id-1"), None)), Some(public(here()))), "1"),
                "change replace[token_endpoint_auth_method]+secret",
            ),
            (
                "Secret written anew with the same value",
                Observed {
                    value: LastSent::Same,
                    ..sent(observed(Ours(stored("id-1")), Some(here())), "0")
                },
                "keep keep",
            ),
            (
                "somebody wrote the client",
                sent(observed(Ours(stored("id-1")), Some(meddled())), "1"),
                "keep replace[]+secret",
            ),
            (
                "the Secret is to have another name",
                moved(Ours(stored("id-1")), sent(observed(Absent, Some(here())), "1")),
                "create keep from former",
            ),
            (
                "it has, and the former is still there",
                moved(
                    Ours(stored("id-1")),
                    sent(
                        observed(
                            Ours(StoredCredentials { version: version("2"), ..stored("id-1") }),
                            Some(here()),
                        ),
                        "1",
                    ),
                ),
                "keep replace[]+secret from former",
            ),
            (
                "its status names the new one",
                Observed {
                    retired: vec![RetiredSecret { name: "former".into(), version: version("1") }],
                    ..sent(observed(Ours(stored("id-1")), Some(here())), "1")
                },
                "keep keep -former",
            ),
            (
                "the former Secret is the user's",
                moved(Users(stored("id-1")), sent(observed(Absent, Some(here())), "1")),
                "create keep",
            ),
            (
                "restored from a backup",
                observed(
                    SecretState::Inherited { stored: stored("id-1"), former: "uid-0".into() },
                    Some(here()),
                ),
                "inherit replace[]+secret",
            ),
            (
                "applied again while the former Secret is being collected",
                observed(
                    SecretState::Inherited { stored: stored("id-1"), former: "uid-0".into() },
                    None,
                ),
                "WaitingForSecret",
            ),
            (
                "the user gives up a client",
                Observed {
                    replaced: Some(ClientId::parse("former").unwrap()),
                    ..sent(observed(Users(stored("id-1")), None), "0")
                },
                "keep create+secret -former",
            ),
            ("the user's Secret", observed(Users(stored("id-1")), None), "keep create+secret"),
            (
                "the user's Secret, taken over",
                observed(Users(stored("id-1")), Some(here())),
                "keep keep",
            ),
            (
                "the user's Secret, changed before the first status",
                Observed {
                    value: LastSent::Other,
                    ..observed(Users(stored("id-1")), Some(here()))
                },
                "keep replace[]+secret",
            ),
            (
                "a secret that is too long to be sent, and is there already",
                observed(
                    Ours(StoredCredentials {
                        created_here: false,
                        ..stored_with(Some("id-1"), Some(&"x".repeat(99)))
                    }),
                    Some(here()),
                ),
                "keep keep",
            ),
            (
                "a secret that is too long to be sent, and is to be",
                observed(Ours(stored_with(Some("id-1"), Some(&"x".repeat(99)))), None),
                "InvalidSecret",
            ),
            (
                "foreign Secret",
                observed(Other(Foreign::Lacks(vec!["CLIENT_ID".into()])), None),
                "SecretNotOwned",
            ),
            (
                "foreign client",
                observed(Ours(stored("id-1")), Some(foreign("bank/team-b"))),
                "ClientIdTaken",
            ),
            (
                "client of nobody",
                observed(Ours(stored("id-1")), Some(foreign(""))),
                "ClientIdTaken",
            ),
        ];
        for (name, observed, expected) in cases {
            assert_eq!(plan_of(&spec(), &observed), expected, "{name}");
        }
    }

    #[test]
    fn clients_without_a_secret_are_never_given_one() {
        for method in ["none", "private_key_jwt"] {
            let mut spec = spec();
            spec["tokenEndpointAuthMethod"] = method.into();
            spec["jwksUri"] = "https://shop.example/jwks".into();
            let planned = plan(
                &desired(&resource(&spec), &Link::None).unwrap(),
                &shape_of(&spec),
                &observed(SecretState::Absent, None),
                &fresh(),
            );
            assert_eq!(describe(&planned), "create create", "{method}");
            assert!(planned.unwrap_or_else(|_| unreachable!()).credentials.secret.is_none());
        }
    }

    #[test]
    fn members_that_hydra_does_not_keep_are_not_sent_again() {
        let mut spec = spec();
        spec["skipConsent"] = true.into();
        let dropped = OAuth2Client { skip_consent: None, ..in_hydra(&spec) };
        let mut observed = observed(SecretState::Ours(stored("id-1")), Some(dropped));
        observed.record.sent = Some(version("1"));
        assert_eq!(plan_of(&spec, &observed), "keep replace[skip_consent]");
        observed.unsupported = vec!["skip_consent".into()];
        assert_eq!(plan_of(&spec, &observed), "keep keepskip_consent");
        spec["clientName"] = "Shop".into();
        assert_eq!(plan_of(&spec, &observed), "keep replace[client_name]");
    }

    fn specs() -> impl Strategy<Value = serde_json::Value> {
        let method = prop::sample::select(vec!["", "client_secret_post", "none"]);
        let text = "[a-z]{0,6}";
        (method, text, prop::collection::vec("[a-z]{1,5}", 0..4), any::<bool>()).prop_map(
            |(method, scope, audience, skip)| {
                json!({
                    "grantTypes": ["authorization_code", "refresh_token"],
                    "redirectUris": audience.iter().map(|a| format!("https://{a}.example/cb")).collect::<Vec<_>>(),
                    "scope": scope,
                    "audience": audience,
                    "skipConsent": skip,
                    "tokenEndpointAuthMethod": method,
                    "secretName": "shop-credentials",
                })
            },
        )
    }

    fn states() -> impl Strategy<Value = (Option<&'static str>, bool, bool, bool)> {
        let secret = prop::sample::select(vec![None, Some("ours"), Some("bare"), Some("users")]);
        (secret, any::<bool>(), any::<bool>(), any::<bool>())
    }

    /// What the servers hold once a plan has been carried out.
    fn applied(desired: &Desired, observed: &Observed, plan: &Plan) -> Observed {
        let Plan { credentials, client, .. } = plan;
        let version = match &credentials.step {
            SecretStep::Keep(version) => version.clone(),
            _ => SecretVersion { uid: "u".into(), resource_version: "99".into() },
        };
        let chosen = || ClientId::parse("chosen-by-hydra").unwrap();
        let id = credentials.id.clone().unwrap_or_else(chosen);
        let value = credentials.secret.as_ref().map(ClientSecret::expose);
        let now =
            StoredCredentials { version: version.clone(), ..stored_with(Some(id.as_str()), value) };
        let users = matches!(observed.secret, SecretState::Users(_));
        let sent_now = match client {
            ClientStep::Create { client, .. } | ClientStep::Replace { client, .. } => {
                Some((**client).clone())
            }
            ClientStep::Keep { .. } => None,
        };
        let defaults = sent_now
            .as_ref()
            .map_or_else(|| observed.defaults.clone(), |sent| meaning::learn(sent, &server(sent)));
        let kept = sent_now.as_ref().map(server).or_else(|| observed.client.clone());
        assert_eq!(kept.as_ref().and_then(|client| client.owner.as_deref()), Some(MARK));
        assert_eq!(desired.client.owner.as_deref(), Some(MARK));
        Observed {
            secret: if users { SecretState::Users(now) } else { SecretState::Ours(now) },
            former: SecretState::Absent,
            retired: Vec::new(),
            id: Some(id.clone()),
            replaced: None,
            duplicates: Vec::new(),
            removes_duplicates: false,
            record: Record {
                client_id: Some(id),
                sent: Some(version),
                keys: Some(keys()),
                revision: kept.as_ref().and_then(|client| client.updated_at.clone()),
                settled: true,
                ..Record::default()
            },
            value: LastSent::Unknown,
            client: kept,
            unsupported: Vec::new(),
            takes_chosen_ids: observed.takes_chosen_ids,
            id_is_proposed: false,
            defaults,
        }
    }

    proptest! {
        #[test]
        fn after_a_pass_there_is_nothing_left_to_do(
            spec in specs(),
            former in specs(),
            (secret, exists, settled, recorded) in states(),
            (takes_chosen_ids, created_here) in any::<(bool, bool)>(),
        ) {
            let desired = desired(&resource(&spec), &Link::None).unwrap();
            let stored = |id| StoredCredentials { created_here, ..stored(id) };
            let state = match secret {
                None => SecretState::Absent,
                Some("users") => SecretState::Users(stored("id-1")),
                Some("bare") => SecretState::Ours(StoredCredentials {
                    created_here,
                    ..stored_with(Some("id-1"), None)
                }),
                Some(_) => SecretState::Ours(stored("id-1")),
            };
            let client = exists.then(|| in_hydra(&former));
            let mut before = observed(state, client);
            before.record.settled = settled;
            before.takes_chosen_ids = takes_chosen_ids;
            before.record.sent = recorded.then(|| version("1"));
            let shape = shape_of(&spec);
            let first = plan(&desired, &shape, &before, &fresh());
            let first = first.unwrap_or_else(|f| unreachable!("{f}"));
            let after = applied(&desired, &before, &first);
            let second = plan(&desired, &shape, &after, &fresh());
            prop_assert_eq!(describe(&second), "keep keep");
        }
    }
}
