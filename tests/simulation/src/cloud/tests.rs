//! The cloud on trial: it refuses each thing that it claims to refuse, and lets pass what is right.

mod acs3;
mod client;
mod connections;
mod faults;
mod metadata;
mod oidc;
mod personal;
mod registry;
mod registry_token;
mod roles;
mod signing;
mod violations;
mod world;
