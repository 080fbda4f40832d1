//! What this node has fetched and may use again, and who fetches it when many ask at once.
//!
//! The kubelet runs one process for each image, in parallel, since it learns only from an answer
//! which images share one. So processes meet here: one takes the lock of a key and fetches, the
//! others wait for its result, a failure included. Nothing in here knows what is kept.
//!
//! A name begins with the configuration's place and contents, so that a changed configuration
//! finds nothing of what was there before, and clears it away. Times are those of the clock that
//! counts from the machine's start: nobody can set it, and another start is another scope.

pub mod freshness;
mod keep;
mod of_node;
mod overlap;
pub mod place;
mod record;
mod single_flight;
pub mod store;

pub use keep::{Access, Cache, USED_LATELY};
pub use of_node::{NodeLock, Note};
pub use record::{Kept, Key, Kind, Made, Scope};
pub use single_flight::{Failed, Fetched, Missed};
