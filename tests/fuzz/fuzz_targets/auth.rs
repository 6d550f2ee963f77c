//! See [`scenehost_fuzz::auth`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::auth::run);
