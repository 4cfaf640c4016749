//! The resource `clients`: `/clients` in 1.x, `/admin/clients` from 2.0.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::Hydra;
use super::connection::{Answer, Request};
use super::error::{ErrorKind, HydraError};
use super::generation::{Cursor, Generation, LARGEST_PAGE};
use super::id::ClientId;
use super::oauth2_client::OAuth2Client;
use super::request::Operation;
use super::secret::ClientSecret;

/// A client that was created.
#[derive(Clone)]
pub struct Created {
    /// The client as Hydra stored it.
    pub client: OAuth2Client,
    /// The secret, chosen by the caller or else by Hydra, which shows it this one time. Hydra
    /// chooses one for `private_key_jwt` too, and keeps the one that it chooses for `none` to
    /// itself.
    pub secret: Option<ClientSecret>,
}

/// What a DELETE found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// The client or key was there. 1.0 to 1.8 say so in any case, and all generations of rows of keys.
    Deleted,
    /// There was none of that id.
    Absent,
}

/// The body of a POST or PUT. Without a secret, POST lets Hydra choose one and PUT keeps the old.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    client: OAuth2Client,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
}

/// The credential in the reply to a POST.
#[derive(Deserialize)]
struct Credential {
    client_secret: Option<String>,
}

/// A listing whose pages have room for this many clients does not end.
const MAX_LISTED: usize = 10_000_000;

/// How often a listing starts again because its token has become too old.
const MAX_RESTARTS: usize = 3;

impl Hydra {
    /// Reads one client (`GET /clients/{id}`). It has no secret.
    pub async fn get_client(&self, id: &ClientId) -> Result<OAuth2Client, HydraError> {
        let operation = Operation::GetClient;
        self.on_client(operation, Method::GET, id, None, None).await?.decode(operation)
    }

    /// Creates a client (`POST /clients`), with the id that `client` names or else one of Hydra's
    /// choice. An id that exists is a [`Conflict`](ErrorKind::Conflict).
    ///
    /// A lost reply leaves open whether the client was created; only with a chosen id can the
    /// caller find out.
    pub async fn create_client(
        &self,
        client: &OAuth2Client,
        secret: Option<&ClientSecret>,
    ) -> Result<Created, HydraError> {
        let operation = Operation::CreateClient;
        let id = client.client_id.as_deref().filter(|id| !id.is_empty());
        let id = id.map(ClientId::parse).transpose();
        let id = id.map_err(|invalid| HydraError::not_sent(operation, invalid))?;
        let id = id.as_ref();
        let json = &body(operation, client.clone(), secret)?;
        let attempt = |generation: Generation| async move {
            refuse_out_of_reach(operation, generation, id)?;
            self.connection()
                .call(Request {
                    operation,
                    generation: Some(generation),
                    method: Method::POST,
                    path: generation.clients(),
                    query: Vec::new(),
                    json: Some(json.clone()),
                    secret,
                })
                .await
        };
        let answer = self.for_generation(attempt).await?;
        let Credential { client_secret } = answer.decode(operation)?;
        let secret = client_secret.filter(|secret| !secret.is_empty());
        Ok(Created {
            client: answer.decode(operation)?,
            secret: secret.map(ClientSecret::from_hydra),
        })
    }

    /// Replaces a client as a whole (`PUT /clients/{id}`): what `client` leaves out becomes Hydra's
    /// default, which is why it is to be built by [`merged`](super::meaning::merged). Without a
    /// secret the present one stays valid. The id in `client` does not count.
    ///
    /// The registration access token of the client, if it had one, becomes invalid.
    pub async fn replace_client(
        &self,
        id: &ClientId,
        client: &OAuth2Client,
        secret: Option<&ClientSecret>,
    ) -> Result<OAuth2Client, HydraError> {
        let operation = Operation::ReplaceClient;
        let client_id = Some(id.as_str().to_owned());
        let json = body(operation, OAuth2Client { client_id, ..client.clone() }, secret)?;
        self.on_client(operation, Method::PUT, id, Some(json), secret).await?.decode(operation)
    }

