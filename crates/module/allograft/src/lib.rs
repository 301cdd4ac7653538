//! `allograft.dll`: loaded into a process at any moment, it takes over the heaps of the process's C
//! runtimes.

#![no_std]
#![cfg(windows)]

allograft_module::no_std_module!();
