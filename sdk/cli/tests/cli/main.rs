//! `scenectl` as people run it: the real binary, real builds, its exit codes and what it says.

mod projects;
mod publishing;
mod replaying;
mod words;

mod host;
mod tool;
