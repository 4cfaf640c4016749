//! What has to be written: pure, from the desired and the observed state.

use super::{
    credentials::{Credentials, Fresh, SecretStep, credentials},
    desired::Desired,
    error::{Failure, Reason},
    observe::Observed,
};
use crate::{
    hydra::{self, ClientSecret, meaning},
    kubernetes::SecretState,
};

/// The writes of one pass. Empty when both steps keep what is there.
#[derive(Clone)]
pub struct Plan {
    /// The credentials, and what the Secret needs to hold them.
    pub credentials: Credentials,
    /// What Hydra needs to hold the client.
    pub client: ClientStep,
    /// Whether the operator alone has chosen the id: no client has it so far.
    pub id_is_proposed: bool,
}

/// What has to be done for Hydra to hold the client.
#[derive(Clone)]
pub enum ClientStep {
    /// It does. Members that this version of Hydra does not keep are named.
    Keep {
        /// Names of members on the wire.
        unsupported: Vec<&'static str>,
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
    },
}

impl Plan {
    /// Whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self.credentials.step, SecretStep::Keep(_))
            && matches!(self.client, ClientStep::Keep { .. })
    }
}

/// Decides what has to be written, or why nothing may be.
pub fn plan(desired: &Desired, observed: &Observed, fresh: &Fresh) -> Result<Plan, Failure> {
    if let Some(client) = &observed.client
        && client.owner != desired.client.owner
    {
        return Err(taken(desired, observed));
    }
    let proposed = || observed.takes_chosen_ids.then(|| fresh.id.clone());
    let id = observed.id.clone().or_else(proposed);
    let credentials = credentials(desired, id, &observed.secret, fresh)?;
    let client = match &observed.client {
        None => create(desired, &credentials),
        Some(client) => replace(desired, observed, client, &credentials),
    };
    Ok(Plan { credentials, client, id_is_proposed: observed.id_is_proposed })
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
    let unlearned = if observed.settled {
        meaning::Unlearned::AssumeEqual
    } else {
        meaning::Unlearned::AssumeDifferent
    };
    let (unsupported, differing): (Vec<_>, Vec<_>) =
        meaning::differences(&desired.client, client, &observed.defaults, unlearned)
            .into_iter()
            .partition(|member| observed.unsupported.iter().any(|known| known == member));
    let secret = (desired.needs_secret && !knows_secret(observed, client, &credentials.step))
        .then(|| credentials.secret.clone())
        .flatten();
    if differing.is_empty() && secret.is_none() {
        return ClientStep::Keep { unsupported };
    }
    let client = Box::new(meaning::merged(&desired.client, client));
    ClientStep::Replace { client, secret, differing }
}

/// Whether Hydra has the secret that the Secret holds.
///
/// Hydra shows no secret, so this rests on the record of the version of the Secret that was last
/// sent. Without a record, a Secret that somebody else made is trusted as it stands (a takeover
/// must not write), and one that the operator made is sent once more: the pass that made it may
/// have ended before it sent it.
fn knows_secret(observed: &Observed, client: &hydra::OAuth2Client, step: &SecretStep) -> bool {
    let SecretStep::Keep(version) = step else { return false };
    // Hydra gives a client that is made without a secret a random one and tells nobody.
    if matches!(client.token_endpoint_auth_method.as_deref(), Some("none" | "private_key_jwt")) {
        return false;
    }
    match (&observed.sent, &observed.secret) {
        (Some(sent), _) => sent == version,
        (None, SecretState::Ours(stored)) => !stored.created_here,
        (None, _) => true,
    }
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
            testing::{fresh, resource, stored, version},
        },
    };

    const MARK: &str = "shop/team-a";

    fn observed(secret: SecretState, client: Option<OAuth2Client>) -> Observed {
        let id = match &secret {
            SecretState::Ours(stored) | SecretState::Users(stored) => stored.id.as_deref(),
            SecretState::Absent | SecretState::Foreign(_) => {
                client.as_ref().and_then(|client| client.client_id.as_deref())
            }
        };
        Observed {
            id: id.map(|id| ClientId::parse(id).unwrap()),
            secret,
            client,
            sent: None,
            settled: false,
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
        let desired = desired(&resource(spec)).unwrap();
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
            SecretStep::Create => "create",
            SecretStep::Complete(_) => "complete",
        };
        let with = |secret: &Option<ClientSecret>| if secret.is_some() { "+secret" } else { "" };
        let client = match &plan.client {
            ClientStep::Keep { unsupported } => format!("keep{}", unsupported.join(",")),
            ClientStep::Create { secret, .. } => format!("create{}", with(secret)),
            ClientStep::Replace { secret, differing, .. } => {
                format!("replace[{}]{}", differing.join(","), with(secret))
            }
        };
        format!("{secret} {client}")
    }

    fn plan_of(spec: &serde_json::Value, observed: &Observed) -> String {
        describe(&plan(&desired(&resource(spec)).unwrap(), observed, &fresh()))
    }

    #[test]
    fn what_is_written_follows_from_what_is_there() {
        use SecretState::{Absent, Foreign as Other, Ours, Users};
        let here = || in_hydra(&spec());
        let foreign = |owner: &str| OAuth2Client { owner: Some(owner.into()), ..here() };
        let public = |client: OAuth2Client| OAuth2Client {
            token_endpoint_auth_method: Some("none".into()),
            ..client
        };
        let made_elsewhere = || StoredCredentials { created_here: false, ..stored("id-1") };
        let sent = |observed: Observed, v: &str| Observed { sent: Some(version(v)), ..observed };
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
                sent(
                    observed(
                        Ours(StoredCredentials { secret: None, ..stored("id-1") }),
                        Some(public(here())),
                    ),
                    "1",
                ),
                "complete replace[token_endpoint_auth_method]+secret",
            ),
            ("the user's Secret", observed(Users(stored("id-1")), None), "keep create+secret"),
            (
                "the user's Secret, taken over",
                observed(Users(stored("id-1")), Some(here())),
                "keep keep",
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
                &desired(&resource(&spec)).unwrap(),
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
        observed.sent = Some(version("1"));
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
            SecretStep::Create | SecretStep::Complete(_) => {
                SecretVersion { uid: "u".into(), resource_version: "99".into() }
            }
        };
        let chosen = || ClientId::parse("chosen-by-hydra").unwrap();
        let id = credentials.id.clone().unwrap_or_else(chosen);
        let now = StoredCredentials {
            version: version.clone(),
            id: Some(id.to_string()),
            secret: credentials.secret.as_ref().map(|secret| secret.expose().into()),
            created_here: true,
        };
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
            id: Some(id),
            client: kept,
            sent: Some(version),
            settled: true,
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
            let desired = desired(&resource(&spec)).unwrap();
            let stored = |id| StoredCredentials { created_here, ..stored(id) };
            let state = match secret {
                None => SecretState::Absent,
                Some("users") => SecretState::Users(stored("id-1")),
                Some("bare") => {
                    SecretState::Ours(StoredCredentials { secret: None, ..stored("id-1") })
                }
                Some(_) => SecretState::Ours(stored("id-1")),
            };
            let client = exists.then(|| in_hydra(&former));
            let mut before = observed(state, client);
            before.settled = settled;
            before.takes_chosen_ids = takes_chosen_ids;
            before.sent = recorded.then(|| version("1"));
            let first = plan(&desired, &before, &fresh()).unwrap_or_else(|f| unreachable!("{f}"));
            let after = applied(&desired, &before, &first);
            let second = plan(&desired, &after, &fresh());
            prop_assert_eq!(describe(&second), "keep keep");
        }
    }
}
