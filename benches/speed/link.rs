//! A wire with distance, to put between a client and a server on loopback.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::process::now;

/// A server as if it were far away. Gives the address to connect to.
///
/// Bytes take `one_way` in each direction. TCP's own handshake would take a round trip before the
/// client may send anything; on loopback it takes none, so the client's first bytes are held back
/// for one round trip more. That comes to the same from the first byte on, whatever the client does
/// in between.
pub fn distant(server: SocketAddr, one_way: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            // A client that goes away in the middle is its own affair; it will say so itself.
            thread::spawn(move || relay(client, server, one_way));
        }
    });
    Ok(address)
}

/// The address of a server from its URL.
pub fn address_of(url: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let (_, address) = url.split_once("://").ok_or("no URL")?;
    Ok(address.parse()?)
}

fn relay(client: TcpStream, server: SocketAddr, one_way: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || carry(from_client, to_server, one_way, 2 * one_way));
    carry(server, client, one_way, Duration::ZERO);
    Ok(())
}

/// Carries bytes one way, each to arrive `delay` after it was sent, the first `extra` later.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, extra: Duration) {
    let (sender, sent) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, bytes) in sent {
            thread::sleep(due.saturating_duration_since(now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 64 * 1024];
    let mut extra = extra;
    // Nothing overtakes what was sent before.
    let mut last = now();
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        last = last.max(now() + delay + extra);
        extra = Duration::ZERO;
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if sender.send((last, bytes)).is_err() {
            break;
        }
    }
}
