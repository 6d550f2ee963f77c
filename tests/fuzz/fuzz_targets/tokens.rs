//! See [`scenehost_fuzz::tokens`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::tokens::run);
