//! See [`scenehost_fuzz::bodies`].

#![cfg_attr(fuzzing, no_main)]

scenehost_fuzz::target!(scenehost_fuzz::bodies::run);
