//! See [`scenehost_fuzz::scene`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::scene::run);
