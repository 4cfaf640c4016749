//! What is known of one resource.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Claim, Claimant, ranks::Standing};

/// A resource and what it claims. There is one for each resource of the cluster: it is kept small.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Entry<T> {
    uid: Option<Box<str>>,
    created: Timestamp,
    active: bool,
    stuck: bool,
    /// Whether another holds something that it claims.
    bereft: bool,
    /// Whether it was seen to be refused what no other resource has.
    refused: bool,
    /// Sorted by thing, each of them named or found.
    stakes: Vec<Stake<T>>,
}

/// One thing that a resource claims.
struct Stake<T> {
    thing: Arc<T>,
    /// How the resource itself names it.
    named: Option<Claim>,
    /// Whether a pass found that it claims this besides.
    found: bool,
    /// Whether a pass under way is about to take it.
    taking: bool,
    /// Whether it was seen to hold it, which its status may not show yet.
    proven: bool,
}

impl<T> Stake<T> {
    fn of(thing: Arc<T>) -> Self {
        Self { thing, named: None, found: false, taking: false, proven: false }
    }

    fn is_held(&self) -> bool {
        self.proven || self.named.is_some_and(|claim| claim != Claim::Wants)
    }
}

impl<T: Ord> Entry<T> {
    pub fn new(claimant: Claimant<Arc<T>>) -> Self {
        let mut entry = Self {
            uid: None,
            created: claimant.created,
            active: false,
            stuck: false,
            bereft: false,
            refused: false,
            stakes: Vec::new(),
        };
        entry.renew(claimant);
        entry
    }

    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    pub fn created(&self) -> Timestamp {
        self.created
    }

    pub fn is_bereft(&self) -> bool {
        self.bereft
    }

    #[cfg(test)]
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// What is known of passes stands as far as it is about what is claimed still.
    pub fn renew(&mut self, claimant: Claimant<Arc<T>>) {
        let Claimant { uid, created, active, stuck, named } = claimant;
        let known = self.stakes.iter().filter_map(|stake| Some((&stake.thing, stake.named?)));
        self.refused &= known.eq(named.iter().map(|(thing, claim)| (thing, *claim)));
        self.uid = uid.map(String::into_boxed_str);
        (self.created, self.active, self.stuck) = (created, active, stuck);
        for stake in &mut self.stakes {
            stake.named = None;
        }
        for (thing, claim) in named {
            self.stake(thing).named = Some(claim);
        }
        self.forget_unclaimed();
    }

    /// A pass found that it claims this besides, and nothing else.
    pub fn find(&mut self, thing: Option<Arc<T>>) {
        for stake in &mut self.stakes {
            stake.found = false;
        }
        if let Some(thing) = thing {
            self.stake(thing).found = true;
        }
        self.forget_unclaimed();
    }

    /// A pass is about to take what it claims.
    pub fn take(&mut self) {
        let active = self.active;
        for stake in &mut self.stakes {
            stake.taking = active || stake.taking || stake.is_held();
        }
    }

    /// The pass has ended.
    pub fn end(&mut self) {
        for stake in &mut self.stakes {
            stake.taking = false;
        }
    }

    /// The pass has brought it what it was about to take.
    pub fn prove(&mut self) {
        self.refused = false;
        for stake in &mut self.stakes {
            stake.proven |= stake.taking;
        }
    }

    /// It was seen to hold what it claims.
    pub fn concede(&mut self, thing: &T) {
        if let Ok(place) = self.place(thing) {
            self.stakes[place].proven = true;
        }
    }

    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether another holds something that it claims.
    pub fn set_bereft(&mut self, bereft: bool) {
        self.bereft = bereft;
    }

    /// What it claims, and how it stands with each.
    pub fn claims(&self) -> impl Iterator<Item = (&Arc<T>, Standing)> {
        self.contended().map(|(stake, standing)| (&stake.thing, standing))
    }

    pub fn holds(&self, thing: &T) -> bool {
        self.place(thing).is_ok_and(|place| self.stakes[place].is_held())
    }

    /// What it cannot do without.
    pub fn needs(&self) -> impl Iterator<Item = &Arc<T>> {
        let needed = self.contended().filter(|(stake, _)| stake.named != Some(Claim::Leaves));
        needed.map(|(stake, _)| &stake.thing)
    }

    fn contended(&self) -> impl Iterator<Item = (&Stake<T>, Standing)> {
        let wants = if self.bereft || self.refused || self.stuck {
            Standing::WantsInVain
        } else {
            Standing::Wants
        };
        let standing = move |stake: &Stake<T>| {
            if stake.is_held() || stake.taking { Standing::Holds } else { wants }
        };
        let claims = self.stakes.iter().map(move |stake| (stake, standing(stake)));
        claims.filter(|(_, standing)| self.active || *standing == Standing::Holds)
    }

    fn stake(&mut self, thing: Arc<T>) -> &mut Stake<T> {
        let place = self.place(&thing).unwrap_or_else(|place| {
            self.stakes.insert(place, Stake::of(thing));
            place
        });
        &mut self.stakes[place]
    }

    fn place(&self, thing: &T) -> Result<usize, usize> {
        self.stakes.binary_search_by(|stake| (*stake.thing).cmp(thing))
    }

    fn forget_unclaimed(&mut self) {
        self.stakes.retain(|stake| stake.named.is_some() || stake.found);
        self.stakes.shrink_to_fit();
    }
}
