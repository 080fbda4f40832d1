//! A listening endpoint: accepting, counting, and ending connections.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, SockRef, Socket, Type};

use super::backend::Backend;
use super::gateway::Door;
use super::lock;
use super::serve::converse;

pub(super) struct Port {
    pub(super) door: Door,
    pub(super) address: SocketAddr,
    backend: Arc<Backend>,
    tls: Option<Arc<ServerConfig>>,
    state: Mutex<State>,
    connections: Arc<Connections>,
}

enum State {
    /// Bound and not listening: a client that connects is refused, and nobody else gets the port.
    Down(Socket),
    Up {
        closing: Arc<AtomicBool>,
        accepting: JoinHandle<()>,
    },
    /// Only while changing from one to the other, and after the end.
    Between,
}

#[derive(Default)]
struct Connections {
    count: AtomicUsize,
    /// Handles by which a connection is ended from outside.
    live: Mutex<BTreeMap<usize, TcpStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Port {
    pub(super) fn open(
        backend: &Arc<Backend>,
        door: Door,
        tls: Option<Arc<ServerConfig>>,
    ) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // Only now, so that the port is nobody else's: its connections inherit it, and a port can
        // be taken again although some of them have not quite ended.
        socket.set_reuse_address(true)?;
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| io::Error::other("a bound socket has an address"))?;
        Ok(Self {
            door,
            address,
            backend: Arc::clone(backend),
            tls,
            state: Mutex::new(State::Down(socket)),
            connections: Arc::default(),
        })
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.count.load(Ordering::SeqCst)
    }

    /// Starts to listen, if it does not yet.
    pub(super) fn bring_up(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        *state = match std::mem::replace(&mut *state, State::Between) {
            State::Down(socket) => {
                socket.listen(256)?;
                self.accept_on(socket.into())?
            }
            other => other,
        };
        Ok(())
    }

    /// Stops to listen, and ends the connections there are.
    pub(super) fn take_down(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if let State::Up { .. } = *state {
            self.stop_accepting(&mut state);
            self.end_connections();
            *state = State::Down(self.bind_again()?);
        }
        Ok(())
    }

    /// A process that is being started by another thread has a copy of the old listener until it
    /// runs its own program, so the port may be taken for a moment.
    fn bind_again(&self) -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        for _ in 0..1000 {
            match socket.bind(&self.address.into()) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    thread::sleep(Duration::from_millis(2));
                }
                bound => return bound.map(|()| socket),
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn accept_on(&self, listener: TcpListener) -> io::Result<State> {
        let closing = Arc::new(AtomicBool::new(false));
        let (backend, door, tls) = (Arc::clone(&self.backend), self.door.clone(), self.tls.clone());
        let (connections, flag) = (Arc::clone(&self.connections), Arc::clone(&closing));
        let accepting =
            thread::Builder::new().name(format!("{:?}", self.door.service)).spawn(move || {
                for stream in listener.incoming() {
                    if flag.load(Ordering::SeqCst) {
                        break;
                    }
                    if let Ok(stream) = stream {
                        connections.begin(stream, &backend, &door, tls.as_ref());
                    }
                }
            })?;
        Ok(State::Up { closing, accepting })
    }

    fn stop_accepting(&self, state: &mut State) {
        if let State::Up { closing, accepting } = std::mem::replace(state, State::Between) {
            closing.store(true, Ordering::SeqCst);
            // Wakes the thread that waits for a connection; should it fail, the listener is gone
            // already.
            drop(TcpStream::connect_timeout(&self.address, Duration::from_secs(1)));
            drop(accepting.join());
        }
    }

    fn end_connections(&self) {
        for stream in lock(&self.connections.live).values() {
            // It may have ended by itself.
            drop(stream.shutdown(Shutdown::Both));
        }
        let threads = std::mem::take(&mut *lock(&self.connections.threads));
        for thread in threads {
            // A panic in it has been recorded as a violation.
            drop(thread.join());
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop_accepting(&mut lock(&self.state));
        self.end_connections();
    }
}

impl Connections {
    fn begin(
        self: &Arc<Self>,
        stream: TcpStream,
        backend: &Arc<Backend>,
        door: &Door,
        tls: Option<&Arc<ServerConfig>>,
    ) {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        let Ok(handle) = stream.try_clone() else { return };
        lock(&self.live).insert(number, handle);
        let (backend, door, tls) = (Arc::clone(backend), door.clone(), tls.cloned());
        let connections = Arc::clone(self);
        let thread = thread::spawn(move || {
            if let Some(mut wire) = Wire::new(stream, tls) {
                let parting = converse(&backend, &door, &mut wire);
                // A reset comes from closing the last handle of a socket that does not linger.
                if parting == Parting::Reset {
                    drop(SockRef::from(wire.socket()).set_linger(Some(Duration::ZERO)));
                }
                lock(&connections.live).remove(&number);
            } else {
                lock(&connections.live).remove(&number);
            }
        });
        let mut threads = lock(&self.threads);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    Close,
    Reset,
}

/// A connection, with TLS or without.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn new(stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Option<Self> {
        stream.set_nodelay(true).ok()?;
        Some(match tls {
            None => Self::Plain(stream),
            Some(config) => {
                let connection = ServerConnection::new(config).ok()?;
                Self::Tls(Box::new(StreamOwned::new(connection, stream)))
            }
        })
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
