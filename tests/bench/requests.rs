//! Requests, as the servers count them.

use std::ops::Sub;

use crate::{
    support::{
        counters::{self, Sample},
        hydra_api::http,
    },
    world::World,
};

/// The kinds that the operator has rights on.
const RESOURCES: [&str; 5] = ["oauth2clients", "jsonwebkeysets", "secrets", "configmaps", "events"];
/// What only the bench itself and the harness ask for.
const OUR_OWN: [&str; 2] = ["/admin/metrics", "/health"];

/// Requests to both servers by anybody, whatever their outcome. A watch counts when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Those that change nothing.
    pub reads: u64,
    /// The others.
    pub writes: u64,
}

impl Requests {
    /// Those so far.
    pub async fn of(world: &World) -> Self {
        let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
        let kubernetes = counters::parse(&world.admin.request_text(request).await.unwrap());
        let url = format!("{}/admin/metrics/prometheus", world.hydra.admin_url());
        let hydra = http().get(url).send().await.unwrap().text().await.unwrap();
        Self::counted(&kubernetes, &counters::parse(&hydra))
    }

    fn counted(kubernetes: &[Sample], hydra: &[Sample]) -> Self {
        let of_kubernetes = |sample: &Sample| {
            sample.name == "apiserver_request_total"
                && RESOURCES.contains(&sample.label("resource"))
        };
        let of_hydra = |sample: &Sample| {
            let endpoint = sample.label("endpoint");
            sample.name == "http_requests_total"
                && !OUR_OWN.iter().any(|own| endpoint.starts_with(own))
        };
        let kubernetes =
            kubernetes.iter().filter(|s| of_kubernetes(s)).map(|s| (s.label("verb"), s));
        let hydra = hydra.iter().filter(|s| of_hydra(s)).map(|s| (s.label("method"), s));
        let (mut reads, mut writes) = (0.0, 0.0);
        for (verb, sample) in kubernetes.chain(hydra) {
            *(if is_read(verb) { &mut reads } else { &mut writes }) += sample.value;
        }
        Self { reads: whole(reads), writes: whole(writes) }
    }
}

fn is_read(verb: &str) -> bool {
    matches!(verb, "GET" | "LIST" | "WATCH" | "get" | "head" | "options")
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter")]
fn whole(counter: f64) -> u64 {
    counter as u64
}

impl Sub for Requests {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { reads: self.reads - earlier.reads, writes: self.writes - earlier.writes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_ask_for_does_not_count() {
        let kubernetes = counters::parse(
            "apiserver_request_total{resource=\"oauth2clients\",verb=\"LIST\"} 3\n\
             apiserver_request_total{resource=\"oauth2clients\",subresource=\"status\",verb=\"PATCH\"} 2\n\
             apiserver_request_total{resource=\"leases\",verb=\"PUT\"} 100\n\
             apiserver_request_total{resource=\"\",verb=\"GET\"} 100\n\
             other_total{resource=\"secrets\",verb=\"GET\"} 100\n",
        );
        let hydra = counters::parse(
            "http_requests_total{endpoint=\"/admin/clients\",method=\"get\",code=\"200\"} 5\n\
             http_requests_total{endpoint=\"/admin/clients\",method=\"post\",code=\"201\"} 7\n\
             http_requests_total{endpoint=\"/admin/metrics/prometheus\",method=\"get\",code=\"200\"} 100\n\
             http_requests_total{endpoint=\"/health/ready\",method=\"get\",code=\"200\"} 100\n",
        );
        let Requests { reads, writes } = Requests::counted(&kubernetes, &hydra);
        assert_eq!((reads, writes), (8, 9));
    }
}
