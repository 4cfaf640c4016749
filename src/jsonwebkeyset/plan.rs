//! What has to be done: pure, from what is desired, recorded and observed, and the time.

mod changes;
mod checks;
mod sights;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    desired::Desired,
    error::Failure,
    observe::Observed,
    record::Record,
    rotation::{Key, Turn, Wishes, turn},
    waiting::Waiting,
};
use crate::{
    hydra::StoredKey,
    jose::{Jwk, PublicJwk, completed, same_key},
};

/// What a pass is to do.
#[derive(Clone)]
pub enum Plan {
    /// To record these keys, before any of them is made.
    Record {
        /// The keys.
        keys: Vec<Recorded>,
        /// The id of a key of ours that Hydra signs with and that is not to sign any more.
        intruder: Option<String>,
    },
    /// To bring Hydra and the outputs to this.
    Apply(Box<Changes>),
}

/// A key that is to be recorded, with its public half where it is there already.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The key.
    pub key: Key,
    /// Its public half.
    pub public: Option<PublicJwk>,
}

/// The changes that lead to the desired state.
#[derive(Clone)]
pub struct Changes {
    /// The keys from now on, and what is to go.
    pub turn: Turn,
    /// Writes to Hydra, the oldest key first.
    pub makes: Vec<(String, Make)>,
    /// The public halves that are known.
    pub publics: BTreeMap<String, PublicJwk>,
    /// Keys of which there is the private half.
    pub privates: BTreeMap<String, Jwk>,
    /// Under which id Hydra publishes a key, where it is another.
    pub published_kids: BTreeMap<String, String>,
    /// Keys in the set that are not ours.
    pub foreign: Vec<String>,
    /// Keys whose private half is nowhere any more.
    pub lost: Vec<String>,
    /// The key of somebody else that Hydra signs with.
    pub stranger: Option<String>,
    /// Clients that do not hold a new key yet.
    pub waiting: Waiting,
    /// Keys that the operator has made, which it keeps in a Secret of its own.
    pub keeps: Vec<Jwk>,
}

/// How a key gets into Hydra.
#[derive(Clone)]
pub enum Make {
    /// Hydra makes it.
    ByHydra,
    /// The operator makes it, and stores it before it sends it.
    Here,
    /// It is there, and is sent.
    Send(Jwk),
}

impl Make {
    /// Whether the key did not exist before.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self, Self::ByHydra | Self::Here)
    }
}

/// Works out what is to be done. A key that is needed gets the id `fresh`.
pub fn plan(
    desired: &Desired,
    record: &Record,
    observed: &Observed,
    fresh: &str,
    now: Timestamp,
) -> Result<Plan, Failure> {
    let view = View { desired, record, observed };
    view.check_algorithm()?;
    let foreign = view.foreign();
    let adopted = view.first_contact(&foreign, now)?;
    if !adopted.is_empty() {
        return Ok(Plan::Record { keys: adopted, intruder: None });
    }
    let keys = view.rotating(now);
    view.check_import()?;
    view.check_links(&keys)?;
    view.check_halves()?;
    let sights = view.sights();
    let intruder = view.intruder().map(ToOwned::to_owned);
    let wishes = Wishes {
        rotate: record.rotate || intruder.is_some(),
        revoke: record.revoke.clone(),
        provided: observed
            .imported
            .as_ref()
            .map(|keys| kids(keys).filter(|kid| !record.revoked.contains(kid)).collect()),
    };
    let turn = turn(&desired.rules, &keys, &sights, &wishes, fresh, now);
    let is_new = |key: &&Key| !keys.iter().any(|known| known.kid == key.kid);
    let new: Vec<Recorded> = turn
        .keys
        .iter()
        .filter(is_new)
        .map(|key| Recorded { key: key.clone(), public: None })
        .collect();
    if new.is_empty() {
        Ok(Plan::Apply(Box::new(view.changes(turn, &sights, &wishes, foreign, now))))
    } else {
        Ok(Plan::Record { keys: new, intruder })
    }
}

fn kids(keys: &[Jwk]) -> impl Iterator<Item = String> {
    keys.iter().filter_map(|key| key.kid().map(ToOwned::to_owned))
}

struct View<'a> {
    desired: &'a Desired,
    record: &'a Record,
    observed: &'a Observed,
}

impl View<'_> {
    fn stored(&self, kid: &str) -> Option<&StoredKey> {
        self.observed.stored().find(|key| key.kid == kid)
    }

    fn is_ours(&self, kid: &str) -> bool {
        self.record.keys.iter().any(|key| key.kid == kid)
    }

    fn foreign(&self) -> Vec<String> {
        let all = self.observed.stored().map(|key| key.kid.clone());
        all.filter(|kid| !self.is_ours(kid)).collect()
    }

    /// The key as Hydra has it, if that is the one that is recorded.
    fn intact(&self, kid: &str) -> Option<&StoredKey> {
        let stored = self.stored(kid)?;
        let recorded = self.record.public_key(kid);
        let is_same = match (recorded, stored.jwk.public()) {
            (Some(recorded), Some(public)) => same_key(recorded, public),
            (Some(_), None) => false,
            (None, _) => !self.is_another_secret(stored),
        };
        is_same.then_some(stored)
    }

    /// Whether what Hydra has is not the symmetric key of that id, as far as that is kept or provided.
    fn is_another_secret(&self, stored: &StoredKey) -> bool {
        let known = self.observed.material.iter().chain(self.observed.imported.iter().flatten());
        let mut of_this_kid = known.filter(|key| key.kid() == Some(&stored.kid));
        of_this_kid.any(|key| key.is_symmetric() && !key.same_secret(&stored.jwk))
    }

    fn imported(&self, kid: &str) -> Option<&Jwk> {
        self.observed.imported.iter().flatten().find(|key| key.kid() == Some(kid))
    }

    /// The private half of a key, from wherever it is; `intact` is what Hydra has.
    fn private(&self, kid: &str, intact: Option<&StoredKey>) -> Option<Jwk> {
        let observed = self.observed;
        let fits = |key: &&Jwk| self.fits(kid, key);
        let in_hydra = intact.map(|stored| &stored.jwk).filter(|key| key.is_private());
        let elsewhere = || {
            let imported = observed.imported.iter().flatten();
            observed.material.iter().chain(imported).chain(&observed.handed_out).find(fits)
        };
        in_hydra.or_else(elsewhere).cloned()
    }

    /// Whether `key` is the private half of the key `kid`, as far as that is recorded.
    fn fits(&self, kid: &str, key: &Jwk) -> bool {
        let recorded = self.record.public_key(kid);
        key.kid() == Some(kid)
            && key.is_private()
            && recorded
                .is_none_or(|recorded| key.public().is_none_or(|public| same_key(recorded, public)))
    }
}

/// The key under the names that it has in the set.
fn named(jwk: Jwk, key: &Key) -> Jwk {
    completed(jwk).named(&key.kid, &key.algorithm, &key.key_use)
}

/// The public half of `jwk` as it is handed out: what identifies it and what it is for.
#[must_use]
pub fn public(jwk: &Jwk, key: &Key) -> Option<PublicJwk> {
    const MEMBERS: [&str; 9] = ["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"];
    let mut public = named(jwk.clone().into_public(), key).public()?.clone();
    public.retain(|member, _| MEMBERS.contains(&member.as_str()));
    Some(public)
}

#[cfg(test)]
mod tests;
