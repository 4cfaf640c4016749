//! The report: Markdown from figures alone.

use std::fmt::{self, Display, Formatter};

use crate::figures::{Distribution, Figures, RawFigures, Restart, Wave};

mod table;
#[cfg(test)]
mod tests;

use self::table::{Row, megabytes, millis, thousands};

/// Goal: this part of the rate of the raw limit.
const RATE: f64 = 0.8;
/// Goal: one new client takes this much longer than the raw writes.
const DELAY: f64 = 1.5;
/// Goal: the most memory of the process.
const MEMORY: u64 = 64 * 1024 * 1024;
/// Goal: the memory for Secrets of others is below this.
const ADDED: i64 = 10 * 1024 * 1024;
/// Goal: a further client costs this much more among many than among few.
const GROWTH: f64 = 1.5;

/// All that was measured.
pub struct Report {
    /// On what.
    pub context: Context,
    /// What the servers can do.
    pub raw: RawFigures,
    /// What the operator makes of it.
    pub operator: Figures,
    /// What hydra-maester makes of it, where it was measured.
    pub maester: Option<Figures>,
}

/// On what it was measured.
pub struct Context {
    /// The command that does it again.
    pub command: String,
    /// When.
    pub date: String,
    /// The hardware and its kernel.
    pub machine: String,
    /// Programs with their versions.
    pub software: Vec<String>,
}

/// The number of requests that a restart with so many converged clients may make.
fn allowed_requests(clients: usize) -> u64 {
    (2 * clients / 500 + 50) as u64
}

impl Report {
    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![self.rate(), self.wave_secret(), self.wave_ready()];
        rows.extend([self.single_secret(), self.single_ready()]);
        for index in 0..self.operator.restarts.len() {
            rows.extend(self.restart(index));
        }
        rows.extend([self.growth(), self.added()]);
        rows
    }

    /// A row whose cells come from the figures of each controller in the same way.
    fn row(&self, work: impl Into<String>, cell: impl Fn(&Figures) -> String) -> Row {
        let maester = self.maester.as_ref().map(&cell);
        Row::new(work, cell(&self.operator), maester)
    }

    fn rate(&self) -> Row {
        let raw = Wave::best(&self.raw.waves);
        let limit = raw.map_or(f64::NAN, Wave::rate);
        let rate = |figures: &Figures| Wave::best(&figures.waves).map_or(f64::NAN, Wave::rate);
        let work =
            format!("{} new clients at once: rate", thousands(raw.map_or(0, |wave| wave.clients)));
        let cell = |figures: &Figures| {
            let rate = rate(figures);
            format!("{rate:.1}/s ({:.2} of raw)", rate / limit)
        };
        let concurrency = raw.map_or(0, |wave| wave.concurrency);
        self.row(work, cell)
            .raw(format!("{limit:.1}/s ({concurrency} in flight)"))
            .goal(format!("at least {RATE} of raw"), rate(&self.operator) >= RATE * limit)
    }

    fn wave_secret(&self) -> Row {
        self.row("… from resource to Secret, p50 / p99", |figures| {
            distribution(Wave::best(&figures.waves).map(|wave| wave.times.secret))
        })
    }

    fn wave_ready(&self) -> Row {
        self.row("… from resource to Ready, p50 / p99", |figures| {
            distribution(Wave::best(&figures.waves).map(|wave| wave.times.ready))
        })
    }

    fn single_secret(&self) -> Row {
        let raw = &self.raw.singles.times.secret;
        let clients = self.raw.singles.clients;
        let work = format!("One new client, idle system ({clients} times): Secret, p50 / p99");
        self.single(work, raw, |figures| figures.singles.times.secret)
    }

    fn single_ready(&self) -> Row {
        let raw = &self.raw.singles.times.ready;
        self.single("… Ready, p50 / p99", raw, |figures| figures.singles.times.ready)
    }

    /// The limit is the whole raw sequence for both, as the goal says.
    fn single(
        &self,
        work: impl Into<String>,
        raw: &Distribution,
        of: fn(&Figures) -> Distribution,
    ) -> Row {
        let limit = self.raw.singles.times.ready.p50;
        let ratio = |figures: &Figures| of(figures).p50.as_secs_f64() / limit.as_secs_f64();
        let cell = |figures: &Figures| {
            let times = distribution(Some(of(figures)));
            format!("{times} ({:.2} of raw Ready)", ratio(figures))
        };
        self.row(work, cell)
            .raw(distribution(Some(*raw)))
            .goal(format!("p50 at most {DELAY} of raw Ready"), ratio(&self.operator) <= DELAY)
    }

    fn restart(&self, index: usize) -> [Row; 3] {
        let operator = &self.operator.restarts[index];
        let clients = operator.clients;
        let allowed = allowed_requests(clients);
        let row = |work: String, cell: fn(&Restart) -> String| {
            self.row(work, |figures| figures.restarts.get(index).map_or("–".to_owned(), cell))
        };
        let requests = |restart: &Restart| {
            format!("{} ({} writes)", thousands(restart.requests()), thousands(restart.writes))
        };
        let memory = |restart: &Restart| {
            let memory = restart.memory;
            format!("{} / {}", megabytes(memory.resident), megabytes(memory.peak))
        };
        let time = |restart: &Restart| {
            let processor = restart.processor.as_secs_f64();
            format!("{:.2} s / {processor:.2} s", restart.elapsed.as_secs_f64())
        };
        let few_requests = operator.requests() <= allowed && operator.writes == 0;
        let is_small = operator.memory.peak <= MEMORY;
        let converged = thousands(clients);
        [
            row(format!("Restart with {converged} converged: requests"), requests)
                .goal(format!("at most {allowed}, no write"), few_requests),
            row("… memory, afterwards / at most".to_owned(), memory)
                .goal(format!("at most {}", megabytes(MEMORY)), is_small),
            row("… time until all was looked at / on a processor".to_owned(), time),
        ]
    }

    fn growth(&self) -> Row {
        let costs = |figures: &Figures| -> Vec<f64> {
            figures.restarts.windows(2).map(|pair| pair[1].marginal_cost(&pair[0])).collect()
        };
        let cell = |figures: &Figures| {
            let costs = costs(figures);
            let costs = costs.iter().map(|cost| format!("{:.0} µs", cost * 1e6));
            let costs: Vec<_> = costs.collect();
            if costs.is_empty() { "–".to_owned() } else { costs.join(", then ") }
        };
        let row = self.row("Restart: processor time for each further client", cell);
        match costs(&self.operator)[..] {
            [few, .., many] => {
                row.goal(format!("flat: at most {GROWTH} of the first step"), many <= GROWTH * few)
            }
            _ => row,
        }
    }

    fn added(&self) -> Row {
        let secrets = thousands(self.operator.added.secrets);
        let cell = |figures: &Figures| {
            let added = &figures.added;
            let signed = |bytes: i64| {
                let sign = if bytes < 0 { "-" } else { "" };
                format!("{sign}{}", megabytes(bytes.unsigned_abs()))
            };
            format!("{} / {}", signed(added.while_running), signed(added.after_restart))
        };
        let work =
            format!("Memory for {secrets} Secrets of others, 5 kB each: running / restarted");
        self.row(work, cell).goal("less than 10 MiB".to_owned(), self.operator.added.most() < ADDED)
    }
}

