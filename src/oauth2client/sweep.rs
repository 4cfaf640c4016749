//! The sweep: one paged list of the clients of a Hydra finds the resources that need a look.
//!
//! A converged resource has no timer of its own. What the list shows is only a reason to look: the
//! pass that follows reads the client again before anything is concluded from its absence. Of the
//! clients only a page at a time is in memory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Context, Watched,
    desired::marked,
    secret_shape::needs_well_known,
    survey::{Survey, key_of},
};
use crate::{
    api::OAuth2Client,
    controller::{
        ResourceKey,
        backoff::{self, chance, jittered},
        resync,
    },
    hydra::{self, HydraError},
    instance::Instance,
};

/// Longest wait between two looks at a Hydra that is away.
const LONGEST_ABSENCE: Duration = Duration::from_secs(15);

/// How long a Hydra counts as just back: passes that were under way when it returned end as if it
/// were still away.
const RETURN: Duration = Duration::from_mins(2);

/// The resources that belong to one Hydra, as the watches show them.
pub trait Resources: Sync {
    /// All of them.
    fn all(&self) -> Vec<Arc<Watched>>;
    /// One of them.
    fn get(&self, key: &ResourceKey) -> Option<Arc<Watched>>;
    /// Has a pass made over it.
    fn wake(&self, key: &ResourceKey);
}

/// Sweeps at once and then once per interval, and sooner after Hydra was away. Each resource of
/// `resources` about which something seems to differ gets a look.
pub async fn run(instance: &Instance, resources: &impl Resources, context: &Context) {
    let (metrics, interval) = (&context.metrics, context.resync_interval);
    let mut course = Course::default();
    loop {
        let hydra_is_back = course.last_failure.is_some_and(|failure| failure.elapsed() < RETURN);
        match sweep(instance, resources, hydra_is_back, context).await {
            Ok(looks) => {
                metrics.hydra_up(instance.name(), true);
                for key in looks {
                    context.looks.ask(key.clone());
                    resources.wake(&key);
                }
                metrics.sweep(instance.name(), true);
                course.failures = 0;
            }
            Err(error) => {
                metrics.hydra_up(instance.name(), false);
                metrics.sweep(instance.name(), false);
                if course.failures == 0 {
                    tracing::warn!(instance = instance.name(), %error, "Hydra could not be listed");
                }
                course = Course {
                    failures: course.failures + 1,
                    alarms: 0,
                    last_failure: Some(Instant::now()),
                };
            }
        }
        course.alarms = if wait(instance, interval, &course).await { course.alarms + 1 } else { 0 };
    }
}

/// How the sweeps went lately.
#[derive(Default)]
struct Course {
    /// Sweeps in a row that failed.
    failures: u32,
    /// When a sweep last failed.
    last_failure: Option<Instant>,
    /// Sweeps in a row that were made because a pass was in trouble, and found Hydra well.
    alarms: u32,
}

/// Waits until the next sweep is due. Returns whether that is because a pass was in trouble.
async fn wait(instance: &Instance, interval: Duration, course: &Course) -> bool {
    let pause = |n| backoff::delay(n, chance()).min(interval);
    if course.failures > 0 {
        tokio::time::sleep(pause(course.failures).min(LONGEST_ABSENCE)).await;
        return false;
    }
    tokio::select! {
        () = tokio::time::sleep(jittered(interval, chance())) => false,
        // A sweep shows whether Hydra is away, and later ones when it is back. False alarms cost a
        // list of all clients, so they are followed up less and less eagerly.
        () = instance.troubled() => {
            tokio::time::sleep(pause(course.alarms + 1)).await;
            true
        }
    }
}

/// One listing. Returns the resources that need a look.
async fn sweep(
    instance: &Instance,
    resources: &impl Resources,
    hydra_is_back: bool,
    context: &Context,
) -> Result<Vec<ResourceKey>, HydraError> {
    let started = Instant::now();
    let due = |resource: &OAuth2Client| {
        resync::is_due(
            resync::own_interval(resource.spec.resync_interval.as_deref().map(String::as_str)),
            context.resync_interval,
            context.looks.last(&key_of(resource)),
            started,
        )
    };
    // What converges while the list is read may be missing from it.
    let before = resources.all();
    let number = instance.census().begin();
    let mut survey = Survey::new(instance.defaults(), context.removes_duplicates);
    let visit = |page: Vec<hydra::OAuth2Client>| {
        for client in page {
            let key = marked(client.owner.as_deref().unwrap_or_default());
            let object = key.and_then(|key| resources.get(&key));
            let resource = object.as_ref().and_then(|object| object.0.as_ref().ok());
            survey.meet(&client, resource, &due, &|resource| context.key_sets.link(resource));
        }
    };
    let whole = instance.hydra().list_pages(None, visit).await?;
    let version = instance.refresh().await;

    for object in before {
        let Ok(former) = &object.0 else { continue };
        let now = resources.get(&key_of(former));
        if let Some(now) = now.as_ref().and_then(|now| now.0.as_ref().ok()) {
            survey.conclude(former, now, &version, hydra_is_back, &due);
            if resync::own_interval(now.spec.resync_interval.as_deref().map(String::as_str))
                .is_some()
                && due(now)
            {
                context.looks.looked(key_of(now), started);
            }
        }
    }
    let (mut looks, findings) = survey.end();
    instance.census().complete(number, findings, whole);
    looks.extend(concerned_by_news(instance, resources).await);
    Ok(looks.into_iter().collect())
}

/// The resources whose Secrets may hold what Hydra says about itself no more.
async fn concerned_by_news(instance: &Instance, resources: &impl Resources) -> Vec<ResourceKey> {
    let all = resources.all();
    let asking = all.iter().filter_map(|object| object.0.as_ref().ok()).filter(|resource| {
        let waits = resource.is_suspended() || resource.metadata.deletion_timestamp.is_some();
        !waits && needs_well_known(&resource.spec)
    });
    let asking: Vec<_> = asking.map(key_of).collect();
    if !asking.is_empty() && instance.well_known_is_news().await { asking } else { Vec::new() }
}
