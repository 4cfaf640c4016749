//! Converged resources cause no write, by the counters of the servers.
