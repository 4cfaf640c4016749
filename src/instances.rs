//! All Hydras of this operator: its own, and those that resources ask for and may have.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::{
    hydra::{Base, ClientsAddress, ConfigError, Hydra},
    instance::Instance,
};

/// Name of the operator's own Hydra.
pub const OWN: &str = "default";

/// One of the Hydras, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The operator's own.
    Own,
    /// Another, at an address that is allowed.
    Other {
        /// Where it is.
        address: ClientsAddress,
        /// What it is told about the proxy before it.
        forwarded_proto: ForwardedProto,
    },
}

/// The `X-Forwarded-Proto` of the requests to a Hydra other than the operator's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedProto {
    /// What the operator's own Hydra is sent.
    #[default]
    AsSet,
    /// None.
    Off,
    /// `http`.
    Http,
    /// `https`.
    Https,
}

impl ForwardedProto {
    /// Reads `http`, `https` or `off`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    /// What [`Self::parse`] reads; none where nothing is asked for.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::AsSet => None,
            Self::Off => Some("off"),
            Self::Http => Some("http"),
            Self::Https => Some("https"),
        }
    }

    fn or(self, set: Option<&str>) -> Option<String> {
        match self {
            Self::AsSet => set.map(ToOwned::to_owned),
            Self::Off => None,
            Self::Http | Self::Https => self.as_str().map(ToOwned::to_owned),
        }
    }
}

/// Sets up the connection to the Hydra at an address, with a value of `X-Forwarded-Proto` and a
/// name for the metrics.
pub type Connect =
    Box<dyn Fn(&ClientsAddress, Option<String>, &str) -> Result<Hydra, ConfigError> + Send + Sync>;

/// The same Hydra, spoken to in the same way, is one instance.
type Key = (Base, Option<String>);

/// All Hydras of this operator. Those that resources ask for are set up when they are first used,
/// and stay: the administrator has listed them, so they are few.
pub struct Instances {
    own: Key,
    default: Arc<Instance>,
    others: Mutex<HashMap<Key, Arc<Instance>>>,
    connect: Connect,
    made: UnboundedSender<Arc<Instance>>,
}

impl Instances {
    /// With the operator's own Hydra at `base`, which is sent `forwarded_proto`. Also returns each
    /// instance once, as soon as there is one.
    pub fn new(
        default: Arc<Instance>,
        base: Base,
        forwarded_proto: Option<String>,
        connect: Connect,
    ) -> (Self, UnboundedReceiver<Arc<Instance>>) {
        let (made, instances) = mpsc::unbounded();
        // Fails only without a receiver, which is here.
        let _ = made.unbounded_send(default.clone());
        let own = (base, forwarded_proto);
        (Self { own, default, others: Mutex::default(), connect, made }, instances)
    }

    /// The operator's own Hydra.
    #[must_use]
    pub fn default(&self) -> &Arc<Instance> {
        &self.default
    }

    /// The Hydra that `target` names.
    pub fn get(&self, target: &Target) -> Result<Arc<Instance>, ConfigError> {
        let Target::Other { address, .. } = target else { return Ok(self.default.clone()) };
        let key = self.key(target);
        if key == self.own {
            return Ok(self.default.clone());
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = others.get(&key) {
            return Ok(instance.clone());
        }
        let name = address.label();
        let hydra = (self.connect)(address, key.1.clone(), &name)?;
        let instance = Arc::new(Instance::new(name, hydra));
        others.insert(key, instance.clone());
        // Fails only when the process ends.
        let _ = self.made.unbounded_send(instance.clone());
        Ok(instance)
    }

    /// Whether `target` names `instance`. Sets up none.
    #[must_use]
    pub fn is(&self, target: &Target, instance: &Arc<Instance>) -> bool {
        let key = self.key(target);
        if key == self.own {
            return Arc::ptr_eq(instance, &self.default);
        }
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.get(&key).is_some_and(|other| Arc::ptr_eq(other, instance))
    }

    fn key(&self, target: &Target) -> Key {
        match target {
            Target::Own => self.own.clone(),
            Target::Other { address, forwarded_proto } => {
                (address.base(), forwarded_proto.or(self.own.1.as_deref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt;
    use url::Url;

    use super::*;
    use crate::hydra::HydraConfig;

    fn hydra(url: &str) -> Hydra {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Hydra::new(HydraConfig::new(Url::parse(url).unwrap())).unwrap()
    }

    fn other(address: &str, forwarded_proto: ForwardedProto) -> Target {
        Target::Other { address: ClientsAddress::parse(address).unwrap(), forwarded_proto }
    }

    #[tokio::test]
    async fn one_instance_for_each_hydra_and_manner() {
        let own = "http://hydra:4445";
        let default = Arc::new(Instance::new(OWN, hydra(own)));
        let connected = Arc::new(AtomicUsize::new(0));
        let count = connected.clone();
        let connect: Connect = Box::new(move |address, _, _| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(hydra(address.url().as_str()))
        });
        let base = Base::of(&Url::parse(own).unwrap());
        let (instances, made) = Instances::new(default, base, Some("https".into()), connect);

        let b = "http://b:4445/admin/clients";
        let cases = [
            (Target::Own, "default", 0),
            (other("http://hydra:4445/clients", ForwardedProto::AsSet), "default", 0),
            (other("http://hydra:4445/clients", ForwardedProto::Https), "default", 0),
            (other("http://hydra:4445/clients", ForwardedProto::Off), "hydra:4445/clients", 1),
            (other(b, ForwardedProto::AsSet), "b:4445/admin/clients", 2),
            (other(b, ForwardedProto::Https), "b:4445/admin/clients", 2),
            (other("http://b:4445/clients", ForwardedProto::AsSet), "b:4445/admin/clients", 2),
            (other(b, ForwardedProto::Http), "b:4445/admin/clients", 3),
        ];
        for (target, name, connections) in &cases {
            let instance = instances.get(target).unwrap();
            assert_eq!(instance.name(), *name, "{target:?}");
            assert_eq!(connected.load(Ordering::SeqCst), *connections, "{target:?}");
            assert!(instances.is(target, &instance), "{target:?}");
        }
        assert!(!instances.is(&cases[4].0, instances.default()));
        assert!(
            !instances.is(&other("http://c/clients", ForwardedProto::Off), instances.default())
        );
        drop(instances);
        assert_eq!(made.count().await, 4, "each was told once");
    }
}
