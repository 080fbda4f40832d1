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
    pub fn opening(&self) -> Opening {
        Opening(self.clone())
    }

    /// For a client that sends requests.
    pub fn taking(&self) -> Taking {
        Taking(self.clone())
    }

    fn take<C: 'static>(&self) -> Option<Connection<C>> {
        let (begun, connection) = self.with(|state| state.kept.take_if(|_| state.wanted))?;
        let usable = clock::instant().saturating_duration_since(begun) < USABLE;
        connection.downcast().ok().filter(|_| usable).map(|connection| *connection)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Clone)]
pub struct Opening(Ahead);

impl<S> Layer<S> for Opening {
    type Service = Opens<S>;

    fn layer(&self, inner: S) -> Opens<S> {
        Opens { inner, ahead: self.0.clone() }
    }
}

#[derive(Clone)]
pub struct Opens<S> {
    inner: S,
    ahead: Ahead,
}

impl<S, R> Service<R> for Opens<S>
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
        let begun = clock::instant();
        let connecting: Connecting<S::Response> = Box::pin(self.inner.call(request));
        let ahead = self.ahead.clone();
        ahead.with(|state| state.kept = Some((begun, Box::new(Connection::UnderWay(connecting)))));
        Box::pin(future::poll_fn(move |context| {
            ahead.with(|state| state.connect::<S::Response>(context)).map(Err)
        }))
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

#[derive(Clone)]
pub struct Taking(Ahead);

impl<S> Layer<S> for Taking {
    type Service = Takes<S>;

    fn layer(&self, inner: S) -> Takes<S> {
        Takes { inner, ahead: self.0.clone() }
    }
}

#[derive(Clone)]
pub struct Takes<S> {
    inner: S,
    ahead: Ahead,
}

impl<S, R> Service<R> for Takes<S>
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
        match self.ahead.take() {
            Some(Connection::Open(open)) => Box::pin(future::ready(Ok(open))),
            Some(Connection::UnderWay(connecting)) => connecting,
            None => Box::pin(self.inner.call(request)),
        }
    }
}
