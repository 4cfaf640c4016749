//! A Kubernetes operator that makes the OAuth 2.0 clients and JSON Web Key sets of Ory Hydra declarative.
//!
//! Data flows one way, and everything that decides is synchronous and pure:
//!
//! ```text
//! observe (IO) -> desired (pure) -> plan (pure) -> apply (IO) -> status (pure, then one patch)
//! ```
//!
//! | module | holds | must not |
//! |---|---|---|
//! | [`api`] | the custom resources and their definitions | do IO |
//! | [`hydra`] | the admin API of Hydra | know Kubernetes |
//! | [`kubernetes`] | ownership, watches, events, status patches | know Hydra |
//! | [`controller`] | outcome classes, backoff, claims of several resources on one thing | know a resource kind |
//! | [`instance`], [`instances`] | what belongs to one Hydra, and which Hydras there are | know Kubernetes |
//! | [`jose`] | JSON Web Keys: made, read, written | know Hydra or Kubernetes |
//! | [`secret_template`] | the rules of templates of objects that are written | do IO |
//! | [`oauth2client`] | the reconcile of an `OAuth2Client` | |
//! | [`jsonwebkeyset`] | the reconcile of a `JsonWebKeySet` | |
//! | [`fence`] | until when this process may write | know to what |
//! | [`leader`] | which of several replicas leads | know what it leads |
//! | [`reasons`] | the page of all reasons | |
//! | [`mod@reference`] | the pages of all fields and flags | |
//! | [`operator`] | the composition root | decide anything |

pub mod admin;
pub mod api;
pub mod cli;
pub mod controller;
pub mod fence;
pub mod hydra;
pub mod instance;
pub mod instances;
pub mod jose;
pub mod jsonwebkeyset;
pub mod kubernetes;
pub mod leader;
pub mod metrics;
pub mod oauth2client;
pub mod operator;
pub mod reasons;
pub mod reference;
pub mod secret_template;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
