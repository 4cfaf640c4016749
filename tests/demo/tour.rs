//! The steps of the demo.

use secrecy::SecretString;
use serde_json::{Value, json};

use crate::{
    keys,
    oauth::{self, Credentials},
    screen,
    servers::Servers,
    support::hydra_api::Answer,
};

/// From a manifest to a token and back. Fails with what went wrong.
pub async fn tour(servers: &Servers) -> Result<(), String> {
    screen::heading("1. Declare a client, and wait until Hydra holds it");
    declare(servers)?;

    screen::heading("2. Its credentials are in a Secret");
    let credentials = read_credentials(servers)?;

    screen::heading("3. They get a token, and Hydra calls it active");
    use_credentials(servers, &credentials, "orders.read").await?;

    screen::heading("4. Edit the client");
    edit(servers)?;

    screen::heading("5. The same credentials get a token of the new scope");
    use_credentials(servers, &credentials, "orders.write").await?;

    screen::heading("6. Delete the client: its credentials are worth nothing");
    delete(servers)?;
    expect_refusal(servers, &credentials).await?;
    kubectl(servers, &["wait", "--for=delete", "secret/shop-credentials", "--timeout=30s"])?;
    screen::note("The Secret has gone with it.");
    Box::pin(keys::tour(servers)).await
}

fn declare(servers: &Servers) -> Result<(), String> {
    kubectl(servers, &["apply", "-f", "deploy/examples/oauth2client.yaml"])?;
    wait_until_ready(servers)?;
    kubectl(servers, &["get", "oauth2clients"])
}

fn read_credentials(servers: &Servers) -> Result<Credentials, String> {
    let names = "go-template={{range $key, $value := .data}}{{println $key}}{{end}}";
    kubectl(servers, &["get", "secret", "shop-credentials", "-o", names])?;
    Ok(Credentials {
        id: secret_value(servers, "CLIENT_ID")?,
        secret: secret_value(servers, "CLIENT_SECRET")?.into(),
    })
}

async fn use_credentials(
    servers: &Servers,
    credentials: &Credentials,
    scope: &str,
) -> Result<(), String> {
    let command = oauth::token_command(servers.public_url(), scope);
    screen::command(&format!("TOKEN=$({command} | jq -r .access_token)"));
    let answer = oauth::token(servers.public_url(), credentials, scope).await?;
    let token = answer.body["access_token"].as_str().map(SecretString::from);
    let token = token.ok_or_else(|| described("no token", &answer))?;

    let command = oauth::introspect_command(servers.admin_url());
    screen::command(&format!("{command} | jq -c '{{active, client_id, scope}}'"));
    let answer = oauth::introspect(servers.admin_url(), &token).await?;
    screen::output(&picked(&answer.body, &["active", "client_id", "scope"]));
    if answer.body["active"] == true && answer.body["scope"] == scope {
        Ok(())
    } else {
        Err(described("the token is not active with its scope", &answer))
    }
}

fn edit(servers: &Servers) -> Result<(), String> {
    let patch = json!({ "spec": { "scopeArray": ["orders.read", "orders.write"] } }).to_string();
    kubectl(servers, &["patch", "oauth2client", "shop", "--type=merge", "-p", &patch])?;
    wait_until_ready(servers)
}

fn delete(servers: &Servers) -> Result<(), String> {
    kubectl(servers, &["delete", "oauth2client", "shop", "--timeout=30s"])
}

async fn expect_refusal(servers: &Servers, credentials: &Credentials) -> Result<(), String> {
    let scope = "orders.read";
    let command = oauth::token_command(servers.public_url(), scope);
    screen::command(&format!(r"{command} -w '\nHTTP %{{http_code}}\n'"));
    let answer = oauth::token(servers.public_url(), credentials, scope).await?;
    if answer.status != 401 || answer.body["error"] != "invalid_client" {
        return Err(described("the client is not revoked", &answer));
    }
    screen::output(&format!("{}\nHTTP {}", answer.body, answer.status));
    Ok(())
}

/// Also after an edit: kubectl does not count a condition that tells an older generation.
fn wait_until_ready(servers: &Servers) -> Result<(), String> {
    kubectl(servers, &["wait", "--for=condition=Ready", "oauth2client/shop", "--timeout=30s"])
}

/// Reads a value of the Secret into a variable, as one does in a shell.
fn secret_value(servers: &Servers, key: &str) -> Result<String, String> {
    value_of(servers, "shop-credentials", key, key)
}

/// Reads a value of a Secret into a variable, as one does in a shell.
pub fn value_of(
    servers: &Servers,
    secret: &str,
    key: &str,
    variable: &str,
) -> Result<String, String> {
    let value =
        if key.contains('.') { format!("index .data {key:?}") } else { format!(".data.{key}") };
    let template = format!("go-template={{{{{value} | base64decode}}}}");
    let args = ["get", "secret", secret, "-o", &template];
    screen::command(&format!("{variable}=$(kubectl {})", screen::quoted(&args)));
    servers.kubectl(&args)
}

/// Runs kubectl and shows what it prints.
pub fn kubectl(servers: &Servers, args: &[&str]) -> Result<(), String> {
    screen::command(&format!("kubectl {}", screen::quoted(args)));
    screen::output(&servers.kubectl(args)?);
    Ok(())
}

/// Some members of an object, in one line.
pub fn picked(body: &Value, members: &[&str]) -> String {
    let members = members.iter().map(|name| format!("{}:{}", json!(name), body[*name]));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// An answer that was not expected. Not its whole body, which may hold a token.
pub fn described(what: &str, answer: &Answer) -> String {
    let members = picked(&answer.body, &["error", "error_description", "active", "scope"]);
    format!("{what}: HTTP {}, {members}", answer.status)
}
