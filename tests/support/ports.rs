//! Ports for servers that have to be told theirs before they start.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, TcpListener},
    sync::Mutex,
};

/// A free port of the loopback interface, never returned twice in this process.
///
/// It lies below the range that the kernel takes ports for outgoing connections from. A port out of that range (which
/// binding port 0 gives) can be taken by any connection before the server binds it, and while a server that has to come
/// back on the same port is stopped.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap();
    let taken = taken.get_or_insert_default();
    let (low, high) = (10_240, first_outgoing_port());
    for _ in 0..1000 {
        let offset = getrandom::u32().unwrap() % u32::from(high - low);
        let port = low + u16::try_from(offset).unwrap();
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return port;
        }
    }
    panic!("no free port between {low} and {high}");
}

fn first_outgoing_port() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .filter(|first| *first > 12_000)
        .unwrap_or(30_000)
}
