use proptest::prelude::*;

use super::*;

const TIMING: Timing = Timing { lease: secs(15), renew: secs(10), retry: secs(2) };

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn contender(me: &str) -> Contender {
    Contender { me: me.to_owned(), timing: TIMING }
}

fn record(version: &str, holder: Option<&str>, duration: Option<u64>) -> Record {
    let holder = holder.map(ToOwned::to_owned);
    Record { version: version.to_owned(), holder, duration: duration.map(secs) }
}

#[test]
fn steps() {
    let start = Instant::now();
    let (me, other) = (Some("me"), Some("other"));
    for (holder, duration, after, expected) in [
        (None, Some(15), 0, Step::Claim),
        (other, Some(15), 0, Step::Wait(secs(2))),
        (other, Some(15), 14, Step::Wait(secs(1))),
        (other, Some(15), 15, Step::Claim),
        // Its holder's setting counts, and ours where it has none.
        (other, Some(60), 15, Step::Wait(secs(2))),
        (other, Some(3), 3, Step::Claim),
        (other, None, 14, Step::Wait(secs(1))),
        (other, None, 15, Step::Claim),
        (me, Some(15), 0, Step::Hold(secs(2))),
        (me, Some(15), 1, Step::Hold(secs(1))),
        (me, Some(15), 2, Step::Renew),
        (me, Some(15), 60, Step::Renew),
    ] {
        let contender = contender("me");
        let seen = contender.observe(None, Some(record("1", holder, duration)), start);
        let step = contender.step(&seen, start + secs(after));
        assert_eq!(step, expected, "{holder:?} {duration:?} after {after} s");
    }
    let absent = contender("me").observe(None, None, start);
    assert_eq!(contender("me").step(&absent, start), Step::Claim);
}

#[test]
fn time_counts_from_the_first_sight_of_a_version() {
    let (contender, start) = (contender("me"), Instant::now());
    let seen = |version| Some(record(version, Some("other"), Some(15)));
    let first = contender.observe(None, seen("1"), start);
    let again = contender.observe(Some(first.clone()), seen("1"), start + secs(14));
    assert_eq!(again, first);
    let renewed = contender.observe(Some(first), seen("2"), start + secs(14));
    assert_eq!(contender.step(&renewed, start + secs(28)), Step::Wait(secs(1)));
    assert_eq!(contender.step(&renewed, start + secs(29)), Step::Claim);
}

#[test]
fn a_lease_that_is_deleted_is_not_released() {
    let (contender, start) = (contender("me"), Instant::now());
    let held = |holder| contender.observe(None, Some(record("1", holder, Some(15))), start);
    let deleted = |holder, after| contender.observe(Some(held(holder)), None, start + secs(after));
    let step = |holder, after| contender.step(&deleted(holder, after), start + secs(after));
    assert_eq!(step(Some("other"), 1), Step::Wait(secs(2)));
    assert_eq!(step(Some("other"), 15), Step::Claim);
    assert_eq!(deleted(Some("other"), 15).holder(), None);
    assert_eq!(step(Some("me"), 1), Step::Claim);
    assert_eq!(step(None, 1), Step::Claim);
}

/// A Lease as the API server keeps it, without any time in it.
#[derive(Default)]
struct Server {
    version: u32,
    holder: Option<usize>,
}

/// A replica, with a clock that has nothing to do with that of another.
struct Replica {
    contender: Contender,
    clock: Instant,
    seen: Option<Observation>,
    held_until: Option<Instant>,
    /// A write that is under way: when it was sent, and for which version.
    sent: Option<(Instant, u32)>,
    /// The answer to it that is under way: when it was sent, and the version that it made.
    answer: Option<(Instant, Option<u32>)>,
    ended: bool,
}

const REPLICAS: usize = 3;

/// What happens next, and to which replica.
#[derive(Clone, Debug)]
enum Happens {
    /// Time passes for all.
    Time(u64),
    Looks(usize),
    Sends(usize),
    Arrives(usize),
    Hears(usize),
    LosesAnswer(usize),
    Releases(usize),
}

