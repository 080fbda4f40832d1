//! A connection that is opened before there is a request for it.
//!
//! ACR can be asked nothing before STS has answered, and connecting to it takes two round trips. So the
//! connection to ACR is opened while STS answers. The client that opens it cannot send anything: what
//! it connects to is put aside here, and its request fails before a byte of it is written. The client
//! that has a request for the host takes the connection, whether it is open or under way.

use std::any::Any;
use std::future::{self, Future};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tower_layer::Layer;
use tower_service::Service;

use crate::system::clock;

/// An older connection is closed: the other side may be about to do so.
pub const USABLE: Duration = Duration::from_secs(5);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>>;

/// Where the connection is until it is taken.
#[derive(Clone, Default)]
pub struct Ahead(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The next connection is for a request to the same host.
    wanted: bool,
    /// A client with such a request has come before anything was opened, and connects itself.
    is_late: bool,
    /// Since when, and the [`Connection`]; the type of a client's connections has no name.
    kept: Option<(Instant, Box<dyn Any + Send>)>,
}

enum Connection<C> {
    UnderWay(Connecting<C>),
    Open(C),
}

impl Ahead {
    /// Says whether the next request is for the host that was connected to.
    pub fn want(&self, wanted: bool) {
        self.with(|state| state.wanted = wanted);
    }

    /// Closes a connection that was not taken.
    pub fn close(&self) {
        self.with(|state| state.kept = None);
    }

    /// For a client that opens connections and sends nothing.
    pub fn opening(&self) -> Layered<()> {
        Layered { inner: (), ahead: self.clone(), purpose: Purpose::Open }
    }

    /// For a client that sends requests.
    pub fn taking(&self) -> Layered<()> {
        Layered { inner: (), ahead: self.clone(), purpose: Purpose::Take }
    }

    fn take<C: 'static>(&self) -> Option<Connection<C>> {
        let (begun, connection) = self.with(|state| {
            state.is_late |= state.wanted && state.kept.is_none();
            state.kept.take_if(|_| state.wanted)
        })?;
        let usable = clock::instant().saturating_duration_since(begun) < USABLE;
        connection.downcast().ok().filter(|_| usable).map(|connection| *connection)
    }

    /// Puts a connection aside, and leads it on until it is open.
    fn open<C: Send + 'static>(&self, connecting: Connecting<C>) -> Connecting<C> {
        let kept = Box::new(Connection::UnderWay(connecting));
        self.with(|state| {
            if !state.is_late {
                state.kept = Some((clock::instant(), kept));
            }
        });
        let ahead = self.clone();
        Box::pin(future::poll_fn(move |context| {
            ahead.with(|state| state.connect::<C>(context)).map(Err)
        }))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a client's connections are for.
#[derive(Clone, Copy)]
enum Purpose {
    Open,
    Take,
}

/// Connects through `inner`, once it is the layer around something.
#[derive(Clone)]
pub struct Layered<S> {
    inner: S,
    ahead: Ahead,
    purpose: Purpose,
}

impl<S> Layer<S> for Layered<()> {
    type Service = Layered<S>;

    fn layer(&self, inner: S) -> Layered<S> {
        Layered { inner, ahead: self.ahead.clone(), purpose: self.purpose }
    }
}

impl<S, R> Service<R> for Layered<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: Send + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Connecting<S::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        if let Purpose::Open = self.purpose {
            return self.ahead.open(Box::pin(self.inner.call(request)));
        }
        match self.ahead.take() {
            Some(Connection::Open(open)) => Box::pin(future::ready(Ok(open))),
            Some(Connection::UnderWay(connecting)) => connecting,
            None => Box::pin(self.inner.call(request)),
        }
    }
}

impl State {
    /// Goes on with a connection that nobody has taken, until it is open. There is only ever an error,
    /// so that the request of the client that opens it is not sent.
    fn connect<C: Send + 'static>(&mut self, context: &mut Context<'_>) -> Poll<BoxError> {
        let Some((_, kept)) = &mut self.kept else { return Poll::Ready("taken".into()) };
        let Some(connection) = kept.downcast_mut::<Connection<C>>() else {
            return Poll::Ready("not a connection".into());
        };
        let Connection::UnderWay(connecting) = connection else {
            return Poll::Ready("open".into());
        };
        match connecting.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(open)) => {
                *connection = Connection::Open(open);
                Poll::Ready("open".into())
            }
            // The client with the request then connects itself, and reports the error.
            Poll::Ready(Err(error)) => {
                self.kept = None;
                Poll::Ready(error)
            }
        }
    }
}