    /// Deletes a client and, with it, all its tokens (`DELETE /clients/{id}`).
    pub async fn delete_client(&self, id: &ClientId) -> Result<Deletion, HydraError> {
        match self.on_client(Operation::DeleteClient, Method::DELETE, id, None, None).await {
            Ok(_) => Ok(Deletion::Deleted),
            Err(error) if error.kind() == ErrorKind::Absent => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }

    /// Reads all clients, or all of one owner, and keeps them. Each appears once; see
    /// [`list_pages`](Self::list_pages).
    pub async fn list_clients(&self, owner: Option<&str>) -> Result<Vec<OAuth2Client>, HydraError> {
        let (mut clients, mut ids) = (Vec::new(), HashSet::new());
        let keep = |page: Vec<OAuth2Client>| {
            let new =
                |client: &OAuth2Client| ids.insert(client.client_id.clone().unwrap_or_default());
            clients.extend(page.into_iter().filter(new));
        };
        self.list_pages(owner, keep).await?;
        Ok(clients)
    }

    /// Reads all clients, or all of one owner, page by page (`GET /clients`), and hands each page to
    /// `visit`, so that they are never in memory all at once.
    ///
    /// A client may appear again: a listing whose token has become too old starts anew. Where pages
    /// are found by offset (1.x to 2.3), clients that are created or deleted meanwhile can shift
    /// others out of the listing: that a client is missing says nothing before
    /// [`get_client`](Self::get_client) says the same.
    ///
    /// Returns whether Hydra says that there are as many clients as were read (`X-Total-Count`), where
    /// some could be missing.
    ///
    /// Where clients are so large that a page exceeds its bound (16 MiB), smaller pages are read.
    pub async fn list_pages(
        &self,
        owner: Option<&str>,
        mut visit: impl FnMut(Vec<OAuth2Client>) + Send,
    ) -> Result<bool, HydraError> {
        let expected = self.generation().await?;
        match self.list_all(expected, owner, &mut visit).await {
            Err(error) => {
                let found = self.in_place_of(expected, error).await?;
                self.list_all(found, owner, &mut visit).await
            }
            done => done,
        }
    }

    async fn list_all(
        &self,
        generation: Generation,
        owner: Option<&str>,
        visit: &mut (impl FnMut(Vec<OAuth2Client>) + Send),
    ) -> Result<bool, HydraError> {
        let mut listing = Listing::new(generation, owner);
        while let Some(cursor) = listing.next_page()? {
            let mut request = Request::get(Operation::ListClients, listing.generation.clients());
            request.generation = Some(listing.generation);
            request.query = listing.generation.page(&cursor, listing.page_size, owner);
            match self.connection().call(request).await {
                Ok(answer) => {
                    visit(listing.take(&cursor, &answer)?);
                    self.remember(listing.generation);
                }
                Err(error) => listing.recover(&cursor, error)?,
            }
        }
        Ok(listing.is_complete())
    }

    async fn on_client(
        &self,
        operation: Operation,
        method: Method,
        id: &ClientId,
        json: Option<Vec<u8>>,
        secret: Option<&ClientSecret>,
    ) -> Result<Answer, HydraError> {
        let (method, json) = (&method, &json);
        self.for_generation(|generation| async move {
            refuse_out_of_reach(operation, generation, Some(id))?;
            self.connection()
                .call(Request {
                    operation,
                    generation: Some(generation),
                    method: method.clone(),
                    path: generation.client(id),
                    query: Vec::new(),
                    json: json.clone(),
                    secret,
                })
                .await
        })
        .await
    }
}

/// The state of a listing between its pages.
struct Listing<'a> {
    generation: Generation,
    owner: Option<&'a str>,
    page_size: usize,
    next: Option<Cursor>,
    visited: HashSet<Cursor>,
    restarts: usize,
    /// Hashes of the ids that were read.
    read: HashSet<u64>,
    /// How many clients there are, as the last page said.
    total: Option<usize>,
}

impl<'a> Listing<'a> {
    fn new(generation: Generation, owner: Option<&'a str>) -> Self {
        Self {
            generation,
            owner,
            page_size: LARGEST_PAGE,
            next: Some(Cursor::Start),
            visited: HashSet::new(),
            restarts: 0,
            read: HashSet::new(),
            total: None,
        }
    }

    /// The page to read next. A page that was read before, or too many of them, is an error: what
    /// was read so far may not be all.
    fn next_page(&mut self) -> Result<Option<Cursor>, HydraError> {
        let Some(cursor) = self.next.take() else { return Ok(None) };
        let endless = self.visited.len() * self.page_size >= MAX_LISTED;
        if endless || !self.visited.insert(cursor.clone()) {
            return Err(HydraError::endless(Operation::ListClients));
        }
        Ok(Some(cursor))
    }

    /// The clients on a page that was read.
    fn take(&mut self, cursor: &Cursor, answer: &Answer) -> Result<Vec<OAuth2Client>, HydraError> {
        let mut page: Vec<OAuth2Client> = answer.decode(Operation::ListClients)?;
        self.generation = self.generation.refined(&answer.headers);
        self.next = self.generation.next(cursor, self.page_size, page.len(), &answer.headers);
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        self.read.extend(page.iter().map(|client| hasher.hash_one(&client.client_id)));
        self.total =
            answer.headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
        // 1.x before 1.10.5 does not filter.
        if let Some(owner) = self.owner {
            page.retain(|client| client.owner.as_deref().unwrap_or_default() == owner);
        }
        Ok(page)
    }

    /// Whether no client was missed because others went while the list was read. Pages that are found
    /// by token miss none.
    fn is_complete(&self) -> bool {
        match self.generation {
            Generation::V1 | Generation::V2 => self.total == Some(self.read.len()),
            Generation::V25 => true,
        }
    }

    /// Starts again, if that can help against `error`. What was read so far is read again.
    fn recover(&mut self, cursor: &Cursor, error: HydraError) -> Result<(), HydraError> {
        if error.is_too_large() && self.page_size > 1 {
            self.page_size /= 2;
        } else if self.restarts < MAX_RESTARTS
            && self.generation.token_expired(cursor, error.status())
        {
            self.restarts += 1;
        } else {
            return Err(error);
        }
        self.visited.clear();
        self.next = Some(Cursor::Start);
        Ok(())
    }
}

fn body(
    operation: Operation,
    client: OAuth2Client,
    secret: Option<&ClientSecret>,
) -> Result<Vec<u8>, HydraError> {
    let body =
        Body { client: client.into_writable(), client_secret: secret.map(ClientSecret::expose) };
    serde_json::to_vec(&body)
        .map_err(|_| HydraError::not_sent(operation, "the client cannot be written as JSON"))
}

/// A client that is created with such an id could never be read or deleted again.
fn refuse_out_of_reach(
    operation: Operation,
    generation: Generation,
    id: Option<&ClientId>,
) -> Result<(), HydraError> {
    let Some(id) = id else { return Ok(()) };
    if generation.addresses(id) {
        return Ok(());
    }
    let unusable = match generation {
        Generation::V1 | Generation::V2 => "holds `/` or `%`",
        Generation::V25 => "ends with `/`",
    };
    let detail = format!("this version of Hydra cannot address a client whose id {unusable}");
    Err(HydraError::not_sent(operation, detail))
}
