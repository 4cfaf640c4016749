//! The second part of the demo: a set of keys, and a client that signs with them.

use std::{env, time::Duration};

use secrecy::SecretString;

use crate::{
    assertion::assertion,
    oauth, screen,
    servers::Servers,
    tour::{described, kubectl, picked, value_of},
};

const MANIFEST: &str = "deploy/examples/key-set.yaml";
const SET: &str = "jsonwebkeyset/payments-signing";
const SCOPE: &str = "payments.write";

/// From a manifest to a rotation, a compromise and the end. Fails with what went wrong.
pub async fn tour(servers: &Servers) -> Result<(), String> {
    screen::heading("7. Declare keys in Hydra, and a client that signs with them");
    declare(servers)?;

    screen::heading(
        "8. A token for an assertion, signed with the key of the Secret (private_key_jwt)",
    );
    screen::note(
        "The demo signs as your service would, for those who have no tool for it at hand.",
    );
    let client = value_of(servers, "payments-credentials", "CLIENT_ID", "CLIENT_ID")?;
    let former = private_keys(servers, "FORMER")?;
    token(servers, &client, "FORMER", &former).await?;

    screen::heading("9. Rotate: the new key is public before it signs");
    let kid = rotate(servers)?;

    screen::heading("10. Both keys get a token: nobody has to switch at the same moment");
    let current = private_keys(servers, "CURRENT")?;
    token(servers, &client, "FORMER", &former).await?;
    token(servers, &client, "CURRENT", &current).await?;

    screen::heading("11. The former key is compromised: it is gone at once");
    revoke(servers, &kid)?;
    refusal(servers, &client, &former).await?;
    token(servers, &client, "CURRENT", &current).await?;

    screen::heading("12. Delete it all: the keys leave Hydra");
    kubectl(servers, &["delete", "-f", MANIFEST, "--timeout=60s"])?;
    let command = oauth::key_set_command(servers.admin_url(), "k8s.default.payments-signing");
    screen::command(&command);
    let status = oauth::key_set(servers.admin_url(), "k8s.default.payments-signing").await?;
    screen::output(&format!("HTTP {status}"));
    if status == 404 { Ok(()) } else { Err("the set is still there".to_owned()) }
}

fn declare(servers: &Servers) -> Result<(), String> {
    kubectl(servers, &["apply", "-f", MANIFEST])?;
    for resource in [SET, "oauth2client/payments"] {
        kubectl(servers, &["wait", "--for=condition=Ready", resource, "--timeout=60s"])?;
    }
    kubectl(servers, &["get", "jsonwebkeysets"])?;
    let document = r#"go-template={{index .data "jwks.json"}}"#;
    kubectl(servers, &["get", "configmap", "payments-public-keys", "-o", document])
}

/// Reads the private keys into a variable, as one does in a shell.
fn private_keys(servers: &Servers, variable: &str) -> Result<SecretString, String> {
    value_of(servers, "payments-signing-key", "jwks.json", variable).map(SecretString::from)
}

async fn token(
    servers: &Servers,
    client: &str,
    variable: &str,
    keys: &SecretString,
) -> Result<(), String> {
    let audience = oauth::token_endpoint(servers.public_url());
    screen::command(&format!(
        r#"ASSERTION=$(printf %s "${variable}" | {} assert "$CLIENT_ID" {audience})"#,
        this_program()
    ));
    let command = oauth::assertion_command(servers.public_url(), SCOPE);
    screen::command(&format!("{command} | jq -c '{{token_type, scope}}'"));
    let assertion = assertion(keys, client, &audience)?;
    let answer = oauth::token_by_assertion(servers.public_url(), &assertion, SCOPE).await?;
    if answer.status != 200 {
        return Err(described("no token", &answer));
    }
    screen::output(&picked(&answer.body, &["token_type", "scope"]));
    Ok(())
}

/// Returns the id of the key that was the current one.
fn rotate(servers: &Servers) -> Result<String, String> {
    let kid = servers.kubectl(&["get", SET, "-o", "jsonpath={.status.currentKey}"])?;
    screen::note("5 seconds in place of 1 hour, for this demo.");
    let patch = r#"{"spec":{"rotation":{"publishBefore":"5s"}}}"#;
    kubectl(servers, &["patch", SET, "--type=merge", "-p", patch])?;
    kubectl(servers, &["annotate", SET, "hydra.ory.sh/rotate-requested-at=1"])?;
    let states = "go-template={{range .status.keys}}{{println .kid .state}}{{end}}";
    for reached in ["{.status.keyCount}=2", "{.status.keys[1].state}=Active"] {
        let reached = format!("--for=jsonpath={reached}");
        kubectl(servers, &["wait", &reached, SET, "--timeout=60s"])?;
        kubectl(servers, &["get", SET, "-o", states])?;
    }
    Ok(kid)
}

fn revoke(servers: &Servers, kid: &str) -> Result<(), String> {
    kubectl(servers, &["annotate", SET, &format!("hydra.ory.sh/revoke-key={kid}")])?;
    kubectl(servers, &["wait", "--for=jsonpath={.status.keyCount}=1", SET, "--timeout=60s"])
}

/// The client follows the set a moment later.
async fn refusal(servers: &Servers, client: &str, keys: &SecretString) -> Result<(), String> {
    let audience = oauth::token_endpoint(servers.public_url());
    screen::command(&format!(
        r#"ASSERTION=$(printf %s "$FORMER" | {} assert "$CLIENT_ID" {audience})"#,
        this_program()
    ));
    let command = oauth::assertion_command(servers.public_url(), SCOPE);
    screen::command(&format!("{command} | jq -c '{{error}}'"));
    for _ in 0..100 {
        let assertion = assertion(keys, client, &audience)?;
        let answer = oauth::token_by_assertion(servers.public_url(), &assertion, SCOPE).await?;
        // That the client has no such key, Hydra calls a bad request.
        if matches!(answer.status, 400 | 401) {
            screen::output(&picked(&answer.body, &["error"]));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the client still accepts the key".to_owned())
}

/// As one types it in the folder in which the demo was started.
fn this_program() -> String {
    let program = env::current_exe().unwrap_or_default();
    let here = env::current_dir().unwrap_or_default();
    let shown = program.strip_prefix(here).unwrap_or(&program);
    screen::quoted(&[&shown.display().to_string()])
}
