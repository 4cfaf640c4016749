//! What a client and a resource server ask of Hydra, and the same as curl commands.

use reqwest::{RequestBuilder, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::support::hydra_api::{Answer, http};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client identifies itself at the token endpoint (RFC 6749 section 2.3.1).
pub struct Credentials {
    /// `CLIENT_ID`
    pub id: String,
    /// `CLIENT_SECRET`
    pub secret: SecretString,
}

/// Asks for a token with `scope` by the client credentials grant (RFC 6749 section 4.4).
pub async fn token(
    public_url: &str,
    credentials: &Credentials,
    scope: &str,
) -> Result<Answer, String> {
    let request = http()
        .post(token_endpoint(public_url))
        .basic_auth(&credentials.id, Some(credentials.secret.expose_secret()));
    send(request, &[("grant_type", "client_credentials"), ("scope", scope)]).await
}

/// The same as a command.
pub fn token_command(public_url: &str, scope: &str) -> String {
    format!(
        "curl -s -u \"$CLIENT_ID:$CLIENT_SECRET\" -d grant_type=client_credentials -d scope={scope} {}",
        token_endpoint(public_url)
    )
}

/// Asks whether `token` is active (RFC 7662).
pub async fn introspect(admin_url: &str, token: &SecretString) -> Result<Answer, String> {
    let request = http().post(introspection_endpoint(admin_url));
    send(request, &[("token", token.expose_secret())]).await
}

/// The same as a command.
pub fn introspect_command(admin_url: &str) -> String {
    format!("curl -s -d token=\"$TOKEN\" {}", introspection_endpoint(admin_url))
}

/// Asks for a token with `scope` by the client credentials grant, with an assertion in place of a secret (RFC 7523 section 2.2).
pub async fn token_by_assertion(
    public_url: &str,
    assertion: &SecretString,
    scope: &str,
) -> Result<Answer, String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", scope),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.expose_secret()),
    ];
    send(http().post(token_endpoint(public_url)), &form).await
}

/// The same as a command.
pub fn assertion_command(public_url: &str, scope: &str) -> String {
    format!(
        "curl -s -d grant_type=client_credentials -d scope={scope} -d client_assertion_type={ASSERTION_TYPE} \\\n     \
         -d client_assertion=\"$ASSERTION\" {}",
        token_endpoint(public_url)
    )
}

/// The status code of the answer to a request for the key set `name`. What it holds is nobody's business here.
pub async fn key_set(admin_url: &str, name: &str) -> Result<u16, String> {
    let request = http().get(key_set_address(admin_url, name));
    let answer = request.send().await.map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

/// The same as a command.
pub fn key_set_command(admin_url: &str, name: &str) -> String {
    format!(r"curl -s -o /dev/null -w 'HTTP %{{http_code}}\n' {}", key_set_address(admin_url, name))
}

fn key_set_address(admin_url: &str, name: &str) -> String {
    format!("{}/admin/keys/{name}", admin_url.trim_end_matches('/'))
}

/// Where tokens are asked for, which is also whom an assertion is for.
pub fn token_endpoint(public_url: &str) -> String {
    format!("{}/oauth2/token", public_url.trim_end_matches('/'))
}

fn introspection_endpoint(admin_url: &str) -> String {
    format!("{}/admin/oauth2/introspect", admin_url.trim_end_matches('/'))
}

async fn send(request: RequestBuilder, form: &[(&str, &str)]) -> Result<Answer, String> {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
    let answer = request.send().await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.bytes().await.map_err(|error| error.to_string())?;
    Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
}