fn happens() -> impl Strategy<Value = Happens> {
    let who = 0..REPLICAS;
    prop_oneof![
        4 => (0..8_000_u64).prop_map(Happens::Time),
        4 => who.clone().prop_map(Happens::Looks),
        4 => who.clone().prop_map(Happens::Sends),
        4 => who.clone().prop_map(Happens::Arrives),
        4 => who.clone().prop_map(Happens::Hears),
        1 => who.clone().prop_map(Happens::LosesAnswer),
        1 => who.prop_map(Happens::Releases),
    ]
}

impl Replica {
    fn new(number: usize, clock: Instant) -> Self {
        Self {
            contender: contender(&number.to_string()),
            clock,
            seen: None,
            held_until: None,
            sent: None,
            answer: None,
            ended: false,
        }
    }

    fn leads(&self) -> bool {
        !self.ended && self.held_until.is_some_and(|until| self.clock < until)
    }

    fn learn(&mut self, version: u32, holder: Option<usize>) {
        let holder = holder.map(|number| number.to_string());
        let record = Record { version: version.to_string(), holder, duration: Some(TIMING.lease) };
        let record = (version > 0).then_some(record);
        self.seen = Some(self.contender.observe(self.seen.take(), record, self.clock));
        let taken = self.seen.as_ref().and_then(Observation::holder) != Some(&self.contender.me);
        self.ended |= taken && self.held_until.is_some();
    }

    fn happens(&mut self, number: usize, what: &Happens, server: &mut Server) {
        match what {
            Happens::Looks(_) => self.learn(server.version, server.holder),
            Happens::Sends(_) => {
                let Some(seen) = &self.seen else { return };
                let step = self.contender.step(seen, self.clock);
                if self.sent.is_none() && matches!(step, Step::Claim | Step::Renew) {
                    let version = seen.record.as_ref().map(|record| record.version.parse());
                    let version = version.map_or(0, Result::unwrap);
                    self.sent = Some((self.clock, version));
                }
            }
            Happens::Arrives(_) => {
                let Some((sent, version)) = self.sent.take() else { return };
                let wins = version == server.version;
                if wins {
                    *server = Server { version: version + 1, holder: Some(number) };
                }
                self.answer = Some((sent, wins.then_some(version + 1)));
            }
            Happens::Hears(_) => match self.answer.take() {
                Some((sent, Some(version))) => {
                    self.learn(version, Some(number));
                    self.held_until = Some(sent + TIMING.renew);
                }
                Some((_, None)) => self.learn(server.version, server.holder),
                None => {}
            },
            Happens::LosesAnswer(_) => self.answer = None,
            Happens::Releases(_) => {
                if self.leads() && server.holder == Some(number) {
                    *server = Server { version: server.version + 1, holder: None };
                    self.ended = true;
                }
            }
            Happens::Time(_) => unreachable!(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// In whatever order they look, write and hear, and whatever is lost or late, of those that never compare their clocks
    /// at most one leads.
    #[test]
    fn at_most_one_leads(
        skews in prop::array::uniform3(0..2_000_u64),
        history in prop::collection::vec(happens(), 1..200),
    ) {
        let start = Instant::now();
        let mut server = Server::default();
        let mut replicas: Vec<_> = (0..REPLICAS)
            .map(|number| Replica::new(number, start + secs(skews[number])))
            .collect();
        for what in &history {
            match what {
                Happens::Time(millis) => for replica in &mut replicas {
                    replica.clock += Duration::from_millis(*millis);
                    // The process ends.
                    replica.ended |= replica.held_until.is_some() && !replica.leads();
                },
                Happens::Looks(n) | Happens::Sends(n) | Happens::Arrives(n) | Happens::Hears(n)
                | Happens::LosesAnswer(n) | Happens::Releases(n) => {
                    if !replicas[*n].ended {
                        replicas[*n].happens(*n, what, &mut server);
                    } else if matches!(what, Happens::Arrives(_)) {
                        // What it sent before its end may still arrive.
                        let ended = &mut replicas[*n];
                        if ended.sent.take().is_some_and(|(_, version)| version == server.version) {
                            server = Server { version: server.version + 1, holder: Some(*n) };
                        }
                    }
                }
            }
            let leading = replicas.iter().filter(|replica| replica.leads()).count();
            prop_assert!(leading <= 1, "{leading} lead after {what:?}");
        }
    }
}
