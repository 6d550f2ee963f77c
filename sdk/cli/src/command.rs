//! The commands, one file each: its arguments, and what it does.

pub mod activate;
pub mod bots;
pub mod build;
pub mod completions;
pub mod dev;
pub mod inspect;
pub mod keygen;
pub mod logs;
pub mod new;
pub mod publish;
pub mod release;
pub mod replay;
pub mod rollback;
pub mod test;
pub mod usage;
pub mod verify;
pub mod versions;
