//! What the process is beside what it answers: no core dumps, no children, no secret left in memory,
//! no file believed that others can write, nothing read without a bound.

mod bounds;
mod children;
mod cores;
mod echoes;
mod files;
mod hostile_yaml;
mod rights;
mod traced;
mod wiped;
