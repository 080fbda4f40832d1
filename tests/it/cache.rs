//! The node's cache, as the kubelet and an administrator meet it: the real binary, a simulated
//! cloud, and a boot clock that is moved on with `unshare --time`.

mod crowd;
mod damage;
mod keep;
mod kills;
mod outage;
mod refresh;
mod upgrade;
