//! A DNS server for the names of a cluster, and the files by which a kubelet tells a container of it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    path::Path,
    thread,
};

/// Kinds of questions and answers, RFC 1035 section 3.2.2.
const ADDRESS: [u8; 2] = [0, 1];
/// Where the name of the question is in each message.
const QUESTION: usize = 12;

/// Gives a root the names of a cluster: these, which are 127.0.0.1, and `localhost`. Other names do not exist.
///
/// A resolver asks port 53 and no other, which a user other than root may not serve. Then the names are in the file of hosts, and
/// the test says so.
pub fn serve(names: &[&str], root: &Path) {
    let [a, b, ..] = getrandom::u32().unwrap().to_be_bytes();
    let server = Ipv4Addr::new(127, 53, a, b.clamp(1, 254));
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    if let Ok(socket) = UdpSocket::bind(SocketAddrV4::new(server, 53)) {
        let known = names.iter().map(|name| encoded(name)).collect();
        // It answers as long as this process runs.
        thread::spawn(move || answer(&socket, &known));
    } else {
        let short = |name: &str| name.strip_suffix(".svc.cluster.local").unwrap().to_owned();
        hosts.extend(names.iter().map(|name| format!("127.0.0.1 {name} {}\n", short(name))));
        let line = "image | names: by the file of hosts, as this user may not serve DNS\n";
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
    fs::write(root.join("etc/hosts"), hosts).unwrap();
    let resolver = format!(
        "search hydra-operator-system.svc.cluster.local svc.cluster.local cluster.local\n\
         nameserver {server}\noptions ndots:5\n"
    );
    fs::write(root.join("etc/resolv.conf"), resolver).unwrap();
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').chain([""]);
    labels
        .flat_map(|label| {
            let length = u8::try_from(label.len()).unwrap();
            std::iter::once(length).chain(label.bytes())
        })
        .collect()
}

fn answer(socket: &UdpSocket, known: &BTreeSet<Vec<u8>>) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question) {
        let Some(message) = reply(&question[..length], known) else { continue };
        let _ = socket.send_to(&message, from);
    }
}

/// The answer to a question for one name: its address, nothing where another kind is asked for, or that it does not exist.
fn reply(question: &[u8], known: &BTreeSet<Vec<u8>>) -> Option<Vec<u8>> {
    let name = question.get(QUESTION..)?.split_inclusive(|&byte| byte == 0).next()?;
    let end = QUESTION + name.len() + 4; // kind and class
    let exists = known.contains(&name.to_ascii_lowercase());
    let is_address = question.get(end - 4..end - 2)? == ADDRESS;
    let answers = u8::from(exists && is_address);
    let mut message = question[..2].to_vec();
    message.extend([0x81, if exists { 0x80 } else { 0x83 }, 0, 1, 0, answers, 0, 0, 0, 0]);
    message.extend(&question[QUESTION..end]);
    if answers > 0 {
        // The name of the question, for an hour.
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 127, 0, 0, 1]);
    }
    Some(message)
}
