//! Resources that refer to several objects of one kind, each in a role of its own.

use std::hash::Hash;

use super::{
    SecretVersion,
    referrers::{Referrers, SecretEvent, SecretRef},
};

/// For the objects of one kind, the resources that refer to them. `R` identifies a resource, `P` is
/// what the object is to it: in each role a resource refers to one object at most.
///
/// A value for Secrets and another for ConfigMaps keep the kinds apart.
pub struct References<R, P> {
    referrers: Referrers<(R, P)>,
}

impl<R, P> Default for References<R, P> {
    fn default() -> Self {
        Self { referrers: Referrers::default() }
    }
}

impl<R, P> References<R, P>
where
    R: Clone + Eq + Hash + Ord,
    P: Copy + Eq + Hash + Ord,
{
    /// `resource` refers to these objects and to no other. `None`: to none in that role.
    pub fn refer_to(
        &self,
        resource: &R,
        objects: impl IntoIterator<Item = (P, Option<SecretRef>)>,
    ) {
        for (role, object) in objects {
            let referrer = (resource.clone(), role);
            match object {
                Some(object) => self.referrers.refer(&referrer, object),
                None => self.referrers.forget(&referrer),
            }
        }
    }

    /// A pass has read or written this version of `object`.
    pub fn handled(&self, object: &SecretRef, version: &SecretVersion) {
        self.referrers.handled(object, version);
    }

    /// The version of `object` as it is now, as far as that is known without a request.
    #[must_use]
    pub fn version(&self, object: &SecretRef) -> Option<SecretVersion> {
        self.referrers.version(object)
    }

    /// The resources to wake because of `event`, each once.
    #[must_use]
    pub fn affected(&self, event: &SecretEvent) -> Vec<R> {
        let affected = self.referrers.affected(event).into_iter();
        let mut resources: Vec<_> = affected.map(|(resource, _)| resource).collect();
        resources.sort_unstable();
        resources.dedup();
        resources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    enum Role {
        Import,
        Output,
    }

    fn object(name: &str) -> SecretRef {
        ("shop".to_owned(), name.to_owned())
    }

    fn seen(name: &str, resource_version: &str) -> SecretEvent {
        let version =
            SecretVersion { uid: "u".into(), resource_version: resource_version.to_owned() };
        SecretEvent::Seen { secret: object(name), version }
    }

    #[test]
    fn a_resource_hears_of_each_of_its_objects_and_leaves_them_one_by_one() {
        let references = References::default();
        references.refer_to(
            &"a",
            [(Role::Import, Some(object("in"))), (Role::Output, Some(object("out")))],
        );
        assert_eq!(references.affected(&seen("in", "1")), ["a"]);
        assert_eq!(references.affected(&seen("out", "1")), ["a"]);
        let version = references.version(&object("out")).unwrap();
        references.handled(&object("out"), &version);
        assert!(references.affected(&seen("out", "1")).is_empty());
        references.refer_to(&"a", [(Role::Import, None), (Role::Output, Some(object("moved")))]);
        assert!(references.affected(&seen("in", "2")).is_empty());
        assert!(references.affected(&seen("out", "2")).is_empty());
        assert_eq!(references.affected(&seen("moved", "1")), ["a"]);
    }

    #[test]
    fn an_object_in_two_roles_wakes_once() {
        let references = References::default();
        let both = [(Role::Import, Some(object("s"))), (Role::Output, Some(object("s")))];
        references.refer_to(&"b", both.clone());
        references.refer_to(&"a", both);
        assert_eq!(references.affected(&seen("s", "1")), ["a", "b"]);
        references.refer_to(&"a", [(Role::Import, None), (Role::Output, None)]);
        assert_eq!(references.affected(&seen("s", "2")), ["b"]);
    }
}
