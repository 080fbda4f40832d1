//! A name server for tests, at an address of its own on loopback.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

/// What a name has.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    Addresses(Vec<IpAddr>),
    /// The server says that it failed.
    Failure,
    Silence,
}

pub struct Names {
    address: Ipv4Addr,
    stops: Arc<AtomicBool>,
}

impl Names {
    pub fn new(names: BTreeMap<String, Answer>) -> Self {
        let [_, _, a, b] = std::process::id().to_be_bytes();
        let free = |c: u8| {
            let address = Ipv4Addr::new(127, 53 + c, a, b | 1);
            UdpSocket::bind((address, 53)).ok().map(|socket| (address, socket))
        };
        let (address, socket) = (0..200).find_map(free).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let stops = Arc::new(AtomicBool::new(false));
        let stopped = stops.clone();
        thread::spawn(move || {
            let mut question = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = answer(&question[..length], &names) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { address, stops }
    }

    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\noptions timeout:1 attempts:1\n", self.address)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
    }
}

/// The answer to one question; none where there is to be none.
fn answer(question: &[u8], names: &BTreeMap<String, Answer>) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let kind = question[at + 2];
    let asked = &question[12..at + 5];
    let (code, addresses) = match names.get(&labels.join(".")) {
        None => (3, Vec::new()),
        Some(Answer::Failure) => (2, Vec::new()),
        Some(Answer::Silence) => return None,
        Some(Answer::Addresses(addresses)) => (0, addresses.clone()),
    };
    let data: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(v4) => (kind == 1).then(|| v4.octets().to_vec()),
            IpAddr::V6(v6) => (kind == 28).then(|| v6.octets().to_vec()),
        })
        .collect();
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(data.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(asked);
    for data in data {
        let length = u8::try_from(data.len()).unwrap();
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, length]);
        answer.extend(data);
    }
    Some(answer)
}