fn distribution(times: Option<Distribution>) -> String {
    times.map_or("–".to_owned(), |Distribution { p50, p99 }| {
        format!("{} / {}", millis(p50), millis(p99))
    })
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Context { command, date, machine, software } = &self.context;
        writeln!(f, "# Benchmarks\n")?;
        writeln!(
            f,
            "Written by this command, which measures everything in one run; do not edit.\n"
        )?;
        writeln!(f, "    {command}\n")?;
        writeln!(f, "- Date: {date}")?;
        writeln!(f, "- Machine: {machine}; servers, load generator and controller share it")?;
        for software in software {
            writeln!(f, "- {software}")?;
        }
        writeln!(f)?;
        table::write(f, &self.rows())?;
        write!(f, "\n{}", NOTES.trim_start())
    }
}

const NOTES: &str = "
## How it is measured

- *Raw limit*: a load generator creates the resource and makes the four writes of a new client itself, as a ServiceAccount with
  the operator's rights: finalizer, Secret, client in Hydra, status. For a controller the same generator creates
  the resource alone. Both clocks cover the creation, both ends are seen by the same watches. One round for each number of
  requests in flight; the best round of each counts, and each begins when all that followed from the one before is done. A
  crowd's events come after it and are not in its time. Each column has servers of its own that were empty before.
- *One new client*: p50 of the controller against p50 of the raw sequence until Ready, both from the reply to the
  creation to the event of a watch.
- *Requests* are those that Hydra (`http_requests_total`) and kube-apiserver (`apiserver_request_total` of oauth2clients,
  jsonwebkeysets, secrets, configmaps and events) count from before the start until the controller is ready, has swept (hydra-maester: has passed over every client)
  and has made no pass for 2 s. A watch counts when it ends; discovery is not counted.
- *Memory* is VmRSS and VmHWM of the process, *processor* the time of its threads; both include serving its metrics,
  which tell when it is quiet.
- Hydra's hashes of client secrets are as cheap as it allows, and neither database waits for the disk: the servers are as
  fast as they can be, so that the controller's own part of the time is as large as it can be.
- The operator runs as its ServiceAccount with the rights of `deploy/rbac`, hydra-maester as administrator.
";
