//! What has to be done: pure, from what is desired, recorded and observed, and the time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    desired::Desired,
    error::{Failure, Reason},
    observe::Observed,
    record::Record,
    rotation::{self, Key, Sight, Substance, Turn, Wishes, turn},
};
use crate::{
    api::jsonwebkeyset::{KeyOrigin, KeyState, KeyStatus},
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
        /// The id of a key that Hydra signs with and that is not to sign.
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
    /// Clients that do not hold a new key yet.
    pub waiting_for: Vec<String>,
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
        Ok(Plan::Apply(Box::new(view.changes(turn, &sights, &wishes, foreign))))
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

    /// A set that holds keys of others and none of ours is not ours to use, unless that is allowed, or they are those that
    /// are to be imported. Returns those that become ours.
    fn first_contact(&self, foreign: &[String], now: Timestamp) -> Result<Vec<Recorded>, Failure> {
        let is_ours =
            |key: &str| self.record.public_key(key).is_some() || self.stored(key).is_some();
        if foreign.is_empty() || self.record.keys.iter().any(|key| is_ours(&key.kid)) {
            return Ok(Vec::new());
        }
        let strangers: Vec<&StoredKey> =
            self.observed.stored().filter(|key| !self.is_imported(key)).collect();
        if strangers.is_empty() {
            return Ok(Vec::new());
        }
        if !self.desired.adopts {
            let shown: Vec<&str> = foreign.iter().take(5).map(String::as_str).collect();
            return Err(Failure::terminal(
                Reason::KeySetNotOwned,
                format!(
                    "the set {} holds {} keys that are not the operator's ({}): choose another spec.setName, or ask the \
                     administrator of the operator to let it adopt them (--adopt-key-sets)",
                    self.desired.set.as_str(),
                    foreign.len(),
                    shown.join(", ")
                ),
            ));
        }
        let whole = |key: &&StoredKey| key.jwk.is_private();
        let first = self.observed.stored().find(whole).map(|key| key.kid.clone());
        // The oldest comes first in the record, and the newest in Hydra.
        let mut adopted: Vec<Recorded> =
            self.observed.stored().map(|key| self.adopt(key, first.as_ref(), now)).collect();
        adopted.reverse();
        Ok(adopted)
    }

    fn is_imported(&self, stored: &StoredKey) -> bool {
        let imported = self.observed.imported.iter().flatten();
        let same = |key: &Jwk| {
            key.kid() == Some(&stored.kid)
                && key.public().zip(stored.jwk.public()).is_some_and(|(a, b)| same_key(a, b))
        };
        imported.into_iter().any(same)
    }

    fn adopt(&self, stored: &StoredKey, first: Option<&String>, now: Timestamp) -> Recorded {
        let is_first = first == Some(&stored.kid);
        let rules = &self.desired.rules;
        let named = |member: &str, otherwise: &str| {
            let named = stored.jwk.text(member).filter(|text| !text.is_empty());
            named.unwrap_or(otherwise).to_owned()
        };
        let key = Key {
            kid: stored.kid.clone(),
            algorithm: named("alg", &rules.algorithm),
            key_use: named("use", &rules.key_use),
            state: if is_first { KeyState::Active } else { KeyState::Retained },
            since: now,
            origin: KeyOrigin::Adopted,
        };
        let public = public(&stored.jwk, &key);
        Recorded { key, public }
    }

    /// A kid means one key for ever: those who check signatures keep copies.
    fn check_import(&self) -> Result<(), Failure> {
        let taken = |key: &&Jwk| {
            let kid = key.kid().unwrap_or_default();
            let foreign = || self.stored(kid).filter(|_| !self.is_ours(kid))?.jwk.public();
            let known = self.record.public_key(kid).or_else(foreign);
            known.zip(key.public()).is_some_and(|(known, public)| !same_key(known, public))
        };
        let Some(key) = self.observed.imported.iter().flatten().find(taken) else { return Ok(()) };
        let kid = key.kid().unwrap_or_default();
        let message = format!(
            "the set holds another key of the kid {kid} than the Secret to import from: give the new key another kid, or none"
        );
        Err(Failure::terminal(Reason::InvalidImport, message))
    }

    /// Hydra lets a client sign with one algorithm alone.
    fn check_links(&self, keys: &[Key]) -> Result<(), Failure> {
        let Some(active) = rotation::active(keys) else { return Ok(()) };
        let Some(client) = self.observed.linked.first() else { return Ok(()) };
        if self.desired.rules.fit(active) {
            return Ok(());
        }
        Err(Failure::terminal(
            Reason::KeySetInUse,
            format!(
                "OAuth2Client {} takes its keys from this set, and a client can sign with one algorithm alone: put {} ({}) \
                 back, or create another JsonWebKeySet, let spec.jwksFrom of the clients name that one, and change \
                 this one when nobody names it any more",
                client.name, active.algorithm, active.key_use
            ),
        ))
    }

    fn check_algorithm(&self) -> Result<(), Failure> {
        let (algorithm, generation) = (&self.desired.algorithm, self.observed.generation);
        let name = algorithm.as_str();
        let trouble = if self.desired.is_system && !generation.can_sign_with(name) {
            format!("this version of Hydra cannot sign its own tokens with {name}: write RS256")
        } else if algorithm.is_symmetric()
            && !generation.has_symmetric_keys()
            && self.observed.imported.is_none()
        {
            format!(
                "this version of Hydra makes no keys for {name}: choose an algorithm with a public half, such as ES256"
            )
        } else {
            return Ok(());
        };
        Err(Failure::terminal(Reason::UnsupportedAlgorithm, trouble))
    }

    /// A Hydra that keeps private halves to itself makes one key after the other of which none can be handed out.
    fn check_halves(&self) -> Result<(), Failure> {
        let is_half = |key: &&KeyStatus| {
            let stored = self.stored(&key.kid);
            key.state == KeyState::Pending
                && key.public_key.is_none()
                && stored.is_some_and(|stored| !stored.jwk.is_private())
                && self.private(&key.kid, None).is_none()
        };
        let Some(half) = self.record.keys.iter().find(is_half) else { return Ok(()) };
        let message = format!(
            "Hydra has made key {} and shows no private half of it, as with a hardware security module: its key sets cannot be \
             managed here",
            half.kid
        );
        Err(Failure::terminal(Reason::UnsupportedAlgorithm, message))
    }

    /// The id of the key that Hydra signs its own tokens with: the newest one.
    fn signing(&self) -> Option<&str> {
        let first = self.observed.stored().find(|key| key.jwk.is_private());
        first.filter(|_| self.desired.is_system).map(|first| first.kid.as_str())
    }

    /// The key that Hydra signs with, if it is not to sign, or not any more.
    fn intruder(&self) -> Option<&str> {
        let is_retained = |kid: &str| {
            let retained = |key: &KeyStatus| key.kid == kid && key.state == KeyState::Retained;
            self.record.keys.iter().any(retained)
        };
        self.signing().filter(|kid| !self.is_ours(kid) || is_retained(kid))
    }

    /// The keys as they are recorded. What Hydra signs with until now has to be known for as long from now on.
    fn rotating(&self, now: Timestamp) -> Vec<Key> {
        let mut keys = self.record.rotating();
        let signs = |key: &&mut Key| Some(key.kid.as_str()) == self.signing();
        let retained = |key: &&mut Key| key.state == KeyState::Retained;
        if let Some(key) = keys.iter_mut().filter(signs).find(retained) {
            key.since = now;
        }
        keys
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

    /// The keys that the operator has made, from its Secret or, where somebody took them out, from wherever they are.
    fn keeps(&self, keys: &[Key], privates: &BTreeMap<String, Jwk>) -> Vec<Jwk> {
        let made = keys.iter().filter(|key| key.origin == KeyOrigin::Operator);
        let kept = made.filter_map(|key| {
            let material = &self.observed.material;
            let kept = material.iter().find(|kept| self.fits(&key.kid, kept));
            kept.or_else(|| privates.get(&key.kid)).cloned()
        });
        kept.collect()
    }

    fn sights(&self) -> BTreeMap<String, Sight> {
        let sight = |kid: &str, state: KeyState| {
            let intact = self.intact(kid);
            let is_made = self.record.public_key(kid).is_some()
                || (self.desired.algorithm.is_symmetric() && state != KeyState::Pending);
            let substance = if self.private(kid, intact).is_some() {
                Substance::Whole
            } else if is_made || self.stored(kid).is_some() {
                Substance::Lost
            } else {
                Substance::Unmade
            };
            Sight { substance, published: intact.is_some_and(|key| self.is_published(key)) }
        };
        let keys = self.record.keys.iter();
        keys.map(|key| (key.kid.clone(), sight(&key.kid, key.state))).collect()
    }

    /// Whether the public half of a key that Hydra has is wherever else it is looked up.
    fn is_published(&self, stored: &StoredKey) -> bool {
        let Some(public) = stored.jwk.public() else { return true };
        let shown = |keys: &[PublicJwk], kid: &str| {
            let is_it = |key: &PublicJwk| {
                key.get("kid").is_some_and(|of| of == kid) && same_key(key, public)
            };
            keys.iter().any(is_it)
        };
        let in_output =
            self.desired.public.is_none() || shown(&self.observed.shown, self.output_kid(stored));
        let by_hydra = self.observed.published.as_ref();
        // Without a current key nothing is refused that is not refused anyway: whoever is late is not waited for.
        let is_current = |key: &KeyStatus| key.state == KeyState::Active;
        let waits = self.record.keys.iter().any(is_current);
        in_output
            && by_hydra.is_none_or(|keys| shown(keys, &stored.published_kid))
            && !(waits && self.lacking(&stored.kid).next().is_some())
    }

    fn output_kid<'b>(&self, stored: &'b StoredKey) -> &'b str {
        if self.desired.is_system { &stored.published_kid } else { &stored.kid }
    }

    /// The clients that took keys from this set before and do not hold this one.
    fn lacking(&self, kid: &str) -> impl Iterator<Item = &str> {
        let lacks = move |client: &&super::observe::Linked| {
            client.ever_linked && !client.holds.contains(kid)
        };
        self.observed.linked.iter().filter(lacks).map(|client| client.name.as_str())
    }

    fn changes(
        &self,
        mut turn: Turn,
        sights: &BTreeMap<String, Sight>,
        wishes: &Wishes,
        foreign: Vec<String>,
    ) -> Changes {
        // What the operator has stored, it has made, whether or not it came to record that.
        for key in turn.keys.iter_mut().filter(|key| key.origin == KeyOrigin::Hydra) {
            if self.observed.material.iter().any(|kept| self.fits(&key.kid, kept)) {
                key.origin = KeyOrigin::Operator;
            }
        }
        let mut makes = Vec::new();
        let (mut publics, mut privates) = (BTreeMap::new(), BTreeMap::new());
        let mut published_kids = BTreeMap::new();
        for key in &turn.keys {
            let intact = self.intact(&key.kid);
            let private = self.private(&key.kid, intact).map(|jwk| named(jwk, key));
            let known = self.record.public_key(&key.kid).cloned();
            let seen = || {
                private
                    .as_ref()
                    .or(intact.map(|stored| &stored.jwk))
                    .and_then(|jwk| public(jwk, key))
            };
            let known = known.or_else(seen);
            if let Some(make) = self.make(key, intact, private.as_ref(), known.as_ref(), wishes) {
                makes.push((key.kid.clone(), make));
            }
            if let Some(stored) = intact.filter(|_| self.desired.is_system) {
                published_kids.insert(key.kid.clone(), stored.published_kid.clone());
            }
            publics.extend(known.map(|public| (key.kid.clone(), public)));
            privates.extend(private.map(|private| (key.kid.clone(), private)));
        }
        let coming = turn.keys.iter().filter(|key| key.is_coming());
        let waiting: BTreeSet<&str> = coming.flat_map(|key| self.lacking(&key.kid)).collect();
        let was = |kid: &str| {
            let known = self.record.keys.iter().find(|known| known.kid == kid);
            known.map_or(KeyState::Pending, |known| known.state)
        };
        // The current one is lost until another has taken its place, any other until it is given up, which it is at once.
        let is_lost = |key: &&Key| {
            let counts = match was(&key.kid) {
                KeyState::Active => key.state == KeyState::Active,
                KeyState::Pending | KeyState::Published => true,
                KeyState::Retained => false,
            };
            let sight = sights.get(&key.kid);
            counts && sight.is_some_and(|sight| sight.substance == Substance::Lost)
        };
        Changes {
            lost: turn.keys.iter().filter(is_lost).map(|key| key.kid.clone()).collect(),
            keeps: self.keeps(&turn.keys, &privates),
            waiting_for: waiting.into_iter().map(ToOwned::to_owned).collect(),
            makes,
            publics,
            privates,
            published_kids,
            foreign,
            turn,
        }
    }

    /// How `key` gets into Hydra, if it is not there as it should be. Hydra's own sets are never sent a key: it would be the
    /// newest, which signs.
    fn make(
        &self,
        key: &Key,
        intact: Option<&StoredKey>,
        private: Option<&Jwk>,
        public: Option<&PublicJwk>,
        wishes: &Wishes,
    ) -> Option<Make> {
        let is_provided = wishes.provided.is_some() && key.origin == KeyOrigin::Imported;
        let is_half =
            |stored: &StoredKey| key.origin != KeyOrigin::Adopted && stored.lacks_its_public_row();
        let in_hydra = intact.is_some_and(|stored| {
            private.is_none() || (stored.jwk.is_private() && !is_half(stored))
        });
        if in_hydra && !self.desired.is_system {
            return None;
        }
        if self.desired.is_system {
            let is_new = intact.is_none()
                && key.state == KeyState::Pending
                && self.record.public_key(&key.kid).is_none();
            return is_new.then_some(Make::ByHydra);
        }
        match (private, public) {
            (Some(private), _) => Some(Make::Send(private.clone())),
            (None, Some(public)) => Some(Make::Send(Jwk::of_public(public.clone()))),
            // It has to be there to be sent.
            (None, None) if is_provided || key.state != KeyState::Pending => None,
            (None, None) if self.observed.generation.can_make(&key.algorithm) => {
                Some(Make::ByHydra)
            }
            (None, None) => Some(Make::Here),
        }
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
