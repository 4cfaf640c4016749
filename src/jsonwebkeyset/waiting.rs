//! The clients that a rotation waits for, because they do not hold the key that is to come: pure.

use jiff::Timestamp;

use super::{
    observe::{Linked, Trouble},
    rotation::{Key, Rules},
};

/// The clients that a rotation waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Those that lack a key that is to come, by their names.
    pub clients: Vec<Awaited>,
    /// When the first of the keys that they lack is to sign.
    pub expected: Option<Timestamp>,
}

/// A client that lacks a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// Its name.
    pub name: String,
    /// Why it does not come to hold the key by itself.
    pub trouble: Option<Trouble>,
}

/// Whom the rotation of `keys` waits for, of the clients that took keys from the set before.
#[must_use]
pub fn waiting(rules: &Rules, keys: &[Key], linked: &[Linked]) -> Waiting {
    let coming: Vec<&Key> = keys.iter().filter(|key| key.is_coming()).collect();
    let lacks = |client: &&Linked| coming.iter().any(|key| client.lacks(&key.kid));
    let mut clients: Vec<Awaited> = linked
        .iter()
        .filter(lacks)
        .map(|client| Awaited { name: client.name.clone(), trouble: client.trouble.clone() })
        .collect();
    clients.sort_by(|one, other| one.name.cmp(&other.name));
    let lacked = |key: &&&Key| linked.iter().any(|client| client.lacks(&key.kid));
    let expected = coming.iter().filter(lacked).map(|key| rules.expected(key)).min();
    Waiting { clients, expected }
}

impl Waiting {
    /// Their names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.clients.iter().map(|client| client.name.clone()).collect()
    }

    /// The clients that have held up the rotation at `now`, when it should be over, until somebody does something about them.
    /// One that merely needs a moment holds up nothing.
    #[must_use]
    pub fn held_up_by(&self, now: Timestamp) -> Vec<(&str, &Trouble)> {
        let is_overdue = self.expected.is_some_and(|expected| expected <= now);
        let troubled = self.clients.iter().filter(|_| is_overdue);
        troubled
            .filter_map(|client| Some((client.name.as_str(), client.trouble.as_ref()?)))
            .collect()
    }

    /// When they come to hold up the rotation, if they are about to.
    #[must_use]
    pub fn overdue_from(&self, now: Timestamp) -> Option<Timestamp> {
        let is_troubled = self.clients.iter().any(|client| client.trouble.is_some());
        self.expected.filter(|expected| is_troubled && *expected > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::jsonwebkeyset::KeyState::{Active, Pending},
        jsonwebkeyset::testing::{at, key, wanted},
    };

    fn client(name: &str, holds: &[&str], trouble: Option<Trouble>) -> Linked {
        let holds = holds.iter().map(ToString::to_string).collect();
        Linked { name: name.to_owned(), holds, ever_linked: true, trouble }
    }

    #[test]
    fn a_client_holds_up_a_rotation_once_it_is_overdue_and_not_by_lagging() {
        let rotation = serde_json::json!({ "publishBefore": "1m" });
        let spec = serde_json::json!({ "algorithm": "ES256", "rotation": rotation });
        let rules = wanted(&spec).rules;
        let keys = [key("a", Active), key("b", Pending)];
        let healthy = client("healthy", &["a"], None);
        let found = waiting(&rules, &keys, std::slice::from_ref(&healthy));
        assert_eq!(found.names(), ["healthy"]);
        assert!(found.held_up_by(at(90)).is_empty());
        assert_eq!(found.overdue_from(at(30)), None);

        let suspended = client("asleep", &["a"], Some(Trouble::Suspended));
        let found = waiting(&rules, &keys, &[healthy, suspended]);
        assert_eq!(found.names(), ["asleep", "healthy"]);
        assert!(found.held_up_by(at(59)).is_empty());
        assert_eq!(found.overdue_from(at(59)), Some(at(60)));
        assert_eq!(found.held_up_by(at(60)), [("asleep", &Trouble::Suspended)]);
        assert_eq!(found.overdue_from(at(60)), None);

        let holder = client("asleep", &["a", "b"], Some(Trouble::Suspended));
        assert_eq!(waiting(&rules, &keys, &[holder]), Waiting::default());
        let newcomer =
            Linked { ever_linked: false, ..client("new", &[], Some(Trouble::Suspended)) };
        assert_eq!(waiting(&rules, &keys, &[newcomer]), Waiting::default());
    }
}
